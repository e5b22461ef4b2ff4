/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/sysfs_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 64

static const char *const drivers[] = { "vfio-pci", "nvme", "bell" };

/* Directories that a path can begin with. */
static const struct {
	const char *path;
	enum sysfs_kind kind;
} roots[] = {
	{ "/sys/bus/pci", SYSFS_BUS },
	{ "/sys/kernel/iommu_groups", SYSFS_GROUPS },
	{ "/sys/kernel/debug/doorbell", SYSFS_TRACES },
	{ "/dev/vfio/devices", SYSFS_CDEVS },
};

/* Names that are always there. */
static const struct {
	enum sysfs_kind dir;
	const char *name;
	enum sysfs_kind kind;
} fixed[] = {
	{ SYSFS_BUS, "devices", SYSFS_DEVICES },
	{ SYSFS_BUS, "drivers", SYSFS_DRIVERS },
	{ SYSFS_BUS, "drivers_probe", SYSFS_PROBE },
	{ SYSFS_DEVICE, "vendor", SYSFS_VENDOR },
	{ SYSFS_DEVICE, "device", SYSFS_DEVICE_NUMBER },
	{ SYSFS_DEVICE, "class", SYSFS_CLASS },
	{ SYSFS_DEVICE, "revision", SYSFS_REVISION },
	{ SYSFS_DEVICE, "driver_override", SYSFS_OVERRIDE },
	{ SYSFS_DEVICE, "iommu_group", SYSFS_GROUP_LINK },
	{ SYSFS_VFIO_NODE, "dev", SYSFS_NODE_NUMBER },
	{ SYSFS_DRIVER, "bind", SYSFS_BIND },
	{ SYSFS_DRIVER, "unbind", SYSFS_UNBIND },
	{ SYSFS_GROUP, "devices", SYSFS_GROUP_DEVICES },
	{ SYSFS_GROUP, "type", SYSFS_TYPE },
	{ SYSFS_GROUP, "reserved_regions", SYSFS_RESERVED },
};

const char *sysfs_driver(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (!strcmp(drivers[i], name))
			return drivers[i];
	}
	return NULL;
}

/* --- What there is now --- */

static bool is_present(struct soft_device *dev)
{
	bool present;

	pthread_mutex_lock(&dev->lock);
	present = dev->pci;
	pthread_mutex_unlock(&dev->lock);
	return present;
}

/* The static name of the device's driver, or NULL. */
static const char *driver_of(struct soft_device *dev)
{
	const char *driver;

	pthread_mutex_lock(&dev->lock);
	driver = dev->pci ? sysfs_driver(dev->driver) : NULL;
	pthread_mutex_unlock(&dev->lock);
	return driver;
}

static bool is_vfio(struct soft_device *dev)
{
	const char *driver = driver_of(dev);

	return driver && !strcmp(driver, "vfio-pci");
}

/* Is @dev one of the devices that directory @dir shows? */
static bool shows_device(const struct sysfs_node *dir, struct soft_device *dev)
{
	const char *driver;

	switch (dir->kind) {
	case SYSFS_DEVICES:
	case SYSFS_TRACES:
		return is_present(dev);
	case SYSFS_DRIVER:
		driver = driver_of(dev);
		return driver && !strcmp(driver, dir->driver);
	case SYSFS_GROUP_DEVICES:
		return dev->desc->group == dir->group && is_present(dev);
	case SYSFS_CDEVS:
		return is_vfio(dev);
	default:
		return false;
	}
}

static enum sysfs_kind kind_of_device_in(enum sysfs_kind dir)
{
	switch (dir) {
	case SYSFS_DEVICES:
		return SYSFS_DEVICE;
	case SYSFS_TRACES:
		return SYSFS_TRACE;
	case SYSFS_CDEVS:
		return SYSFS_CDEV;
	default:
		return SYSFS_DEVICE_LINK;
	}
}

static void device_name(const struct sysfs_node *dir, const struct soft_device *dev, char *name)
{
	if (dir->kind == SYSFS_CDEVS)
		snprintf(name, NAME_SIZE, "vfio%u", dev->index);
	else
		snprintf(name, NAME_SIZE, "%s", dev->desc->address);
}

