/* SPDX-License-Identifier: BSD-2-Clause */
/* Vectors in the three modes: what the device holds, how many ioctls it took, and what is left
 * after each kind of failure. */
#include "rig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"

static uint64_t device_address(struct rig *rig, unsigned int index)
{
	return rig->hw->table[index].low | (uint64_t)rig->hw->table[index].high << 32;
}

static int create(struct rig *rig, enum db_mode mode, enum db_msi_kind kind, uint64_t ipa,
		  bool fall_through)
{
	struct db_msi_config config = { .size = sizeof(config),
					.space = rig->space,
					.mode = mode,
					.kind = kind,
					.doorbell_ipa = ipa,
					.fall_through = fall_through };

	config.dev = rig->dev;
	return db_msi_create(&config, &rig->msi);
}

static void test_native(void **state)
{
	struct rig rig = { 0 };
	uint64_t address;
	uint32_t data;

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_AUTO, DB_MSIX);
	assert_int_equal(db_msi_mode(rig.msi), DB_MODE_NATIVE);
	assert_int_equal(db_msi_count(rig.msi), MOCK_VECTORS);
	/* All 2,048 in two ioctls. */
	rig.hw->expect = GIOVA;
	assert_int_equal(rig_set(&rig, 0, MOCK_VECTORS, GIOVA), 0);
	assert_int_equal(mock_ioctls(rig.mock), 2);
	assert_int_equal(device_address(&rig, 0), GIOVA);
	assert_int_equal(device_address(&rig, 2047), GIOVA);
	mock_raise(rig.mock, rig.hw, 77);
	assert_int_equal(rig_take(&rig, 77), 1);
	assert_int_equal(db_msi_message(rig.msi, 5, &address, &data), 0);
	assert_int_equal(address, GIOVA);
	assert_int_equal(data, 0x105);
	assert_int_equal(db_msi_message(rig.msi, MOCK_VECTORS, &address, &data), -EINVAL);
	/* The same again: nothing to do. Another address: PREPARE alone. */
	mock_forget(rig.mock);
	assert_int_equal(rig_set(&rig, 0, MOCK_VECTORS, GIOVA), 0);
	assert_int_equal(mock_ioctls(rig.mock), 0);
	assert_int_equal(rig_set(&rig, 3, 1, GIOVA + 0x1000), 0);
	assert_int_equal(mock_ioctls(rig.mock), 1);
	assert_int_equal(device_address(&rig, 3), GIOVA + 0x1000);
	/* Disarmed. */
	assert_int_equal(rig_clear(&rig, 0, 10), 0);
	mock_raise(rig.mock, rig.hw, 5);
	assert_int_equal(rig_take(&rig, 5), 0);
	assert_int_equal(rig.hw->irq_type, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_int_equal(rig_clear(&rig, 0, MOCK_VECTORS), 0);
	assert_int_equal(rig.hw->irq_type, -1);
	assert_int_equal(db_msi_set(rig.msi, 0, 0, NULL), 0);
	rig_close(&rig);
}

/* As a Linux guest does it: linear overall. */
static void test_one_at_a_time(void **state)
{
	struct rig rig = { 0 };
	unsigned int i;

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	for (i = 0; i < MOCK_VECTORS; i++)
		assert_int_equal(rig_set(&rig, i, 1, GIOVA), 0);
	assert_int_equal(mock_ioctls(rig.mock), 2 * MOCK_VECTORS);
	rig_close(&rig);
}

static void test_gaps(void **state)
{
	struct db_msi_vector vectors[9];
	struct rig rig = { 0 };
	unsigned int i;

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	for (i = 0; i < 9; i++)
		vectors[i] = (struct db_msi_vector){ .address = GIOVA,
						      .eventfd = i % 2 ? -1 : rig_fd(&rig, i) };
	/* Vectors that stay unarmed do not split a batch. */
	assert_int_equal(db_msi_set(rig.msi, 0, 9, vectors), 0);
	assert_int_equal(mock_ioctls(rig.mock), 2);
	/* Armed ones that stay as they are do, and are not touched. */
	mock_forget(rig.mock);
	for (i = 0; i < 9; i++)
		vectors[i].eventfd = rig_fd(&rig, i);
	assert_int_equal(db_msi_set(rig.msi, 0, 9, vectors), 0);
	assert_int_equal(mock_ioctls(rig.mock), 8);
	for (i = 0; i < 9; i++) {
		mock_raise(rig.mock, rig.hw, i);
		assert_int_equal(rig_take(&rig, i), 1);
	}
	rig_close(&rig);
}

