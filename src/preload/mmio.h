/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that access memory, one file for each architecture: what a processor does when the
 * memory is a device's registers.
 */
#ifndef PRELOAD_MMIO_H
#define PRELOAD_MMIO_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* Where an instruction's accesses go. */
struct mmio {
	void *ctx;
	uint64_t (*load)(void *ctx, uintptr_t addr, unsigned int size);
	void (*store)(void *ctx, uintptr_t addr, unsigned int size, uint64_t value);
};

/* What the instruction at the context's program counter does with the memory at an address. */
struct mmio_insn {
	bool load, store;
	unsigned int size;	/* bytes at the address that faulted */
	unsigned int len;	/* of the instruction */
	unsigned int form;	/* the rest is the architecture's */
	unsigned int reg, reg2, width, op;
	bool sign, high_bytes, repeat, zero_upper;
	int64_t imm;
};

/* false: none that is known here; *why says what it seems to be. */
bool mmio_decode(const ucontext_t *uc, uintptr_t addr, struct mmio_insn *insn, const char **why);

/* Does it, for the memory at @addr, and moves the program counter on. */
void mmio_execute(ucontext_t *uc, uintptr_t addr, const struct mmio_insn *insn,
		  const struct mmio *mmio);

/* The program counter. */
const uint8_t *mmio_pc(const ucontext_t *uc);

/* Accesses of any size and alignment, as those of 1, 2, 4 or 8 aligned bytes that a bus carries. */
void mmio_load_bytes(const struct mmio *mmio, uintptr_t addr, void *buf, unsigned int size);
void mmio_store_bytes(const struct mmio *mmio, uintptr_t addr, const void *buf, unsigned int size);

#endif
