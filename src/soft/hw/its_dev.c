/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ITS of the machine: the engine, its tables in memory, the frames on the bus that devices write
 * to, and what a kernel's driver does to it.
 *
 * Who writes is told by the bus, except in a pre-ITS window, where the address tells (as that
 * hardware does it: see its_dev_isolated()).
 */
#include "soft/hw/gic_priv.h"

#include <errno.h>
#include <search.h>
#include <string.h>

#include "soft/alloc.h"

#include "arm/its_regs.h"

#define TRANSLATER_FRAME 0x10000u	/* the second 64 KiB of the ITS, §12.18 */
#define TRANSLATER_OFFSET 0x40u

#define FLAT_DEVICE_BITS 13		/* up to 64 KiB of table */
#define L2_PAGE 65536ull
#define L2_DEVICE_BITS 13		/* devices in one second-level page, as a power of two */

/* Enough for a thousand VMs' devices; only those in use take memory. */
#define ITS_ROUTES 262144

/* A function has at most 2048 vectors. */
#define ITT_BITS_MAX 16

struct itt {
	uint32_t device_id;
	uint64_t pa, size;
	unsigned int events;
};

/* --- Writes from devices --- */

static void discard(struct its_dev *its)
{
	__atomic_fetch_add(&its->discarded, 1, __ATOMIC_RELAXED);
}

/* The route cache does not have the event: looks it up in the tables. False: it is not mapped. */
static __attribute__((cold, noinline)) bool resolve(struct its_dev *its, uint32_t device_id,
						    uint32_t event_id, struct its_route *route)
{
	int err;

	pthread_mutex_lock(&its->lock);
	err = its_route_resolve(its->its, device_id, event_id, route);
	pthread_mutex_unlock(&its->lock);
	if (err)
		discard(its);
	return !err;
}

/*
 * A command changed the mapping while the interrupt was being signalled: if it was left pending, it
 * has to move to where the mapping leads now.
 */
static __attribute__((cold, noinline)) void repair(struct its_dev *its,
						   const struct its_route *route)
{
	if (its_route_holds(route))
		return;
	pthread_mutex_lock(&its->lock);
	its_route_repair(its->its, route);
	pthread_mutex_unlock(&its->lock);
}

/* Inside the RCU section of the device's write. */
static inline void signal_event(struct its_dev *its, uint32_t device_id, uint32_t event_id,
				struct bus_effect *effect)
{
	struct its_route route;

	if (!its_route_find(its->its, device_id, event_id, &route) &&
	    !resolve(its, device_id, event_id, &route))
		return;
	/* What was taken at once needs no other place. */
	if (!gic_raise_lpi(its->gic, route.rdbase, route.intid, effect))
		repair(its, &route);
}

/* The frame with GITS_TRANSLATER. Its other registers are RES0. */
__attribute__((hot)) static int translater_write(void *ctx, uint64_t off, unsigned int size,
						 uint64_t value, uint32_t device_id,
						 struct bus_effect *effect)
{
	struct its_dev *its = ctx;

	if (off != TRANSLATER_OFFSET)
		return 0;
	/* 16 and 32 bits, §12.19.10. What has no DeviceID (a processor's write) raises nothing. */
	if ((size != 2 && size != 4) || device_id == BUS_NO_DEVICE_ID)
		discard(its);
	else
		signal_event(its, device_id, value, effect);
	return 0;
}

static int translater_read(void *ctx, uint64_t off, unsigned int size, uint64_t *value)
{
	(void)ctx, (void)off, (void)size;
	*value = 0;
	return 0;
}

/*
 * The pre-ITS turns a 32-bit write at DeviceID * 4 into one to GITS_TRANSLATER with this DeviceID,
 * whoever wrote.
 */
static int pre_its_write(void *ctx, uint64_t off, unsigned int size, uint64_t value,
			 uint32_t device_id, struct bus_effect *effect)
{
	struct its_dev *its = ctx;

	(void)device_id;
	if (size != 4)
		discard(its);
	else
		signal_event(its, off / 4, value, effect);
	return 0;
}

uint64_t its_dev_doorbell(const struct its_dev *its, uint32_t device_id)
{
	const struct msi_frame_config *c = &its->config;

	switch (c->kind) {
	case DOORBELL_PRE_ITS:
		return c->pre_its_base + (uint64_t)device_id * 4;
	case DOORBELL_V2M:
		return c->base + TRANSLATER_OFFSET;	/* MSI_SETSPI_NS has the same offset */
	default:
		return c->base + TRANSLATER_FRAME + TRANSLATER_OFFSET;
	}
}

