/* SPDX-License-Identifier: BSD-2-Clause */
#include <doorbell/irq.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/vfio.h"
#include "lib/device.h"
#include "lib/sized.h"
#include "sys/error.h"

/* Functions of one bus, virtual ones among them. */
#define FUNCTIONS 256

static const struct {
	uint32_t index;
	const char *name;
} kinds[] = {
	[DB_IRQ_INTX] = { VFIO_PCI_INTX_IRQ_INDEX, "INTx" },
	[DB_IRQ_ERR] = { VFIO_PCI_ERR_IRQ_INDEX, "error interrupt" },
	[DB_IRQ_REQ] = { VFIO_PCI_REQ_IRQ_INDEX, "request interrupt" },
};

static int check_kind(enum db_irq irq)
{
	if ((unsigned int)irq < sizeof(kinds) / sizeof(kinds[0]))
		return 0;
	db_error_set(-EINVAL, "%u is no interrupt", irq);
	return -EINVAL;
}

int db_device_irq_count(struct db_device *dev, enum db_irq irq)
{
	struct vfio_irq_info info = { .argsz = sizeof(info) };
	int ret;

	ret = check_kind(irq);
	if (ret)
		return ret;
	info.index = kinds[irq].index;
	ret = device_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, &info);
	if (ret < 0) {
		db_error_set(ret, "cannot ask for the %s of %s", kinds[irq].name, dev->address);
		return ret;
	}
	return info.count && (info.flags & VFIO_IRQ_INFO_EVENTFD);
}

static int set_irqs(struct db_device *dev, uint32_t flags, uint32_t index, uint32_t count, int fd)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} cmd = {
		.set = { .argsz = sizeof(cmd), .flags = flags, .index = index, .count = count },
		.fd = fd,
	};

	return device_ioctl(dev, VFIO_DEVICE_SET_IRQS, &cmd);
}

static int explain(struct db_device *dev, int error, enum db_irq irq)
{
	/* The kernel says EINVAL for descriptors that are no eventfds. */
	if (error == -EBADF || error == -EINVAL) {
		error = -EBADF;
		db_error_set(error, "a descriptor given for the %s of %s is no eventfd",
			     kinds[irq].name, dev->address);
	} else if (error < 0) {
		db_error_set(error, "cannot set the %s of %s", kinds[irq].name, dev->address);
	}
	return error < 0 ? error : 0;
}

/* With the device's lock. */
static int set_intx(struct db_device *dev, int eventfd)
{
	int ret;

	if (eventfd < 0) {
		if (!dev->intx)
			return 0;
		ret = set_irqs(dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			       VFIO_PCI_INTX_IRQ_INDEX, 0, -1);
		dev->intx = false;
		if (ret < 0)
			db_error_set(ret, "cannot disarm the INTx of %s", dev->address);
		return ret < 0 ? ret : 0;
	}
	if (dev->armed) {
		db_error_set(-EBUSY, "%s has MSIs armed: disarm them before its INTx",
			     dev->address);
		return -EBUSY;
	}
	ret = set_irqs(dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		       VFIO_PCI_INTX_IRQ_INDEX, 1, eventfd);
	if (ret >= 0)
		dev->intx = true;
	return explain(dev, ret, DB_IRQ_INTX);
}

