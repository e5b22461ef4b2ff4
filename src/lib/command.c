/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of a guest (IHI 0070 §4). Whatever is not well-formed ends here: the kernel puts the
 * commands of all VMs on one queue, and one illegal command stops that. Fields that the SMMU in
 * question does not have are Reserved.
 */
#include "lib/command.h"

#include <stdbool.h>

#include "arm/smmu_regs.h"

/* The fields of dwords 0 and 1 that may be other than 0. */
struct command_form {
	enum command_verdict verdict;
	uint64_t field[2];
	uint64_t range[2];	/* those that exist with range invalidation (IDR3.RIL) */
	uint64_t substream[2];	/* those that exist with substreams (IDR1.SSIDSIZE) */
	bool has_asid;
};

#define TLBI_0_RANGE (SMMU_CMD_TLBI_0_NUM | SMMU_CMD_TLBI_0_SCALE)
#define TLBI_1_RANGE (SMMU_CMD_TLBI_1_TTL | SMMU_CMD_TLBI_1_TG)
/* CMD_ATC_INV, §4.5.1 */
#define ATC_INV_0_GLOBAL BIT64(9)
#define ATC_INV_1_SIZE GENMASK64(5, 0)
#define ATC_INV_1_SIZE_MAX 52		/* all addresses */
#define ATC_INV_1_ADDR GENMASK64(63, 12)
#define ASID_HIGH GENMASK64(63, 56)	/* of ASIDs of 16 bits */

/* By opcode, of 8 bits; what is not named here is illegal. */
static const struct command_form forms[256] = {
	/* Hints: what else they carry does not matter. */
	[SMMU_CMD_OP_PREFETCH_CONFIG] = {
		.verdict = COMMAND_HINT,
		.field = { ~SMMU_CMD_0_SSEC, ~UINT64_C(0) },
	},
	[SMMU_CMD_OP_PREFETCH_ADDR] = {
		.verdict = COMMAND_HINT,
		.field = { ~SMMU_CMD_0_SSEC, ~UINT64_C(0) },
	},
	[SMMU_CMD_OP_CFGI_STE] = {
		.verdict = COMMAND_STE,
		.field = { SMMU_CMD_CFGI_0_SID, SMMU_CMD_CFGI_1_LEAF },
	},
	[SMMU_CMD_OP_CFGI_STE_RANGE] = {
		.verdict = COMMAND_STE,
		.field = { SMMU_CMD_CFGI_0_SID, SMMU_CMD_CFGI_1_RANGE },
	},
	[SMMU_CMD_OP_CFGI_CD] = {
		.verdict = COMMAND_CONFIG,
		.field = { SMMU_CMD_CFGI_0_SID, SMMU_CMD_CFGI_1_LEAF },
		.substream = { SMMU_CMD_CFGI_0_SSID },
	},
	[SMMU_CMD_OP_CFGI_CD_ALL] = {
		.verdict = COMMAND_CONFIG,
		.field = { SMMU_CMD_CFGI_0_SID },
	},
	[SMMU_CMD_OP_TLBI_NH_ALL] = {
		.verdict = COMMAND_TLBI,
		.field = { SMMU_CMD_TLBI_0_VMID },
	},
	[SMMU_CMD_OP_TLBI_NH_ASID] = {
		.verdict = COMMAND_TLBI,
		.field = { SMMU_CMD_TLBI_0_VMID | SMMU_CMD_TLBI_0_ASID },
		.has_asid = true,
	},
	[SMMU_CMD_OP_TLBI_NH_VA] = {
		.verdict = COMMAND_TLBI,
		.field = {
			SMMU_CMD_TLBI_0_VMID | SMMU_CMD_TLBI_0_ASID,
			SMMU_CMD_TLBI_1_VA | SMMU_CMD_TLBI_1_LEAF,
		},
		.range = { TLBI_0_RANGE, TLBI_1_RANGE },
		.has_asid = true,
	},
	[SMMU_CMD_OP_TLBI_NH_VAA] = {
		.verdict = COMMAND_TLBI,
		.field = { SMMU_CMD_TLBI_0_VMID, SMMU_CMD_TLBI_1_VA | SMMU_CMD_TLBI_1_LEAF },
		.range = { TLBI_0_RANGE, TLBI_1_RANGE },
	},
	[SMMU_CMD_OP_TLBI_NSNH_ALL] = { .verdict = COMMAND_TLBI },
	[SMMU_CMD_OP_ATC_INV] = {
		.verdict = COMMAND_ATC,
		.field = { SMMU_CMD_CFGI_0_SID, ATC_INV_1_ADDR | ATC_INV_1_SIZE },
		.substream = { SMMU_CMD_0_SSV | SMMU_CMD_CFGI_0_SSID | ATC_INV_0_GLOBAL },
	},
	[SMMU_CMD_OP_SYNC] = {
		.verdict = COMMAND_SYNC,
		.field = { ~(SMMU_CMD_0_SSEC | SMMU_CMD_0_SSV), ~UINT64_C(0) },
	},
};

static bool reserved_bits(const uint32_t idr[6], const struct command_form *form,
			  const uint64_t cmd[2])
{
	uint64_t allowed;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		allowed = form->field[i] | (i ? 0 : SMMU_CMD_0_OP);
		if (idr[3] & SMMU_IDR3_RIL)
			allowed |= form->range[i];
		if (idr[1] & SMMU_IDR1_SSIDSIZE)
			allowed |= form->substream[i];
		if (!i && form->has_asid && !(idr[0] & SMMU_IDR0_ASID16))
			allowed &= ~ASID_HIGH;
		if (cmd[i] & ~allowed)
			return true;
	}
	return false;
}

/*
 * §4.4.1.1: without a granule there is no range; with one, a range of one granule at no level is
 * Reserved; and 16K tables have no blocks at level 1.
 */
static bool reserved_range(const uint64_t cmd[2])
{
	uint64_t tg = FIELD_GET64(SMMU_CMD_TLBI_1_TG, cmd[1]);
	uint64_t ttl = FIELD_GET64(SMMU_CMD_TLBI_1_TTL, cmd[1]);
	bool range = cmd[0] & TLBI_0_RANGE || ttl;

	return tg ? !range || (tg == SMMU_CMD_TLBI_1_TG_16K && ttl == 1) : range;
}

enum command_verdict command_judge(const uint32_t idr[6], const uint64_t cmd[2])
{
	unsigned int opcode = FIELD_GET64(SMMU_CMD_0_OP, cmd[0]);
	const struct command_form *form = &forms[opcode];

	if (form->verdict == COMMAND_ILLEGAL || reserved_bits(idr, form, cmd))
		return COMMAND_ILLEGAL;
	if (form->range[1] && reserved_range(cmd))
		return COMMAND_ILLEGAL;
	if (opcode == SMMU_CMD_OP_SYNC &&
	    FIELD_GET64(SMMU_CMD_SYNC_0_CS, cmd[0]) > SMMU_CMD_SYNC_0_CS_SEV)
		return COMMAND_ILLEGAL;
	if (opcode == SMMU_CMD_OP_ATC_INV &&
	    (!(idr[0] & SMMU_IDR0_ATS) ||
	     FIELD_GET64(ATC_INV_1_SIZE, cmd[1]) > ATC_INV_1_SIZE_MAX))
		return COMMAND_ILLEGAL;
	return form->verdict;
}
