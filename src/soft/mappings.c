/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/mappings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "soft/alloc.h"
#include "soft/uapi/vfio.h"

struct mappings {
	pthread_rwlock_t lock;		/* above soft_device.access */
	struct mapping *sorted;		/* by start; they do not overlap */
	size_t count, room;
};

struct mappings *mappings_create(void)
{
	struct mappings *maps = soft_calloc(1, sizeof(*maps));
	pthread_rwlockattr_t attr;

	if (!maps)
		return NULL;
	/* Accesses may come without a pause: mmap and munmap must get their turn all the same. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&maps->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return maps;
}

void mappings_destroy(struct mappings *maps)
{
	if (!maps)
		return;
	while (maps->count)
		mappings_remove(maps, maps->sorted[0].start, maps->sorted[0].len);
	pthread_rwlock_destroy(&maps->lock);
	soft_free(maps->sorted);
	soft_free(maps);
}

/* Index of the first mapping that ends above @addr. */
static size_t find(const struct mappings *maps, uintptr_t addr)
{
	size_t low = 0, high = maps->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (maps->sorted[mid].start + (maps->sorted[mid].len - 1) < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int make_room(struct mappings *maps)
{
	size_t room = maps->room ? 2 * maps->room : 16;
	struct mapping *sorted;

	if (maps->count < maps->room)
		return 0;
	sorted = soft_grow(maps->sorted, maps->room, room, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	maps->sorted = sorted;
	maps->room = room;
	return 0;
}

int mappings_add(struct mappings *maps, const struct mapping *mapping)
{
	size_t at;
	int ret;

	pthread_rwlock_wrlock(&maps->lock);
	ret = make_room(maps);
	if (!ret) {
		at = find(maps, mapping->start);
		memmove(&maps->sorted[at + 1], &maps->sorted[at],
			(maps->count - at) * sizeof(*mapping));
		maps->sorted[at] = *mapping;
		maps->count++;
	}
	pthread_rwlock_unlock(&maps->lock);
	return ret;
}

int mappings_remove(struct mappings *maps, uintptr_t start, size_t len)
{
	struct soft_file *file;
	size_t at;

	pthread_rwlock_wrlock(&maps->lock);
	at = find(maps, start);
	if (at == maps->count || maps->sorted[at].start != start || maps->sorted[at].len != len) {
		pthread_rwlock_unlock(&maps->lock);
		return -EINVAL;
	}
	file = maps->sorted[at].file;
	maps->count--;
	memmove(&maps->sorted[at], &maps->sorted[at + 1],
		(maps->count - at) * sizeof(maps->sorted[0]));
	/* Under the lock: another mmap must not get the address while it is still in the list. */
	munmap((void *)start, len);
	pthread_rwlock_unlock(&maps->lock);
	soft_file_put(file);
	return 0;
}

/* The mapping that holds all of [addr, addr + size), or NULL. */
static const struct mapping *lookup(const struct mappings *maps, uintptr_t addr, unsigned int size)
{
	size_t at = find(maps, addr);
	const struct mapping *mapping;

	if (at == maps->count)
		return NULL;
	mapping = &maps->sorted[at];
	if (addr < mapping->start || size > mapping->len - (addr - mapping->start))
		return NULL;
	return mapping;
}

uint64_t mappings_read(struct mappings *maps, uintptr_t addr, unsigned int size)
{
	const struct mapping *mapping;
	uint64_t value = UINT64_MAX;

	pthread_rwlock_rdlock(&maps->lock);
	mapping = lookup(maps, addr, size);
	if (mapping && mapping->readable)
		value = vfio_bar_read(mapping->dev, mapping->bar,
				      mapping->offset + (addr - mapping->start), size);
	pthread_rwlock_unlock(&maps->lock);
	return size < 8 ? value & ((1ull << (8 * size)) - 1) : value;
}

void mappings_write(struct mappings *maps, uintptr_t addr, unsigned int size, uint64_t value)
{
	const struct mapping *mapping;

	pthread_rwlock_rdlock(&maps->lock);
	mapping = lookup(maps, addr, size);
	if (mapping && mapping->writable)
		vfio_bar_write(mapping->dev, mapping->bar,
			       mapping->offset + (addr - mapping->start), size, value);
	pthread_rwlock_unlock(&maps->lock);
}
