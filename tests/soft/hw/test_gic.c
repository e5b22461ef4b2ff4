/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of the machine: LPIs enabled, pending and moved; the doorbell frames of each kind; who
 * can raise what.
 */
#include <errno.h>

#include "arm/its_regs.h"
#include "hw_fixture.h"

static int setup_its(void **state)
{
	*state = hw_create(DOORBELL_ITS);
	return 0;
}

static int teardown(void **state)
{
	hw_destroy(*state);
	return 0;
}

/* A device's write to the doorbell, without an SMMU in between. */
static void device_write(struct hw *hw, uint64_t pa, uint32_t data, uint32_t device_id)
{
	hw_read_lock();
	bus_write(hw->bus, pa, &data, sizeof(data), device_id);
	hw_read_unlock();
}

static int its_one(struct hw *hw, uint64_t dw0, uint64_t dw1, uint64_t dw2, uint64_t dw3)
{
	const uint64_t cmds[1][4] = { { dw0, dw1, dw2, dw3 } };

	return its_dev_commands(hw->its, cmds, 1);
}

static int inv(struct hw *hw, uint32_t event)
{
	return its_one(hw, GITS_CMD_0(GITS_CMD_INV, HW_DEVICE_ID), event, 0, 0);
}

static void test_delivery(void **state)
{
	struct hw *hw = *state;

	assert_true(its_dev_isolated(hw->its));
	assert_int_equal(hw->doorbell_pa, ITS_BASE + 0x10040);
	for (unsigned int i = 0; i < HW_VECTORS; i++) {
		for (unsigned int n = 0; n <= i; n++)
			device_write(hw, hw->doorbell_pa, i, HW_DEVICE_ID);
	}
	for (unsigned int i = 0; i < HW_VECTORS; i++)
		assert_int_equal(hw_taken(hw, i), i + 1);
	assert_int_equal(its_dev_discarded(hw->its), 0);
	assert_int_equal(gic_unhandled(hw->gic), 0);
}

/*
 * The DeviceID is the writer's, whatever is written: nothing of the device's is reached by another.
 */
static void test_isolation(void **state)
{
	struct hw *hw = *state;
	uint64_t data = 0;

	for (uint32_t other = 0; other < 0x2000; other++) {
		if (other != HW_DEVICE_ID)
			device_write(hw, hw->doorbell_pa, 3, other);
	}
	assert_int_equal(hw_taken(hw, 3), 0);
	assert_int_equal(its_dev_discarded(hw->its), 0x1fff);
	device_write(hw, hw->doorbell_pa, 3, BUS_NO_DEVICE_ID);
	device_write(hw, hw->doorbell_pa, HW_VECTORS, HW_DEVICE_ID);
	device_write(hw, hw->doorbell_pa, UINT32_MAX, HW_DEVICE_ID);
	assert_int_equal(its_dev_discarded(hw->its), 0x1fff + 3);

	/*
	 * Only GITS_TRANSLATER does anything, by 16 and 32 bits; the control frame is not there for
	 * devices.
	 */
	for (uint64_t off = 0; off < 0x10000; off += 4) {
		if (off != 0x40)
			device_write(hw, ITS_BASE + 0x10000 + off, 3, HW_DEVICE_ID);
	}
	assert_int_equal(bus_write(hw->bus, ITS_BASE, &data, 4, HW_DEVICE_ID), -EFAULT);
	assert_int_equal(bus_write(hw->bus, ITS_BASE + 0xfffc, &data, 4, HW_DEVICE_ID), -EFAULT);
	assert_int_equal(bus_write(hw->bus, hw->doorbell_pa, &data, 8, HW_DEVICE_ID), 0);
	assert_int_equal(bus_write(hw->bus, hw->doorbell_pa, &data, 1, HW_DEVICE_ID), 0);
	assert_int_equal(hw_taken(hw, 0), 0);
	hw_read_lock();
	assert_int_equal(bus_write(hw->bus, hw->doorbell_pa, &data, 2, HW_DEVICE_ID), 0);
	hw_read_unlock();
	assert_int_equal(hw_taken(hw, 0), 1);
	assert_int_equal(bus_read(hw->bus, hw->doorbell_pa, &data, 4), 0);
}

