/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The translation engine: nested, four levels of 4 KiB tables in both stages, over plain memory.
 *
 * Limits: a hit is held against a look-up in an open-addressing hash table whose next key depends on the value found, as the next
 * translation here depends on the last; a miss against a bare nested walk of the same tables, 24 dependent loads with their checks.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arm/smmu.h"
#include "arm/vmsa.h"
#include "subjects.h"

#define MEMORY_SIZE (256ull << 20)
#define IA_BITS 48
#define SID 5
#define ASID 7
#define VMID 9
#define LOOKUPS 200000
#define FEW_PAGES 512
#define MANY_PAGES 4096
#define TINY_TLB 16

struct engine {
	uint8_t *memory;	/* PA 0 .. MEMORY_SIZE; IPA = PA for tables */
	uint64_t used;
	struct vmsa_table s1, s2;
	struct smmu *smmu;
	void *smmu_memory;
	uint64_t *pages;	/* inputs, in the order they are asked for */
	unsigned int n_pages;
	uint32_t *next;		/* output page number -> index of the next input: makes look-ups serial */
	struct hash_slot {
		uint64_t key, value;
	} *hash;
};

static int memory_read(void *ctx, uint64_t pa, uint64_t *value)
{
	struct engine *e = ctx;

	if (pa > MEMORY_SIZE - 8)
		return -EFAULT;
	*value = __atomic_load_n((uint64_t *)(e->memory + pa), __ATOMIC_RELAXED);
	return 0;
}

static int memory_write(void *ctx, uint64_t pa, uint64_t value)
{
	struct engine *e = ctx;

	if (pa > MEMORY_SIZE - 8)
		return -EFAULT;
	__atomic_store_n((uint64_t *)(e->memory + pa), value, __ATOMIC_RELAXED);
	return 0;
}

static int table_alloc(void *ctx, uint64_t size, uint64_t *addr)
{
	struct engine *e = ctx;

	*addr = (e->used + size - 1) & ~(size - 1);
	if (*addr + size > MEMORY_SIZE)
		return -ENOMEM;
	e->used = *addr + size;
	return 0;
}

static void table_free(void *ctx, uint64_t addr, uint64_t size)
{
	(void)ctx, (void)addr, (void)size;	/* all of it goes at the end */
}

static int table_init(struct engine *e, struct vmsa_table *t, enum vmsa_stage stage)
{
	/* Start level 0 in both: stage 2 without concatenation. */
	*t = (struct vmsa_table){
		.format = { .stage = stage, .granule_shift = 12, .ia_bits = IA_BITS, .oa_bits = 48, .start_level = 0, .concat = 1 },
		.mem = { memory_read, memory_write, e },
		.alloc = table_alloc,
		.free = table_free,
		.ctx = e,
	};
	return vmsa_table_init(t);
}

static void write_dw(struct engine *e, uint64_t pa, uint64_t value)
{
	memory_write(e, pa, value);
}

/* STE at @sid's place and the CD it points to: nested, 4 KiB granules, 48 bits (IHI0070 5.2, 5.4). */
static void write_configuration(struct engine *e, uint64_t stream_table, uint64_t cd)
{
	uint64_t ste = stream_table + 64 * SID;

	write_dw(e, ste + 0, 1 | 7 << 1 | cd);
	write_dw(e, ste + 16, VMID | (uint64_t)(64 - IA_BITS) << 32 | 2ull << 38 | 5ull << 48 | 1ull << 51 | 1ull << 58);
	write_dw(e, ste + 24, e->s2.root);
	write_dw(e, cd + 0, (64 - IA_BITS) | 1ull << 30 | 1ull << 31 | 5ull << 32 | 1ull << 41 | 3ull << 45 | (uint64_t)ASID << 48);
	write_dw(e, cd + 8, e->s1.root);
}

static int start_smmu(struct engine *e, uint64_t stream_table, uint32_t tlb_entries)
{
	struct smmu_config config = {
		.mem = { memory_read, memory_write, e },
		.idr = { 0x0d4c101b, 0x02730010, 0, 0x1414, 0, 0x75 },
		.tlb_entries = tlb_entries,
	};

	e->smmu_memory = aligned_alloc(64, (smmu_footprint(&config) + 63) & ~63ull);
	if (!e->smmu_memory)
		return -ENOMEM;
	e->smmu = smmu_init(e->smmu_memory, &config);
	smmu_set_stream_table(e->smmu, stream_table, 4);
	return 0;
}

