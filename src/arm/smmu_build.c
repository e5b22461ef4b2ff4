/* SPDX-License-Identifier: BSD-2-Clause */
#include "arm/smmu_build.h"

#include <errno.h>
#include <string.h>

#include "arm/vmsa_desc.h"

static const uint8_t ps_bits[] = { 32, 36, 40, 42, 44, 48 };

#define PS_CODES (sizeof(ps_bits) / sizeof(ps_bits[0]))

unsigned int smmu_ps_encode(unsigned int bits)
{
	unsigned int code = 0;

	while (code < PS_CODES - 1 && ps_bits[code] < bits)
		code++;
	return code;
}

unsigned int smmu_ps_bits(unsigned int code)
{
	return ps_bits[code < PS_CODES ? code : PS_CODES - 1];
}

static uint64_t tg0_encode(unsigned int granule_shift)
{
	return granule_shift == 12   ? SMMU_TG0_4K
	       : granule_shift == 14 ? SMMU_TG0_16K
				     : SMMU_TG0_64K;
}

static uint64_t tg1_encode(unsigned int granule_shift)
{
	return granule_shift == 12   ? SMMU_TG1_4K
	       : granule_shift == 14 ? SMMU_TG1_16K
				     : SMMU_TG1_64K;
}

/*
 * S2SL0 counts from another level for each granule (VTCR_EL2.SL0): 4K 2, 1, 0, 3 are 0 to 3; 16K
 * and 64K 3, 2, 1 are 0 to 2.
 */
static uint64_t sl0_encode(const struct vmsa_format *f)
{
	if (f->granule_shift != 12)
		return VMSA_LAST_LEVEL - f->start_level;
	return f->start_level == VMSA_LAST_LEVEL ? 3 : 2 - f->start_level;
}

static void set_config(uint64_t ste[SMMU_STE_DWORDS], uint64_t config)
{
	memset(ste, 0, SMMU_STE_DWORDS * sizeof(ste[0]));
	ste[0] = SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, config);
}

static void add_s1(uint64_t ste[SMMU_STE_DWORDS], const struct smmu_ste_s1 *s1)
{
	ste[0] |= (s1->cd_table & SMMU_STE_0_S1CONTEXTPTR) |
		  FIELD_PREP64(SMMU_STE_0_S1FMT, s1->format) |
		  FIELD_PREP64(SMMU_STE_0_S1CDMAX, s1->cd_max);
	ste[1] |= FIELD_PREP64(SMMU_STE_1_S1DSS, s1->default_substream) |
		  FIELD_PREP64(SMMU_STE_1_S1CIR, SMMU_STE_1_S1C_WBRA) |
		  FIELD_PREP64(SMMU_STE_1_S1COR, SMMU_STE_1_S1C_WBRA) |
		  FIELD_PREP64(SMMU_STE_1_S1CSH, SMMU_STE_1_SH_INNER);
}

static void add_s2(uint64_t ste[SMMU_STE_DWORDS], const struct smmu_ste_s2 *s2)
{
	const struct vmsa_format *f = &s2->format;

	ste[1] |= FIELD_PREP64(SMMU_STE_1_SHCFG, SMMU_STE_1_SHCFG_INCOMING);
	ste[2] |= FIELD_PREP64(SMMU_STE_2_S2VMID, s2->vmid) |
		  FIELD_PREP64(SMMU_STE_2_S2T0SZ, 64 - f->ia_bits) |
		  FIELD_PREP64(SMMU_STE_2_S2SL0, sl0_encode(f)) |
		  FIELD_PREP64(SMMU_STE_2_S2IR0, SMMU_STE_2_S2C_WBRWA) |
		  FIELD_PREP64(SMMU_STE_2_S2OR0, SMMU_STE_2_S2C_WBRWA) |
		  FIELD_PREP64(SMMU_STE_2_S2SH0, SMMU_STE_1_SH_INNER) |
		  FIELD_PREP64(SMMU_STE_2_S2TG, tg0_encode(f->granule_shift)) |
		  FIELD_PREP64(SMMU_STE_2_S2PS, smmu_ps_encode(f->oa_bits)) |
		  SMMU_STE_2_S2AA64 | SMMU_STE_2_S2R |
		  (s2->protect_walks ? SMMU_STE_2_S2PTW : 0);
	ste[3] |= s2->root & SMMU_STE_3_S2TTB;
}

void smmu_ste_abort(uint64_t ste[SMMU_STE_DWORDS])
{
	set_config(ste, SMMU_STE_0_CONFIG_ABORT);
}

void smmu_ste_bypass(uint64_t ste[SMMU_STE_DWORDS])
{
	set_config(ste, SMMU_STE_0_CONFIG_BYPASS);
	ste[1] |= FIELD_PREP64(SMMU_STE_1_SHCFG, SMMU_STE_1_SHCFG_INCOMING);
}

void smmu_ste_s1(uint64_t ste[SMMU_STE_DWORDS], const struct smmu_ste_s1 *s1, uint16_t vmid)
{
	set_config(ste, SMMU_STE_0_CONFIG_S1);
	add_s1(ste, s1);
	/* Stage-1 TLB entries carry the VMID too where stage 2 exists (§3.17.1). */
	ste[2] |= FIELD_PREP64(SMMU_STE_2_S2VMID, vmid);
}