const struct msi_frame_config *its_dev_config(const struct its_dev *its)
{
	return &its->config;
}

bool its_dev_isolated(const struct its_dev *its)
{
	return its->config.kind == DOORBELL_ITS;
}

uint64_t its_dev_discarded(const struct its_dev *its)
{
	return __atomic_load_n(&its->discarded, __ATOMIC_RELAXED);
}

/* --- Set-up --- */

static int add_frames(struct its_dev *its)
{
	const struct msi_frame_config *c = &its->config;
	struct bus_frame frame = { .ctx = its, .read = translater_read };

	/*
	 * Only the page(s) with the doorbell are on the bus: a device that writes to the control
	 * registers gets an abort.
	 */
	if (c->kind == DOORBELL_PRE_ITS) {
		frame.base = c->pre_its_base;
		frame.size = c->pre_its_size;
		frame.write = pre_its_write;
	} else {
		if (c->base % TRANSLATER_FRAME)
			return -EINVAL;
		frame.base = c->base + TRANSLATER_FRAME;
		frame.size = TRANSLATER_FRAME;
		frame.write = translater_write;
	}
	return bus_add_frame(its->gic->bus, &frame);
}

static int make_tables(struct its_dev *its)
{
	bool flat = its->config.device_bits <= FLAT_DEVICE_BITS;
	unsigned int first_level_bits = flat ? 0 : its->config.device_bits - L2_DEVICE_BITS;
	uint64_t page = flat ? 4096 : L2_PAGE;

	its->device_table_size = flat ? (uint64_t)ITS_ENTRY_SIZE << its->config.device_bits
				      : 8ull << first_level_bits;
	its->device_table_size = (its->device_table_size + page - 1) & ~(page - 1);
	its->collection_table_size =
		((uint64_t)its->gic->processors * ITS_ENTRY_SIZE + 4095) & ~4095ull;
	if (!bus_alloc(its->gic->bus, its->device_table_size, page, &its->device_table) ||
	    !bus_alloc(its->gic->bus, its->collection_table_size, 4096, &its->collection_table))
		return -ENOMEM;
	if (!flat) {
		its->device_pages =
			soft_calloc((size_t)1 << first_level_bits, sizeof(*its->device_pages));
		if (!its->device_pages)
			return -ENOMEM;
	}

	its_set_baser(
		its->its, ITS_BASER_DEVICES,
		GITS_BASER_VALID |
			(flat ? GITS_BASER_PAGE_4K : GITS_BASER_INDIRECT | GITS_BASER_PAGE_64K) |
			its->device_table | (its->device_table_size / page - 1));
	its_set_baser(its->its, ITS_BASER_COLLECTIONS,
		      GITS_BASER_VALID | GITS_BASER_PAGE_4K | its->collection_table |
			      (its->collection_table_size / 4096 - 1));
	return 0;
}

static int map_collections(struct its_dev *its)
{
	for (uint64_t processor = 0; processor < its->gic->processors; processor++) {
		uint64_t mapc[4] = { GITS_CMD_MAPC, 0,
				     GITS_CMD_VALID_2 | GITS_CMD_RD(processor) | processor };

		if (its_command(its->its, mapc))
			return -EINVAL;
	}
	return 0;
}

static size_t head_size(void)
{
	return (sizeof(struct its_dev) + 63) & ~(size_t)63;
}

int its_dev_create(struct gic *gic, const struct msi_frame_config *frame, struct its_dev **out)
{
	struct its_config config = {
		.mem = bus_arm_mem(gic->bus),
		.device_bits = frame->device_bits,
		.event_bits = frame->event_bits,
		.lpi_bits = gic->lpi_bits,
		.processors = gic->processors,
		.routes = ITS_ROUTES,
		.zeroed = true,
		.lpi = &gic_lpi_ops,
		.lpi_ctx = gic,
	};
	struct its_dev *its;
	size_t size;
	int err;

	if (!config.device_bits || config.device_bits > 32 || !config.event_bits ||
	    config.event_bits > 32)
		return -EINVAL;
	size = head_size() + its_footprint(&config);
	its = soft_map(size);
	if (!its)
		return -ENOMEM;
	its->gic = gic;
	its->size = size;
	its->config = *frame;
	its->its = its_init((char *)its + head_size(), &config);
	pthread_mutex_init(&its->lock, NULL);

	err = make_tables(its);
	if (!err) {
		its_enable(its->its, true);
		err = map_collections(its);
	}
	if (!err)
		err = add_frames(its);
	if (err)
		its_dev_destroy(its);
	else
		*out = its;
	return err;
}

