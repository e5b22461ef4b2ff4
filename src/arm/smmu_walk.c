/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table walks of a TLB miss: stage 1, stage 2, and stage 1 through stage 2. At most 4 x 5 + 4
 * descriptors, each read once.
 */
#include <errno.h>

#include "arm/smmu_internal.h"

/* Stands for the leaf size (log2) of a stage that does not translate: larger than any real one. */
#define NO_LEAF 63

struct s2_result {
	uint64_t pa;
	unsigned int shift;	/* log2 of the leaf */
	unsigned int perms;
	bool device;
};

/* A fault in §7.3's numbers. */
static uint64_t event_of(enum vmsa_status fault)
{
	switch (fault) {
	case VMSA_FAULT_ADDR_SIZE:
		return SMMU_EVT_F_ADDR_SIZE;
	case VMSA_FAULT_ACCESS:
		return SMMU_EVT_F_ACCESS;
	default:
		return SMMU_EVT_F_TRANSLATION;
	}
}

/* The walk's state by value: an address taken would keep it out of registers when nobody traces. */
static __attribute__((noinline)) void trace_descriptor(const struct smmu_walk *w,
						       enum smmu_step_kind kind, struct vmsa_walk t,
						       uint64_t pa, uint64_t desc,
						       unsigned int depth)
{
	struct smmu_step step = {
		.kind = kind,
		.level = vmsa_walk_level(&t),
		.index = vmsa_walk_index(&t),
		.input = t.ia,
		.addr = vmsa_walk_addr(&t),
		.pa = pa,
		.data = { desc },
		.depth = depth,
	};

	smmu_trace(w, &step);
}

static inline int read_pa(const struct smmu_walk *w, uint64_t pa, uint64_t *desc)
{
	return w->smmu->mem.read64(w->smmu->mem.ctx, pa, desc);
}

/* --- The walk cache: last-level tables, by the address that led to them --- */

/* One stage of a walk, and under what its last-level tables are remembered. */
struct stage {
	const struct vmsa_regime *regime;
	uint64_t ia;
	bool upper;			/* stage 1: TTB1's half */
	enum tlb_kind tables;
	uint16_t asid;
	bool cacheable;			/* there is a last-level table below the root, at one PA */
};

/* Begins a walk: in the last level's table if that is known, else at the root. */
VMSA_SPECIALISED enum vmsa_status start_walk(const struct smmu_walk *w, struct vmsa_walk *t,
					     const struct stage *s, unsigned int granule_shift,
					     bool *skipped)
{
	uint32_t context = tlb_context(w->b.vmid, s->asid);
	struct tlb_hit hit;
	uint64_t hierarchy;

	/*
	 * If a VMID or ASID was given to two address spaces, the table found may be of another
	 * granule: it does not count then.
	 */
	*skipped = s->cacheable && !smmu_traced(w) && vmsa_in_range(s->regime, s->ia, s->upper) &&
		   tlb_lookup_table(&w->smmu->tlb, s->tables, context, tlb_mix(context), s->ia,
				    &hit) &&
		   hit.shift == granule_shift + vmsa_stride(granule_shift);
	if (!*skipped)
		return vmsa_walk_start(t, s->regime, granule_shift, s->ia, s->upper);
	hierarchy = FIELD_PREP64(VMSA_TABLE_HIERARCHY, FIELD_GET64(TLB_DATA_PERMS, hit.data));
	return vmsa_walk_resume(t, s->regime, granule_shift, s->ia, hit.data & TLB_DATA_ADDR,
				hierarchy);
}

/* The walk ended at the last level, in the table that holds the descriptor at @pa. */
static __attribute__((noinline)) void remember_table(const struct smmu_walk *w, struct stage s,
						     uint64_t pa, uint64_t hierarchy)
{
	unsigned int granule_shift = s.regime->granule_shift;
	unsigned int region = granule_shift + vmsa_stride(granule_shift);
	struct tlb_entry e = {
		.kind = s.tables,
		.vmid = w->b.vmid,
		.asid = s.asid,
		.addr = s.ia,
		.pa = pa & ~(BIT64(granule_shift) - 1),
		.shift = region,
		.leaf_shift = region,
		.perms = FIELD_GET64(VMSA_TABLE_HIERARCHY, hierarchy),
	};

	if (!smmu_traced(w))
		tlb_insert(&w->smmu->tlb, &e, &w->ticket);
}

/*
 * A table is worth remembering if other pages of its region follow. So every other page does it: in
 * dense regions the next one soon, and of pages far apart half save the effort.
 */
static inline bool worth_remembering(uint64_t ia, unsigned int granule_shift)
{
	unsigned int region = granule_shift + vmsa_stride(granule_shift);

	return !(((ia >> granule_shift) ^ (ia >> region)) & 1);
}

/* --- Stage 2 --- */

