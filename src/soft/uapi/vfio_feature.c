/* SPDX-License-Identifier: BSD-2-Clause */
/* VFIO_DEVICE_FEATURE: no migration, no low power states, no tokens, no dma-bufs of BARs. */
#include <errno.h>

#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

int vfio_feature(void *arg)
{
	const uint32_t operations = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
	struct vfio_device_feature feature;
	size_t header = offsetof(struct vfio_device_feature, data);
	int ret;

	ret = copy_from_user(&feature, arg, header);
	if (ret)
		return ret;
	if (feature.argsz < header)
		return -EINVAL;
	if (feature.flags & ~(VFIO_DEVICE_FEATURE_MASK | operations | VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	if (!(feature.flags & VFIO_DEVICE_FEATURE_PROBE) &&
	    (feature.flags & operations) == operations)
		return -EINVAL;
	return -ENOTTY;
}
