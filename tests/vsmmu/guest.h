/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's memory and its driver of a virtual SMMU: queues, stream table, and a stage 1 for each
 * stream. */
#ifndef TESTS_VSMMU_GUEST_H
#define TESTS_VSMMU_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <doorbell/doorbell.h>

#include "arm/smmu_build.h"
#include "arm/smmu_mmio.h"

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (8ull << 20)
/* Where what is in RAM; free memory follows. */
#define CMDQ_IPA RAM_IPA
#define EVENTQ_IPA (RAM_IPA + 0x4000)
#define STRTAB_IPA (RAM_IPA + 0x8000)	/* linear, 64 entries, or 8 first-level descriptors */
#define FREE_IPA (RAM_IPA + 0x100000)

#define QUEUE_LOG2 9u
#define STRTAB_LOG2 6u
#define ASID 5u

struct guest {
	uint8_t *ram;
	uint64_t used;
	struct db_vsmmu *vsmmu;
	uint32_t prod;

	/* What was called. */
	unsigned int irqs[DB_VSMMU_IRQS];
	atomic_uint reads;		/* of guest memory */
	unsigned int msis, invalidations;
	uint64_t msi_address;
	uint32_t msi_data;
	struct db_vsmmu_invalidation last;
	/* What is to fail. */
	bool msi_fails;
	uint64_t hole, hole_size;	/* guest-physical: not RAM */
};

/* A stream's stage 1. */
struct stream {
	struct guest *guest;
	struct vmsa_table table;
	uint64_t cd;			/* IPA */
	uint64_t ste[8];
};

extern const struct db_vsmmu_ops guest_ops, guest_msi_ops;

void guest_init(struct guest *g);	/* memory only */
void guest_fini(struct guest *g);	/* and the vSMMU */
void guest_create(struct guest *g, const struct db_vsmmu_config *more);	/* NULL: emulated only */

void guest_put(struct guest *g, uint64_t ipa, uint64_t value);
uint64_t guest_get(struct guest *g, uint64_t ipa);
uint64_t guest_alloc(struct guest *g, uint64_t size);

uint32_t guest_read(struct guest *g, uint32_t offset);
uint64_t guest_read64(struct guest *g, uint32_t offset);
int guest_write(struct guest *g, uint32_t offset, uint32_t value);
int guest_write64(struct guest *g, uint32_t offset, uint64_t value);

/* Queues and stream table as a driver sets them up, all interrupts on; SMMUEN on if @enable. */
void guest_start(struct guest *g, bool enable);

/* Puts a command in the queue; guest_kick() has them executed. */
void guest_command(struct guest *g, uint64_t dw0, uint64_t dw1);
int guest_kick(struct guest *g);
/* One command and a CMD_SYNC, which must succeed. */
void guest_do(struct guest *g, uint64_t dw0, uint64_t dw1);

uint32_t guest_events(struct guest *g);	/* waiting in the event queue */
void guest_event(struct guest *g, uint64_t event[4]);	/* takes one */

void guest_set_ste(struct guest *g, uint32_t sid, const uint64_t ste[8]);	/* in memory */

/* An empty stage 1 for @sid, installed and invalidated. */
void stream_init(struct stream *s, struct guest *g, uint32_t sid, unsigned int granule_shift,
		 unsigned int asid);
void stream_map(struct stream *s, uint64_t iova, uint64_t ipa, uint64_t size);

/* 0 or -EFAULT */
int guest_translate(struct guest *g, uint32_t sid, uint64_t iova, unsigned int flags,
		    uint64_t *ipa);

#endif
