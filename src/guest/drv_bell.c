/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of the test device bell (soft/endpoints/bell.h): rings every vector by itself, then all at
 * once, then copies memory. A job is one of these.
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
		return guest_fail(&gd->guest->base, -EIO, "%s: not a bell after all",
				  vmm_device_info(gd->info.vmm)->address);
	bell = calloc(1, sizeof(*bell));
	if (!bell)
		return guest_fail(&gd->guest->base, -ENOMEM, "out of memory");
	gd->priv = bell;
	err = dma_alloc(&gd->domain, COPY_BYTES, &bell->src);
	if (!err)
		err = dma_alloc(&gd->domain, COPY_BYTES, &bell->dst);
	if (err)
		bell_stop(gd);
	return err;
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

static unsigned int bell_jobs(const struct guest_device *gd)
{
	return gd->info.vectors + 1 + COPIES;	/* each vector, all at once, copies */
}

static void start_copy(struct guest_device *gd, unsigned int n)
{
	struct bell *bell = gd->priv;
	unsigned int vector = n % gd->info.vectors;

	fill_pattern(bell->src.cpu, n);
	memset(bell->dst.cpu, 0, COPY_BYTES);
	guest_write64(gd, REG_SRC, bell->src.giova);
	guest_write64(gd, REG_DST, bell->dst.giova);
	guest_write32(gd, REG_LEN, COPY_BYTES);
	guest_irq_expect(gd, vector);
	guest_write32(gd, REG_GO, vector);
}

static int finish_copy(struct guest_device *gd, unsigned int n)
{
	struct bell *bell = gd->priv;
	struct guest_io *io = gd->io;
	uint32_t status;

	guest_irq_wait(gd, n % gd->info.vectors);
	status = guest_read32(gd, REG_STATUS);
	if (status)
		return guest_fail(&gd->guest->base, -EIO, "%s: a copy failed with status %u",
				  vmm_device_info(gd->info.vmm)->address, status);
	if (memcmp(bell->src.cpu, bell->dst.cpu, COPY_BYTES))
		return guest_fail(&gd->guest->base, -EIO, "%s: copied data differs from its source",
				  vmm_device_info(gd->info.vmm)->address);
	io->bytes += COPY_BYTES;
	return io->data(io->ctx, bell->dst.cpu, COPY_BYTES, io->bytes, TOTAL);
}

static void bell_job_start(struct guest_device *gd, unsigned int job)
{
	unsigned int i, n = gd->info.vectors;

	if (job > n) {
		start_copy(gd, job - n - 1);
		return;
	}
	if (job < n) {
		guest_irq_expect(gd, job);
		guest_write32(gd, REG_RING, job);
		return;
	}
	for (i = 0; i < n; i++)
		guest_irq_expect(gd, i);
	guest_write32(gd, REG_RINGS, n);
}

/* A timeout is no error of the I/O: the interrupt counts tell what was lost. */
static int bell_job_finish(struct guest_device *gd, unsigned int job)
{
	unsigned int i, n = gd->info.vectors;

	if (job > n)
		return finish_copy(gd, job - n - 1);
	if (job < n)
		guest_irq_wait(gd, job);
	for (i = 0; job == n && i < n; i++)
		guest_irq_wait(gd, i);
	return 0;
}

static int bell_restart(struct guest_device *gd)
{
	guest_jobs_repeat(gd);
	return 0;
}

static void bell_kick(struct guest_device *gd)
{
	guest_write32(gd, REG_RING, 0);
}

static int bell_kicked(struct guest_device *gd)
{
	(void)gd;	/* a ring leaves nothing behind */
	return 0;
}

const struct guest_driver guest_driver_bell = {
	.name = "bell",
	.match = bell_match,
	.start = bell_start,
	.step = guest_jobs_step,
	.end = guest_jobs_end,
	.restart = bell_restart,
	.kick = bell_kick,
	.kicked = bell_kicked,
	.stop = bell_stop,
	.jobs = bell_jobs,
	.job_start = bell_job_start,
	.job_finish = bell_job_finish,
};
