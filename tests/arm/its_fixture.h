/* SPDX-License-Identifier: BSD-2-Clause */
/* An ITS over a small memory, with redistributors that write down what they are told. */
#ifndef TESTS_ARM_ITS_FIXTURE_H
#define TESTS_ARM_ITS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arm/its.h"
#include "arm/its_regs.h"

#define RAM_BASE 0x40000000ull
#define RAM_SIZE 0x400000ull

/* Where the tests put things. */
#define DEVICE_TABLE (RAM_BASE + 0x000000)
#define COLLECTION_TABLE (RAM_BASE + 0x100000)
#define L2_PAGES (RAM_BASE + 0x200000)
#define ITTS (RAM_BASE + 0x300000)

#define DEVICE_BITS 16
#define EVENT_BITS 12
#define LPI_BITS 16
#define PROCESSORS 4

enum lpi_call_kind { CALL_NONE, CALL_SET, CALL_CLEAR, CALL_INVALIDATE, CALL_MOVE };

struct lpi_call {
	enum lpi_call_kind kind;
	uint32_t rd, to, intid;
};

struct its_fixture {
	uint64_t ram[RAM_SIZE / 8];
	uint64_t broken;	/* a dword that is no memory, or 0 */
	struct its *its;
	struct lpi_call last;
	unsigned int calls;
};

static inline int fixture_read64(void *ctx, uint64_t pa, uint64_t *value)
{
	struct its_fixture *f = ctx;

	if (pa < RAM_BASE || pa >= RAM_BASE + RAM_SIZE || pa % 8 || pa == f->broken)
		return -1;
	*value = __atomic_load_n(&f->ram[(pa - RAM_BASE) / 8], __ATOMIC_ACQUIRE);
	return 0;
}

static inline int fixture_write64(void *ctx, uint64_t pa, uint64_t value)
{
	struct its_fixture *f = ctx;

	if (pa < RAM_BASE || pa >= RAM_BASE + RAM_SIZE || pa % 8 || pa == f->broken)
		return -1;
	__atomic_store_n(&f->ram[(pa - RAM_BASE) / 8], value, __ATOMIC_RELEASE);
	return 0;
}

static inline uint64_t *fixture_dword(struct its_fixture *f, uint64_t pa)
{
	return &f->ram[(pa - RAM_BASE) / 8];
}

static inline void fixture_record(struct its_fixture *f, struct lpi_call call)
{
	f->last = call;
	f->calls++;
}

static inline void fixture_set(void *ctx, uint32_t rd, uint32_t intid)
{
	fixture_record(ctx, (struct lpi_call){ CALL_SET, rd, 0, intid });
}

static inline void fixture_clear(void *ctx, uint32_t rd, uint32_t intid)
{
	fixture_record(ctx, (struct lpi_call){ CALL_CLEAR, rd, 0, intid });
}

static inline void fixture_invalidate(void *ctx, uint32_t rd, uint32_t intid)
{
	fixture_record(ctx, (struct lpi_call){ CALL_INVALIDATE, rd, 0, intid });
}

static inline void fixture_move(void *ctx, uint32_t from, uint32_t to, uint32_t intid)
{
	fixture_record(ctx, (struct lpi_call){ CALL_MOVE, from, to, intid });
}

static const struct its_lpi_ops fixture_lpi_ops = {
	.set_pending = fixture_set,
	.clear_pending = fixture_clear,
	.invalidate = fixture_invalidate,
	.move = fixture_move,
};

static inline struct its_config fixture_config(struct its_fixture *f)
{
	return (struct its_config){
		.mem = { .read64 = fixture_read64, .write64 = fixture_write64, .ctx = f },
		.device_bits = DEVICE_BITS,
		.event_bits = EVENT_BITS,
		.lpi_bits = LPI_BITS,
		.processors = PROCESSORS,
		.routes = 64,
		.lpi = &fixture_lpi_ops,
		.lpi_ctx = f,
	};
}

