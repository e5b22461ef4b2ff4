/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of the interrupt controller: shared by gic.c (interrupts), its_dev.c (ITSes, the frames on the bus) and v2m.c. */
#ifndef SOFT_HW_GIC_PRIV_H
#define SOFT_HW_GIC_PRIV_H

#include <pthread.h>

#include "soft/hw/gic.h"
#include "soft/hw/rcu.h"

#define GIC_SPI_FIRST 32u
#define GIC_SPI_END 1020u
#define GIC_LPI_FIRST 8192u

struct gic_handler {
	void (*fn)(void *ctx);
	void *ctx;
	struct gic_handler *next;	/* of those to be freed */
};

struct gic {
	struct bus *bus;
	unsigned int processors, lpi_bits;
	uint32_t intids;		/* 1 << lpi_bits: all INTIDs are below */
	struct gic_handler **handlers;	/* by INTID, read under RCU */

	/* LPIs, §5.1: tables in the machine's memory, and what the redistributors remember of the configuration. */
	uint64_t property_pa;		/* GICR_PROPBASER: a byte for each LPI */
	uint8_t *property;
	uint8_t *configured;		/* the property bytes as last read */
	uint64_t *pending_pa;		/* GICR_PENDBASER of each processor: a bit for each INTID */
	uint8_t **pending;

	uint8_t spi_enabled[GIC_SPI_END], spi_pending[GIC_SPI_END];

	uint64_t unhandled;

	/* Covers what follows: the allocation of INTIDs, the list of frames, and changes of handlers. Taken before an its_dev's. */
	pthread_mutex_t lock;
	uint8_t *allocated;		/* a bit for each INTID */
	uint32_t search_from;		/* no LPI below it is free */
	struct its_dev *frames;
};

struct its_dev {
	struct gic *gic;
	struct msi_frame_config config;
	struct its_dev *next;
	uint64_t discarded;

	/* An ITS: the engine's one caller has the lock (commands, and translations that no route is at hand for). */
	pthread_mutex_t lock;
	struct its *its;
	uint64_t device_table, device_table_size;
	uint64_t *device_pages;		/* second-level pages by first-level index, 0: none yet; NULL: the table is flat */
	uint64_t collection_table, collection_table_size;
	void *itts;			/* of its_dev_map_device(): a tree (tsearch) */
};

extern const struct its_lpi_ops gic_lpi_ops;

/* An edge of a SPI arrives. Inside an RCU section. */
void gic_raise_spi(struct gic *gic, uint32_t intid);

bool gic_is_lpi(const struct gic *gic, uint32_t intid);

int its_dev_init(struct its_dev *its);
void its_dev_fini(struct its_dev *its);
int v2m_init(struct its_dev *its);

#endif
