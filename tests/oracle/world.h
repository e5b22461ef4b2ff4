/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small machine for comparing the engine with the oracle: memory, an SMMU, and the log of all that was done to it since it was empty.
 * A log can be replayed from the start, cut down to what still shows a difference, and written as a file.
 */
#ifndef ORACLE_WORLD_H
#define ORACLE_WORLD_H

#include "oracle.h"

#define POOL_BASE 0x40000000ull	/* aligned to the largest block used */
#define POOL_SIZE (4u << 20)

enum op_kind {
	OP_STORE,	/* a = PA, b = value */
	OP_COMMAND,	/* a, b = the command's dwords */
	OP_ACCESS,
};

struct op {
	enum op_kind kind;
	unsigned int group;	/* ops of a group are only removed together: a change and the invalidation it needs */
	uint64_t a, b;
	struct oracle_access access;
};

struct log {
	struct op *ops;
	unsigned int count, size, groups;
};

/* What both translators were given, and where they stand. */
struct world {
	struct oracle_machine machine;	/* its read is the world's memory */
	uint64_t *memory;		/* POOL_SIZE bytes */
	struct log log;
	struct smmu *smmu;
	void *smmu_memory;
	uint64_t difference;		/* of the last access; 0: none */
};

struct world *world_new(void);
void world_free(struct world *w);

/* Empty memory, an engine with nothing cached, an empty log. machine's registers are taken as they stand. */
void world_restart(struct world *w);

/* The engine anew, after the machine's registers were changed. */
void world_restart_engine(struct world *w);

unsigned int world_group(struct world *w);	/* begins a new group */
void world_store(struct world *w, uint64_t pa, uint64_t value);
uint64_t world_load(const struct world *w, uint64_t pa);
void world_command(struct world *w, uint64_t a, uint64_t b);

/* True if both give the same answer; otherwise the text of both in @why (size bytes). */
bool world_access(struct world *w, const struct oracle_access *access, char *why, unsigned int size);

/* Cuts the log to a smaller one whose last access still differs in the same way, and says how in @why. */
void world_shrink(struct world *w, char *why, unsigned int size);

/* Writes the log as a case file that `doorbell explain --case` reads. */
int world_write(const struct world *w, const char *path);

#endif
