/* SPDX-License-Identifier: BSD-2-Clause */
/* The additions of the native interface (abi/native.h) that are not about single vectors. No
 * messages are set here. */
#ifndef LIB_DOORBELL_H
#define LIB_DOORBELL_H

#include "lib/device.h"

/* IOMMU_GET_MSI_INFO. -ENOTTY: not in this kernel; -EOPNOTSUPP: no doorbell of this device. */
int doorbell_query(struct db_device *dev, struct db_doorbell *doorbell);

/*
 * The window in which the kernel maps doorbells by itself (IOMMU_OPTION_SW_MSI_START/SIZE), in
 * bytes; size 0: the device has none. One that mode native took counts as there, since the other
 * modes can have it back. With the device's lock. -EOPNOTSUPP: this cannot be asked or changed.
 */
int doorbell_window_get(struct db_device *dev, uint64_t *start, uint64_t *size);

/*
 * Mode native has no use for the window: it is taken away while the device has a db_msi in that
 * mode, unless the device is attached already. Then it stays, and nothing uses it, since no vector
 * is armed without an address.
 */
void doorbell_window_take(struct db_device *dev);
void doorbell_window_give(struct db_device *dev);

/* A window that was taken and could not be given back, because the device was attached, is. */
void doorbell_window_before_join(struct db_device *dev);

/* Modes stock and rmr live by the window: it is there, or -EBUSY and the message. */
int doorbell_window_need(struct db_device *dev);

#endif
