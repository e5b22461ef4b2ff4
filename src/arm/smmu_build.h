/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building SMMUv3 stream table entries and context descriptors (Arm IHI 0070, §5.2, §5.4) as pure
 * functions: values in, dwords out. Installing them in memory in the right order (§3.21.3) is the
 * caller's.
 */
#ifndef ARM_SMMU_BUILD_H
#define ARM_SMMU_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "arm/smmu_regs.h"
#include "arm/vmsa.h"

/* Stage 1 of an STE: where the CDs are (an IPA when there is a stage 2). */
struct smmu_ste_s1 {
	uint64_t cd_table;		/* 64-byte aligned */
	unsigned int format;		/* SMMU_STE_0_S1FMT_*, with cd_max > 0 */
	unsigned int cd_max;		/* log2 of the CDs; 0: one CD, no substreams */
	unsigned int default_substream;	/* SMMU_STE_1_S1DSS_*, with cd_max > 0 */
};

/* Stage 2 of an STE. */
struct smmu_ste_s2 {
	struct vmsa_format format;	/* of the table at root */
	uint64_t root;
	uint16_t vmid;
	bool protect_walks;		/* S2PTW: stage-1 tables in Device memory fault */
};

/* Faults of stage 2 are recorded and abort; there is no stall. */
void smmu_ste_abort(uint64_t ste[SMMU_STE_DWORDS]);
void smmu_ste_bypass(uint64_t ste[SMMU_STE_DWORDS]);
void smmu_ste_s1(uint64_t ste[SMMU_STE_DWORDS], const struct smmu_ste_s1 *s1, uint16_t vmid);
void smmu_ste_s2(uint64_t ste[SMMU_STE_DWORDS], const struct smmu_ste_s2 *s2);
void smmu_ste_nested(uint64_t ste[SMMU_STE_DWORDS], const struct smmu_ste_s1 *s1,
		     const struct smmu_ste_s2 *s2);

/* What a guest may set in the two dwords of its own STE that count: its stage 1 and no more. */
#define SMMU_VSTE_0_ALLOWED                                                              \
	(SMMU_STE_0_V | SMMU_STE_0_CONFIG | SMMU_STE_0_S1FMT | SMMU_STE_0_S1CONTEXTPTR | \
	 SMMU_STE_0_S1CDMAX)
#define SMMU_VSTE_1_ALLOWED                                                          \
	(SMMU_STE_1_S1DSS | SMMU_STE_1_S1CIR | SMMU_STE_1_S1COR | SMMU_STE_1_S1CSH | \
	 SMMU_STE_1_S1STALLD | SMMU_STE_1_EATS)

/*
 * A guest's STE, of which only the first two dwords count (struct iommu_hwpt_arm_smmuv3 of the
 * iommufd uAPI). 0, or -EIO when it sets a field that is not the guest's, or asks for a stage 2. An
 * invalid one (V = 0) is well-formed: it aborts.
 */
int smmu_vste_check(const uint64_t vste[2]);

/*
 * The STE of a device whose guest wrote @vste (checked): abort, stage 2 alone, or the guest's stage
 * 1 over @s2.
 */
void smmu_ste_from_vste(uint64_t ste[SMMU_STE_DWORDS], const uint64_t vste[2],
			const struct smmu_ste_s2 *s2);

/* Context descriptor: TTB0, TTB1 or both; a NULL table is disabled (EPDn). */
struct smmu_cd_table {
	struct vmsa_format format;
	uint64_t root;
};

struct smmu_cd {
	const struct smmu_cd_table *ttb0, *ttb1;	/* of one oa_bits, which is the CD's IPS */
	uint16_t asid;
	bool tbi0, tbi1;		/* ignore the top byte of addresses */
};

/* MAIR has the two attributes that vmsa_map() uses; faults are recorded and abort. */
void smmu_cd_build(uint64_t cd[SMMU_CD_DWORDS], const struct smmu_cd *config);

/*
 * CD.IPS, STE.S2PS and IDR5.OAS share one encoding of address sizes. @bits: 32, 36, 40, 42, 44, 48.
 */
unsigned int smmu_ps_encode(unsigned int bits);
unsigned int smmu_ps_bits(unsigned int code);	/* codes beyond 48 bits behave as 48 */

#endif
