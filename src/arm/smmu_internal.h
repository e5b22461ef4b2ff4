/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine's state, shared by smmu.c, smmu_walk.c and smmu_command.c. */
#ifndef ARM_SMMU_INTERNAL_H
#define ARM_SMMU_INTERNAL_H

#include "arm/smmu.h"
#include "arm/smmu_cache.h"
#include "arm/smmu_decode.h"
#include "arm/smmu_tlb.h"

struct smmu {
	/* Constant after smmu_init() and smmu_set_stream_table(). */
	struct arm_mem mem;
	struct smmu_features features;
	uint64_t strtab_base;
	uint8_t strtab_log2size;
	uint8_t strtab_split;
	bool strtab_2level;
	bool two_level_streams;	/* IDR0.ST_LEVEL */

	/*
	 * The order of members matters: what each look-up reads of both caches lies close together.
	 */
	struct cache cache;
	struct tlb tlb;
};

/*
 * A translation under way, past the caches' first look. Made in this order: the first three by
 * smmu_translate(), the rest but va by smmu_find_binding(). On its failure before the STE is known,
 * the attributes are the incoming ones.
 */
struct smmu_walk {
	struct smmu *smmu;
	const struct smmu_txn *txn;
	struct smmu_result *res;
	struct smmu_binding b;
	struct tlb_ticket ticket;
	uint64_t va;			/* txn->addr, sign-extended where the top byte is ignored */
	bool privileged, instruction;	/* after the STE's overrides */
	unsigned int perm;		/* the one VMSA_PERM_ bit that the access needs */
};

/*
 * What the stream and substream are configured for: w->b, from the cache or from memory. 0, or
 * -EFAULT and the event. smmu_config.c
 */
int smmu_find_binding(struct smmu_walk *w);

/* Walks the tables of w->b for w->va. 0 and the result, or -EFAULT and the event. smmu_walk.c */
int smmu_walk_tables(struct smmu_walk *w);

/*
 * Stage 2 of w->b, for an access that the SMMU makes itself to IPA @ipa (a CD, or a table of stage
 * 1): 0 and *pa, or -EFAULT and the event.
 */
int smmu_walk_s2_own(struct smmu_walk *w, uint64_t ipa, uint64_t class, uint64_t *pa);

/* --- Events (smmu_event.c). All return -EFAULT. --- */

/* A fault of the configuration (C_BAD_*, F_STREAM_DISABLED): only StreamID and SubstreamID. */
int smmu_fault_config(struct smmu_walk *w, uint64_t id);

/* F_STE_FETCH, F_CD_FETCH: and the PA that could not be read. */
int smmu_fault_fetch(struct smmu_walk *w, uint64_t id, uint64_t pa);

/* F_WALK_EABT: a descriptor at @pa could not be read. @stage2, @class: on whose behalf. */
int smmu_fault_walk(struct smmu_walk *w, bool stage2, uint64_t class, uint64_t pa);

/* F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION. @ipa counts for stage 2. */
int smmu_fault_s1(struct smmu_walk *w, uint64_t id);
int smmu_fault_s2(struct smmu_walk *w, uint64_t id, uint64_t class, uint64_t ipa);

/* TBI: the address is what its low 56 bits say, sign-extended (§3.4.1). */
static inline uint64_t smmu_ignore_top_byte(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 8) >> 8);
}

/* --- Tracing --- */

static inline bool smmu_traced(const struct smmu_walk *w)
{
	return w->txn->tracer != NULL;
}

static inline void smmu_trace(const struct smmu_walk *w, const struct smmu_step *step)
{
	w->txn->tracer->step(w->txn->tracer->ctx, step);
}

/* The end of a translation that succeeded. */
static inline void smmu_trace_pa(const struct smmu_walk *w, uint64_t pa)
{
	struct smmu_step step = { .kind = SMMU_STEP_PA, .input = w->txn->addr, .pa = pa };

	smmu_trace(w, &step);
}

#endif
