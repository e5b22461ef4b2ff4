/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands (§4). Model choice: Reserved fields that are not zero are ignored, except where §4 says
 * CERROR_ILL.
 */
#include "arm/smmu_internal.h"

static const struct tlb_scope everything = {
	.s1 = true, .s2 = true, .any_vmid = true, .any_asid = true, .last = UINT64_MAX,
};

/* --- CFGI_*, §4.3 --- */

static int cfgi_ste_range(struct smmu *smmu, const uint64_t cmd[2])
{
	uint32_t sid = FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]);
	unsigned int range = FIELD_GET64(SMMU_CMD_CFGI_1_RANGE, cmd[1]);
	uint32_t mask = (UINT64_C(1) << (range + 1)) - 1;

	cache_invalidate(&smmu->cache, sid & ~mask, sid | mask, NULL);
	return 0;
}

static int cfgi_ste(struct smmu *smmu, const uint64_t cmd[2])
{
	uint32_t sid = FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]);

	cache_invalidate(&smmu->cache, sid, sid, NULL);
	return 0;
}

/*
 * First-level descriptors are not cached by themselves, so Leaf does not matter. CD_ALL drops the
 * STE with its CDs, as they are cached in one.
 */
static int cfgi_cd(struct smmu *smmu, const uint64_t cmd[2], bool all)
{
	uint32_t sid = FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]);
	uint32_t ssid = FIELD_GET64(SMMU_CMD_CFGI_0_SSID, cmd[0]);

	if (!smmu->features.s1)
		return SMMU_CERROR_ILL;
	cache_invalidate(&smmu->cache, sid, sid, all ? NULL : &ssid);
	return 0;
}

/* --- TLBI_*, §4.4 --- */

/*
 * The VMID and ASID of a command. Without stage 2, VMID is not matched and everything has VMID 0.
 */
static struct tlb_scope scope_of(const struct smmu *smmu, const uint64_t cmd[2])
{
	return (struct tlb_scope){
		.vmid = smmu->features.s2 ? FIELD_GET64(SMMU_CMD_TLBI_0_VMID, cmd[0]) : 0,
		.asid = FIELD_GET64(SMMU_CMD_TLBI_0_ASID, cmd[0]),
		.last = UINT64_MAX,
	};
}

static int tlbi_vmid(struct smmu *smmu, const uint64_t cmd[2], bool s2)
{
	struct tlb_scope scope = scope_of(smmu, cmd);

	if (s2 ? !smmu->features.s2 : !smmu->features.s1)
		return SMMU_CERROR_ILL;
	scope.s1 = true;
	scope.s2 = s2;
	scope.any_asid = true;
	tlb_invalidate(&smmu->tlb, &scope);
	return 0;
}

static int tlbi_asid(struct smmu *smmu, const uint64_t cmd[2])
{
	struct tlb_scope scope = scope_of(smmu, cmd);

	if (!smmu->features.s1)
		return SMMU_CERROR_ILL;
	scope.s1 = true;
	scope.keep_global = true;
	tlb_invalidate(&smmu->tlb, &scope);
	return 0;
}

/*
 * The addresses of an address-based command: one page, or a range when RIL is implemented and TG is
 * set (§4.4.1.1). TTL and Leaf only narrow what has to go; the model looks at every level, which
 * costs it nothing. SMMU_CERROR_ILL for the Reserved combination.
 *
 * Without TG the granule is not known: the command's address is any in the entry. With TG an
 * unaligned address is UNPREDICTABLE; the model starts at the granule that holds it.
 */
static int set_range(const struct smmu *smmu, const uint64_t cmd[2], uint64_t addr,
		     struct tlb_scope *scope)
{
	unsigned int tg = FIELD_GET64(SMMU_CMD_TLBI_1_TG, cmd[1]);
	uint64_t num = FIELD_GET64(SMMU_CMD_TLBI_0_NUM, cmd[0]);
	unsigned int scale = FIELD_GET64(SMMU_CMD_TLBI_0_SCALE, cmd[0]);
	unsigned int granule_shift = 10 + 2 * tg;
	uint64_t pages;

	scope->first = addr;
	scope->last = addr | 0xfff;
	if (!smmu->features.ril || !tg)
		return 0;
	if (!num && !scale && !FIELD_GET64(SMMU_CMD_TLBI_1_TTL, cmd[1]))
		return SMMU_CERROR_ILL;
	scope->first = addr & ~(BIT64(granule_shift) - 1);
	pages = (num + 1) << scale;
	/* It does not wrap round the end of the address space. */
	if (pages > (UINT64_MAX - scope->first) >> granule_shift)
		scope->last = UINT64_MAX;
	else
		scope->last = scope->first + (pages << granule_shift) - 1;
	return 0;
}

