/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of the test device bell (soft/endpoints/bell.h): rings every vector by itself, then all at
 * once, then copies memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/guest_priv.h"

#define BELL_VENDOR_ID 0x1d1d
#define BELL_DEVICE_ID 0xbe11
#define BELL_MAGIC 0x4c4c4542u

enum bell_register {
	REG_ID = 0x00,
	REG_RING = 0x08,
	REG_RINGS = 0x0c,
	REG_SRC = 0x10,
	REG_DST = 0x18,
	REG_LEN = 0x20,
	REG_GO = 0x24,
	REG_STATUS = 0x28,
};

#define COPY_BYTES (64u << 10)
#define COPIES 32u
#define TOTAL ((uint64_t)COPY_BYTES * COPIES)

struct bell {
	struct dma_buffer src, dst;
};

static bool bell_match(uint16_t vendor, uint16_t device, uint32_t class_code)
{
	(void)class_code;
	return vendor == BELL_VENDOR_ID && device == BELL_DEVICE_ID;
}

static void bell_stop(struct guest_device *gd)
{
	struct bell *bell = gd->priv;

	dma_free(&gd->domain, &bell->src);
	dma_free(&gd->domain, &bell->dst);
	free(bell);
	gd->priv = NULL;
}

static int bell_start(struct guest_device *gd)
{
	struct bell *bell;
	int err;

	if (guest_read32(gd, REG_ID) != BELL_MAGIC)
		return guest_fail(gd->guest, -EIO, "%s: not a bell after all",
				  vmm_device_info(gd->info.vmm)->address);
	bell = calloc(1, sizeof(*bell));
	if (!bell)
		return guest_fail(gd->guest, -ENOMEM, "out of memory");
	gd->priv = bell;
	err = dma_alloc(&gd->domain, COPY_BYTES, &bell->src);
	if (!err)
		err = dma_alloc(&gd->domain, COPY_BYTES, &bell->dst);
	if (err)
		bell_stop(gd);
	return err;
}

/* A timeout is no error of the I/O: the interrupt counts tell what was lost. */
static void ring_all(struct guest_device *gd)
{
	unsigned int i;

	for (i = 0; i < gd->info.vectors; i++) {
		guest_irq_expect(gd, i);
		guest_write32(gd, REG_RING, i);
		guest_irq_wait(gd, i);
	}
	for (i = 0; i < gd->info.vectors; i++)
		guest_irq_expect(gd, i);
	guest_write32(gd, REG_RINGS, gd->info.vectors);
	for (i = 0; i < gd->info.vectors; i++)
		guest_irq_wait(gd, i);
}

/* Different for each copy and each place in it, so that nothing left over can pass for it. */
static void fill_pattern(uint64_t *words, unsigned int copy)
{
	uint64_t x = 0x9e3779b97f4a7c15ull * (copy + 1);
	unsigned int i;

	for (i = 0; i < COPY_BYTES / sizeof(*words); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
}

static int copy(struct guest_device *gd, unsigned int n)
{
	struct bell *bell = gd->priv;
	unsigned int vector = n % gd->info.vectors;
	uint32_t status;

	fill_pattern(bell->src.cpu, n);
	memset(bell->dst.cpu, 0, COPY_BYTES);
	guest_write64(gd, REG_SRC, bell->src.giova);
	guest_write64(gd, REG_DST, bell->dst.giova);
	guest_write32(gd, REG_LEN, COPY_BYTES);
	guest_irq_expect(gd, vector);
	guest_write32(gd, REG_GO, vector);
	guest_irq_wait(gd, vector);
	status = guest_read32(gd, REG_STATUS);
	if (status)
		return guest_fail(gd->guest, -EIO, "%s: a copy failed with status %u",
				  vmm_device_info(gd->info.vmm)->address, status);
	if (memcmp(bell->src.cpu, bell->dst.cpu, COPY_BYTES))
		return guest_fail(gd->guest, -EIO, "%s: copied data differs from its source",
				  vmm_device_info(gd->info.vmm)->address);
	return 0;
}

static int bell_run(struct guest_device *gd, struct guest_io *io)
{
	struct bell *bell = gd->priv;
	unsigned int i;
	int err;

	ring_all(gd);
	for (i = 0; i < COPIES; i++) {
		err = copy(gd, i);
		if (err)
			return err;
		io->bytes += COPY_BYTES;
		err = io->data(io->ctx, bell->dst.cpu, COPY_BYTES, io->bytes, TOTAL);
		if (err)
			return err;
	}
	return 0;
}

const struct guest_driver guest_driver_bell = {
	.name = "bell",
	.match = bell_match,
	.start = bell_start,
	.run = bell_run,
	.stop = bell_stop,
};
