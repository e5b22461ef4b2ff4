/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/ste.h"

#include <errno.h>
#include <string.h>

#include "arm/smmu_build.h"
#include "arm/smmu_regs.h"

const uint64_t ste_abort[2] = { SMMU_STE_0_V, 0 };

int ste_reduce(const uint64_t ste[2], uint64_t out[2])
{
	uint64_t config = FIELD_GET64(SMMU_STE_0_CONFIG, ste[0]);

	/*
	 * Config 0b0xx aborts, whatever xx. An invalid entry aborts too; that the guest is owed
	 * C_BAD_STE for it, only hardware could tell, and it sees an abort STE.
	 */
	if (!(ste[0] & SMMU_STE_0_V) || !(config & SMMU_STE_0_CONFIG_ENABLE_BIT)) {
		memcpy(out, ste_abort, sizeof(ste_abort));
		return 0;
	}
	switch (config) {
	case SMMU_STE_0_CONFIG_BYPASS:
		out[0] = SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, config);
		out[1] = 0;
		return 0;
	case SMMU_STE_0_CONFIG_S1:
		out[0] = ste[0] & SMMU_VSTE_0_ALLOWED;
		out[1] = ste[1] & SMMU_VSTE_1_ALLOWED;
		return smmu_vste_check(out);
	default:
		return -EIO;
	}
}

bool ste_has_s1(const uint64_t ste[2])
{
	return FIELD_GET64(SMMU_STE_0_CONFIG, ste[0]) == SMMU_STE_0_CONFIG_S1;
}
