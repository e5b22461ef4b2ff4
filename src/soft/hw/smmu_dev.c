/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An SMMUv3 of the machine.
 *
 * The stream table has two levels where the SMMU can do that, and a stream table entry is replaced
 * by replacing the second-level table it is in: a copy with the new entry is complete before one
 * 64-bit store of the first-level descriptor makes it the table. So whoever reads eight dwords one
 * after the other, as the SMMU may (IHI 0070 §3.21.3), reads an old entry or a new one, and no
 * stream is ever without one. The old table is freed after the next CMD_SYNC's grace period.
 */
#include "soft/hw/smmu_dev.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "arm/smmu_build.h"
#include "soft/alloc.h"
#include "soft/hw/rcu.h"

#define STE_BYTES (SMMU_STE_DWORDS * 8)

#define STRTAB_SPLIT 6u
#define L2_ENTRIES (1u << STRTAB_SPLIT)
#define L2_BYTES ((size_t)L2_ENTRIES * STE_BYTES)
#define L1STD_SPAN_FULL (STRTAB_SPLIT + 1)	/* 2^(Span - 1) entries */

/* A second-level table. A replaced one waits in a list for the grace period. */
struct l2_table {
	uint64_t pa;
	struct l2_table *next;
};

struct event_handler {
	void (*fn)(void *ctx, const struct smmu_event *event);
	void *ctx;
};

/* Followed in memory by the engine. */
struct smmu_dev {
	struct smmu *smmu;
	struct smmu_dev_config config;
	uint64_t table;			/* first level, or linear */
	uint64_t table_size;
	struct event_handler *handler;	/* read under RCU */

	/*
	 * Commands and stream table writes, one at a time. Innermost lock, not taken by
	 * translations.
	 */
	pthread_mutex_t lock;
	struct l2_table **l2;		/* NULL: the table is linear */
	struct l2_table *retired;
};

static void store_dword(uint64_t pa, unsigned int n, uint64_t value)
{
	__atomic_store_n((uint64_t *)bus_memory(pa) + n, htole64(value), __ATOMIC_RELEASE);
}

/* Dword 0 last: it has the valid bit. */
static void fill_ste(uint64_t pa, const uint64_t ste[SMMU_STE_DWORDS])
{
	for (unsigned int i = SMMU_STE_DWORDS; i--;)
		store_dword(pa, i, ste[i]);
}

static void fill_abort(uint64_t pa, uint64_t count)
{
	uint64_t ste[SMMU_STE_DWORDS];

	smmu_ste_abort(ste);
	for (uint64_t i = 0; i < count; i++)
		fill_ste(pa + i * STE_BYTES, ste);
}

/* --- Set-up --- */

static struct l2_table *l2_create(struct bus *bus)
{
	struct l2_table *l2 = soft_calloc(1, sizeof(*l2));

	if (!l2)
		return NULL;
	if (!bus_alloc(bus, L2_BYTES, L2_BYTES, &l2->pa)) {
		soft_free(l2);
		return NULL;
	}
	fill_abort(l2->pa, L2_ENTRIES);
	return l2;
}

static void l2_destroy(struct bus *bus, struct l2_table *l2)
{
	if (!l2)
		return;
	bus_free(bus, l2->pa, L2_BYTES);
	soft_free(l2);
}

static size_t n_l2(const struct smmu_dev *smmu)
{
	return (size_t)1 << (smmu->config.sid_bits - STRTAB_SPLIT);
}

