/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables: geometry, the builder, the walker, and that both agree. */
#include "arm_fixture.h"

#include "arm/vmsa_walk.h"

#define K UINT64_C(1024)
#define M (K * K)
#define G (K * M)

static struct vmsa_regime regime_of(const struct vmsa_table *t)
{
	return (struct vmsa_regime){
		.root = t->root,
		.granule_shift = t->format.granule_shift,
		.ia_bits = t->format.ia_bits,
		.oa_bits = t->format.oa_bits,
		.start_level = t->format.start_level,
		.af_fault = true,
		.flat = t->format.stage == VMSA_S2,
	};
}

static enum vmsa_status walk(struct vmsa_table *t, uint64_t ia, struct vmsa_walk *w)
{
	static struct vmsa_regime r;
	enum vmsa_status fault;

	r = regime_of(t);
	fault = vmsa_walk_start(w, &r, r.granule_shift, ia, false);
	while (fault == VMSA_NEXT)
		fault = vmsa_walk_step(w, ram_get(t->mem.ctx, vmsa_walk_addr(w)));
	return fault;
}

static uint64_t walk_oa(struct vmsa_table *t, uint64_t ia)
{
	struct vmsa_walk w;

	assert_int_equal(walk(t, ia, &w), VMSA_OK);
	return w.oa;
}

static unsigned int walk_shift(struct vmsa_table *t, uint64_t ia)
{
	struct vmsa_walk w;

	assert_int_equal(walk(t, ia, &w), VMSA_OK);
	return w.shift;
}

static void assert_unmapped(struct vmsa_table *t, uint64_t ia)
{
	struct vmsa_walk w;

	assert_int_equal(walk(t, ia, &w), VMSA_FAULT_TRANSLATION);
}

/* --- Geometry --- */

static void formats(void **state)
{
	static const struct {
		enum vmsa_stage stage;
		unsigned int granule, ia, level, concat;
		uint64_t root;
	} cases[] = {
		/* 4K: 9 bits a level from bit 12 */
		{ VMSA_S1, 12, 48, 0, 1, 4096 },
		{ VMSA_S1, 12, 40, 0, 1, 64 },
		{ VMSA_S1, 12, 39, 1, 1, 4096 },
		{ VMSA_S1, 12, 31, 1, 1, 64 },
		{ VMSA_S1, 12, 30, 2, 1, 4096 },
		{ VMSA_S1, 12, 25, 2, 1, 128 },
		{ VMSA_S2, 12, 48, 0, 1, 4096 },
		{ VMSA_S2, 12, 44, 0, 1, 256 },
		{ VMSA_S2, 12, 43, 1, 16, 16 * 4096 },
		{ VMSA_S2, 12, 40, 1, 2, 2 * 4096 },
		{ VMSA_S2, 12, 39, 1, 1, 4096 },
		{ VMSA_S2, 12, 34, 2, 16, 16 * 4096 },
		{ VMSA_S2, 12, 32, 2, 4, 4 * 4096 },
		/* 16K: 11 bits a level from bit 14 */
		{ VMSA_S1, 14, 48, 0, 1, 64 },
		{ VMSA_S1, 14, 47, 1, 1, 16 * K },
		{ VMSA_S1, 14, 36, 2, 1, 16 * K },
		{ VMSA_S1, 14, 25, 3, 1, 16 * K },
		{ VMSA_S2, 14, 48, 1, 2, 32 * K },
		{ VMSA_S2, 14, 40, 2, 16, 256 * K },
		{ VMSA_S2, 14, 29, 3, 16, 256 * K },
		/* 64K: 13 bits a level from bit 16 */
		{ VMSA_S1, 16, 48, 1, 1, 512 },
		{ VMSA_S1, 16, 42, 2, 1, 64 * K },
		{ VMSA_S1, 16, 29, 3, 1, 64 * K },
		{ VMSA_S2, 16, 48, 1, 1, 512 },
		{ VMSA_S2, 16, 46, 2, 16, 1024 * K },
		{ VMSA_S2, 16, 33, 3, 16, 1024 * K },
	};
	struct vmsa_format f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			vmsa_format_init(&f, cases[i].stage, cases[i].granule, cases[i].ia, 48), 0);
		assert_int_equal(f.start_level, cases[i].level);
		assert_int_equal(f.concat, cases[i].concat);
		assert_int_equal(vmsa_root_size(&f), cases[i].root);
	}
}

