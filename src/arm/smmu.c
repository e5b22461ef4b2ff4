/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine: its memory, and a translation from the first look into the caches on. */
#include "arm/smmu.h"

#include <errno.h>
#include <string.h>

#include "arm/smmu_internal.h"

/* One configuration cache entry for so many TLB entries. */
#define TLB_PER_CONFIG 8

/*
 * Model choice: an SMMU of at least one set, and no more than a set for each 4 KiB of the largest
 * sensible TLB.
 */
#define TLB_MIN_ENTRIES 64u
#define TLB_MAX_ENTRIES (UINT32_C(1) << 24)

static uint32_t tlb_entries(const struct smmu_config *config)
{
	uint32_t wanted = config->tlb_entries ? config->tlb_entries : TLB_DEFAULT_ENTRIES;
	uint32_t entries = TLB_MIN_ENTRIES;

	while (entries < wanted && entries < TLB_MAX_ENTRIES)
		entries *= 2;
	return entries;
}

static size_t engine_size(void)
{
	return (sizeof(struct smmu) + 63) & ~(size_t)63;
}

size_t smmu_footprint(const struct smmu_config *config)
{
	uint32_t entries = tlb_entries(config);

	return engine_size() + tlb_footprint(entries) + cache_footprint(entries / TLB_PER_CONFIG);
}

struct smmu *smmu_init(void *memory, const struct smmu_config *config)
{
	uint32_t entries = tlb_entries(config);
	struct smmu *smmu = memory;
	char *sets = (char *)memory + engine_size();

	memset(smmu, 0, sizeof(*smmu));
	smmu->mem = config->mem;
	smmu_features_decode(&smmu->features, config->idr);
	smmu->two_level_streams =
		FIELD_GET64(SMMU_IDR0_ST_LEVEL, config->idr[0]) == SMMU_IDR0_ST_LEVEL_TWO;
	tlb_init(&smmu->tlb, sets, entries);
	cache_init(&smmu->cache, sets + tlb_footprint(entries), entries / TLB_PER_CONFIG);
	/*
	 * Before smmu_set_stream_table() only StreamID 0 is in range; its STE would be at address
	 * 0, which is not memory on any machine that we know.
	 */
	return smmu;
}

void smmu_set_stream_table(struct smmu *smmu, uint64_t strtab_base, uint32_t strtab_base_cfg)
{
	uint64_t base = strtab_base & SMMU_STRTAB_BASE_ADDR;
	unsigned int log2size = FIELD_GET64(SMMU_STRTAB_BASE_CFG_LOG2SIZE, strtab_base_cfg);
	unsigned int split = FIELD_GET64(SMMU_STRTAB_BASE_CFG_SPLIT, strtab_base_cfg);
	uint64_t size;

	if (log2size > smmu->features.sid_bits)
		log2size = smmu->features.sid_bits;
	/* §6.3.25: other values are Reserved and behave as 6. */
	if (split != 8 && split != 10)
		split = 6;
	smmu->strtab_2level =
		smmu->two_level_streams && FIELD_GET64(SMMU_STRTAB_BASE_CFG_FMT, strtab_base_cfg) ==
						   SMMU_STRTAB_BASE_CFG_FMT_2LVL;
	smmu->strtab_log2size = log2size;
	smmu->strtab_split = split;

	/*
	 * §6.3.24: the base is aligned to the table's size, by ignoring the bits below; of a
	 * first-level table, to 64 bytes at least.
	 */
	if (!smmu->strtab_2level)
		size = BIT64(log2size + SMMU_STE_SHIFT);
	else
		size = log2size > split + 3 ? UINT64_C(8) << (log2size - split) : 64;
	smmu->strtab_base = base & ~(size - 1);

	tlb_flush(&smmu->tlb);
	cache_flush(&smmu->cache);
}