static void test_disabled_is_pending(void **state)
{
	struct hw *hw = *state;

	/* Until INV the old configuration holds. */
	gic_set_enabled(hw->gic, hw->intid + 2, false);
	device_write(hw, hw->doorbell_pa, 2, HW_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 2), 1);
	assert_int_equal(inv(hw, 2), 0);
	for (unsigned int i = 0; i < 3; i++)
		device_write(hw, hw->doorbell_pa, 2, HW_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 2), 1);
	assert_true(gic_is_pending(hw->gic, hw->intid + 2));
	assert_false(gic_is_pending(hw->gic, hw->intid + 3));

	/* Three that pended are one. */
	gic_set_enabled(hw->gic, hw->intid + 2, true);
	assert_int_equal(hw_taken(hw, 2), 1);
	assert_int_equal(inv(hw, 2), 0);
	assert_int_equal(hw_taken(hw, 2), 2);
	assert_false(gic_is_pending(hw->gic, hw->intid + 2));
	assert_int_equal(inv(hw, 2), 0);
	assert_int_equal(hw_taken(hw, 2), 2);
}

static void pend(struct hw *hw, uint32_t event)
{
	gic_set_enabled(hw->gic, hw->intid + event, false);
	assert_int_equal(inv(hw, event), 0);
	device_write(hw, hw->doorbell_pa, event, HW_DEVICE_ID);
	assert_true(gic_is_pending(hw->gic, hw->intid + event));
	gic_set_enabled(hw->gic, hw->intid + event, true);
}

static void test_clear_and_discard(void **state)
{
	struct hw *hw = *state;

	pend(hw, 2);
	assert_int_equal(its_one(hw, GITS_CMD_0(GITS_CMD_CLEAR, HW_DEVICE_ID), 2, 0, 0), 0);
	assert_int_equal(inv(hw, 2), 0);
	assert_int_equal(hw_taken(hw, 2), 0);

	pend(hw, 4);
	its_dev_unmap_events(hw->its, HW_DEVICE_ID, 4, 1);
	assert_false(gic_is_pending(hw->gic, hw->intid + 4));
	device_write(hw, hw->doorbell_pa, 4, HW_DEVICE_ID);
	assert_int_equal(its_dev_discarded(hw->its), 1);
	assert_int_equal(its_dev_map_events(hw->its, HW_DEVICE_ID, 4, 1, hw->intid + 4, 0), 0);
	assert_int_equal(hw_taken(hw, 4), 0);

	/* INT is as the device's write. */
	assert_int_equal(its_one(hw, GITS_CMD_0(GITS_CMD_INT, HW_DEVICE_ID), 4, 0, 0), 0);
	assert_int_equal(hw_taken(hw, 4), 1);
}

static void test_move(void **state)
{
	struct hw *hw = *state;

	/* MOVI takes the pending one along; INV finds it on the new processor. */
	pend(hw, 2);
	assert_int_equal(its_one(hw, GITS_CMD_0(GITS_CMD_MOVI, HW_DEVICE_ID), 2, 3, 0), 0);
	assert_true(gic_is_pending(hw->gic, hw->intid + 2));
	assert_int_equal(inv(hw, 2), 0);
	assert_int_equal(hw_taken(hw, 2), 1);

	/*
	 * MOVALL: those of processor 1 (where the fixture put them) to 2. INVALL of collection 1
	 * does not see them, that of 2 does.
	 */
	pend(hw, 5);
	pend(hw, 6);
	assert_int_equal(its_one(hw, GITS_CMD_MOVALL, 0, GITS_CMD_RD(1), GITS_CMD_RD(2)), 0);
	assert_int_equal(hw_taken(hw, 5), 0);
	assert_int_equal(its_one(hw, GITS_CMD_INVALL, 0, 1, 0), 0);
	assert_int_equal(hw_taken(hw, 5) + hw_taken(hw, 6), 0);
	assert_int_equal(its_one(hw, GITS_CMD_INVALL, 0, 2, 0), 0);
	assert_int_equal(hw_taken(hw, 5), 1);
	assert_int_equal(hw_taken(hw, 6), 1);

	/* MOVALL of what is enabled meanwhile: it is taken. */
	pend(hw, 7);
	gic_set_enabled(hw->gic, hw->intid + 7, true);
	assert_int_equal(its_one(hw, GITS_CMD_INVALL, 0, 2, 0), 0);
	assert_int_equal(hw_taken(hw, 7), 0);
	assert_int_equal(its_one(hw, GITS_CMD_MOVALL, 0, GITS_CMD_RD(1), GITS_CMD_RD(2)), 0);
	assert_int_equal(hw_taken(hw, 7), 1);
}