VMSA_SPECIALISED int walk_s2_granule(struct smmu_walk *w, unsigned int granule_shift, uint64_t ipa,
				     uint64_t class, struct s2_result *out)
{
	const struct stage s = {
		.regime = &w->b.s2,
		.ia = ipa,
		.tables = TLB_S2_TABLE,
		.cacheable = w->b.s2.start_level < VMSA_LAST_LEVEL,
	};
	struct vmsa_walk t;
	bool skipped;
	enum vmsa_status status = start_walk(w, &t, &s, granule_shift, &skipped);
	uint64_t pa = 0;

	while (status == VMSA_NEXT) {
		uint64_t desc;

		pa = vmsa_walk_addr(&t);
		if (read_pa(w, pa, &desc))
			return smmu_fault_walk(w, true, class, pa);
		if (__builtin_expect(smmu_traced(w), 0))
			trace_descriptor(w, SMMU_STEP_S2, t, pa, desc,
					 class != SMMU_EVT_1_CLASS_IN);
		status = vmsa_walk_step(&t, desc);
	}
	if (status)
		return smmu_fault_s2(w, event_of(status), class, ipa);
	if (s.cacheable && !skipped && t.shift == granule_shift)
		remember_table(w, s, pa, 0);
	out->pa = t.oa;
	out->shift = t.shift;
	out->perms = vmsa_s2_perms(t.desc, w->smmu->features.xnx);
	out->device = !(t.desc & VMSA_S2_MEMATTR_TYPE);
	return 0;
}

/*
 * Walks stage 2 for @ipa. @class says for what; it goes into the event of a fault. Permissions are
 * the caller's to check.
 */
static int walk_s2(struct smmu_walk *w, uint64_t ipa, uint64_t class, struct s2_result *out)
{
	if (w->b.s2.granule_shift == 12)
		return walk_s2_granule(w, 12, ipa, class, out);
	return walk_s2_granule(w, w->b.s2.granule_shift, ipa, class, out);
}

/*
 * May the SMMU read a table there? As unprivileged data (stage 2 does not tell privilege apart for
 * data), and not from a device under S2PTW.
 */
static bool own_read_allowed(const struct smmu_walk *w, unsigned int perms, bool device)
{
	return perms & VMSA_PERM_R && !(device && w->b.s2_protect_walks);
}

static __attribute__((noinline)) int walk_s2_own(struct smmu_walk *w, uint64_t ipa, uint64_t class,
						 bool keep, uint64_t *pa)
{
	struct s2_result r;
	struct tlb_entry e;
	int rc = walk_s2(w, ipa, class, &r);

	if (!rc && !own_read_allowed(w, r.perms, r.device))
		rc = smmu_fault_s2(w, SMMU_EVT_F_PERMISSION, class, ipa);
	if (rc)
		return rc;
	*pa = r.pa;
	if (!keep || smmu_traced(w))
		return 0;
	e = (struct tlb_entry){
		.kind = TLB_S2,
		.vmid = w->b.vmid,
		.device = r.device,
		.addr = ipa,
		.pa = r.pa & ~(BIT64(r.shift) - 1),
		.shift = r.shift,
		.leaf_shift = r.shift,
		.perms = r.perms,
	};
	tlb_insert(&w->smmu->tlb, &e, &w->ticket);
	return 0;
}

/*
 * With @keep, what is found is looked for and entered in the TLB; without, it is known to be of use
 * once. An entry that does not allow the read does not end it: the walk finds out why, or that the
 * tables say otherwise by now.
 */
VMSA_SPECIALISED int s2_own(struct smmu_walk *w, uint64_t ipa, uint64_t class, bool keep,
			    uint64_t *pa)
{
	uint32_t context = tlb_context(w->b.vmid, 0);
	struct tlb_hit hit;

	if (!keep || smmu_traced(w) ||
	    !tlb_lookup(&w->smmu->tlb, TLB_S2, context, tlb_mix(context), ipa, &hit) ||
	    !own_read_allowed(w, hit.data & TLB_DATA_PERMS, hit.data & TLB_DATA_DEVICE))
		return walk_s2_own(w, ipa, class, keep, pa);
	*pa = (hit.data & TLB_DATA_ADDR) | (ipa & (BIT64(hit.shift) - 1));
	return 0;
}

int smmu_walk_s2_own(struct smmu_walk *w, uint64_t ipa, uint64_t class, uint64_t *pa)
{
	return s2_own(w, ipa, class, true, pa);
}

/* --- Stage 1 --- */

struct s1_result {
	uint64_t oa;
	unsigned int shift;
	unsigned int perms;
	bool global;
};

/*
 * A stage-1 table larger than stage 2's pages may lie in several of them, so it has no single PA to
 * remember.
 */
static inline bool scattered(const struct smmu_walk *w, unsigned int granule_shift)
{
	return w->b.mode == SMMU_MODE_NESTED && w->b.s2.granule_shift < granule_shift;
}

