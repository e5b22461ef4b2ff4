/* SPDX-License-Identifier: BSD-2-Clause */
#include "rig.h"

#include <errno.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"

static void test_map(void **state)
{
	static char memory[8192] __attribute__((aligned(4096)));
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.mock->reserved_start = 0xfee00000;
	rig.mock->reserved_last = 0xfeefffff;
	rig_open(&rig);
	assert_int_equal(db_space_map(rig.space, 0x40000000, memory, 8192, DB_READ | DB_WRITE), 0);
	assert_int_equal(db_space_map(rig.space, 0x40001000, memory, 4096, DB_READ), -EADDRINUSE);
	assert_message_has("overlaps a mapping");
	assert_int_equal(db_space_map(rig.space, 0xfee00000, memory, 4096, DB_READ), -EADDRINUSE);
	assert_message_has("reserved region");
	assert_int_equal(db_space_map(rig.space, 0x40002001, memory, 4096, DB_READ), -EINVAL);
	assert_int_equal(db_space_map(rig.space, 0x40002000, memory, 0, DB_READ), -EINVAL);
	assert_int_equal(db_space_map(rig.space, ~0xfffull, memory, 8192, DB_READ), -EINVAL);
	assert_int_equal(db_space_map(rig.space, 0x40002000, memory, 4096, 0), -EINVAL);
	assert_int_equal(db_space_map(rig.space, 0x40002000, memory, 4096, 8), -EINVAL);
	assert_int_equal(db_space_map_file(rig.space, 0x40002000, 0, 0, 4096, 0), -EINVAL);
	assert_int_equal(db_space_map_file(rig.space, 0x40002000, 0, 0, 4096, DB_READ), 0);
	assert_int_equal(db_space_map_file(rig.space, 0x40002000, 0, 0, 4095, DB_READ), -EINVAL);
	mock_fail(rig.mock, IOMMU_IOAS_MAP, -EFAULT, 0);
	assert_int_equal(db_space_map(rig.space, 0x50000000, memory, 4096, DB_READ), -EFAULT);
	mock_fail(rig.mock, IOMMU_IOAS_MAP, -EINVAL, 0);
	assert_int_equal(db_space_map(rig.space, 0x50000000, memory, 4096, DB_READ), -EINVAL);
	mock_fail(rig.mock, IOMMU_IOAS_MAP, -EOVERFLOW, 0);
	assert_int_equal(db_space_map(rig.space, 0x50000000, memory, 4096, DB_READ), -EOVERFLOW);
	assert_int_equal(db_space_unmap(rig.space, 0x40000000, 4096), -ENOENT);
	assert_int_equal(db_space_unmap(rig.space, 0x40000000, 8192), 0);
	assert_int_equal(db_space_unmap(rig.space, 0x40000000, 8192), -ENOENT);
	assert_int_equal(db_space_unmap(rig.space, 0x40000001, 8192), -EINVAL);
	mock_fail(rig.mock, IOMMU_IOAS_UNMAP, -EBUSY, 0);
	assert_int_equal(db_space_unmap(rig.space, 0x40002000, 4096), -EBUSY);
	rig_close(&rig);
}

static void open_more(struct rig *rig, const char *address, struct db_device **dev)
{
	assert_int_equal(db_device_open(rig->host, address, 0, dev), 0);
}

static unsigned int doorbells(struct rig *rig)
{
	unsigned int i, n = 0;

	for (i = 0; i < 64; i++)
		n += rig->mock->mapping[i].used && rig->mock->mapping[i].doorbell;
	return n;
}