static void free_itt(void *node)
{
	soft_free(node);
}

static void free_itt_memory(const void *node, VISIT visit, void *bus)
{
	const struct itt *itt = *(const struct itt *const *)node;

	if (visit == postorder || visit == leaf)
		bus_free(bus, itt->pa, itt->size);
}

void its_dev_destroy(struct its_dev *its)
{
	struct bus *bus = its->gic->bus;

	twalk_r(its->itts, free_itt_memory, bus);
	tdestroy(its->itts, free_itt);
	if (its->device_pages) {
		for (size_t i = 0; i < (size_t)1 << (its->config.device_bits - L2_DEVICE_BITS); i++)
			bus_free(bus, its->device_pages[i], L2_PAGE);
		soft_free(its->device_pages);
	}
	bus_free(bus, its->collection_table, its->collection_table_size);
	bus_free(bus, its->device_table, its->device_table_size);
	pthread_mutex_destroy(&its->lock);
	soft_unmap(its, its->size);
}

/* --- Commands --- */

/*
 * MAPD of a device whose part of a two-level table is not there yet. Without memory the command
 * then fails with MAPD_DEVICE_OOR.
 */
static void prepare_device_page(struct its_dev *its, const uint64_t cmd[4])
{
	uint32_t device = GITS_CMD_DEVICE_0(cmd[0]);
	uint32_t index = device >> L2_DEVICE_BITS;
	uint64_t pa;

	if (GITS_CMD_OPCODE_0(cmd[0]) != GITS_CMD_MAPD || !(cmd[2] & GITS_CMD_VALID_2))
		return;
	if (!its->device_pages || (uint64_t)device >> its->config.device_bits ||
	    its->device_pages[index])
		return;
	if (!bus_alloc(its->gic->bus, L2_PAGE, L2_PAGE, &pa))
		return;
	its->device_pages[index] = pa;
	bus_arm_mem(its->gic->bus)
		.write64(its->gic->bus, its->device_table + index * 8ull, ITS_L1_VALID | pa);
}

/* Waits for devices that may still be using one of the first @dropped routes that were dropped. */
static void settle(struct its_dev *its, uint64_t dropped)
{
	hw_synchronize();
	pthread_mutex_lock(&its->lock);
	if (its->settled < dropped)
		its->settled = dropped;
	pthread_mutex_unlock(&its->lock);
}

int its_dev_commands(struct its_dev *its, const uint64_t (*cmds)[4], size_t count)
{
	uint64_t dropped;
	bool unsettled;
	int first = 0;

	if (!its->its)
		return -EOPNOTSUPP;
	/* In a read-side section, since a command may cause a pending interrupt to be taken. */
	hw_read_lock();
	pthread_mutex_lock(&its->lock);
	for (size_t i = 0; i < count; i++) {
		int err;

		prepare_device_page(its, cmds[i]);
		err = its_command(its->its, cmds[i]);
		if (err && !first)
			first = err;
	}
	dropped = its_routes_dropped(its->its);
	unsettled = dropped != its->settled;
	pthread_mutex_unlock(&its->lock);
	hw_read_unlock();

	if (unsettled)
		settle(its, dropped);
	return first;
}

static int compare_itt(const void *a, const void *b)
{
	uint32_t x = ((const struct itt *)a)->device_id, y = ((const struct itt *)b)->device_id;

	return x < y ? -1 : x > y;
}

/* Enters a new ITT under its device; the caller then maps it. */
static int add_itt(struct its_dev *its, struct itt *itt)
{
	struct itt **node;
	int err = 0;

	pthread_mutex_lock(&its->lock);
	node = tsearch(itt, &its->itts, compare_itt);
	if (!node)
		err = -ENOMEM;
	else if (*node != itt)
		err = -EBUSY;
	pthread_mutex_unlock(&its->lock);
	return err;
}

