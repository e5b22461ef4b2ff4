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
	size_t size;			/* of it all */

	/*
	 * Held by whoever calls the engine, which takes one caller at a time: for commands, and for
	 * translations that are not in the route cache.
	 */
	pthread_mutex_t lock;
	uint64_t settled;		/* routes dropped that nobody uses any more */
	uint64_t device_table, device_table_size;
	uint64_t *device_pages;		/* second-level pages, 0: none yet; NULL: a flat table */
	uint64_t collection_table, collection_table_size;
	void *itts;			/* of its_dev_map_device(): a tree (tsearch) */
};

extern const struct its_lpi_ops gic_lpi_ops;

#define GIC_LPI_ENABLED 0x01u	/* property byte: [0] enable, [7:2] priority, §5.1.1 */

static inline bool gic_lpi_enabled(const struct gic *gic, uint32_t intid)
{
	return __atomic_load_n(&gic->lines[intid].configured, __ATOMIC_SEQ_CST) & GIC_LPI_ENABLED;
}

/* The processor takes the interrupt. Inside an RCU section, in which *@effect is run, too. */
static inline void gic_take(struct gic *gic, uint32_t intid, struct bus_effect *effect)
{
	struct gic_handler *handler = __atomic_load_n(&gic->lines[intid].handler, __ATOMIC_ACQUIRE);

	if (__builtin_expect(handler != NULL, 1))
		*effect = (struct bus_effect){ .fn = handler->fn, .ctx = handler->ctx };
	else
		__atomic_fetch_add(&gic->unhandled, 1, __ATOMIC_RELAXED);
}

/*
 * A disabled LPI arrives: it becomes pending on @rd, or is taken after all if it was enabled
 * meanwhile.
 */
bool gic_pend_lpi(struct gic *gic, uint32_t rd, uint32_t intid, struct bus_effect *effect);

/*
 * An LPI arrives; *@effect is its handler's call, if it has one. Inside an RCU section. False: it is
 * disabled, and was left pending on @rd.
 */
static inline bool gic_raise_lpi(struct gic *gic, uint32_t rd, uint32_t intid,
				 struct bus_effect *effect)
{
	if (__builtin_expect(!gic_lpi_enabled(gic, intid), 0))
		return gic_pend_lpi(gic, rd, intid, effect);
	gic_take(gic, intid, effect);
	return true;
}

/* An edge of a SPI arrives. As above. */
void gic_raise_spi(struct gic *gic, uint32_t intid, struct bus_effect *effect);

bool gic_is_lpi(const struct gic *gic, uint32_t intid);

int its_dev_create(struct gic *gic, const struct msi_frame_config *config, struct its_dev **out);
void its_dev_destroy(struct its_dev *its);
int v2m_create(struct gic *gic, const struct msi_frame_config *config, struct its_dev **out);
void v2m_destroy(struct its_dev *its);

#endif