static void test_handlers(void **state)
{
	struct hw *hw = *state;

	assert_int_equal(gic_set_handler(hw->gic, hw->intid + 1, NULL, NULL), 0);
	device_write(hw, hw->doorbell_pa, 1, HW_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 1), 0);
	assert_int_equal(gic_unhandled(hw->gic), 1);
	assert_int_equal(gic_set_handler(hw->gic, hw->intid + 1, hw_take, &hw->takers[9]), 0);
	device_write(hw, hw->doorbell_pa, 1, HW_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 9), 1);
	gic_clear_handlers(hw->gic, hw->intid, 4);
	for (unsigned int i = 0; i < 4; i++)
		device_write(hw, hw->doorbell_pa, i, HW_DEVICE_ID);
	assert_int_equal(gic_unhandled(hw->gic), 5);
	assert_int_equal(gic_set_handler(hw->gic, 8191, hw_take, hw), -EINVAL);
	assert_int_equal(gic_set_handler(hw->gic, 1020, hw_take, hw), -EINVAL);
	assert_int_equal(gic_set_handler(hw->gic, 31, hw_take, hw), -EINVAL);
	assert_int_equal(gic_set_handler(hw->gic, 1u << 16, hw_take, hw), -EINVAL);
	assert_false(gic_is_pending(hw->gic, UINT32_MAX));
	gic_set_enabled(hw->gic, UINT32_MAX, true);
}

static void test_intids(void **state)
{
	struct hw *hw = *state;
	uint32_t a, b, c, d;

	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 0, &a), -ENOSPC);
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 65536, &a), -ENOSPC);
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 1, &a), 0);
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 32, &b), 0);
	assert_int_equal(b % 32, 0);
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 1, &c), 0);
	assert_int_equal(c, a + 1);
	gic_free_interrupts(hw->gic, hw->its, a, 1);
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 1, &d), 0);
	assert_int_equal(d, a);
	/* A power of two, not smaller, is what a number is aligned to. */
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 5, &d), 0);
	assert_int_equal(d % 8, 0);
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 32768, &d), 0);
	assert_int_equal(d, 32768);
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 32768, &d), -ENOSPC);
}

static void test_devices(void **state)
{
	struct hw *hw = *state;

	assert_int_equal(its_dev_map_device(hw->its, HW_DEVICE_ID, 2), -EBUSY);
	assert_int_equal(its_dev_map_device(hw->its, 1u << 16, 2), -ERANGE);
	assert_int_equal(its_dev_map_device(hw->its, 5, 2049), -ERANGE);
	assert_int_equal(its_dev_map_device(hw->its, 5, UINT32_MAX), -ERANGE);
	assert_int_equal(its_dev_map_device(hw->its, 0xffff, 2048), 0);
	assert_int_equal(its_dev_map_events(hw->its, 0xffff, 2000, 49, 9000, 0), -EINVAL);
	/* All or nothing */
	device_write(hw, hw->doorbell_pa, 2000, 0xffff);
	assert_int_equal(its_dev_discarded(hw->its), 1);
	assert_int_equal(its_dev_map_events(hw->its, 0xffff, 0, 2048, 9000, 0), 0);
	device_write(hw, hw->doorbell_pa, 2047, 0xffff);
	assert_int_equal(gic_unhandled(hw->gic), 0);
	assert_true(gic_is_pending(hw->gic, 9000 + 2047));
	its_dev_unmap_device(hw->its, 0xffff);
	assert_false(gic_is_pending(hw->gic, 9000 + 2047));
	its_dev_unmap_device(hw->its, 0xffff);
	assert_int_equal(its_dev_map_device(hw->its, 0xffff, 1), 0);
	/* Left for the fixture's end: the frame frees it. */
}

static void test_command_errors(void **state)
{
	struct hw *hw = *state;
	const uint64_t cmds[3][4] = {
		{ GITS_CMD_0(GITS_CMD_INV, HW_DEVICE_ID), 4000 },
		{ 0x21 },
		{ GITS_CMD_0(GITS_CMD_INT, HW_DEVICE_ID), 1 },
	};

	/* The first error is told; the others are executed. */
	assert_int_equal(its_dev_commands(hw->its, cmds, 3), 0x010c05);
	assert_int_equal(hw_taken(hw, 1), 1);
}

/* The address carries the DeviceID: a page of the window reaches 1,024 of them, whoever writes. */
static void test_pre_its(void **state)
{
	struct hw *hw = hw_create(DOORBELL_PRE_ITS);

	(void)state;
	assert_false(its_dev_isolated(hw->its));
	assert_int_equal(hw->doorbell_pa, PRE_ITS_BASE + HW_DEVICE_ID * 4);
	device_write(hw, hw->doorbell_pa, 7, HW_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 7), 1);
	/* Another device that has this page; and its own number is not mapped. */
	device_write(hw, hw->doorbell_pa, 7, HW_DEVICE_ID + 1);
	assert_int_equal(hw_taken(hw, 7), 2);
	device_write(hw, hw->doorbell_pa + 4, 7, HW_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 7), 2);
	assert_int_equal(its_dev_discarded(hw->its), 1);
	device_write(hw, PRE_ITS_BASE + 0x1ffffc, 7, HW_DEVICE_ID);
	assert_int_equal(its_dev_discarded(hw->its), 2);
	hw_destroy(hw);
}

