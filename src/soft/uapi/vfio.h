/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-pci of the software host: the device cdev. The uAPI itself is in abi/vfio.h.
 */
#ifndef SOFT_UAPI_VFIO_H
#define SOFT_UAPI_VFIO_H

#include "soft/uapi/iommufd.h"

/* Of its character devices: the first of those that Linux gives away at run time. */
#define VFIO_MAJOR 511

/*
 * open("/dev/vfio/devices/vfioN"). A device may be open several times, but only one of the files
 * can be bound. -ENOENT: it is not bound to vfio-pci, and has no node.
 */
int vfio_open(struct soft_device *dev, int flags, int *fd);

/*
 * /dev/vfio/N: a group, which is there as long as one of its devices is bound to vfio-pci. -ENOENT.
 */
#define VFIO_GROUP_MAJOR 510
bool vfio_group_there(struct soft_host *host, unsigned int number);
int vfio_group_open(struct soft_host *host, unsigned int number, int *fd);

/*
 * The device goes away (hot-unplug, unbind): waits for nothing, signals the request eventfd,
 * disarms vectors; later calls on its file give -ENODEV or -EIO, and closing works. With soft_device.lock held.
 */
void vfio_device_removed(struct soft_device *dev);

/*
 * Whether it answers there: memory decoding is on, the device neither removed nor in reset.
 */
bool vfio_bar_answers(struct soft_device *dev, unsigned int bar, uint64_t off, unsigned int size);

/*
 * Access to the BAR of a bound device through a mapping of it: 1, 2, 4 or 8 aligned bytes, MSI-X
 * table included.
 */
uint64_t vfio_bar_read(struct soft_device *dev, unsigned int bar, uint64_t off, unsigned int size);
void vfio_bar_write(struct soft_device *dev, unsigned int bar, uint64_t off, unsigned int size,
		    uint64_t value);

#endif
