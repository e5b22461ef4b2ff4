/* SPDX-License-Identifier: BSD-2-Clause */
/* How the architecture models reach physical memory. */
#ifndef ARM_MEM_H
#define ARM_MEM_H

#include <stdint.h>

/*
 * Both calls access one naturally aligned dword as a single-copy atomic access, little-endian in
 * memory and host-endian in the argument. They return 0, or a negative errno when the address is
 * not memory (an external abort). They may be called by several threads at once.
 */
struct arm_mem {
	int (*read64)(void *ctx, uint64_t pa, uint64_t *value);
	int (*write64)(void *ctx, uint64_t pa, uint64_t value);
	void *ctx;
};

#endif
