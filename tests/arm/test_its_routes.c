/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes at hand: which commands end which, what becomes of a route that ended in use, and many
 * readers beside one writer.
 */
#include <pthread.h>

#include "its_fixture.h"

#define DEVICES 8u
#define EVENTS 16u

static uint32_t intid_of(uint32_t device, uint32_t event)
{
	return 8192 + device * EVENTS + event;
}

/* Every device has every event, in collection (event % 4), which is on that processor. */
static int setup(void **state)
{
	struct its_fixture *f;

	its_fixture_setup(state);
	f = *state;
	for (uint32_t icid = 0; icid < 8; icid++)
		assert_int_equal(mapc(f, icid, icid % PROCESSORS), 0);
	for (uint32_t device = 0; device < DEVICES; device++) {
		assert_int_equal(mapd(f, device, ITTS + device * 0x1000, 4), 0);
		for (uint32_t event = 0; event < EVENTS; event++)
			assert_int_equal(
				mapti(f, device, event, intid_of(device, event), event % 4), 0);
	}
	return 0;
}

static void warm(struct its_fixture *f, uint32_t device, uint32_t event, struct its_route *route)
{
	assert_int_equal(its_route_resolve(f->its, device, event, route), 0);
	assert_true(its_route_holds(route));
	assert_true(its_route_find(f->its, device, event, route));
	assert_true(its_route_holds(route));
}

static void test_find(void **state)
{
	struct its_fixture *f = *state;
	struct its_route route;

	assert_false(its_route_find(f->its, 1, 2, &route));
	warm(f, 1, 2, &route);
	assert_int_equal(route.intid, intid_of(1, 2));
	assert_int_equal(route.rdbase, 2);
	assert_false(its_route_find(f->its, 2, 1, &route));
	assert_false(its_route_find(f->its, 1, 3, &route));

	/* An error is not kept. */
	assert_int_equal(its_route_resolve(f->its, 1, 99, &route), 0x010305);
	assert_false(its_route_find(f->its, 1, 99, &route));
	/* its_translate() keeps what it found, too. */
	assert_int_equal(its_translate(f->its, 3, 3), 0);
	assert_true(its_route_find(f->its, 3, 3, &route));
}

/* Commands on (1, 2) end its route and no other. */
static void test_drop_exact(void **state)
{
	struct its_fixture *f = *state;

	for (unsigned int i = 0; i < 4; i++) {
		struct its_route this, other, neighbour;
		uint64_t dropped;

		warm(f, 1, 2, &this);
		warm(f, 1, 3, &other);
		warm(f, 2, 2, &neighbour);
		dropped = its_routes_dropped(f->its);
		switch (i) {
		case 0:
			assert_int_equal(movi(f, 1, 2, 3), 0);
			break;
		case 1:
			assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, 1, 2), 0);
			break;
		case 2:
			assert_int_equal(mapti(f, 1, 2, 9999, 0), 0);
			break;
		case 3:
			/* These change nothing. */
			assert_int_equal(its_event_command(f, GITS_CMD_INV, 1, 2), 0);
			assert_int_equal(its_event_command(f, GITS_CMD_INT, 1, 2), 0);
			assert_int_equal(its_event_command(f, GITS_CMD_CLEAR, 1, 2), 0);
			assert_int_equal(movall(f, 0, 1), 0);
			assert_true(its_route_holds(&this));
			break;
		}
		if (i < 3) {
			assert_false(its_route_holds(&this));
			assert_false(its_route_find(f->its, 1, 2, &this));
		}
		assert_int_equal(its_routes_dropped(f->its) - dropped, i < 3);
		assert_true(its_route_holds(&other));
		assert_true(its_route_holds(&neighbour));
		assert_int_equal(mapti(f, 1, 2, intid_of(1, 2), 2), 0);
	}
}

static void test_drop_device(void **state)
{
	struct its_fixture *f = *state;
	struct its_route route[3];

	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(mapd(f, 1, ITTS + 0x1000, 4), 0);
		warm(f, 1, 0, &route[0]);
		warm(f, 1, 15, &route[1]);
		warm(f, 2, 0, &route[2]);
		assert_int_equal(i ? unmapd(f, 1) : mapd(f, 1, ITTS + 0x1000, 4), 0);
		assert_false(its_route_holds(&route[0]));
		assert_false(its_route_holds(&route[1]));
		assert_true(its_route_holds(&route[2]));
	}

	/* A device with more events than there are routes. */
	assert_int_equal(mapd(f, 1, ITTS + 0x10000, EVENT_BITS), 0);
	assert_int_equal(mapti(f, 1, 4000, 9000, 1), 0);
	warm(f, 1, 4000, &route[0]);
	assert_int_equal(unmapd(f, 1), 0);
	assert_false(its_route_holds(&route[0]));
	assert_true(its_route_holds(&route[2]));
}

