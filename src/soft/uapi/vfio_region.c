/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions of a vfio-pci device: what they are, and access to BARs by read, write and mmap. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/mman.h>

#include "soft/alloc.h"
#include "soft/mappings.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

/* --- VFIO_DEVICE_GET_REGION_INFO --- */

/* A chain of at most this: the two areas around an MSI-X table. */
struct region_caps {
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area areas[2];
};

static uint64_t page_size(const struct vfio_device *vdev)
{
	return soft_host_page_size(vdev->dev->host);
}

static bool holds_msix_table(const struct pci_shape *shape, unsigned int bar)
{
	return shape->msix_vectors && shape->msix_bar == bar;
}

/*
 * What of the BAR can be mapped when the pages of the MSI-X table cannot: the size of the
 * capability, 0 if nothing.
 */
static size_t sparse_areas(const struct vfio_device *vdev, unsigned int bar,
			   struct region_caps *caps)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);
	uint64_t page = page_size(vdev), size = shape->bar_size[bar];
	uint64_t start = shape->msix_table_off & ~(page - 1);
	uint64_t end = shape->msix_table_off + (uint64_t)shape->msix_vectors * PCI_MSIX_ENTRY_SIZE;
	unsigned int n = 0;

	end = (end + page - 1) & ~(page - 1);
	if (start)
		caps->areas[n++] = (struct vfio_region_sparse_mmap_area){ 0, start };
	if (end < size)
		caps->areas[n++] = (struct vfio_region_sparse_mmap_area){ end, size - end };
	if (!n)
		return 0;
	caps->sparse.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	caps->sparse.header.version = 1;
	caps->sparse.nr_areas = n;
	return sizeof(caps->sparse) + n * sizeof(caps->areas[0]);
}

static size_t bar_info(const struct vfio_device *vdev, struct vfio_region_info *info,
		       struct region_caps *caps)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);
	size_t size;

	info->size = shape->bar_size[info->index];
	if (!info->size)
		return 0;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (!holds_msix_table(shape, info->index)) {
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		return 0;
	}
	if (vdev->dev->desc->msix_mappable) {
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		caps->sparse.header.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE;
		caps->sparse.header.version = 1;
		return sizeof(caps->sparse.header);
	}
	size = sparse_areas(vdev, info->index, caps);
	if (size)
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return size;
}

int vfio_region_info(struct vfio_device *vdev, void *arg)
{
	struct vfio_region_info info = { 0 };
	struct region_caps caps = { 0 };
	size_t caps_size = 0;
	int ret;

	ret = copy_from_user(&info, arg, sizeof(info));
	if (ret)
		return ret;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	if (info.index >= VFIO_PCI_NUM_REGIONS || info.index == VFIO_PCI_VGA_REGION_INDEX)
		return -EINVAL;

	info.flags = 0;
	info.cap_offset = 0;
	info.size = 0;
	info.offset = (uint64_t)info.index << VFIO_OFFSET_SHIFT;
	if (info.index == VFIO_PCI_CONFIG_REGION_INDEX) {
		info.size = PCI_CONFIG_SIZE;
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	} else if (info.index <= VFIO_PCI_BAR5_REGION_INDEX) {
		caps_size = bar_info(vdev, &info, &caps);
	}

	if (caps_size) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (info.argsz < sizeof(info) + caps_size) {
			info.argsz = (uint32_t)(sizeof(info) + caps_size);
		} else {
			ret = copy_to_user((char *)arg + sizeof(info), &caps, caps_size);
			info.cap_offset = sizeof(info);
		}
	}
	return ret ? ret : copy_to_user(arg, &info, sizeof(info));
}

/* --- Read and write --- */

static bool bar_reachable(const struct soft_device *dev, unsigned int bar, uint64_t off,
			  unsigned int size)
{
	uint64_t bar_size;

	if (!dev->pci || !dev->vfio || dev->vfio->removed || !vfio_memory_enabled(dev->vfio))
		return false;
	bar_size = pci_dev_shape(dev->pci)->bar_size[bar];
	return off < bar_size && size <= bar_size - off;
}

bool vfio_bar_answers(struct soft_device *dev, unsigned int bar, uint64_t off, unsigned int size)
{
	bool answers;

	pthread_rwlock_rdlock(&dev->access);
	answers = bar_reachable(dev, bar, off, size);
	pthread_rwlock_unlock(&dev->access);
	return answers;
}

uint64_t vfio_bar_read(struct soft_device *dev, unsigned int bar, uint64_t off, unsigned int size)
{
	uint64_t value = UINT64_MAX;

	pthread_rwlock_rdlock(&dev->access);
	if (bar_reachable(dev, bar, off, size))
		value = pci_bar_read(dev->pci, bar, off, size);
	pthread_rwlock_unlock(&dev->access);
	return value;
}

void vfio_bar_write(struct soft_device *dev, unsigned int bar, uint64_t off, unsigned int size,
		    uint64_t value)
{
	pthread_rwlock_rdlock(&dev->access);
	if (bar_reachable(dev, bar, off, size))
		pci_bar_write(dev->pci, bar, off, size, value);
	pthread_rwlock_unlock(&dev->access);
}

/*
 * Bytes from @off on that go as one access: aligned, and not reaching into the MSI-X table.
 * *hidden: they lie in it.
 */
