/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest's SMMU can do (IHI 0070 §6.3.1 to §6.3.6). The table in docs/vmm-guide.md says the
 * same; what is in none of the masks reads as 0.
 */
#include "lib/vsmmu.h"

#include <errno.h>

#include "sys/error.h"

/* Features that the guest has if the host has them. */
#define PASSED_0 (SMMU_IDR0_COHACC | SMMU_IDR0_ASID16 | SMMU_IDR0_CD2L)
#define PASSED_1 (SMMU_IDR1_ATTR_PERMS_OVR | SMMU_IDR1_ATTR_TYPES_OVR)
#define PASSED_3 (SMMU_IDR3_HAD | SMMU_IDR3_STT | SMMU_IDR3_RIL)
#define PASSED_5 (SMMU_IDR5_GRAN4K | SMMU_IDR5_GRAN16K | SMMU_IDR5_GRAN64K)

/* IDR0.STALL_MODEL */
#define STALL_FORCED 2

/* §6.3.8: 3.2. */
#define AIDR_MINOR 0xfu
#define AIDR_3_2 2u

/* What emulated devices can: all that src/arm does for them. */
static const struct db_smmu_info emulated = {
	.idr = {
		SMMU_IDR0_S1P | SMMU_IDR0_TTF_AARCH64 << 2 | PASSED_0 |
			SMMU_IDR0_TTENDIAN_LITTLE << 21,
		16 << 6 | SMMU_IDR1_ATTR_PERMS_OVR,
		0,
		PASSED_3 | UINT64_C(2) << 11,
		0,
		SMMU_IDR5_OAS_48 | PASSED_5,
	},
	.aidr = AIDR_3_2,
};

static uint64_t lower(uint64_t mask, uint32_t a, uint32_t b)
{
	return (a & mask) < (b & mask) ? a & mask : b & mask;
}

int vsmmu_idr_filter(const struct db_smmu_info *host, unsigned int sid_bits, bool msi,
		     struct db_smmu_info *out)
{
	const char *lacks = NULL;
	const uint32_t *idr;

	if (!host)
		host = &emulated;
	idr = host->idr;
	if (!(idr[0] & SMMU_IDR0_S1P))
		lacks = "stage 1";
	else if (!(FIELD_GET64(SMMU_IDR0_TTF, idr[0]) & SMMU_IDR0_TTF_AARCH64))
		lacks = "AArch64 tables";
	else if (FIELD_GET64(SMMU_IDR0_TTENDIAN, idr[0]) != SMMU_IDR0_TTENDIAN_MIXED &&
		 FIELD_GET64(SMMU_IDR0_TTENDIAN, idr[0]) != SMMU_IDR0_TTENDIAN_LITTLE)
		lacks = "little-endian tables";
	else if (FIELD_GET64(SMMU_IDR0_STALL_MODEL, idr[0]) == STALL_FORCED)
		lacks = "faults that do not stall";
	else if (!(idr[5] & PASSED_5))
		lacks = "a granule that is known";
	if (lacks) {
		db_error_set(-EOPNOTSUPP, "no virtual SMMU: the host's SMMU lacks %s", lacks);
		return -EOPNOTSUPP;
	}
	*out = (struct db_smmu_info){
		.idr = {
			SMMU_IDR0_S1P |
				FIELD_PREP64(SMMU_IDR0_TTF, SMMU_IDR0_TTF_AARCH64) |
				(idr[0] & (PASSED_0 | SMMU_IDR0_TERM_MODEL)) |
				FIELD_PREP64(SMMU_IDR0_TTENDIAN, SMMU_IDR0_TTENDIAN_LITTLE) |
				FIELD_PREP64(SMMU_IDR0_STALL_MODEL, SMMU_IDR0_STALL_MODEL_NONE) |
				FIELD_PREP64(SMMU_IDR0_ST_LEVEL, SMMU_IDR0_ST_LEVEL_TWO) |
				(msi ? SMMU_IDR0_MSI : 0),
			FIELD_PREP64(SMMU_IDR1_SIDSIZE, sid_bits) |
				(idr[1] & (PASSED_1 | SMMU_IDR1_SSIDSIZE)) |
				FIELD_PREP64(SMMU_IDR1_EVENTQS, VSMMU_QUEUE_LOG2) |
				FIELD_PREP64(SMMU_IDR1_CMDQS, VSMMU_QUEUE_LOG2),
			0,
			idr[3] & (PASSED_3 | SMMU_IDR3_BBML),
			0,
			lower(SMMU_IDR5_OAS, idr[5], SMMU_IDR5_OAS_48) | (idr[5] & PASSED_5),
		},
		.aidr = lower(AIDR_MINOR, host->aidr, AIDR_3_2),
	};
	return 0;
}

static const struct {
	const char *name;
	unsigned int reg;
	uint64_t mask;
	bool number;		/* more can do less; else each bit by itself */
} features[] = {
	{ "coherent table walks (COHACC)", 0, SMMU_IDR0_COHACC, false },
	{ "ASIDs of 16 bits (ASID16)", 0, SMMU_IDR0_ASID16, false },
	{ "two-level CD tables (CD2L)", 0, SMMU_IDR0_CD2L, false },
	{ "overriding permissions (ATTR_PERMS_OVR)", 1, SMMU_IDR1_ATTR_PERMS_OVR, false },
	{ "overriding memory types (ATTR_TYPES_OVR)", 1, SMMU_IDR1_ATTR_TYPES_OVR, false },
	{ "as many substreams (SSIDSIZE)", 1, SMMU_IDR1_SSIDSIZE, true },
	{ "hierarchical attributes off (HAD)", 3, SMMU_IDR3_HAD, false },
	{ "small translation tables (STT)", 3, SMMU_IDR3_STT, false },
	{ "range invalidation (RIL)", 3, SMMU_IDR3_RIL, false },
	{ "the break-before-make level (BBML)", 3, SMMU_IDR3_BBML, true },
	{ "4K pages", 5, SMMU_IDR5_GRAN4K, false },
	{ "16K pages", 5, SMMU_IDR5_GRAN16K, false },
	{ "64K pages", 5, SMMU_IDR5_GRAN64K, false },
	{ "as large addresses (OAS)", 5, SMMU_IDR5_OAS, true },
};

int vsmmu_idr_check(const struct db_smmu_info *info, const uint32_t host[6], const char *device)
{
	struct db_smmu_info theirs = { 0 };
	const char *lacks = NULL;
	unsigned int i;

	for (i = 0; i < 6; i++)
		theirs.idr[i] = host[i];
	if (vsmmu_idr_filter(&theirs, 0, false, &theirs))
		return -EOPNOTSUPP;
	for (i = 0; !lacks && i < sizeof(features) / sizeof(features[0]); i++) {
		uint64_t want = info->idr[features[i].reg] & features[i].mask;
		uint64_t have = theirs.idr[features[i].reg] & features[i].mask;

		if (features[i].number ? want > have : want & ~have)
			lacks = features[i].name;
	}
	/* TERM_MODEL is the other way round: 0 is the greater freedom. */
	if (theirs.idr[0] & ~info->idr[0] & SMMU_IDR0_TERM_MODEL)
		lacks = "faults that read as zero (TERM_MODEL 0)";
	if (!lacks)
		return 0;
	db_error_set(-EOPNOTSUPP, "the guest was told that its SMMU has %s, and the one in front of "
		     "%s has not: give db_vsmmu_create() less than both can", lacks, device);
	return -EOPNOTSUPP;
}
