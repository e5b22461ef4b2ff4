/* SPDX-License-Identifier: BSD-2-Clause */
/* The additions of the native interface (abi/native.h) that are not about single vectors. No
 * messages are set here. */
#ifndef LIB_DOORBELL_H
#define LIB_DOORBELL_H

#include "lib/device.h"

/* VFIO_DEVICE_FEATURE_MSI_DOORBELL. *fd (if not NULL) receives the dma-buf, which is the caller's;
 * -ENOTTY: not in this kernel. */
int doorbell_query(struct db_device *dev, struct db_doorbell *doorbell, int *fd);

/* IOMMU_OPTION_SW_MSI_START/SIZE in bytes. */
int doorbell_window_get(struct db_device *dev, uint64_t *start, uint64_t *size);

#endif
