/* SPDX-License-Identifier: BSD-2-Clause */
/* The one ioctl by which vectors are armed, and what its errors mean. */
#include "lib/msi_parts.h"

#include <errno.h>

#include "abi/vfio.h"
#include "sys/error.h"
#include "sys/log.h"

const char *msi_kind_name(enum db_msi_kind kind)
{
	return kind == DB_MSIX ? "MSI-X" : "MSI";
}

void *msi_request_data(struct db_msi *msi)
{
	return ((struct vfio_irq_set *)msi->request)->data;
}

int msi_set_irqs(struct db_msi *msi, uint32_t flags, unsigned int start, unsigned int count,
		 size_t size)
{
	struct vfio_irq_set *set = msi->request;

	set->argsz = sizeof(*set) + size;
	set->flags = flags;
	set->index = msi->kind == DB_MSIX ? VFIO_PCI_MSIX_IRQ_INDEX : VFIO_PCI_MSI_IRQ_INDEX;
	set->start = start;
	set->count = count;
	return device_ioctl(msi->dev, VFIO_DEVICE_SET_IRQS, set);
}

void msi_set_fd(struct db_msi *msi, unsigned int index, int fd)
{
	struct msi_state *now = &msi->vector[index].now;

	msi->armed += (fd >= 0) - (now->fd >= 0);
	now->fd = fd;
}

void msi_shut(struct db_msi *msi)
{
	unsigned int i;

	msi_set_irqs(msi, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 0);
	for (i = 0; i < msi->count; i++)
		msi_set_fd(msi, i, -1);
	msi->enabled = false;
	msi->allocated = 0;
	pthread_mutex_lock(&msi->dev->lock);
	msi->dev->armed = NULL;
	pthread_mutex_unlock(&msi->dev->lock);
}

/* MSI and MSI-X of a function exclude each other (PCIe 7.7.1, 7.7.2). */
static int claim(struct db_msi *msi)
{
	struct db_device *dev = msi->dev;
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->armed && dev->armed != msi) {
		ret = -EBUSY;
		db_error_set(ret, "%s has vectors of its other interrupt capability armed: disarm "
			     "those first", dev->address);
	} else if (dev->intx) {
		ret = -EBUSY;
		db_error_set(ret, "%s has its INTx armed: disarm that first "
			     "(db_device_irq_set())", dev->address);
	} else {
		dev->armed = msi;
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int msi_enable_error(int ret)
{
	/* ENODEV: the interrupt controller made no table for the device. A positive result is how
	 * many vectors there would be. */
	return ret > 0 || ret == -ENODEV ? -ENOSPC : ret;
}

void msi_no_interrupts(struct db_msi *msi, unsigned int start, unsigned int count)
{
	if (msi->kind == DB_MSIX && !msi->enabled)
		db_error_set(-ENOSPC, "the host has no interrupts left for MSI-X vectors [%u, %u) "
			     "of %s. An ITS gives a device one for each of its vectors, %u here, "
			     "however few are used: take fewer devices or smaller ones, or give "
			     "the host more (LPIs: IDbits of the GIC)", start, start + count,
			     msi->dev->address, msi->count);
	else
		db_error_set(-ENOSPC, "the host has no interrupts left for %s vectors [%u, %u) of "
			     "%s", msi_kind_name(msi->kind), start, start + count,
			     msi->dev->address);
}

int msi_trigger(struct db_msi *msi, unsigned int start, unsigned int count,
		   const struct msi_state *to, unsigned int first, unsigned int last)
{
	int *fds = msi_request_data(msi);
	unsigned int i;

	for (i = first; i < last; i++)
		fds[i - first] = i >= start && i < start + count ? to[i].fd : -1;
	return msi_set_irqs(msi, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, first,
			    last - first, (last - first) * sizeof(*fds));
}

/*
 * The first call enables the capability, and says how many vectors the host finds interrupts for:
 * MSI-X that can grow needs no more than what is asked for; MSI-X that cannot gets all now, or as
 * many as there are; for MSI the number must be the guest's, because the device is told it.
 */
int msi_enable_vectors(struct db_msi *msi, unsigned int start, unsigned int count,
		  const struct msi_state *to)
{
	bool fixed = msi->kind == DB_MSI || msi->caps.msix_noresize;
	unsigned int last = !fixed ? start + count : msi->kind == DB_MSIX ? msi->count : msi->asked;
	int ret;

	ret = claim(msi);
	if (ret)
		return ret;
	ret = msi_trigger(msi, start, count, to, fixed ? 0 : start, last);
	/* A positive result is how many there would be. */
	if (ret > 0 && msi->kind == DB_MSIX && fixed && (unsigned int)ret >= start + count) {
		last = ret;
		log_say(DB_LOG_INFO, "%s: the host has interrupts for %u of its %u vectors only",
			msi->dev->address, last, msi->count);
		ret = msi_trigger(msi, start, count, to, 0, last);
	}
	if (!ret) {
		msi->enabled = true;
		msi->allocated = fixed ? last : msi->count;
		return 0;
	}
	pthread_mutex_lock(&msi->dev->lock);
	msi->dev->armed = NULL;
	pthread_mutex_unlock(&msi->dev->lock);
	return msi_enable_error(ret);
}

int msi_explain_arm(struct db_msi *msi, int error, unsigned int start, unsigned int count)
{
	const char *address = msi->dev->address, *kind = msi_kind_name(msi->kind);
	bool powered;

	pthread_mutex_lock(&msi->dev->lock);
	powered = msi->dev->powered;
	pthread_mutex_unlock(&msi->dev->lock);
	/* What Linux says when it is to enable interrupts of such a device. */
	if (error == -EINVAL && !powered) {
		db_error_set(-EIO, "cannot arm %s vectors [%u, %u) of %s: it is powered down",
			     kind, start, start + count, address);
		return -EIO;
	}
	switch (error) {
	case -EBUSY:	/* said by claim() */
		break;
	case -ENOSPC:
		msi_no_interrupts(msi, start, count);
		break;
	case -EDESTADDRREQ:
		db_error_set(error, "%s vectors [%u, %u) of %s have no address", kind, start,
			     start + count, address);
		break;
	/* Linux says EINVAL of a descriptor that is open, and no eventfd; all else that the request
	 * has was checked. */
	case -EINVAL:
	case -EBADF:
		error = -EBADF;
		db_error_set(error, "a descriptor given for %s vectors [%u, %u) of %s is no "
			     "eventfd", kind, start, start + count, address);
		break;
	default:
		db_error_set(error, "cannot arm %s vectors [%u, %u) of %s", kind, start,
			     start + count, address);
	}
	return error;
}
