/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine for the tests of src/arm: some memory at a high address, an allocator of tables in it,
 * and an SMMU with a stream table.
 */
#ifndef TESTS_ARM_FIXTURE_H
#define TESTS_ARM_FIXTURE_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "arm/smmu.h"
#include "arm/smmu_build.h"
#include "arm/vmsa.h"
#include "arm/vmsa_desc.h"

/* PAs of the memory that exists. */
#define RAM_BASE UINT64_C(0x100000000)
#define RAM_SIZE (UINT64_C(64) << 20)

struct ram {
	_Atomic uint64_t *words;
	uint64_t next;			/* of the allocator; freed memory is not used again */
	uint64_t live;			/* bytes allocated and not freed */
	unsigned int allocations;
	unsigned int fail_at;		/* the n-th allocation fails, counted from 1; 0: none */
	_Atomic uint64_t reads;
};

static inline _Atomic uint64_t *ram_word(struct ram *ram, uint64_t pa)
{
	if (pa < RAM_BASE || pa >= RAM_BASE + RAM_SIZE || pa & 7)
		return NULL;
	return &ram->words[(pa - RAM_BASE) / 8];
}

static inline int ram_read64(void *ctx, uint64_t pa, uint64_t *value)
{
	struct ram *ram = ctx;
	_Atomic uint64_t *word = ram_word(ram, pa);

	if (!word)
		return -EFAULT;
	atomic_fetch_add_explicit(&ram->reads, 1, memory_order_relaxed);
	*value = atomic_load_explicit(word, memory_order_acquire);
	return 0;
}

static inline int ram_write64(void *ctx, uint64_t pa, uint64_t value)
{
	_Atomic uint64_t *word = ram_word(ctx, pa);

	if (!word)
		return -EFAULT;
	atomic_store_explicit(word, value, memory_order_release);
	return 0;
}

static inline int ram_alloc(void *ctx, uint64_t size, uint64_t *addr)
{
	struct ram *ram = ctx;
	uint64_t align = size < 64 ? 64 : size;
	uint64_t i;

	if (++ram->allocations == ram->fail_at)
		return -ENOMEM;
	ram->next = (ram->next + align - 1) & ~(align - 1);
	if (ram->next + size > RAM_BASE + RAM_SIZE)
		return -ENOMEM;
	*addr = ram->next;
	ram->next += size;
	ram->live += size;
	for (i = 0; i < size; i += 8)
		ram_write64(ram, *addr + i, 0);
	return 0;
}

static inline void ram_free(void *ctx, uint64_t addr, uint64_t size)
{
	struct ram *ram = ctx;

	assert_in_range(addr, RAM_BASE, RAM_BASE + RAM_SIZE - 1);
	ram->live -= size;
}

static inline struct arm_mem ram_mem(struct ram *ram)
{
	return (struct arm_mem){ .read64 = ram_read64, .write64 = ram_write64, .ctx = ram };
}

static inline void ram_init(struct ram *ram)
{
	memset(ram, 0, sizeof(*ram));
	/* Not from the heap: AddressSanitizer would go through all of it, for each fresh machine. */
	ram->words = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(ram->words, MAP_FAILED);
	ram->next = RAM_BASE;
}

static inline void ram_fini(struct ram *ram)
{
	munmap((void *)ram->words, RAM_SIZE);
}

static inline uint64_t ram_get(struct ram *ram, uint64_t pa)
{
	uint64_t value = 0;

	assert_int_equal(ram_read64(ram, pa, &value), 0);
	return value;
}

static inline void ram_put(struct ram *ram, uint64_t pa, uint64_t value)
{
	assert_int_equal(ram_write64(ram, pa, value), 0);
}

static inline uint64_t ram_new(struct ram *ram, uint64_t size)
{
	uint64_t addr = 0;

	assert_int_equal(ram_alloc(ram, size, &addr), 0);
	return addr;
}

/* --- Tables --- */

static inline struct vmsa_table table_make(struct ram *ram, enum vmsa_stage stage,
					   unsigned int granule_shift, unsigned int ia_bits,
					   unsigned int oa_bits)
{
	struct vmsa_table t = {
		.mem = ram_mem(ram), .alloc = ram_alloc, .free = ram_free, .ctx = ram
	};

	assert_int_equal(vmsa_format_init(&t.format, stage, granule_shift, ia_bits, oa_bits), 0);
	assert_int_equal(vmsa_table_init(&t), 0);
	return t;
}

