/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/ste.h"

#include <errno.h>
#include <string.h>

#define BITS(hi, lo) (((~0ull) >> (63 - (hi))) & ((~0ull) << (lo)))

/* §5.2, dword 0. */
#define STE_0_V BITS(0, 0)
#define STE_0_CONFIG BITS(3, 1)
#define STE_0_CONFIG_SHIFT 1
#define STE_0_S1FMT BITS(5, 4)
#define STE_0_S1CONTEXTPTR BITS(51, 6)
#define STE_0_S1CDMAX BITS(63, 59)
/* Dword 1. */
#define STE_1_S1DSS BITS(1, 0)
#define STE_1_S1CIR BITS(3, 2)
#define STE_1_S1COR BITS(5, 4)
#define STE_1_S1CSH BITS(7, 6)
#define STE_1_S1STALLD BITS(27, 27)
#define STE_1_EATS BITS(29, 28)

#define STE_0_HARDWARE (STE_0_V | STE_0_CONFIG | STE_0_S1FMT | STE_0_S1CONTEXTPTR | STE_0_S1CDMAX)
#define STE_1_HARDWARE (STE_1_S1DSS | STE_1_S1CIR | STE_1_S1COR | STE_1_S1CSH | STE_1_S1STALLD | STE_1_EATS)

/* STE.Config: 0b0xx aborts, whatever xx; bit 0 of the others is stage 1, bit 1 stage 2. */
#define CONFIG_BYPASS 4
#define CONFIG_S1 5

const uint64_t ste_abort[2] = { STE_0_V, 0 };

int ste_reduce(const uint64_t ste[2], uint64_t out[2])
{
	unsigned int config = (ste[0] & STE_0_CONFIG) >> STE_0_CONFIG_SHIFT;

	/* An invalid entry aborts too. That the guest is owed C_BAD_STE for it, only hardware could tell, and it sees an abort STE. */
	if (!(ste[0] & STE_0_V) || config < CONFIG_BYPASS) {
		memcpy(out, ste_abort, sizeof(ste_abort));
		return 0;
	}
	switch (config) {
	case CONFIG_BYPASS:
		out[0] = STE_0_V | CONFIG_BYPASS << STE_0_CONFIG_SHIFT;
		out[1] = 0;
		return 0;
	case CONFIG_S1:
		out[0] = ste[0] & STE_0_HARDWARE;
		out[1] = ste[1] & STE_1_HARDWARE;
		return 0;
	default:
		return -EIO;
	}
}
