/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/vfio.h"
#include "lib/sized.h"
#include "sys/error.h"

/* The most that a capability chain may have: thousands of areas. Who has more has none. */
#define REGION_INFO_MAX 65536

/* --- What there is --- */

static void take_sparse(struct device_region *region, const uint8_t *buf, size_t size,
			uint32_t offset)
{
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area area;
	uint32_t i;

	if (size - offset < sizeof(sparse))
		return;
	memcpy(&sparse, buf + offset, sizeof(sparse));
	offset += sizeof(sparse);
	for (i = 0; i < sparse.nr_areas && i < DB_REGION_AREAS; i++) {
		if (size - offset < (i + 1) * sizeof(area))
			return;
		memcpy(&area, buf + offset + i * sizeof(area), sizeof(area));
		if (area.offset > region->size || area.size > region->size - area.offset)
			continue;
		region->sparse[region->sparse_count++] =
			(struct db_region_area){ area.offset, area.size };
	}
}

/* Offsets come from the kernel, but a loop in them must not hang us. */
static void take_capabilities(struct device_region *region, const uint8_t *buf, size_t size,
			      uint32_t offset)
{
	struct vfio_info_cap_header cap;
	unsigned int steps;

	for (steps = 0; offset && offset <= size - sizeof(cap) && steps < 64; steps++) {
		memcpy(&cap, buf + offset, sizeof(cap));
		if (cap.id == VFIO_REGION_INFO_CAP_MSIX_MAPPABLE)
			region->msix_mappable = true;
		if (cap.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			take_sparse(region, buf, size, offset);
		offset = cap.next;
	}
}

int region_learn(struct db_device *dev, unsigned int index, struct device_region *region)
{
	union {
		struct vfio_region_info info;
		uint8_t bytes[1024];	/* enough for most */
	} u = { .info = { .argsz = sizeof(u), .index = index } };
	struct vfio_region_info *info = &u.info;
	size_t size = sizeof(u);
	int ret;

	ret = device_ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, info);
	if (!ret && info->argsz > sizeof(u) && info->argsz <= REGION_INFO_MAX) {
		size = info->argsz;
		info = calloc(1, size);
		if (!info) {
			db_error_set(-ENOMEM, "no memory for a region of %s", dev->address);
			return -ENOMEM;
		}
		*info = (struct vfio_region_info){ .argsz = size, .index = index };
		ret = device_ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, info);
	}
	if (ret >= 0) {
		*region = (struct device_region){
			.size = info->size,
			.offset = info->offset,
			.flags = info->flags,
			.mappable = info->flags & VFIO_REGION_INFO_FLAG_MMAP,
		};
		if (info->flags & VFIO_REGION_INFO_FLAG_CAPS)
			take_capabilities(region, (uint8_t *)info, size, info->cap_offset);
	} else {
		db_error_set(ret, "cannot ask for region %u of %s", index, dev->address);
	}
	if (info != &u.info)
		free(info);
	return ret < 0 ? ret : 0;
}

/* --- What may be mapped into a guest --- */

/* Adds what of [start, end) is whole pages. */
static void add_area(struct db_region_info *info, uint64_t start, uint64_t end, uint64_t page)
{
	start = (start + page - 1) & ~(page - 1);
	end &= ~(page - 1);
	if (start < end && info->area_count < DB_REGION_AREAS)
		info->areas[info->area_count++] = (struct db_region_area){ start, end - start };
}

/* Takes the pages that @hole touches out of all areas. */
static void punch(struct db_region_info *info, const struct db_region_area *hole, uint64_t page)
{
	struct db_region_info old = *info;
	uint64_t start = hole->offset & ~(page - 1), last;
	unsigned int i;

	if (!hole->length)
		return;
	last = (hole->offset + hole->length + page - 1) & ~(page - 1);
	info->area_count = 0;
	for (i = 0; i < old.area_count; i++) {
		uint64_t from = old.areas[i].offset, to = from + old.areas[i].length;

		add_area(info, from, to < start ? to : start, page);
		add_area(info, from > last ? from : last, to, page);
	}
}