static void test_drop_all(void **state)
{
	struct its_fixture *f = *state;
	struct its_route route;

	warm(f, 1, 2, &route);
	assert_int_equal(mapc(f, 2, 1), 0);
	assert_false(its_route_holds(&route));
	warm(f, 1, 2, &route);
	assert_int_equal(route.rdbase, 1);
	its_enable(f->its, false);
	assert_false(its_route_find(f->its, 1, 2, &route));
}

static void test_repair(void **state)
{
	struct its_fixture *f = *state;
	struct its_route route;

	/* Moved: what was left on the old processor moves, too. */
	warm(f, 1, 2, &route);
	assert_int_equal(movi(f, 1, 2, 3), 0);
	its_route_repair(f->its, &route);
	assert_last_call(f, CALL_MOVE, 2, 3, intid_of(1, 2));

	/* Discarded, or the event now has another interrupt: cleared where it was. */
	warm(f, 1, 2, &route);
	assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, 1, 2), 0);
	f->calls = 0;
	its_route_repair(f->its, &route);
	assert_last_call(f, CALL_CLEAR, 3, 0, intid_of(1, 2));
	assert_int_equal(mapti(f, 1, 2, 9999, 0), 0);
	its_route_repair(f->its, &route);
	assert_last_call(f, CALL_CLEAR, 3, 0, intid_of(1, 2));

	/* Only pushed out by others: nothing to do. */
	warm(f, 1, 4, &route);
	f->calls = 0;
	its_route_repair(f->its, &route);
	assert_int_equal(f->calls, 0);
}

/* More routes than fit: all are found right, most of them at hand. */
static void test_capacity(void **state)
{
	struct its_fixture *f = *state;
	unsigned int kept = 0;

	for (uint32_t device = 0; device < DEVICES; device++) {
		for (uint32_t event = 0; event < EVENTS; event++) {
			struct its_route route;

			warm(f, device, event, &route);
			assert_int_equal(route.intid, intid_of(device, event));
		}
	}
	for (uint32_t device = 0; device < DEVICES; device++) {
		for (uint32_t event = 0; event < EVENTS; event++) {
			struct its_route route;

			if (!its_route_find(f->its, device, event, &route))
				continue;
			kept++;
			assert_int_equal(route.intid, intid_of(device, event));
			assert_int_equal(route.rdbase, event % 4);
		}
	}
	/* 64 places, 128 routes */
	assert_in_range(kept, 32, 64);
	assert_int_equal(its_routes_dropped(f->its) + kept, DEVICES * EVENTS);
}

struct race {
	struct its_fixture *f;
	uint32_t stop, wrong;
	uint64_t found;
};

static void *reader(void *arg)
{
	struct race *race = arg;
	uint64_t found = 0;

	while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
		for (uint32_t n = 0; n < DEVICES * EVENTS; n++) {
			struct its_route route;

			if (!its_route_find(race->f->its, n / EVENTS, n % EVENTS, &route))
				continue;
			found++;
			/*
			 * The INTID tells its event; the processor is one that the event has been
			 * on.
			 */
			if (route.intid != intid_of(n / EVENTS, n % EVENTS) ||
			    route.rdbase >= PROCESSORS)
				__atomic_fetch_add(&race->wrong, 1, __ATOMIC_RELAXED);
		}
	}
	__atomic_fetch_add(&race->found, found, __ATOMIC_RELAXED);
	return NULL;
}

static void test_race(void **state)
{
	struct race race = { .f = *state };
	pthread_t threads[2];

	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &race), 0);
	for (unsigned int round = 0; round < 20000; round++) {
		uint32_t device = round * 7 % DEVICES, event = round * 5 % EVENTS;
		struct its_route route;

		assert_int_equal(its_route_resolve(race.f->its, device, event, &route), 0);
		assert_int_equal(movi(race.f, device, event, round % 8), 0);
		assert_int_equal(its_route_resolve(race.f->its, device, event, &route), 0);
		assert_int_equal(route.rdbase, round % 4);
	}
	__atomic_store_n(&race.stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(race.wrong, 0);
}

#define with_devices(test) cmocka_unit_test_setup_teardown(test, setup, its_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_devices(test_find),
		with_devices(test_drop_exact),
		with_devices(test_drop_device),
		with_devices(test_drop_all),
		with_devices(test_repair),
		with_devices(test_capacity),
		with_devices(test_race),
	};

	return cmocka_run_group_tests_name("arm/its_routes", tests, NULL, NULL);
}
