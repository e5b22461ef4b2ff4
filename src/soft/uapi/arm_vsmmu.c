/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest may put into its stream table entries and its command queue. Which bits are allowed
 * is Linux 7.3's choice, beside the architecture's.
 */
#include <errno.h>

#include "arm/smmu_build.h"
#include "soft/uapi/arm_smmu.h"

/* What the machine's SMMUs do not have, but commands do (§4.4.1, §4.5.1, §6.3.6). */
#define IDR5_DS BIT64(7)
#define TLBI_0_SCALE_ALL GENMASK64(25, 20)	/* bit 25 belongs to IDR5.DS */
#define ATC_0_GLOBAL BIT64(9)
#define ATC_1_SIZE GENMASK64(5, 0)
#define ATC_1_SIZE_ALL 52
#define ATC_1_ADDRESS GENMASK64(63, 12)

int arm_vste_check(const uint64_t in[2], uint64_t ste[2])
{
	int rc = smmu_vste_check(in);
	bool valid = in[0] & SMMU_STE_0_V;

	/*
	 * An invalid STE is taken whatever else it says: it aborts. No device of the machine has
	 * ATS, so EATS stays out.
	 */
	ste[0] = valid ? in[0] : 0;
	ste[1] = valid ? in[1] & ~SMMU_STE_1_EATS : 0;
	return rc;
}

/* By Config alone, as Linux decides: an invalid STE was cleared to "abort" above. */
bool arm_vste_translates(const uint64_t ste[2])
{
	uint64_t config = FIELD_GET64(SMMU_STE_0_CONFIG, ste[0]);

	return config != SMMU_STE_0_CONFIG_ABORT && config != SMMU_STE_0_CONFIG_BYPASS;
}

/* Range fields with values that the architecture reserves (§4.4.1.1). */
static bool range_reserved(const struct arm_smmu *smmu, const uint64_t cmd[2])
{
	bool range = cmd[0] & (SMMU_CMD_TLBI_0_NUM | TLBI_0_SCALE_ALL);
	unsigned int ttl = FIELD_GET64(SMMU_CMD_TLBI_1_TTL, cmd[1]);
	unsigned int tg = FIELD_GET64(SMMU_CMD_TLBI_1_TG, cmd[1]);

	if (!tg)
		return range || ttl;
	if (tg == SMMU_CMD_TLBI_1_TG_16K && ttl == 1 && !(smmu->idr[5] & IDR5_DS))
		return true;
	return !range && !ttl;
}

