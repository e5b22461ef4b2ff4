/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readers against invalidation. One thread changes what an address means, in numbered steps, each
 * followed by the command that the architecture asks for; the others translate all the time. A
 * translation that began after step n must not see what was before n, and none may see a mixture.
 * Run under the thread sanitizer too.
 */
#include <pthread.h>

#include "smmu_scene.h"

#define READERS 3
#define STEPS 6000u
#define ENOUGH 2000u	/* translations of each reader */
#define PLACES 64u	/* step n is told by place n % PLACES */

struct race {
	struct scene *s;
	_Atomic uint64_t done;		/* steps whose invalidation has completed */
	_Atomic bool stop;
	uint64_t base;			/* PA of place 0 */
	uint64_t va;			/* first address that readers use */
	uint64_t span;			/* they use pages of [va, va + span) */
	bool faults_allowed;		/* while a step is under way there may be no translation */
};

struct reader {
	struct race *race;
	unsigned int id;
	_Atomic uint64_t translations;
	const char *_Atomic problem;	/* cmocka's asserts are for the main thread */
};

static void *read_all(void *arg)
{
	struct reader *r = arg;
	struct race *race = r->race;
	uint64_t offset = 0;

	while (!atomic_load(&race->stop) && !r->problem) {
		uint64_t before = atomic_load(&race->done), after, seen;
		struct smmu_txn txn = { .sid = SID,
					.access = SMMU_READ,
					.addr = race->va + offset };
		struct smmu_result res;
		int rc = smmu_translate(race->s->m.smmu, &txn, &res);

		after = atomic_load(&race->done);
		atomic_fetch_add_explicit(&r->translations, 1, memory_order_relaxed);
		if (rc) {
			/* Only while something was changing. */
			if (!race->faults_allowed)
				r->problem = "a fault";
			continue;
		}
		/* Each place is 64 KiB; the offset within it is the address's. */
		if ((res.pa & 0xffff) != (offset & 0xffff))
			r->problem = "a wrong offset";
		seen = (res.pa - race->base) >> 16;
		/*
		 * Of the steps that can be seen: the last before, up to the one that may be under
		 * way.
		 */
		if (seen >= PLACES || (seen - before) % PLACES > after + 1 - before)
			r->problem = "an old translation after its invalidation";
		offset = (offset + 0x1000 * (1 + r->id)) % race->span;
	}
	return NULL;
}

static bool all_ran(const struct reader *readers)
{
	unsigned int i;

	for (i = 0; i < READERS; i++) {
		if (!readers[i].problem && readers[i].translations < ENOUGH)
			return false;
	}
	return true;
}

/* At least @steps of them, and until every reader has had its turn. */
static void run(struct race *race, void (*step)(struct race *race, uint64_t n), uint64_t steps)
{
	struct reader readers[READERS];
	pthread_t threads[READERS];
	uint64_t n, total = 0;
	unsigned int i;

	for (i = 0; i < READERS; i++) {
		readers[i].race = race;
		readers[i].id = i;
		readers[i].problem = NULL;
		atomic_init(&readers[i].translations, 0);
		assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
	}
	for (n = 1; n <= steps || !all_ran(readers); n++) {
		step(race, n);
		atomic_store(&race->done, n);
	}
	atomic_store(&race->stop, true);
	for (i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		if (readers[i].problem)
			fail_msg("reader %u: %s", i, readers[i].problem);
		total += readers[i].translations;
	}
	print_message("%" PRIu64 " translations against %" PRIu64 " changes\n", total, n - 1);
}

static uint64_t place(const struct race *race, uint64_t n)
{
	return race->base + (n % PLACES) * 0x10000;
}

#define CMD(op) \
	(SMMU_CMD_OP_##op | FIELD_PREP64(SMMU_CMD_TLBI_0_VMID, VMID) | \
	 FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, ASID))

/* --- A stage-1 page is moved and invalidated by address --- */

static void move_page(struct race *race, uint64_t n)
{
	uint64_t leaf = leaf_addr(&race->s->s1, race->va);

	ram_put(&race->s->m.ram, leaf,
		(ram_get(&race->s->m.ram, leaf) & ~VMSA_DESC_ADDR) | place(race, n));
	machine_command(&race->s->m, CMD(TLBI_NH_VA), race->va);
}

static void page_by_address(void **state)
{
	struct race race = { .s = *state, .base = PAGE, .va = VA, .span = 0x1000 };

	assert_int_equal(vmsa_map(&race.s->s1, VA, PAGE, 0x1000, RW | VMSA_NOT_GLOBAL), 0);
	run(&race, move_page, STEPS);
}

/* --- A stage-1 block in pieces: one command takes them all --- */

static void move_block(struct race *race, uint64_t n)
{
	uint64_t leaf = leaf_addr(&race->s->s1, race->va);

	/* Blocks of IPA, 2 MiB apart, each of which stage 2 maps by pages to one place. */
	ram_put(&race->s->m.ram, leaf,
		(ram_get(&race->s->m.ram, leaf) & ~VMSA_DESC_ADDR) |
			(IPA + (n % PLACES) * 0x200000));
	machine_command(&race->s->m, CMD(TLBI_NH_VA), race->va + 0x5000);
}

static void fragments_by_address(void **state)
{
	struct race race = { .s = *state, .base = PAGE, .va = UINT64_C(4) << 30, .span = 0x10000 };
	uint64_t n, page;

	for (n = 0; n < PLACES; n++) {
		for (page = 0; page < 16; page++)
			assert_int_equal(vmsa_map(&race.s->s2, IPA + n * 0x200000 + page * 0x1000,
						  place(&race, n) + page * 0x1000, 0x1000, RW),
					 0);
	}
	assert_int_equal(vmsa_map(&race.s->s1, race.va, IPA, 0x200000, RW | VMSA_NOT_GLOBAL), 0);
	run(&race, move_block, STEPS);
}

