/* SPDX-License-Identifier: BSD-2-Clause */
/* Shapes of the ITS's tables: page sizes, flat and two-level, and their ends. */
#include "its_fixture.h"

struct shape {
	uint64_t page_field, page;
};

static const struct shape shapes[] = {
	{ GITS_BASER_PAGE_4K, 4096 },
	{ GITS_BASER_PAGE_16K, 16384 },
	{ GITS_BASER_PAGE_64K, 65536 },
	{ 0x300, 65536 },	/* reserved: as 64 KiB */
};

static struct its_fixture *start(unsigned int device_bits)
{
	struct its_fixture *f = calloc(1, sizeof(*f));
	struct its_config config = fixture_config(f);

	config.device_bits = device_bits;
	fixture_start(f, &config);
	its_set_baser(f->its, ITS_BASER_COLLECTIONS, GITS_BASER_VALID | COLLECTION_TABLE);
	return f;
}

static void stop(struct its_fixture *f)
{
	free(f->its);
	free(f);
}

static void test_flat(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct its_fixture *f = start(32);
		uint32_t end = 3 * shapes[i].page / 8;

		/* three pages */
		its_set_baser(f->its, ITS_BASER_DEVICES,
			      GITS_BASER_VALID | shapes[i].page_field | DEVICE_TABLE | 2);
		its_enable(f->its, true);
		assert_int_equal(mapd(f, end, ITTS, 1), 0x010801);
		assert_int_equal(mapd(f, UINT32_MAX, ITTS, 1), 0x010801);
		assert_int_equal(mapd(f, end - 1, ITTS, 1), 0);
		assert_true(*fixture_dword(f, DEVICE_TABLE + (end - 1) * 8ull) & ITS_ENTRY_VALID);
		assert_int_equal(mapti(f, end - 1, 1, 8192, 0), 0);
		stop(f);
	}
}

static void test_two_level(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct its_fixture *f = start(32);
		uint64_t page = shapes[i].page;
		uint32_t per_page = page / 8;
		uint32_t device = 5 * per_page + 3;

		its_set_baser(f->its, ITS_BASER_DEVICES,
			      GITS_BASER_VALID | GITS_BASER_INDIRECT | shapes[i].page_field |
				      DEVICE_TABLE);
		its_enable(f->its, true);
		assert_int_equal(mapc(f, 0, 1), 0);

		/*
		 * No second level yet: for MAPD the device is out of range, for the others it is
		 * not mapped.
		 */
		assert_int_equal(mapd(f, device, ITTS, 1), 0x010801);
		assert_int_equal(unmapd(f, device), 0);
		assert_int_equal(mapti(f, device, 0, 8192, 0), 0x010a04);
		assert_int_equal(its_translate(f->its, device, 0), 0x010304);

		*fixture_dword(f, DEVICE_TABLE + 5 * 8) = ITS_L1_VALID | L2_PAGES;
		assert_int_equal(mapd(f, device, ITTS, 1), 0);
		assert_true(*fixture_dword(f, L2_PAGES + 3 * 8) & ITS_ENTRY_VALID);
		assert_int_equal(mapti(f, device, 0, 8192, 0), 0);
		assert_int_equal(its_translate(f->its, device, 0), 0);
		assert_last_call(f, CALL_SET, 1, 0, 8192);

		/* The first level's end. */
		assert_int_equal(mapd(f, per_page * per_page - 1, ITTS, 1), 0x010801);
		*fixture_dword(f, DEVICE_TABLE + page - 8) = ITS_L1_VALID | L2_PAGES;
		assert_int_equal(mapd(f, per_page * per_page - 1, ITTS, 1), 0);
		if ((uint64_t)per_page * per_page <= UINT32_MAX)
			assert_int_equal(mapti(f, per_page * per_page, 0, 8192, 0), 0x010a01);

		/*
		 * Address bits below the page size are not part of it; outside of memory it aborts.
		 */
		*fixture_dword(f, DEVICE_TABLE + 6 * 8) = ITS_L1_VALID | 1ull << 51;
		assert_int_equal(mapd(f, 6 * per_page, ITTS, 1), 0x010841);
		f->broken = DEVICE_TABLE + 7 * 8;
		assert_int_equal(mapd(f, 7 * per_page, ITTS, 1), 0x010841);
		stop(f);
	}
}

static void test_two_level_collections(void **state)
{
	struct its_fixture *f = start(8);

	(void)state;
	its_set_baser(f->its, ITS_BASER_DEVICES, GITS_BASER_VALID | DEVICE_TABLE);
	its_set_baser(f->its, ITS_BASER_COLLECTIONS,
		      GITS_BASER_VALID | GITS_BASER_INDIRECT | COLLECTION_TABLE);
	its_enable(f->its, true);
	assert_int_equal(mapc(f, 600, 1), 0x010903);
	assert_int_equal(invall(f, 600), 0x010d09);
	*fixture_dword(f, COLLECTION_TABLE + 8) = ITS_L1_VALID | L2_PAGES;
	assert_int_equal(mapc(f, 600, 1), 0);
	assert_int_equal(invall(f, 600), 0);
	assert_last_call(f, CALL_INVALIDATE, 1, 0, 0);
	stop(f);
}

/* 64 KiB pages have address bits [51:48] in [15:12]. */
static void test_high_address(void **state)
{
	struct its_fixture *f = start(8);

	(void)state;
	its_set_baser(f->its, ITS_BASER_DEVICES,
		      GITS_BASER_VALID | GITS_BASER_PAGE_64K | DEVICE_TABLE | 0x1000);
	its_enable(f->its, true);
	assert_int_equal(mapd(f, 0, ITTS, 1), 0x010841);
	stop(f);
}

/* The device's number is limited by GITS_TYPER.Devbits, too. */
static void test_device_bits(void **state)
{
	struct its_fixture *f = start(4);

	(void)state;
	its_set_baser(f->its, ITS_BASER_DEVICES, GITS_BASER_VALID | DEVICE_TABLE);
	its_enable(f->its, true);
	assert_int_equal(mapd(f, 15, ITTS, 1), 0);
	assert_int_equal(mapd(f, 16, ITTS, 1), 0x010801);
	stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flat),
		cmocka_unit_test(test_two_level),
		cmocka_unit_test(test_two_level_collections),
		cmocka_unit_test(test_high_address),
		cmocka_unit_test(test_device_bits),
	};

	return cmocka_run_group_tests_name("arm/its_tables", tests, NULL, NULL);
}