/* The bits that a guest may set in a command, by opcode; -EIO for one it may not send at all. */
static int allowed_bits(const struct arm_smmu *smmu, const uint64_t cmd[2], uint64_t allowed[2])
{
	uint64_t asid = FIELD_PREP64(SMMU_CMD_TLBI_0_ASID,
				     smmu->idr[0] & SMMU_IDR0_ASID16 ? 0xffff : 0xff);
	bool substreams = smmu->idr[1] & SMMU_IDR1_SSIDSIZE;

	allowed[0] = SMMU_CMD_0_OP;
	allowed[1] = 0;
	switch (FIELD_GET64(SMMU_CMD_0_OP, cmd[0])) {
	case SMMU_CMD_OP_TLBI_NSNH_ALL:
		return 0;
	case SMMU_CMD_OP_TLBI_NH_VA:
	case SMMU_CMD_OP_TLBI_NH_VAA:
		if (FIELD_GET64(SMMU_CMD_0_OP, cmd[0]) == SMMU_CMD_OP_TLBI_NH_VA)
			allowed[0] |= asid;
		if (smmu->idr[3] & SMMU_IDR3_RIL) {
			if (range_reserved(smmu, cmd))
				return -EIO;
			allowed[0] |= SMMU_CMD_TLBI_0_NUM |
				      (smmu->idr[5] & IDR5_DS ? TLBI_0_SCALE_ALL
							      : SMMU_CMD_TLBI_0_SCALE);
			allowed[1] |= SMMU_CMD_TLBI_1_TG | SMMU_CMD_TLBI_1_TTL;
		}
		allowed[0] |= SMMU_CMD_TLBI_0_VMID;
		allowed[1] |= SMMU_CMD_CFGI_1_LEAF | SMMU_CMD_TLBI_1_VA;
		return 0;
	case SMMU_CMD_OP_TLBI_NH_ASID:
		allowed[0] |= asid | SMMU_CMD_TLBI_0_VMID;
		return 0;
	case SMMU_CMD_OP_TLBI_NH_ALL:
		allowed[0] |= SMMU_CMD_TLBI_0_VMID;
		return 0;
	case SMMU_CMD_OP_ATC_INV:
		if (!(smmu->idr[0] & SMMU_IDR0_ATS) ||
		    FIELD_GET64(ATC_1_SIZE, cmd[1]) > ATC_1_SIZE_ALL)
			return -EIO;
		if (substreams)
			allowed[0] |= SMMU_CMD_0_SSV | SMMU_CMD_CFGI_0_SSID | ATC_0_GLOBAL;
		allowed[0] |= SMMU_CMD_CFGI_0_SID;
		allowed[1] |= ATC_1_SIZE | ATC_1_ADDRESS;
		return 0;
	case SMMU_CMD_OP_CFGI_CD:
		if (substreams)
			allowed[0] |= SMMU_CMD_CFGI_0_SSID;
		allowed[0] |= SMMU_CMD_CFGI_0_SID;
		allowed[1] |= SMMU_CMD_CFGI_1_LEAF;
		return 0;
	case SMMU_CMD_OP_CFGI_CD_ALL:
		allowed[0] |= SMMU_CMD_CFGI_0_SID;
		return 0;
	default:
		return -EIO;
	}
}

int arm_vsmmu_convert(const struct arm_smmu *smmu, uint16_t vmid,
		      int (*vsid_to_sid)(void *ctx, uint32_t vsid, uint32_t *sid), void *ctx,
		      uint64_t cmd[2])
{
	uint64_t allowed[2];
	uint32_t sid;

	if (allowed_bits(smmu, cmd, allowed) || cmd[0] & ~allowed[0] || cmd[1] & ~allowed[1])
		return -EIO;
	switch (FIELD_GET64(SMMU_CMD_0_OP, cmd[0])) {
	case SMMU_CMD_OP_TLBI_NSNH_ALL:
		/* "All of EL1": for the guest, all of its VMID. */
		cmd[0] = SMMU_CMD_OP_TLBI_NH_ALL | FIELD_PREP64(SMMU_CMD_TLBI_0_VMID, vmid);
		cmd[1] = 0;
		return 0;
	case SMMU_CMD_OP_ATC_INV:
	case SMMU_CMD_OP_CFGI_CD:
	case SMMU_CMD_OP_CFGI_CD_ALL:
		if (vsid_to_sid(ctx, FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]), &sid))
			return -EIO;
		cmd[0] = (cmd[0] & ~SMMU_CMD_CFGI_0_SID) | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid);
		return 0;
	default:
		cmd[0] = (cmd[0] & ~SMMU_CMD_TLBI_0_VMID) |
			 FIELD_PREP64(SMMU_CMD_TLBI_0_VMID, vmid);
		return 0;
	}
}

void arm_vsmmu_send(struct arm_smmu *smmu, const uint64_t (*cmds)[2], size_t count)
{
	const uint64_t sync[1][2] = { { SMMU_CMD_OP_SYNC } };
	size_t done;

	while (count) {
		if (!smmu_dev_commands(smmu->hw, cmds, count, &done))
			break;
		/* CERROR_ILL: the driver steps over the command and goes on. */
		cmds += done + 1;
		count -= done + 1;
	}
	arm_smmu_send(smmu, sync, 0);
}
