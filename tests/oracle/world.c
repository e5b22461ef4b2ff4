/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/smmu.h"

static bool pool_contains(uint64_t pa)
{
	return pa >= POOL_BASE && pa < POOL_BASE + POOL_SIZE && !(pa & 7);
}

static bool oracle_read(void *ctx, uint64_t pa, uint64_t *value)
{
	struct world *w = ctx;

	if (!pool_contains(pa))
		return false;
	*value = w->memory[(pa - POOL_BASE) / 8];
	return true;
}

static int engine_read(void *ctx, uint64_t pa, uint64_t *value)
{
	return oracle_read(ctx, pa, value) ? 0 : -1;
}

static int engine_write(void *ctx, uint64_t pa, uint64_t value)
{
	(void)ctx, (void)pa, (void)value;
	return -1;
}

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	w->memory = calloc(1, POOL_SIZE);
	w->machine.read = oracle_read;
	w->machine.ctx = w;
	return w;
}

void world_free(struct world *w)
{
	free(w->log.ops);
	free(w->smmu_memory);
	free(w->memory);
	free(w);
}

/* The engine over the world's memory; a small TLB, so that entries are also replaced. */
void world_restart_engine(struct world *w)
{
	struct smmu_config config = {
		.mem = { .read64 = engine_read, .write64 = engine_write, .ctx = w },
		.tlb_entries = 64,
	};

	memcpy(config.idr, w->machine.idr, sizeof(config.idr));
	if (!w->smmu_memory)
		w->smmu_memory = aligned_alloc(64, (smmu_footprint(&config) + 63) & ~63ull);
	w->smmu = smmu_init(w->smmu_memory, &config);
	smmu_set_stream_table(w->smmu, w->machine.strtab_base, w->machine.strtab_base_cfg);
}

/* Only what was stored is cleared: clearing the pool would cost more than all the translations. */
static void clear_memory(struct world *w)
{
	for (unsigned int i = 0; i < w->log.count; i++)
		if (w->log.ops[i].kind == OP_STORE)
			w->memory[(w->log.ops[i].a - POOL_BASE) / 8] = 0;
}

void world_restart(struct world *w)
{
	clear_memory(w);
	w->log.count = 0;
	w->log.groups = 0;
	world_restart_engine(w);
}

static void append(struct log *log, const struct op *op)
{
	if (log->count == log->size) {
		log->size = log->size ? 2 * log->size : 1024;
		log->ops = realloc(log->ops, log->size * sizeof(*log->ops));
	}
	log->ops[log->count++] = *op;
}

unsigned int world_group(struct world *w)
{
	return ++w->log.groups;
}

static void do_store(struct world *w, uint64_t pa, uint64_t value)
{
	w->memory[(pa - POOL_BASE) / 8] = value;
}

void world_store(struct world *w, uint64_t pa, uint64_t value)
{
	append(&w->log, &(struct op){ .kind = OP_STORE, .group = w->log.groups, .a = pa, .b = value });
	do_store(w, pa, value);
}

uint64_t world_load(const struct world *w, uint64_t pa)
{
	return w->memory[(pa - POOL_BASE) / 8];
}

void world_command(struct world *w, uint64_t a, uint64_t b)
{
	append(&w->log, &(struct op){ .kind = OP_COMMAND, .group = w->log.groups, .a = a, .b = b });
	smmu_command(w->smmu, (uint64_t[2]){ a, b });
}

static struct oracle_answer engine_translate(struct world *w, const struct oracle_access *a)
{
	struct smmu_txn txn = {
		.sid = a->sid,
		.ssid = a->ssid,
		.ssid_valid = a->ssid_valid,
		.privileged = a->privileged,
		.instruction = a->instruction,
		.access = a->write ? SMMU_WRITE : SMMU_READ,
		.addr = a->addr,
	};
	struct smmu_result res;
	struct oracle_answer answer = { .ok = smmu_translate(w->smmu, &txn, &res) == 0 };

	if (answer.ok) {
		answer.pa = res.pa;
		return answer;
	}
	answer.record = res.record;
	answer.abort = res.abort;
	if (res.record)
		memcpy(answer.event, res.event.dw, sizeof(answer.event));
	return answer;
}

static bool same(const struct oracle_answer *a, const struct oracle_answer *b)
{
	if (a->ok != b->ok)
		return false;
	if (a->ok)
		return a->pa == b->pa;
	return a->record == b->record && a->abort == b->abort &&
	       (!a->record || !memcmp(a->event, b->event, sizeof(a->event)));
}

static void describe(const struct oracle_answer *a, char *text, unsigned int size)
{
	if (a->ok)
		snprintf(text, size, "PA %#" PRIx64, a->pa);
	else
		snprintf(text, size, "%s%s event %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %#" PRIx64,
			 a->abort ? "abort" : "RAZ/WI", a->record ? "," : ", not recorded,",
			 a->event[0], a->event[1], a->event[2], a->event[3]);
}