void smmu_ste_s2(uint64_t ste[SMMU_STE_DWORDS], const struct smmu_ste_s2 *s2)
{
	set_config(ste, SMMU_STE_0_CONFIG_S2);
	add_s2(ste, s2);
}

void smmu_ste_nested(uint64_t ste[SMMU_STE_DWORDS], const struct smmu_ste_s1 *s1,
		     const struct smmu_ste_s2 *s2)
{
	set_config(ste, SMMU_STE_0_CONFIG_NESTED);
	add_s1(ste, s1);
	add_s2(ste, s2);
}

int smmu_vste_check(const uint64_t vste[2])
{
	uint64_t config = FIELD_GET64(SMMU_STE_0_CONFIG, vste[0]);
	uint64_t eats = FIELD_GET64(SMMU_STE_1_EATS, vste[1]);

	if (!(vste[0] & SMMU_STE_0_V))
		return 0;
	if (vste[0] & ~SMMU_VSTE_0_ALLOWED || vste[1] & ~SMMU_VSTE_1_ALLOWED)
		return -EIO;
	if (config != SMMU_STE_0_CONFIG_ABORT && config != SMMU_STE_0_CONFIG_BYPASS &&
	    config != SMMU_STE_0_CONFIG_S1)
		return -EIO;
	if (eats != SMMU_STE_1_EATS_ABORT && eats != SMMU_STE_1_EATS_TRANS)
		return -EIO;
	return 0;
}

void smmu_ste_from_vste(uint64_t ste[SMMU_STE_DWORDS], const uint64_t vste[2],
			const struct smmu_ste_s2 *s2)
{
	uint64_t config = FIELD_GET64(SMMU_STE_0_CONFIG, vste[0]);

	if (!(vste[0] & SMMU_STE_0_V) || config == SMMU_STE_0_CONFIG_ABORT) {
		smmu_ste_abort(ste);
		return;
	}
	smmu_ste_s2(ste, s2);
	if (config == SMMU_STE_0_CONFIG_BYPASS)
		return;
	ste[0] = (vste[0] & SMMU_VSTE_0_ALLOWED & ~SMMU_STE_0_CONFIG) |
		 FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_NESTED);
	ste[1] |= vste[1] & SMMU_VSTE_1_ALLOWED;
}

void smmu_cd_build(uint64_t cd[SMMU_CD_DWORDS], const struct smmu_cd *config)
{
	const struct smmu_cd_table *ttb0 = config->ttb0, *ttb1 = config->ttb1;

	memset(cd, 0, SMMU_CD_DWORDS * sizeof(cd[0]));
	cd[0] = SMMU_CD_0_V | SMMU_CD_0_AA64 | SMMU_CD_0_R | SMMU_CD_0_A | SMMU_CD_0_ASET |
		FIELD_PREP64(SMMU_CD_0_ASID, config->asid) |
		(config->tbi0 ? SMMU_CD_0_TBI0 : 0) | (config->tbi1 ? SMMU_CD_0_TBI1 : 0);
	if (ttb0 || ttb1)
		cd[0] |= FIELD_PREP64(SMMU_CD_0_IPS, smmu_ps_encode(ttb0 ? ttb0->format.oa_bits
									 : ttb1->format.oa_bits));

	if (ttb0) {
		cd[0] |= FIELD_PREP64(SMMU_CD_0_T0SZ, 64 - ttb0->format.ia_bits) |
			 FIELD_PREP64(SMMU_CD_0_TG0, tg0_encode(ttb0->format.granule_shift)) |
			 FIELD_PREP64(SMMU_CD_0_IR0, SMMU_CD_0_RGN_WBRWA) |
			 FIELD_PREP64(SMMU_CD_0_OR0, SMMU_CD_0_RGN_WBRWA) |
			 FIELD_PREP64(SMMU_CD_0_SH0, SMMU_CD_0_SH_INNER);
		cd[1] = ttb0->root & SMMU_CD_1_TTB0;
	} else {
		cd[0] |= SMMU_CD_0_EPD0;
	}
	if (ttb1) {
		cd[0] |= FIELD_PREP64(SMMU_CD_0_T1SZ, 64 - ttb1->format.ia_bits) |
			 FIELD_PREP64(SMMU_CD_0_TG1, tg1_encode(ttb1->format.granule_shift)) |
			 FIELD_PREP64(SMMU_CD_0_IR1, SMMU_CD_0_RGN_WBRWA) |
			 FIELD_PREP64(SMMU_CD_0_OR1, SMMU_CD_0_RGN_WBRWA) |
			 FIELD_PREP64(SMMU_CD_0_SH1, SMMU_CD_0_SH_INNER);
		cd[2] = ttb1->root & SMMU_CD_2_TTB1;
	} else {
		cd[0] |= SMMU_CD_0_EPD1;
	}
	cd[3] = VMSA_MAIR_NORMAL_WB << (8 * VMSA_ATTRINDX_NORMAL) |
		VMSA_MAIR_DEVICE_NGNRE << (8 * VMSA_ATTRINDX_DEVICE);
}
