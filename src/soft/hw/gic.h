/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's interrupt controller: redistributors with LPIs, ITSes and GICv2m frames, and who
 * handles an interrupt.
 */
#ifndef SOFT_HW_GIC_H
#define SOFT_HW_GIC_H

#include <stdbool.h>
#include <stdint.h>

#include "arm/its.h"
#include "soft/hw/bus.h"

struct gic;
struct its_dev;

/* What an MSI is written to. */
enum doorbell_kind {
	/* GITS_TRANSLATER in the ITS's second 64 KiB frame */
	DOORBELL_ITS,
	/* A window in front of the ITS: the address carries the DeviceID (base + DeviceID * 4) */
	DOORBELL_PRE_ITS,
	/* A GICv2m frame: MSI_SETSPI_NS at 0x40, data is the SPI */
	DOORBELL_V2M,
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

/*
 * Is the DeviceID that the frame sees sure to be the writer's own? Only for an ITS, which gets it
 * from the bus. In a pre-ITS window it is part of the address, so who can write to a page of the
 * window can raise the interrupts of all DeviceIDs of that page (1,024 in 4 KiB); on a GICv2m frame
 * the data is the SPI, so everyone who can write to it can raise every interrupt of it. A kernel
 * calls such a device's MSIs not isolated.
 */
bool its_dev_isolated(const struct its_dev *its);

/*
 * Executes ITS commands in order (not for V2M: -EOPNOTSUPP). 0, or the first error code; every
 * command is executed. When it returns, no interrupt that follows an old mapping is under way any
 * more. Thread-safe; not inside an RCU section or a handler.
 *
 * Creation has enabled the ITS and mapped collection n to processor n, for each; second-level
 * device table pages come with MAPD.
 */
int its_dev_commands(struct its_dev *its, const uint64_t (*cmds)[4], size_t count);

/*
 * The usual sequences of an ITS driver, in terms of the commands above; for V2M they do nothing and
 * succeed.
 * map_device: an ITT for @events (rounded up to a power of two) and MAPD. -EBUSY: is mapped;
 * -ERANGE: DeviceID or number out of range; -ENOMEM.
 * map_events: events [first, first + count) become interrupts [intid, intid + count) on @processor.
 * -EINVAL if a command is an error. unmap_events also forgets what was pending. unmap_device ends
 * all mappings of the device and frees the ITT.
 */
int its_dev_map_device(struct its_dev *its, uint32_t device_id, unsigned int events);
void its_dev_unmap_device(struct its_dev *its, uint32_t device_id);
int its_dev_map_events(struct its_dev *its, uint32_t device_id, uint32_t first, unsigned int count,
		       uint32_t intid, unsigned int processor);
void its_dev_unmap_events(struct its_dev *its, uint32_t device_id, uint32_t first,
			  unsigned int count);

/*
 * The data that a message for @event, mapped to @intid, must carry: the EventID, or the SPI of a
 * V2M frame.
 */
uint32_t its_dev_message_data(const struct its_dev *its, uint32_t event, uint32_t intid);

/*
 * LPI INTIDs of the machine: @count consecutive ones (a power of two, aligned), or -ENOSPC. For V2M
 * frames: SPIs of the frame.
 */
int gic_alloc_interrupts(struct gic *gic, struct its_dev *its, unsigned int count, uint32_t *first);
void gic_free_interrupts(struct gic *gic, struct its_dev *its, uint32_t first, unsigned int count);

/*
 * Handler of interrupt @intid; NULL ends it (when the call returns, no handler of it runs any
 * more). Runs in the thread of the device's write, inside its RCU section; must not block.
 */
int gic_set_handler(struct gic *gic, uint32_t intid, void (*handler)(void *ctx), void *ctx);

/* Ends the handlers of @count interrupts, with one wait for all. */
void gic_clear_handlers(struct gic *gic, uint32_t first, unsigned int count);

/*
 * Enable bit in the LPI configuration table (the caller then sends INV); for an SPI it acts at
 * once. A disabled interrupt stays pending, and is handled when it is enabled. Interrupts are
 * disabled at start.
 */
void gic_set_enabled(struct gic *gic, uint32_t intid, bool enabled);

bool gic_is_pending(struct gic *gic, uint32_t intid);

/* Interrupts that were signalled and enabled, but had no handler. */
uint64_t gic_unhandled(const struct gic *gic);

/* A write to the doorbell that was discarded: counted by reason, for tests and `probe`. */
uint64_t its_dev_discarded(const struct its_dev *its);

#endif
