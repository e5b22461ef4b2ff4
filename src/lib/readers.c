/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/readers.h"

#include <sched.h>

unsigned int readers_shard(void)
{
	static atomic_uint next;
	static __thread unsigned int mine;

	if (!mine)
		mine = atomic_fetch_add(&next, 1) % READERS_SHARDS + 1;
	return mine - 1;
}

static void wait_for(struct readers *readers, unsigned int phase)
{
	unsigned int i;

	for (i = 0; i < READERS_SHARDS; i++) {
		while (atomic_fetch_add(&readers->shard[i].count[phase], 0))
			sched_yield();
	}
}

void readers_wait(struct readers *readers)
{
	unsigned int phase = atomic_load(&readers->phase) & 1;

	wait_for(readers, !phase);
	atomic_store(&readers->phase, !phase);
	wait_for(readers, phase);
}
