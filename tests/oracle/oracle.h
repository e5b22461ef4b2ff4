/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An independent SMMUv3 translator: slow, plain, and written from the architecture alone (Arm IHI 0070, DDI 0487). It shares nothing with
 * src/arm, caches nothing, and exists to disagree with it. Little-endian AArch64 tables, no stalls, no hardware update of flags.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <stdbool.h>
#include <stdint.h>

struct oracle_machine {
	uint32_t idr[6];
	uint64_t strtab_base;
	uint32_t strtab_base_cfg;
	/* False: external abort. */
	bool (*read)(void *ctx, uint64_t pa, uint64_t *value);
	void *ctx;
};

struct oracle_access {
	uint32_t sid, ssid;
	bool ssid_valid, write, privileged, instruction;
	uint64_t addr;
};

struct oracle_answer {
	bool ok;
	uint64_t pa;		/* if ok */
	bool record, abort;	/* if not */
	uint64_t event[4];	/* if record */
};

struct oracle_answer oracle_translate(const struct oracle_machine *m, const struct oracle_access *access);

#endif