/* §3.4: with all stages in bypass an address beyond OAS is a stage-1 Address Size fault. */
static int translate_bypass(struct smmu_walk *w)
{
	if (w->txn->addr >> w->smmu->features.oa_bits)
		return smmu_fault_s1(w, SMMU_EVT_F_ADDR_SIZE);
	w->res->pa = w->txn->addr;
	w->res->page_size = BIT64(w->smmu->features.oa_bits);
	if (smmu_traced(w))
		smmu_trace_pa(w, w->txn->addr);
	return 0;
}

static __attribute__((noinline)) int translate_walk(struct smmu *smmu, const struct smmu_txn *txn,
						    struct smmu_result *res)
{
	struct smmu_walk w;
	int rc;

	w.smmu = smmu;
	w.txn = txn;
	w.res = res;
	rc = smmu_find_binding(&w);
	if (rc)
		return rc;
	switch (w.b.mode) {
	case SMMU_MODE_ABORT:
		/* §5.2 Config: aborted, and no event. */
		res->record = false;
		res->abort = true;
		return -EFAULT;
	case SMMU_MODE_BYPASS:
		return translate_bypass(&w);
	default:
		w.va = txn->addr;
		if (w.b.tbi[w.va >> 55 & 1])
			w.va = smmu_ignore_top_byte(w.va);
		return smmu_walk_tables(&w);
	}
}

static bool overridden(uint64_t override, bool incoming)
{
	return override == SMMU_INCOMING ? incoming : override == SMMU_FORCE_SET;
}

static inline int hit_result(const struct tlb_hit *hit, uint64_t va, struct smmu_result *res)
{
	res->page_size = BIT64(hit->shift);
	res->pa = (hit->data & TLB_DATA_ADDR) | (va & (res->page_size - 1));
	return 0;
}

/*
 * Everything but the likeliest hit: other sizes and places in the TLB, overridden attributes,
 * addresses whose top byte is ignored, and misses.
 */
static __attribute__((noinline)) int translate_unlikely(struct smmu *smmu,
							const struct smmu_txn *txn,
							struct smmu_result *res,
							struct smmu_hot hot)
{
	bool privileged = overridden(FIELD_GET64(SMMU_HOT_PRIVILEGED, hot.flags), txn->privileged);
	bool instruction =
		overridden(FIELD_GET64(SMMU_HOT_INSTRUCTION, hot.flags), txn->instruction);
	uint64_t va = txn->addr;
	struct tlb_hit hit;

	if (hot.flags & (va >> 55 & 1 ? SMMU_HOT_TBI1 : SMMU_HOT_TBI0))
		va = smmu_ignore_top_byte(va);
	if (tlb_lookup_all(&smmu->tlb, FIELD_GET64(SMMU_HOT_KIND, hot.flags), hot.context, hot.mix,
			   va, &hit) &&
	    hit.data & vmsa_perm(privileged, txn->access == SMMU_WRITE, instruction))
		return hit_result(&hit, va, res);
	return translate_walk(smmu, txn, res);
}

/*
 * The likeliest hit is decided in this one function, so that it needs few registers, no stack, and
 * no load that a predicted branch has to wait for.
 */
__attribute__((hot)) int smmu_translate(struct smmu *smmu, const struct smmu_txn *txn, struct smmu_result *res)
{
	struct smmu_hot hot;
	struct tlb_hit hit;

	if (txn->tracer ||
	    !cache_hot(&smmu->cache, cache_key(txn->sid, txn->ssid, txn->ssid_valid), &hot) ||
	    !(hot.flags & SMMU_HOT_TRANSLATE))
		return translate_walk(smmu, txn, res);
	if (!(hot.flags & SMMU_HOT_RARE) &&
	    tlb_lookup_likely(&smmu->tlb, FIELD_GET64(SMMU_HOT_KIND, hot.flags), hot.context,
			      hot.mix, txn->addr, &hit) &&
	    hit.data & vmsa_perm(txn->privileged, txn->access == SMMU_WRITE, txn->instruction))
		return hit_result(&hit, txn->addr, res);
	return translate_unlikely(smmu, txn, res, hot);
}
