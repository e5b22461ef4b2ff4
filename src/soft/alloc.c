/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A leak sanitizer looks for pointers in mapped memory only where it is told to. */
#ifdef __has_feature
#define HAVE_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#else
#define HAVE_ASAN 0
#endif
#if HAVE_ASAN
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_register_root_region(p, size) ((void)(p), (void)(size))
#define __lsan_unregister_root_region(p, size) ((void)(p), (void)(size))
#endif

/* Test hooks of the process: which allocation of this thread is to fail, and how many live. */
static __thread unsigned long fail_left;
static atomic_long live;

void soft_alloc_fail_nth(unsigned long nth)
{
	fail_left = nth;
}

unsigned long soft_alloc_fail_left(void)
{
	return fail_left;
}

int soft_alloc_fails(void)
{
	return fail_left && --fail_left == 0;
}

long soft_alloc_live(void)
{
	return atomic_load_explicit(&live, memory_order_relaxed);
}

static void *counted(void *p)
{
	if (p)
		atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
	return p;
}

void *soft_calloc(size_t count, size_t size)
{
	if (soft_alloc_fails())
		return NULL;
	return counted(calloc(count, size));
}

void *soft_calloc_aligned(size_t count, size_t size, size_t align)
{
	size_t bytes;
	void *p;

	if (soft_alloc_fails() || __builtin_mul_overflow(count, size, &bytes))
		return NULL;
	if (posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, bytes))
		return NULL;
	memset(p, 0, bytes);
	return counted(p);
}

void *soft_grow(void *array, size_t old, size_t new, size_t size)
{
	void *p = soft_calloc(new, size);

	if (!p)
		return NULL;
	if (array) {
		memcpy(p, array, old * size);
		soft_free(array);
	}
	return p;
}

char *soft_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *p = soft_calloc(len, 1);

	return p ? memcpy(p, s, len) : NULL;
}

void soft_free(void *p)
{
	if (!p)
		return;
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
	free(p);
}

void *soft_map(size_t size)
{
	void *p;

	if (soft_alloc_fails())
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0);
	if (p == MAP_FAILED)
		return NULL;
	__lsan_register_root_region(p, size);
	return counted(p);
}

void soft_unmap(void *p, size_t size)
{
	if (!p)
		return;
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
	__lsan_unregister_root_region(p, size);
	munmap(p, size);
}