static int make_stream_table(struct smmu_dev *smmu)
{
	unsigned int bits = smmu->config.sid_bits;
	bool two_level =
		FIELD_GET64(SMMU_IDR0_ST_LEVEL, smmu->config.idr[0]) == SMMU_IDR0_ST_LEVEL_TWO &&
		bits > STRTAB_SPLIT;

	smmu->table_size = two_level ? 8ull << (bits - STRTAB_SPLIT) : (uint64_t)STE_BYTES << bits;
	if (smmu->table_size < STE_BYTES)
		smmu->table_size = STE_BYTES;
	if (!bus_alloc(smmu->config.bus, smmu->table_size, smmu->table_size, &smmu->table))
		return -ENOMEM;
	if (two_level) {
		smmu->l2 = soft_calloc(n_l2(smmu), sizeof(*smmu->l2));
		if (!smmu->l2)
			return -ENOMEM;
	} else {
		fill_abort(smmu->table, 1ull << bits);
	}
	smmu_set_stream_table(
		smmu->smmu, smmu->table,
		FIELD_PREP64(SMMU_STRTAB_BASE_CFG_LOG2SIZE, bits) |
			(two_level ? FIELD_PREP64(SMMU_STRTAB_BASE_CFG_SPLIT, STRTAB_SPLIT) |
					     FIELD_PREP64(SMMU_STRTAB_BASE_CFG_FMT,
							  SMMU_STRTAB_BASE_CFG_FMT_2LVL)
				   : 0));
	return 0;
}

static size_t head_size(void)
{
	return (sizeof(struct smmu_dev) + 63) & ~(size_t)63;
}

struct smmu_dev *smmu_dev_create(const struct smmu_dev_config *config)
{
	struct smmu_config engine = { .mem = bus_arm_mem(config->bus) };
	struct smmu_dev *smmu;

	if (config->sid_bits > FIELD_GET64(SMMU_IDR1_SIDSIZE, config->idr[1]) ||
	    config->sid_bits > 32)
		return NULL;
	memcpy(engine.idr, config->idr, sizeof(engine.idr));
	smmu = soft_calloc_aligned(1, head_size() + smmu_footprint(&engine), 64);
	if (!smmu)
		return NULL;
	smmu->config = *config;
	pthread_mutex_init(&smmu->lock, NULL);
	smmu->smmu = smmu_init((char *)smmu + head_size(), &engine);
	if (make_stream_table(smmu)) {
		smmu_dev_destroy(smmu);
		return NULL;
	}
	return smmu;
}

static void free_retired(struct bus *bus, struct l2_table *l2)
{
	struct l2_table *next;

	for (; l2; l2 = next) {
		next = l2->next;
		l2_destroy(bus, l2);
	}
}

void smmu_dev_destroy(struct smmu_dev *smmu)
{
	struct bus *bus;

	if (!smmu)
		return;
	bus = smmu->config.bus;
	free_retired(bus, smmu->retired);
	for (size_t i = 0; smmu->l2 && i < n_l2(smmu); i++)
		l2_destroy(bus, smmu->l2[i]);
	soft_free(smmu->l2);
	bus_free(bus, smmu->table, smmu->table_size);
	soft_free(smmu->handler);
	pthread_mutex_destroy(&smmu->lock);
	soft_free(smmu);
}

const uint32_t *smmu_dev_idr(const struct smmu_dev *smmu)
{
	return smmu->config.idr;
}

/* --- Stream table --- */

static void forget_ste(struct smmu_dev *smmu, uint32_t sid)
{
	uint64_t cfgi[2] = { SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid), 0 };

	/* Cannot fail: @sid is in range. Leaf = 0: the first level, too. */
	smmu_command(smmu->smmu, cfgi);
}

static int replace_in_l2(struct smmu_dev *smmu, uint32_t sid, const uint64_t ste[SMMU_STE_DWORDS])
{
	size_t index = sid >> STRTAB_SPLIT;
	struct l2_table *old = smmu->l2[index], *l2 = l2_create(smmu->config.bus);

	if (!l2)
		return -ENOMEM;
	if (old)
		memcpy(bus_memory(l2->pa), bus_memory(old->pa), L2_BYTES);
	fill_ste(l2->pa + sid % L2_ENTRIES * STE_BYTES, ste);

	store_dword(smmu->table, index, l2->pa | L1STD_SPAN_FULL);
	smmu->l2[index] = l2;
	/* Before the old table may be freed by anyone's CMD_SYNC, nothing new may find it. */
	forget_ste(smmu, sid);
	if (old) {
		old->next = smmu->retired;
		smmu->retired = old;
	}
	return 0;
}

/*
 * An entry that aborts says so in its first dword, whatever the others hold (§5.2 Config), so it
 * needs no new table and cannot fail: a device can always be taken away.
 */
