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
		return guest_fail(gd->guest, -EIO, "%s: not an edu after all",
				  vmm_device_info(gd->info.vmm)->address);
	edu = calloc(1, sizeof(*edu));
	if (!edu)
		return guest_fail(gd->guest, -ENOMEM, "out of memory");
	gd->priv = edu;
	err = dma_alloc(&gd->domain, BUFFER_BYTES, &edu->out);
	if (!err)
		err = dma_alloc(&gd->domain, BUFFER_BYTES, &edu->in);
	if (err)
		edu_stop(gd);
	return err;
}

/* The device keeps its cause until it is acknowledged, and raises an interrupt for each new one. */
static void take_interrupt(struct guest_device *gd)
{
	guest_irq_wait(gd, 0);
	guest_write32(gd, REG_IRQ_ACK, guest_read32(gd, REG_IRQ_STATUS));
}

static void transfer(struct guest_device *gd, uint64_t from, uint64_t to, uint32_t direction)
{
	guest_write64(gd, REG_DMA_SRC, from);
	guest_write64(gd, REG_DMA_DST, to);
	guest_write64(gd, REG_DMA_COUNT, BUFFER_BYTES);
	guest_irq_expect(gd, 0);
	guest_write64(gd, REG_DMA_COMMAND, DMA_START | direction | DMA_IRQ);
	take_interrupt(gd);
}

static int edu_run(struct guest_device *gd, struct guest_io *io)
{
	struct edu *edu = gd->priv;
	uint8_t *bytes = edu->out.cpu;
	unsigned int i, j;
	int err;

	for (i = 0; i < RINGS; i++) {
		guest_irq_expect(gd, 0);
		guest_write32(gd, REG_IRQ_RAISE, 1u << (i % 8));
		take_interrupt(gd);
	}
	for (i = 0; i < COPIES; i++) {
		for (j = 0; j < BUFFER_BYTES; j++)
			bytes[j] = (i + 1) * 37 + j * 11 + (j >> 8);
		memset(edu->in.cpu, 0, BUFFER_BYTES);
		transfer(gd, edu->out.giova, DEVICE_BUFFER, 0);
		transfer(gd, DEVICE_BUFFER, edu->in.giova, DMA_TO_RAM);
		if (memcmp(edu->out.cpu, edu->in.cpu, BUFFER_BYTES))
			return guest_fail(gd->guest, -EIO,
					  "%s: data that came back differs from what was sent",
					  vmm_device_info(gd->info.vmm)->address);
		io->bytes += BUFFER_BYTES;
		err = io->data(io->ctx, edu->in.cpu, BUFFER_BYTES, io->bytes,
			       (uint64_t)BUFFER_BYTES * COPIES);
		if (err)
			return err;
	}
	return 0;
}

const struct guest_driver guest_driver_edu = {
	.name = "edu",
	.match = edu_match,
	.dma_bits = 28,
	.start = edu_start,
	.run = edu_run,
	.stop = edu_stop,
};