static void test_bad_arguments(void **state)
{
	struct db_msi_vector vector = { .address = GIOVA, .eventfd = -2 };
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(db_msi_set(rig.msi, 0, 1, &vector), -EINVAL);
	assert_int_equal(rig_clear(&rig, MOCK_VECTORS, 1), -EINVAL);
	assert_int_equal(rig_clear(&rig, 2, MOCK_VECTORS - 1), -EINVAL);
	assert_int_equal(db_msi_set(rig.msi, 1, ~0u, &vector), -EINVAL);
	vector.eventfd = 9999;
	assert_int_equal(db_msi_set(rig.msi, 0, 1, &vector), -EBADF);
	assert_message_has("no eventfd");
	assert_int_equal(rig.hw->irq_type, -1);
	rig_close(&rig);
}

/* All or nothing, over every step that can fail, with vectors armed before and not. */
static void test_rolls_back(void **state)
{
	struct db_msi_vector vectors[4];
	struct rig rig = { 0 };
	unsigned int i, step;

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(rig_set(&rig, 0, 2, GIOVA), 0);
	for (step = 0; step < 2; step++) {
		/* 0 and 1 get another address, 1 another eventfd, 2 and 3 are new. */
		for (i = 0; i < 4; i++)
			vectors[i] =
				(struct db_msi_vector){ .address = GIOVA + 0x1000,
							 .eventfd = rig_fd(&rig, i ? i + 10 : 0) };
		mock_fail(rig.mock, VFIO_DEVICE_SET_IRQS, -ENOMEM, step);
		assert_int_equal(db_msi_set(rig.msi, 0, 4, vectors), -ENOMEM);
		for (i = 0; i < 2; i++) {
			assert_int_equal(device_address(&rig, i), GIOVA);
			mock_raise(rig.mock, rig.hw, i);
			assert_int_equal(rig_take(&rig, i), 1);
		}
		assert_int_equal(rig.hw->trigger[2], -1);
	}
	/* The host runs out: the kernel itself disarms what it came to. */
	rig.hw->interrupts = 3;
	assert_int_equal(db_msi_set(rig.msi, 0, 4, vectors), -ENOSPC);
	assert_message_has("no interrupts left");
	mock_raise(rig.mock, rig.hw, 1);
	assert_int_equal(rig_take(&rig, 1), 1);
	assert_int_equal(rig_take(&rig, 11), 0);
	rig_close(&rig);
}

static void test_cannot_even_roll_back(void **state)
{
	struct db_msi_vector vectors[2];
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(rig_set(&rig, 0, 2, GIOVA), 0);
	vectors[0] = (struct db_msi_vector){ .address = GIOVA, .eventfd = rig_fd(&rig, 10) };
	vectors[1] = (struct db_msi_vector){ .address = GIOVA, .eventfd = rig_fd(&rig, 11) };
	rig.mock->fail_request_stays = true;
	mock_fail(rig.mock, VFIO_DEVICE_SET_IRQS, -EIO, 0);
	assert_int_equal(db_msi_set(rig.msi, 0, 2, vectors), -EIO);
	rig.mock->fail_request_error = 0;
	/* Whatever the kernel has now, the library starts over with them. */
	assert_int_equal(db_msi_set(rig.msi, 0, 2, vectors), 0);
	mock_raise(rig.mock, rig.hw, 1);
	assert_int_equal(rig_take(&rig, 11), 1);
	rig_close(&rig);
}

static void test_noresize(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.hw->noresize = true;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(rig_set(&rig, 5, 1, GIOVA), 0);
	assert_int_equal(rig.hw->allocated, MOCK_VECTORS);
	assert_int_equal(rig_set(&rig, 2047, 1, GIOVA), 0);
	assert_int_equal(rig_clear(&rig, 0, MOCK_VECTORS), 0);
	/* Not so many to be had: as many as there are, if that is enough. */
	rig.hw->interrupts = 100;
	assert_int_equal(rig_set(&rig, 5, 1, GIOVA), 0);
	assert_int_equal(rig.hw->allocated, 100);
	assert_int_equal(rig_set(&rig, 100, 1, GIOVA), -ENOSPC);
	assert_message_has("disarm all");
	mock_raise(rig.mock, rig.hw, 5);
	assert_int_equal(rig_take(&rig, 5), 1);
	assert_int_equal(rig_clear(&rig, 5, 1), 0);
	assert_int_equal(rig_set(&rig, 200, 1, GIOVA), -ENOSPC);
	assert_int_equal(rig.hw->irq_type, -1);
	rig_close(&rig);
}