static void formats_refused(void **state)
{
	struct vmsa_format f;

	(void)state;
	assert_int_equal(vmsa_format_init(&f, VMSA_S1, 13, 48, 48), -EINVAL);
	assert_int_equal(vmsa_format_init(&f, VMSA_S1, 12, 24, 48), -EINVAL);
	assert_int_equal(vmsa_format_init(&f, VMSA_S1, 12, 49, 48), -EINVAL);
	assert_int_equal(vmsa_format_init(&f, VMSA_S1, 12, 48, 52), -EINVAL);
	assert_int_equal(vmsa_format_init(&f, VMSA_S1, 12, 48, 33), -EINVAL);
	assert_int_equal(vmsa_format_init(&f, 3, 12, 48, 48), -EINVAL);
}

static void leaf_sizes(void **state)
{
	struct vmsa_format f;

	(void)state;
	vmsa_format_init(&f, VMSA_S1, 12, 48, 48);
	assert_int_equal(vmsa_leaf_sizes(&f), 4 * K | 64 * K | 2 * M | 32 * M | G | 16 * G);
	vmsa_format_init(&f, VMSA_S1, 14, 48, 48);
	assert_int_equal(vmsa_leaf_sizes(&f), 16 * K | 2 * M | 32 * M | G);
	vmsa_format_init(&f, VMSA_S1, 16, 48, 48);
	assert_int_equal(vmsa_leaf_sizes(&f), 64 * K | 2 * M | 512 * M | 16 * G);
	/* No block is larger than the whole space. */
	vmsa_format_init(&f, VMSA_S1, 12, 26, 48);
	assert_int_equal(vmsa_leaf_sizes(&f), 4 * K | 64 * K | 2 * M | 32 * M);
}

/* --- The builder --- */

struct fixture {
	struct ram ram;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ram_init(&f->ram);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ram_fini(&f->ram);
	free(f);
	return 0;
}

static void largest_leaves(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S1, 12, 48, 48);

	/* 1 GiB + 2 MiB + 4 KiB, all aligned alike. */
	assert_int_equal(vmsa_map(&t, 4 * G, 8 * G, G + 2 * M + 4 * K, VMSA_READ), 0);
	assert_int_equal(walk_shift(&t, 4 * G), 30);
	assert_int_equal(walk_shift(&t, 5 * G), 21);
	assert_int_equal(walk_shift(&t, 5 * G + 2 * M), 12);
	assert_int_equal(walk_oa(&t, 4 * G + 12345678), 8 * G + 12345678);
	assert_int_equal(walk_oa(&t, 5 * G + 2 * M + 17), 9 * G + 2 * M + 17);
	assert_unmapped(&t, 5 * G + 2 * M + 4 * K);
	assert_unmapped(&t, 4 * G - 1);

	/* An output that is aligned less makes the leaves small. */
	assert_int_equal(vmsa_map(&t, 16 * G, 8 * G + 4 * K, 4 * M, VMSA_READ), 0);
	assert_int_equal(walk_shift(&t, 16 * G + 2 * M), 12);
	assert_int_equal(walk_oa(&t, 16 * G + 4 * M - 1), 8 * G + 4 * K + 4 * M - 1);

	vmsa_table_fini(&t);
	assert_int_equal(f->ram.live, 0);
}

