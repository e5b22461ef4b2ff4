/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/iova.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IOVA_32BIT 0xffffffffull

void iova_init(struct iova_space *space, unsigned int granule_shift, unsigned int ia_bits)
{
	*space = (struct iova_space){
		.granule = 1ull << granule_shift,
		.last = (1ull << ia_bits) - 1,
	};
}

void iova_fini(struct iova_space *space)
{
	free(space->ranges);
	space->ranges = NULL;
	space->n = space->room = 0;
}

static int insert(struct iova_space *space, unsigned int at, uint64_t start, uint64_t last)
{
	if (space->n == space->room) {
		unsigned int room = space->room ? 2 * space->room : 64;
		struct iova_range *ranges = realloc(space->ranges, room * sizeof(*ranges));

		if (!ranges)
			return -ENOMEM;
		space->ranges = ranges;
		space->room = room;
	}
	memmove(space->ranges + at + 1, space->ranges + at,
		(space->n - at) * sizeof(*space->ranges));
	space->ranges[at] = (struct iova_range){ start, last };
	space->n++;
	return 0;
}

static uint64_t round_up_pow2(uint64_t size)
{
	return size <= 1 ? 1 : 1ull << (64 - __builtin_clzll(size - 1));
}

/*
 * First fit from @limit down: each gap between neighbours is looked at once. Address 0 is never
 * given out.
 */
static int alloc_below(struct iova_space *space, uint64_t size, uint64_t limit, uint64_t *out)
{
	uint64_t align = round_up_pow2(size);
	uint64_t top = limit;	/* last free address of the gap under examination */
	unsigned int i;
	int err;

	for (i = 0; i <= space->n; i++) {
		uint64_t bottom = i < space->n ? space->ranges[i].last + 1 : space->granule;
		uint64_t start;

		if (top >= bottom && top - bottom >= size - 1) {
			start = (top - (size - 1)) & ~(align - 1);
			if (start >= bottom) {
				err = insert(space, i, start, start + size - 1);
				if (!err)
					*out = start;
				return err;
			}
		}
		if (i < space->n && space->ranges[i].start <= top) {
			if (!space->ranges[i].start)
				break;
			top = space->ranges[i].start - 1;
		}
	}
	return -ENOSPC;
}

int iova_alloc(struct iova_space *space, uint64_t size, uint64_t limit, uint64_t *out)
{
	int err;

	size = (size + space->granule - 1) & ~(space->granule - 1);
	if (!size)
		return -EINVAL;
	if (limit > space->last)
		limit = space->last;
	if (limit > IOVA_32BIT) {
		err = alloc_below(space, size, IOVA_32BIT, out);
		if (err != -ENOSPC)
			return err;
	}
	return alloc_below(space, size, limit, out);
}

int iova_reserve(struct iova_space *space, uint64_t start, uint64_t size)
{
	uint64_t last = start + size - 1;
	unsigned int i;

	if (!size || last < start || last > space->last || (start | size) & (space->granule - 1))
		return -EINVAL;
	for (i = 0; i < space->n && space->ranges[i].start > last; i++)
		;
	if (i < space->n && space->ranges[i].last >= start)
		return -EADDRINUSE;
	return insert(space, i, start, last);
}

int iova_free(struct iova_space *space, uint64_t start)
{
	unsigned int low = 0, high = space->n;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (space->ranges[mid].start > start)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == space->n || space->ranges[low].start != start)
		return -ENOENT;
	space->n--;
	memmove(space->ranges + low, space->ranges + low + 1,
		(space->n - low) * sizeof(*space->ranges));
	return 0;
}
