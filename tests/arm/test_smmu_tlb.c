/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The caches: what hits, what each command removes and what it leaves, and that nothing stale is
 * ever found.
 */
#include "arm/smmu_tlb.h"
#include "arm/vmsa_walk.h"
#include "smmu_scene.h"

#define CMD(op, vmid, asid) \
	(SMMU_CMD_OP_##op | FIELD_PREP64(SMMU_CMD_TLBI_0_VMID, vmid) | \
	 FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, asid))

/* Descriptors that a read access costs: none when the caches answer. */
static uint64_t cost(struct machine *m, uint32_t sid, uint64_t addr)
{
	uint64_t before = m->ram.reads;
	struct smmu_result res;

	assert_int_equal(machine_read(m, sid, addr, &res), 0);
	return m->ram.reads - before;
}

static bool cached(struct scene *s, uint64_t addr)
{
	return !cost(&s->m, SID, addr);
}

static void map_pages(struct scene *s, uint64_t va, uint64_t count, uint64_t stride)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		assert_int_equal(vmsa_map(&s->s1, va + i * stride, PAGE + i % 4096 * 4096, 4096,
					  RW | VMSA_NOT_GLOBAL),
				 0);
}

/* --- Capacity --- */

static void hits_read_nothing(void **state)
{
	struct scene *s = *state;

	map_pages(s, VA, 1, 4096);
	assert_int_not_equal(cost(&s->m, SID, VA), 0);
	assert_int_equal(cost(&s->m, SID, VA + 8), 0);
	assert_int_equal(cost(&s->m, SID, VA + 4095), 0);
}

static void many_pages_stay(void **state)
{
	static const uint64_t strides[] = { 4096, 64 << 10, 2 << 20, 1 << 30 };
	struct scene *s = *state;
	uint64_t i, total;
	size_t k;

	for (k = 0; k < sizeof(strides) / sizeof(strides[0]); k++) {
		uint64_t count = strides[k] < 1 << 30 ? 4096 : 512;
		uint64_t va = (k + 1) * (UINT64_C(1) << 44);

		map_pages(s, va, count, strides[k]);
		machine_command(&s->m, CMD(TLBI_NSNH_ALL, 0, 0), 0);
		for (i = 0; i < count; i++)
			cost(&s->m, SID, va + i * strides[k]);
		for (total = i = 0; i < count; i++)
			total += !cached(s, va + i * strides[k]);
		/*
		 * In a row they all stay. Far apart, each has tables of its own beside it: nearly
		 * all.
		 */
		if (strides[k] == 4096)
			assert_int_equal(total, 0);
		else
			assert_in_range(total, 0, count / 20);
	}
}

/* More pages than fit: the TLB forgets some, never all. */
static void overflow(void **state)
{
	struct scene *s = *state;
	uint64_t i, hits = 0;

	s->m.config.tlb_entries = 256;
	machine_start(&s->m);
	map_pages(s, VA, 1024, 4096);
	for (i = 0; i < 1024; i++) {
		cost(&s->m, SID, VA + i * 4096);
		if (i > 16) {
			/* What was used a moment ago is mostly still there. */
			hits += cached(s, VA + (i - 16) * 4096);
		}
	}
	assert_in_range(hits, 900, 1024);
}

static void large_leaves(void **state)
{
	struct scene *s = *state;
	struct smmu_result res;

	/* 2 MiB in both stages: one entry for all of it. */
	assert_int_equal(vmsa_map(&s->s1, UINT64_C(2) << 30, PAGE, 4 << 20, RW | VMSA_NOT_GLOBAL),
			 0);
	assert_int_equal(machine_read(&s->m, SID, (UINT64_C(2) << 30) + 0x12345, &res), 0);
	assert_int_equal(res.page_size, 2 << 20);
	assert_int_equal(res.pa, PAGE + 0x12345);
	assert_true(cached(s, (UINT64_C(2) << 30) + 0x1fffff));
	assert_false(cached(s, (UINT64_C(2) << 30) + 0x200000));
	/* Any address in it is as good as another to invalidate it. */
	machine_command(&s->m, CMD(TLBI_NH_VA, VMID, ASID), (UINT64_C(2) << 30) + 0x7f000);
	assert_false(cached(s, (UINT64_C(2) << 30) + 0x12345));
	assert_true(cached(s, (UINT64_C(2) << 30) + 0x200000));
}

/* --- Exactness by address --- */