/* --- A last-level table is replaced: the walk cache must not lead into the old one --- */

static uint64_t tables[2];

static void swap_table(struct race *race, uint64_t n)
{
	struct scene *s = race->s;
	uint64_t next = tables[n & 1], i;
	uint64_t l1 = ram_get(&s->m.ram, s->s1.root + 8 * (race->va >> 39)) & VMSA_DESC_ADDR;
	uint64_t l2 = ram_get(&s->m.ram, l1 + 8 * (race->va >> 30 & 511)) & VMSA_DESC_ADDR;

	for (i = 0; i < 16; i++)
		ram_put(&s->m.ram, next + 8 * i,
			(place(race, n) + i * 0x1000) | VMSA_LEAF_AF | VMSA_S1_NG |
				VMSA_S1_AP_UNPRIV | VMSA_DESC_TYPE_PAGE);
	ram_put(&s->m.ram, l2 + 8 * (race->va >> 21 & 511), next | VMSA_DESC_TYPE_TABLE);
	machine_command(&s->m, CMD(TLBI_NH_ASID), 0);
}

static void table_by_asid(void **state)
{
	struct race race = { .s = *state, .base = PAGE, .va = VA, .span = 0x10000 };

	assert_int_equal(vmsa_map(&race.s->s1, VA, PAGE, 0x1000, RW | VMSA_NOT_GLOBAL), 0);
	tables[0] = ram_new(&race.s->m.ram, 4096);
	tables[1] = ram_new(&race.s->m.ram, 4096);
	swap_table(&race, 0);
	run(&race, swap_table, STEPS / 10);
}

/* --- Stage 2 is moved beneath stage 1 --- */

static void move_stage2(struct race *race, uint64_t n)
{
	uint64_t leaf = leaf_addr(&race->s->s2, IPA);

	ram_put(&race->s->m.ram, leaf,
		(ram_get(&race->s->m.ram, leaf) & ~VMSA_DESC_ADDR) | place(race, n));
	machine_command(&race->s->m, CMD(TLBI_S2_IPA), IPA);
	machine_command(&race->s->m, CMD(TLBI_NH_ALL), 0);
}

static void stage2_by_ipa(void **state)
{
	struct race race = { .s = *state, .base = PAGE, .va = VA, .span = 0x1000 };

	assert_int_equal(vmsa_map(&race.s->s1, VA, IPA, 0x1000, RW | VMSA_NOT_GLOBAL), 0);
	assert_int_equal(vmsa_map(&race.s->s2, IPA, PAGE, 0x1000, RW), 0);
	run(&race, move_stage2, STEPS / 10);
}

/*
 * --- Another CD for the same ASID: configuration and TLB are invalidated one after the other ---
 */

static uint64_t roots[2];

static void change_cd(struct race *race, uint64_t n)
{
	struct scene *s = race->s;
	struct vmsa_table other = s->s1;
	uint64_t leaf;

	other.root = roots[n & 1];
	leaf = leaf_addr(&other, race->va);
	ram_put(&s->m.ram, leaf, (ram_get(&s->m.ram, leaf) & ~VMSA_DESC_ADDR) | place(race, n));
	ram_put(&s->m.ram, s->cd + 8, other.root);
	machine_command(&s->m, SMMU_CMD_OP_CFGI_CD | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, SID), 0);
	machine_command(&s->m, CMD(TLBI_NH_ASID), 0);
}

static void cd_then_asid(void **state)
{
	struct race race = { .s = *state, .base = PAGE, .va = VA, .span = 0x1000 };
	struct vmsa_table second = table_make(&race.s->m.ram, VMSA_S1, 12, 48, 48);

	assert_int_equal(vmsa_map(&race.s->s1, VA, PAGE, 0x1000, RW | VMSA_NOT_GLOBAL), 0);
	assert_int_equal(vmsa_map(&second, VA, PAGE, 0x1000, RW | VMSA_NOT_GLOBAL), 0);
	roots[0] = race.s->s1.root;
	roots[1] = second.root;
	run(&race, change_cd, STEPS / 10);
}

/* --- A stream between stage 1 and abort --- */

static void toggle_ste(struct race *race, uint64_t n)
{
	struct scene *s = race->s;
	uint64_t leaf = leaf_addr(&s->s1, race->va);

	/* §3.21.3: V goes first and comes last; the page moves while nobody can look. */
	ram_put(&s->m.ram, s->m.strtab + SID * 64, 0);
	machine_command(&s->m, SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, SID), 0);
	ram_put(&s->m.ram, leaf, (ram_get(&s->m.ram, leaf) & ~VMSA_DESC_ADDR) | place(race, n));
	machine_command(&s->m, CMD(TLBI_NH_VA), race->va);
	ram_put(&s->m.ram, s->m.strtab + SID * 64, s->ste_words[0]);
	machine_command(&s->m, SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, SID), 0);
}

static void ste_toggled(void **state)
{
	struct race race = {
		.s = *state, .base = PAGE, .va = VA, .span = 0x1000, .faults_allowed = true
	};

	assert_int_equal(vmsa_map(&race.s->s1, VA, PAGE, 0x1000, RW | VMSA_NOT_GLOBAL), 0);
	run(&race, toggle_ste, STEPS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(page_by_address),
		scene_test(fragments_by_address),
		scene_test(table_by_asid),
		scene_test(stage2_by_ipa),
		scene_test(cd_then_asid),
		scene_test(ste_toggled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
