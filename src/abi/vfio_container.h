/* SPDX-License-Identifier: BSD-2-Clause */
/* VFIO as programs used it before iommufd: groups and containers (<linux/vfio.h>). */
#ifndef ABI_VFIO_CONTAINER_H
#define ABI_VFIO_CONTAINER_H

#include "abi/vfio.h"

#define VFIO_API_VERSION 0
#define VFIO_TYPE1_IOMMU 1
#define VFIO_TYPE1v2_IOMMU 3
#define VFIO_DMA_CC_IOMMU 4
#define VFIO_UNMAP_ALL 9

#define VFIO_CONTAINER_REQUEST(nr) _IO(VFIO_TYPE, VFIO_BASE + (nr))

enum {
	VFIO_GET_API_VERSION = VFIO_CONTAINER_REQUEST(0),
	VFIO_CHECK_EXTENSION = VFIO_CONTAINER_REQUEST(1),
	VFIO_SET_IOMMU = VFIO_CONTAINER_REQUEST(2),
	VFIO_GROUP_GET_STATUS = VFIO_CONTAINER_REQUEST(3),
	VFIO_GROUP_SET_CONTAINER = VFIO_CONTAINER_REQUEST(4),
	VFIO_GROUP_UNSET_CONTAINER = VFIO_CONTAINER_REQUEST(5),
	VFIO_GROUP_GET_DEVICE_FD = VFIO_CONTAINER_REQUEST(6),
	VFIO_IOMMU_GET_INFO = VFIO_CONTAINER_REQUEST(12),
	VFIO_IOMMU_MAP_DMA = VFIO_CONTAINER_REQUEST(13),
	VFIO_IOMMU_UNMAP_DMA = VFIO_CONTAINER_REQUEST(14),
};

struct vfio_group_status {
	__u32 argsz;
	__u32 flags;
};
#define VFIO_GROUP_FLAGS_VIABLE (1 << 0)
#define VFIO_GROUP_FLAGS_CONTAINER_SET (1 << 1)

struct vfio_iommu_type1_dma_map {
	__u32 argsz;
	__u32 flags;
	__u64 vaddr;
	__u64 iova;
	__u64 size;
};
#define VFIO_DMA_MAP_FLAG_READ (1 << 0)
#define VFIO_DMA_MAP_FLAG_WRITE (1 << 1)

struct vfio_iommu_type1_dma_unmap {
	__u32 argsz;
	__u32 flags;
	__u64 iova;
	__u64 size;
};
#define VFIO_DMA_UNMAP_FLAG_ALL (1 << 1)

struct vfio_iommu_type1_info {
	__u32 argsz;
	__u32 flags;
	__u64 iova_pgsizes;
	__u32 cap_offset;
	__u32 pad;
};
#define VFIO_IOMMU_INFO_PGSIZES (1 << 0)
#define VFIO_IOMMU_INFO_CAPS (1 << 1)

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	__u32 nr_iovas;
	__u32 reserved;
};
#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1

struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	__u32 avail;
};
#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL 3

_Static_assert(sizeof(struct vfio_iommu_type1_dma_map) == 32, "");
_Static_assert(sizeof(struct vfio_iommu_type1_dma_unmap) == 24, "");
_Static_assert(sizeof(struct vfio_iommu_type1_info) == 24, "");
_Static_assert(sizeof(struct vfio_iommu_type1_info_cap_iova_range) == 16, "");
_Static_assert(sizeof(struct vfio_iommu_type1_info_dma_avail) == 12, "");

#endif
