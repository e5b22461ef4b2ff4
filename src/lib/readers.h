/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readers that are never held up, and a writer that waits for those that began before it.
 *
 * There are two phases; a reader counts itself in the one that is current. A writer that has made
 * its change waits for the other one to be empty (of it there can only be readers that were slow to
 * count themselves), makes it current, and waits for the former to become empty: readers that come
 * meanwhile cannot hold it up. Whoever counts itself after the writer has looked sees the change, as
 * both are read-modify-writes of one counter: the later one acquires what the earlier releases.
 */
#ifndef LIB_READERS_H
#define LIB_READERS_H

#include <stdatomic.h>

#define READERS_SHARDS 16	/* threads on different ones do not share a cache line */

struct readers {
	atomic_uint phase;
	struct {
		atomic_uint count[2];
		char pad[64 - 2 * sizeof(atomic_uint)];
	} shard[READERS_SHARDS];
};

/* The shard of the calling thread. */
unsigned int readers_shard(void);

static inline unsigned int readers_enter(struct readers *readers)
{
	unsigned int shard = readers_shard(), phase = atomic_load(&readers->phase) & 1;

	atomic_fetch_add(&readers->shard[shard].count[phase], 1);
	return shard << 1 | phase;
}

/* @token: what readers_enter() returned. */
static inline void readers_leave(struct readers *readers, unsigned int token)
{
	atomic_fetch_sub(&readers->shard[token >> 1].count[token & 1], 1);
}

/* One caller at a time, who is not a reader. */
void readers_wait(struct readers *readers);

#endif