static void one_page(void **state)
{
	struct scene *s = *state;
	uint64_t i, victim;

	map_pages(s, VA, 64, 4096);
	for (i = 0; i < 64; i++)
		cost(&s->m, SID, VA + i * 4096);
	for (victim = 0; victim < 64; victim += 7) {
		machine_command(&s->m, CMD(TLBI_NH_VA, VMID, ASID), VA + victim * 4096);
		for (i = 0; i < 64; i++)
			assert_int_equal(cached(s, VA + i * 4096), i != victim);
	}
	/* Another ASID's and another VMID's are not this one's. */
	machine_command(&s->m, CMD(TLBI_NH_VA, VMID, ASID + 1), VA);
	machine_command(&s->m, CMD(TLBI_NH_VA, VMID + 1, ASID), VA);
	machine_command(&s->m, CMD(TLBI_NH_VAA, VMID + 1, 0), VA);
	machine_command(&s->m, CMD(TLBI_NH_ASID, VMID, ASID + 1), 0);
	machine_command(&s->m, CMD(TLBI_NH_ASID, VMID + 1, ASID), 0);
	machine_command(&s->m, CMD(TLBI_NH_ALL, VMID + 1, 0), 0);
	machine_command(&s->m, CMD(TLBI_S12_VMALL, VMID + 1, 0), 0);
	for (i = 0; i < 64; i++)
		assert_true(cached(s, VA + i * 4096));
	machine_command(&s->m, CMD(TLBI_NH_VAA, VMID, 0), VA);
	assert_false(cached(s, VA));
	assert_true(cached(s, VA + 4096));
}

/*
 * A stage-1 block over stage-2 pages breaks up; one command for any address in the block takes all
 * the pieces.
 */
static void fragments(void **state)
{
	struct scene *s = *state;
	uint64_t i, block = UINT64_C(4) << 30;
	struct smmu_result res;

	for (i = 0; i < 1024; i++)
		assert_int_equal(vmsa_map(&s->s2, IPA + (1023 - i) * 4096, PAGE + (1023 - i) * 4096,
					  4096, RW),
				 0);
	assert_int_equal(vmsa_map(&s->s1, block, IPA, 4 << 20, RW | VMSA_NOT_GLOBAL), 0);
	for (i = 0; i < 1024; i += 33) {
		assert_int_equal(machine_read(&s->m, SID, block + i * 4096, &res), 0);
		assert_int_equal(res.pa, PAGE + i * 4096);
		assert_int_equal(res.page_size, 4096);
		assert_true(cached(s, block + i * 4096));
	}
	machine_command(&s->m, CMD(TLBI_NH_VA, VMID, ASID), block + 0x1ff000);
	for (i = 0; i < 1024; i += 33)
		assert_int_equal(cached(s, block + i * 4096), i >= 512);
	/*
	 * Found again and entered again, they live again; by range and for all ASIDs they go, too.
	 */
	assert_true(cached(s, block));
	machine_command(&s->m, CMD(TLBI_NH_VAA, VMID, 0), block + 0x3000);
	assert_false(cached(s, block));
	assert_true(cached(s, block));
	machine_command(&s->m, CMD(TLBI_NH_VA, VMID, ASID) | FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, 15),
			block + 0x10000 + FIELD_PREP64(SMMU_CMD_TLBI_1_TG, SMMU_CMD_TLBI_1_TG_4K));
	assert_false(cached(s, block));
}

static uint64_t range(uint64_t addr, unsigned int tg, unsigned int ttl)
{
	return addr | FIELD_PREP64(SMMU_CMD_TLBI_1_TG, tg) |
	       FIELD_PREP64(SMMU_CMD_TLBI_1_TTL, ttl) | SMMU_CMD_TLBI_1_LEAF;
}

