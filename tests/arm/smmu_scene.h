/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One stream behind stage 1, stage 2 or both, over the machine of arm_fixture.h. All memory is
 * mapped 1:1 in stage 2, so the guest's tables, which lie in it, have IPA = PA.
 */
#ifndef TESTS_ARM_SMMU_SCENE_H
#define TESTS_ARM_SMMU_SCENE_H

#include "arm_fixture.h"

#define SID 5u
#define VMID 3u
#define ASID 7u

/* Where the tests map things. */
#define VA UINT64_C(0x40000000)
#define IPA UINT64_C(0x8000000000)
#define PAGE (RAM_BASE + RAM_SIZE - 0x1000000)	/* 16 MiB of plain memory, 16 MiB aligned */

#define RW (VMSA_READ | VMSA_WRITE)

struct scene {
	struct machine m;
	struct vmsa_table s1, s2;
	uint64_t cd;	/* of the stream */
	uint64_t cd_words[8];
	uint64_t ste_words[8];
};

static inline void scene_set_cd(struct scene *s, const uint64_t cd[8])
{
	put_dwords(&s->m.ram, s->cd, cd, 8);
	machine_command(&s->m, SMMU_CMD_OP_CFGI_CD | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, SID), 0);
}

static inline void scene_set_ste(struct scene *s, const uint64_t ste[8])
{
	machine_set_ste(&s->m, SID, ste);
}

static inline struct smmu_ste_s1 scene_ste_s1(const struct scene *s)
{
	return (struct smmu_ste_s1){ .cd_table = s->cd };
}

static inline struct smmu_ste_s2 scene_ste_s2(const struct scene *s)
{
	return (struct smmu_ste_s2){ .format = s->s2.format, .root = s->s2.root, .vmid = VMID };
}

/* The STEs of the three configurations; the scene starts nested. */
static inline void scene_nested(struct scene *s)
{
	struct smmu_ste_s1 s1 = scene_ste_s1(s);
	struct smmu_ste_s2 s2 = scene_ste_s2(s);

	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
}

static inline void scene_s1_only(struct scene *s)
{
	struct smmu_ste_s1 s1 = scene_ste_s1(s);

	smmu_ste_s1(s->ste_words, &s1, VMID);
	scene_set_ste(s, s->ste_words);
}

static inline void scene_s2_only(struct scene *s)
{
	struct smmu_ste_s2 s2 = scene_ste_s2(s);

	smmu_ste_s2(s->ste_words, &s2);
	scene_set_ste(s, s->ste_words);
}

/*
 * Stage 2 of @granule2 maps the memory 1:1 in its smallest pages' multiples; stage 1 of @granule1
 * is empty.
 */
static inline void scene_init_with(struct scene *s, unsigned int granule1, unsigned int granule2)
{
	struct smmu_cd_table ttb0;
	struct smmu_cd cd;

	memset(s, 0, sizeof(*s));
	machine_init(&s->m);
	s->s1 = table_make(&s->m.ram, VMSA_S1, granule1, 48, 48);
	s->s2 = table_make(&s->m.ram, VMSA_S2, granule2, 48, 48);
	assert_int_equal(vmsa_map(&s->s2, RAM_BASE, RAM_BASE, RAM_SIZE, RW), 0);
	s->cd = ram_new(&s->m.ram, 64);
	ttb0 = (struct smmu_cd_table){ s->s1.format, s->s1.root };
	cd = (struct smmu_cd){ .ttb0 = &ttb0, .asid = ASID };
	smmu_cd_build(s->cd_words, &cd);
	scene_set_cd(s, s->cd_words);
	scene_nested(s);
}

static inline void scene_init(struct scene *s)
{
	scene_init_with(s, 12, 12);
}

static inline void scene_fini(struct scene *s)
{
	machine_fini(&s->m);
}

static inline int scene_setup(void **state)
{
	struct scene *s = malloc(sizeof(*s));

	assert_non_null(s);
	scene_init(s);
	*state = s;
	return 0;
}

static inline int scene_teardown(void **state)
{
	struct scene *s = *state;

	scene_fini(s);
	free(s);
	return 0;
}

/* The descriptor that a walk of @t for @ia ends at, and where it is. */
static inline uint64_t leaf_addr(struct vmsa_table *t, uint64_t ia)
{
	uint64_t table = t->root;
	unsigned int level;

	for (level = t->format.start_level;; level++) {
		unsigned int shift = vmsa_level_shift(t->format.granule_shift, level);
		uint64_t index = ia >> shift;
		uint64_t addr, desc;

		if (level > t->format.start_level)
			index &= (UINT64_C(1) << vmsa_stride(t->format.granule_shift)) - 1;
		addr = table + index * 8;
		desc = ram_get(t->mem.ctx, addr);
		if (level == VMSA_LAST_LEVEL || (desc & VMSA_DESC_TYPE) != VMSA_DESC_TYPE_TABLE)
			return addr;
		table = desc & VMSA_DESC_ADDR;
	}
}

#define scene_test(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

#endif