static void map_refused(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S1, 14, 40, 40);
	uint64_t freed;

	assert_int_equal(vmsa_map(&t, 4 * K, 0, 16 * K, VMSA_READ), -EINVAL);
	assert_int_equal(vmsa_map(&t, 0, 4 * K, 16 * K, VMSA_READ), -EINVAL);
	assert_int_equal(vmsa_map(&t, 0, 0, 4 * K, VMSA_READ), -EINVAL);
	assert_int_equal(vmsa_map(&t, 0, 0, 0, VMSA_READ), -EINVAL);
	assert_int_equal(vmsa_map(&t, UINT64_C(1) << 40, 0, 16 * K, VMSA_READ), -EINVAL);
	assert_int_equal(vmsa_map(&t, (UINT64_C(1) << 40) - 16 * K, 0, 32 * K, VMSA_READ), -EINVAL);
	assert_int_equal(vmsa_map(&t, -(16 * K), 0, 32 * K, VMSA_READ), -EINVAL);
	assert_int_equal(vmsa_map(&t, 0, (UINT64_C(1) << 40) - 16 * K, 32 * K, VMSA_READ), -EINVAL);
	assert_int_equal(vmsa_map(&t, 0, 0, 16 * K, VMSA_DEVICE), -EINVAL);
	assert_int_equal(vmsa_unmap(&t, 0, 4 * K, &freed), -EINVAL);
	assert_int_equal(vmsa_map(&t, (UINT64_C(1) << 40) - 16 * K, 0, 16 * K, VMSA_READ), 0);
	vmsa_table_fini(&t);
	assert_int_equal(f->ram.live, 0);
}

static void map_twice(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S2, 12, 40, 40);
	uint64_t live;

	assert_int_equal(vmsa_map(&t, G, G, 4 * K, VMSA_READ), 0);
	live = f->ram.live;
	/* The overlap is at the end: nothing before it may have changed. */
	assert_int_equal(vmsa_map(&t, G - 8 * K, 0, 12 * K, VMSA_READ), -EEXIST);
	assert_int_equal(f->ram.live, live);
	assert_unmapped(&t, G - 8 * K);
	assert_int_equal(walk_oa(&t, G), G);
	vmsa_table_fini(&t);
}

static void map_without_memory(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S2, 12, 48, 48);
	uint64_t live = f->ram.live;
	unsigned int n;

	/* Three tables for one end, two more for the other. */
	for (n = 1;; n++) {
		f->ram.fail_at = f->ram.allocations + n;
		if (!vmsa_map(&t, G - 4 * K, 0, 8 * K, VMSA_READ))
			break;
		assert_int_equal(f->ram.live, live);
		assert_unmapped(&t, G - 4 * K);
		assert_unmapped(&t, G);
	}
	assert_int_equal(n, 6);
	assert_int_equal(walk_oa(&t, G), 4 * K);
	vmsa_table_fini(&t);
	assert_int_equal(f->ram.live, 0);
}

static void splits(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S2, 12, 48, 48);
	uint64_t freed = 1;
	struct vmsa_walk w;

	assert_int_equal(vmsa_map(&t, 2 * G, 6 * G, G, VMSA_READ | VMSA_EXEC | VMSA_DEVICE), 0);
	assert_int_equal(vmsa_unmap(&t, 2 * G + 2 * M + 4 * K, 4 * K, &freed), 0);
	assert_int_equal(freed, 0);
	assert_unmapped(&t, 2 * G + 2 * M + 4 * K);
	assert_int_equal(walk_oa(&t, 2 * G + 2 * M), 6 * G + 2 * M);
	assert_int_equal(walk_oa(&t, 2 * G + 2 * M + 8 * K), 6 * G + 2 * M + 8 * K);
	assert_int_equal(walk_shift(&t, 2 * G), 21);
	assert_int_equal(walk_oa(&t, 3 * G - 1), 7 * G - 1);

	/* What the pieces say is what the block said. */
	assert_int_equal(walk(&t, 2 * G + 2 * M, &w), VMSA_OK);
	assert_int_equal(vmsa_s2_perms(w.desc, true), VMSA_PERM_R | VMSA_PERM_X |
							      (VMSA_PERM_R | VMSA_PERM_X)
								      << VMSA_PERM_PRIV_SHIFT);
	assert_int_equal(FIELD_GET64(VMSA_S2_MEMATTR, w.desc), VMSA_S2_MEMATTR_DEVICE_NGNRE);
	vmsa_table_fini(&t);
	assert_int_equal(f->ram.live, 0);
}

