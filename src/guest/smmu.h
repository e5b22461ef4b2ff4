/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's SMMUv3 driver: a linear stream table, one context descriptor for each device,
 * commands.
 */
#ifndef GUEST_SMMU_H
#define GUEST_SMMU_H

#include "guest/dma.h"

#define GUEST_STRTAB_LOG2 12	/* StreamIDs of VMM_DEVICES functions, and one more bit */

struct guest_smmu {
	unsigned int index;
	bool ready;
	uint64_t strtab, cmdq, eventq;	/* IPA */
	uint32_t prod;			/* of the command queue */
	struct guest_base *base;
	struct db_smmu_info info;
};

/*
 * Reads the ID registers, sets up queues and a stream table in which every stream aborts, and
 * enables the SMMU; once for each.
 */
int guest_smmu_init(struct guest_smmu *smmu, struct guest_base *base, unsigned int index);

/* Takes a record from the event queue. False: there is none. */
bool guest_smmu_event(struct guest_smmu *smmu, uint64_t record[4]);

/*
 * The stage-1 format for granule @granule_shift. -EOPNOTSUPP: the SMMU does not have that granule.
 */
int guest_smmu_format(const struct guest_smmu *smmu, unsigned int granule_shift,
		      struct vmsa_format *out);

/* The smallest granule it has, as a shift; 0: none that we know. */
unsigned int guest_smmu_granule(const struct guest_smmu *smmu);

/* Writes CD and STE of @d's device and has them loaded. */
int guest_smmu_attach(struct dma_domain *d);

/* The same tables by the other CD and ASID, while the device uses them: without a gap. */
int guest_smmu_switch_cd(struct dma_domain *d);

/* The device's stream aborts; it bypasses stage 1. */
int guest_smmu_detach(struct dma_domain *d);
int guest_smmu_bypass(struct dma_domain *d);

/* Invalidates @count ranges of @d's stage 1 and waits. */
int guest_smmu_invalidate(struct dma_domain *d, const struct dma_unmapped *ranges,
			  unsigned int count);

#endif
