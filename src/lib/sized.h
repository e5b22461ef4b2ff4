/* SPDX-License-Identifier: BSD-2-Clause */
/* Structs of callers that may be older or newer than this library (doorbell/api.h). */
#ifndef LIB_SIZED_H
#define LIB_SIZED_H

#include <stddef.h>

/*
 * Reads the caller's struct @theirs, whose first member is its size, into the library's own of
 * @own_size bytes; what the caller does not have is zero. @name stands in the message. -EINVAL (no
 * size), -E2BIG.
 */
int sized_take(void *own, size_t own_size, const void *theirs, const char *name);

/* -EINVAL unless @theirs has a size. To be asked before what gives the result is done. */
int sized_check(const void *theirs, const char *name);

/* Fills @theirs, which was checked, from @own; its size stays. */
void sized_give(void *theirs, const void *own, size_t own_size);

/* The same for an element of an array of elements of @size bytes without a size of their own. */
void sized_give_element(void *theirs, size_t size, const void *own, size_t own_size);

#endif
