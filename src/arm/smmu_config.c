/* SPDX-License-Identifier: BSD-2-Clause */
/* From StreamID and SubstreamID to a decoded configuration: STE, then CD (§3.3, §5). */
#include <errno.h>
#include <string.h>

#include "arm/smmu_internal.h"

static int read_dwords(const struct smmu *smmu, uint64_t pa, uint64_t *dw, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		int rc = smmu->mem.read64(smmu->mem.ctx, pa + 8 * i, &dw[i]);

		if (rc)
			return rc;
	}
	return 0;
}

static void trace_dwords(const struct smmu_walk *w, enum smmu_step_kind kind, uint64_t index,
			 uint64_t addr, uint64_t pa, const uint64_t *dw, unsigned int count)
{
	struct smmu_step step = {
		.kind = kind,
		.index = index,
		.input = w->txn->addr,
		.addr = addr,
		.pa = pa,
	};

	memcpy(step.data, dw, count * sizeof(*dw));
	smmu_trace(w, &step);
}

/* --- STE --- */

/* §5.1: the second-level table of @sid; 0 and *ste_pa, or -EFAULT and the event. */
static int find_ste_2level(struct smmu_walk *w, uint64_t *ste_pa)
{
	const struct smmu *smmu = w->smmu;
	uint64_t index = w->txn->sid >> smmu->strtab_split;
	uint64_t low = w->txn->sid & (BIT64(smmu->strtab_split) - 1);
	uint64_t pa = smmu->strtab_base + index * 8;
	uint64_t l1std, span, table;

	if (read_dwords(smmu, pa, &l1std, 1))
		return smmu_fault_fetch(w, SMMU_EVT_F_STE_FETCH, pa);
	if (smmu_traced(w))
		trace_dwords(w, SMMU_STEP_PTR, index, pa, pa, &l1std, 1);
	/* §7.3.3: no table, a Reserved span, one larger than the split, or a StreamID beyond it. */
	span = FIELD_GET64(SMMU_L1STD_SPAN, l1std);
	if (!span || span > SMMU_L1STD_SPAN_MAX || span > smmu->strtab_split + 1u ||
	    low >> (span - 1))
		return smmu_fault_config(w, SMMU_EVT_C_BAD_STREAMID);
	table = l1std & SMMU_L1STD_L2PTR & ~((UINT64_C(1) << (SMMU_STE_SHIFT + span - 1)) - 1);
	*ste_pa = table + (low << SMMU_STE_SHIFT);
	return 0;
}

static int fetch_ste(struct smmu_walk *w, uint64_t dw[SMMU_STE_DWORDS])
{
	const struct smmu *smmu = w->smmu;
	uint64_t pa;
	int rc = 0;

	/*
	 * §7.3.3. Model choice: events of out-of-range StreamIDs are recorded, as with
	 * CR2.RECINVSID = 1.
	 */
	if ((uint64_t)w->txn->sid >> smmu->strtab_log2size)
		return smmu_fault_config(w, SMMU_EVT_C_BAD_STREAMID);
	pa = smmu->strtab_base + ((uint64_t)w->txn->sid << SMMU_STE_SHIFT);
	if (smmu->strtab_2level)
		rc = find_ste_2level(w, &pa);
	if (rc)
		return rc;
	/* §3.4.3 (5). Model choice: an address beyond OAS is not truncated. */
	if (pa >> smmu->features.oa_bits || read_dwords(smmu, pa, dw, SMMU_STE_DWORDS))
		return smmu_fault_fetch(w, SMMU_EVT_F_STE_FETCH, pa);
	if (smmu_traced(w))
		trace_dwords(w, SMMU_STEP_STE, w->txn->sid, pa, pa, dw, SMMU_STE_DWORDS);
	return 0;
}

static int find_ste(struct smmu_walk *w, struct smmu_ste *ste)
{
	uint64_t dw[SMMU_STE_DWORDS];
	int rc = fetch_ste(w, dw);

	if (rc)
		return rc;
	if (smmu_ste_decode(&w->smmu->features, dw, ste))
		return smmu_fault_config(w, SMMU_EVT_C_BAD_STE);
	return 0;
}

