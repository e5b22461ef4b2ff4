/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a piece of work takes, counted where it is taken: memory from the allocator (the program is
 * linked with --wrap=malloc and so on), ioctls at the seam.
 */
#ifndef BENCH_COUNT_H
#define BENCH_COUNT_H

#include <stdint.h>

#include <doorbell/sys.h>

/* Of this thread, so far. */
uint64_t count_allocations(void);

/*
 * Counts the ioctls of @sys from now on, until count_end(). One at a time; and @sys is used by no
 * other thread while it begins or ends.
 */
void count_begin(struct db_sys *sys);
uint64_t count_ioctls(void);
void count_end(struct db_sys *sys);

#endif
