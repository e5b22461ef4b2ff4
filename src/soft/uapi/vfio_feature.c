/* SPDX-License-Identifier: BSD-2-Clause */
/* VFIO_DEVICE_FEATURE: the doorbell of the device's MSIs, handed out as a dma-buf (abi/native.h). */
#include <errno.h>
#include <fcntl.h>

#include "abi/native.h"
#include "soft/alloc.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

/* 1: do it; 0: it was a probe, and would be done; -EINVAL. */
static int check_feature(uint32_t flags, size_t argsz, uint32_t supported, size_t size)
{
	if (flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET) & ~supported)
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!(flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET)) || argsz < size)
		return -EINVAL;
	return 1;
}

/* --- The doorbell --- */

static bool in_page(uint64_t addr, uint64_t base, uint64_t size, uint64_t page)
{
	return addr >= (base & ~(page - 1)) && addr < ((base + size + page - 1) & ~(page - 1));
}

/*
 * A number for the host page at @pa, which holds a doorbell: which MSI frame of the machine, and which page of a pre-ITS window. Two frames in
 * one page have one number, that of the first.
 */
static uint64_t doorbell_id(const struct soft_host *host, uint64_t pa, uint64_t page)
{
	for (unsigned int i = 0; i < host->machine.n_itses; i++) {
		const struct msi_frame_config *config = &host->machine.itses[i];

		if (config->kind == DOORBELL_PRE_ITS) {
			uint64_t first = config->pre_its_base & ~(page - 1);

			if (in_page(pa, config->pre_its_base, config->pre_its_size, page))
				return (i + 1) | (pa - first) / page << 16;
		} else if (in_page(pa, its_dev_doorbell(host->itses[i], 0), 1, page)) {
			return i + 1;
		}
	}
	return 0;
}

/* Forgets those that nobody else holds any more, so that a user who asks again and again does not pile them up. */
static void forget_closed(struct vfio_device *vdev)
{
	struct vfio_dmabuf **at = &vdev->dmabufs, *dmabuf;
	bool closed;

	while ((dmabuf = *at)) {
		pthread_mutex_lock(&vdev->dev->host->lock);
		closed = dmabuf->file->refs == 1;
		pthread_mutex_unlock(&vdev->dev->host->lock);
		if (!closed) {
			at = &dmabuf->next;
			continue;
		}
		*at = dmabuf->next;
		soft_file_put(dmabuf->file);
		soft_free(dmabuf);
	}
}

void vfio_dmabufs_revoke(struct vfio_device *vdev)
{
	for (struct vfio_dmabuf *dmabuf = vdev->dmabufs; dmabuf; dmabuf = dmabuf->next)
		iommufd_dmabuf_revoke(dmabuf->file);
}

void vfio_dmabufs_put(struct vfio_device *vdev)
{
	struct vfio_dmabuf *dmabuf;

	while ((dmabuf = vdev->dmabufs)) {
		vdev->dmabufs = dmabuf->next;
		soft_file_put(dmabuf->file);
		soft_free(dmabuf);
	}
}

static int msi_doorbell(struct vfio_device *vdev, uint32_t flags, void *arg, size_t argsz)
{
	const struct soft_device *dev = vdev->dev;
	struct vfio_device_feature_msi_doorbell doorbell;
	uint64_t page = soft_host_page_size(dev->host), pa;
	struct vfio_dmabuf *dmabuf;
	int ret;

	if (dev->host->machine.kernel != KERNEL_DOORBELL)
		return -ENOTTY;
	ret = check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(doorbell));
	if (ret != 1)
		return ret;
	ret = copy_from_user(&doorbell, arg, sizeof(doorbell));
	if (ret)
		return ret;
	if (doorbell.open_flags & ~(uint32_t)(O_CLOEXEC | O_ACCMODE))
		return -EINVAL;

	pa = its_dev_doorbell(dev->host->itses[dev->desc->its], dev->desc->device_id);
	doorbell.flags = 0;
	doorbell.size = page;
	doorbell.offset = pa & (page - 1);
	pa &= ~(page - 1);
	doorbell.id = doorbell_id(dev->host, pa, page);

	forget_closed(vdev);
	dmabuf = soft_calloc(1, sizeof(*dmabuf));
	if (!dmabuf)
		return -ENOMEM;
	ret = iommufd_dmabuf_create(dev->host, pa, page, &dmabuf->file);
	if (ret) {
		soft_free(dmabuf);
		return ret;
	}
	soft_file_hold(dmabuf->file);
	dmabuf->next = vdev->dmabufs;
	vdev->dmabufs = dmabuf;
	ret = dmabuf->file->fd;
	copy_to_user(arg, &doorbell, sizeof(doorbell));
	return ret;
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
	if (!(feature.flags & VFIO_DEVICE_FEATURE_PROBE) && (feature.flags & operations) == operations)
		return -EINVAL;
	if ((feature.flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_MSI_DOORBELL)
		return -ENOTTY;
	return msi_doorbell(vdev, feature.flags, (char *)arg + header, feature.argsz - header);
}