static bool group_is_present(struct soft_host *host, unsigned int group)
{
	unsigned int count;
	struct soft_device **devices = soft_host_group(host, group, &count);

	for (unsigned int i = 0; i < count; i++) {
		if (is_present(devices[i]))
			return true;
	}
	return false;
}

/* The device that has this name where @dir shows devices, present or not. */
static struct soft_device *device_called(struct soft_host *host, const struct sysfs_node *dir,
					 const char *name)
{
	unsigned int index;
	char again[NAME_SIZE];

	if (dir->kind != SYSFS_CDEVS)
		return soft_host_find(host, name);
	if (sscanf(name, "vfio%u", &index) != 1 || index >= host->machine.n_devices)
		return NULL;
	device_name(dir, &host->devices[index], again);
	return strcmp(again, name) ? NULL : &host->devices[index];
}

/* --- Down one name --- */

static bool child_of_device(const struct sysfs_node *dir, const char *name,
			    struct sysfs_node *child)
{
	if (!strcmp(name, "driver") && driver_of(dir->dev))
		child->kind = SYSFS_DRIVER_LINK;
	else if (!strcmp(name, "vfio-dev") && is_vfio(dir->dev))
		child->kind = SYSFS_VFIO_DEV;
	else if (!strcmp(name, "reset") && dir->dev->desc->resettable)
		child->kind = SYSFS_RESET;
	else
		return false;
	return true;
}

static bool child_group(struct soft_host *host, const char *name, struct sysfs_node *child)
{
	char again[NAME_SIZE];

	child->kind = SYSFS_GROUP;
	child->group = (unsigned int)strtoul(name, NULL, 10);
	snprintf(again, sizeof(again), "%u", child->group);
	return !strcmp(again, name) && group_is_present(host, child->group);
}

static int find_child(struct soft_host *host, const struct sysfs_node *dir, const char *name,
		      struct sysfs_node *child)
{
	struct soft_device *dev;
	char device[NAME_SIZE];

	*child = *dir;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (fixed[i].dir == dir->kind && !strcmp(fixed[i].name, name)) {
			child->kind = fixed[i].kind;
			return 0;
		}
	}
	if (dir->kind == SYSFS_DEVICE)
		return child_of_device(dir, name, child) ? 0 : -ENOENT;
	if (dir->kind == SYSFS_GROUPS)
		return child_group(host, name, child) ? 0 : -ENOENT;
	if (dir->kind == SYSFS_DRIVERS) {
		child->kind = SYSFS_DRIVER;
		child->driver = sysfs_driver(name);
		return child->driver ? 0 : -ENOENT;
	}
	if (dir->kind == SYSFS_VFIO_DEV) {
		child->kind = SYSFS_VFIO_NODE;
		snprintf(device, sizeof(device), "vfio%u", dir->dev->index);
		return strcmp(device, name) ? -ENOENT : 0;
	}
	dev = device_called(host, dir, name);
	if (!dev || !shows_device(dir, dev))
		return -ENOENT;
	child->kind = kind_of_device_in(dir->kind);
	child->dev = dev;
	return 0;
}

static bool is_directory(enum sysfs_kind kind)
{
	return kind <= SYSFS_CDEVS;
}

static bool is_link(enum sysfs_kind kind)
{
	return kind == SYSFS_DRIVER_LINK || kind == SYSFS_GROUP_LINK || kind == SYSFS_DEVICE_LINK;
}

static int follow(struct sysfs_node *node)
{
	if (node->kind == SYSFS_DRIVER_LINK) {
		node->driver = driver_of(node->dev);
		if (!node->driver)
			return -ENOENT;
		node->kind = SYSFS_DRIVER;
	} else if (node->kind == SYSFS_GROUP_LINK) {
		node->group = node->dev->desc->group;
		node->kind = SYSFS_GROUP;
	} else if (node->kind == SYSFS_DEVICE_LINK) {
		node->kind = SYSFS_DEVICE;
	}
	return 0;
}

