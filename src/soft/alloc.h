/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the software host's kernel side. All of it comes from here, so that a test can let the
 * n-th allocation of a call fail and see that the call leaves nothing behind.
 */
#ifndef SOFT_ALLOC_H
#define SOFT_ALLOC_H

#include <stddef.h>

/* Zeroed memory for @count objects of @size bytes, or NULL. */
void *soft_calloc(size_t count, size_t size);

/* The same, aligned to @align (a power of two). */
void *soft_calloc_aligned(size_t count, size_t size, size_t align);

/*
 * Makes an array of @old objects one of @new (> @old), the new ones zeroed. NULL: no memory, and
 * @array is as it was.
 */
void *soft_grow(void *array, size_t old, size_t new, size_t size);

char *soft_strdup(const char *s);

/* NULL is fine. */
void soft_free(void *p);

/* Zeroed memory by pages, which are there only once they are touched: for large, sparse tables. */
void *soft_map(size_t size);
void soft_unmap(void *p, size_t size);

/*
 * For tests. The @nth allocation that the calling thread makes from now on fails, once; 0 ends it.
 * Also for other resources: a call that wants one asks soft_alloc_fails() first.
 */
void soft_alloc_fail_nth(unsigned long nth);

/* Whether the one announced has failed. */
unsigned long soft_alloc_fail_left(void);

/* Counts as an allocation; whether it must fail. */
int soft_alloc_fails(void);

/* Allocations of the process not yet freed. */
long soft_alloc_live(void);

#endif