static void test_msi(void **state)
{
	struct db_msi_vector mixed[2];
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_NATIVE,
					.kind = DB_MSIX,
					.doorbell_ipa = 0x20090000 };
	struct rig rig = { 0 };
	struct db_msi *msix;
	uint64_t address;
	uint32_t data;

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSI);
	assert_int_equal(db_msi_count(rig.msi), 8);
	assert_int_equal(rig_set(&rig, 0, 4, GIOVA), 0);
	assert_int_equal(rig.hw->allocated, 4);
	assert_int_equal(rig_set(&rig, 4, 1, GIOVA), -ENOSPC);
	assert_int_equal(db_msi_message(rig.msi, 0, &address, &data), -EOPNOTSUPP);
	mixed[0] = (struct db_msi_vector){ .address = GIOVA, .eventfd = rig_fd(&rig, 0) };
	mixed[1] = (struct db_msi_vector){ .address = GIOVA + 0x1000, .eventfd = rig_fd(&rig, 1) };
	assert_int_equal(db_msi_set(rig.msi, 0, 2, mixed), -EINVAL);
	assert_message_has("one address");
	/* The other capability has to wait. */
	config.dev = rig.dev;
	config.space = rig.space;
	assert_int_equal(db_msi_create(&config, &msix), 0);
	assert_int_equal(db_msi_set(msix, 0, 1, mixed), -EBUSY);
	assert_int_equal(rig_clear(&rig, 0, 4), 0);
	assert_int_equal(db_msi_set(msix, 0, 1, mixed), 0);
	db_msi_destroy(msix);
	rig_close(&rig);
	/* 32 bits of address. */
	rig = (struct rig){ 0 };
	rig_init(&rig);
	rig.hw->msi_64bit = false;
	mock_device_reset(rig.hw);
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSI);
	assert_int_equal(rig_set(&rig, 0, 1, 1ull << 32), -EINVAL);
	assert_int_equal(rig_set(&rig, 0, 1, 0xfffff040), 0);
	rig_close(&rig);
}

/* One register for all vectors of MSI: it moves for all of them, or for none. */
static void test_msi_one_address(void **state)
{
	const struct db_msi_vector none[3] = { { .eventfd = -1 }, { .eventfd = -1 }, { .eventfd = -1 } };
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSI);
	rig.hw->expect = GIOVA;
	assert_int_equal(rig_set(&rig, 0, 4, GIOVA), 0);
	assert_int_equal(rig_set(&rig, 2, 2, GIOVA + 0x1000), -EINVAL);
	assert_message_has("one address");
	mock_raise(rig.mock, rig.hw, 1);
	assert_int_equal(rig_take(&rig, 1), 1);
	rig.hw->expect = GIOVA + 0x1000;
	assert_int_equal(rig_set(&rig, 0, 4, GIOVA + 0x1000), 0);
	/* The others know: back again is a change. */
	assert_int_equal(db_msi_set(rig.msi, 0, 3, none), 0);
	rig.hw->expect = GIOVA;
	assert_int_equal(rig_set(&rig, 3, 1, GIOVA), 0);
	assert_int_equal(rig_set(&rig, 0, 3, GIOVA), 0);
	mock_raise(rig.mock, rig.hw, 0);
	assert_int_equal(rig_take(&rig, 0), 1);
	assert_int_equal(rig.hw->lost, 0);
	rig_close(&rig);
}

/* Nothing is armed that would not arrive. */
static void test_doorbell_unmapped(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	/* A VMM may move the doorbell, */
	assert_int_equal(db_space_map_doorbell(rig.space, rig.dev, 0x30090000), 0);
	assert_int_equal(db_space_unmap_doorbell(rig.space, rig.dev, 0x20090000), 0);
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA), 0);
	/* but not take it away. */
	assert_int_equal(db_space_unmap_doorbell(rig.space, rig.dev, 0x30090000), 0);
	assert_int_equal(rig_set(&rig, 1, 1, GIOVA), -ENXIO);
	assert_message_has("not mapped any more");
	rig_close(&rig);
}

static void test_fall_through_missing(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.hw->no_fall_through = true;
	rig_open(&rig);
	assert_int_equal(create(&rig, DB_MODE_NATIVE, DB_MSIX, 0x20090000, true), -EOPNOTSUPP);
	assert_message_has("leave fall_through out");
	assert_int_equal(create(&rig, DB_MODE_NATIVE, DB_MSIX, 0x20090000, false), 0);
	rig_close(&rig);
}

