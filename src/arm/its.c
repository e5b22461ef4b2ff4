/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GICv3 ITS: commands (IHI 0069 §5.3) and the translation of device writes (§5.1).
 *
 * Where two errors of one command meet, the one that the architecture's pseudocode tests first is
 * reported. An entry in memory is read once, and what it says is checked again, since the memory is
 * not the ITS's own.
 */
#include "arm/its_priv.h"

#include <errno.h>
#include <string.h>

#define LPI_FIRST 8192u

size_t its_footprint(const struct its_config *config)
{
	/* The sets follow, cache line aligned. */
	return ((sizeof(struct its) + 63) & ~(size_t)63) + its_route_footprint(config);
}

struct its *its_init(void *memory, const struct its_config *config)
{
	struct its *its = memory;

	memset(its, 0, sizeof(*its));
	its->config = *config;
	its_route_init(its, (char *)memory + ((sizeof(struct its) + 63) & ~(size_t)63));
	its->baser[ITS_BASER_DEVICES] = GITS_BASER_TYPE(GITS_BASER_TYPE_DEVICES);
	its->baser[ITS_BASER_COLLECTIONS] = GITS_BASER_TYPE(GITS_BASER_TYPE_COLLECTIONS);
	its->baser[ITS_BASER_DEVICES] |= GITS_BASER_ENTRY_SIZE(ITS_ENTRY_SIZE);
	its->baser[ITS_BASER_COLLECTIONS] |= GITS_BASER_ENTRY_SIZE(ITS_ENTRY_SIZE);
	return its;
}

uint64_t its_set_baser(struct its *its, unsigned int n, uint64_t value)
{
	const uint64_t fixed = GITS_BASER_TYPE(7) | GITS_BASER_ENTRY_SIZE(32);

	if (n > ITS_BASER_COLLECTIONS || its->enabled)
		return its_get_baser(its, n);
	its->baser[n] = (its->baser[n] & fixed) | (value & ~fixed);
	its_route_drop_all(its);
	return its->baser[n];
}

uint64_t its_get_baser(const struct its *its, unsigned int n)
{
	/* The others are unimplemented: type 0, RES0. */
	return n > ITS_BASER_COLLECTIONS ? 0 : its->baser[n];
}

void its_enable(struct its *its, bool on)
{
	its->enabled = on;
	if (!on)
		its_route_drop_all(its);
}

/* --- What commands look up. Each returns 0 or the error's reason. --- */

/* What a command or a write is about, as far as it has been found. */
struct subject {
	uint32_t device, event;
	uint64_t dte, ite;
	uint32_t intid, rdbase;
};

static int find_device(const struct its *its, struct subject *s)
{
	int err;

	if ((uint64_t)s->device >> its->config.device_bits)
		return ITS_DEVICE_OOR;
	err = its_table_read(its, ITS_BASER_DEVICES, s->device, &s->dte);
	if (err == -ERANGE)
		return ITS_DEVICE_OOR;
	if (err == -EFAULT)
		return ITS_ABORTED;
	if (err || !(s->dte & ITS_ENTRY_VALID))
		return ITS_UNMAPPED_DEVICE;
	return 0;
}

static int check_event(const struct its *its, const struct subject *s)
{
	if (s->event >> ITS_DTE_SIZE(s->dte) >> 1 || (uint64_t)s->event >> its->config.event_bits)
		return ITS_ID_OOR;
	return 0;
}

static bool intid_is_lpi(const struct its *its, uint32_t intid)
{
	return intid >= LPI_FIRST && !((uint64_t)intid >> its->config.lpi_bits);
}

/* Collection @icid -> *rdbase */
static int find_collection(const struct its *its, uint32_t icid, uint32_t *rdbase)
{
	uint64_t cte;
	int err = its_table_read(its, ITS_BASER_COLLECTIONS, icid, &cte);

	if (err == -ERANGE)
		return ITS_COLLECTION_OOR;
	if (err == -EFAULT)
		return ITS_ABORTED;
	if (err || !(cte & ITS_ENTRY_VALID) || ITS_CTE_RDBASE(cte) >= its->config.processors)
		return ITS_UNMAPPED_COLLECTION;
	*rdbase = ITS_CTE_RDBASE(cte);
	return 0;
}

/* The interrupt that the event is mapped to, whatever its collection. */
static int find_interrupt(const struct its *its, struct subject *s)
{
	int err = find_device(its, s);

	if (!err)
		err = check_event(its, s);
	if (err)
		return err;
	if (its_itt_read(its, s->dte, s->event, &s->ite))
		return ITS_ABORTED;
	if (!(s->ite & ITS_ENTRY_VALID))
		return ITS_UNMAPPED_INTERRUPT;
	s->intid = ITS_ITE_INTID(s->ite);
	return intid_is_lpi(its, s->intid) ? 0 : ITS_ITE_INVALID;
}

/*
 * The interrupt and the processor. An interrupt in a collection that is not mapped counts as not
 * mapped, except for MOVI.
 */