static int compare_areas(const void *a, const void *b)
{
	const struct db_region_area *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void find_areas(const struct device_region *region, struct db_region_info *info,
		       uint64_t page)
{
	unsigned int i;

	if (!region->mappable)
		return;
	if (!region->sparse_count)
		add_area(info, 0, region->size, page);
	for (i = 0; i < region->sparse_count; i++)
		add_area(info, region->sparse[i].offset,
			 region->sparse[i].offset + region->sparse[i].length, page);
	qsort(info->areas, info->area_count, sizeof(info->areas[0]), compare_areas);
	punch(info, &info->table, page);
	punch(info, &info->pba, page);
}

static const struct device_region *find_region(struct db_device *dev, unsigned int index)
{
	if (index < DB_REGION_BARS)
		return &dev->bar[index];
	if (index == DB_REGION_ROM)
		return &dev->rom;
	db_error_set(-EINVAL, "%s: there is no region %u", dev->address, index);
	return NULL;
}

static int get_info(struct db_device *dev, unsigned int index, struct db_region_info *info)
{
	const struct device_region *region = find_region(dev, index);
	const struct device_msix *msix = &dev->msix;
	struct db_caps caps = DB_SIZED(struct db_caps);
	int ret;

	*info = (struct db_region_info){ 0 };
	if (!region)
		return -EINVAL;
	ret = db_device_caps(dev, &caps);
	if (ret || !region->size)
		return ret;
	info->length = region->size;
	info->flags = (region->flags & VFIO_REGION_INFO_FLAG_READ ? DB_REGION_READABLE : 0) |
		      (region->flags & VFIO_REGION_INFO_FLAG_WRITE ? DB_REGION_WRITABLE : 0) |
		      (dev->host->sys == db_sys_linux() ? DB_REGION_MEMORY : 0);
	if (msix->count && index == msix->table_bar)
		info->table = (struct db_region_area){ msix->table_offset,
						       msix->count * PCI_MSIX_ENTRY_SIZE };
	if (msix->count && index == msix->pba_bar)
		info->pba = (struct db_region_area){ msix->pba_offset,
						     (msix->count + 63ull) / 64 * 8 };
	find_areas(region, info, caps.page_size);
	return 0;
}

int db_device_region(struct db_device *dev, unsigned int index, struct db_region_info *info)
{
	struct db_region_info own;
	int ret;

	ret = sized_check(info, "db_region_info");
	if (!ret)
		ret = get_info(dev, index, &own);
	if (!ret)
		sized_give(info, &own, sizeof(own));
	return ret;
}

/* --- Mappings --- */

static int check_area(struct db_device *dev, unsigned int index, uint64_t offset, uint64_t length)
{
	struct db_region_info info;
	unsigned int i;
	int ret;

	ret = get_info(dev, index, &info);
	if (ret)
		return ret;
	if (!info.area_count) {
		db_error_set(-EOPNOTSUPP, "nothing of region %u of %s can be mapped: its accesses "
			     "are to be trapped", index, dev->address);
		return -EOPNOTSUPP;
	}
	for (i = 0; i < info.area_count && length; i++) {
		if (offset >= info.areas[i].offset && length <= info.areas[i].length &&
		    offset - info.areas[i].offset <= info.areas[i].length - length)
			return 0;
	}
	db_error_set(-EINVAL, "[0x%llx, +0x%llx) of region %u of %s is not within an area that can "
		     "be mapped (db_device_region())", (unsigned long long)offset,
		     (unsigned long long)length, index, dev->address);
	return -EINVAL;
}

int db_region_map(struct db_device *dev, unsigned int index, uint64_t offset, uint64_t length,
		  unsigned int prot, void **out)
{
	struct db_sys *sys = dev->host->sys;
	int flags = (prot & DB_READ ? PROT_READ : 0) | (prot & DB_WRITE ? PROT_WRITE : 0);
	int ret;

	if (!prot || (prot & ~(DB_READ | DB_WRITE))) {
		db_error_set(-EINVAL, "a mapping is for DB_READ, DB_WRITE or both");
		return -EINVAL;
	}
	ret = check_area(dev, index, offset, length);
	if (ret)
		return ret;
	ret = sys->ops->mmap(sys, length, flags, dev->fd, find_region(dev, index)->offset + offset,
			     out);
	if (ret < 0)
		db_error_set(ret, "cannot map region %u of %s", index, dev->address);
	return ret < 0 ? ret : 0;
}

int db_region_unmap(struct db_device *dev, void *addr, uint64_t length)
{
	struct db_sys *sys = dev->host->sys;
	int ret;

	ret = sys->ops->munmap(sys, addr, length);
	if (ret < 0)
		db_error_set(ret, "cannot unmap a region of %s", dev->address);
	return ret < 0 ? ret : 0;
}

/* --- Peer-to-peer --- */

/* A dma-buf of that part of the BAR. */
static int export_region(struct db_device *dev, unsigned int index, uint64_t offset,
			 uint64_t length)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf buf;
		struct vfio_region_dma_range range;
	} cmd = {
		.feature = {
			.argsz = sizeof(cmd),
			.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		},
		.buf = { .region_index = index, .open_flags = O_RDWR | O_CLOEXEC, .nr_ranges = 1 },
		.range = { .offset = offset, .length = length },
	};
	int fd;

	fd = device_ioctl(dev, VFIO_DEVICE_FEATURE, &cmd);
	if (fd == -ENOTTY || fd == -EOPNOTSUPP) {
		fd = -EOPNOTSUPP;
		db_error_set(fd, "peer-to-peer: this kernel exports no BARs of %s "
			     "(VFIO_DEVICE_FEATURE_DMA_BUF: a newer one with "
			     "CONFIG_VFIO_PCI_DMABUF does, for devices whose bus can do peer-to-peer "
			     "DMA)", dev->address);
	} else if (fd < 0) {
		db_error_set(fd, "peer-to-peer: cannot export region %u of %s", index,
			     dev->address);
	}
	return fd;
}

int db_space_map_region(struct db_space *space, uint64_t ipa, struct db_device *dev,
			unsigned int index, uint64_t offset, uint64_t length, unsigned int prot)
{
	struct db_sys *sys = dev->host->sys;
	int fd, ret;

	ret = check_area(dev, index, offset, length);
	if (ret)
		return ret;
	fd = export_region(dev, index, offset, length);
	if (fd < 0)
		return fd;
	ret = db_space_map_file(space, ipa, fd, 0, length, prot);
	sys->ops->close(sys, fd);
	/* A kernel that exports them, and maps files only. */
	if (ret == -EBADF || ret == -EOPNOTSUPP || ret == -ENOTTY) {
		ret = -EOPNOTSUPP;
		db_error_set(ret, "peer-to-peer: this kernel exports BARs, but does not map them "
			     "into a guest-physical space (IOMMU_IOAS_MAP_FILE): a newer one is "
			     "needed");
	}
	return ret;
}