/* A hash table from input page to the index of the next input, half full. */
static int build_hash(struct engine *e)
{
	unsigned int slots = 2 * MANY_PAGES;

	e->hash = calloc(slots, sizeof(*e->hash));
	if (!e->hash)
		return -ENOMEM;
	for (unsigned int i = 0; i < e->n_pages; i++) {
		uint64_t key = e->pages[i] >> 12;
		unsigned int at = key * 0x9e3779b97f4a7c15ull >> 51;

		while (e->hash[at].key)
			at = (at + 1) % slots;
		e->hash[at] = (struct hash_slot){ key, (i + 1) % e->n_pages };
	}
	return 0;
}

static void engine_free(void *state)
{
	struct engine *e = state;

	munmap(e->memory, MEMORY_SIZE);
	free(e->smmu_memory);
	free(e->pages);
	free(e->next);
	free(e->hash);
	free(e);
}

/* @count pages @stride apart, mapped by pages in stage 1 and by pages in stage 2, to consecutive PAs. */
static int engine_new(unsigned int count, uint64_t stride, uint32_t tlb_entries, void **out)
{
	struct engine *e = calloc(1, sizeof(*e));
	uint64_t stream_table = 0x10000, cd = 0x11000, base = 0xffff00000000ull - count * stride, tables;
	int ret;

	if (!e)
		return -ENOMEM;
	*out = e;
	e->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	e->pages = calloc(count, sizeof(*e->pages));
	e->next = calloc(count, sizeof(*e->next));
	e->n_pages = count;
	e->used = 0x20000;
	ret = e->memory == MAP_FAILED || !e->pages || !e->next ? -ENOMEM : 0;
	ret = ret ? ret : table_init(e, &e->s1, VMSA_S1);
	ret = ret ? ret : table_init(e, &e->s2, VMSA_S2);
	for (unsigned int i = 0; i < count && !ret; i++) {
		/* An order without pattern, the same in each run: 2654435761 is odd, count a power of two. */
		uint64_t page = i * 2654435761u % count, ipa = 0x100000000000ull + page * stride;

		e->pages[i] = base + page * stride;
		e->next[page] = (i + 1) % count;
		ret = vmsa_map(&e->s1, e->pages[i], ipa, 4096, VMSA_READ | VMSA_WRITE | VMSA_NOT_GLOBAL);
		ret = ret ? ret : vmsa_map(&e->s2, ipa, 0x200000000000ull + page * 4096, 4096, VMSA_READ | VMSA_WRITE);
	}
	/* Stage 2 for the stage-1 tables themselves, as pages, when all of these exist. */
	tables = e->used;
	for (uint64_t pa = 0x10000; pa < tables && !ret; pa += 4096)
		ret = vmsa_map(&e->s2, pa, pa, 4096, VMSA_READ | VMSA_WRITE);
	if (!ret) {
		write_configuration(e, stream_table, cd);
		ret = start_smmu(e, stream_table, tlb_entries);
	}
	ret = ret ? ret : build_hash(e);
	if (ret)
		engine_free(e);
	return ret;
}

static unsigned int output_index(uint64_t pa)
{
	return (pa & 0xfffffffffff) >> 12;
}

/* @count dependent translations; ns for each, or < 0 when one faults. */
static double time_translations(struct engine *e, unsigned int count)
{
	struct smmu_txn txn = { .sid = SID, .access = SMMU_WRITE };
	struct smmu_result res;
	uint64_t start = bench_cpu_ns();
	unsigned int at = 0;

	for (unsigned int i = 0; i < count; i++) {
		txn.addr = e->pages[at] + 0x40;
		if (smmu_translate(e->smmu, &txn, &res))
			return -1;
		at = e->next[output_index(res.pa)];
	}
	bench_use(at);
	return (double)(bench_cpu_ns() - start) / count;
}

