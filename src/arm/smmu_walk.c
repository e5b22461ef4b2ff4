/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table walks of a TLB miss: stage 1, stage 2, and stage 1 through stage 2. At most 4 x 5 + 4 descriptors, each read once.
 */
#include <errno.h>

#include "arm/smmu_internal.h"

struct s2_result {
	uint64_t pa;
	unsigned int shift;	/* log2 of the leaf */
	unsigned int perms;
	bool device;
};

/* vmsa_fault in §7.3's numbers. */
static uint64_t event_of(enum vmsa_fault fault)
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

static void trace_descriptor(const struct smmu_walk *w, enum smmu_step_kind kind, const struct vmsa_walk *t, uint64_t pa,
			     uint64_t desc, unsigned int depth)
{
	struct smmu_step step = {
		.kind = kind,
		.level = vmsa_walk_level(t),
		.index = vmsa_walk_index(t),
		.input = t->ia,
		.addr = vmsa_walk_addr(t),
		.pa = pa,
		.data = { desc },
		.depth = depth,
	};

	smmu_trace(w, &step);
}

/* A descriptor of either stage, from PA @pa. 0, or an error of the memory. */
VMSA_SPECIALISED int read_descriptor(struct smmu_walk *w, enum smmu_step_kind kind, const struct vmsa_walk *t, uint64_t pa, uint64_t *desc,
				     unsigned int depth)
{
	const struct arm_mem *mem = &w->smmu->mem;
	int rc = mem->read64(mem->ctx, pa, desc);

	if (__builtin_expect(smmu_traced(w), 0) && !rc)
		trace_descriptor(w, kind, t, pa, *desc, depth);
	return rc;
}

VMSA_SPECIALISED int walk_s2_granule(struct smmu_walk *w, unsigned int granule_shift, uint64_t ipa, uint64_t class, struct s2_result *out)
{
	struct vmsa_walk t;
	enum vmsa_fault fault = vmsa_walk_start(&t, &w->b.s2, granule_shift, ipa, false);

	while (!fault && t.state == VMSA_WALK_TABLE) {
		uint64_t pa = vmsa_walk_addr(&t), desc;

		if (read_descriptor(w, SMMU_STEP_S2, &t, pa, &desc, class != SMMU_EVT_1_CLASS_IN))
			return smmu_fault_walk(w, true, class, pa);
		fault = vmsa_walk_step(&t, desc);
	}
	if (fault)
		return smmu_fault_s2(w, event_of(fault), class, ipa);
	out->pa = t.oa;
	out->shift = t.shift;
	out->perms = vmsa_s2_perms(t.desc, w->smmu->features.xnx);
	out->device = !(t.desc & VMSA_S2_MEMATTR_TYPE);
	return 0;
}

/* Walks stage 2 for @ipa. @class says for what; it goes into the event of a fault. Permissions are the caller's to check. */
static int walk_s2(struct smmu_walk *w, uint64_t ipa, uint64_t class, struct s2_result *out)
{
	if (w->b.s2.granule_shift == 12)
		return walk_s2_granule(w, 12, ipa, class, out);
	return walk_s2_granule(w, w->b.s2.granule_shift, ipa, class, out);
}

/* The SMMU reads its tables as unprivileged data (stage 2 does not tell privilege apart for data). */
static int check_s2_own(struct smmu_walk *w, unsigned int perms, bool device, uint64_t class, uint64_t ipa)
{
	if (!(perms & VMSA_PERM_R) || (device && w->b.s2_protect_walks))
		return smmu_fault_s2(w, SMMU_EVT_F_PERMISSION, class, ipa);
	return 0;
}

