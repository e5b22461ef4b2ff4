/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ITS commands, table registers and translations over a small memory, which the input also fills: a device table may say anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arm/its.h"

#define MEMORY_SIZE (1u << 20)
#define STEP 33	/* a byte that chooses, four dwords */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t memory[MEMORY_SIZE / 8];

static int memory_read(void *ctx, uint64_t pa, uint64_t *value)
{
	(void)ctx;
	if (pa >= MEMORY_SIZE || pa & 7)
		return -EFAULT;
	*value = memory[pa / 8];
	return 0;
}

static int memory_write(void *ctx, uint64_t pa, uint64_t value)
{
	(void)ctx;
	if (pa >= MEMORY_SIZE || pa & 7)
		return -EFAULT;
	memory[pa / 8] = value;
	return 0;
}

static void on_lpi(void *ctx, uint32_t rdbase, uint32_t intid)
{
	/* Whatever the tables say, nothing but an LPI of an existing redistributor may come out. */
	(void)ctx;
	if (rdbase >= 4 || (intid && intid < 8192) || intid >= 1 << 16)
		abort();
}

static void on_move(void *ctx, uint32_t from, uint32_t to, uint32_t intid)
{
	on_lpi(ctx, from, intid);
	on_lpi(ctx, to, intid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct its_lpi_ops ops = { on_lpi, on_lpi, on_lpi, on_move };
	static void *its_memory;
	struct its_config config = {
		.mem = { memory_read, memory_write, NULL },
		.device_bits = 16,
		.event_bits = 11,
		.lpi_bits = 16,
		.processors = 4,
		.lpi = &ops,
	};
	struct its *its;

	if (!its_memory)
		its_memory = aligned_alloc(64, (its_footprint(&config) + 63) & ~63ull);
	memset(memory, 0, sizeof(memory));
	its = its_init(its_memory, &config);
	its_enable(its, true);
	for (; size >= STEP; data += STEP, size -= STEP) {
		uint64_t dw[4];

		memcpy(dw, data + 1, sizeof(dw));
		switch (data[0] % 8) {
		case 0:
			its_set_baser(its, dw[0] % 8, dw[1]);
			break;
		case 1:
			memory_write(NULL, dw[0] % MEMORY_SIZE & ~7ull, dw[1]);
			break;
		case 2:
		case 3:
			its_translate(its, dw[0], dw[1]);
			break;
		default:
			its_command(its, dw);
		}
	}
	return 0;
}
