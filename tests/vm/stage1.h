/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest keeps in its memory for a stage 1 of its own: tables, a context descriptor, and the
 * stream table entry that leads to them. All addresses are IPAs.
 */
#ifndef TESTS_VM_STAGE1_H
#define TESTS_VM_STAGE1_H

#include "arm/smmu_build.h"
#include "arm/vmsa.h"

struct stage1 {
	/* The caller's, before stage1_init(): memory of zeroes, and what of it may be used. */
	uint8_t *ram;
	uint64_t ram_ipa;
	uint64_t used, limit; /* tables are in [used, limit) from its start */
	unsigned int input_bits;
	uint16_t asid;
	/* Made by it. */
	struct vmsa_table table; /* 4 KiB granule; nothing mapped */
	uint64_t cd;
	uint64_t ste[SMMU_STE_DWORDS];
	uint64_t free_table; /* of those freed, the last one, or 0; each leads to the next */
};

/* 0 or -errno. Takes nothing that would have to be given back. */
int stage1_init(struct stage1 *s);

/* @size bytes for the guest's own structures, aligned to their size. 0 or -ENOMEM. */
int stage1_alloc(struct stage1 *s, uint64_t size, uint64_t *ipa);

static inline void *stage1_at(const struct stage1 *s, uint64_t ipa)
{
	return s->ram + (ipa - s->ram_ipa);
}

#endif