static int find_target(const struct its *its, struct subject *s)
{
	int err = find_interrupt(its, s);

	if (err)
		return err;
	err = find_collection(its, ITS_ITE_ICID(s->ite), &s->rdbase);
	if (err == ITS_COLLECTION_OOR)
		return ITS_ITE_INVALID;
	return err == ITS_UNMAPPED_COLLECTION ? ITS_UNMAPPED_INTERRUPT : err;
}

/* --- Commands. Each returns 0 or the error's reason. --- */

static struct subject subject_of(const uint64_t cmd[4])
{
	return (struct subject){ .device = GITS_CMD_DEVICE_0(cmd[0]),
				 .event = GITS_CMD_EVENT_1(cmd[1]) };
}

/* MAPD, §5.3.11. Mapping a mapped device again replaces all that was known of it. */
static int cmd_mapd(struct its *its, const uint64_t cmd[4])
{
	struct subject s = subject_of(cmd);
	bool valid = cmd[2] & GITS_CMD_VALID_2;
	unsigned int size = GITS_CMD_SIZE_1(cmd[1]);
	int err = find_device(its, &s);

	if (err == ITS_DEVICE_OOR || err == ITS_ABORTED)
		return err;
	if (valid && size >= its->config.event_bits)
		return ITS_ITTSIZE_OOR;
	if (!err)
		its_route_drop_device(its, s.device, 2ull << ITS_DTE_SIZE(s.dte));
	/* Unmapping what is not mapped is no error, even without a second-level page. */
	if (err && !valid)
		return 0;

	err = its_table_write(its, ITS_BASER_DEVICES, s.device,
			      valid ? ITS_ENTRY_VALID | GITS_CMD_ITT_2(cmd[2]) | size : 0);
	/* No second-level page: the device is outside of what software gave tables for. */
	return err == -ENOENT ? ITS_DEVICE_OOR : err ? ITS_ABORTED : 0;
}

/* MAPC, §5.3.10 */
static int cmd_mapc(struct its *its, const uint64_t cmd[4])
{
	bool valid = cmd[2] & GITS_CMD_VALID_2;
	uint64_t rdbase = GITS_CMD_RDBASE(cmd[2]);
	int err;

	if (valid && rdbase >= its->config.processors)
		return ITS_PROCNUM_OOR;
	err = its_table_write(its, ITS_BASER_COLLECTIONS, GITS_CMD_ICID_2(cmd[2]),
			      valid ? ITS_CTE(rdbase) : 0);
	if (err)
		return err == -EFAULT ? ITS_ABORTED : ITS_COLLECTION_OOR;
	its_route_drop_all(its);
	return 0;
}

/*
 * MAPTI and MAPI (§5.3.12, §5.3.9). Mapping an event again is UNPREDICTABLE; here the new mapping
 * replaces the old one. The collection need not be mapped yet.
 */
static int map_event(struct its *its, const uint64_t cmd[4], uint32_t intid)
{
	struct subject s = subject_of(cmd);
	uint32_t icid = GITS_CMD_ICID_2(cmd[2]);
	uint32_t rdbase;
	int device = find_device(its, &s);
	int collection = find_collection(its, icid, &rdbase);
	int err;

	if (device && device != ITS_UNMAPPED_DEVICE)
		return device;
	if (collection && collection != ITS_UNMAPPED_COLLECTION)
		return collection;
	if (device)
		return device;
	err = check_event(its, &s);
	if (err)
		return err;
	if (!intid_is_lpi(its, intid))
		return ITS_PHYSICALID_OOR;
	its_route_drop(its, s.device, s.event);
	return its_itt_write(its, s.dte, s.event, ITS_ITE(intid, icid)) ? ITS_ABORTED : 0;
}

/* MOVI, §5.3.14 */
static int cmd_movi(struct its *its, const uint64_t cmd[4])
{
	struct subject s = subject_of(cmd);
	uint32_t icid = GITS_CMD_ICID_2(cmd[2]);
	uint32_t rdbase, to;
	int found = find_interrupt(its, &s);
	int collection = find_collection(its, icid, &to);
	int err;

	if (found == ITS_DEVICE_OOR)
		return found;
	if (collection == ITS_COLLECTION_OOR)
		return collection;
	if (found)
		return found;
	if (collection)
		return collection;
	err = find_collection(its, ITS_ITE_ICID(s.ite), &rdbase);
	if (err)
		return err == ITS_COLLECTION_OOR ? ITS_ITE_INVALID : err;

	if (its_itt_write(its, s.dte, s.event, ITS_ITE(s.intid, icid)))
		return ITS_ABORTED;
	its_route_drop(its, s.device, s.event);
	if (to != rdbase)
		its->config.lpi->move(its->config.lpi_ctx, rdbase, to, s.intid);
	return 0;
}

/* MOVALL, §5.3.13: what is pending moves; the mappings stay. */
static int cmd_movall(struct its *its, const uint64_t cmd[4])
{
	uint64_t from = GITS_CMD_RDBASE(cmd[2]), to = GITS_CMD_RDBASE(cmd[3]);

	if (from >= its->config.processors || to >= its->config.processors)
		return ITS_MOVALL_PROCNUM_OOR;
	if (from != to)
		its->config.lpi->move(its->config.lpi_ctx, from, to, 0);
	return 0;
}

