/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual SMMU: a guest's commands beside the ioctl that they end in, and translations for emulated devices beside the engine that
 * makes them. */
#include "subjects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <doorbell/doorbell.h>

#include "arm/smmu.h"
#include "arm/smmu_regs.h"
#include "arm/smmu_mmio.h"
#include "vm/vm.h"

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (32ull << 20)
#define IOVA 0x100000000ull
#define PAGES 1024u
#define SID 3u
#define ASID 5u
#define COMMANDS 256u
#define ROUNDS 64u
/* In RAM, below the tables. */
#define STREAM_TABLE 0x10000ull
#define QUEUE 0x20000ull
#define TABLES 0x100000ull

struct guest {
	uint8_t *ram;
	struct stage1 s1;
	struct db_vsmmu *vsmmu;
	struct smmu *engine;	/* the same tables without a virtual SMMU */
	struct bell_vm *bell;	/* of the command bench */
	uint32_t prod;
};

static int mem_read(void *ctx, uint64_t ipa, void *buf, size_t len)
{
	struct guest *g = ctx;

	if (ipa < RAM_IPA || ipa - RAM_IPA > RAM_SIZE - len)
		return -EFAULT;
	memcpy(buf, g->ram + (ipa - RAM_IPA), len);
	return 0;
}

static int mem_write(void *ctx, uint64_t ipa, const void *buf, size_t len)
{
	struct guest *g = ctx;

	if (ipa < RAM_IPA || ipa - RAM_IPA > RAM_SIZE - len)
		return -EFAULT;
	memcpy(g->ram + (ipa - RAM_IPA), buf, len);
	return 0;
}

static int engine_read(void *ctx, uint64_t ipa, uint64_t *value)
{
	return mem_read(ctx, ipa, value, 8);
}

static const struct db_vsmmu_ops ops = { .size = sizeof(ops), .read = mem_read, .write = mem_write };

static void close_guest(void *state)
{
	struct guest *g = state;

	db_vsmmu_destroy(g->vsmmu);
	if (g->bell)
		bell_vm_close(g->bell);
	free(g->engine);
	free(g->ram);
	free(g);
}

static int start(struct guest *g, const struct db_vsmmu_config *config)
{
	int ret = db_vsmmu_create(config, &g->vsmmu);

	if (ret)
		return ret;
	db_vsmmu_mmio_write(g->vsmmu, SMMU_STRTAB_BASE, 8, RAM_IPA + STREAM_TABLE);
	db_vsmmu_mmio_write(g->vsmmu, SMMU_STRTAB_BASE_CFG, 4, 4);
	db_vsmmu_mmio_write(g->vsmmu, SMMU_CMDQ_BASE, 8, (RAM_IPA + QUEUE) | 9);
	return db_vsmmu_mmio_write(g->vsmmu, SMMU_CR0, 4, SMMU_CR0_SMMUEN | SMMU_CR0_CMDQEN);
}

static struct guest *new_guest(void)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (g)
		g->ram = aligned_alloc(4096, RAM_SIZE);
	if (!g || !g->ram) {
		free(g);
		return NULL;
	}
	memset(g->ram, 0, RAM_SIZE);
	return g;
}

/* PAGES pages at IOVA, @stride apart, for an emulated device. */
static int emulated(void **state, uint64_t stride)
{
	struct guest *g = *state = new_guest();
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &ops, .ctx = g };
	struct smmu_config engine = { .mem = { .read64 = engine_read, .ctx = g }, .tlb_entries = 4096 };
	struct db_smmu_info info;
	int ret;

	if (!g)
		return -ENOMEM;
	g->s1 = (struct stage1){ .ram = g->ram, .ram_ipa = RAM_IPA, .used = TABLES, .limit = RAM_SIZE, .input_bits = 48, .asid = ASID };
	ret = stage1_init(&g->s1);
	for (unsigned int i = 0; i < PAGES && !ret; i++)
		ret = vmsa_map(&g->s1.table, IOVA + i * stride, RAM_IPA + i * 4096, 4096, VMSA_READ | VMSA_WRITE);
	memcpy(g->ram + STREAM_TABLE + SID * 64, g->s1.ste, 64);
	ret = ret ? ret : start(g, &config);
	ret = ret ? ret : db_vsmmu_add_emulated(g->vsmmu, SID);
	if (!ret) {
		db_vsmmu_info(g->vsmmu, &info);
		memcpy(engine.idr, info.idr, sizeof(engine.idr));
		g->engine = smmu_init(aligned_alloc(64, (smmu_footprint(&engine) + 63) & ~63ull), &engine);
		smmu_set_stream_table(g->engine, RAM_IPA + STREAM_TABLE, 4);
		return 0;
	}
	close_guest(g);
	return ret;
}

static int emulated_pages(void **state)
{
	return emulated(state, 4096);
}

static int emulated_spread(void **state)
{
	return emulated(state, 2 << 20);
}

