/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes at hand: a set-associative cache of (DeviceID, EventID) -> (INTID, processor), read
 * without a lock. Commands drop exactly the routes that they change.
 */
#include "arm/its_priv.h"

#include <string.h>

#define ROUTES_DEFAULT 4096

static unsigned int set_bits(const struct its_config *config)
{
	unsigned int routes = config->routes ? config->routes : ROUTES_DEFAULT;
	unsigned int bits = 0;

	while (bits < 24 && (unsigned int)ITS_ROUTE_WAYS << bits < routes)
		bits++;
	return bits;
}

size_t its_route_footprint(const struct its_config *config)
{
	return sizeof(struct its_set) << set_bits(config);
}

void its_route_init(struct its *its, void *memory)
{
	its->set_mask = ((uint64_t)1 << set_bits(&its->config)) - 1;
	its->sets = memory;
	if (!its->config.zeroed)
		memset(memory, 0, sizeof(struct its_set) * (its->set_mask + 1));
}

static uint64_t route_key(uint32_t device, uint32_t event)
{
	return (uint64_t)device << 32 | event;
}

/*
 * A device's events lie side by side, so that they share pages; devices are spread by Fibonacci
 * hashing.
 */
static inline struct its_set *set_of(const struct its *its, uint64_t key)
{
	uint64_t hash = (key >> 32) * 0x9e3779b97f4a7c15ull >> 40;

	return &its->sets[(hash + key) & its->set_mask];
}

__attribute__((hot)) bool its_route_find(const struct its *its, uint32_t device_id,
					 uint32_t event_id, struct its_route *route)
{
	uint64_t key = route_key(device_id, event_id);
	const struct its_set *set = set_of(its, key);

	for (unsigned int i = 0; i < ITS_ROUTE_WAYS; i++) {
		const struct its_slot *slot = &set->way[i];
		/*
		 * Acquire on each: none of the later loads may come before an earlier one. Pairs
		 * with slot_write().
		 */
		uint32_t version = __atomic_load_n(&slot->version, __ATOMIC_ACQUIRE);
		uint64_t value;

		if (version & 1 || __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE) != key)
			continue;
		if (!__atomic_load_n(&slot->valid, __ATOMIC_ACQUIRE))
			continue;
		value = __atomic_load_n(&slot->value, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&slot->version, __ATOMIC_RELAXED) != version)
			return false;
		*route = (struct its_route){
			.device_id = device_id, .event_id = event_id,
			.intid = (uint32_t)value, .rdbase = value >> 32,
			.version_at = &slot->version, .version = version,
		};
		return true;
	}
	return false;
}

bool its_route_holds(const struct its_route *route)
{
	/*
	 * Sequentially consistent: the caller's set_pending() comes before; pairs with the
	 * version's store in slot_write().
	 */
	return __atomic_load_n(route->version_at, __ATOMIC_SEQ_CST) == route->version;
}

static void slot_write(struct its_slot *slot, uint32_t valid, uint64_t key, uint64_t value)
{
	uint32_t version = slot->version;

	__atomic_store_n(&slot->version, version + 1, __ATOMIC_SEQ_CST);
	/* Release: a reader that sees any of these sees the odd version too. */
	__atomic_store_n(&slot->valid, valid, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->key, key, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->value, value, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->version, version + 2, __ATOMIC_RELEASE);
}

static void slot_drop(struct its *its, struct its_slot *slot)
{
	if (!slot->valid)
		return;
	slot_write(slot, 0, slot->key, slot->value);
	its->held--;
	its->dropped++;
}

void its_route_add(struct its *its, struct its_route *route)
{
	uint64_t key = route_key(route->device_id, route->event_id);
	struct its_set *set = set_of(its, key);
	struct its_slot *slot = NULL;

	/*
	 * Replaces its own old entry, else takes the first free way, which look-ups try before the
	 * others.
	 */
	for (unsigned int i = ITS_ROUTE_WAYS; i-- && (!slot || slot->key != key || !slot->valid);) {
		if (!set->way[i].valid || set->way[i].key == key)
			slot = &set->way[i];
	}
	if (!slot)
		slot = &set->way[set->next++ % ITS_ROUTE_WAYS];
	/*
	 * Another thread may have entered it first. What it found still holds, since every change
	 * drops the route.
	 */
	if (!slot->valid || slot->key != key) {
		/*
		 * A route that is pushed out may still be in use, and commands will not find it
		 * here any more: it is counted as dropped, and its users are waited for.
		 */
		its->dropped += slot->valid;
		its->held += !slot->valid;
		slot_write(slot, 1, key, (uint64_t)route->rdbase << 32 | route->intid);
	}
	route->version_at = &slot->version;
	route->version = slot->version;
}

void its_route_drop(struct its *its, uint32_t device, uint32_t event)
{
	uint64_t key = route_key(device, event);
	struct its_set *set = set_of(its, key);

	for (unsigned int i = 0; i < ITS_ROUTE_WAYS; i++) {
		if (set->way[i].key == key)
			slot_drop(its, &set->way[i]);
	}
}

void its_route_drop_device(struct its *its, uint32_t device, uint64_t events)
{
	if (events <= its->set_mask + 1) {
		for (uint64_t event = 0; event < events; event++)
			its_route_drop(its, device, event);
		return;
	}
	for (size_t s = 0; s <= its->set_mask; s++) {
		for (unsigned int i = 0; i < ITS_ROUTE_WAYS; i++) {
			if (its->sets[s].way[i].key >> 32 == device)
				slot_drop(its, &its->sets[s].way[i]);
		}
	}
}

void its_route_drop_all(struct its *its)
{
	for (size_t s = 0; s <= its->set_mask && its->held; s++) {
		for (unsigned int i = 0; i < ITS_ROUTE_WAYS; i++)
			slot_drop(its, &its->sets[s].way[i]);
	}
}

uint64_t its_routes_dropped(const struct its *its)
{
	return its->dropped;
}
