/* SPDX-License-Identifier: BSD-2-Clause */
/* Hash tables of a fixed size, of a VM's devices and what belongs to them. */
#ifndef LIB_BUCKET_H
#define LIB_BUCKET_H

#include <stdint.h>

#define BUCKETS 256	/* 1 << (64 - 56) */

static inline unsigned int bucket(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15ull) >> 56;
}

#endif