static void split_without_memory(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S1, 12, 48, 48);
	uint64_t freed, live;
	unsigned int n;

	assert_int_equal(vmsa_map(&t, 0, 0, 2 * G, VMSA_READ), 0);
	live = f->ram.live;
	for (n = 1;; n++) {
		f->ram.fail_at = f->ram.allocations + n;
		if (!vmsa_unmap(&t, G - 4 * K, 8 * K, &freed))
			break;
		assert_int_equal(f->ram.live, live);
		assert_int_equal(walk_shift(&t, G - 1), 30);
		assert_int_equal(walk_shift(&t, G), 30);
	}
	assert_int_equal(n, 5);
	assert_unmapped(&t, G);
	assert_int_equal(walk_oa(&t, G + 4 * K), G + 4 * K);
	vmsa_release(&t, freed);
	vmsa_table_fini(&t);
	assert_int_equal(f->ram.live, 0);
}

/* Memory of which the n-th access fails, as that of a guest may. */
struct weak {
	struct ram *ram;
	unsigned int accesses, fail_at;
};

static int weak_read64(void *ctx, uint64_t pa, uint64_t *value)
{
	struct weak *weak = ctx;

	return ++weak->accesses == weak->fail_at ? -EFAULT : ram_read64(weak->ram, pa, value);
}

static int weak_write64(void *ctx, uint64_t pa, uint64_t value)
{
	struct weak *weak = ctx;

	return ++weak->accesses == weak->fail_at ? -EFAULT : ram_write64(weak->ram, pa, value);
}

/* Whatever access fails, the builder says so and ends; what it left can be unmapped or mapped. */
static void memory_fails(void **state)
{
	struct fixture *f = *state;
	unsigned int n, failed = 0;

	for (n = 1; n <= failed + 1; n++) {
		struct weak weak = { .ram = &f->ram };
		struct vmsa_table t = table_make(&f->ram, VMSA_S1, 12, 48, 48);
		uint64_t freed = 0;
		int rc;

		t.mem = (struct arm_mem){ weak_read64, weak_write64, &weak };
		weak.fail_at = n;
		rc = vmsa_map(&t, G - 4 * K, 0, 8 * K, VMSA_READ);
		if (!rc)
			rc = vmsa_map(&t, 4 * G, 4 * G, 2 * G, VMSA_READ);
		if (!rc)
			rc = vmsa_map(&t, 64 * K, 64 * K, 64 * K, VMSA_READ);
		if (!rc)
			rc = vmsa_unmap(&t, 64 * K, 4 * K, &freed);
		vmsa_release(&t, freed);
		if (!rc)
			rc = vmsa_unmap(&t, 5 * G - 4 * K, 8 * K, &freed);
		vmsa_release(&t, freed);
		if (!rc)
			rc = vmsa_unmap(&t, 0, 16 * G, &freed);
		vmsa_release(&t, freed);
		failed += rc != 0;
		if (rc)
			assert_int_equal(rc, -EFAULT);
		t.mem = ram_mem(&f->ram);
		assert_int_equal(vmsa_unmap(&t, 0, 16 * G, &freed), 0);
		vmsa_release(&t, freed);
		assert_int_equal(vmsa_map(&t, 0, 0, 16 * G, VMSA_READ), 0);
		assert_int_equal(walk_oa(&t, 5 * G), 5 * G);
		vmsa_table_fini(&t);
		f->ram.next = RAM_BASE;
	}
	assert_true(failed > 20);
}

static void deferred_free(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S1, 12, 48, 48);
	uint64_t freed, live = f->ram.live, leaf_table, n = 0, p;
	struct vmsa_walk w;

	assert_int_equal(vmsa_map(&t, G, G, 8 * K, VMSA_READ), 0);
	assert_int_equal(walk(&t, G, &w), VMSA_OK);
	leaf_table = w.table;

	assert_int_equal(vmsa_unmap(&t, G, 4 * K, &freed), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(vmsa_unmap(&t, G + 4 * K, 4 * K, &freed), 0);
	/*
	 * Three levels became empty. Nothing is freed yet, and a walk that stands in the table
	 * finds nothing valid there.
	 */
	for (p = freed; p; p = ram_get(&f->ram, p)) {
		assert_int_equal(ram_get(&f->ram, p) & VMSA_DESC_VALID, 0);
		n += 1;
	}
	assert_int_equal(n, 3);
	assert_int_equal(ram_get(&f->ram, leaf_table + 8) & VMSA_DESC_VALID, 0);
	assert_int_equal(f->ram.live, live + 3 * 4096);
	vmsa_release(&t, freed);
	assert_int_equal(f->ram.live, live);

	/* Unmapping what is not mapped changes nothing. */
	assert_int_equal(vmsa_unmap(&t, 0, 256 * G, &freed), 0);
	assert_int_equal(freed, 0);
	vmsa_table_fini(&t);
	assert_int_equal(f->ram.live, 0);
}

