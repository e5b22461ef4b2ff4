/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GICv3 ITS and LPIs (Arm IHI 0069, chapters 5 and 6): device, interrupt translation and collection
 * tables in memory, the commands, and LPI configuration and pending state of the redistributors.
 * GICv3 without virtual LPIs: GICv4 commands are errors.
 *
 * One caller at a time for each struct its: an ITS is a serialising machine. Different ITSes are
 * independent. The exception is a route, which any number of callers may find and use at any time:
 * see below.
 *
 * Numbers and fields are in its_regs.h.
 */
#ifndef ARM_ITS_H
#define ARM_ITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm/mem.h"

struct its;

/*
 * Redistributor side: who gets the LPI. May be called for several ITSes at once, and by several
 * users of routes. All are given.
 */
struct its_lpi_ops {
	/*
	 * LPI @intid becomes pending on redistributor @rdbase (a processor number, GITS_TYPER.PTA =
	 * 0).
	 */
	void (*set_pending)(void *ctx, uint32_t rdbase, uint32_t intid);
	void (*clear_pending)(void *ctx, uint32_t rdbase, uint32_t intid);
	/* The configuration of @intid (0: all of @rdbase) is to be read again from memory. */
	void (*invalidate)(void *ctx, uint32_t rdbase, uint32_t intid);
	/*
	 * Pending LPIs move from one redistributor to another: MOVI for one @intid, MOVALL for all
	 * (@intid 0).
	 */
	void (*move)(void *ctx, uint32_t from, uint32_t to, uint32_t intid);
};

struct its_config {
	struct arm_mem mem;
	unsigned int device_bits;	/* GITS_TYPER.Devbits + 1 */
	unsigned int event_bits;	/* GITS_TYPER.ID_bits + 1 */
	unsigned int lpi_bits;		/* INTID width, 14..32 */
	unsigned int processors;	/* redistributors: rdbase 0..processors-1; at most 65536 */
	unsigned int routes; /* kept at hand, rounded up to a power of two; 0 = a default */
	bool zeroed;	/* the memory is zero: most of it need not be touched before it is used */
	const struct its_lpi_ops *lpi;
	void *lpi_ctx;
};

/*
 * Bytes of memory that its_init() needs for @config; the caller allocates (64-byte aligned) and
 * later frees it.
 */
size_t its_footprint(const struct its_config *config);
struct its *its_init(void *memory, const struct its_config *config);

/*
 * GITS_BASER<n> as written by software (§12.19.1): Valid, Indirect, address, Page_Size, Size;
 * returns what reads back. Register 0 is the device table, 1 the collection table; entries are 8
 * bytes. While the ITS is enabled a write is ignored (it is UNPREDICTABLE).
 */
uint64_t its_set_baser(struct its *its, unsigned int n, uint64_t value);
uint64_t its_get_baser(const struct its *its, unsigned int n);

/*
 * GITS_CTLR.Enabled. At start the ITS is disabled: commands are not executed and writes of devices
 * discarded.
 */
void its_enable(struct its *its, bool on);

/*
 * Executes one command (four dwords, §5.3). 0, or the architecture's error code (§5.3.x "Command
 * and translation errors", e.g. MAPD_DEVICE_OOR 0x010801), with the rest of the command ignored.
 */
int its_command(struct its *its, const uint64_t cmd[4]);

/*
 * A write of @event_id to GITS_TRANSLATER by @device_id. 0, or the error code (INT_...) for which
 * the write is discarded.
 */
int its_translate(struct its *its, uint32_t device_id, uint32_t event_id);

/*
 * Routes: where a write leads, to be signalled without a lock. Who has found a route signals it by
 * config.lpi->set_pending() and then asks whether it still holds; if not, a command changed the
 * mapping meanwhile, and its_route_repair(), called as the ITS's one caller, takes what was left
 * pending to where the mapping leads now, or clears it. As with translations (smmu.h), a command
 * must be followed by a wait for the users of routes, if its_routes_dropped() has grown since the
 * last one.
 */
struct its_route {
	uint32_t device_id, event_id;
	uint32_t intid, rdbase;
	const uint32_t *version_at;
	uint32_t version;
};

/* Without a lock, from those at hand. False: its_route_resolve() must find it. */
bool its_route_find(const struct its *its, uint32_t device_id, uint32_t event_id,
		    struct its_route *route);

/*
 * As the ITS's one caller, from the tables; puts it at hand. 0, or the error code for which the
 * write is discarded.
 */
int its_route_resolve(struct its *its, uint32_t device_id, uint32_t event_id,
		      struct its_route *route);

bool its_route_holds(const struct its_route *route);
void its_route_repair(struct its *its, const struct its_route *route);

/* Routes that commands have ended, or that others have pushed out, so far. */
uint64_t its_routes_dropped(const struct its *its);

#endif