static double time_hash(struct engine *e, unsigned int count)
{
	unsigned int slots = 2 * MANY_PAGES, page = 0;
	uint64_t start = bench_cpu_ns();

	for (unsigned int i = 0; i < count; i++) {
		uint64_t key = e->pages[page] >> 12;
		unsigned int at = key * 0x9e3779b97f4a7c15ull >> 51;

		while (e->hash[at].key != key)
			at = (at + 1) % slots;
		page = e->hash[at].value;
	}
	bench_use(page);
	return (double)(bench_cpu_ns() - start) / count;
}

/* --- The bare walk --- */

/* One stage-2 translation, checked as an architecture-minded programmer would at least; 0 on a fault. */
static uint64_t bare_s2(const struct engine *e, uint64_t ipa, uint64_t permission)
{
	uint64_t table = e->s2.root, desc;

	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t at = table + 8 * (ipa >> shift & 511);

		if (at > MEMORY_SIZE - 8)
			return 0;
		desc = *(const uint64_t *)(e->memory + at);
		if (!(desc & 1))
			return 0;
		table = desc & 0x0000fffffffff000;
	}
	if ((desc & permission) != permission || !(desc & 1 << 10))
		return 0;
	return table | (ipa & 0xfff);
}

static uint64_t bare_nested(const struct engine *e, uint64_t va)
{
	uint64_t table = e->s1.root, desc;

	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t at = bare_s2(e, table + 8 * (va >> shift & 511), 1 << 6);

		if (!at || at > MEMORY_SIZE - 8)
			return 0;
		desc = *(const uint64_t *)(e->memory + at);
		if (!(desc & 1))
			return 0;
		table = desc & 0x0000fffffffff000;
	}
	/* AP[2] clear and AP[1] set: an unprivileged write; AF. */
	if ((desc & (1 << 10 | 1 << 7 | 1 << 6)) != (1 << 10 | 1 << 6))
		return 0;
	return bare_s2(e, table | (va & 0xfff), 1 << 7);
}

static double time_bare_walks(struct engine *e, unsigned int count)
{
	uint64_t start = bench_cpu_ns();
	unsigned int at = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t pa = bare_nested(e, e->pages[at] + 0x40);

		if (!pa)
			return -1;
		at = e->next[output_index(pa)];
	}
	bench_use(at);
	return (double)(bench_cpu_ns() - start) / count;
}

/* --- Benches --- */

static int sample(struct bench_sample *s, double value, double limit)
{
	*s = (struct bench_sample){ value, limit };
	return value > 0 && limit > 0 ? 0 : -EFAULT;
}

static int few_pages(void **state)
{
	return engine_new(FEW_PAGES, 4096, 0, state);
}

static int many_pages(void **state)
{
	return engine_new(MANY_PAGES, 4096, 0, state);
}

static int few_pages_tiny_tlb(void **state)
{
	return engine_new(FEW_PAGES, 4096, TINY_TLB, state);
}

static int spread_pages_tiny_tlb(void **state)
{
	return engine_new(MANY_PAGES, 2 << 20, TINY_TLB, state);
}

static int run_hit(void *state, struct bench_sample *s)
{
	return sample(s, time_translations(state, LOOKUPS), time_hash(state, LOOKUPS));
}

static int run_walk(void *state, struct bench_sample *s)
{
	return sample(s, time_translations(state, LOOKUPS / 4), time_bare_walks(state, LOOKUPS / 4));
}

/* What callgrind is told to count in: each page once. */
__attribute__((noinline)) static int counted_translations(struct engine *e)
{
	return time_translations(e, e->n_pages) > 0 ? 0 : -EFAULT;
}

static int forget_asid(struct engine *e)
{
	const uint64_t cmd[2] = { 0x11 | (uint64_t)VMID << 32 | (uint64_t)ASID << 48 };	/* CMD_TLBI_NH_ASID */

	return smmu_command(e->smmu, cmd) ? -EINVAL : 0;
}

static const struct {
	const char *name;
	int (*setup)(void **state);
	bool forget;
} counted[] = {
	{ "tlb_hit", many_pages, false },
	{ "tlb_miss", many_pages, true },	/* a TLB of the usual size, whose entries were just invalidated */
	{ "walk_warm", few_pages_tiny_tlb, false },	/* hardly a TLB, for what the walk itself looks up neither */
};