static bool hinted(struct vmsa_table *t, uint64_t ia)
{
	struct vmsa_walk w;

	assert_int_equal(walk(t, ia, &w), VMSA_OK);
	return w.desc & VMSA_LEAF_CONT;
}

static void contiguous_hint(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S1, 12, 48, 48);
	uint64_t freed;

	/* One whole group, and parts of two others. */
	assert_int_equal(vmsa_map(&t, G + 60 * K, 2 * G + 60 * K, 72 * K, VMSA_READ), 0);
	assert_false(hinted(&t, G + 60 * K));
	assert_true(hinted(&t, G + 64 * K));
	assert_true(hinted(&t, G + 124 * K));
	assert_false(hinted(&t, G + 128 * K));

	/* A group whose output is not aligned as it is. */
	assert_int_equal(vmsa_map(&t, 2 * G, 2 * G + 4 * K, 64 * K, VMSA_READ), 0);
	assert_false(hinted(&t, 2 * G));

	/* A group that loses one page loses the hint. */
	assert_int_equal(vmsa_unmap(&t, G + 68 * K, 4 * K, &freed), 0);
	assert_false(hinted(&t, G + 64 * K));
	assert_false(hinted(&t, G + 124 * K));
	assert_int_equal(walk_oa(&t, G + 124 * K), 2 * G + 124 * K);

	/* So does one of blocks of which one is split. */
	assert_int_equal(vmsa_map(&t, 32 * G, 32 * G, 32 * M, VMSA_READ), 0);
	assert_true(hinted(&t, 32 * G));
	assert_int_equal(vmsa_unmap(&t, 32 * G + 2 * M, 4 * K, &freed), 0);
	assert_false(hinted(&t, 32 * G));
	assert_false(hinted(&t, 32 * G + 30 * M));
	assert_false(hinted(&t, 32 * G + 2 * M + 64 * K));
	vmsa_table_fini(&t);
	assert_int_equal(f->ram.live, 0);
}

/* --- The walker alone --- */

