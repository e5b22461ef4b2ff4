/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFIO_DEVICE_FEATURE_MSI_DOORBELL: the doorbell of the device's MSIs as a dma-buf (abi/native.h).
 *
 * A doorbell is shared by all devices behind its ITS, and a VMM maps it once for all of them. So
 * its dma-bufs live as long as one of the devices of the iommufd that asked for it is open: when
 * the last of these goes, they are revoked.
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>

#include "abi/native.h"
#include "soft/alloc.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

struct dmabuf {
	struct dmabuf *next;
	struct soft_file *file;
};

/*
 * What devices of one iommufd have asked for; in host->doorbells, all under host->doorbells_lock.
 */
struct vfio_doorbell {
	const struct iommufd_ctx *ctx;
	uint64_t id;
	unsigned int devices;
	struct dmabuf *dmabufs;
};

static bool in_pages(uint64_t addr, uint64_t base, uint64_t size, uint64_t page)
{
	return addr >= (base & ~(page - 1)) && addr < ((base + size + page - 1) & ~(page - 1));
}

/*
 * A number for the host page at @pa, which holds a doorbell: which MSI frame of the machine, and
 * which page of a pre-ITS window. Two frames in one page have one number, that of the first.
 */
static uint64_t doorbell_id(const struct soft_host *host, uint64_t pa, uint64_t page)
{
	for (unsigned int i = 0; i < host->machine.n_itses; i++) {
		const struct msi_frame_config *config = &host->machine.itses[i];

		if (config->kind == DOORBELL_PRE_ITS) {
			uint64_t first = config->pre_its_base & ~(page - 1);

			if (in_pages(pa, config->pre_its_base, config->pre_its_size, page))
				return (i + 1) | (pa - first) / page << 16;
		} else if (in_pages(pa, its_dev_doorbell(host->itses[i], 0), 1, page)) {
			return i + 1;
		}
	}
	return 0;
}

static void forget_dmabuf(struct dmabuf **at)
{
	struct dmabuf *dmabuf = *at;

	*at = dmabuf->next;
	soft_file_put(dmabuf->file);
	soft_free(dmabuf);
}

/*
 * Forgets those that nobody else holds any more, so that a user who asks again and again does not
 * pile them up.
 */
static void forget_closed(struct soft_host *host, struct vfio_doorbell *doorbell)
{
	struct dmabuf **at = &doorbell->dmabufs;
	bool closed;

	while (*at) {
		pthread_mutex_lock(&host->lock);
		closed = (*at)->file->refs == 1;
		pthread_mutex_unlock(&host->lock);
		if (closed)
			forget_dmabuf(at);
		else
			at = &(*at)->next;
	}
}

static int compare_doorbells(const void *a, const void *b)
{
	const struct vfio_doorbell *x = a, *y = b;

	if (x->ctx != y->ctx)
		return x->ctx < y->ctx ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void put_locked(struct soft_host *host, struct vfio_doorbell *doorbell)
{
	if (--doorbell->devices)
		return;
	tdelete(doorbell, &host->doorbells, compare_doorbells);
	for (struct dmabuf *dmabuf = doorbell->dmabufs; dmabuf; dmabuf = dmabuf->next)
		iommufd_dmabuf_revoke(dmabuf->file);
	while (doorbell->dmabufs)
		forget_dmabuf(&doorbell->dmabufs);
	soft_free(doorbell);
}

void vfio_doorbell_put(struct vfio_device *vdev)
{
	struct soft_host *host = vdev->dev->host;

	if (!vdev->doorbell)
		return;
	pthread_mutex_lock(&host->doorbells_lock);
	put_locked(host, vdev->doorbell);
	pthread_mutex_unlock(&host->doorbells_lock);
	vdev->doorbell = NULL;
}

/* The doorbell that the device shares with others of its iommufd, counting the device. */
static struct vfio_doorbell *doorbell_get(struct vfio_device *vdev, uint64_t id)
{
	struct vfio_doorbell *fresh = soft_calloc(1, sizeof(*fresh)), *doorbell, **found;

	if (!fresh)
		return NULL;
	fresh->ctx = vdev->ctx;
	fresh->id = id;
	found = soft_alloc_fails() ? NULL :
				     tsearch(fresh, &vdev->dev->host->doorbells, compare_doorbells);
	doorbell = found ? *found : NULL;
	if (doorbell != fresh)
		soft_free(fresh);
	if (doorbell)
		doorbell->devices++;
	return doorbell;
}

/* A new dma-buf over [pa, pa + size); its descriptor. */
static int export(struct soft_host *host, struct vfio_doorbell *doorbell, uint64_t pa,
		  uint64_t size)
{
	struct dmabuf *dmabuf;
	int ret;

	forget_closed(host, doorbell);
	dmabuf = soft_calloc(1, sizeof(*dmabuf));
	if (!dmabuf)
		return -ENOMEM;
	ret = iommufd_dmabuf_create(host, pa, size, &dmabuf->file);
	if (ret) {
		soft_free(dmabuf);
		return ret;
	}
	soft_file_hold(dmabuf->file);
	dmabuf->next = doorbell->dmabufs;
	doorbell->dmabufs = dmabuf;
	return dmabuf->file->fd;
}

int vfio_doorbell_feature(struct vfio_device *vdev, uint32_t flags, void *arg, size_t argsz)
{
	const struct machine_device *desc = vdev->dev->desc;
	struct vfio_device_feature_msi_doorbell reply;
	struct soft_host *host = vdev->dev->host;
	struct vfio_doorbell *doorbell;
	uint64_t pa, page;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(reply));
	if (ret != 1)
		return ret;
	ret = copy_from_user(&reply, arg, sizeof(reply));
	if (ret)
		return ret;
	if (reply.open_flags & ~(uint32_t)(O_CLOEXEC | O_ACCMODE))
		return -EINVAL;

	pa = its_dev_doorbell(host->itses[desc->its], desc->device_id);
	page = soft_host_page_size(host);
	reply.flags = 0;
	reply.size = page;
	reply.offset = pa & (page - 1);
	reply.id = doorbell_id(host, pa & ~(page - 1), page);

	pthread_mutex_lock(&host->doorbells_lock);
	doorbell = vdev->doorbell ? vdev->doorbell : doorbell_get(vdev, reply.id);
	ret = doorbell ? export(host, doorbell, pa & ~(page - 1), page) : -ENOMEM;
	if (ret < 0 && doorbell && !vdev->doorbell)
		put_locked(host, doorbell);
	else if (ret >= 0)
		vdev->doorbell = doorbell;
	pthread_mutex_unlock(&host->doorbells_lock);
	if (ret >= 0)
		copy_to_user(arg, &reply, sizeof(reply));
	return ret;
}
