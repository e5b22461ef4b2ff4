/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a path leads: the names of the tree and what they stand for. What the files hold is in
 * sysfs.c.
 */
#ifndef SOFT_UAPI_SYSFS_TREE_H
#define SOFT_UAPI_SYSFS_TREE_H

#include "soft/uapi/sysfs.h"

enum sysfs_kind {
	/* Directories. */
	SYSFS_BUS,
	SYSFS_DEVICES,
	SYSFS_DEVICE,
	SYSFS_VFIO_DEV,
	SYSFS_VFIO_NODE,
	SYSFS_DRIVERS,
	SYSFS_DRIVER,
	SYSFS_GROUPS,
	SYSFS_GROUP,
	SYSFS_GROUP_DEVICES,
	SYSFS_TRACES,
	SYSFS_CDEVS,
	/* Links. */
	SYSFS_DRIVER_LINK,
	SYSFS_GROUP_LINK,
	SYSFS_DEVICE_LINK,
	/* Files. */
	SYSFS_VENDOR,
	SYSFS_DEVICE_NUMBER,
	SYSFS_CLASS,
	SYSFS_REVISION,
	SYSFS_OVERRIDE,
	SYSFS_RESET,
	SYSFS_NODE_NUMBER,
	SYSFS_BIND,
	SYSFS_UNBIND,
	SYSFS_PROBE,
	SYSFS_TYPE,
	SYSFS_RESERVED,
	SYSFS_TRACE,
	SYSFS_CDEV,
};

struct sysfs_node {
	enum sysfs_kind kind;
	struct soft_device *dev;	/* of DEVICE and what is below, links, TRACE */
	unsigned int group;		/* of GROUP and below */
	const char *driver;		/* of DRIVER and below: its name, static */
};

/*
 * The node at @path; links on the way are followed, and the last name's too unless @nofollow.
 * -ENOENT, -ENOTDIR.
 */
int sysfs_resolve(struct soft_host *host, const char *path, bool nofollow, struct sysfs_node *node);

/* Calls @entry for the names in directory @dir, as db_sys_ops.list. -ENOTDIR. */
int sysfs_children(struct soft_host *host, const struct sysfs_node *dir,
		   int (*entry)(void *arg, const char *name), void *arg);

/* The target of a link. -EINVAL: it is none. */
ssize_t sysfs_target(const struct sysfs_node *node, char *buf, size_t size);

/* The driver's static name, or NULL: there is none of this name. */
const char *sysfs_driver(const char *name);

#endif
