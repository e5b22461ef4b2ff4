/* SPDX-License-Identifier: BSD-2-Clause */
/* Random SMMU configurations, tables, accesses and changes, mostly sensible, sometimes broken. */
#ifndef ORACLE_GENERATE_H
#define ORACLE_GENERATE_H

#include <stddef.h>

#include "world.h"

/* Choices: from @data as long as there is any (a fuzzer's), then pseudo-random from @state (not 0). */
struct rng {
	uint64_t state;
	const uint8_t *data;
	size_t size;
};

uint64_t rng_next(struct rng *rng);
unsigned int rng_below(struct rng *rng, unsigned int n);
bool rng_chance(struct rng *rng, unsigned int percent);

#define SCENE_ADDRESSES 24

/* What was built: where things are, so that accesses hit them and changes name them in their invalidations. */
struct scene {
	struct rng *rng;
	struct world *w;
	uint64_t next_free;		/* allocator in the pool */
	unsigned int granule[3];	/* [1] and [2]: shift */
	unsigned int ia_bits[3];
	unsigned int level[3];		/* start level */
	uint64_t root[3];		/* PA */
	uint64_t table_offset;		/* IPA of the pool minus its PA (0 without stage 2) */
	uint64_t ste_pa, cd_pa;
	uint32_t sid, ssid;
	bool ssid_valid, s1, s2, upper, broken;
	uint16_t asid, vmid;
	unsigned int n_addresses;
	uint64_t address[SCENE_ADDRESSES];	/* inputs that were mapped */
	uint64_t ipa[SCENE_ADDRESSES];		/* what stage 1 makes of them */
	unsigned int n_descriptors[3];
	uint64_t descriptor[3][512];		/* PAs of table entries written */
};

/* Restarts @w and builds a scene in it. */
void scene_build(struct scene *s, struct world *w, struct rng *rng);

struct oracle_access scene_access(struct scene *s);

/* Changes something in memory and sends the invalidation that the architecture asks for, and no more than one of its forms. */
void scene_change(struct scene *s);

#endif