static void ranges(void **state)
{
	static const struct {
		unsigned int tg, num, scale, ttl;
		uint64_t first, pages;	/* of 4K, from VA, that must be gone */
	} cases[] = {
		{ 1, 0, 0, 3, 5, 1 },
		{ 1, 6, 0, 0, 5, 7 },
		{ 1, 6, 0, 3, 5, 7 },
		{ 1, 0, 4, 0, 16, 16 },
		{ 1, 4, 3, 0, 8, 40 },
		{ 1, 31, 1, 0, 0, 64 },
		{ 2, 1, 0, 0, 4, 8 },
		{ 3, 0, 1, 0, 16, 32 },
	};
	struct scene *s = *state;
	uint64_t i;
	size_t k;

	map_pages(s, VA, 96, 4096);
	for (k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		for (i = 0; i < 96; i++)
			cost(&s->m, SID, VA + i * 4096);
		machine_command(&s->m,
				CMD(TLBI_NH_VA, VMID, ASID) |
					FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, cases[k].num) |
					FIELD_PREP64(SMMU_CMD_TLBI_0_SCALE, cases[k].scale),
				range(VA + cases[k].first * 4096, cases[k].tg, cases[k].ttl));
		for (i = 0; i < 96; i++)
			assert_int_equal(cached(s, VA + i * 4096),
					 i - cases[k].first >= cases[k].pages);
	}
	/*
	 * The widest, from a low address and from near the top: no wrap-around, and no more work
	 * than the TLB is large.
	 */
	machine_command(&s->m,
			CMD(TLBI_NH_VA, VMID, ASID) | FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, 31) |
				FIELD_PREP64(SMMU_CMD_TLBI_0_SCALE, 31),
			range(UINT64_C(0xfffffffffff00000), 3, 0));
	assert_true(cached(s, VA));
	machine_command(&s->m, CMD(TLBI_NH_VA, VMID, ASID) | FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, 31) |
			FIELD_PREP64(SMMU_CMD_TLBI_0_SCALE, 31), range(0, 3, 0));
	assert_false(cached(s, VA + 95 * 4096));
}

/* Without RIL the same fields mean nothing: one page. */
static void ranges_not_implemented(void **state)
{
	struct scene *s = *state;

	s->m.config.idr[3] &= ~SMMU_IDR3_RIL;
	machine_start(&s->m);
	map_pages(s, VA, 2, 4096);
	cost(&s->m, SID, VA);
	cost(&s->m, SID, VA + 4096);
	machine_command(&s->m, CMD(TLBI_NH_VA, VMID, ASID) | FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, 31),
			range(VA, 1, 0));
	assert_false(cached(s, VA));
	assert_true(cached(s, VA + 4096));
}

/* --- What each command takes: streams that differ in VMID, ASID, globality and stages --- */

enum {
	NESTED, NESTED_GLOBAL, NESTED_ASID, NESTED_VMID, S1_ONLY, S2_ONLY, S2_VMID, STREAMS,
};

static void add_stream(struct scene *s, unsigned int i, uint16_t vmid, uint16_t asid)
{
	struct smmu_cd_table ttb0 = { s->s1.format, s->s1.root };
	struct smmu_ste_s1 s1 = { .cd_table = ram_new(&s->m.ram, 64) };
	struct smmu_ste_s2 s2 = scene_ste_s2(s);
	struct smmu_cd cd = { .ttb0 = &ttb0, .asid = asid };
	uint64_t words[8];

	s2.vmid = vmid;
	smmu_cd_build(words, &cd);
	put_dwords(&s->m.ram, s1.cd_table, words, 8);
	if (i == S1_ONLY)
		smmu_ste_s1(words, &s1, vmid);
	else if (i == S2_ONLY || i == S2_VMID)
		smmu_ste_s2(words, &s2);
	else
		smmu_ste_nested(words, &s1, &s2);
	machine_set_ste(&s->m, 16 + i, words);
}

/* The page each stream uses: of the plain memory where there is stage 1, else an IPA. */
static uint64_t page_of(unsigned int i)
{
	return i == S2_ONLY || i == S2_VMID ? RAM_BASE : i == NESTED_GLOBAL ? VA + 0x100000 : VA;
}

#define S(n) (1u << (n))

