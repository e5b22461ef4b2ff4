/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"
#include "sys/error.h"

#define MIB_SHIFT 20

int doorbell_query(struct db_device *dev, struct db_doorbell *doorbell, int *fd)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_msi_doorbell data;
	} cmd = {
		.head = {
			.argsz = sizeof(cmd),
			.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MSI_DOORBELL,
		},
		.data = { .open_flags = O_CLOEXEC },
	};
	int ret;

	ret = device_ioctl(dev, VFIO_DEVICE_FEATURE, &cmd);
	if (ret < 0)
		return ret;
	doorbell->id = cmd.data.id;
	doorbell->size = cmd.data.size;
	doorbell->offset = cmd.data.offset;
	if (fd)
		*fd = ret;
	else
		dev->host->sys->ops->close(dev->host->sys, ret);
	return 0;
}

static int window_option(struct db_device *dev, uint32_t option, uint16_t op, uint64_t *mib)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = op,
		.object_id = dev->dev_id,
		.val64 = *mib,
	};
	int ret;

	ret = host_ioctl(dev->host, IOMMU_OPTION, &cmd);
	*mib = cmd.val64;
	return ret < 0 ? ret : 0;
}

int doorbell_window_get(struct db_device *dev, uint64_t *start, uint64_t *size)
{
	uint64_t first = 0, length = 0;
	int ret;

	ret = window_option(dev, IOMMU_OPTION_SW_MSI_START, IOMMU_OPTION_OP_GET, &first);
	if (!ret)
		ret = window_option(dev, IOMMU_OPTION_SW_MSI_SIZE, IOMMU_OPTION_OP_GET, &length);
	if (ret)
		return ret;
	*start = first << MIB_SHIFT;
	*size = length << MIB_SHIFT;
	return 0;
}

static int explain_window(struct db_device *dev, int error)
{
	switch (error) {
	case -EOPNOTSUPP:
		db_error_set(error, "this kernel cannot move the MSI window: apply the series in "
			     "linux/, or leave the addresses free");
		break;
	case -EBUSY:
		db_error_set(error, "%s is attached already: move its window before it joins a "
			     "vIOMMU", dev->address);
		break;
	case -EADDRINUSE:
		db_error_set(error, "the window would overlap a reserved region of IOMMU group %u",
			     dev->group);
		break;
	default:
		db_error_set(error, "cannot move the MSI window of %s", dev->address);
	}
	return error;
}

int db_device_set_window(struct db_device *dev, uint64_t start, uint64_t size)
{
	uint64_t mask = (1ull << MIB_SHIFT) - 1, first = start >> MIB_SHIFT,
		 length = size >> MIB_SHIFT;
	int ret;

	if (!size || (start & mask) || (size & mask) || start + size - 1 < start) {
		db_error_set(-EINVAL, "a window starts at a multiple of 1 MiB, is one long, and "
			     "ends below 2^64");
		return -EINVAL;
	}
	pthread_mutex_lock(&dev->lock);
	ret = window_option(dev, IOMMU_OPTION_SW_MSI_START, IOMMU_OPTION_OP_SET, &first);
	if (!ret)
		ret = window_option(dev, IOMMU_OPTION_SW_MSI_SIZE, IOMMU_OPTION_OP_SET, &length);
	/* Also after an error: START may have been set. */
	free(dev->caps);
	dev->caps = NULL;
	pthread_mutex_unlock(&dev->lock);
	return ret ? explain_window(dev, ret) : 0;
}
