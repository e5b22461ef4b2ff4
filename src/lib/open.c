/* SPDX-License-Identifier: BSD-2-Clause */
/* How a device comes to be open, by its address or as a descriptor, and how it is left. */
#include <doorbell/adopt.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "lib/bind.h"
#include "lib/device.h"
#include "lib/reserved.h"
#include "lib/sized.h"
#include "lib/sysfs.h"
#include "sys/error.h"

/* "dddd:bb:dd.f" in lower-case hexadecimal, as sysfs writes it; it becomes part of paths. */
static bool address_valid(const char *address)
{
	static const char form[] = "hhhh:hh:hh.o";
	size_t i;

	if (strlen(address) != sizeof(form) - 1)
		return false;
	for (i = 0; form[i]; i++) {
		if (form[i] == 'h' ? !strchr("0123456789abcdef", address[i]) :
		    form[i] == 'o' ? !strchr("01234567", address[i]) : address[i] != form[i])
			return false;
	}
	return true;
}

/* Linux gives a device for which firmware asks for a 1:1 mapping to nobody who would replace it. */
static bool wants_identity(struct db_device *dev, struct db_reserved *region)
{
	struct db_reserved regions[DEVICE_RESERVED];
	int i, count = db_device_reserved(dev, regions, DEVICE_RESERVED, sizeof(regions[0]));

	for (i = 0; i < count && i < DEVICE_RESERVED; i++)
		if (!strcmp(regions[i].type, "direct")) {
			*region = regions[i];
			return true;
		}
	return false;
}

/* Linux gives the MSIs of devices that the interrupt controller cannot tell apart to nobody, unless
 * told that whoever has them is trusted (iommufd's parameter). */
static bool wants_isolated_msi(struct db_device *dev)
{
	static const char path[] = "/sys/module/iommufd/parameters/allow_unsafe_interrupts";
	char value[8];

	return sysfs_read(dev->host->sys, path, value, sizeof(value)) > 0 && value[0] == 'N';
}

static void explain_not_permitted(struct db_device *dev)
{
	struct bind_user user;

	if (!bind_group_user(dev, &user))
		db_error_set(-EPERM, "%s cannot be taken: the host's driver %s uses %s of the same "
			     "IOMMU group; bind all of /sys/kernel/iommu_groups/%u/devices to "
			     "vfio-pci", dev->address, user.driver, user.address, dev->group);
	else if (wants_isolated_msi(dev))
		db_error_set(-EPERM, "%s cannot be taken: another program has a device of IOMMU "
			     "group %u, or the interrupt controller cannot tell the interrupts of "
			     "devices apart (as a GICv2m, which has no DeviceIDs). The kernel gives "
			     "such a device to a guest that you trust with all interrupts of the "
			     "host: iommufd.allow_unsafe_interrupts=1", dev->address, dev->group);
	else
		db_error_set(-EPERM, "%s cannot be taken: another program has a device of IOMMU "
			     "group %u", dev->address, dev->group);
}

static int explain_bind(struct db_device *dev, int error)
{
	struct db_reserved region;

	if (error == -EPERM) {
		explain_not_permitted(dev);
	} else if (error == -EINVAL && wants_identity(dev, &region)) {
		db_error_set(error, "%s cannot be taken: firmware asks for a 1:1 mapping of "
			     "[0x%llx, 0x%llx] for it (RMR; \"direct\" in reserved_regions), and "
			     "the kernel lets nobody replace that. Only firmware can drop it: on a "
			     "server a setting of the device or of its management, in a VM a VMM "
			     "that needs no RMR", dev->address, (unsigned long long)region.start,
			     (unsigned long long)region.last);
	} else if (error == -EINVAL || error == -EBUSY) {
		/* Linux says EINVAL of a device that somebody has opened. */
		error = -EBUSY;
		db_error_set(error, "%s cannot be taken: this program or another has it already",
			     dev->address);
	} else {
		db_error_set(error, "cannot bind %s to the iommufd", dev->address);
	}
	return error;
}

static int explain_adopted_bind(struct db_device *dev, int error)
{
	if (error == -EPERM) {
		db_error_set(error, "the kernel does not give %s away: its IOMMU group is in use, "
			     "or its interrupts are not isolated", dev->address);
	} else if (error == -EINVAL || error == -EBUSY) {
		error = -EBUSY;
		db_error_set(error, "%s is bound already (DB_ADOPT_BOUND, with its dev_id), or "
			     "firmware wants a 1:1 mapping for it", dev->address);
	} else if (error == -ENOTTY || error == -EBADF) {
		error = -EBADF;
		db_error_set(error, "%s is no open VFIO device", dev->address);
	} else {
		db_error_set(error, "cannot bind %s to the iommufd", dev->address);
	}
	return error;
}