static void reserved_descriptors(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S1, 12, 48, 40);
	struct vmsa_walk w;
	uint64_t l1, l2, l3;

	assert_int_equal(vmsa_map(&t, 0, 0, 4 * K, VMSA_READ), 0);
	l1 = ram_get(&f->ram, t.root) & VMSA_DESC_ADDR;
	l2 = ram_get(&f->ram, l1) & VMSA_DESC_ADDR;
	l3 = ram_get(&f->ram, l2) & VMSA_DESC_ADDR;

	/* 0b01 and 0b10 at the last level; a block at level 0. */
	ram_put(&f->ram, l3, VMSA_LEAF_AF | 1);
	assert_int_equal(walk(&t, 0, &w), VMSA_FAULT_TRANSLATION);
	ram_put(&f->ram, l3, VMSA_LEAF_AF | 2);
	assert_int_equal(walk(&t, 0, &w), VMSA_FAULT_TRANSLATION);
	ram_put(&f->ram, t.root + 8, VMSA_LEAF_AF | VMSA_DESC_TYPE_BLOCK);
	assert_int_equal(walk(&t, UINT64_C(1) << 39, &w), VMSA_FAULT_TRANSLATION);

	/* AF, also when the address is wrong: that comes first. */
	ram_put(&f->ram, l3, 0x5000 | VMSA_DESC_TYPE_PAGE);
	assert_int_equal(walk(&t, 0, &w), VMSA_FAULT_ACCESS);
	ram_put(&f->ram, l3, (UINT64_C(1) << 40) | VMSA_DESC_TYPE_PAGE);
	assert_int_equal(walk(&t, 0, &w), VMSA_FAULT_ADDR_SIZE);
	/* Address size of a table, and of a block. */
	ram_put(&f->ram, l2, (UINT64_C(1) << 47) | VMSA_DESC_TYPE_TABLE);
	assert_int_equal(walk(&t, 0, &w), VMSA_FAULT_ADDR_SIZE);
	ram_put(&f->ram, l2, (UINT64_C(1) << 40) | VMSA_LEAF_AF | VMSA_DESC_TYPE_BLOCK);
	assert_int_equal(walk(&t, 0, &w), VMSA_FAULT_ADDR_SIZE);
	/* A block's bits below its size are not address. */
	ram_put(&f->ram, l2, 0x201000 | VMSA_LEAF_AF | VMSA_DESC_TYPE_BLOCK);
	assert_int_equal(walk_oa(&t, 0x123), 0x200123);
	/* Bits 51:48 are not address either. */
	ram_put(&f->ram, l2, (UINT64_C(15) << 48) | 0x200000 | VMSA_LEAF_AF | VMSA_DESC_TYPE_BLOCK);
	assert_int_equal(walk_oa(&t, 0), 0x200000);
	/* Blocks of 16K and 64K granules stand at level 2 only. */
	t = table_make(&f->ram, VMSA_S1, 16, 48, 48);
	ram_put(&f->ram, t.root, VMSA_LEAF_AF | VMSA_DESC_TYPE_BLOCK);
	assert_int_equal(walk(&t, 0, &w), VMSA_FAULT_TRANSLATION);
	t = table_make(&f->ram, VMSA_S1, 14, 47, 48);
	ram_put(&f->ram, t.root, VMSA_LEAF_AF | VMSA_DESC_TYPE_BLOCK);
	assert_int_equal(walk(&t, 0, &w), VMSA_FAULT_TRANSLATION);
}

#define U(p) (p)
#define P(p) ((p) << VMSA_PERM_PRIV_SHIFT)
#define R VMSA_PERM_R
#define W VMSA_PERM_W
#define X VMSA_PERM_X
#define RO VMSA_S1_AP_RDONLY
#define EL0 VMSA_S1_AP_UNPRIV