static void scopes(void **state)
{
	static const struct {
		uint64_t dw0;
		uint64_t addr;
		unsigned int gone;
	} cases[] = {
		{ CMD(TLBI_NH_ALL, 3, 0), 0,
		  S(NESTED) | S(NESTED_GLOBAL) | S(NESTED_ASID) | S(S1_ONLY) },
		{ CMD(TLBI_NH_ASID, 3, 7), 0, S(NESTED) | S(S1_ONLY) },
		{ CMD(TLBI_NH_ASID, 3, 8), 0, S(NESTED_ASID) },
		{ CMD(TLBI_NH_VA, 3, 7), VA, S(NESTED) | S(S1_ONLY) },
		{ CMD(TLBI_NH_VA, 3, 7), VA + 0x1000, 0 },
		/* A global page goes whatever the ASID. */
		{ CMD(TLBI_NH_VA, 3, 99), VA + 0x100000, S(NESTED_GLOBAL) },
		{ CMD(TLBI_NH_VA, 4, 7), VA + 0x100000, 0 },
		{ CMD(TLBI_NH_VAA, 3, 0), VA, S(NESTED) | S(NESTED_ASID) | S(S1_ONLY) },
		{ CMD(TLBI_NH_VAA, 3, 0), VA + 0x100000, S(NESTED_GLOBAL) },
		{ CMD(TLBI_S2_IPA, 3, 0), RAM_BASE, S(S2_ONLY) },
		{ CMD(TLBI_S2_IPA, 4, 0), RAM_BASE, S(S2_VMID) },
		/* The address of a stage-1 command is no IPA, and the other way round. */
		{ CMD(TLBI_NH_VA, 3, 0), RAM_BASE, 0 },
		{ CMD(TLBI_S2_IPA, 3, 0), VA, 0 },
		{ CMD(TLBI_S12_VMALL, 3, 0), 0,
		  S(NESTED) | S(NESTED_GLOBAL) | S(NESTED_ASID) | S(S1_ONLY) | S(S2_ONLY) },
		{ CMD(TLBI_S12_VMALL, 4, 0), 0, S(NESTED_VMID) | S(S2_VMID) },
		{ CMD(TLBI_NSNH_ALL, 0, 0), 0, S(STREAMS) - 1 },
	};
	struct scene *s = *state;
	unsigned int i;
	size_t k;

	assert_int_equal(vmsa_map(&s->s1, VA, PAGE, 4096, RW | VMSA_NOT_GLOBAL), 0);
	assert_int_equal(vmsa_map(&s->s1, VA + 0x100000, PAGE, 4096, RW), 0);
	for (i = 0; i < STREAMS; i++)
		add_stream(s, i, i == NESTED_VMID || i == S2_VMID ? VMID + 1 : VMID,
			   i == NESTED_ASID ? ASID + 1 : ASID);
	for (k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		for (i = 0; i < STREAMS; i++)
			cost(&s->m, 16 + i, page_of(i));
		machine_command(&s->m, cases[k].dw0, cases[k].addr);
		/* Those without stage 1 first: the others' tables lie in the page that they use. */
		for (i = STREAMS; i--;) {
			bool hit = !cost(&s->m, 16 + i, page_of(i));

			if (hit != !(cases[k].gone & S(i)))
				fail_msg("case %zu, stream %u: %s", k, i,
					 hit ? "still there" : "gone");
		}
	}
}

/* A global page is found by every ASID of its VMID, and by no other VMID. */
static void global_pages(void **state)
{
	struct scene *s = *state;

	assert_int_equal(vmsa_map(&s->s1, VA, PAGE, 4096, RW), 0);
	add_stream(s, 0, VMID, 20);
	add_stream(s, 1, VMID, 21);
	add_stream(s, 2, VMID + 1, 20);
	cost(&s->m, 16, VA);
	/* Configuration apart, which a look-up elsewhere brings in. */
	assert_int_equal(vmsa_map(&s->s1, VA + 0x1000, PAGE, 4096, RW | VMSA_NOT_GLOBAL), 0);
	cost(&s->m, 17, VA + 0x1000);
	cost(&s->m, 18, VA + 0x1000);
	assert_int_equal(cost(&s->m, 17, VA), 0);
	assert_int_not_equal(cost(&s->m, 18, VA), 0);
}

/*
 * §4.4.3.1: by IPA, combined entries stay until TLBI_NH_ALL; what stage 2 alone gave goes at once.
 */
static void stage2_by_ipa(void **state)
{
	struct scene *s = *state;
	uint64_t freed;

	assert_int_equal(vmsa_map(&s->s1, VA, IPA, 4096, RW | VMSA_NOT_GLOBAL), 0);
	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE, 4096, RW), 0);
	assert_pa(&s->m, SID, VA, PAGE);
	assert_int_equal(vmsa_unmap(&s->s2, IPA, 4096, &freed), 0);
	machine_command(&s->m, CMD(TLBI_S2_IPA, VMID, 0), IPA);
	assert_true(cached(s, VA));
	machine_command(&s->m, CMD(TLBI_NH_ALL, VMID, 0), 0);
	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE + 0x5000, 4096, RW), 0);
	assert_pa(&s->m, SID, VA, PAGE + 0x5000);
}

