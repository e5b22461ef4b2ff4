/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of a device: its BARs and its expansion ROM. What of them may be mapped, mappings into
 * this process, and into the guest-physical space so that other devices reach them (peer-to-peer).
 * Source: VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_FEATURE_DMA_BUF, IOMMU_IOAS_MAP_FILE.
 *
 * All calls may be made from any thread. Offsets and lengths are bytes.
 */
#ifndef DOORBELL_REGION_H
#define DOORBELL_REGION_H

#include <doorbell/space.h>

DB_API_BEGIN

#define DB_REGION_BARS 6	/* regions 0 to 5 are the BARs */
#define DB_REGION_ROM 6
#define DB_REGION_COUNT 7

#define DB_REGION_READABLE (1u << 0)
#define DB_REGION_WRITABLE (1u << 1)
/* A mapping is memory like any other: loads and stores reach the device, and it may back a memory
 * slot of the guest. Not so on a software host, where only db_sys_ops.mmio_read() and mmio_write()
 * do: there every access of the guest is to be trapped. */
#define DB_REGION_MEMORY (1u << 2)

struct db_region_area {
	uint64_t offset, length;
};

#define DB_REGION_AREAS 32

struct db_region_info {
	size_t size;			/* of this struct, set by the caller */
	uint32_t flags;			/* DB_REGION_*; 0 if the device has no such region */
	uint32_t area_count;
	uint64_t length;		/* 0: not there */
	/*
	 * What may be mapped into a guest, ascending: whole pages of the host, without those that
	 * hold the MSI-X table or the PBA (also where VFIO would map them). What is in no area is
	 * to be trapped; that is all of a BAR smaller than a page. If there are more than fit, the
	 * last ones are left out.
	 */
	struct db_region_area areas[DB_REGION_AREAS];
	struct db_region_area table;	/* MSI-X table; length 0: not in this region */
	struct db_region_area pba;
};

/*
 * What region @index is. Fills as much of @info as info->size covers.
 * Errors: -EINVAL (no such index, info->size).
 */
int db_device_region(struct db_device *dev, unsigned int index, struct db_region_info *info);

/*
 * Maps [offset, offset + length) of BAR @index, within one area of its db_region_info, with @prot
 * (DB_READ, DB_WRITE), and returns the address in *@out. It belongs to the caller, who ends it by
 * db_region_unmap() with the same length before the device is closed. While the guest has memory
 * decoding off or the device is in D3hot an access is a bus error (SIGBUS), on a real host.
 * Errors: -EINVAL (not in an area, not pages), -ENOMEM, -EOPNOTSUPP (the host maps none of it).
 */
int db_region_map(struct db_device *dev, unsigned int index, uint64_t offset, uint64_t length,
		  unsigned int prot, void **out);
int db_region_unmap(struct db_device *dev, void *addr, uint64_t length);

/*
 * Maps [offset, offset + length) of BAR @index at @ipa of @space: the other devices of the VM reach
 * it there (peer-to-peer). db_space_unmap() ends it. The host takes it away while the device is in
 * reset, in D3hot or has memory decoding off; such DMA is aborted then.
 * Errors: -EOPNOTSUPP (this kernel exports no BARs, or cannot map them; the message says which),
 * -EINVAL (not in an area), and those of db_space_map().
 */
int db_space_map_region(struct db_space *space, uint64_t ipa, struct db_device *dev,
			unsigned int index, uint64_t offset, uint64_t length, unsigned int prot);

DB_API_END

#endif
