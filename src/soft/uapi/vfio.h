/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-pci of the software host: the device cdev. The uAPI itself is in abi/vfio.h.
 */
#ifndef SOFT_UAPI_VFIO_H
#define SOFT_UAPI_VFIO_H

#include "soft/uapi/iommufd.h"

/* open("/dev/vfio/devices/vfioN"). -EBUSY-like rules as the cdev's. */
int vfio_open(struct soft_device *dev, int *fd);

/* The device goes away (hot-unplug, unbind): waits for nothing, revokes dma-bufs, disarms vectors; later calls give -EIO / -ENODEV. */
void vfio_device_removed(struct soft_device *dev);

#endif
