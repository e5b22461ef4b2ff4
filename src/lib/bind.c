/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sysfs.h"
#include "sys/error.h"
#include "sys/log.h"

#define VFIO_DRIVER "vfio-pci"

/* The name of the driver of the device at @address, or "" for none. */
static int current_driver(struct db_sys *sys, const char *address, char *name, size_t size)
{
	char path[SYSFS_PATH];
	int ret;

	sysfs_device_path(path, address, "driver");
	name[0] = '\0';
	ret = sysfs_link_name(sys, path, name, size);
	return ret == -ENOENT ? 0 : ret;
}

/* vfio-pci and its variant drivers (mlx5-vfio-pci, nvgrace-gpu-vfio-pci, ...) all give the device a
 * node of the VFIO class. */
static int find_node(struct db_sys *sys, const char *address, char *name, size_t size)
{
	char path[SYSFS_PATH];

	sysfs_device_path(path, address, "vfio-dev");
	return sysfs_find(sys, path, "vfio", name, size);
}

static bool is_vfio(struct db_sys *sys, const char *address, const char *driver)
{
	char node[DEVICE_NAME];

	return !strcmp(driver, VFIO_DRIVER) || !find_node(sys, address, node, sizeof(node));
}

struct group_search {
	struct db_sys *sys;
	struct bind_user *user;
};

/* Drivers that do no DMA of their own leave the group to others (driver_managed_dma in Linux). */
static int is_group_user(void *arg, const char *address)
{
	struct group_search *search = arg;
	struct bind_user *user = search->user;

	if (strlen(address) >= sizeof(user->address) ||
	    current_driver(search->sys, address, user->driver, sizeof(user->driver)) ||
	    !user->driver[0] || !strcmp(user->driver, "pcieport") ||
	    !strcmp(user->driver, "pci-stub") || is_vfio(search->sys, address, user->driver))
		return 0;
	strcpy(user->address, address);
	return 1;
}

int bind_group_user(struct db_device *dev, struct bind_user *user)
{
	struct group_search search = { .sys = dev->host->sys, .user = user };
	char path[SYSFS_PATH];

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/devices", dev->group);
	return dev->host->sys->ops->list(dev->host->sys, path, is_group_user, &search) > 0 ?
		       0 : -ENOENT;
}

static int find_group(struct db_device *dev)
{
	struct db_sys *sys = dev->host->sys;
	char path[SYSFS_PATH], name[DEVICE_NAME];
	int ret;

	sysfs_device_path(path, dev->address, "class");
	ret = sysfs_read(sys, path, name, sizeof(name));
	if (ret < 0) {
		if (ret == -ENOENT)
			db_error_set(ret, "no PCI device %s", dev->address);
		else
			db_error_set(ret, "cannot read %s", path);
		return ret;
	}
	sysfs_device_path(path, dev->address, "iommu_group");
	ret = sysfs_link_name(sys, path, name, sizeof(name));
	if (ret < 0) {
		db_error_set(ret, "%s has no IOMMU group: no IOMMU is in front of it, or firmware "
			     "tables or kernel disable it", dev->address);
		return ret;
	}
	dev->group = strtoul(name, NULL, 10);
	return 0;
}

static int write_device_file(struct db_device *dev, const char *name, const char *text)
{
	char path[SYSFS_PATH];

	sysfs_device_path(path, dev->address, name);
	return sysfs_write(dev->host->sys, path, text);
}

static int probe_drivers(struct db_device *dev)
{
	return sysfs_write(dev->host->sys, "/sys/bus/pci/drivers_probe", dev->address);
}

void bind_restore(struct db_device *dev)
{
	int ret, next;

	if (!dev->rebound)
		return;
	/* Nothing useful can be done about a step that fails; those after it are still worth
	 * trying. */
	ret = write_device_file(dev, "driver/unbind", dev->address);
	next = write_device_file(dev, "driver_override",
				 dev->former_override[0] ? dev->former_override : "\n");
	ret = ret < 0 ? ret : next;
	if (dev->former_driver[0]) {
		next = probe_drivers(dev);
		ret = ret < 0 ? ret : next;
	}
	if (ret < 0)
		log_say(DB_LOG_ERROR, "%s did not go back to %s: %s", dev->address,
			dev->former_driver[0] ? dev->former_driver : "having no driver",
			strerrorname_np(-ret));
	dev->rebound = false;
}

