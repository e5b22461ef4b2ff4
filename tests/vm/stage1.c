/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/stage1.h"

#include <errno.h>
#include <string.h>

#define PAGE 4096

/* A device may walk the tables while the guest changes them. */
static int read64(void *ctx, uint64_t ipa, uint64_t *value)
{
	*value = __atomic_load_n((uint64_t *)stage1_at(ctx, ipa), __ATOMIC_RELAXED);
	return 0;
}

static int write64(void *ctx, uint64_t ipa, uint64_t value)
{
	__atomic_store_n((uint64_t *)stage1_at(ctx, ipa), value, __ATOMIC_RELEASE);
	return 0;
}

int stage1_alloc(struct stage1 *s, uint64_t size, uint64_t *ipa)
{
	uint64_t at = (s->used + size - 1) & ~(size - 1);

	if (size == PAGE && s->free_table) {
		*ipa = s->free_table;
		read64(s, *ipa, &s->free_table);
		memset(stage1_at(s, *ipa), 0, PAGE);
		return 0;
	}
	if (at + size > s->limit)
		return -ENOMEM;
	s->used = at + size;
	*ipa = s->ram_ipa + at;
	return 0;
}

static int table_alloc(void *ctx, uint64_t size, uint64_t *ipa)
{
	return stage1_alloc(ctx, size, ipa);
}

static void table_free(void *ctx, uint64_t ipa, uint64_t size)
{
	struct stage1 *s = ctx;

	if (size != PAGE)
		return; /* goes with the memory */
	write64(s, ipa, s->free_table);
	s->free_table = ipa;
}

int stage1_init(struct stage1 *s)
{
	struct smmu_cd_table ttb0;
	const struct smmu_cd cd = { .ttb0 = &ttb0, .asid = s->asid };
	struct smmu_ste_s1 s1;
	int ret;

	s->table = (struct vmsa_table){
		.mem = { read64, write64, s },
		.alloc = table_alloc,
		.free = table_free,
		.ctx = s,
	};
	ret = vmsa_format_init(&s->table.format, VMSA_S1, 12, s->input_bits, 48);
	ret = ret ? ret : vmsa_table_init(&s->table);
	ret = ret ? ret : stage1_alloc(s, SMMU_CD_DWORDS * 8, &s->cd);
	if (ret)
		return ret;
	ttb0 = (struct smmu_cd_table){ s->table.format, s->table.root };
	smmu_cd_build(stage1_at(s, s->cd), &cd);
	s1 = (struct smmu_ste_s1){ .cd_table = s->cd };
	smmu_ste_s1(s->ste, &s1, 0);
	return 0;
}