static inline void fixture_start(struct its_fixture *f, const struct its_config *config)
{
	f->its = its_init(aligned_alloc(64, (its_footprint(config) + 63) & ~(size_t)63), config);
}

/* Flat tables of 4 KiB: 512 devices, 512 collections. */
static inline void fixture_flat_tables(struct its_fixture *f)
{
	its_set_baser(f->its, ITS_BASER_DEVICES, GITS_BASER_VALID | DEVICE_TABLE);
	its_set_baser(f->its, ITS_BASER_COLLECTIONS, GITS_BASER_VALID | COLLECTION_TABLE);
}

static inline int its_fixture_setup(void **state)
{
	struct its_fixture *f = calloc(1, sizeof(*f));
	struct its_config config = fixture_config(f);

	fixture_start(f, &config);
	fixture_flat_tables(f);
	its_enable(f->its, true);
	*state = f;
	return 0;
}

static inline int its_fixture_teardown(void **state)
{
	struct its_fixture *f = *state;

	free(f->its);
	free(f);
	return 0;
}

/* --- Commands by name --- */

static inline int its_do(struct its_fixture *f, uint64_t dw0, uint64_t dw1, uint64_t dw2,
			 uint64_t dw3)
{
	const uint64_t cmd[4] = { dw0, dw1, dw2, dw3 };

	return its_command(f->its, cmd);
}

static inline int mapd(struct its_fixture *f, uint32_t device, uint64_t itt, unsigned int bits)
{
	return its_do(f, GITS_CMD_0(GITS_CMD_MAPD, device), bits - 1, GITS_CMD_VALID_2 | itt, 0);
}

static inline int unmapd(struct its_fixture *f, uint32_t device)
{
	return its_do(f, GITS_CMD_0(GITS_CMD_MAPD, device), 0, 0, 0);
}

static inline int mapc(struct its_fixture *f, uint32_t icid, uint64_t processor)
{
	return its_do(f, GITS_CMD_MAPC, 0, GITS_CMD_VALID_2 | GITS_CMD_RD(processor) | icid, 0);
}

static inline int unmapc(struct its_fixture *f, uint32_t icid)
{
	return its_do(f, GITS_CMD_MAPC, 0, icid, 0);
}

static inline int mapti(struct its_fixture *f, uint32_t device, uint32_t event, uint32_t intid,
			uint32_t icid)
{
	return its_do(f, GITS_CMD_0(GITS_CMD_MAPTI, device), GITS_CMD_1(event, intid), icid, 0);
}

static inline int mapi(struct its_fixture *f, uint32_t device, uint32_t event, uint32_t icid)
{
	return its_do(f, GITS_CMD_0(GITS_CMD_MAPI, device), event, icid, 0);
}

static inline int movi(struct its_fixture *f, uint32_t device, uint32_t event, uint32_t icid)
{
	return its_do(f, GITS_CMD_0(GITS_CMD_MOVI, device), event, icid, 0);
}

/* DISCARD, INV, INT, CLEAR */
static inline int its_event_command(struct its_fixture *f, unsigned int opcode, uint32_t device,
				    uint32_t event)
{
	return its_do(f, GITS_CMD_0(opcode, device), event, 0, 0);
}

static inline int invall(struct its_fixture *f, uint32_t icid)
{
	return its_do(f, GITS_CMD_INVALL, 0, icid, 0);
}

static inline int movall(struct its_fixture *f, uint64_t from, uint64_t to)
{
	return its_do(f, GITS_CMD_MOVALL, 0, GITS_CMD_RD(from), GITS_CMD_RD(to));
}

#define assert_last_call(f, ...)                                          \
	do {                                                              \
		struct lpi_call expected_ = { __VA_ARGS__ };              \
		assert_int_equal((f)->last.kind, expected_.kind);         \
		assert_int_equal((f)->last.rd, expected_.rd);             \
		assert_int_equal((f)->last.to, expected_.to);             \
		assert_int_equal((f)->last.intid, expected_.intid);       \
		memset(&(f)->last, 0, sizeof((f)->last));                 \
	} while (0)

#endif