int db_device_irq_set(struct db_device *dev, enum db_irq irq, int eventfd)
{
	int ret;

	ret = db_device_irq_count(dev, irq);
	if (ret < 0)
		return ret;
	if (!ret) {
		db_error_set(-EOPNOTSUPP, "%s has no %s", dev->address, kinds[irq].name);
		return -EOPNOTSUPP;
	}
	if (eventfd < -1)
		return explain(dev, -EBADF, irq);
	pthread_mutex_lock(&dev->lock);
	if (irq == DB_IRQ_INTX)
		ret = set_intx(dev, eventfd);
	else
		ret = explain(dev, set_irqs(dev, VFIO_IRQ_SET_DATA_EVENTFD |
					    VFIO_IRQ_SET_ACTION_TRIGGER, kinds[irq].index, 1,
					    eventfd), irq);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static int intx_action(struct db_device *dev, uint32_t flags, int fd)
{
	int ret;

	pthread_mutex_lock(&dev->lock);
	if (!dev->intx) {
		ret = -EINVAL;
		db_error_set(ret, "the INTx of %s is not set (db_device_irq_set())", dev->address);
	} else {
		ret = explain(dev, set_irqs(dev, flags, VFIO_PCI_INTX_IRQ_INDEX, 1, fd),
			      DB_IRQ_INTX);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int db_device_intx_mask(struct db_device *dev)
{
	return intx_action(dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, -1);
}

int db_device_intx_unmask(struct db_device *dev)
{
	return intx_action(dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, -1);
}

int db_device_intx_resample(struct db_device *dev, int eventfd)
{
	return intx_action(dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
			   eventfd < 0 ? -1 : eventfd);
}

/* --- Hot reset --- */

static int explain_no_hot_reset(struct db_device *dev, int error)
{
	if (error == -ENODEV || error == -ENOTTY) {
		error = -EOPNOTSUPP;
		db_error_set(error, "%s sits where neither its slot nor its bus can be reset",
			     dev->address);
	} else {
		db_error_set(error, "cannot ask what a hot reset of %s resets", dev->address);
	}
	return error;
}

/* Caller frees *@out. */
static int hot_reset_info(struct db_device *dev, struct vfio_pci_hot_reset_info **out)
{
	size_t size = sizeof(**out) + FUNCTIONS * sizeof((*out)->devices[0]);
	struct vfio_pci_hot_reset_info *info = calloc(1, size);
	int ret;

	if (!info) {
		db_error_set(-ENOMEM, "no memory for the functions beside %s", dev->address);
		return -ENOMEM;
	}
	info->argsz = size;
	ret = device_ioctl(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
	if (ret < 0) {
		free(info);
		return explain_no_hot_reset(dev, ret);
	}
	*out = info;
	return 0;
}

static void describe(const struct vfio_pci_dependent_device *from, struct db_reset_function *to)
{
	int devid = (int)from->devid;

	to->open = devid != VFIO_PCI_DEVID_NOT_OWNED && devid != VFIO_PCI_DEVID_OWNED;
	to->owned = devid != VFIO_PCI_DEVID_NOT_OWNED;
	snprintf(to->address, sizeof(to->address), "%04x:%02x:%02x.%x", from->segment, from->bus,
		 from->devfn >> 3, from->devfn & 7);
}

int db_device_hot_reset_function(struct db_device *dev, unsigned int index,
				 struct db_reset_function *out)
{
	struct vfio_pci_hot_reset_info *info;
	struct db_reset_function own = { 0 };
	int ret;

	ret = sized_check(out, "db_reset_function");
	if (!ret)
		ret = hot_reset_info(dev, &info);
	if (ret)
		return ret;
	if (index < info->count && index < FUNCTIONS) {
		describe(&info->devices[index], &own);
		sized_give(out, &own, sizeof(own));
	} else {
		ret = -ENOENT;
		db_error_set(ret, "a hot reset of %s resets %u functions", dev->address,
			     info->count);
	}
	free(info);
	return ret;
}

/* The first function that stands in the way. */
static int check_owned(struct db_device *dev)
{
	struct vfio_pci_hot_reset_info *info;
	struct db_reset_function function;
	unsigned int i;
	int ret;

	ret = hot_reset_info(dev, &info);
	if (ret)
		return ret;
	for (i = 0; i < info->count && i < FUNCTIONS && !ret; i++) {
		describe(&info->devices[i], &function);
		if (function.owned)
			continue;
		ret = -EPERM;
		db_error_set(ret, "a hot reset of %s would reset %s too, which is not this "
			     "program's: bind it to vfio-pci and open it, or leave it out of use",
			     dev->address, function.address);
	}
	free(info);
	return ret;
}

int db_device_hot_reset(struct db_device *dev)
{
	struct vfio_pci_hot_reset cmd = { .argsz = sizeof(cmd) };
	int ret;

	ret = check_owned(dev);
	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = device_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, &cmd);
	device_refresh(dev);
	pthread_mutex_unlock(&dev->lock);
	if (ret < 0)
		db_error_set(ret, "cannot reset the slot or bus of %s", dev->address);
	return ret < 0 ? ret : 0;
}
