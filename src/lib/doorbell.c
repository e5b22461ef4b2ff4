/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/doorbell.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/iommufd.h"
#include "abi/native.h"
#include "sys/error.h"

#define MIB_SHIFT 20

int doorbell_query(struct db_device *dev, struct db_doorbell *doorbell)
{
	struct iommu_get_msi_info cmd = { .size = sizeof(cmd), .dev_id = dev->dev_id };
	int ret;

	ret = host_ioctl(dev->host, IOMMU_GET_MSI_INFO, &cmd);
	if (ret < 0)
		return ret;
	doorbell->id = cmd.out_id;
	doorbell->size = cmd.out_length;
	doorbell->offset = cmd.out_offset;
	return 0;
}

/* --- The kernel's window; with the device's lock --- */

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

static int window_get(struct db_device *dev, uint64_t *start, uint64_t *size)
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

static int window_set_size(struct db_device *dev, uint64_t size)
{
	uint64_t length = size >> MIB_SHIFT;

	return window_option(dev, IOMMU_OPTION_SW_MSI_SIZE, IOMMU_OPTION_OP_SET, &length);
}

/* The kernel knows start and size one by one: both, or as it was. */
static int window_set(struct db_device *dev, uint64_t start, uint64_t size)
{
	uint64_t first = start >> MIB_SHIFT, old_start, old_size;
	int ret;

	ret = window_get(dev, &old_start, &old_size);
	/* With no window in between, a start is not judged with the length of before. */
	if (!ret)
		ret = window_set_size(dev, 0);
	if (ret || !size)
		return ret;
	ret = window_option(dev, IOMMU_OPTION_SW_MSI_START, IOMMU_OPTION_OP_SET, &first);
	if (!ret)
		ret = window_set_size(dev, size);
	if (!ret)
		return 0;
	first = old_start >> MIB_SHIFT;
	window_option(dev, IOMMU_OPTION_SW_MSI_START, IOMMU_OPTION_OP_SET, &first);
	window_set_size(dev, old_size);
	return ret;
}

static int put_back(struct db_device *dev)
{
	int ret = dev->window.taken ? window_set(dev, dev->window.start, dev->window.size) : 0;

	if (!ret)
		dev->window.taken = false;
	return ret;
}

int doorbell_window_get(struct db_device *dev, uint64_t *start, uint64_t *size)
{
	if (!dev->window.taken)
		return window_get(dev, start, size);
	*start = dev->window.start;
	*size = dev->window.size;
	return 0;
}

void doorbell_window_take(struct db_device *dev)
{
	uint64_t start, size;

	pthread_mutex_lock(&dev->lock);
	dev->window.users++;
	if (!dev->attached && !dev->window.taken && !window_get(dev, &start, &size) && size &&
	    !window_set_size(dev, 0)) {
		dev->window.start = start;
		dev->window.size = size;
		dev->window.taken = true;
	}
	pthread_mutex_unlock(&dev->lock);
}

void doorbell_window_give(struct db_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (!--dev->window.users && !dev->attached)
		put_back(dev);
	pthread_mutex_unlock(&dev->lock);
}

void doorbell_window_before_join(struct db_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (!dev->window.users)
		put_back(dev);
	pthread_mutex_unlock(&dev->lock);
}

int doorbell_window_need(struct db_device *dev)
{
	int ret;

	pthread_mutex_lock(&dev->lock);
	ret = dev->window.users && dev->window.taken ? -EBUSY : put_back(dev);
	if (ret == -EBUSY)
		db_error_set(ret, "%s has no MSI window, since it was set up for mode native: take "
			     "it out of its vIOMMU, and destroy its db_msi, first", dev->address);
	else if (ret)
		db_error_set(ret, "cannot put the MSI window of %s back", dev->address);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static int explain_window(struct db_device *dev, int error)
{
	switch (error) {
	case -EOPNOTSUPP:
		db_error_set(error, "this kernel cannot move the MSI window: apply the series in "
			     "linux/, or leave the addresses free");
		break;
	case -EBUSY:
		db_error_set(error, "%s is attached already, or has vectors in its window: move "
			     "it before the device joins a vIOMMU", dev->address);
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
	uint64_t mask = (1ull << MIB_SHIFT) - 1;
	int ret;

	if ((start & mask) || (size & mask) || (size && start + size - 1 < start)) {
		db_error_set(-EINVAL, "a window starts at a multiple of 1 MiB, is one long or "
			     "empty, and ends below 2^64");
		return -EINVAL;
	}
	pthread_mutex_lock(&dev->lock);
	ret = window_set(dev, start, size);
	if (!ret) {
		dev->window.taken = false;
		free(dev->caps);
		dev->caps = NULL;
	}
	pthread_mutex_unlock(&dev->lock);
	return ret ? explain_window(dev, ret) : 0;
}