/*
 * A 16K table of stage 1 whose four pages stage 2 puts in four places: knowing where one is says
 * nothing of the others.
 */
static void scattered_table(void **state)
{
	struct scene *s = malloc(sizeof(*s));
	uint64_t frame[4], i, block;

	(void)state;
	assert_non_null(s);
	scene_init_with(s, 14, 12);
	/*
	 * A walk's last-level table at IPA, of which each page lies elsewhere and maps its 512
	 * pages of stage 1.
	 */
	assert_int_equal(vmsa_map(&s->s1, 0, PAGE, 16384, RW), 0);
	block = leaf_addr(&s->s1, 0) & ~UINT64_C(0x3fff);
	ram_put(&s->m.ram,
		ram_get(&s->m.ram, ram_get(&s->m.ram, s->s1.root) & VMSA_DESC_ADDR) &
			VMSA_DESC_ADDR,
		IPA | VMSA_DESC_TYPE_TABLE);
	for (i = 4; i--;) {
		frame[i] = ram_new(&s->m.ram, 4096);
		assert_int_equal(vmsa_map(&s->s2, IPA + i * 4096, frame[i], 4096, RW), 0);
		ram_put(&s->m.ram, frame[i],
			(ram_get(&s->m.ram, block) & ~VMSA_DESC_ADDR) | (PAGE + i * 16384));
	}
	for (i = 0; i < 4; i++)
		assert_pa(&s->m, SID, i * 512 * 16384, PAGE + i * 16384);
	scene_fini(s);
	free(s);
}

/*
 * A permission that an entry does not have is looked up again, so that granting more needs no
 * invalidation to be seen.
 */
static void permission_upgrade(void **state)
{
	struct scene *s = *state;
	struct smmu_result res;
	uint64_t leaf;

	assert_int_equal(vmsa_map(&s->s1, VA, PAGE, 4096, VMSA_READ | VMSA_NOT_GLOBAL), 0);
	assert_pa(&s->m, SID, VA, PAGE);
	assert_int_equal(machine_write(&s->m, SID, VA, &res), -EFAULT);
	leaf = leaf_addr(&s->s1, VA);
	ram_put(&s->m.ram, leaf, ram_get(&s->m.ram, leaf) & ~VMSA_S1_AP_RDONLY);
	assert_int_equal(machine_write(&s->m, SID, VA, &res), 0);
	assert_true(cached(s, VA));
}

/* --- Illegal commands --- */

static void illegal(void **state)
{
	static const uint64_t ops[] = {
		0x00, 0x07, 0x18, 0x1a, 0x20, 0x21, 0x22, 0x23,
		0x40, 0x41, 0x44, 0x45, 0x50, 0x7f, 0x80, 0xff,
	};
	struct scene *s = *state;
	uint64_t cmd[2] = { 0 };
	size_t i;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		cmd[0] = ops[i];
		assert_int_equal(smmu_command(s->m.smmu, cmd), SMMU_CERROR_ILL);
	}
	cmd[0] = SMMU_CMD_OP_SYNC | SMMU_CMD_0_SSEC;
	assert_int_equal(smmu_command(s->m.smmu, cmd), SMMU_CERROR_ILL);
	cmd[0] = SMMU_CMD_OP_SYNC | FIELD_PREP64(SMMU_CMD_SYNC_0_CS, 3);
	assert_int_equal(smmu_command(s->m.smmu, cmd), SMMU_CERROR_ILL);
	/* TG without a range and without a level. */
	cmd[0] = CMD(TLBI_NH_VA, VMID, ASID);
	cmd[1] = range(VA, 1, 0);
	assert_int_equal(smmu_command(s->m.smmu, cmd), SMMU_CERROR_ILL);
	cmd[0] = CMD(TLBI_S2_IPA, VMID, 0);
	assert_int_equal(smmu_command(s->m.smmu, cmd), SMMU_CERROR_ILL);
	machine_command(&s->m, SMMU_CMD_OP_SYNC, 0);
	machine_command(&s->m, SMMU_CMD_OP_PREFETCH_CONFIG, 0);
	machine_command(&s->m, SMMU_CMD_OP_PREFETCH_ADDR, 0);
}