/* The data is the SPI, whoever writes. */
static void test_v2m(void **state)
{
	struct hw *hw = hw_create(DOORBELL_V2M);
	const uint64_t cmds[1][4] = { { GITS_CMD_SYNC } };
	uint32_t typer, first;

	(void)state;
	assert_false(its_dev_isolated(hw->its));
	assert_int_equal(hw->doorbell_pa, V2M_BASE + 0x40);
	assert_int_equal(hw->intid, 64);
	assert_int_equal(its_dev_message_data(hw->its, 3, hw->intid + 3), 67);
	assert_int_equal(its_dev_commands(hw->its, cmds, 1), -EOPNOTSUPP);
	assert_int_equal(bus_read(hw->bus, V2M_BASE + 8, &typer, 4), 0);
	assert_int_equal(typer, 64u << 16 | 128);

	device_write(hw, hw->doorbell_pa, 67, HW_DEVICE_ID);
	device_write(hw, hw->doorbell_pa, 67, BUS_NO_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 3), 2);
	device_write(hw, hw->doorbell_pa, 63, HW_DEVICE_ID);
	device_write(hw, hw->doorbell_pa, 192, HW_DEVICE_ID);
	device_write(hw, hw->doorbell_pa, UINT32_MAX, HW_DEVICE_ID);
	assert_int_equal(its_dev_discarded(hw->its), 3);
	device_write(hw, V2M_BASE + 0x44, 67, HW_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 3), 2);

	/* Disabled: pending, and taken once when enabled. */
	gic_set_enabled(hw->gic, 67, false);
	device_write(hw, hw->doorbell_pa, 67, HW_DEVICE_ID);
	device_write(hw, hw->doorbell_pa, 67, HW_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 3), 2);
	assert_true(gic_is_pending(hw->gic, 67));
	gic_set_enabled(hw->gic, 67, true);
	assert_int_equal(hw_taken(hw, 3), 3);

	/* The fixture has 64 of the frame's 128. */
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 64, &first), 0);
	assert_int_equal(first, 128);
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, 1, &first), -ENOSPC);
	hw_destroy(hw);
}

static void test_frame_errors(void **state)
{
	struct hw *hw = *state;
	struct its_dev *its;
	struct msi_frame_config c = hw_frame(DOORBELL_ITS);

	assert_int_equal(gic_add_msi_frame(hw->gic, &c, &its), -EADDRINUSE);
	c.base += 0x1000;
	assert_int_equal(gic_add_msi_frame(hw->gic, &c, &its), -EINVAL);
	c = hw_frame(DOORBELL_ITS);
	c.base = 0x09000000;
	c.device_bits = 33;
	assert_int_equal(gic_add_msi_frame(hw->gic, &c, &its), -EINVAL);
	c.device_bits = 32;
	assert_int_equal(gic_add_msi_frame(hw->gic, &c, &its), 0);
	assert_int_equal(its_dev_map_device(its, UINT32_MAX, 1), 0);
	/* A processor's write has no DeviceID: not this one either. */
	assert_int_equal(its_dev_map_events(its, UINT32_MAX, 0, 1, hw->intid + 5, 0), 0);
	device_write(hw, its_dev_doorbell(its, UINT32_MAX), 0, BUS_NO_DEVICE_ID);
	assert_int_equal(hw_taken(hw, 5), 0);
	assert_int_equal(its_dev_discarded(its), 1);
	c = hw_frame(DOORBELL_V2M);
	c.spi_base = 1000;
	assert_int_equal(gic_add_msi_frame(hw->gic, &c, &its), -EINVAL);
	c.spi_base = 20;
	assert_int_equal(gic_add_msi_frame(hw->gic, &c, &its), -EINVAL);
	assert_null(gic_create(hw->bus, 0, 16));
	assert_null(gic_create(hw->bus, 1, 13));
	assert_null(gic_create(hw->bus, 1, 25));
}

#define with_its(test) cmocka_unit_test_setup_teardown(test, setup_its, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_its(test_delivery),
		with_its(test_isolation),
		with_its(test_disabled_is_pending),
		with_its(test_clear_and_discard),
		with_its(test_move),
		with_its(test_handlers),
		with_its(test_intids),
		with_its(test_devices),
		with_its(test_command_errors),
		with_its(test_frame_errors),
		cmocka_unit_test(test_pre_its),
		cmocka_unit_test(test_v2m),
	};

	return cmocka_run_group_tests_name("soft/hw/gic", tests, NULL, NULL);
}