int smmu_fetch_ste(struct smmu *smmu, uint32_t sid, uint64_t ste[SMMU_STE_DWORDS])
{
	struct smmu_txn txn = { .sid = sid };
	struct smmu_result result;
	struct smmu_walk w = { .smmu = smmu, .txn = &txn, .res = &result };

	return fetch_ste(&w, ste);
}

/* --- CD --- */

/* Reads @count dwords of CD table at @addr: an IPA in a nested configuration. */
static int fetch_cd(struct smmu_walk *w, enum smmu_step_kind kind, uint64_t index, uint64_t addr,
		    uint64_t *dw, unsigned int count)
{
	uint64_t pa = addr;

	if (w->b.mode == SMMU_MODE_NESTED) {
		int rc = smmu_walk_s2_own(w, addr, SMMU_EVT_1_CLASS_CD, &pa);

		if (rc)
			return rc;
	}
	if (read_dwords(w->smmu, pa, dw, count))
		return smmu_fault_fetch(w, SMMU_EVT_F_CD_FETCH, pa);
	if (smmu_traced(w))
		trace_dwords(w, kind, index, addr, pa, dw, count);
	return 0;
}

/* §5.2 S1Fmt: 4 KiB second-level tables hold 64 CDs, 64 KiB ones 1,024. */
static int find_cd_2level(struct smmu_walk *w, const struct smmu_ste *ste, uint32_t ssid,
			  uint64_t *cd_addr)
{
	unsigned int split = ste->cd_format == SMMU_STE_0_S1FMT_4K_L2 ? 6 : 10;
	unsigned int l1_bits = ste->cd_max > split ? ste->cd_max - split : 0;
	uint64_t table = ste->cd_table & ~((UINT64_C(8) << l1_bits) - 1);
	uint64_t index = ssid >> split;
	uint64_t l1cd, l2;
	int rc = fetch_cd(w, SMMU_STEP_PTR, index, table + index * 8, &l1cd, 1);

	if (rc)
		return rc;
	l2 = l1cd & SMMU_L1CD_L2PTR & ~((UINT64_C(1) << (SMMU_CD_SHIFT + split)) - 1);
	/* §7.3.9; for a pointer beyond IAS that is our choice of §3.4.3 (4). */
	if (!(l1cd & SMMU_L1CD_V) || l2 >> w->smmu->features.oa_bits)
		return smmu_fault_config(w, SMMU_EVT_C_BAD_SUBSTREAMID);
	*cd_addr = l2 + ((ssid & (BIT64(split) - 1)) << SMMU_CD_SHIFT);
	return 0;
}

static int find_cd(struct smmu_walk *w, const struct smmu_ste *ste, uint32_t ssid,
		   struct smmu_context *cd)
{
	uint64_t dw[SMMU_CD_DWORDS];
	/* S1ContextPtr's bits below the table's size are RES0: the model ignores them. */
	uint64_t addr = (ste->cd_table & ~((UINT64_C(64) << ste->cd_max) - 1)) +
			((uint64_t)ssid << SMMU_CD_SHIFT);
	int rc = 0;

	if (ste->cd_format != SMMU_STE_0_S1FMT_LINEAR)
		rc = find_cd_2level(w, ste, ssid, &addr);
	if (!rc)
		rc = fetch_cd(w, SMMU_STEP_CD, ssid, addr, dw, SMMU_CD_DWORDS);
	if (rc)
		return rc;
	if (smmu_cd_decode(&w->smmu->features, dw, cd))
		return smmu_fault_config(w, SMMU_EVT_C_BAD_CD);
	return 0;
}

/* --- Both --- */

/*
 * §3.9, §5.2 S1DSS, §7.3.7, §7.3.9: does the transaction's SubstreamID, or its lack, go with the
 * STE? Says whether stage 1 takes part, and through which CD.
 */
