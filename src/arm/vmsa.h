/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMSAv8-64 translation tables (Arm DDI 0487, D8): geometry, descriptors, and building. Walking is
 * in vmsa_walk.h.
 */
#ifndef ARM_VMSA_H
#define ARM_VMSA_H

#include <stdbool.h>
#include <stdint.h>

#include "arm/mem.h"

enum vmsa_stage {
	VMSA_S1 = 1,
	VMSA_S2 = 2,
};

/* Shape of a table: everything that follows from TCR/VTCR or CD/STE fields. */
struct vmsa_format {
	enum vmsa_stage stage;
	unsigned int granule_shift;	/* 12, 14, 16 */
	unsigned int ia_bits;		/* input address size, 64 - TxSZ */
	unsigned int oa_bits;		/* output address size: 32, 36, 40, 42, 44, 48 */
	unsigned int start_level;	/* 0..3 */
	/* tables side by side at the start level: 1, or 2..16 for stage 2 */
	unsigned int concat;
};

/*
 * Fills @f for the widest use of stage @stage: start level and concatenation as an OS chooses them.
 * -EINVAL: no such table.
 */
int vmsa_format_init(struct vmsa_format *f, enum vmsa_stage stage, unsigned int granule_shift,
		     unsigned int ia_bits, unsigned int oa_bits);

/* Bytes of the start-level table(s), at least VMSA_ROOT_MIN; also their alignment. */
#define VMSA_ROOT_MIN UINT64_C(64)
uint64_t vmsa_root_size(const struct vmsa_format *f);

/*
 * Sizes that one leaf can map, as a bit mask of bytes (4K granule: 4K, 2M, 1G), and with the
 * contiguous hint.
 */
uint64_t vmsa_leaf_sizes(const struct vmsa_format *f);

/* What a leaf says besides its address, independent of the stage. */
#define VMSA_READ (1u << 0)
#define VMSA_WRITE (1u << 1)
#define VMSA_EXEC (1u << 2)
#define VMSA_PRIV_ONLY (1u << 3)	/* stage 1: not for unprivileged accesses (AP[1] = 0) */
#define VMSA_DEVICE (1u << 4)		/* Device-nGnRE instead of Normal write-back memory */
#define VMSA_NOT_GLOBAL (1u << 5)	/* stage 1: nG */

/*
 * A table being built. Input addresses count from the start of the region that it translates: for a
 * TTBR1 table they are the VA's low ia_bits.
 * Not thread-safe against other changes of the same table; walks may go on at any time. @alloc gives
 * a zeroed, naturally aligned table of @size bytes and its address (host PA, or IPA for a guest).
 */
struct vmsa_table {
	struct vmsa_format format;
	struct arm_mem mem;		/* the builder's view of the tables' memory */
	int (*alloc)(void *ctx, uint64_t size, uint64_t *addr);
	void (*free)(void *ctx, uint64_t addr, uint64_t size);
	void *ctx;			/* of alloc and free */
	uint64_t root;			/* 0 until the first vmsa_table_init() */
};

int vmsa_table_init(struct vmsa_table *t);	/* allocates the root: 0 or the error of alloc */
void vmsa_table_fini(struct vmsa_table *t);	/* frees every table */

/*
 * Maps [ia, ia + size) to [oa, oa + size), in the largest leaves that alignment allows.
 * Granule-aligned. Stage 1 cannot take the right to read away: VMSA_WRITE or VMSA_EXEC alone also
 * allow reads there, and no right at all is -EINVAL. -EEXIST: part of it is mapped (nothing was
 * changed); -EINVAL: alignment or range; errors of alloc (nothing was changed).
 */
int vmsa_map(struct vmsa_table *t, uint64_t ia, uint64_t oa, uint64_t size, unsigned int prot);

/*
 * Unmaps what is mapped in [ia, ia + size); a leaf that reaches outside is split first. Tables that
 * become empty are not freed at once, since a walk may be under way: they are collected in *freed,
 * a list linked through their first dword (address of the next, 0 at the end), for vmsa_release()
 * once the TLB invalidation has completed. Returns 0, or the error of alloc when splitting failed
 * (nothing was changed).
 */
int vmsa_unmap(struct vmsa_table *t, uint64_t ia, uint64_t size, uint64_t *freed);
void vmsa_release(struct vmsa_table *t, uint64_t freed);

#endif
