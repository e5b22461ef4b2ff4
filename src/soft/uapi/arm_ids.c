/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/arm_ids.h"

#include <pthread.h>

#include "soft/alloc.h"

struct arm_ids {
	pthread_mutex_t lock;
	unsigned int words;
	unsigned int first;	/* no free number in the words before */
	uint64_t used[];
};

struct arm_ids *arm_ids_create(unsigned int bits)
{
	unsigned int words = (1u << bits) / 64;
	struct arm_ids *ids = soft_calloc(1, sizeof(*ids) + words * sizeof(ids->used[0]));

	if (!ids)
		return NULL;
	pthread_mutex_init(&ids->lock, NULL);
	ids->words = words;
	ids->used[0] = 1;
	return ids;
}

void arm_ids_destroy(struct arm_ids *ids)
{
	if (!ids)
		return;
	pthread_mutex_destroy(&ids->lock);
	soft_free(ids);
}

int arm_ids_alloc(struct arm_ids *ids)
{
	int id = -1;

	pthread_mutex_lock(&ids->lock);
	while (ids->first < ids->words && ids->used[ids->first] == ~0ull)
		ids->first++;
	if (ids->first < ids->words) {
		unsigned int bit = (unsigned int)__builtin_ctzll(~ids->used[ids->first]);

		ids->used[ids->first] |= 1ull << bit;
		id = (int)(ids->first * 64 + bit);
	}
	pthread_mutex_unlock(&ids->lock);
	return id;
}

void arm_ids_free(struct arm_ids *ids, unsigned int id)
{
	pthread_mutex_lock(&ids->lock);
	ids->used[id / 64] &= ~(1ull << (id % 64));
	if (id / 64 < ids->first)
		ids->first = id / 64;
	pthread_mutex_unlock(&ids->lock);
}
