/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading stream table entries and context descriptors: is it legal (§5.2.2, §5.4.2), and what does
 * it say? Pure functions.
 *
 * What the model implements, whatever IDR claims beyond it: VMSAv8-64 tables, little-endian, up to
 * 48 bits; no hardware update of AF and dirty state; no stall model; StreamWorld NS-EL1 only
 * (IDR0.Hyp = 0); no ATS, PRI or MPAM; Non-secure state only.
 */
#ifndef ARM_SMMU_DECODE_H
#define ARM_SMMU_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "arm/smmu_regs.h"
#include "arm/vmsa_walk.h"

/* IDR0..5, decoded once. */
struct smmu_features {
	bool s1, s2;
	bool cd_2level;		/* CD2L */
	bool asid16, vmid16;
	bool raz_wi;		/* TERM_MODEL = 0: CD.A = 0 may be used */
	bool had, xnx, stt, ril;
	bool perms_override;	/* ATTR_PERMS_OVR */
	uint8_t granules;	/* bit 0: 4K, 1: 16K, 2: 64K */
	uint8_t ssid_bits, sid_bits;
	uint8_t oa_bits;	/* OAS, which is also the size of an IPA (IAS) */
};

void smmu_features_decode(struct smmu_features *f, const uint32_t idr[6]);

enum smmu_override {
	SMMU_INCOMING,
	SMMU_FORCE_CLEAR,
	SMMU_FORCE_SET,
};

struct smmu_ste {
	/* Config 0b0xx: nothing passes, nothing is recorded; the rest is not valid */
	bool abort;
	bool s1, s2;
	enum smmu_override privileged, instruction;
	uint16_t vmid;			/* 0 where there is no stage 2 in the SMMU */

	/* With s1. */
	uint64_t cd_table;
	uint8_t cd_format;		/* SMMU_STE_0_S1FMT_* */
	uint8_t cd_max;			/* 0: no substreams */
	uint8_t default_substream;	/* SMMU_STE_1_S1DSS_* */

	/* With s2. */
	struct vmsa_regime s2_regime;
	bool s2_record;			/* S2R */
	bool s2_protect_walks;		/* S2PTW */
};

/* NULL and *out, or why the STE is ILLEGAL (C_BAD_STE). */
const char *smmu_ste_decode(const struct smmu_features *f, const uint64_t ste[SMMU_STE_DWORDS],
			    struct smmu_ste *out);

struct smmu_context {
	struct vmsa_regime ttb[2];	/* not valid with epd */
	bool epd[2], tbi[2];
	bool wxn, pan;
	bool record, abort;		/* CD.R, CD.A */
	uint16_t asid;
};

/* NULL and *out, or why the CD is ILLEGAL (C_BAD_CD). */
const char *smmu_cd_decode(const struct smmu_features *f, const uint64_t cd[SMMU_CD_DWORDS],
			   struct smmu_context *out);

#endif