static int bind_iommufd(struct db_device *dev)
{
	struct vfio_device_bind_iommufd cmd = { .argsz = sizeof(cmd), .iommufd = dev->host->fd };
	int ret;

	ret = device_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
	if (ret < 0)
		return dev->adopted ? explain_adopted_bind(dev, ret) : explain_bind(dev, ret);
	dev->dev_id = cmd.out_devid;
	return 0;
}

static struct db_device *new_device(struct db_host *host, const char *name)
{
	struct db_device *dev;

	dev = calloc(1, sizeof(*dev));
	if (!dev) {
		db_error_set(-ENOMEM, "no memory for device %s", name);
		return NULL;
	}
	dev->host = host;
	snprintf(dev->address, sizeof(dev->address), "%s", name);
	pthread_mutex_init(&dev->lock, NULL);
	return dev;
}

static void free_device(struct db_device *dev)
{
	pthread_mutex_destroy(&dev->lock);
	free(dev->reserved);
	free(dev->caps);
	free(dev);
}

int db_device_open(struct db_host *host, const char *address, unsigned int flags,
		   struct db_device **out)
{
	struct db_device *dev;
	int ret;

	if (!address_valid(address) || (flags & ~DB_OPEN_REBIND)) {
		db_error_set(-EINVAL, "\"%s\" is no PCI address such as 0000:01:00.0, or a flag is "
			     "unknown", address);
		return -EINVAL;
	}
	dev = new_device(host, address);
	if (!dev)
		return -ENOMEM;
	ret = bind_open(dev, flags);
	if (ret)
		goto free_device;
	ret = bind_iommufd(dev);
	if (!ret)
		ret = device_learn(dev);
	if (ret)
		goto close_node;
	*out = dev;
	return 0;

close_node:
	host->sys->ops->close(host->sys, dev->fd);
	bind_restore(dev);
free_device:
	free_device(dev);
	return ret;
}

/* Does the iommufd have a device of this id? */
static int check_id(struct db_device *dev)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd), .dev_id = dev->dev_id };

	if (host_ioctl(dev->host, IOMMU_GET_HW_INFO, &cmd) != -ENOENT)
		return 0;
	db_error_set(-ENOENT, "%s: the iommufd has no device %u", dev->address, dev->dev_id);
	return -ENOENT;
}

static int adopt_bound(struct db_device *dev, const struct db_device_adoption *adoption)
{
	int ret;

	dev->dev_id = adoption->dev_id;
	ret = check_id(dev);
	if (ret || !adoption->ioas_id)
		return ret;
	ret = reserved_learn_from(dev, adoption->ioas_id);
	if (ret)
		db_error_set(ret, "cannot ask IOAS %u for the ranges reserved for %s",
			     adoption->ioas_id, dev->address);
	return ret;
}

static int adopt_unbound(struct db_device *dev)
{
	int ret;

	ret = bind_iommufd(dev);
	if (!ret)
		reserved_learn(dev);
	return ret;
}

int db_device_adopt(struct db_host *host, const struct db_device_adoption *adoption,
		    struct db_device **out)
{
	struct db_device_adoption own;
	struct db_device *dev;
	char name[16];
	int ret;

	ret = sized_take(&own, sizeof(own), adoption, "db_device_adoption");
	if (ret)
		return ret;
	if (own.flags & ~(DB_ADOPT_KEEP | DB_ADOPT_BOUND)) {
		db_error_set(-EINVAL, "a device is adopted with DB_ADOPT_KEEP, DB_ADOPT_BOUND, "
			     "both or none");
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "fd %d", own.fd);
	dev = new_device(host, own.name ? own.name : name);
	if (!dev)
		return -ENOMEM;
	dev->adopted = true;
	dev->fd = own.fd;
	dev->keep_fd = own.flags & DB_ADOPT_KEEP;
	dev->group = UINT_MAX - own.fd;
	ret = own.flags & DB_ADOPT_BOUND ? adopt_bound(dev, &own) : adopt_unbound(dev);
	if (!ret)
		ret = device_learn(dev);
	if (ret == -ENOTTY || ret == -EBADF) {
		ret = -EBADF;
		db_error_set(ret, "%s is no open VFIO device", dev->address);
	}
	if (ret)
		free_device(dev);
	else
		*out = dev;
	return ret;
}

void db_device_close(struct db_device *dev)
{
	if (!dev)
		return;
	/* The kernel resets the device when its last descriptor goes, where the device can be reset
	 * at all. */
	if (!dev->keep_fd)
		dev->host->sys->ops->close(dev->host->sys, dev->fd);
	bind_restore(dev);
	free_device(dev);
}

