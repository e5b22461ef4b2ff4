/* SPDX-License-Identifier: BSD-2-Clause */
/* From a PCI address to an open VFIO device node: sysfs discovery, binding to vfio-pci, and undoing
 * that. */
#ifndef LIB_BIND_H
#define LIB_BIND_H

#include "lib/device.h"

/* Sets @dev's group and, when the driver had to be changed, what it was before. Opens the node;
 * dev->fd is set on success. */
int bind_open(struct db_device *dev, unsigned int flags);

/* Leaves the device with the driver it was found with. dev->fd is closed. */
void bind_restore(struct db_device *dev);

#endif
