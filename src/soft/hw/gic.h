/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's interrupt controller: redistributors with LPIs, ITSes and GICv2m frames, and who handles an interrupt.
 */
#ifndef SOFT_HW_GIC_H
#define SOFT_HW_GIC_H

#include "arm/its.h"
#include "soft/hw/bus.h"

struct gic;
struct its_dev;

/* What an MSI is written to. */
enum doorbell_kind {
	DOORBELL_ITS,		/* GITS_TRANSLATER in the ITS's second 64 KiB frame */
	DOORBELL_PRE_ITS,	/* a window in front of the ITS: the address carries the DeviceID (base + DeviceID * 4); data is the EventID */
	DOORBELL_V2M,		/* a GICv2m frame: MSI_SETSPI_NS at 0x40, data is the SPI */
};

struct msi_frame_config {
	enum doorbell_kind kind;
	uint64_t base;		/* ITS or v2m frame, PA */
	uint64_t pre_its_base, pre_its_size;	/* PRE_ITS only */
	unsigned int device_bits, event_bits;
	uint32_t spi_base, spi_count;		/* V2M only */
};

struct gic *gic_create(struct bus *bus, unsigned int processors, unsigned int lpi_bits);
void gic_destroy(struct gic *gic);

/* Adds an ITS or v2m frame to the bus. -EADDRINUSE, -EINVAL, -ENOMEM. */
int gic_add_msi_frame(struct gic *gic, const struct msi_frame_config *config, struct its_dev **out);

/* The PA that device @device_id must write its MSIs to, with the register's offset. */
uint64_t its_dev_doorbell(const struct its_dev *its, uint32_t device_id);
const struct msi_frame_config *its_dev_config(const struct its_dev *its);

/* Executes ITS commands in order (not for V2M: -EOPNOTSUPP). 0, or the first error code; every command is executed. Thread-safe. */
int its_dev_commands(struct its_dev *its, const uint64_t (*cmds)[4], size_t count);

/* LPI INTIDs of the machine: @count consecutive ones (a power of two, aligned), or -ENOSPC. For V2M frames: SPIs of the frame. */
int gic_alloc_interrupts(struct gic *gic, struct its_dev *its, unsigned int count, uint32_t *first);
void gic_free_interrupts(struct gic *gic, struct its_dev *its, uint32_t first, unsigned int count);

/*
 * Handler of interrupt @intid; NULL ends it (when the call returns, no handler of it runs any more). Runs in the thread of the
 * device's write, inside its RCU section; must not block.
 */
int gic_set_handler(struct gic *gic, uint32_t intid, void (*handler)(void *ctx), void *ctx);

/* Enable bit in the LPI configuration table (the caller then sends INV); for an SPI it acts at once. A disabled interrupt stays pending. */
void gic_set_enabled(struct gic *gic, uint32_t intid, bool enabled);

/* A write to the doorbell that was discarded: counted by reason, for tests and `probe`. */
uint64_t its_dev_discarded(const struct its_dev *its);

#endif
