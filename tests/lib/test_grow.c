/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs that are older or newer than the library: doorbell/api.h. */
#include "rig.h"

#include <errno.h>
#include <string.h>

/* Bytes that a program of tomorrow has behind today's struct. */
#define MORE 16

static void a_size_is_needed(void **state)
{
	struct db_msi_guest_ops ops = { 0 };
	struct db_msi_config config = { 0 };
	struct db_caps caps = { 0 };
	struct db_vmsix *vmsix;
	struct db_msi *msi;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(db_device_caps(rig.dev, &caps), -EINVAL);
	assert_int_equal(db_msi_create(&config, &msi), -EINVAL);
	assert_int_equal(db_vmsix_create(rig.msi, &ops, NULL, &vmsix), -EINVAL);
	assert_int_equal(db_device_reserved(rig.dev, NULL, 0, 0), -EINVAL);
	/* A size that does not hold itself is none. */
	caps.size = sizeof(caps.size) - 1;
	assert_int_equal(db_device_caps(rig.dev, &caps), -EINVAL);
	rig_close(&rig);
}

static void older_caps(void **state)
{
	struct db_caps whole = DB_SIZED(struct db_caps), old;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	memset(&old, 0xa5, sizeof(old));
	old.size = offsetof(struct db_caps, smmu);
	assert_int_equal(db_device_caps(rig.dev, &whole), 0);
	assert_int_equal(db_device_caps(rig.dev, &old), 0);
	assert_int_equal(old.size, offsetof(struct db_caps, smmu));
	assert_memory_equal(old.mode, whole.mode, sizeof(old.mode));
	/* Nothing is written beyond. */
	assert_int_equal(old.smmu.idr[0], 0xa5a5a5a5);
	assert_int_equal(old.page_size, 0xa5a5a5a5a5a5a5a5);
	rig_close(&rig);
}

static void newer_caps(void **state)
{
	struct {
		struct db_caps caps;
		uint8_t more[MORE];
	} newer;
	struct rig rig = { 0 };
	unsigned int i;

	(void)state;
	rig_open(&rig);
	memset(&newer, 0xa5, sizeof(newer));
	newer.caps.size = sizeof(newer);
	assert_int_equal(db_device_caps(rig.dev, &newer.caps), 0);
	assert_int_equal(newer.caps.size, sizeof(newer));
	assert_true(newer.caps.page_size);
	for (i = 0; i < MORE; i++)
		assert_int_equal(newer.more[i], 0);
	rig_close(&rig);
}

static void newer_config(void **state)
{
	struct {
		struct db_msi_config config;
		uint8_t more[MORE];
	} newer = { .config = { .mode = DB_MODE_RMR, .kind = DB_MSIX } };
	struct db_msi *msi;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	newer.config.size = sizeof(newer);
	newer.config.dev = rig.dev;
	newer.config.space = rig.space;
	newer.more[MORE - 1] = 1;
	assert_int_equal(db_msi_create(&newer.config, &msi), -E2BIG);
	newer.more[MORE - 1] = 0;
	assert_int_equal(db_msi_create(&newer.config, &msi), 0);
	db_msi_destroy(msi);
	rig_close(&rig);
}

static void elements(void **state)
{
	struct {
		struct db_reserved region;
		uint8_t more[MORE];
	} newer[2];
	uint64_t older[2][2];
	struct rig rig = { 0 };
	unsigned int i;
	int count;

	(void)state;
	rig_init(&rig);
	rig.mock->reserved_start = 0xfee00000;
	rig.mock->reserved_last = 0xfeefffff;
	rig_open(&rig);
	memset(newer, 0xa5, sizeof(newer));
	count = db_device_reserved(rig.dev, &newer[0].region, 2, sizeof(newer[0]));
	assert_int_equal(count, 2);
	for (i = 0; i < MORE; i++)
		assert_int_equal(newer[1].more[i], 0);
	assert_int_equal(db_device_reserved(rig.dev, (struct db_reserved *)older, 2,
					    sizeof(older[0])), count);
	for (i = 0; i < 2; i++) {
		assert_int_equal(older[i][0], newer[i].region.start);
		assert_int_equal(older[i][1], newer[i].region.last);
	}
	rig_close(&rig);
}

static void flags_to_come(void **state)
{
	struct db_msi_vector vector = { .address = 0xfffff040, .flags = 1 };
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	vector.eventfd = rig_fd(&rig, 0);
	assert_int_equal(db_msi_set(rig.msi, 0, 1, &vector), -EINVAL);
	assert_int_equal(rig.hw->trigger[0], -1);
	rig_close(&rig);
}

static void older_operations(void **state)
{
	const struct db_sys_ops *whole;
	struct rig rig = { 0 };
	struct db_sys_ops ops;
	struct db_host *host;

	(void)state;
	rig_open(&rig);
	whole = rig.mock->sys.ops;
	ops = *whole;
	ops.size = offsetof(struct db_sys_ops, release);
	rig.mock->sys.ops = &ops;
	assert_int_equal(db_host_open(&rig.mock->sys, &host), -EINVAL);
	rig.mock->sys.ops = whole;
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_size_is_needed),
		cmocka_unit_test(older_caps),
		cmocka_unit_test(newer_caps),
		cmocka_unit_test(newer_config),
		cmocka_unit_test(elements),
		cmocka_unit_test(flags_to_come),
		cmocka_unit_test(older_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