/* --- An SMMU --- */

#define STREAMS_LOG2 6

struct machine {
	struct ram ram;
	struct smmu_config config;
	void *memory;
	struct smmu *smmu;
	uint64_t strtab;
};

static inline void machine_idr(uint32_t idr[6])
{
	memset(idr, 0, 6 * sizeof(idr[0]));
	idr[0] = SMMU_IDR0_S1P | SMMU_IDR0_S2P |
		 FIELD_PREP64(SMMU_IDR0_TTF, SMMU_IDR0_TTF_AARCH64) | SMMU_IDR0_ASID16 |
		 SMMU_IDR0_VMID16 | SMMU_IDR0_CD2L |
		 FIELD_PREP64(SMMU_IDR0_TTENDIAN, SMMU_IDR0_TTENDIAN_LITTLE) |
		 FIELD_PREP64(SMMU_IDR0_STALL_MODEL, SMMU_IDR0_STALL_MODEL_NONE) |
		 FIELD_PREP64(SMMU_IDR0_ST_LEVEL, SMMU_IDR0_ST_LEVEL_TWO);
	idr[1] = FIELD_PREP64(SMMU_IDR1_SIDSIZE, 16) | FIELD_PREP64(SMMU_IDR1_SSIDSIZE, 16) |
		 SMMU_IDR1_ATTR_PERMS_OVR;
	idr[3] = SMMU_IDR3_HAD | SMMU_IDR3_XNX | SMMU_IDR3_FWB | SMMU_IDR3_STT | SMMU_IDR3_RIL;
	idr[5] = FIELD_PREP64(SMMU_IDR5_OAS, SMMU_IDR5_OAS_48) | SMMU_IDR5_GRAN4K |
		 SMMU_IDR5_GRAN16K | SMMU_IDR5_GRAN64K;
}

/*
 * (Re)creates the SMMU from m->config, with a linear stream table in which all streams are invalid.
 */
static inline void machine_start(struct machine *m)
{
	free(m->memory);
	m->memory = aligned_alloc(64, (smmu_footprint(&m->config) + 63) & ~(size_t)63);
	assert_non_null(m->memory);
	m->smmu = smmu_init(m->memory, &m->config);
	smmu_set_stream_table(m->smmu, m->strtab, STREAMS_LOG2);
}

static inline void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	ram_init(&m->ram);
	m->config.mem = ram_mem(&m->ram);
	machine_idr(m->config.idr);
	m->strtab = ram_new(&m->ram, 64 << STREAMS_LOG2);
	machine_start(m);
}

static inline void machine_fini(struct machine *m)
{
	free(m->memory);
	ram_fini(&m->ram);
}

static inline void put_dwords(struct ram *ram, uint64_t pa, const uint64_t *dw, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		ram_put(ram, pa + 8 * i, dw[i]);
}

static inline void machine_command(struct machine *m, uint64_t dw0, uint64_t dw1)
{
	uint64_t cmd[2] = { dw0, dw1 };

	assert_int_equal(smmu_command(m->smmu, cmd), 0);
}

static inline void machine_set_ste(struct machine *m, uint32_t sid, const uint64_t ste[8])
{
	put_dwords(&m->ram, m->strtab + sid * 64, ste, 8);
	machine_command(m, SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid), 0);
}

/* --- Translating --- */

static inline int machine_read(struct machine *m, uint32_t sid, uint64_t addr,
			       struct smmu_result *res)
{
	struct smmu_txn txn = { .sid = sid, .access = SMMU_READ, .addr = addr };

	memset(res, 0, sizeof(*res));
	return smmu_translate(m->smmu, &txn, res);
}

static inline int machine_write(struct machine *m, uint32_t sid, uint64_t addr,
				struct smmu_result *res)
{
	struct smmu_txn txn = { .sid = sid, .access = SMMU_WRITE, .addr = addr };

	memset(res, 0, sizeof(*res));
	return smmu_translate(m->smmu, &txn, res);
}

#define assert_pa(m, sid, addr, expected) do { \
	struct smmu_result res_; \
	assert_int_equal(machine_read(m, sid, addr, &res_), 0); \
	assert_int_equal(res_.pa, expected); \
} while (0)

static inline uint64_t event_id(const struct smmu_result *res)
{
	return FIELD_GET64(SMMU_EVT_0_ID, res->event.dw[0]);
}

#endif