/* CMD_TLBI_NH_ALL to both, so that what follows misses. */
static int forget(struct guest *g)
{
	const uint64_t cmd[2] = { SMMU_CMD_OP_TLBI_NH_ALL };

	memcpy(g->ram + QUEUE + g->prod % 512 * 16, cmd, 16);
	g->prod = (g->prod + 1) % 1024;
	return smmu_command(g->engine, cmd) ? -EINVAL : db_vsmmu_mmio_write(g->vsmmu, SMMU_CMDQ_PROD, 4, g->prod);
}

static double time_vsmmu(struct guest *g, uint64_t stride)
{
	struct db_vsmmu_translation out = DB_SIZED(struct db_vsmmu_translation);
	uint64_t from = bench_cpu_ns();

	for (unsigned int i = 0; i < PAGES; i++) {
		if (db_vsmmu_translate(g->vsmmu, SID, 0, IOVA + i * stride, DB_VSMMU_WRITE, &out))
			return -1;
		bench_use(out.address);
	}
	return (double)(bench_cpu_ns() - from) / PAGES;
}

static double time_engine(struct guest *g, uint64_t stride)
{
	struct smmu_txn txn = { .sid = SID, .access = SMMU_WRITE };
	struct smmu_result res;
	uint64_t from = bench_cpu_ns();

	for (unsigned int i = 0; i < PAGES; i++) {
		txn.addr = IOVA + i * stride;
		if (smmu_translate(g->engine, &txn, &res))
			return -1;
		bench_use(res.pa);
	}
	return (double)(bench_cpu_ns() - from) / PAGES;
}

static int run(struct guest *g, struct bench_sample *s, uint64_t stride, bool miss)
{
	double value, limit;

	*s = (struct bench_sample){ 0 };
	for (unsigned int i = 0; i < ROUNDS; i++) {
		int ret = miss ? forget(g) : 0;

		if (ret)
			return ret;
		value = time_vsmmu(g, stride);
		limit = time_engine(g, stride);
		if (value <= 0 || limit <= 0)
			return -EFAULT;
		s->value += value / ROUNDS;
		s->limit += limit / ROUNDS;
	}
	return 0;
}

static int run_hit(void *state, struct bench_sample *s)
{
	return run(state, s, 4096, false);
}

static int run_miss(void *state, struct bench_sample *s)
{
	return run(state, s, 2 << 20, true);
}

/* --- Commands of a guest with a passed-through device --- */

static int passed(void **state)
{
	struct guest *g = *state = new_guest();
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &ops, .ctx = g, .host = &caps.smmu };
	struct vm *vm;
	int ret;

	if (!g)
		return -ENOMEM;
	ret = bell_vm_open(&g->bell, 0);
	if (!ret) {
		/* The device goes from the VM's own vIOMMU behind the virtual SMMU. */
		vm = &g->bell->vm;
		config.space = vm->space;
		ret = db_device_caps(vm->devices[0].dev, &caps);
		ret = ret ? ret : start(g, &config);
		if (!ret) {
			db_viommu_remove(vm->viommu, vm->devices[0].dev);
			vm->devices[0].added = false;
			ret = db_vsmmu_add_device(g->vsmmu, vm->devices[0].dev, SID);
		}
	}
	if (ret)
		close_guest(g);
	return ret;
}

static void page_commands(uint64_t (*cmds)[2])
{
	for (unsigned int i = 0; i < COMMANDS; i++) {
		cmds[i][0] = SMMU_CMD_OP_TLBI_NH_VA | (uint64_t)ASID << 48;
		cmds[i][1] = (RAM_IPA + i * 4096) | 1;
	}
}

static int run_commands(void *state, struct bench_sample *s)
{
	static uint64_t cmds[COMMANDS][2];
	struct guest *g = state;
	uint64_t from;

	page_commands(cmds);
	for (unsigned int i = 0; i < 512 / COMMANDS; i++)
		memcpy(g->ram + QUEUE + i * sizeof(cmds), cmds, sizeof(cmds));
	from = bench_now_ns();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		g->prod = (g->prod + COMMANDS) % 1024;
		if (db_vsmmu_mmio_write(g->vsmmu, SMMU_CMDQ_PROD, 4, g->prod))
			return -EIO;
	}
	s->value = (double)(bench_now_ns() - from) / (ROUNDS * COMMANDS);
	from = bench_now_ns();
	for (unsigned int i = 0; i < ROUNDS; i++)
		if (db_viommu_invalidate(g->bell->vm.viommu, (const uint64_t (*)[2])cmds, COMMANDS, NULL))
			return -EIO;
	s->limit = (double)(bench_now_ns() - from) / (ROUNDS * COMMANDS);
	return 0;
}

const struct bench bench_vsmmu[] = {
	{ "vsmmu_command", "ns/command", "the same 256 in one ioctl", 1.5, passed, run_commands, close_guest },
	{ "vsmmu_hit", "ns", "the engine itself, which tlb_hit measures", 2, emulated_pages, run_hit, close_guest },
	{ "vsmmu_miss", "ns", "the engine itself, which walks alike", 1.5, emulated_spread, run_miss, close_guest },
	{ 0 },
};
