/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the interrupt controller: shared by gic.c (interrupts), its_dev.c (ITSes, the frames on
 * the bus) and v2m.c.
 */
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
};

/* An interrupt, with all that taking it needs in one cache line. */
struct gic_line {
	struct gic_handler *handler;	/* read under RCU: one of the two, or NULL */
	struct gic_handler slot[2];
	uint8_t configured;	/* LPI: its property byte, as the redistributors remember it */
	uint8_t spi_enabled, spi_pending;
} __attribute__((aligned(64)));

struct gic {
	struct gic_line *lines;		/* by INTID */
	uint32_t intids;		/* 1 << lpi_bits: all INTIDs are below */
	unsigned int processors, lpi_bits;
	uint64_t unhandled;
	struct bus *bus;

	/* LPI tables in the machine's memory, §5.1 */
	uint64_t property_pa;		/* GICR_PROPBASER: a byte for each LPI */
	uint8_t *property;
	uint64_t *pending_pa;		/* GICR_PENDBASER of each processor: a bit for each INTID */
	uint8_t **pending;

	/* Covers changes of handlers, with the wait for the old one's end. */
	pthread_mutex_t handler_lock;

	/* Covers what follows: the allocation of INTIDs, the list of frames. */
	pthread_mutex_t lock;
	uint8_t *allocated;		/* a bit for each INTID */
	uint32_t search_from;		/* no LPI below it is free */
	struct its_dev *frames;
};

/* Followed in memory by the ITS's engine. */
struct its_dev {
	struct gic *gic;
	struct its *its;		/* NULL: a GICv2m frame */
	uint64_t discarded;
	struct msi_frame_config config;
	struct its_dev *next;

	/*
	 * The engine's one caller has it (commands, and translations that no route is at hand for).
	 */
	pthread_mutex_t lock;
	uint64_t settled;		/* routes dropped that nobody uses any more */
	uint64_t device_table, device_table_size;
	uint64_t *device_pages;		/* second-level pages, 0: none yet; NULL: a flat table */
	uint64_t collection_table, collection_table_size;
	void *itts;			/* of its_dev_map_device(): a tree (tsearch) */
};

extern const struct its_lpi_ops gic_lpi_ops;

/* An LPI arrives. Inside an RCU section. False: it is disabled, and was left pending on @rd. */
bool gic_raise_lpi(struct gic *gic, uint32_t rd, uint32_t intid);

/* An edge of a SPI arrives. Inside an RCU section. */
void gic_raise_spi(struct gic *gic, uint32_t intid);

bool gic_is_lpi(const struct gic *gic, uint32_t intid);

int its_dev_create(struct gic *gic, const struct msi_frame_config *config, struct its_dev **out);
void its_dev_destroy(struct its_dev *its);
int v2m_create(struct gic *gic, const struct msi_frame_config *config, struct its_dev **out);
void v2m_destroy(struct its_dev *its);

#endif