int smmu_walk_s2_own(struct smmu_walk *w, uint64_t ipa, uint64_t class, uint64_t *pa)
{
	struct tlb *tlb = &w->smmu->tlb;
	uint32_t context = tlb_context(w->b.vmid, 0);
	struct s2_result r;
	struct tlb_hit hit;
	int rc;

	if (!smmu_traced(w) && tlb_lookup(tlb, TLB_S2, context, tlb_mix(context), ipa, &hit)) {
		uint64_t in_page = BIT64(hit.shift) - 1;

		*pa = (hit.data & TLB_DATA_ADDR & ~in_page) | (ipa & in_page);
		if (!check_s2_own(w, hit.data & TLB_DATA_PERMS, hit.data & TLB_DATA_DEVICE, class, ipa))
			return 0;
		/* The tables may say otherwise by now; if they do not, the event is the same. */
	}
	rc = walk_s2(w, ipa, class, &r);
	if (!rc)
		rc = check_s2_own(w, r.perms, r.device, class, ipa);
	if (rc)
		return rc;
	*pa = r.pa;
	if (!smmu_traced(w)) {
		struct tlb_entry e = {
			.kind = TLB_S2,
			.vmid = w->b.vmid,
			.device = r.device,
			.addr = ipa,
			.pa = r.pa,
			.shift = r.shift,
			.leaf_shift = r.shift,
			.perms = r.perms,
		};

		tlb_insert(tlb, &e, &w->ticket);
	}
	return 0;
}

struct s1_result {
	uint64_t oa;
	unsigned int shift;
	unsigned int perms;
	bool global;
};

VMSA_SPECIALISED int walk_s1_granule(struct smmu_walk *w, unsigned int granule_shift, bool upper, struct s1_result *out)
{
	struct vmsa_walk t;
	enum vmsa_fault fault = vmsa_walk_start(&t, &w->b.ttb[upper], granule_shift, w->va, upper);

	while (!fault && t.state == VMSA_WALK_TABLE) {
		uint64_t addr = vmsa_walk_addr(&t), pa = addr, desc;

		if (w->b.mode == SMMU_MODE_NESTED) {
			int rc = smmu_walk_s2_own(w, addr, SMMU_EVT_1_CLASS_TTD, &pa);

			if (rc)
				return rc;
		}
		if (read_descriptor(w, SMMU_STEP_S1, &t, pa, &desc, 0))
			return smmu_fault_walk(w, false, SMMU_EVT_1_CLASS_TTD, pa);
		fault = vmsa_walk_step(&t, desc);
	}
	if (fault)
		return smmu_fault_s1(w, event_of(fault));
	out->oa = t.oa;
	out->shift = t.shift;
	out->perms = vmsa_s1_perms(t.desc, t.hierarchy, w->b.wxn, w->b.pan);
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

static void finish(struct smmu_walk *w, const struct tlb_entry *e)
{
	w->res->pa = e->pa;
	w->res->page_size = BIT64(e->shift);
	if (!smmu_traced(w)) {
		tlb_insert(&w->smmu->tlb, e, &w->ticket);
		return;
	}
	smmu_trace(w, &(struct smmu_step){ .kind = SMMU_STEP_PA, .input = w->txn->addr, .pa = e->pa });
}

int smmu_walk_tables(struct smmu_walk *w)
{
	struct s1_result s1 = { .oa = w->va, .shift = 63, .perms = VMSA_PERM_ALL };
	struct s2_result s2 = { .shift = 63, .perms = VMSA_PERM_ALL };
	struct tlb_entry e = {
		.kind = w->b.mode == SMMU_MODE_S1 ? TLB_S1 : w->b.mode == SMMU_MODE_NESTED ? TLB_NESTED : TLB_S2,
		.vmid = w->b.vmid,
		.asid = w->b.asid,
		.addr = w->va,
	};
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
	e.global = s1.global;
	e.device = s2.device;
	e.pa = s2.pa;
	e.perms = s1.perms & s2.perms;
	e.shift = s1.shift < s2.shift ? s1.shift : s2.shift;
	e.leaf_shift = w->b.mode == SMMU_MODE_S2 ? e.shift : s1.shift;
	finish(w, &e);
	return 0;
}
