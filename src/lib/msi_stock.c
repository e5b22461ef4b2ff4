/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mode stock: an unmodified kernel writes the address of its SW_MSI window into the MSI-X table
 * whenever it arms a vector or restores the device after a reset; the guest's address is written
 * over it.
 *
 * Between the kernel's write and ours a message would go to the window's address, which the guest's
 * stage 1 need not map. Where there is a sign that one may have been sent (the vector was live, or
 * an interrupt was pending in the device), the eventfd is signalled once: one interrupt too many is
 * what drivers have to bear, one too few is not.
 */
#include "lib/msi.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "abi/vfio.h"
#include "lib/doorbell.h"
#include "sys/error.h"

#define LOW_BITS 0xfffull

/*
 * The kernel maps doorbell pages into the window in the order in which devices first need them.
 * What it wrote tells where this device's is; the guest's vITS must be there.
 */
static int check_doorbell(struct db_msi *msi, uint64_t address)
{
	uint64_t page = address & ~(msi->caps.page_size - 1);

	if (page == msi->doorbell_ipa) {
		msi->doorbell_low = address & LOW_BITS;
		return 0;
	}
	if (page < msi->caps.sw_msi_start ||
	    page - msi->caps.sw_msi_start >= msi->caps.sw_msi_size) {
		db_error_set(-EOPNOTSUPP, "the kernel gave %s the MSI address 0x%llx, which is not "
			     "in its window: MSIs do not pass through the SMMU here",
			     msi->dev->address, (unsigned long long)address);
		return -EOPNOTSUPP;
	}
	db_error_set(-EXDEV, "the doorbell page of %s is at IPA 0x%llx, but the guest's vITS has "
		     "its at 0x%llx: its doorbell is another page than that of the first device "
		     "of this host descriptor (another ITS, or another page of the same one, as "
		     "with a pre-ITS), and mode stock serves only that; use native",
		     msi->dev->address, (unsigned long long)page,
		     (unsigned long long)msi->doorbell_ipa);
	return -EXDEV;
}

static int read_address(struct db_msi *msi, unsigned int index, uint64_t *address)
{
	bool was_off;
	int ret;

	ret = table_begin(&msi->table, &was_off);
	if (ret)
		return ret;
	*address = table_address(&msi->table, index);
	table_end(&msi->table, was_off);
	return 0;
}

/* Lets the kernel write one message, so that a wrong layout is refused now and not when the guest
 * runs. */
static int try_doorbell(struct db_msi *msi)
{
	int *fd = msi_request_data(msi), probe, ret;
	uint64_t address;

	probe = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (probe < 0) {
		ret = -errno;
		db_error_set(ret, "cannot make an eventfd");
		return ret;
	}
	*fd = probe;
	ret = msi_set_irqs(msi, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1,
			   sizeof(*fd));
	ret = msi_enable_error(ret);
	if (ret == -ENOSPC) {
		msi_no_interrupts(msi, 0, 1);
	} else if (ret) {
		db_error_set(ret, "cannot arm an MSI-X vector of %s", msi->dev->address);
	} else {
		ret = read_address(msi, 0, &address);
		if (!ret)
			ret = check_doorbell(msi, address);
		msi_set_irqs(msi, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 0);
	}
	close(probe);
	return ret;
}

static int stock_start(struct db_msi *msi)
{
	uint64_t start = msi->caps.sw_msi_start, ipa = msi->doorbell_ipa;
	bool attached, free_now;
	int ret;

	if (!msi->table.map) {
		db_error_set(-EOPNOTSUPP, "the MSI-X table of %s does not lie where its BAR can be "
			     "mapped", msi->dev->address);
		return -EOPNOTSUPP;
	}
	if ((ipa & (msi->caps.page_size - 1)) || ipa < start ||
	    ipa - start >= msi->caps.sw_msi_size) {
		db_error_set(-EINVAL, "in mode stock the vITS's doorbell page must be where the "
			     "kernel maps it: at IPA 0x%llx (vITS base 0x%llx), not 0x%llx",
			     (unsigned long long)start, (unsigned long long)start - 0x10000,
			     (unsigned long long)ipa);
		return -EINVAL;
	}
	ret = doorbell_window_need(msi->dev);
	if (ret)
		return ret;
	pthread_mutex_lock(&msi->dev->lock);
	attached = msi->dev->attached;
	free_now = !msi->dev->armed;
	pthread_mutex_unlock(&msi->dev->lock);
	/* The kernel composes messages for the HWPT that the device is attached to: without one the
	 * first arming has to tell. */
	return attached && free_now ? try_doorbell(msi) : 0;
}

static void stock_stop(struct db_msi *msi)
{
	(void)msi;
}

static void rewrite(struct db_msi *msi, unsigned int index, uint64_t address)
{
	table_set_address(&msi->table, index, (address & ~LOW_BITS) | msi->doorbell_low,
			  msi->vector[index].masked);
}

/* Vectors that are armed already get the address here; the others after the
 * kernel has armed them. */
static int stock_set_addresses(struct db_msi *msi, unsigned int start, unsigned int count,
			       const struct msi_state *to)
{
	bool was_off;
	unsigned int i;
	int ret;

	ret = table_begin(&msi->table, &was_off);
	if (ret)
		return ret;
	for (i = start; i < start + count; i++) {
		if (msi->vector[i].now.fd >= 0)
			rewrite(msi, i, to[i].address);
	}
	table_end(&msi->table, was_off);
	return 0;
}

static void stock_before_arm(struct db_msi *msi, unsigned int start, unsigned int count,
			     const struct msi_state *to)
{
	struct msi_vector *vector;
	uint64_t pending = 0;
	unsigned int i;
	bool live;

	for (i = start; i < start + count; i++) {
		if (i == start || i % 64 == 0)
			pending = msi_device_pending(msi, i & ~63u);
		vector = &msi->vector[i];
		live = vector->was_live || (vector->now.fd >= 0 && !vector->masked);
		vector->kick = to[i].fd >= 0 && (live || (pending >> i % 64 & 1));
		vector->was_live = false;
	}
}

static int stock_after_arm(struct db_msi *msi, unsigned int start, unsigned int count,
			   const struct msi_state *to)
{
	bool was_off, checked = false;
	unsigned int i;
	int ret;

	ret = table_begin(&msi->table, &was_off);
	if (ret)
		return ret;
	for (i = start; i < start + count && !ret; i++) {
		if (to[i].fd < 0)
			continue;
		/* All vectors of a device go to the same doorbell. */
		if (!checked)
			ret = check_doorbell(msi, table_address(&msi->table, i));
		checked = true;
		if (ret)
			break;
		rewrite(msi, i, to[i].address);
		if (msi->vector[i].kick)
			eventfd_write(to[i].fd, 1);
	}
	table_end(&msi->table, was_off);
	return ret;
}

static void stock_restore(struct db_msi *msi)
{
	unsigned int i;

	for (i = 0; i < msi->count; i++) {
		if (msi->vector[i].now.fd >= 0)
			rewrite(msi, i, msi->vector[i].now.address);
	}
}

const struct msi_mode_ops msi_stock_ops = {
	.start = stock_start,
	.stop = stock_stop,
	.set_addresses = stock_set_addresses,
	.before_arm = stock_before_arm,
	.after_arm = stock_after_arm,
	.restore = stock_restore,
};
