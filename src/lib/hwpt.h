/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested HWPTs over one vIOMMU: one for each distinct vSTE in use, and a few that were. */
#ifndef LIB_HWPT_H
#define LIB_HWPT_H

#include "lib/bucket.h"
#include "lib/host.h"

/* A nested HWPT for one vSTE, as it reaches hardware: the first two dwords with all other fields
 * cleared. */
struct hwpt {
	struct hwpt *next;		/* of the same bucket */
	uint64_t ste[2];
	uint32_t id;
	unsigned int users;
	uint64_t left;			/* when the last user left: the oldest spare goes first */
};

struct hwpt_cache {
	struct db_host *host;
	uint32_t viommu;
	struct hwpt *buckets[BUCKETS];	/* by vSTE */
	unsigned int spares;
	uint64_t clock;			/* counts departures, for hwpt.left */
};

/*
 * The HWPT of @ste with one more user, made if there is none. @dev_id: a device behind the vIOMMU's
 * SMMU that is open now; the HWPT outlives it. 0 or the bare errno; EIO: the kernel calls the STE
 * illegal.
 */
int hwpt_get(struct hwpt_cache *cache, uint32_t dev_id, const uint64_t ste[2], struct hwpt **out);
void hwpt_put(struct hwpt_cache *cache, struct hwpt *hwpt);

/* Destroys those without users. */
void hwpt_purge(struct hwpt_cache *cache);

#endif
