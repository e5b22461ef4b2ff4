/* SPDX-License-Identifier: BSD-2-Clause */
/* Which commands of a guest's command queue are well-formed (IHI 0070 §4). */
#ifndef LIB_COMMAND_H
#define LIB_COMMAND_H

#include <stdint.h>

enum command_verdict {
	COMMAND_ILLEGAL,	/* CERROR_ILL */
	COMMAND_HINT,		/* CMD_PREFETCH_*: nothing to do */
	COMMAND_SYNC,
	COMMAND_STE,		/* CMD_CFGI_STE, _STE_RANGE and _ALL */
	COMMAND_CONFIG,		/* invalidates CDs of the StreamID in it */
	COMMAND_ATC,		/* CMD_ATC_INV, of the StreamID in it */
	COMMAND_TLBI,
};

/* For an SMMU with ID registers @idr; dwords in host order. */
enum command_verdict command_judge(const uint32_t idr[6], const uint64_t cmd[2]);

#endif