VMSA_SPECIALISED int walk_s1_granule(struct smmu_walk *w, unsigned int granule_shift, bool upper,
				     struct s1_result *out)
{
	const struct vmsa_regime *r = &w->b.ttb[upper];
	const struct stage s = {
		.regime = r,
		.ia = w->va,
		.upper = upper,
		.tables = w->b.mode == SMMU_MODE_NESTED ? TLB_NESTED_TABLE : TLB_S1_TABLE,
		.asid = w->b.asid,
		.cacheable = r->start_level < VMSA_LAST_LEVEL && !scattered(w, granule_shift),
	};
	struct vmsa_walk t;
	bool skipped;
	enum vmsa_status status = start_walk(w, &t, &s, granule_shift, &skipped);
	uint64_t pa = 0;

	while (status == VMSA_NEXT) {
		uint64_t desc;

		pa = vmsa_walk_addr(&t);
		if (w->b.mode == SMMU_MODE_NESTED && !skipped) {
			/* The walk cache will know this one. */
			bool keep = !s.cacheable || t.shift != granule_shift;
			int rc = s2_own(w, pa, SMMU_EVT_1_CLASS_TTD, keep, &pa);

			if (rc)
				return rc;
		}
		if (read_pa(w, pa, &desc))
			return smmu_fault_walk(w, false, SMMU_EVT_1_CLASS_TTD, pa);
		if (__builtin_expect(smmu_traced(w), 0))
			trace_descriptor(w, SMMU_STEP_S1, t, pa, desc, 0);
		status = vmsa_walk_step(&t, desc);
	}
	if (status)
		return smmu_fault_s1(w, event_of(status));
	if (s.cacheable && !skipped && t.shift == granule_shift &&
	    worth_remembering(w->va, granule_shift))
		remember_table(w, s, pa, vmsa_walk_hierarchy(&t));
	out->oa = t.oa;
	out->shift = t.shift;
	out->perms = vmsa_s1_perms(t.desc, vmsa_walk_hierarchy(&t), w->b.wxn, w->b.pan);
	out->global = !(t.desc & VMSA_S1_NG);
	if (!(out->perms & w->perm))
		return smmu_fault_s1(w, SMMU_EVT_F_PERMISSION);
	return 0;
}

static int walk_s1(struct smmu_walk *w, struct s1_result *out)
{
	bool upper = w->va >> 55 & 1;

	if (w->b.epd[upper])
		return smmu_fault_s1(w, SMMU_EVT_F_TRANSLATION);
	if (w->b.ttb[upper].granule_shift == 12)
		return walk_s1_granule(w, 12, upper, out);
	return walk_s1_granule(w, w->b.ttb[upper].granule_shift, upper, out);
}

static enum tlb_kind leaf_kind(enum smmu_mode mode)
{
	if (mode == SMMU_MODE_S1)
		return TLB_S1;
	return mode == SMMU_MODE_NESTED ? TLB_NESTED : TLB_S2;
}

int smmu_walk_tables(struct smmu_walk *w)
{
	struct s1_result s1 = { .oa = w->va, .shift = NO_LEAF, .perms = VMSA_PERM_ALL };
	struct s2_result s2 = { .shift = NO_LEAF, .perms = VMSA_PERM_ALL };
	struct tlb_entry e;
	int rc = 0;

	if (w->b.mode != SMMU_MODE_S2)
		rc = walk_s1(w, &s1);
	/* §3.4: what stage 1 passes on unchanged must still be an address that exists. */
	else if (w->va >> w->smmu->features.oa_bits)
		rc = smmu_fault_s1(w, SMMU_EVT_F_ADDR_SIZE);
	if (rc)
		return rc;

	s2.pa = s1.oa;
	if (w->b.mode != SMMU_MODE_S1) {
		rc = walk_s2(w, s1.oa, SMMU_EVT_1_CLASS_IN, &s2);
		if (!rc && !(s2.perms & w->perm))
			rc = smmu_fault_s2(w, SMMU_EVT_F_PERMISSION, SMMU_EVT_1_CLASS_IN, s1.oa);
		if (rc)
			return rc;
	}
	e = (struct tlb_entry){
		.kind = leaf_kind(w->b.mode),
		.vmid = w->b.vmid,
		.asid = w->b.asid,
		.global = s1.global,
		.device = s2.device,
		.addr = w->va,
		.perms = s1.perms & s2.perms,
		.shift = s1.shift < s2.shift ? s1.shift : s2.shift,
	};
	e.leaf_shift = w->b.mode == SMMU_MODE_S2 ? e.shift : s1.shift;
	e.pa = s2.pa & ~(BIT64(e.shift) - 1);
	w->res->pa = s2.pa;
	w->res->page_size = BIT64(e.shift);
	if (smmu_traced(w))
		smmu_trace_pa(w, s2.pa);
	else
		tlb_insert(&w->smmu->tlb, &e, &w->ticket);
	return 0;
}
