/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual SMMU and its nested HWPTs. */
#ifndef LIB_VIOMMU_H
#define LIB_VIOMMU_H

#include <pthread.h>
#include <doorbell/viommu.h>

#include "abi/iommufd.h"
#include "lib/space.h"

#define VIOMMU_BUCKETS 256	/* a power of two */
#define VIOMMU_BATCH 512	/* invalidations in one ioctl at most */
/* Unused HWPTs that are kept: a guest that goes S1 -> bypass -> S1 finds its own again. */
#define VIOMMU_SPARE_HWPTS 4

/* A nested HWPT for one vSTE, as it reaches hardware: the first two dwords with all other fields
 * cleared. */
struct viommu_hwpt {
	struct viommu_hwpt *next;	/* of the same bucket */
	uint64_t ste[2];
	uint32_t id;
	unsigned int users;		/* devices; the abort HWPT has one more, the vIOMMU */
	uint64_t left;			/* when the last user left: the oldest spare goes first */
};

struct viommu_member {
	struct viommu_member *next;	/* of the same bucket */
	struct db_viommu *viommu;
	struct db_device *dev;
	unsigned int group;		/* of the device, as the kernel numbers them */
	uint32_t sid;
	uint32_t vdevice;
	struct viommu_hwpt *hwpt;	/* NULL: detached, which blocks DMA as well */
};

struct db_viommu {
	struct db_space *space;
	struct db_host *host;
	struct space_parent *parent;
	uint32_t id, eventq, dev_id;	/* dev_id: a device of this SMMU */
	int event_fd;
	uint32_t idr[6];
	bool repeat;			/* hardware erratum: each invalidation is issued twice */

	pthread_mutex_t lock;		/* all that follows, and db_device.member of the members */
	struct viommu_member *members[VIOMMU_BUCKETS];	/* by StreamID */
	void *groups;			/* the members, in a tree (tsearch) by IOMMU group */
	struct viommu_hwpt *hwpts[VIOMMU_BUCKETS];	/* by vSTE */
	struct viommu_hwpt *abort;
	unsigned int spares;
	uint64_t clock;			/* counts departures, for viommu_hwpt.left */
	uint32_t next_event;		/* sequence number of the event that comes next */
	struct iommu_viommu_arm_smmuv3_invalidate batch[VIOMMU_BATCH];
	size_t batch_index[VIOMMU_BATCH];	/* which of the caller's commands each is */
};

static inline unsigned int viommu_bucket(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull) >> 56;
}

_Static_assert(VIOMMU_BUCKETS == 1 << (64 - 56), "viommu_bucket() gives a bucket");

struct viommu_member *viommu_find_sid(struct db_viommu *viommu, uint32_t sid);

/* The HWPT of @ste with one more user, made if there is none. 0 or the bare errno; EIO: the kernel
 * calls the STE illegal. */
int viommu_hwpt_get(struct db_viommu *viommu, const uint64_t ste[2], struct viommu_hwpt **out);
void viommu_hwpt_put(struct db_viommu *viommu, struct viommu_hwpt *hwpt);

/* Destroys those without users. */
void viommu_hwpt_purge(struct db_viommu *viommu);

#endif
