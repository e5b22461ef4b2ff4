/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual SMMU and its nested HWPTs. */
#ifndef LIB_VIOMMU_H
#define LIB_VIOMMU_H

#include <pthread.h>
#include <stdatomic.h>
#include <doorbell/viommu.h>

#include "abi/iommufd.h"
#include "lib/hwpt.h"
#include "lib/space.h"

#define VIOMMU_BATCH 512	/* commands looked at, and sent, at a time */

struct viommu_member {
	struct viommu_member *next;	/* of the same bucket */
	struct db_viommu *viommu;
	struct db_device *dev;
	unsigned int group;		/* of the device, as the kernel numbers them */
	uint32_t sid;
	uint32_t vdevice;
	struct hwpt *hwpt;		/* NULL: detached, which blocks DMA as well */
};

struct db_viommu {
	struct db_space *space;
	struct db_host *host;
	struct space_parent *parent;
	uint32_t id, eventq;
	int event_fd;
	uint32_t idr[6];
	bool repeat;			/* hardware erratum: each invalidation is issued twice */

	atomic_uint waiting;		/* for the lock */
	pthread_mutex_t lock;		/* all that follows, and the members */
	struct viommu_member *members[BUCKETS];	/* by StreamID */
	void *groups;			/* the members, in a tree (tsearch) by IOMMU group */
	struct hwpt_cache hwpts;
	struct hwpt *abort;		/* one user is the vIOMMU */
	uint32_t next_event;		/* sequence number of the event that comes next */
	struct iommu_viommu_arm_smmuv3_invalidate batch[VIOMMU_BATCH];
	size_t batch_index[VIOMMU_BATCH];	/* which of the caller's commands each is */
};

void viommu_lock(struct db_viommu *viommu);
void viommu_unlock(struct db_viommu *viommu);

/* Lets those go first who wait: a mutex alone would go back to who just gave it up. Without the
 * lock. */
void viommu_give_way(struct db_viommu *viommu);

struct viommu_member *viommu_find_sid(struct db_viommu *viommu, uint32_t sid);

/*
 * db_viommu_install_ste() of the first dwords of an entry, in host order. *kept: what was installed
 * is equal and has stage 1; the CDs that hardware caches of it are the caller's to invalidate.
 */
int viommu_install(struct db_viommu *viommu, struct db_device *dev, const uint64_t ste[2],
		   bool *kept);

/* CMD_CFGI_CD_ALL of a member, with the lock held. */
int viommu_invalidate_cds(struct db_viommu *viommu, uint32_t sid);

#endif