static void test_fall_through(void **state)
{
	enum db_msi_kind kind;

	(void)state;
	for (kind = DB_MSI; kind <= DB_MSIX; kind++) {
		struct rig rig = { 0 };

		rig_open(&rig);
		assert_int_equal(create(&rig, DB_MODE_NATIVE, kind, 0x20090000, true), 0);
		rig.hw->expect = GIOVA;
		mock_forget(rig.mock);
		assert_int_equal(rig_set(&rig, 0, 8, GIOVA), 0);
		assert_int_equal(mock_ioctls(rig.mock), 2);
		/* MSI has one address, that of vector 0. */
		assert_int_equal(rig.hw->iova[kind == DB_MSIX ? 7 : 0], GIOVA);
		mock_raise(rig.mock, rig.hw, 7);
		assert_int_equal(rig_take(&rig, 7), 1);
		/* In use: nothing is lost over the change. */
		rig.hw->expect = GIOVA + 0x1000;
		assert_int_equal(rig_set(&rig, 0, 8, GIOVA + 0x1000), 0);
		mock_raise(rig.mock, rig.hw, 0);
		assert_int_equal(rig_take(&rig, 0), 1);
		assert_int_equal(rig.hw->lost, 0);
		mock_fail(rig.mock, VFIO_DEVICE_SET_IRQS, -EOPNOTSUPP, 0);
		assert_int_equal(rig_set(&rig, 0, 8, GIOVA), -EOPNOTSUPP);
		rig_close(&rig);
	}
}

static void test_create_refused(void **state)
{
	struct rig rig = { 0 };
	uint64_t ipa;
	bool fixed;

	(void)state;
	rig_init(&rig);
	rig.hw->mappable = false;
	rig_open(&rig);
	assert_int_equal(create(&rig, DB_MODE_STOCK, DB_MSIX, MOCK_WINDOW, false), -EOPNOTSUPP);
	assert_message_has("BAR 0");
	assert_int_equal(create(&rig, DB_MODE_NATIVE, DB_MSIX, 0x20090000, true), -EOPNOTSUPP);
	assert_message_has("fall_through");
	assert_int_equal(create(&rig, 77, DB_MSIX, 0x20090000, false), -EINVAL);
	assert_int_equal(create(&rig, DB_MODE_RMR, DB_MSIX, 0, true), -EINVAL);
	assert_int_equal(create(&rig, DB_MODE_NATIVE, DB_MSIX, 0x20090001, false), -EINVAL);
	rig_close(&rig);

	rig = (struct rig){ 0 };
	rig_init(&rig);
	rig.mock->native = false;
	rig.hw->msi = 0;
	mock_device_reset(rig.hw);
	rig_open(&rig);
	assert_int_equal(create(&rig, DB_MODE_NATIVE, DB_MSIX, 0x20090000, false), -EOPNOTSUPP);
	assert_message_has("mode native is not possible for 0000:01:00.0");
	assert_int_equal(create(&rig, DB_MODE_AUTO, DB_MSI, MOCK_WINDOW, false), -EOPNOTSUPP);
	assert_message_has("has no MSI");
	assert_int_equal(create(&rig, DB_MODE_AUTO, DB_MSIX, 0x20090000, false), -EINVAL);
	assert_message_has("vITS base 0x7ff0000");
	assert_int_equal(db_msi_doorbell_ipa(rig.dev, DB_MODE_NATIVE, &fixed, &ipa), -EOPNOTSUPP);
	assert_int_equal(db_msi_doorbell_ipa(rig.dev, DB_MODE_AUTO, &fixed, &ipa), 0);
	assert_true(fixed);
	assert_int_equal(ipa, MOCK_WINDOW);
	assert_int_equal(db_msi_doorbell_ipa(rig.dev, DB_MODE_RMR, &fixed, &ipa), 0);
	assert_false(fixed);
	rig_close(&rig);

	rig = (struct rig){ 0 };
	rig_init(&rig);
	rig.mock->native = false;
	rig_open(&rig);
	assert_int_equal(create(&rig, DB_MODE_STOCK, DB_MSI, MOCK_WINDOW, false), -EOPNOTSUPP);
	assert_int_equal(create(&rig, DB_MODE_AUTO, DB_MSI, MOCK_WINDOW, false), 0);
	assert_int_equal(db_msi_mode(rig.msi), DB_MODE_RMR);
	rig_close(&rig);
}