static void illegal_by_stages(void **state)
{
	static const uint64_t s1_only[] = { 0x28, 0x2a },
			      s2_only[] = { 0x05, 0x06, 0x10, 0x11, 0x12, 0x13 };
	struct scene *s = *state;
	uint64_t cmd[2] = { 0 };
	size_t i;

	s->m.config.idr[0] &= ~SMMU_IDR0_S2P;
	machine_start(&s->m);
	for (i = 0; i < sizeof(s1_only) / sizeof(s1_only[0]); i++) {
		cmd[0] = s1_only[i];
		assert_int_equal(smmu_command(s->m.smmu, cmd), SMMU_CERROR_ILL);
	}
	s->m.config.idr[0] ^= SMMU_IDR0_S1P | SMMU_IDR0_S2P;
	machine_start(&s->m);
	for (i = 0; i < sizeof(s2_only) / sizeof(s2_only[0]); i++) {
		cmd[0] = s2_only[i];
		assert_int_equal(smmu_command(s->m.smmu, cmd), SMMU_CERROR_ILL);
	}
	machine_command(&s->m, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
}

/*
 * --- At random: whatever is changed and properly invalidated, the caches answer as the tables do
 * ---
 */

static uint64_t seed;

static uint64_t below(uint64_t n)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % n;
}

static void no_step(void *ctx, const struct smmu_step *step)
{
	(void)ctx;
	(void)step;
}

/* A traced translation passes the caches by. */
static void compare(struct scene *s, uint64_t addr, enum smmu_access access)
{
	static const struct smmu_tracer tracer = { .step = no_step };
	struct smmu_txn txn = { .sid = SID, .access = access, .addr = addr };
	struct smmu_result got = { 0 }, expected = { 0 };
	int rc = smmu_translate(s->m.smmu, &txn, &got);

	txn.tracer = &tracer;
	assert_int_equal(rc, smmu_translate(s->m.smmu, &txn, &expected));
	assert_int_equal(got.pa, expected.pa);
	assert_memory_equal(&got.event, &expected.event, sizeof(got.event));
	assert_int_equal(got.record, expected.record);
	assert_int_equal(got.abort, expected.abort);
}

#define WINDOW_PAGES 2048u	/* of the granule */

/* One change of stage 1, followed by what a driver would send for it. */
static void change_s1(struct scene *s, unsigned int shift)
{
	uint64_t first = below(WINDOW_PAGES), count = UINT64_C(1) << below(11), freed = 0;
	uint64_t va, size;
	unsigned int how = below(4);

	if (first + count > WINDOW_PAGES)
		count = WINDOW_PAGES - first;
	va = (UINT64_C(1) << 40) + (first << shift);
	size = count << shift;
	if (below(2)) {
		uint64_t ipa = IPA + (below(2) ? first << shift : below(WINDOW_PAGES) << shift);

		/* What was not mapped is not cached. */
		vmsa_map(&s->s1, va, ipa, size,
			 (below(4) ? RW : VMSA_READ) | (below(4) ? VMSA_NOT_GLOBAL : 0));
		return;
	}
	assert_int_equal(vmsa_unmap(&s->s1, va, size, &freed), 0);
	if (how == 0)
		machine_command(&s->m, CMD(TLBI_NH_ALL, VMID, 0), 0);
	for (; how == 1 && size; size -= UINT64_C(1) << shift, va += UINT64_C(1) << shift)
		machine_command(&s->m, CMD(TLBI_NH_VA, VMID, ASID), va);
	for (; how == 2 && size; size -= UINT64_C(1) << shift, va += UINT64_C(1) << shift)
		machine_command(&s->m, CMD(TLBI_NH_VAA, VMID, 0), va);
	/* Powers of two or less than 32 pages: fits NUM and SCALE after rounding up. */
	if (how == 3) {
		unsigned int scale = 0;

		while (count - 1 > 31u << scale)
			scale++;
		machine_command(&s->m,
				CMD(TLBI_NH_VA, VMID, ASID) |
					FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, (count - 1) >> scale) |
					FIELD_PREP64(SMMU_CMD_TLBI_0_SCALE, scale),
				range(va,
				      shift == 12   ? 1
				      : shift == 14 ? 2
						    : 3,
				      3));
	}
	vmsa_release(&s->s1, freed);
}

