/* SPDX-License-Identifier: BSD-2-Clause */
/* From a PCI address to an open VFIO device node: sysfs discovery, binding to vfio-pci, and undoing
 * that. */
#ifndef LIB_BIND_H
#define LIB_BIND_H

#include "lib/device.h"

/* Sets @dev's group and, when the driver had to be changed, what it was before. Opens the node;
 * dev->fd is set on success. */
int bind_open(struct db_device *dev, unsigned int flags);

struct bind_user {
	char address[DEVICE_NAME], driver[DEVICE_NAME];
};

/* A device of @dev's IOMMU group that a driver of the host uses, so that the kernel gives the group
 * to nobody. -ENOENT: there is none, as far as can be told. */
int bind_group_user(struct db_device *dev, struct bind_user *user);

/* Leaves the device with the driver it was found with. dev->fd is closed. */
void bind_restore(struct db_device *dev);

#endif