static struct itt *take_itt(struct its_dev *its, uint32_t device_id)
{
	struct itt key = { .device_id = device_id }, **node, *itt = NULL;

	pthread_mutex_lock(&its->lock);
	node = tfind(&key, &its->itts, compare_itt);
	if (node) {
		itt = *node;
		tdelete(&key, &its->itts, compare_itt);
	}
	pthread_mutex_unlock(&its->lock);
	return itt;
}

int its_dev_map_device(struct its_dev *its, uint32_t device_id, unsigned int events)
{
	uint64_t mapd[1][4] = { { GITS_CMD_0(GITS_CMD_MAPD, device_id) } };
	unsigned int bits = 1;
	struct itt *itt;
	int err;

	if (!its->its)
		return 0;
	while (bits <= ITT_BITS_MAX && 1u << bits < events)
		bits++;
	if ((uint64_t)device_id >> its->config.device_bits || bits > its->config.event_bits ||
	    bits > ITT_BITS_MAX)
		return -ERANGE;
	itt = soft_calloc(1, sizeof(*itt));
	if (!itt)
		return -ENOMEM;
	*itt = (struct itt){ .device_id = device_id,
			     .size = (uint64_t)ITS_ENTRY_SIZE << bits,
			     .events = 1u << bits };
	if (!bus_alloc(its->gic->bus, itt->size, 256, &itt->pa)) {
		soft_free(itt);
		return -ENOMEM;
	}
	err = add_itt(its, itt);
	if (err)
		goto free_itt;

	mapd[0][1] = bits - 1;
	mapd[0][2] = GITS_CMD_VALID_2 | itt->pa;
	/* What can still fail is the second-level page. */
	if (!its_dev_commands(its, mapd, 1))
		return 0;
	take_itt(its, device_id);
	err = -ENOMEM;
free_itt:
	bus_free(its->gic->bus, itt->pa, itt->size);
	soft_free(itt);
	return err;
}

void its_dev_unmap_device(struct its_dev *its, uint32_t device_id)
{
	uint64_t mapd[1][4] = { { GITS_CMD_0(GITS_CMD_MAPD, device_id) } };
	struct itt *itt = its->its ? take_itt(its, device_id) : NULL;

	if (!itt)
		return;
	its_dev_unmap_events(its, device_id, 0, itt->events);
	its_dev_commands(its, mapd, 1);
	bus_free(its->gic->bus, itt->pa, itt->size);
	soft_free(itt);
}

#define BATCH 64

int its_dev_map_events(struct its_dev *its, uint32_t device_id, uint32_t first, unsigned int count,
		       uint32_t intid, unsigned int processor)
{
	int err = 0;

	for (unsigned int done = 0; its->its && done < count;) {
		uint64_t cmds[2 * BATCH][4] = { 0 };
		unsigned int n = 0;

		/*
		 * MAPTI, and INV for the configuration, which may have changed since the INTID was
		 * last in use.
		 */
		for (; n < BATCH && done < count; n++, done++) {
			cmds[2 * n][0] = GITS_CMD_0(GITS_CMD_MAPTI, device_id);
			cmds[2 * n][1] = GITS_CMD_1(first + done, intid + done);
			cmds[2 * n][2] = processor;
			cmds[2 * n + 1][0] = GITS_CMD_0(GITS_CMD_INV, device_id);
			cmds[2 * n + 1][1] = first + done;
		}
		if (its_dev_commands(its, cmds, 2 * n))
			err = -EINVAL;
	}
	if (err)
		its_dev_unmap_events(its, device_id, first, count);
	return err;
}

void its_dev_unmap_events(struct its_dev *its, uint32_t device_id, uint32_t first,
			  unsigned int count)
{
	for (unsigned int done = 0; its->its && done < count;) {
		uint64_t cmds[BATCH][4] = { 0 };
		unsigned int n = 0;

		for (; n < BATCH && done < count; n++, done++) {
			cmds[n][0] = GITS_CMD_0(GITS_CMD_DISCARD, device_id);
			cmds[n][1] = first + done;
		}
		/* What was not mapped is an error of its own command only. */
		its_dev_commands(its, cmds, n);
	}
}

uint32_t its_dev_message_data(const struct its_dev *its, uint32_t event, uint32_t intid)
{
	return its->config.kind == DOORBELL_V2M ? intid : event;
}