static int take_device(struct db_device *dev)
{
	char path[SYSFS_PATH], driver[DEVICE_NAME];
	int ret;

	sysfs_device_path(path, dev->address, "driver_override");
	ret = sysfs_read(dev->host->sys, path, dev->former_override, sizeof(dev->former_override));
	if (ret < 0 || !strcmp(dev->former_override, "(null)"))
		dev->former_override[0] = '\0';
	ret = write_device_file(dev, "driver_override", VFIO_DRIVER);
	if (ret < 0) {
		db_error_set(ret,
			     "cannot set driver_override of %s: binding to " VFIO_DRIVER
			     " needs root",
			     dev->address);
		return ret;
	}
	/* From here on there is something to undo. */
	dev->rebound = true;
	if (dev->former_driver[0]) {
		ret = write_device_file(dev, "driver/unbind", dev->address);
		if (ret < 0) {
			db_error_set(ret, "cannot unbind %s from %s", dev->address,
				     dev->former_driver);
			goto restore;
		}
	}
	ret = probe_drivers(dev);
	if (ret < 0) {
		db_error_set(ret, "the kernel did not bind %s to " VFIO_DRIVER, dev->address);
		goto restore;
	}
	ret = current_driver(dev->host->sys, dev->address, driver, sizeof(driver));
	if (ret < 0 || strcmp(driver, VFIO_DRIVER)) {
		ret = -EOPNOTSUPP;
		db_error_set(ret,
			     "the kernel did not bind %s to " VFIO_DRIVER
			     ": is that driver there (modprobe " VFIO_DRIVER ")?",
			     dev->address);
		goto restore;
	}
	log_say(DB_LOG_INFO, "%s was bound to " VFIO_DRIVER "; it had %s", dev->address,
		dev->former_driver[0] ? dev->former_driver : "no driver");
	return 0;

restore:
	bind_restore(dev);
	return ret;
}

/* Sees to it that the device is bound to a VFIO driver. */
static int bind_driver(struct db_device *dev, unsigned int flags)
{
	int ret;

	ret = current_driver(dev->host->sys, dev->address, dev->former_driver,
			     sizeof(dev->former_driver));
	if (ret < 0) {
		db_error_set(ret, "cannot find out the driver of %s", dev->address);
		return ret;
	}
	if (is_vfio(dev->host->sys, dev->address, dev->former_driver))
		return 0;
	if (dev->former_driver[0] && !(flags & DB_OPEN_REBIND)) {
		db_error_set(-EBUSY, "%s is in use by the host's driver %s: choose another device, "
			     "or ask for it to be rebound (--rebind; whatever the host does with "
			     "it ends)", dev->address, dev->former_driver);
		return -EBUSY;
	}
	return take_device(dev);
}

int bind_open(struct db_device *dev, unsigned int flags)
{
	struct db_sys *sys = dev->host->sys;
	char node[DEVICE_NAME], path[SYSFS_PATH];
	int ret;

	ret = find_group(dev);
	if (ret)
		return ret;
	ret = bind_driver(dev, flags);
	if (ret)
		return ret;
	ret = find_node(sys, dev->address, node, sizeof(node));
	if (ret < 0) {
		ret = -EOPNOTSUPP;
		db_error_set(ret, "VFIO gives %s no node of its own: the kernel needs "
			     "CONFIG_VFIO_DEVICE_CDEV (Linux 6.6)", dev->address);
		goto restore;
	}
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", node);
	ret = sys->ops->open(sys, path, O_RDWR | O_CLOEXEC);
	if (ret < 0) {
		if (ret == -EACCES)
			db_error_set(ret, "no right to open %s (%s): run as root or give this user "
				     "access to it", path, dev->address);
		else
			db_error_set(ret, "cannot open %s (%s)", path, dev->address);
		goto restore;
	}
	dev->fd = ret;
	return 0;

restore:
	bind_restore(dev);
	return ret;
}