/* §4.4.2: TBI may apply. Entries are kept sign-extended, so it does. */
static int set_va_range(const struct smmu *smmu, const uint64_t cmd[2], struct tlb_scope *scope)
{
	return set_range(smmu, cmd, smmu_ignore_top_byte(cmd[1] & SMMU_CMD_TLBI_1_VA), scope);
}

int smmu_command_range(const struct smmu *smmu, const uint64_t cmd[2], uint64_t *first,
		       uint64_t *last)
{
	struct tlb_scope scope;
	int rc = set_va_range(smmu, cmd, &scope);

	*first = scope.first;
	*last = scope.last;
	return rc;
}

static int tlbi_va(struct smmu *smmu, const uint64_t cmd[2], bool any_asid)
{
	struct tlb_scope scope = scope_of(smmu, cmd);
	int rc;

	if (!smmu->features.s1)
		return SMMU_CERROR_ILL;
	rc = set_va_range(smmu, cmd, &scope);
	if (rc)
		return rc;
	scope.s1 = true;
	scope.any_asid = any_asid;
	tlb_invalidate(&smmu->tlb, &scope);
	return 0;
}

/* §4.4.3.1: combined entries stay; who uses nested translation adds TLBI_NH_ALL. */
static int tlbi_ipa(struct smmu *smmu, const uint64_t cmd[2])
{
	struct tlb_scope scope = scope_of(smmu, cmd);
	int rc;

	if (!smmu->features.s2)
		return SMMU_CERROR_ILL;
	rc = set_range(smmu, cmd, cmd[1] & SMMU_CMD_TLBI_1_IPA, &scope);
	if (rc)
		return rc;
	scope.s2 = true;
	tlb_invalidate(&smmu->tlb, &scope);
	return 0;
}

int smmu_command(struct smmu *smmu, const uint64_t cmd[2])
{
	/* §4.1.6: Secure state is not implemented. */
	if (cmd[0] & SMMU_CMD_0_SSEC)
		return SMMU_CERROR_ILL;

	switch (FIELD_GET64(SMMU_CMD_0_OP, cmd[0])) {
	case SMMU_CMD_OP_PREFETCH_CONFIG:
	case SMMU_CMD_OP_PREFETCH_ADDR:
		/* §4.2: hints. Memory is never touched by a command. */
		return 0;
	case SMMU_CMD_OP_CFGI_STE:
		return cfgi_ste(smmu, cmd);
	case SMMU_CMD_OP_CFGI_STE_RANGE:
		return cfgi_ste_range(smmu, cmd);
	case SMMU_CMD_OP_CFGI_CD:
		return cfgi_cd(smmu, cmd, false);
	case SMMU_CMD_OP_CFGI_CD_ALL:
		return cfgi_cd(smmu, cmd, true);
	case SMMU_CMD_OP_TLBI_NH_ALL:
		return tlbi_vmid(smmu, cmd, false);
	case SMMU_CMD_OP_TLBI_NH_ASID:
		return tlbi_asid(smmu, cmd);
	case SMMU_CMD_OP_TLBI_NH_VA:
		return tlbi_va(smmu, cmd, false);
	case SMMU_CMD_OP_TLBI_NH_VAA:
		return tlbi_va(smmu, cmd, true);
	case SMMU_CMD_OP_TLBI_S12_VMALL:
		return tlbi_vmid(smmu, cmd, true);
	case SMMU_CMD_OP_TLBI_S2_IPA:
		return tlbi_ipa(smmu, cmd);
	case SMMU_CMD_OP_TLBI_NSNH_ALL:
		tlb_invalidate(&smmu->tlb, &everything);
		return 0;
	case SMMU_CMD_OP_SYNC:
		/*
		 * Commands complete as they are executed; waiting for accesses under way is the
		 * caller's (smmu.h). CS 3 is Reserved.
		 */
		return FIELD_GET64(SMMU_CMD_SYNC_0_CS, cmd[0]) > SMMU_CMD_SYNC_0_CS_SEV
			       ? SMMU_CERROR_ILL
			       : 0;
	default:
		/*
		 * Not implemented here, so ILLEGAL: EL2 and EL3 (Hyp = 0), ATC_INV and PRI_RESP,
		 * RESUME and STALL_TERM, VMS_PIDM.
		 */
		return SMMU_CERROR_ILL;
	}
}