int bench_instructions(const char *what, unsigned int *count)
{
	struct engine *e;
	unsigned int i = 0;
	int ret;

	while (i < sizeof(counted) / sizeof(*counted) && strcmp(counted[i].name, what))
		i++;
	if (i == sizeof(counted) / sizeof(*counted))
		return -EINVAL;
	ret = counted[i].setup((void **)&e);
	if (ret)
		return ret;
	*count = e->n_pages;
	if (time_translations(e, e->n_pages) < 0)
		ret = -EFAULT;
	if (!ret && counted[i].forget)
		ret = forget_asid(e);
	ret = ret ? ret : counted_translations(e);
	engine_free(e);
	return ret;
}

struct racer {
	struct engine *e;
	pthread_barrier_t *barrier;
	double ns;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(r->barrier);
	r->ns = time_translations(r->e, 5 * LOOKUPS);
	return NULL;
}

/* Time for each translation that the machine as a whole takes, with @threads at it. */
static double time_threads(struct engine *e, int threads)
{
	pthread_barrier_t barrier;
	struct racer racers[2];
	pthread_t ids[2];
	double rate = 0;
	int i;

	pthread_barrier_init(&barrier, NULL, threads);
	for (i = 0; i < threads; i++) {
		racers[i] = (struct racer){ e, &barrier, -1 };
		if (pthread_create(&ids[i], NULL, race, &racers[i]))
			abort();
	}
	for (i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		rate += racers[i].ns > 0 ? 1 / racers[i].ns : 0;
	}
	pthread_barrier_destroy(&barrier);
	return rate > 0 ? 1 / rate : -1;
}

static int run_two_threads(void *state, struct bench_sample *s)
{
	double two = time_threads(state, 2);

	return sample(s, two, time_threads(state, 1));
}

/* CMD_TLBI_NH_VA of each page in turn; between rounds the pages are looked up again. */
static double time_invalidations(struct engine *e, unsigned int pages)
{
	uint64_t spent = 0;
	unsigned int done = 0;

	while (done < 20 * MANY_PAGES) {
		uint64_t start;

		if (time_translations(e, e->n_pages) < 0)
			return -1;
		start = bench_cpu_ns();
		for (unsigned int i = 0; i < pages; i++) {
			uint64_t cmd[2] = { 0x12 | (uint64_t)VMID << 32 | (uint64_t)ASID << 48, (e->pages[i] & ~0xfffull) | 1 };

			if (smmu_command(e->smmu, cmd))
				return -1;
		}
		spent += bench_cpu_ns() - start;
		done += pages;
	}
	return (double)spent / done;
}

struct invalidate {
	void *full, *empty;
};

static void invalidate_teardown(void *state)
{
	struct invalidate *s = state;

	if (s->full)
		engine_free(s->full);
	if (s->empty)
		engine_free(s->empty);
	free(s);
}

static int invalidate_setup(void **state)
{
	struct invalidate *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	ret = engine_new(MANY_PAGES, 4096, 0, &s->full);
	if (ret)
		s->full = NULL;
	else if ((ret = engine_new(16, 4096, 0, &s->empty)))
		s->empty = NULL;
	*state = s;
	if (ret)
		invalidate_teardown(s);
	return ret;
}

static int run_invalidate(void *state, struct bench_sample *s)
{
	struct invalidate *i = state;

	return sample(s, time_invalidations(i->full, 16), time_invalidations(i->empty, 16));
}

const struct bench bench_arm[] = {
	{ "tlb_hit", "ns", "serial look-up in an open-addressing hash of the same pages", 2, few_pages, run_hit, engine_free },
	{ "tlb_hit_2threads", "ns", "one thread on the same engine", 1 / 1.9, few_pages, run_two_threads, engine_free },
	{ "tlb_4096_pages", "ns", "serial look-up in an open-addressing hash of the same pages", 2, many_pages, run_hit, engine_free },
	{ "walk_warm", "ns", "bare nested walk, 24 loads", 2, few_pages_tiny_tlb, run_walk, engine_free },
	{ "walk_spread", "ns", "bare nested walk over pages 2 MiB apart", 2, spread_pages_tiny_tlb, run_walk, engine_free },
	{ "invalidate_page", "ns", "the same with 16 pages in the TLB instead of 4,096", 1.5, invalidate_setup, run_invalidate,
	  invalidate_teardown },
	{ 0 },
};
