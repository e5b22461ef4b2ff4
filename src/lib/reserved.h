/* SPDX-License-Identifier: BSD-2-Clause */
/* Reserved regions of a device: from sysfs, or of an adopted one from what an IOAS leaves free. */
#ifndef LIB_RESERVED_H
#define LIB_RESERVED_H

#include "lib/device.h"

/*
 * For a device that was bound a moment ago and is attached to nothing: learns the regions by way of
 * an IOAS of its own. Whatever fails leaves them unknown.
 */
void reserved_learn(struct db_device *dev);

/* The same from IOAS @ioas, which the device is attached to. -ENOENT: there is no such IOAS. */
int reserved_learn_from(struct db_device *dev, uint32_t ioas);

#endif