static void test_doorbell_shared(void **state)
{
	struct db_device *same, *other;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	open_more(&rig, "0000:02:00.0", &same);
	open_more(&rig, "0000:03:00.0", &other);
	mock_forget(rig.mock);
	assert_int_equal(db_space_map_doorbell(rig.space, rig.dev, 0x20090000), 0);
	assert_int_equal(db_space_map_doorbell(rig.space, same, 0x20090000), 0);
	/* Each call is ended by one of its own. */
	assert_int_equal(db_space_map_doorbell(rig.space, same, 0x20090000), 0);
	assert_int_equal(mock_count(rig.mock, IOMMU_IOAS_MAP_MSI), 1);
	assert_int_equal(db_space_map_doorbell(rig.space, other, 0x20090000), -EXDEV);
	assert_message_has("0000:03:00.0 signals through another physical doorbell");
	assert_int_equal(db_space_map_doorbell(rig.space, other, 0x20090001), -EINVAL);
	assert_int_equal(db_space_map_doorbell(rig.space, other, 0x200b0000), 0);
	assert_int_equal(doorbells(&rig), 2);
	/* RAM's unmap must not take it along. */
	assert_int_equal(db_space_unmap(rig.space, 0x20000000, 0x100000), -EBUSY);
	assert_int_equal(db_space_unmap_doorbell(rig.space, other, 0x20090000), -ENOENT);
	assert_int_equal(db_space_unmap_doorbell(rig.space, same, 0x20091000), -ENOENT);
	assert_int_equal(db_space_unmap_doorbell(rig.space, same, 0x20090000), 0);
	assert_int_equal(db_space_unmap_doorbell(rig.space, same, 0x20090000), 0);
	assert_int_equal(doorbells(&rig), 2);
	assert_int_equal(db_space_unmap_doorbell(rig.space, same, 0x20090000), -ENOENT);
	assert_int_equal(db_space_unmap_doorbell(rig.space, rig.dev, 0x20090000), 0);
	assert_int_equal(doorbells(&rig), 1);
	/* The space's end takes what is left. */
	db_device_close(same);
	db_viommu_remove(rig.viommu, rig.dev);
	db_viommu_destroy(rig.viommu);
	db_space_destroy(rig.space);
	rig.viommu = NULL;
	rig.space = NULL;
	db_device_close(other);
	rig_close(&rig);
}

/* The device that was first leaves first: nothing changes for the other one, not for a moment. */
static void test_doorbell_outlives_first(void **state)
{
	struct rig rig = { 0 };
	struct db_device *same;

	(void)state;
	rig_open(&rig);
	open_more(&rig, "0000:02:00.0", &same);
	assert_int_equal(db_space_map_doorbell(rig.space, same, 0x20090000), 0);
	assert_int_equal(db_space_map_doorbell(rig.space, rig.dev, 0x20090000), 0);
	mock_forget(rig.mock);
	assert_int_equal(db_space_unmap_doorbell(rig.space, same, 0x20090000), 0);
	db_device_close(same);
	assert_int_equal(mock_ioctls(rig.mock), 0);
	assert_int_equal(doorbells(&rig), 1);
	mock_fail(rig.mock, IOMMU_IOAS_UNMAP, -EBUSY, 0);
	assert_int_equal(db_space_unmap_doorbell(rig.space, rig.dev, 0x20090000), -EBUSY);
	assert_int_equal(db_space_unmap_doorbell(rig.space, rig.dev, 0x20090000), 0);
	assert_int_equal(doorbells(&rig), 0);
	rig_close(&rig);
}

static void test_doorbell_elsewhere(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.mock->page = 0x10000;
	rig_open(&rig);
	assert_int_equal(db_space_map_doorbell(rig.space, rig.dev, 0x20090000), 0);
	/* Half over the mapping of the same doorbell. */
	assert_int_equal(db_space_map_doorbell(rig.space, rig.dev, 0x20098000), -EADDRINUSE);
	assert_message_has("already stands at");
	assert_int_equal(db_space_unmap_doorbell(rig.space, rig.dev, 0x20090000), 0);
	mock_fail(rig.mock, IOMMU_GET_MSI_INFO, -ENOTTY, 0);
	assert_int_equal(db_space_map_doorbell(rig.space, rig.dev, 0x20090000), -EOPNOTSUPP);
	assert_message_has("linux/");
	mock_fail(rig.mock, IOMMU_GET_MSI_INFO, -EOPNOTSUPP, 0);
	assert_int_equal(db_space_map_doorbell(rig.space, rig.dev, 0x20090000), -EOPNOTSUPP);
	mock_fail(rig.mock, IOMMU_IOAS_MAP_MSI, -EADDRINUSE, 0);
	assert_int_equal(db_space_map_doorbell(rig.space, rig.dev, 0x20090000), -EADDRINUSE);
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_doorbell_shared),
		cmocka_unit_test(test_doorbell_outlives_first),
		cmocka_unit_test(test_doorbell_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
