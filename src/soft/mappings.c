/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/mappings.h"

#include <errno.h>
#include <fcntl.h>
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

/* For @more mappings. */
static int make_room(struct mappings *maps, size_t more)
{
	size_t room = maps->room ? 2 * maps->room : 16;
	struct mapping *sorted;

	if (maps->room - maps->count >= more)
		return 0;
	sorted = soft_grow(maps->sorted, maps->room, room, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	maps->sorted = sorted;
	maps->room = room;
	return 0;
}

static void insert(struct mappings *maps, const struct mapping *mapping)
{
	size_t at = find(maps, mapping->start);

	memmove(&maps->sorted[at + 1], &maps->sorted[at],
		(maps->count - at) * sizeof(*mapping));
	maps->sorted[at] = *mapping;
	maps->count++;
}

/* Makes two of a mapping that goes over @addr. There is room. */
static void split(struct mappings *maps, uintptr_t addr)
{
	size_t at = find(maps, addr);
	struct mapping tail;
	size_t head;

	if (at == maps->count || maps->sorted[at].start >= addr)
		return;
	head = addr - maps->sorted[at].start;
	tail = maps->sorted[at];
	tail.start += head;
	tail.len -= head;
	tail.offset += head;
	soft_file_hold(tail.file);
	maps->sorted[at].len = head;
	insert(maps, &tail);
}

/*
 * Puts the ends of [start, start + len) between mappings: *@first and up to *@last are those
 * within. -EINVAL: there are none.
 */
static int isolate(struct mappings *maps, uintptr_t start, size_t len, size_t *first, size_t *last)
{
	int ret = make_room(maps, 2);

	*first = *last = 0;
	if (ret)
		return ret;
	split(maps, start);
	split(maps, start + len);
	*first = find(maps, start);
	for (*last = *first; *last < maps->count && maps->sorted[*last].start < start + len;)
		++*last;
	return *first == *last ? -EINVAL : 0;
}

int mappings_add(struct mappings *maps, const struct mapping *mapping)
{
	int ret;

	pthread_rwlock_wrlock(&maps->lock);
	ret = make_room(maps, 1);
	if (!ret)
		insert(maps, mapping);
	pthread_rwlock_unlock(&maps->lock);
	return ret;
}

int mappings_remove(struct mappings *maps, uintptr_t start, size_t len)
{
	struct soft_file *few[8], **files = few;
	size_t first, last, n = 0;
	int ret;

	pthread_rwlock_wrlock(&maps->lock);
	ret = isolate(maps, start, len, &first, &last);
	if (!ret && last - first > sizeof(few) / sizeof(few[0])) {
		files = soft_calloc(last - first, sizeof(*files));
		ret = files ? 0 : -ENOMEM;
	}
	/*
	 * All of it under the lock: another mmap must not get the addresses while they are still in
	 * the list, nor its own be taken for what is to go.
	 */
	for (size_t i = first; !ret && i < last; i++) {
		munmap((void *)maps->sorted[i].start, maps->sorted[i].len);
		files[n++] = maps->sorted[i].file;
	}
	if (!ret) {
		maps->count -= n;
		memmove(&maps->sorted[first], &maps->sorted[last],
			(maps->count - first) * sizeof(maps->sorted[0]));
	}
	pthread_rwlock_unlock(&maps->lock);
	/* Not under the lock: the last reference takes those of its device. */
	for (size_t i = 0; i < n; i++)
		soft_file_put(files[i]);
	if (files != few)
		soft_free(files);
	return ret;
}

/* With the lock. */
static int protect(struct mapping *mappings, size_t n, int prot)
{
	for (size_t i = 0; i < n; i++) {
		if (prot & PROT_WRITE && mappings[i].file->access == O_RDONLY)
			return -EACCES;
	}
	for (size_t i = 0; i < n; i++) {
		mappings[i].readable = prot & PROT_READ;
		mappings[i].writable = prot & PROT_WRITE;
	}
	return 0;
}

int mappings_protect(struct mappings *maps, uintptr_t start, size_t len, int prot)
{
	size_t first, last;
	int ret;

	pthread_rwlock_wrlock(&maps->lock);
	ret = isolate(maps, start, len, &first, &last);
	if (!ret)
		ret = protect(&maps->sorted[first], last - first, prot);
	pthread_rwlock_unlock(&maps->lock);
	return ret;
}

bool mappings_overlap(struct mappings *maps, uintptr_t start, size_t len)
{
	bool overlap;
	size_t at;

	pthread_rwlock_rdlock(&maps->lock);
	at = find(maps, start);
	overlap = at < maps->count && maps->sorted[at].start < start + len;
	pthread_rwlock_unlock(&maps->lock);
	return overlap;
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

int mappings_check(struct mappings *maps, uintptr_t addr, unsigned int size, bool write)
{
	const struct mapping *mapping;
	int ret = 0;

	pthread_rwlock_rdlock(&maps->lock);
	mapping = lookup(maps, addr, size);
	if (!mapping)
		ret = -ENOENT;
	else if (write ? !mapping->writable : !mapping->readable)
		ret = -EACCES;
	else if (!vfio_bar_answers(mapping->dev, mapping->bar,
				   mapping->offset + (addr - mapping->start), size))
		ret = -EIO;
	pthread_rwlock_unlock(&maps->lock);
	return ret;
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
