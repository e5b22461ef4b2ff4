/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/iommu as a VFIO container: the requests of type1, on the IOAS that the user names or that
 * the first group makes (Linux: drivers/iommu/iommufd/vfio_compat.c).
 */
#include <errno.h>

#include "abi/vfio_container.h"
#include "soft/uapi/iommufd_private.h"
#include "soft/uapi/user.h"

/* The container's IOAS, for a call; -ENODEV: there is none. */
static int get_ioas(struct iommufd_ctx *ctx, struct iommufd_ioas **ioas)
{
	uint32_t id;

	pthread_mutex_lock(&ctx->lock);
	id = ctx->vfio_ioas;
	pthread_mutex_unlock(&ctx->lock);
	return id && !object_get(ctx, id, OBJ_IOAS, ioas) ? 0 : -ENODEV;
}

static void set_ioas(struct iommufd_ctx *ctx, uint32_t id)
{
	pthread_mutex_lock(&ctx->lock);
	ctx->vfio_ioas = id;
	pthread_mutex_unlock(&ctx->lock);
}

int iommufd_vfio_ioas_id(struct iommufd_ctx *ctx, uint32_t *id)
{
	struct iommufd_ioas *ioas;
	int ret = get_ioas(ctx, &ioas);

	if (ret)
		return ret;
	*id = ioas->obj.id;
	object_put(ctx, &ioas->obj);
	return 0;
}

int iommufd_vfio_make_ioas(struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas;
	uint32_t id;
	int ret;

	if (!iommufd_vfio_ioas_id(ctx, &id))
		return 0;
	ret = ioas_create(ctx, &ioas);
	if (ret)
		return ret;
	id = ioas->obj.id;
	object_publish(ctx, &ioas->obj);
	set_ioas(ctx, id);
	return 0;
}

int ioctl_vfio_ioas(struct iommufd_cmd *cmd)
{
	struct iommu_vfio_ioas *arg = cmd->arg;
	struct iommufd_ioas *ioas;
	int ret;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	switch (arg->op) {
	case IOMMU_VFIO_IOAS_GET:
		ret = iommufd_vfio_ioas_id(cmd->ctx, &arg->ioas_id);
		return ret ? ret : iommufd_respond(cmd, sizeof(*arg));
	case IOMMU_VFIO_IOAS_SET:
		ret = object_get(cmd->ctx, arg->ioas_id, OBJ_IOAS, &ioas);
		if (ret)
			return ret;
		set_ioas(cmd->ctx, arg->ioas_id);
		object_put(cmd->ctx, &ioas->obj);
		return 0;
	case IOMMU_VFIO_IOAS_CLEAR:
		set_ioas(cmd->ctx, 0);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int map_dma(struct iommufd_ctx *ctx, const void *arg)
{
	const uint32_t known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct vfio_iommu_type1_dma_map map;
	uint32_t flags = IOMMU_IOAS_MAP_FIXED_IOVA;
	struct iopt_slice slice;
	struct iommufd_ioas *ioas;
	uint64_t end;
	int ret;

	ret = copy_from_user(&map, arg, sizeof(map));
	if (ret)
		return ret;
	if (map.argsz < sizeof(map) || map.flags & ~known)
		return -EINVAL;
	flags |= map.flags & VFIO_DMA_MAP_FLAG_READ ? IOMMU_IOAS_MAP_READABLE : 0;
	flags |= map.flags & VFIO_DMA_MAP_FLAG_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0;
	ret = get_ioas(ctx, &ioas);
	if (ret)
		return ret;
	slice = (struct iopt_slice){ .addr = map.vaddr, .length = map.size,
				     .may_write = map.flags & VFIO_DMA_MAP_FLAG_WRITE };
	if (__builtin_add_overflow(map.vaddr, map.size, &end))
		ret = -EOVERFLOW;
	else if (!map.size)
		ret = -EINVAL;
	else if (end >> IOVA_AREA_ADDR_BITS)
		ret = -EFAULT;
	else
		ret = iopt_map(ioas->iopt, &slice, 1, map.size, (uint64_t *)&map.iova, flags);
	object_put(ctx, &ioas->obj);
	return ret;
}

static int unmap_range(struct iommufd_ioas *ioas, const struct vfio_iommu_type1_dma_unmap *unmap,
		       uint64_t *unmapped)
{
	uint64_t last;

	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL)
		return unmap->iova || unmap->size ? -EINVAL
						  : iopt_unmap(ioas->iopt, 0, UINT64_MAX, unmapped);
	if (!unmap->size)
		return -EINVAL;
	if (__builtin_add_overflow(unmap->iova, unmap->size - 1, &last))
		return -EOVERFLOW;
	return iopt_unmap(ioas->iopt, unmap->iova, last, unmapped);
}

static int unmap_dma(struct iommufd_ctx *ctx, void *arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct iommufd_ioas *ioas;
	uint64_t unmapped = 0;
	int ret;

	ret = copy_from_user(&unmap, arg, sizeof(unmap));
	if (ret)
		return ret;
	if (unmap.argsz < sizeof(unmap) || unmap.flags & ~(uint32_t)VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	ret = get_ioas(ctx, &ioas);
	if (ret)
		return ret;
	ret = unmap_range(ioas, &unmap, &unmapped);
	object_put(ctx, &ioas->obj);
	unmap.size = unmapped;
	/* Nothing being there is no error of type1. */
	return copy_to_user(arg, &unmap, sizeof(unmap)) ? -EFAULT : ret;
}

/* The usable ranges, as far as they fit into @room bytes; the size of all of them. */
static size_t put_ranges(struct iommufd_ioas *ioas, uint8_t *at, size_t room, int *ret)
{
	struct vfio_iommu_type1_info_cap_iova_range cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1 },
	};
	uint64_t range[2], from = 0;
	size_t size = sizeof(cap);

	while (iopt_next_usable(ioas->iopt, from, &range[0], &range[1])) {
		if (size + sizeof(range) <= room && copy_to_user(at + size, range, sizeof(range)))
			*ret = -EFAULT;
		size += sizeof(range);
		cap.nr_iovas++;
		if (range[1] == UINT64_MAX)
			break;
		from = range[1] + 1;
	}
	if (size <= room && copy_to_user(at, &cap, sizeof(cap)))
		*ret = -EFAULT;
	return size;
}