static int select_substream(struct smmu_walk *w, const struct smmu_ste *ste, bool *stage1,
			    uint32_t *ssid)
{
	*stage1 = ste->s1;
	*ssid = 0;
	if (!w->txn->ssid_valid) {
		if (!ste->s1 || !ste->cd_max || ste->default_substream == SMMU_STE_1_S1DSS_SSID0)
			return 0;
		if (ste->default_substream == SMMU_STE_1_S1DSS_TERMINATE)
			return smmu_fault_config(w, SMMU_EVT_F_STREAM_DISABLED);
		*stage1 = false;
		return 0;
	}
	if (!ste->s1 || !ste->cd_max || w->txn->ssid >> ste->cd_max)
		return smmu_fault_config(w, SMMU_EVT_C_BAD_SUBSTREAMID);
	if (!w->txn->ssid && ste->default_substream == SMMU_STE_1_S1DSS_SSID0)
		return smmu_fault_config(w, SMMU_EVT_F_STREAM_DISABLED);
	*ssid = w->txn->ssid;
	return 0;
}

static void bind_ste(struct smmu_binding *b, const struct smmu_ste *ste, bool stage1)
{
	memset(b, 0, sizeof(*b));
	b->mode = stage1 ? (ste->s2 ? SMMU_MODE_NESTED : SMMU_MODE_S1)
			 : (ste->s2 ? SMMU_MODE_S2 : SMMU_MODE_BYPASS);
	b->vmid = ste->vmid;
	b->privileged = ste->privileged;
	b->instruction = ste->instruction;
	b->s2 = ste->s2_regime;
	b->s2_record = ste->s2_record;
	b->s2_protect_walks = ste->s2_protect_walks;
}

static void bind_cd(struct smmu_binding *b, const struct smmu_context *cd)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		b->ttb[i] = cd->ttb[i];
		b->epd[i] = cd->epd[i];
		b->tbi[i] = cd->tbi[i];
	}
	b->asid = cd->asid;
	b->wxn = cd->wxn;
	b->pan = cd->pan;
	b->s1_record = cd->record;
	b->s1_abort = cd->abort;
}

/* The attributes that permissions are checked with, and events report. */
static void apply_overrides(struct smmu_walk *w)
{
	const struct smmu_txn *txn = w->txn;

	w->privileged = w->b.privileged == SMMU_INCOMING ? txn->privileged
							 : w->b.privileged == SMMU_FORCE_SET;
	w->instruction = w->b.instruction == SMMU_INCOMING ? txn->instruction
							   : w->b.instruction == SMMU_FORCE_SET;
	/* §13.1.2: writes are data whatever they say. */
	w->instruction = w->instruction && txn->access == SMMU_READ;
	w->perm = vmsa_perm(w->privileged, txn->access == SMMU_WRITE, w->instruction);
}

/* The order of §3.3.2 and §7.3.22: STE, SubstreamID, CD. */
static int read_config(struct smmu_walk *w)
{
	struct smmu_context cd;
	struct smmu_ste ste;
	uint32_t ssid;
	bool stage1;
	int rc = find_ste(w, &ste);

	if (rc)
		return rc;
	if (ste.abort) {
		w->b = (struct smmu_binding){ .mode = SMMU_MODE_ABORT };
		return 0;
	}
	rc = select_substream(w, &ste, &stage1, &ssid);
	if (rc)
		return rc;
	bind_ste(&w->b, &ste, stage1);
	apply_overrides(w);
	tlb_ticket_take(&w->ticket, 1, tlb_epoch_of(&w->smmu->tlb, w->b.vmid));
	if (!stage1)
		return 0;
	rc = find_cd(w, &ste, ssid, &cd);
	if (!rc)
		bind_cd(&w->b, &cd);
	return rc;
}

int smmu_find_binding(struct smmu_walk *w)
{
	struct smmu *smmu = w->smmu;
	uint64_t key = cache_key(w->txn->sid, w->txn->ssid, w->txn->ssid_valid);
	int rc;

	tlb_ticket_take(&w->ticket, 0, cache_epoch_of(&smmu->cache, w->txn->sid));
	if (!smmu_traced(w) && cache_lookup(&smmu->cache, key, &w->b)) {
		apply_overrides(w);
		tlb_ticket_take(&w->ticket, 1, tlb_epoch_of(&smmu->tlb, w->b.vmid));
		return 0;
	}
	rc = read_config(w);
	if (!rc && !smmu_traced(w))
		cache_insert(&smmu->cache, key, &w->b, &w->ticket);
	return rc;
}
