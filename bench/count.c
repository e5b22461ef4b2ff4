/* SPDX-License-Identifier: BSD-2-Clause */
#include "count.h"

#include <stddef.h>

static __thread uint64_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
int __real_posix_memalign(void **memory, size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_posix_memalign(void **memory, size_t align, size_t size);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	allocations++;
	return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	allocations++;
	return __real_realloc(memory, size);
}

int __wrap_posix_memalign(void **memory, size_t align, size_t size)
{
	allocations++;
	return __real_posix_memalign(memory, align, size);
}

uint64_t count_allocations(void)
{
	return allocations;
}

/* The host's own operations with another ioctl: they get the same host. */
static struct db_sys_ops counting;
static const struct db_sys_ops *original;
static uint64_t ioctls;

static int counted_ioctl(struct db_sys *sys, int fd, unsigned long request, void *arg)
{
	ioctls++;
	return original->ioctl(sys, fd, request, arg);
}

void count_begin(struct db_sys *sys)
{
	original = sys->ops;
	counting = *original;
	counting.ioctl = counted_ioctl;
	ioctls = 0;
	sys->ops = &counting;
}

uint64_t count_ioctls(void)
{
	return ioctls;
}

void count_end(struct db_sys *sys)
{
	sys->ops = original;
}