static int get_info(struct iommufd_ctx *ctx, void *arg)
{
	const size_t least = sizeof_through(struct vfio_iommu_type1_info, iova_pgsizes);
	struct vfio_iommu_type1_info_dma_avail avail = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1 },
		.avail = UINT32_MAX,
	};
	struct vfio_iommu_type1_info info = { 0 };
	/* The capabilities stand behind each other, aligned. */
	size_t first = sizeof(info), second = first + ((sizeof(avail) + 7) & ~(size_t)7), all;
	struct iommufd_ioas *ioas;
	int ret;

	ret = copy_from_user(&info, arg, least);
	if (ret)
		return ret;
	if (info.argsz < least)
		return -EINVAL;
	ret = get_ioas(ctx, &ioas);
	if (ret)
		return ret;
	avail.header.next = (uint32_t)second;
	if (info.argsz >= second && copy_to_user((uint8_t *)arg + first, &avail, sizeof(avail)))
		ret = -EFAULT;
	pthread_mutex_lock(&ioas->iopt->lock);
	all = second + put_ranges(ioas, (uint8_t *)arg + second,
				  info.argsz > second ? info.argsz - second : 0, &ret);
	/* From the smallest page on, any size can be mapped. */
	info.iova_pgsizes = ~(ioas->iopt->alignment - 1);
	pthread_mutex_unlock(&ioas->iopt->lock);
	object_put(ctx, &ioas->obj);

	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.cap_offset = info.argsz >= all ? (uint32_t)first : 0;
	if (!ret)
		ret = copy_to_user(arg, &(struct vfio_iommu_type1_info){
					   .argsz = (uint32_t)all,
					   .flags = info.flags,
					   .iova_pgsizes = info.iova_pgsizes,
					   .cap_offset = info.cap_offset,
				   },
				   info.argsz < sizeof(info) ? info.argsz : sizeof(info));
	return ret;
}

static int set_iommu(struct iommufd_ctx *ctx, uint64_t type)
{
	struct iommufd_ioas *ioas;
	int ret;

	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	ret = get_ioas(ctx, &ioas);
	if (ret)
		return ret;
	/* The older type can unmap in the middle of what was mapped. */
	if (type == VFIO_TYPE1_IOMMU)
		ret = iopt_set_small_pages(ioas->iopt, true);
	object_put(ctx, &ioas->obj);
	return ret;
}

static int check_extension(struct iommufd_ctx *ctx, uint64_t extension)
{
	uint32_t id;
	int ret;

	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		/* The machine's caches are coherent. */
		ret = iommufd_vfio_ioas_id(ctx, &id);
		return ret ? ret : 1;
	default:
		return 0;
	}
}

int iommufd_vfio_ioctl(struct iommufd_ctx *ctx, unsigned long number, void *arg)
{
	switch (number) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(ctx, (uintptr_t)arg);
	case VFIO_SET_IOMMU:
		return set_iommu(ctx, (uintptr_t)arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(ctx, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ctx, arg);
	case VFIO_IOMMU_GET_INFO:
		return get_info(ctx, arg);
	default:
		return -ENOTTY;
	}
}
