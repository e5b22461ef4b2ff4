/* SPDX-License-Identifier: BSD-2-Clause */
/* VMSAv8-64 translation table descriptors (Arm DDI 0487, D8.3), 48-bit output addresses. */
#ifndef ARM_VMSA_DESC_H
#define ARM_VMSA_DESC_H

#include "arm/bits.h"

#define VMSA_LAST_LEVEL 3
#define VMSA_MAX_OA_BITS 48

/*
 * D8.3.1: the type of a descriptor. At the last level, PAGE is encoded as TABLE is elsewhere, and
 * BLOCK is reserved.
 */
#define VMSA_DESC_TYPE GENMASK64(1, 0)
#define VMSA_DESC_TYPE_BLOCK UINT64_C(1)
#define VMSA_DESC_TYPE_TABLE UINT64_C(3)
#define VMSA_DESC_TYPE_PAGE UINT64_C(3)
#define VMSA_DESC_VALID BIT64(0)

#define VMSA_DESC_ADDR GENMASK64(47, 12)

/* Table descriptors, stage 1 only: hierarchical permissions. */
#define VMSA_TABLE_PXN BIT64(59)
#define VMSA_TABLE_UXN BIT64(60)
#define VMSA_TABLE_AP_PRIV_ONLY BIT64(61)	/* APTable[0] */
#define VMSA_TABLE_AP_RDONLY BIT64(62)		/* APTable[1] */
#define VMSA_TABLE_HIERARCHY GENMASK64(62, 59)

/* Leaves, both stages. */
#define VMSA_LEAF_SH GENMASK64(9, 8)
#define VMSA_LEAF_SH_INNER UINT64_C(3)
#define VMSA_LEAF_AF BIT64(10)
#define VMSA_LEAF_CONT BIT64(52)

/* Stage-1 leaves. */
#define VMSA_S1_ATTRINDX GENMASK64(4, 2)
#define VMSA_S1_AP_UNPRIV BIT64(6)		/* AP[1] */
#define VMSA_S1_AP_RDONLY BIT64(7)		/* AP[2] */
#define VMSA_S1_NG BIT64(11)
#define VMSA_S1_PXN BIT64(53)
#define VMSA_S1_UXN BIT64(54)

/* Stage-2 leaves. */
#define VMSA_S2_MEMATTR GENMASK64(5, 2)
#define VMSA_S2_MEMATTR_DEVICE_NGNRE UINT64_C(1)
#define VMSA_S2_MEMATTR_NORMAL_WB UINT64_C(15)
#define VMSA_S2_MEMATTR_TYPE GENMASK64(5, 4)	/* 0: some Device type (without S2FWB) */
#define VMSA_S2_S2AP_READ BIT64(6)
#define VMSA_S2_S2AP_WRITE BIT64(7)
#define VMSA_S2_XN0 BIT64(53)
#define VMSA_S2_XN1 BIT64(54)

/*
 * The stage-1 builder uses two memory types; a CD made by smmu_cd_build() gives them these places
 * in MAIR.
 */
#define VMSA_ATTRINDX_NORMAL 0
#define VMSA_ATTRINDX_DEVICE 1
#define VMSA_MAIR_NORMAL_WB UINT64_C(0xff)
#define VMSA_MAIR_DEVICE_NGNRE UINT64_C(0x04)

/* Address bits that one level resolves: 9, 11, 13. */
static inline unsigned int vmsa_stride(unsigned int granule_shift)
{
	return granule_shift - 3;
}

/* log2 of what one entry at @level maps. */
static inline unsigned int vmsa_level_shift(unsigned int granule_shift, unsigned int level)
{
	return granule_shift + vmsa_stride(granule_shift) * (VMSA_LAST_LEVEL - level);
}

/* The largest block: 1 GiB, 32 MiB, 512 MiB (D8.3.1.1, without FEAT_LPA and FEAT_LPA2). */
static inline unsigned int vmsa_max_leaf_shift(unsigned int granule_shift)
{
	return vmsa_level_shift(granule_shift, granule_shift == 12 ? 1 : 2);
}

/* May a block (or page) stand at @level? */
static inline _Bool vmsa_leaf_allowed(unsigned int granule_shift, unsigned int level)
{
	return vmsa_level_shift(granule_shift, level) <= vmsa_max_leaf_shift(granule_shift);
}

/*
 * log2 of how many leaves at @level the contiguous hint joins (D8.7.1); 0: the hint has no meaning
 * there.
 */
static inline unsigned int vmsa_cont_shift(unsigned int granule_shift, unsigned int level)
{
	switch (granule_shift) {
	case 12:
		return level >= 1 ? 4 : 0;
	case 14:
		return level == 3 ? 7 : level == 2 ? 5 : 0;
	default:
		return level >= 2 ? 5 : 0;
	}
}

#endif
