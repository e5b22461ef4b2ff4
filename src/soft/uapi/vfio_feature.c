/* SPDX-License-Identifier: BSD-2-Clause */
/* VFIO_DEVICE_FEATURE: which features there are. */
#include <errno.h>

#include "abi/native.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

int vfio_check_feature(uint32_t flags, size_t argsz, uint32_t supported, size_t size)
{
	const uint32_t operations = flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET);

	if (operations & ~supported)
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	return operations && argsz >= size ? 1 : -EINVAL;
}

int vfio_feature(struct vfio_device *vdev, void *arg)
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
	/* No migration, no low power states, no tokens, no dma-bufs of BARs. */
	if ((feature.flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_MSI_DOORBELL ||
	    vdev->dev->host->machine.kernel != KERNEL_DOORBELL)
		return -ENOTTY;
	return vfio_doorbell_feature(vdev, feature.flags, (char *)arg + header,
				     feature.argsz - header);
}