/* What kind of difference it is: a smaller log should still show the same one. */
static unsigned int kind_of(const struct oracle_answer *a)
{
	return a->ok ? 1 : 2 | a->record << 2 | a->abort << 3 | (a->event[0] & 0xff) << 8;
}

static bool do_access(struct world *w, const struct oracle_access *access, char *why, unsigned int size)
{
	struct oracle_answer expected = oracle_translate(&w->machine, access);
	struct oracle_answer got = engine_translate(w, access);
	char left[160], right[160];

	w->difference = 0;
	if (same(&expected, &got))
		return true;
	w->difference = kind_of(&expected) | (uint64_t)kind_of(&got) << 32;
	if (why) {
		describe(&expected, left, sizeof(left));
		describe(&got, right, sizeof(right));
		snprintf(why, size, "sid %#x ssid %s%#x %s %#" PRIx64 " %s%s\n  oracle: %s\n  engine: %s", access->sid,
			 access->ssid_valid ? "" : "none/", access->ssid, access->write ? "write" : "read", access->addr,
			 access->privileged ? "privileged" : "unprivileged", access->instruction ? " instruction" : "",
			 left, right);
	}
	return false;
}

bool world_access(struct world *w, const struct oracle_access *access, char *why, unsigned int size)
{
	append(&w->log, &(struct op){ .kind = OP_ACCESS, .group = world_group(w), .access = *access });
	return do_access(w, access, why, size);
}

/* How the last access of the log differs (0: not) when the ops of groups [from, to) are left out. */
static uint64_t replay(struct world *w, unsigned int from, unsigned int to, char *why, unsigned int size)
{
	w->difference = 0;

	clear_memory(w);
	world_restart_engine(w);
	for (unsigned int i = 0; i < w->log.count; i++) {
		const struct op *op = &w->log.ops[i];

		if (op->group >= from && op->group < to)
			continue;
		switch (op->kind) {
		case OP_STORE:
			do_store(w, op->a, op->b);
			break;
		case OP_COMMAND:
			smmu_command(w->smmu, (uint64_t[2]){ op->a, op->b });
			break;
		case OP_ACCESS:
			do_access(w, &op->access, why, size);
			break;
		}
	}
	return w->difference;
}

static void drop(struct log *log, unsigned int from, unsigned int to)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < log->count; i++)
		if (log->ops[i].group < from || log->ops[i].group >= to)
			log->ops[kept++] = log->ops[i];
	log->count = kept;
}

/* Numbers the groups that are left 0, 1, 2, ... and returns how many there are. */
static unsigned int renumber(struct log *log)
{
	unsigned int count = 0, last = ~0u;

	for (unsigned int i = 0; i < log->count; i++) {
		unsigned int group = log->ops[i].group;

		if (i == 0 || group != last)
			count++;
		last = group;
		log->ops[i].group = count - 1;
	}
	return count;
}

void world_shrink(struct world *w, char *why, unsigned int size)
{
	unsigned int groups = renumber(&w->log);
	uint64_t difference = w->difference;

	for (unsigned int step = groups / 2; step; step /= 2) {
		/* From the end, where what matters is; the last group is the access itself. */
		for (unsigned int to = groups - 1; to > 0;) {
			unsigned int from = to > step ? to - step : 0;

			if (replay(w, from, to, NULL, 0) == difference) {
				drop(&w->log, from, to);
				groups = renumber(&w->log);
			}
			to = from;
		}
	}
	replay(w, ~0u, ~0u, why, size);
}

int world_write(const struct world *w, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -1;
	fprintf(f, "# SMMUv3 case; see it by: doorbell explain --case FILE\n");
	for (int i = 0; i < 6; i++)
		fprintf(f, "idr%d %#" PRIx32 "\n", i, w->machine.idr[i]);
	fprintf(f, "strtab %#" PRIx64 " %#" PRIx32 "\n", w->machine.strtab_base, w->machine.strtab_base_cfg);
	fprintf(f, "memory %#llx %#x\n", POOL_BASE, POOL_SIZE);
	for (unsigned int i = 0; i < w->log.count; i++) {
		const struct op *op = &w->log.ops[i];
		const struct oracle_access *a = &op->access;

		switch (op->kind) {
		case OP_STORE:
			fprintf(f, "store %#" PRIx64 " %#" PRIx64 "\n", op->a, op->b);
			break;
		case OP_COMMAND:
			fprintf(f, "command %#" PRIx64 " %#" PRIx64 "\n", op->a, op->b);
			break;
		case OP_ACCESS:
			fprintf(f, "access %#x ", a->sid);
			if (a->ssid_valid)
				fprintf(f, "%#x ", a->ssid);
			else
				fprintf(f, "- ");
			fprintf(f, "%#" PRIx64 " %s %s\n", a->addr, a->write ? "write" : a->instruction ? "fetch" : "read",
				a->privileged ? "privileged" : "unprivileged");
			break;
		}
	}
	return fclose(f);
}
