/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reset of a bus with all functions on it, as vfio-pci does it for devices that were opened through
 * their cdevs: the affected functions must be the iommufd's that the device is bound to. This
 * machine has no slots that can be reset; the root bus cannot be either.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

#define ADDRESS_BUS 7	/* "0000:01" of "0000:01:00.0" */

static bool on_root_bus(const struct soft_device *dev)
{
	return !memcmp(dev->desc->address + 5, "00", 2);
}

static bool affected(const struct soft_device *dev, const struct soft_device *other)
{
	return !memcmp(dev->desc->address, other->desc->address, ADDRESS_BUS);
}

/* The locks of all on the bus, in the order of the host's devices: nobody else holds two of them. */
static void lock_bus(struct soft_device *dev, bool lock)
{
	struct soft_host *host = dev->host;

	for (unsigned int i = 0; i < host->machine.n_devices; i++) {
		if (!affected(dev, &host->devices[i]))
			continue;
		if (lock)
			pthread_mutex_lock(&host->devices[i].lock);
		else
			pthread_mutex_unlock(&host->devices[i].lock);
	}
}

/* Is a device of the group of @other bound to @ctx? */
static bool has_group(const struct soft_device *dev, const struct soft_device *other,
		      const struct iommufd_ctx *ctx)
{
	struct soft_host *host = dev->host;

	for (unsigned int i = 0; i < host->machine.n_devices; i++) {
		const struct soft_device *d = &host->devices[i];

		if (affected(dev, d) && d->desc->group == other->desc->group && d->vfio &&
		    d->vfio->ctx == ctx)
			return true;
	}
	return false;
}

static uint32_t dev_id(const struct soft_device *dev, const struct soft_device *other)
{
	const struct iommufd_ctx *ctx = dev->vfio->ctx;

	if (strcmp(other->driver, "vfio-pci"))
		return VFIO_PCI_DEVID_NOT_OWNED;
	if (other->vfio && other->vfio->ctx == ctx)
		return other->vfio->id;
	return has_group(dev, other, ctx) ? VFIO_PCI_DEVID_OWNED : VFIO_PCI_DEVID_NOT_OWNED;
}

static int get_info(struct soft_device *dev, void *arg)
{
	const size_t header = offsetof(struct vfio_pci_hot_reset_info, devices);
	struct vfio_pci_hot_reset_info info;
	struct soft_host *host = dev->host;
	unsigned int room, segment, bus, slot, function;
	int ret;

	ret = copy_from_user(&info, arg, header);
	if (ret)
		return ret;
	if (info.argsz < header)
		return -EINVAL;
	if (on_root_bus(dev))
		return -ENODEV;
	room = (info.argsz - header) / sizeof(struct vfio_pci_dependent_device);
	info.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	info.count = 0;
	for (unsigned int i = 0; i < host->machine.n_devices; i++) {
		const struct soft_device *d = &host->devices[i];
		struct vfio_pci_dependent_device entry;

		if (!affected(dev, d) || !d->pci)
			continue;
		sscanf(d->desc->address, "%x:%x:%x.%x", &segment, &bus, &slot, &function);
		entry = (struct vfio_pci_dependent_device){
			.devid = dev_id(dev, d),
			.segment = segment,
			.bus = bus,
			.devfn = slot << 3 | function,
		};
		if (entry.devid == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED)
			info.flags &= ~(uint32_t)VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
		if (info.count++ < room)
			memcpy((char *)arg + header + (info.count - 1) * sizeof(entry), &entry,
			       sizeof(entry));
	}
	ret = copy_to_user(arg, &info, header);
	return ret ? ret : info.count > room ? -ENOSPC : 0;
}

static int hot_reset(struct soft_device *dev, void *arg)
{
	const size_t header = offsetof(struct vfio_pci_hot_reset, group_fds);
	struct vfio_pci_hot_reset reset;
	struct soft_host *host = dev->host;
	int ret;

	ret = copy_from_user(&reset, arg, header);
	if (ret)
		return ret;
	/* Groups are for devices that were opened through them. */
	if (reset.argsz < header || reset.flags || reset.count)
		return -EINVAL;
	if (on_root_bus(dev))
		return -ENODEV;
	for (unsigned int i = 0; i < host->machine.n_devices; i++) {
		const struct soft_device *d = &host->devices[i];

		if (affected(dev, d) && d->pci &&
		    dev_id(dev, d) == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED)
			return -EINVAL;
	}
	for (unsigned int i = 0; i < host->machine.n_devices; i++) {
		struct soft_device *d = &host->devices[i];

		if (!affected(dev, d) || !d->pci)
			continue;
		if (d->vfio)
			vfio_reset_device(d->vfio);
		else
			pci_dev_reset(d->pci);
	}
	return 0;
}

int vfio_hot_reset_ioctl(struct soft_device *dev, unsigned long request, void *arg)
{
	int ret;

	lock_bus(dev, true);
	if (!dev->vfio || dev->vfio->removed)
		ret = -ENODEV;
	else if (request == VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)
		ret = get_info(dev, arg);
	else
		ret = hot_reset(dev, arg);
	lock_bus(dev, false);
	return ret;
}
