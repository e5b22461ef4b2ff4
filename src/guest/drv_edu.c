/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of QEMU's teaching device edu (its documentation: docs/specs/edu.rst of QEMU): one plain
 * MSI, and a DMA engine between RAM and a buffer of 4 KiB in the device that takes 28 address bits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/guest_priv.h"

#define EDU_VENDOR_ID 0x1234
#define EDU_DEVICE_ID 0x11e8

enum edu_register {
	REG_ID = 0x00,
	REG_IRQ_STATUS = 0x24,
	REG_IRQ_RAISE = 0x60,
	REG_IRQ_ACK = 0x64,
	REG_DMA_SRC = 0x80,
	REG_DMA_DST = 0x88,
	REG_DMA_COUNT = 0x90,
	REG_DMA_COMMAND = 0x98,
};

#define ID_MASK 0xffff00ffu	/* version in the middle */
#define ID_EDU 0x010000edu
#define DMA_START 1u
#define DMA_TO_RAM 2u
#define DMA_IRQ 4u
#define DEVICE_BUFFER 0x40000u
#define BUFFER_BYTES 4096u
#define RINGS 16u
#define COPIES 4u
#define KICK_CAUSE 0x100u	/* none of the rings' */
#define DMA_MS 5000	/* at most for a transfer; QEMU's edu takes 100 ms */

struct edu {
	struct dma_buffer out, in;
};

static bool edu_match(uint16_t vendor, uint16_t device, uint32_t class_code)
{
	(void)class_code;
	return vendor == EDU_VENDOR_ID && device == EDU_DEVICE_ID;
}

static void edu_stop(struct guest_device *gd)
{
	struct edu *edu = gd->priv;

	dma_free(&gd->domain, &edu->out);
	dma_free(&gd->domain, &edu->in);
	free(edu);
	gd->priv = NULL;
}

static int edu_start(struct guest_device *gd)
{
	struct edu *edu;
	int err;

	if ((guest_read32(gd, REG_ID) & ID_MASK) != (ID_EDU & ID_MASK))
		return guest_fail(&gd->guest->base, -EIO, "%s: not an edu after all",
				  vmm_device_info(gd->info.vmm)->address);
	edu = calloc(1, sizeof(*edu));
	if (!edu)
		return guest_fail(&gd->guest->base, -ENOMEM, "out of memory");
	gd->priv = edu;
	err = dma_alloc(&gd->domain, BUFFER_BYTES, &edu->out);
	if (!err)
		err = dma_alloc(&gd->domain, BUFFER_BYTES, &edu->in);
	if (err)
		edu_stop(gd);
	return err;
}

/* Jobs: first the rings, then for each copy the way out and the way back. */
static unsigned int edu_jobs(const struct guest_device *gd)
{
	(void)gd;
	return RINGS + 2 * COPIES;
}

static void transfer(struct guest_device *gd, uint64_t from, uint64_t to, uint32_t direction)
{
	guest_write64(gd, REG_DMA_SRC, from);
	guest_write64(gd, REG_DMA_DST, to);
	guest_write64(gd, REG_DMA_COUNT, BUFFER_BYTES);
	guest_irq_expect(gd, 0);
	guest_write64(gd, REG_DMA_COMMAND, DMA_START | direction | DMA_IRQ);
}

static void edu_job_start(struct guest_device *gd, unsigned int job)
{
	struct edu *edu = gd->priv;
	uint8_t *bytes = edu->out.cpu;
	unsigned int copy = (job - RINGS) / 2, i;

	if (job < RINGS) {
		guest_irq_expect(gd, 0);
		guest_write32(gd, REG_IRQ_RAISE, 1u << (job % 8));
	} else if (job % 2 == RINGS % 2) {
		for (i = 0; i < BUFFER_BYTES; i++)
			bytes[i] = (copy + 1) * 37 + i * 11 + (i >> 8);
		transfer(gd, edu->out.giova, DEVICE_BUFFER, 0);
	} else {
		memset(edu->in.cpu, 0, BUFFER_BYTES);
		transfer(gd, DEVICE_BUFFER, edu->in.giova, DMA_TO_RAM);
	}
}

/* The device keeps its cause until it is acknowledged, and raises an interrupt for each new one. */
static int edu_job_finish(struct guest_device *gd, unsigned int job)
{
	struct edu *edu = gd->priv;
	struct guest_io *io = gd->io;

	guest_irq_wait(gd, 0);
	guest_write32(gd, REG_IRQ_ACK, guest_read32(gd, REG_IRQ_STATUS));
	if (job < RINGS || job % 2 == RINGS % 2)
		return 0;
	if (memcmp(edu->out.cpu, edu->in.cpu, BUFFER_BYTES))
		return guest_fail(&gd->guest->base, -EIO,
				  "%s: data that came back differs from what was sent",
				  vmm_device_info(gd->info.vmm)->address);
	io->bytes += BUFFER_BYTES;
	return io->data(io->ctx, edu->in.cpu, BUFFER_BYTES, io->bytes,
			(uint64_t)BUFFER_BYTES * COPIES);
}

/*
 * A transfer goes on over an aborting SMMU, and even over a reset. What it brought into the device
 * or out of it is not to be trusted, so the way out comes again too.
 */
static int edu_restart(struct guest_device *gd)
{
	unsigned int waited;

	for (waited = 0; guest_read32(gd, REG_DMA_COMMAND) & DMA_START; waited++) {
		if (waited == DMA_MS)
			return guest_fail(&gd->guest->base, -ETIMEDOUT,
					  "%s: a transfer does not end",
					  vmm_device_info(gd->info.vmm)->address);
		guest_delay(gd->guest, 1);
	}
	guest_write32(gd, REG_IRQ_ACK, guest_read32(gd, REG_IRQ_STATUS));
	if (gd->job_in_flight && gd->job > RINGS && gd->job % 2 == RINGS % 2)
		gd->job--;
	guest_jobs_repeat(gd);
	return 0;
}

static void edu_kick(struct guest_device *gd)
{
	guest_write32(gd, REG_IRQ_RAISE, KICK_CAUSE);
}

static int edu_kicked(struct guest_device *gd)
{
	guest_write32(gd, REG_IRQ_ACK, KICK_CAUSE);
	return 0;
}

const struct guest_driver guest_driver_edu = {
	.name = "edu",
	.match = edu_match,
	.dma_bits = 28,
	.start = edu_start,
	.step = guest_jobs_step,
	.end = guest_jobs_end,
	.restart = edu_restart,
	.kick = edu_kick,
	.kicked = edu_kicked,
	.stop = edu_stop,
	.jobs = edu_jobs,
	.job_start = edu_job_start,
	.job_finish = edu_job_finish,
};
