/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the ITS: shared by its.c (commands), its_table.c (tables in memory) and its_route.c
 * (routes at hand).
 */
#ifndef ARM_ITS_PRIV_H
#define ARM_ITS_PRIV_H

#include "arm/its.h"
#include "arm/its_regs.h"

#define ITS_ROUTE_WAYS 4

/*
 * One route, with a version that is odd while it is written (a sequence lock): there is one writer,
 * the ITS's caller, and readers compare the version before and after. Every field is accessed
 * atomically.
 */
struct its_slot {
	uint32_t version;
	uint32_t valid;
	uint64_t key;		/* DeviceID : EventID */
	uint64_t value;		/* rdbase : INTID */
};

struct its_set {
	struct its_slot way[ITS_ROUTE_WAYS];
	uint32_t next;		/* way to be replaced */
	uint32_t unused[7];	/* fills two cache lines */
};

struct its {
	struct its_config config;
	uint64_t baser[GITS_BASERS];
	uint32_t enabled;
	uint64_t set_mask;
	struct its_set *sets;	/* set_mask + 1: a power of two */
	uint64_t dropped;
	uint64_t held;		/* valid routes */
};

/*
 * An entry of table @n (device, collection): -ERANGE outside the table, -ENOENT no second-level
 * page, -EFAULT not memory.
 */
int its_table_read(const struct its *its, unsigned int n, uint64_t id, uint64_t *entry);
int its_table_write(struct its *its, unsigned int n, uint64_t id, uint64_t entry);
int its_itt_read(const struct its *its, uint64_t dte, uint32_t event, uint64_t *ite);
int its_itt_write(struct its *its, uint64_t dte, uint32_t event, uint64_t ite);

void its_route_init(struct its *its, void *memory);
size_t its_route_footprint(const struct its_config *config);
void its_route_add(struct its *its, struct its_route *route);	/* sets the version */
void its_route_drop(struct its *its, uint32_t device, uint32_t event);
void its_route_drop_device(struct its *its, uint32_t device, uint64_t events);
void its_route_drop_all(struct its *its);

#endif