static void change_s2(struct scene *s, unsigned int shift)
{
	uint64_t first = below(WINDOW_PAGES), count = UINT64_C(1) << below(11), freed = 0;
	uint64_t ipa;

	if (first + count > WINDOW_PAGES)
		count = WINDOW_PAGES - first;
	ipa = IPA + (first << shift);
	if (below(2)) {
		vmsa_map(&s->s2, ipa, PAGE + (below(2) ? first << shift : below(64) << shift),
			 count << shift, below(4) ? RW : VMSA_READ);
		return;
	}
	assert_int_equal(vmsa_unmap(&s->s2, ipa, count << shift, &freed), 0);
	if (below(2)) {
		machine_command(&s->m, CMD(TLBI_S12_VMALL, VMID, 0), 0);
	} else {
		for (; count--; ipa += UINT64_C(1) << shift)
			machine_command(&s->m, CMD(TLBI_S2_IPA, VMID, 0), ipa);
		machine_command(&s->m, CMD(TLBI_NH_ALL, VMID, 0), 0);
	}
	vmsa_release(&s->s2, freed);
}

/*
 * An entry is one of its VMID and ASID alone. Most other contexts would not even look in its place;
 * among all of them there are many that do.
 */
static void other_contexts_miss(void **state)
{
	static _Alignas(64) struct tlb_set sets[64 / TLB_WAYS];
	_Atomic uint64_t epochs[2] = { 0, 0 };
	const struct tlb_ticket ticket = { .epoch = { &epochs[0], &epochs[1] } };
	struct tlb_entry e = {
		.kind = TLB_NESTED, .vmid = 7, .asid = 9, .addr = 0x123456789000, .pa = 0x40000000,
		.shift = 12, .leaf_shift = 12, .perms = VMSA_PERM_ALL,
	};
	uint32_t own = tlb_context(e.vmid, e.asid);
	struct tlb tlb;
	struct tlb_hit hit;

	(void)state;
	tlb_init(&tlb, sets, 64);
	tlb_insert(&tlb, &e, &ticket);
	assert_true(tlb_lookup(&tlb, TLB_NESTED, own, tlb_mix(own), e.addr, &hit));
	assert_int_equal(hit.data & TLB_DATA_ADDR, e.pa);
	for (uint32_t other = 0; other < 0x10000; other++) {
		uint32_t vmid = tlb_context(other, e.asid), asid = tlb_context(e.vmid, other);

		if (vmid != own)
			assert_false(
				tlb_lookup(&tlb, TLB_NESTED, vmid, tlb_mix(vmid), e.addr, &hit));
		if (asid != own)
			assert_false(
				tlb_lookup(&tlb, TLB_NESTED, asid, tlb_mix(asid), e.addr, &hit));
	}
	assert_false(tlb_lookup(&tlb, TLB_S1, own, tlb_mix(own), e.addr, &hit));
	assert_false(tlb_lookup(&tlb, TLB_NESTED, own, tlb_mix(own), e.addr + 0x1000, &hit));
}

static void random_scene(unsigned int granule1, unsigned int granule2, uint32_t tlb_entries)
{
	struct scene *s = malloc(sizeof(*s));
	unsigned int round, i;

	assert_non_null(s);
	scene_init_with(s, granule1, granule2);
	s->m.config.tlb_entries = tlb_entries;
	machine_start(&s->m);
	for (round = 0; round < 150; round++) {
		if (below(3))
			change_s1(s, granule1);
		else
			change_s2(s, granule2);
		for (i = 0; i < 100; i++)
			compare(s, (UINT64_C(1) << 40) + below((uint64_t)WINDOW_PAGES << granule1),
				below(2) ? SMMU_READ : SMMU_WRITE);
	}
	scene_fini(s);
	free(s);
}

static void random_changes(void **state)
{
	static const unsigned int granules[] = { 12, 14, 16 };
	unsigned int i, j;

	(void)state;
	seed = 7;
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++) {
			random_scene(granules[i], granules[j], 0);
			random_scene(granules[i], granules[j], 64);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_contexts_miss),
		scene_test(hits_read_nothing),
		scene_test(many_pages_stay),
		scene_test(overflow),
		scene_test(large_leaves),
		scene_test(one_page),
		scene_test(fragments),
		scene_test(ranges),
		scene_test(ranges_not_implemented),
		scene_test(scopes),
		scene_test(global_pages),
		scene_test(stage2_by_ipa),
		cmocka_unit_test(scattered_table),
		scene_test(permission_upgrade),
		scene_test(illegal),
		scene_test(illegal_by_stages),
		cmocka_unit_test(random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