/* A register far into a large host page: the pages begin before what the guest sees as the
 * doorbell's page. */
static void test_doorbell_offset(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.mock->page = 0x10000;
	rig.hw->doorbell_offset = 0x3040;
	rig_open(&rig);
	assert_int_equal(create(&rig, DB_MODE_NATIVE, DB_MSIX, 0x20093000, false), 0);
	assert_int_equal(rig.mock->mapping[0].iova, 0x20090000);
	db_msi_destroy(rig.msi);
	rig.msi = NULL;
	assert_int_equal(create(&rig, DB_MODE_NATIVE, DB_MSIX, 0x1000, false), -EINVAL);
	rig_close(&rig);
}

static void test_two_its(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_NATIVE,
					.kind = DB_MSIX,
					.doorbell_ipa = 0x20090000 };
	struct db_device *other;
	struct rig rig = { 0 };
	struct db_msi *msi;

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(db_device_open(rig.host, "0000:03:00.0", 0, &other), 0);
	config.dev = other;
	config.space = rig.space;
	assert_int_equal(db_msi_create(&config, &msi), -EXDEV);
	assert_message_has("vITS of its own");
	db_device_close(other);
	rig_close(&rig);
}

static void test_stock(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.mock->native = false;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_STOCK, DB_MSIX);
	rig.hw->expect = GIOVA;
	assert_int_equal(rig_set(&rig, 0, MOCK_VECTORS, GIOVA), 0);
	assert_int_equal(mock_ioctls(rig.mock), 1);
	assert_int_equal(device_address(&rig, 0), GIOVA);
	assert_int_equal(device_address(&rig, 2047), GIOVA);
	assert_int_equal(rig.hw->table[3].data, 0x103);
	mock_raise(rig.mock, rig.hw, 9);
	assert_int_equal(rig_take(&rig, 9), 1);
	/* Another address: no ioctl at all. */
	mock_forget(rig.mock);
	rig.hw->expect = GIOVA + 0x1000;
	assert_int_equal(rig_set(&rig, 9, 1, GIOVA + 0x1000), 0);
	assert_int_equal(mock_ioctls(rig.mock), 0);
	mock_raise(rig.mock, rig.hw, 9);
	assert_int_equal(rig_take(&rig, 9), 1);
	/* A reset brings the kernel's addresses back; restore brings ours. */
	assert_int_equal(db_device_reset(rig.dev), 0);
	assert_int_equal(device_address(&rig, 9), MOCK_WINDOW + 0x40);
	assert_int_equal(db_msi_restore(rig.msi), 0);
	assert_int_equal(device_address(&rig, 9), GIOVA + 0x1000);
	assert_int_equal(device_address(&rig, 8), GIOVA);
	assert_int_equal(rig.hw->lost, 0);
	rig_close(&rig);
}

/* A live vector that gets another eventfd: while the kernel's address stood in the device a message
 * may have been lost. */
static void test_stock_kick(void **state)
{
	struct db_msi_vector vector = { .address = GIOVA };
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.mock->native = false;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_STOCK, DB_MSIX);
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA), 0);
	assert_int_equal(rig_take(&rig, 0), 0);
	vector.eventfd = rig_fd(&rig, 1);
	assert_int_equal(db_msi_set(rig.msi, 0, 1, &vector), 0);
	assert_int_equal(rig_take(&rig, 1), 1);
	/* A vector with an interrupt pending in the device, too: it goes to the kernel's address
	 * when that unmasks. */
	rig.hw->expect = GIOVA;
	mock_raise(rig.mock, rig.hw, 70);
	assert_int_equal(rig_set(&rig, 69, 3, GIOVA), 0);
	assert_int_equal(rig.hw->lost, 1);
	assert_int_equal(rig_take(&rig, 69), 0);
	assert_int_equal(rig_take(&rig, 70), 1);
	assert_int_equal(rig_take(&rig, 71), 0);
	rig_close(&rig);
}

