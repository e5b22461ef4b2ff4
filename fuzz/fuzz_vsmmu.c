/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's registers, queues, stream table and CDs, and accesses of an emulated device: the input is a list of things that a guest
 * can do. Nothing it does may end the process, read or write beyond its memory, or take more than a queue's worth of work; and after a
 * reset the virtual SMMU works as a new one.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <doorbell/doorbell.h>

#include "arm/smmu_mmio.h"

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (1u << 20)
#define DEVICES 4u

struct guest {
	struct db_vsmmu *vsmmu;
	uint8_t *ram;
	unsigned int accesses;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *at(struct guest *g, uint64_t ipa, size_t len)
{
	g->accesses++;
	return ipa >= RAM_IPA && ipa - RAM_IPA <= RAM_SIZE - len ? g->ram + (ipa - RAM_IPA) : NULL;
}

static int mem_read(void *ctx, uint64_t ipa, void *buf, size_t len)
{
	void *from = at(ctx, ipa, len);

	if (from)
		memcpy(buf, from, len);
	return from ? 0 : -EFAULT;
}

static int mem_write(void *ctx, uint64_t ipa, const void *buf, size_t len)
{
	void *to = at(ctx, ipa, len);

	if (to)
		memcpy(to, buf, len);
	return to ? 0 : -EFAULT;
}

static void irq(void *ctx, enum db_vsmmu_irq which)
{
	(void)ctx;
	if (which >= DB_VSMMU_IRQS)
		abort();
}

static int msi(void *ctx, uint64_t address, uint32_t data)
{
	uint64_t word = data;

	return mem_write(ctx, address & ~7ull, &word, sizeof(word));
}

static void invalidated(void *ctx, const struct db_vsmmu_invalidation *what)
{
	(void)ctx;
	if (what->first > what->last || what->first_sid > what->last_sid)
		abort();
}

static struct guest *make(void)
{
	static const struct db_vsmmu_ops ops = {
		.size = sizeof(ops),
		.read = mem_read,
		.write = mem_write,
		.irq = irq,
		.msi = msi,
		.invalidated = invalidated,
	};
	struct guest *g = calloc(1, sizeof(*g));
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &ops, .ctx = g, .sid_bits = 8 };

	g->ram = malloc(RAM_SIZE);
	if (db_vsmmu_create(&config, &g->vsmmu))
		abort();
	for (unsigned int i = 0; i < DEVICES; i++)
		db_vsmmu_add_emulated(g->vsmmu, i * 3);
	return g;
}

/* A driver that starts: so that not every input has to find out how. */
static void start(struct guest *g)
{
	db_vsmmu_mmio_write(g->vsmmu, SMMU_STRTAB_BASE, 8, RAM_IPA + 0x10000);
	db_vsmmu_mmio_write(g->vsmmu, SMMU_STRTAB_BASE_CFG, 4, 8);
	db_vsmmu_mmio_write(g->vsmmu, SMMU_CMDQ_BASE, 8, RAM_IPA | 9);
	db_vsmmu_mmio_write(g->vsmmu, SMMU_EVENTQ_BASE, 8, (RAM_IPA + 0x4000) | 4);
	db_vsmmu_mmio_write(g->vsmmu, SMMU_IRQ_CTRL, 4, 5);
	db_vsmmu_mmio_write(g->vsmmu, SMMU_CR0, 4, 0xd);
}

static void step(struct guest *g, const uint8_t in[16])
{
	struct db_vsmmu_translation out = DB_SIZED(struct db_vsmmu_translation);
	uint64_t value, saved[64];
	uint32_t where;

	memcpy(&where, in + 4, 4);
	memcpy(&value, in + 8, 8);
	switch (in[0] % 8) {
	case 0:	/* anywhere */
		db_vsmmu_mmio_write(g->vsmmu, where, in[1], value);
		db_vsmmu_mmio_read(g->vsmmu, where, in[1]);
		break;
	case 1:	/* a register that there is */
		db_vsmmu_mmio_write(g->vsmmu, in[1] & ~3u, in[2] & 1 ? 8 : 4, value);
		break;
	case 2:	/* memory: queues, tables */
		value += in[2] & 1 ? RAM_IPA : 0;
		memcpy(g->ram + (where % RAM_SIZE & ~7u), &value, 8);
		break;
	case 3:	/* a command, at the place where it is taken next */
		where = db_vsmmu_mmio_read(g->vsmmu, SMMU_CMDQ_PROD, 4) & 0x1ff;
		memcpy(g->ram + where * 16, &value, 8);
		value = (uint64_t)in[1] << 12 | in[2] | in[3] << 8;
		memcpy(g->ram + where * 16 + 8, &value, 8);
		db_vsmmu_mmio_write(g->vsmmu, SMMU_CMDQ_PROD, 4, (where + 1) & 0x3ff);
		break;
	case 4:	/* acknowledges */
		db_vsmmu_mmio_write(g->vsmmu, SMMU_GERRORN, 4, db_vsmmu_mmio_read(g->vsmmu, SMMU_GERROR, 4));
		break;
	case 5:
		db_vsmmu_save(g->vsmmu, saved, sizeof(saved));
		saved[where % 64] ^= value;
		db_vsmmu_restore(g->vsmmu, saved, db_vsmmu_save(g->vsmmu, NULL, 0));
		break;
	default:
		db_vsmmu_translate(g->vsmmu, in[1] % (DEVICES * 3), where, value, in[2], &out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t all[2] = { SMMU_CMD_OP_TLBI_NSNH_ALL };
	static struct guest *g;

	if (!g)
		g = make();
	db_vsmmu_reset(g->vsmmu);
	memset(g->ram, 0, RAM_SIZE);
	start(g);
	for (; size >= 16; data += 16, size -= 16) {
		g->accesses = 0;
		step(g, data);
		/* A command queue entry by entry, an event and an MSI for each, and a walk. */
		if (g->accesses > 4096)
			abort();
	}
	db_vsmmu_reset(g->vsmmu);
	memcpy(g->ram, all, sizeof(all));
	start(g);
	if (db_vsmmu_mmio_write(g->vsmmu, SMMU_CMDQ_PROD, 4, 1) || db_vsmmu_mmio_read(g->vsmmu, SMMU_CMDQ_CONS, 4) != 1)
		abort();
	return 0;
}