static size_t chunk(const struct pci_shape *shape, unsigned int bar, uint64_t off, size_t len,
		    bool *hidden)
{
	uint64_t start = shape->msix_table_off,
		 end = start + (uint64_t)shape->msix_vectors * PCI_MSIX_ENTRY_SIZE;
	size_t size;

	*hidden = false;
	if (holds_msix_table(shape, bar)) {
		*hidden = off >= start && off < end;
		if (*hidden)
			return len < end - off ? len : (size_t)(end - off);
		if (off < start && len > start - off)
			len = (size_t)(start - off);
	}
	for (size = 8; size > len || off % size; size /= 2)
		;
	return size;
}

static int bar_chunk(struct vfio_device *vdev, unsigned int bar, uint64_t off, uint8_t *bytes,
		     size_t size, bool write)
{
	struct pci_dev *pci = vdev->dev->pci;
	uint64_t value = 0;

	if (!vfio_memory_enabled(vdev))
		return -EIO;
	if (write) {
		for (size_t i = 0; i < size; i++)
			value |= (uint64_t)bytes[i] << (8 * i);
		pci_bar_write(pci, bar, off, (unsigned int)size, value);
		return 0;
	}
	value = pci_bar_read(pci, bar, off, (unsigned int)size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	return 0;
}

/*
 * With soft_device.access. The MSI-X table is the kernel's: it reads as ones, and writes to it are
 * dropped.
 */
static ssize_t bar_rw(struct vfio_device *vdev, unsigned int bar, uint8_t *bytes, size_t len,
		      uint64_t off, bool write)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);
	size_t size;
	bool hidden;
	int ret;

	if (off >= shape->bar_size[bar])
		return -EINVAL;
	if (len > shape->bar_size[bar] - off)
		len = (size_t)(shape->bar_size[bar] - off);
	for (size_t done = 0; done < len; done += size) {
		size = chunk(shape, bar, off + done, len - done, &hidden);
		if (hidden) {
			if (!write)
				memset(bytes + done, 0xff, size);
			continue;
		}
		ret = bar_chunk(vdev, bar, off + done, bytes + done, size, write);
		if (ret)
			return ret;
	}
	return (ssize_t)len;
}

/* Without soft_device.lock: what a device does upon a register access may take its time. */
ssize_t vfio_region_rw(struct vfio_device *vdev, void *buf, size_t len, uint64_t offset, bool write)
{
	struct soft_device *dev = vdev->dev;
	uint64_t index = offset >> VFIO_OFFSET_SHIFT, off = offset & VFIO_OFFSET_MASK;
	ssize_t ret;

	if (!len)
		return 0;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
		pthread_mutex_lock(&dev->lock);
		ret = vdev->removed ? -EIO : vfio_config_rw(vdev, buf, len, off, write);
		pthread_mutex_unlock(&dev->lock);
		return ret;
	}
	if (index > VFIO_PCI_BAR5_REGION_INDEX)
		return -EINVAL;	/* there is no ROM and no VGA */

	pthread_rwlock_rdlock(&dev->access);
	ret = vdev->removed || !dev->pci ? -EIO
					 : bar_rw(vdev, (unsigned int)index, buf, len, off, write);
	pthread_rwlock_unlock(&dev->access);
	return ret;
}

/* --- mmap --- */

/*
 * Inside the BAR rounded up to pages, and outside the MSI-X table where its pages may not be
 * mapped.
 */
static bool may_map(const struct vfio_device *vdev, unsigned int bar, uint64_t off, uint64_t len)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);
	uint64_t page = page_size(vdev), size = (shape->bar_size[bar] + page - 1) & ~(page - 1);
	struct region_caps caps = { 0 };

	if (off > size || len > size - off)
		return false;
	if (!holds_msix_table(shape, bar) || vdev->dev->desc->msix_mappable)
		return true;
	sparse_areas(vdev, bar, &caps);
	for (unsigned int i = 0; i < caps.sparse.nr_areas; i++) {
		if (off >= caps.areas[i].offset &&
		    off + len <= caps.areas[i].offset + caps.areas[i].size)
			return true;
	}
	return false;
}

/*
 * Memory of the function where it has some; else just addresses, to which a plain load or store
 * faults instead of going nowhere.
 */
static void *map_bar(struct pci_dev *pci, unsigned int bar, size_t len, int prot, uint64_t off,
		     void *at)
{
	int fixed = at ? MAP_FIXED : 0, memfd;

	if (soft_alloc_fails()) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (pci_bar_memfd(pci, bar, &memfd))
		return mmap(at, len, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
	return mmap(at, len, prot, MAP_SHARED | fixed, memfd, (off_t)off);
}

int vfio_region_mmap(struct vfio_device *vdev, struct soft_file *file, size_t len, int prot,
		     uint64_t offset, void **out)
{
	struct soft_device *dev = vdev->dev;
	uint64_t index = offset >> VFIO_OFFSET_SHIFT, off = offset & VFIO_OFFSET_MASK;
	struct mapping mapping;
	void *addr;
	int ret;

	if (index > VFIO_PCI_BAR5_REGION_INDEX || !pci_dev_shape(dev->pci)->bar_size[index])
		return -EINVAL;
	if (!may_map(vdev, (unsigned int)index, off, len))
		return -EINVAL;

	addr = map_bar(dev->pci, (unsigned int)index, len, prot, off, *out);
	if (addr == MAP_FAILED)
		return -errno;

	soft_file_hold(file);
	mapping = (struct mapping){
		.start = (uintptr_t)addr,
		.len = len,
		.dev = dev,
		.file = file,
		.bar = (unsigned int)index,
		.offset = off,
		.readable = prot & PROT_READ,
		.writable = prot & PROT_WRITE,
	};
	ret = mappings_add(dev->host->mappings, &mapping);
	if (ret) {
		munmap(addr, len);
		soft_file_put(file);
		return ret;
	}
	*out = addr;
	return 0;
}
