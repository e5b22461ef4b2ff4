/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts that flow while everything around them changes. The device counts up a number before
 * it rings; the handler notes the number that it sees. Masks may merge interrupts, but the last
 * number must be seen once all is open again, and there are never more interrupts than rings.
 */
#include <pthread.h>

#include "arm/its_regs.h"
#include "hw_fixture.h"

#define RINGS 20000u
#define VECTOR 3u

struct race {
	struct hw *hw;
	struct pci_dev *dev;
	uint32_t number;	/* atomic */
	uint32_t seen, taken;	/* atomic */
	uint32_t done;		/* atomic: the device has rung for the last time */
	uint32_t dead, late;	/* atomic: interrupts after the handler's end */
	bool unmapped;
};

static void note(void *ctx)
{
	struct race *race = ctx;
	uint32_t number = __atomic_load_n(&race->number, __ATOMIC_SEQ_CST);
	uint32_t seen = __atomic_load_n(&race->seen, __ATOMIC_RELAXED);

	while (number > seen && !__atomic_compare_exchange_n(&race->seen, &seen, number, false,
							     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	__atomic_fetch_add(&race->taken, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&race->dead, __ATOMIC_RELAXED))
		__atomic_fetch_add(&race->late, 1, __ATOMIC_RELAXED);
}

static void *ringer(void *arg)
{
	struct race *race = arg;

	for (unsigned int i = 0; i < RINGS; i++) {
		__atomic_fetch_add(&race->number, 1, __ATOMIC_SEQ_CST);
		hw_ring(race->dev, VECTOR);
	}
	__atomic_store_n(&race->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static int setup(void **state)
{
	struct race *race = calloc(1, sizeof(*race));

	race->hw = hw_create(DOORBELL_ITS);
	race->dev = hw_bell(race->hw, HW_VECTORS, 0);
	hw_arm(race->hw, race->dev);
	assert_int_equal(gic_set_handler(race->hw->gic, race->hw->intid + VECTOR, note, race), 0);
	*state = race;
	return 0;
}

static int teardown(void **state)
{
	struct race *race = *state;

	pci_dev_destroy(race->dev);
	hw_destroy(race->hw);
	free(race);
	return 0;
}

/* Calls @change with 0, 1, 2, ... until the device is done, then once more with an even number. */
static void run(struct race *race, void (*change)(struct race *race, unsigned int n))
{
	unsigned int n = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, ringer, race), 0);
	do {
		change(race, n++);
	} while (!__atomic_load_n(&race->done, __ATOMIC_ACQUIRE));
	pthread_join(thread, NULL);
	change(race, n + n % 2);
}

static void assert_none_lost(struct race *race)
{
	assert_int_equal(race->seen, RINGS);
	assert_in_range(race->taken, 1, RINGS);
	assert_int_equal(race->hw->events, 0);
	assert_int_equal(its_dev_discarded(race->hw->its), 0);
	assert_int_equal(gic_unhandled(race->hw->gic), 0);
	/* Nor misrouted */
	for (unsigned int i = 0; i < HW_VECTORS; i++)
		assert_int_equal(hw_taken(race->hw, i), 0);
}

/* Odd: closed; even: open. */

static void change_vector_mask(struct race *race, unsigned int n)
{
	hw_msix_mask(race->dev, VECTOR, n % 2);
}

static void test_vector_mask(void **state)
{
	run(*state, change_vector_mask);
	assert_none_lost(*state);
}

static void change_function_mask(struct race *race, unsigned int n)
{
	hw_msix_control(race->dev, PCI_MSIX_FLAGS_ENABLE | (n % 2 ? PCI_MSIX_FLAGS_MASKALL : 0));
}

static void test_function_mask(void **state)
{
	run(*state, change_function_mask);
	assert_none_lost(*state);
}

static void its_event(struct race *race, unsigned int opcode, uint64_t dw2)
{
	const uint64_t cmds[1][4] = { { GITS_CMD_0(opcode, HW_DEVICE_ID), VECTOR, dw2 } };

	assert_int_equal(its_dev_commands(race->hw->its, cmds, 1), 0);
}

static void change_enable(struct race *race, unsigned int n)
{
	gic_set_enabled(race->hw->gic, race->hw->intid + VECTOR, n % 2 == 0);
	its_event(race, GITS_CMD_INV, 0);
}

static void test_enable(void **state)
{
	run(*state, change_enable);
	assert_none_lost(*state);
}

static void change_processor(struct race *race, unsigned int n)
{
	its_event(race, GITS_CMD_MOVI, n % HW_PROCESSORS);
}

/* Nothing merges here: every ring is an interrupt. */
static void test_move(void **state)
{
	struct race *race = *state;

	run(race, change_processor);
	assert_none_lost(race);
	assert_int_equal(race->taken, RINGS);
}

static void change_both(struct race *race, unsigned int n)
{
	const uint64_t movall[1][4] = {
		{ GITS_CMD_MOVALL, 0, GITS_CMD_RD(n % HW_PROCESSORS),
		  GITS_CMD_RD((n + 1) % HW_PROCESSORS) },
	};

	gic_set_enabled(race->hw->gic, race->hw->intid + VECTOR, n % 2 == 0);
	its_event(race, GITS_CMD_INV, 0);
	its_event(race, GITS_CMD_MOVI, n / 2 % HW_PROCESSORS);
	/* And back to where the collection is: what is pending follows both. */
	assert_int_equal(its_dev_commands(race->hw->its, movall, 1), 0);
	if (n % 2 == 0) {
		const uint64_t invall[HW_PROCESSORS][4] = {
			{ GITS_CMD_INVALL, 0, 0 },
			{ GITS_CMD_INVALL, 0, 1 },
			{ GITS_CMD_INVALL, 0, 2 },
			{ GITS_CMD_INVALL, 0, 3 },
		};

		assert_int_equal(its_dev_commands(race->hw->its, invall, HW_PROCESSORS), 0);
	}
}

static void test_move_disabled(void **state)
{
	run(*state, change_both);
	assert_none_lost(*state);
}

/* The stream table entry is replaced by an equal one: never a moment without. */
static void change_ste(struct race *race, unsigned int n)
{
	(void)n;
	hw_set_ste(race->hw, HW_SID, race->hw->ste);
}

static void test_ste(void **state)
{
	struct race *race = *state;

	run(race, change_ste);
	assert_none_lost(race);
	assert_int_equal(race->taken, RINGS);
}

/* The guest maps the doorbell elsewhere, tells the device, and unmaps the old place. */
static void change_address(struct race *race, unsigned int n)
{
	struct hw *hw = race->hw;
	uint64_t page[2] = { DOORBELL_IOVA, DOORBELL_IOVA + 4096 };
	uint64_t to = page[(n + 1) % 2], from = page[n % 2], freed = 0;

	assert_int_equal(vmsa_map(&hw->s1, to, DOORBELL_IPA, 4096, VMSA_WRITE | VMSA_DEVICE), 0);
	hw_msix_entry(race->dev, VECTOR, to + (hw->doorbell_pa & 4095), VECTOR, false);
	assert_int_equal(vmsa_unmap(&hw->s1, from, 4096, &freed), 0);
	hw_invalidate_all(hw);
}

static void test_address(void **state)
{
	struct race *race = *state;
	pthread_t thread;
	unsigned int n = 0;

	assert_int_equal(pthread_create(&thread, NULL, ringer, race), 0);
	for (; !__atomic_load_n(&race->done, __ATOMIC_ACQUIRE); n++)
		change_address(race, n);
	pthread_join(thread, NULL);
	assert_none_lost(race);
}

/* After the handler's end it does not run, whatever is under way. */
static void change_handler(struct race *race, unsigned int n)
{
	uint32_t intid = race->hw->intid + VECTOR;

	if (n % 2) {
		assert_int_equal(gic_set_handler(race->hw->gic, intid, NULL, NULL), 0);
		__atomic_store_n(&race->dead, 1, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&race->dead, 0, __ATOMIC_RELAXED);
		assert_int_equal(gic_set_handler(race->hw->gic, intid, note, race), 0);
	}
}

static void test_handler(void **state)
{
	struct race *race = *state;

	run(race, change_handler);
	assert_int_equal(race->late, 0);
	assert_int_equal(race->taken + gic_unhandled(race->hw->gic), RINGS);
}

/* A discarded interrupt does not come back under its old number. */
static void change_mapping(struct race *race, unsigned int n)
{
	struct hw *hw = race->hw;

	/* Mapping what is mapped is UNPREDICTABLE: what pends could stay where it was. */
	if (n % 2 == race->unmapped)
		return;
	race->unmapped = n % 2;
	if (race->unmapped) {
		its_dev_unmap_events(hw->its, HW_DEVICE_ID, VECTOR, 1);
		assert_false(gic_is_pending(hw->gic, hw->intid + VECTOR));
		__atomic_store_n(&race->dead, 1, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&race->dead, 0, __ATOMIC_RELAXED);
		assert_int_equal(its_dev_map_events(hw->its, HW_DEVICE_ID, VECTOR, 1,
						    hw->intid + VECTOR, n / 2 % HW_PROCESSORS),
				 0);
	}
}

static void test_mapping(void **state)
{
	struct race *race = *state;

	run(race, change_mapping);
	assert_int_equal(race->late, 0);
	assert_int_equal(race->taken + its_dev_discarded(race->hw->its), RINGS);
}

/* As test_mapping, with the interrupt disabled: late rings must not leave it pending. */
static void test_mapping_disabled(void **state)
{
	struct race *race = *state;

	gic_set_enabled(race->hw->gic, race->hw->intid + VECTOR, false);
	its_event(race, GITS_CMD_INV, 0);
	run(race, change_mapping);
	assert_int_equal(race->taken, 0);
}

/* Reset: nothing after it, until all is set up again. */
static void change_reset(struct race *race, unsigned int n)
{
	if (n % 2) {
		pci_dev_reset(race->dev);
		__atomic_store_n(&race->dead, 1, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&race->dead, 0, __ATOMIC_RELAXED);
		hw_arm(race->hw, race->dev);
	}
}

static void test_reset(void **state)
{
	struct race *race = *state;

	run(race, change_reset);
	assert_int_equal(race->late, 0);
	assert_int_equal(race->hw->events, 0);
}

/* Several devices' worth of threads on one ITS, all vectors. */
struct crowd {
	struct race *race;
	unsigned int first;
};

static void *crowd_ringer(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned int i = 0; i < RINGS; i++)
		hw_ring(crowd->race->dev, 8 + crowd->first + i % 8);
	return NULL;
}

static void test_crowd(void **state)
{
	struct race *race = *state;
	struct crowd crowds[4];
	pthread_t threads[4];

	for (unsigned int i = 0; i < 4; i++) {
		crowds[i] = (struct crowd){ race, i * 8 };
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_ringer, &crowds[i]), 0);
	}
	for (unsigned int n = 0; n < 200; n++) {
		const uint64_t mapc[1][4] = {
			{ GITS_CMD_MAPC, 0, GITS_CMD_VALID_2 | GITS_CMD_RD(n % HW_PROCESSORS) | 1 }
		};

		assert_int_equal(its_dev_commands(race->hw->its, mapc, 1), 0);
	}
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 8; i < 40; i++)
		assert_int_equal(hw_taken(race->hw, i), RINGS / 8);
}

#define with_race(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_race(test_vector_mask),
		with_race(test_function_mask),
		with_race(test_enable),
		with_race(test_move),
		with_race(test_move_disabled),
		with_race(test_ste),
		with_race(test_address),
		with_race(test_handler),
		with_race(test_mapping),
		with_race(test_mapping_disabled),
		with_race(test_reset),
		with_race(test_crowd),
	};

	return cmocka_run_group_tests_name("soft/hw/races", tests, NULL, NULL);
}