static void test_stock_second_its(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_STOCK,
					.kind = DB_MSIX,
					.doorbell_ipa = MOCK_WINDOW };
	struct db_msi_vector vector = { .address = GIOVA };
	struct db_device *other;
	struct rig rig = { 0 };
	struct db_msi *msi;

	(void)state;
	rig_init(&rig);
	rig.mock->native = false;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_STOCK, DB_MSIX);
	assert_int_equal(db_device_open(rig.host, "0000:03:00.0", 0, &other), 0);
	config.dev = other;
	config.space = rig.space;
	/* Not attached yet: found out at the first arming. */
	assert_int_equal(db_msi_create(&config, &msi), 0);
	vector.eventfd = rig_fd(&rig, 0);
	assert_int_equal(db_msi_set(msi, 0, 1, &vector), -EXDEV);
	assert_message_has("0x8001000");
	assert_int_equal(rig.mock->device[2].irq_type, -1);
	db_msi_destroy(msi);
	/* Attached: found out at once. */
	assert_int_equal(db_viommu_add(rig.viommu, other, 0x30), 0);
	assert_int_equal(db_msi_create(&config, &msi), -EXDEV);
	assert_int_equal(rig.mock->device[2].irq_type, -1);
	mock_fail(rig.mock, VFIO_DEVICE_SET_IRQS, -ENOMEM, 0);
	assert_int_equal(db_msi_create(&config, &msi), -ENOMEM);
	rig.mock->device[2].interrupts = 0;
	db_viommu_remove(rig.viommu, other);
	db_device_close(other);
	rig_close(&rig);
}

static void test_stock_not_in_window(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.mock->native = false;
	rig_open(&rig);
	/* sysfs recommends a window, but the kernel wrote something else. */
	rig.mock->window_start = 0x50000000;
	assert_int_equal(create(&rig, DB_MODE_STOCK, DB_MSIX, MOCK_WINDOW, false), -EOPNOTSUPP);
	assert_message_has("not in its window");
	rig_close(&rig);
}

/* The guest switched memory decoding off, or the device into D3: no access to the mapping unless
 * the device answers. */
static void test_stock_memory_off(void **state)
{
	uint8_t off[2] = { 4 }, on[2] = { 6 }, d3[2] = { 3 };
	struct rig rig = { 0 };
	uint64_t address;
	uint32_t data;

	(void)state;
	rig_init(&rig);
	rig.mock->native = false;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_STOCK, DB_MSIX);
	assert_int_equal(db_device_config_write(rig.dev, off, 2, 4), 2);
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA), 0);
	assert_int_equal(device_address(&rig, 0), GIOVA);
	assert_int_equal(rig.hw->config[4], 4);
	assert_int_equal(db_device_config_write(rig.dev, d3, 2, 0x44), 2);
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA + 0x1000), -EIO);
	assert_message_has("powered down");
	assert_int_equal(rig.hw->config[4], 4);
	assert_int_equal(rig_set(&rig, 1, 1, GIOVA), -EIO);
	assert_int_equal(rig.hw->trigger[1], -1);
	assert_int_equal(db_msi_restore(rig.msi), -EIO);
	assert_int_equal(db_msi_message(rig.msi, 0, &address, &data), -EIO);
	d3[0] = 0;
	assert_int_equal(db_device_config_write(rig.dev, d3, 2, 0x44), 2);
	assert_int_equal(db_device_config_write(rig.dev, on, 2, 4), 2);
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA + 0x1000), 0);
	assert_int_equal(device_address(&rig, 0), GIOVA + 0x1000);
	rig_close(&rig);
}

static void test_rmr(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.mock->native = false;
	rig.hw->mappable = false;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_AUTO, DB_MSIX);
	assert_int_equal(db_msi_mode(rig.msi), DB_MODE_RMR);
	assert_int_equal(rig_set(&rig, 0, 64, GIOVA), 0);
	assert_int_equal(mock_ioctls(rig.mock), 1);
	assert_int_equal(device_address(&rig, 0), MOCK_WINDOW + 0x40);
	mock_forget(rig.mock);
	assert_int_equal(rig_set(&rig, 0, 64, GIOVA + 0x1000), 0);
	assert_int_equal(mock_ioctls(rig.mock), 0);
	assert_int_equal(db_msi_restore(rig.msi), 0);
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_rolls_back),
		cmocka_unit_test(test_cannot_even_roll_back),
		cmocka_unit_test(test_noresize),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_msi_one_address),
		cmocka_unit_test(test_doorbell_unmapped),
		cmocka_unit_test(test_fall_through_missing),
		cmocka_unit_test(test_fall_through),
		cmocka_unit_test(test_create_refused),
		cmocka_unit_test(test_doorbell_offset),
		cmocka_unit_test(test_two_its),
		cmocka_unit_test(test_stock),
		cmocka_unit_test(test_stock_kick),
		cmocka_unit_test(test_stock_second_its),
		cmocka_unit_test(test_stock_not_in_window),
		cmocka_unit_test(test_stock_memory_off),
		cmocka_unit_test(test_rmr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