/* DISCARD, §5.3.4: the mapping goes, and what is pending with it. */
static int cmd_discard(struct its *its, const uint64_t cmd[4])
{
	struct subject s = subject_of(cmd);
	int err = find_target(its, &s);

	if (err)
		return err;
	if (its_itt_write(its, s.dte, s.event, 0))
		return ITS_ABORTED;
	its_route_drop(its, s.device, s.event);
	its->config.lpi->clear_pending(its->config.lpi_ctx, s.rdbase, s.intid);
	return 0;
}

/* INT (§5.3.5), CLEAR (§5.3.3) and INV (§5.3.6) */
static int cmd_interrupt(struct its *its, const uint64_t cmd[4],
			 void (*act)(void *ctx, uint32_t rdbase, uint32_t intid))
{
	struct subject s = subject_of(cmd);
	int err = find_target(its, &s);

	if (!err)
		act(its->config.lpi_ctx, s.rdbase, s.intid);
	return err;
}

/* INVALL, §5.3.7 */
static int cmd_invall(struct its *its, const uint64_t cmd[4])
{
	uint32_t rdbase;
	int err = find_collection(its, GITS_CMD_ICID_2(cmd[2]), &rdbase);

	if (!err)
		its->config.lpi->invalidate(its->config.lpi_ctx, rdbase, 0);
	return err;
}

/*
 * SYNC (§5.3.15): commands are executed at once, so nothing of the ITS's own is left to wait for.
 */
static int cmd_sync(const struct its *its, const uint64_t cmd[4])
{
	return GITS_CMD_RDBASE(cmd[2]) >= its->config.processors ? ITS_SYNC_PROCNUM_OOR : 0;
}

static int execute(struct its *its, unsigned int opcode, const uint64_t cmd[4])
{
	if (!its->enabled)
		return ITS_DISABLED;
	switch (opcode) {
	case GITS_CMD_MAPD:
		return cmd_mapd(its, cmd);
	case GITS_CMD_MAPC:
		return cmd_mapc(its, cmd);
	case GITS_CMD_MAPTI:
		return map_event(its, cmd, GITS_CMD_PINTID_1(cmd[1]));
	case GITS_CMD_MAPI:
		return map_event(its, cmd, GITS_CMD_EVENT_1(cmd[1]));
	case GITS_CMD_MOVI:
		return cmd_movi(its, cmd);
	case GITS_CMD_MOVALL:
		return cmd_movall(its, cmd);
	case GITS_CMD_DISCARD:
		return cmd_discard(its, cmd);
	case GITS_CMD_INT:
		return cmd_interrupt(its, cmd, its->config.lpi->set_pending);
	case GITS_CMD_CLEAR:
		return cmd_interrupt(its, cmd, its->config.lpi->clear_pending);
	case GITS_CMD_INV:
		return cmd_interrupt(its, cmd, its->config.lpi->invalidate);
	case GITS_CMD_INVALL:
		return cmd_invall(its, cmd);
	case GITS_CMD_SYNC:
		return cmd_sync(its, cmd);
	default:
		return ITS_UNKNOWN_COMMAND;
	}
}

int its_command(struct its *its, const uint64_t cmd[4])
{
	unsigned int opcode = GITS_CMD_OPCODE_0(cmd[0]);
	int reason = execute(its, opcode, cmd);

	if (!reason)
		return 0;
	return ITS_ERROR(opcode == GITS_CMD_CLEAR ? ITS_ERROR_CLEAR : opcode, reason);
}

/* --- Writes of devices, §5.1: like INT, by (DeviceID, EventID). --- */

int its_route_resolve(struct its *its, uint32_t device_id, uint32_t event_id,
		      struct its_route *route)
{
	struct subject s = { .device = device_id, .event = event_id };
	int reason = its->enabled ? find_target(its, &s) : ITS_DISABLED;

	if (reason)
		return ITS_ERROR(GITS_CMD_INT, reason);
	*route = (struct its_route){
		.device_id = device_id, .event_id = event_id, .intid = s.intid, .rdbase = s.rdbase,
	};
	its_route_add(its, route);
	return 0;
}

int its_translate(struct its *its, uint32_t device_id, uint32_t event_id)
{
	struct its_route route;
	int err = its_route_resolve(its, device_id, event_id, &route);

	if (!err)
		its->config.lpi->set_pending(its->config.lpi_ctx, route.rdbase, route.intid);
	return err;
}

void its_route_repair(struct its *its, const struct its_route *route)
{
	struct subject s = { .device = route->device_id, .event = route->event_id };
	const struct its_lpi_ops *lpi = its->config.lpi;

	if (find_target(its, &s) || s.intid != route->intid)
		lpi->clear_pending(its->config.lpi_ctx, route->rdbase, route->intid);
	else if (s.rdbase != route->rdbase)
		lpi->move(its->config.lpi_ctx, route->rdbase, s.rdbase, route->intid);
}