static void stage1_permissions(void **state)
{
	static const struct {
		uint64_t desc, hierarchy;
		bool wxn, pan;
		unsigned int perms;
	} cases[] = {
		/*
		 * AP[2:1] 00, 01, 10, 11; what EL0 may write, EL1 does not execute; XN is separate
		 * from reading
		 */
		{ 0, 0, false, false, U(X) | P(R | W | X) },
		{ EL0, 0, false, false, U(R | W | X) | P(R | W) },
		{ RO, 0, false, false, U(X) | P(R | X) },
		{ RO | EL0, 0, false, false, U(R | X) | P(R | X) },
		{ RO | EL0 | VMSA_S1_UXN, 0, false, false, U(R) | P(R | X) },
		{ RO | EL0 | VMSA_S1_PXN, 0, false, false, U(R | X) | P(R) },
		/* tables above */
		{ EL0, VMSA_TABLE_AP_RDONLY, false, false, U(R | X) | P(R | X) },
		{ EL0, VMSA_TABLE_AP_PRIV_ONLY, false, false, U(X) | P(R | W | X) },
		{ EL0, VMSA_TABLE_AP_RDONLY | VMSA_TABLE_AP_PRIV_ONLY, false, false,
		  U(X) | P(R | X) },
		{ RO | EL0, VMSA_TABLE_UXN, false, false, U(R) | P(R | X) },
		{ RO | EL0, VMSA_TABLE_PXN, false, false, U(R | X) | P(R) },
		/* WXN */
		{ 0, 0, true, false, U(X) | P(R | W) },
		{ EL0, 0, true, false, U(R | W) | P(R | W) },
		{ RO | EL0, 0, true, false, U(R | X) | P(R | X) },
		/* PAN takes data accesses, not execution, and only where EL0 has access */
		{ RO | EL0, 0, false, true, U(R | X) | P(X) },
		{ RO, 0, false, true, U(X) | P(R | X) },
		{ EL0, VMSA_TABLE_AP_PRIV_ONLY, false, true, U(X) | P(R | W | X) },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(vmsa_s1_perms(cases[i].desc, cases[i].hierarchy, cases[i].wxn,
					       cases[i].pan),
				 cases[i].perms);
}

static void stage2_permissions(void **state)
{
	(void)state;
	assert_int_equal(vmsa_s2_perms(0, true), U(X) | P(X));
	assert_int_equal(vmsa_s2_perms(VMSA_S2_S2AP_READ, true), U(R | X) | P(R | X));
	assert_int_equal(vmsa_s2_perms(VMSA_S2_S2AP_WRITE | VMSA_S2_XN1, true), U(W) | P(W));
	assert_int_equal(vmsa_s2_perms(VMSA_S2_XN0, true), U(X));
	assert_int_equal(vmsa_s2_perms(VMSA_S2_XN1 | VMSA_S2_XN0, true), P(X));
	/* Without FEAT_XNX only XN[1] counts. */
	assert_int_equal(vmsa_s2_perms(VMSA_S2_XN0, false), U(X) | P(X));
	assert_int_equal(vmsa_s2_perms(VMSA_S2_XN1 | VMSA_S2_XN0, false), 0);
}

static void upper_half(void **state)
{
	struct fixture *f = *state;
	struct vmsa_table t = table_make(&f->ram, VMSA_S1, 12, 39, 48);
	struct vmsa_regime r = regime_of(&t);
	struct vmsa_walk w = { 0 };

	(void)f;
	assert_int_equal(vmsa_walk_start(&w, &r, 12, UINT64_C(0xffffff8000000000), true),
			 VMSA_NEXT);
	assert_int_equal(vmsa_walk_index(&w), 0);
	assert_int_equal(vmsa_walk_start(&w, &r, 12, UINT64_C(0xffffffffffffffff), true),
			 VMSA_NEXT);
	assert_int_equal(vmsa_walk_index(&w), 511);
	assert_int_equal(vmsa_walk_start(&w, &r, 12, UINT64_C(0xffffff7fffffffff), true),
			 VMSA_FAULT_TRANSLATION);
	assert_int_equal(vmsa_walk_start(&w, &r, 12, UINT64_C(0x0000008000000000), false),
			 VMSA_FAULT_TRANSLATION);
	assert_int_equal(vmsa_walk_start(&w, &r, 12, UINT64_C(0x0000007fffffffff), false),
			 VMSA_NEXT);
}

/* --- Builder and walker against a plain model: one number for each page of a window --- */

#define PAGES 8192
#define ROUNDS 400

static uint64_t seed;

static uint64_t random64(void)
{
	/* splitmix64 */
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
	return random64() % n;
}

static unsigned int random_prot(void)
{
	return (below(2) ? VMSA_READ | VMSA_WRITE : VMSA_READ) | (below(2) ? VMSA_EXEC : 0);
}

static bool model_free(const uint64_t *model, uint64_t first, uint64_t count)
{
	while (count--) {
		if (model[first++])
			return false;
	}
	return true;
}

/* model[page]: (output page << 8 | prot) + 1, or 0 */
static void check_model(struct vmsa_table *t, const uint64_t *model, uint64_t window)
{
	unsigned int shift = t->format.granule_shift;
	uint64_t i;

	for (i = 0; i < PAGES; i++) {
		uint64_t low = below(UINT64_C(1) << shift);
		struct vmsa_walk w;
		enum vmsa_status fault = walk(t, window + (i << shift) + low, &w);
		unsigned int prot = (model[i] - 1) & 0xff, perms;

		if (!model[i]) {
			assert_int_equal(fault, VMSA_FAULT_TRANSLATION);
			continue;
		}
		assert_int_equal(fault, VMSA_OK);
		assert_int_equal(w.oa, (((model[i] - 1) >> 8) << shift) + low);
		perms = t->format.stage == VMSA_S1
				? vmsa_s1_perms(w.desc, vmsa_walk_hierarchy(&w), false, false)
				: vmsa_s2_perms(w.desc, true);
		assert_int_equal(perms & R, R);
		assert_int_equal(perms & W, prot & VMSA_WRITE ? W : 0);
		assert_int_equal(perms & X, prot & VMSA_EXEC ? X : 0);
	}
}

static void random_changes(struct ram *ram, enum vmsa_stage stage, unsigned int granule_shift,
			   unsigned int ia_bits)
{
	uint64_t *model = calloc(PAGES, sizeof(*model));
	struct vmsa_table t = table_make(ram, stage, granule_shift, ia_bits, 48);
	uint64_t pages = UINT64_C(1) << (ia_bits - granule_shift);
	/* A window that is not aligned to any block, anywhere in the space. */
	uint64_t window = pages > PAGES ? below(pages - PAGES) << granule_shift : 0;
	unsigned int round;

	assert_true(pages >= PAGES);
	for (round = 0; round < ROUNDS; round++) {
		uint64_t count = UINT64_C(1) << below(13);
		uint64_t first = below(PAGES), i, freed;
		uint64_t ia, oa;

		if (first + count > PAGES)
			count = PAGES - first;
		ia = window + (first << granule_shift);
		if (below(2)) {
			unsigned int prot = random_prot();
			int expected = model_free(model, first, count) ? 0 : -EEXIST;

			/* Half of the time aligned as the input is, so that blocks are used. */
			oa = below(2) ? ia & ((UINT64_C(1) << 46) - 1)
				      : below(UINT64_C(1) << 30) << granule_shift;
			assert_int_equal(vmsa_map(&t, ia, oa, count << granule_shift, prot),
					 expected);
			for (i = 0; !expected && i < count; i++)
				model[first + i] = ((((oa >> granule_shift) + i) << 8) | prot) + 1;
		} else {
			assert_int_equal(vmsa_unmap(&t, ia, count << granule_shift, &freed), 0);
			vmsa_release(&t, freed);
			memset(&model[first], 0, count * sizeof(*model));
		}
		if (round % 20 == 0 || round == ROUNDS - 1)
			check_model(&t, model, window);
	}
	/* All of it away: no table but the root is left. */
	{
		uint64_t freed;

		assert_int_equal(vmsa_unmap(&t, 0, pages << granule_shift, &freed), 0);
		vmsa_release(&t, freed);
	}
	assert_int_equal(ram->live, vmsa_root_size(&t.format));
	vmsa_table_fini(&t);
	assert_int_equal(ram->live, 0);
	free(model);
	/* The allocator does not re-use memory; the next table starts afresh. */
	ram->next = RAM_BASE;
}

static void builder_and_walker_agree(void **state)
{
	static const struct {
		enum vmsa_stage stage;
		unsigned int granule, ia;
	} shapes[] = {
		{ VMSA_S1, 12, 48 }, { VMSA_S1, 12, 39 }, { VMSA_S1, 12, 33 }, { VMSA_S1, 12, 25 },
		{ VMSA_S1, 14, 48 }, { VMSA_S1, 14, 40 }, { VMSA_S1, 14, 27 },
		{ VMSA_S1, 16, 48 }, { VMSA_S1, 16, 36 },
		{ VMSA_S2, 12, 48 }, { VMSA_S2, 12, 40 }, { VMSA_S2, 12, 32 },
		{ VMSA_S2, 14, 48 }, { VMSA_S2, 14, 32 },
		{ VMSA_S2, 16, 48 }, { VMSA_S2, 16, 42 }, { VMSA_S2, 16, 32 },
	};
	struct fixture *f = *state;
	size_t i;

	seed = 1;
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		random_changes(&f->ram, shapes[i].stage, shapes[i].granule, shapes[i].ia);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats),
		cmocka_unit_test(formats_refused),
		cmocka_unit_test(leaf_sizes),
		cmocka_unit_test_setup_teardown(largest_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(map_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(map_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(map_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(splits, setup, teardown),
		cmocka_unit_test_setup_teardown(split_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(deferred_free, setup, teardown),
		cmocka_unit_test_setup_teardown(contiguous_hint, setup, teardown),
		cmocka_unit_test_setup_teardown(reserved_descriptors, setup, teardown),
		cmocka_unit_test(stage1_permissions),
		cmocka_unit_test(stage2_permissions),
		cmocka_unit_test_setup_teardown(upper_half, setup, teardown),
		cmocka_unit_test_setup_teardown(builder_and_walker_agree, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