int sysfs_resolve(struct soft_host *host, const char *path, bool nofollow, struct sysfs_node *node)
{
	struct sysfs_node child;
	char name[NAME_SIZE];
	size_t len, i;
	int ret;

	memset(node, 0, sizeof(*node));
	for (i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		len = strlen(roots[i].path);
		if (!strncmp(path, roots[i].path, len) && (!path[len] || path[len] == '/'))
			break;
	}
	if (i == sizeof(roots) / sizeof(roots[0]))
		return -ENOENT;
	node->kind = roots[i].kind;

	for (path += len; *path; path += len) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (!len)
			break;
		if (len >= sizeof(name))
			return -ENOENT;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!is_directory(node->kind))
			return -ENOTDIR;
		ret = find_child(host, node, name, &child);
		if (ret)
			return ret;
		*node = child;
		if (is_link(node->kind) && (path[len] || !nofollow)) {
			ret = follow(node);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/* --- All names --- */

static int list_groups(struct soft_host *host, int (*entry)(void *arg, const char *name), void *arg)
{
	char name[NAME_SIZE];
	int ret = 0;

	for (unsigned int i = 0; i < host->machine.n_devices && !ret; i++) {
		unsigned int group = host->devices[i].desc->group, first;

		/* A group is named by the first of its devices. */
		for (first = 0; host->devices[first].desc->group != group; first++)
			;
		if (first != i || !group_is_present(host, group))
			continue;
		snprintf(name, sizeof(name), "%u", group);
		ret = entry(arg, name);
	}
	return ret;
}

static int list_device(const struct sysfs_node *dir, int (*entry)(void *arg, const char *name),
		       void *arg)
{
	static const char *const sometimes[] = { "driver", "vfio-dev", "reset" };
	struct sysfs_node child;
	int ret = 0;

	for (size_t i = 0; i < sizeof(sometimes) / sizeof(sometimes[0]) && !ret; i++) {
		child = *dir;
		if (child_of_device(dir, sometimes[i], &child))
			ret = entry(arg, sometimes[i]);
	}
	return ret;
}

int sysfs_children(struct soft_host *host, const struct sysfs_node *dir,
		   int (*entry)(void *arg, const char *name), void *arg)
{
	char name[NAME_SIZE];
	int ret = 0;

	if (!is_directory(dir->kind))
		return -ENOTDIR;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && !ret; i++) {
		if (fixed[i].dir == dir->kind)
			ret = entry(arg, fixed[i].name);
	}
	if (ret)
		return ret;
	if (dir->kind == SYSFS_DEVICE)
		return list_device(dir, entry, arg);
	if (dir->kind == SYSFS_GROUPS)
		return list_groups(host, entry, arg);
	if (dir->kind == SYSFS_VFIO_DEV) {
		snprintf(name, sizeof(name), "vfio%u", dir->dev->index);
		return entry(arg, name);
	}
	for (size_t i = 0;
	     dir->kind == SYSFS_DRIVERS && i < sizeof(drivers) / sizeof(drivers[0]) && !ret; i++)
		ret = entry(arg, drivers[i]);
	for (unsigned int i = 0; i < host->machine.n_devices && !ret; i++) {
		if (!shows_device(dir, &host->devices[i]))
			continue;
		device_name(dir, &host->devices[i], name);
		ret = entry(arg, name);
	}
	return ret;
}

ssize_t sysfs_target(const struct sysfs_node *node, char *buf, size_t size)
{
	const char *driver;
	int len;

	switch (node->kind) {
	case SYSFS_DRIVER_LINK:
		driver = driver_of(node->dev);
		if (!driver)
			return -ENOENT;
		len = snprintf(buf, size, "../../../../bus/pci/drivers/%s", driver);
		break;
	case SYSFS_GROUP_LINK:
		len = snprintf(buf, size, "../../../../kernel/iommu_groups/%u",
			       node->dev->desc->group);
		break;
	case SYSFS_DEVICE_LINK:
		len = snprintf(buf, size, "../../../../bus/pci/devices/%s",
			       node->dev->desc->address);
		break;
	default:
		return -EINVAL;
	}
	return (size_t)len < size ? len : -ENAMETOOLONG;
}