static bool abort_in_l2(struct smmu_dev *smmu, uint32_t sid, const uint64_t ste[SMMU_STE_DWORDS])
{
	const struct l2_table *l2 = smmu->l2[sid >> STRTAB_SPLIT];
	uint64_t abort[SMMU_STE_DWORDS];

	smmu_ste_abort(abort);
	if (memcmp(ste, abort, sizeof(abort)))
		return false;
	if (l2) {
		store_dword(l2->pa + sid % L2_ENTRIES * STE_BYTES, 0, abort[0]);
		forget_ste(smmu, sid);
	}
	return true;
}

/* A linear table cannot be replaced under the SMMU: the stream is without an entry for a moment. */
static void replace_in_place(struct smmu_dev *smmu, uint32_t sid,
			     const uint64_t ste[SMMU_STE_DWORDS])
{
	uint64_t pa = smmu->table + (uint64_t)sid * STE_BYTES;

	store_dword(pa, 0, 0);
	forget_ste(smmu, sid);
	hw_synchronize();
	fill_ste(pa, ste);
	forget_ste(smmu, sid);
}

int smmu_dev_write_ste(struct smmu_dev *smmu, uint32_t sid, const uint64_t ste[SMMU_STE_DWORDS])
{
	int err = 0;

	if ((uint64_t)sid >> smmu->config.sid_bits)
		return -ERANGE;
	pthread_mutex_lock(&smmu->lock);
	if (!smmu->l2)
		replace_in_place(smmu, sid, ste);
	else if (!abort_in_l2(smmu, sid, ste))
		err = replace_in_l2(smmu, sid, ste);
	pthread_mutex_unlock(&smmu->lock);
	return err;
}

/* --- Commands --- */

int smmu_dev_commands(struct smmu_dev *smmu, const uint64_t (*cmds)[2], size_t count, size_t *done)
{
	struct l2_table *retired = NULL;
	bool sync = false;
	size_t i;
	int err = 0;

	pthread_mutex_lock(&smmu->lock);
	for (i = 0; i < count; i++) {
		err = smmu_command(smmu->smmu, cmds[i]);
		if (err)
			break;
		sync |= FIELD_GET64(SMMU_CMD_0_OP, cmds[i][0]) == SMMU_CMD_OP_SYNC;
	}
	if (sync) {
		retired = smmu->retired;
		smmu->retired = NULL;
	}
	pthread_mutex_unlock(&smmu->lock);

	/*
	 * A batch is one unit to its caller, so its CMD_SYNCs complete together, at its end: when
	 * no access that was translated before is under way (§4.7.3).
	 */
	if (sync) {
		hw_synchronize();
		free_retired(smmu->config.bus, retired);
	}
	if (done)
		*done = i;
	return err;
}

/* --- Translation and events --- */

int smmu_dev_set_event_handler(struct smmu_dev *smmu,
			       void (*fn)(void *ctx, const struct smmu_event *event), void *ctx)
{
	struct event_handler *handler = NULL, *old;

	if (fn) {
		handler = soft_calloc(1, sizeof(*handler));
		if (handler)
			*handler = (struct event_handler){ .fn = fn, .ctx = ctx };
	}
	old = __atomic_exchange_n(&smmu->handler, handler, __ATOMIC_ACQ_REL);
	if (old) {
		hw_synchronize();
		soft_free(old);
	}
	return fn && !handler ? -ENOMEM : 0;
}

__attribute__((hot)) int smmu_dev_translate(struct smmu_dev *smmu, const struct smmu_txn *txn,
					    struct smmu_result *res)
{
	const struct event_handler *handler;

	if (!smmu_translate(smmu->smmu, txn, res))
		return 0;
	handler = __atomic_load_n(&smmu->handler, __ATOMIC_ACQUIRE);
	/* Tracing asks what would happen; the device did nothing, so no event is recorded. */
	if (res->record && handler && !txn->tracer)
		handler->fn(handler->ctx, &res->event);
	return res->abort ? -EFAULT : -ENXIO;
}
