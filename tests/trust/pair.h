/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two VMs on one host, each with a bell of its own, behind one SMMU and one ITS: the first is
 * hostile, and the other notices nothing.
 */
#ifndef TESTS_TRUST_PAIR_H
#define TESTS_TRUST_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vm/vm.h"
#include "soft/endpoints/bell.h"

#define VECTORS 4
#define VMS 2

struct pair {
	struct db_sys *sys;
	struct vm vms[VMS];
};

int pair_begin(void **state);
int pair_end(void **state);

/* What the eventfd of a vector counted. */
uint64_t pair_taken(struct vm *vm, unsigned int vector);

/* Nothing reached this VM; and every vector of it does its work. */
void assert_silent(struct vm *vm);
void assert_works(struct vm *vm);

/* Rings vector 0 with the guest's message at @address; returns the event's number, or 0 if there
 * was none. */
unsigned int pair_ring_at(struct vm *vm, uint64_t address, uint64_t event[4]);

/* A copy of @len bytes by the endpoint's DMA engine; its STATUS afterwards. */
uint32_t pair_copy(struct vm *vm, uint64_t from, uint64_t to, uint32_t len);

#endif
