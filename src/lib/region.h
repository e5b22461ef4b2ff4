/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_REGION_H
#define LIB_REGION_H

#include "lib/device.h"

/* Asks the kernel what region @index (VFIO's number) is. 0, or an error with its message. */
int region_learn(struct db_device *dev, unsigned int index, struct device_region *region);

#endif
