/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call and every allocation of a whole VMM's life fails in turn. Whatever happens,
 * nothing is left behind, and the next try without a failure works.
 */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Linked with --wrap=calloc. */
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static unsigned int allocations, fail_allocation;

void *__wrap_calloc(size_t n, size_t size)
{
	return ++allocations == fail_allocation ? NULL : __real_calloc(n, size);
}

static char memory[4096] __attribute__((aligned(4096)));

static int connect_vector(void *ctx, unsigned int index, uint64_t address, uint32_t data)
{
	(void)address;
	(void)data;
	return rig_fd(ctx, index);
}

static const struct db_msi_guest_ops ops = { .connect = connect_vector };

static int use_msix(struct rig *rig, enum db_mode mode)
{
	struct db_msi_config config = {
		.dev = rig->dev, .space = rig->space, .mode = mode, .kind = DB_MSIX
	};
	struct db_vmsix *vmsix = NULL;
	bool fixed;
	int ret;

	ret = db_msi_doorbell_ipa(rig->dev, mode, &fixed, &config.doorbell_ipa);
	if (ret)
		return ret;
	if (!fixed)
		config.doorbell_ipa = 0x20090000;
	ret = db_msi_create(&config, &rig->msi);
	if (ret)
		return ret;
	ret = db_vmsix_create(rig->msi, &ops, rig, &vmsix);
	if (!ret)
		ret = db_vmsix_table_write(vmsix, 0, 8, GIOVA);
	if (!ret)
		ret = db_vmsix_table_write(vmsix, 8, 8, 1);
	if (!ret)
		ret = db_vmsix_control_write(vmsix, 0x8000);
	if (!ret)
		ret = db_vmsix_table_write(vmsix, 16, 8, GIOVA);
	if (!ret)
		ret = db_vmsix_table_write(vmsix, 24, 8, 2);
	if (!ret)
		ret = db_vmsix_table_write(vmsix, 12, 4, 1);
	if (!ret)
		ret = db_vmsix_table_write(vmsix, 12, 4, 0);
	if (!ret)
		ret = db_device_reset(rig->dev);
	if (!ret)
		ret = db_msi_restore(rig->msi);
	db_vmsix_destroy(vmsix);
	return ret;
}

static int use_msi(struct rig *rig)
{
	struct db_msi_config config = {
		.dev = rig->dev, .space = rig->space, .mode = DB_MODE_RMR, .kind = DB_MSI
	};
	struct db_vmsi *vmsi = NULL;
	struct db_msi *msi;
	int ret;

	ret = db_msi_create(&config, &msi);
	if (ret)
		return ret;
	ret = db_vmsi_create(msi, &ops, rig, &vmsi);
	if (!ret)
		ret = db_vmsi_write(vmsi, 2, 2, 1);
	db_vmsi_destroy(vmsi);
	db_msi_destroy(msi);
	return ret;
}

static int use_viommu(struct rig *rig)
{
	static const uint64_t cmd[2] = { 0x10 };
	uint64_t ste[8] = { 1 | 5 << 1 | 0x4000 }, events[1][4], lost;
	int ret;

	ret = db_viommu_create(rig->space, rig->dev, &rig->viommu);
	if (!ret)
		ret = db_viommu_add(rig->viommu, rig->dev, 0x10);
	if (!ret)
		ret = db_viommu_install_ste(rig->viommu, rig->dev, ste);
	if (!ret)
		ret = db_viommu_invalidate(rig->viommu, &cmd, 1, NULL);
	if (!ret)
		ret = db_viommu_events(rig->viommu, events, 1, &lost);
	return ret;
}

static int life(struct rig *rig, enum db_mode mode, const char *driver)
{
	struct db_caps caps;
	int ret;

	strcpy(rig->hw->driver, driver);
	ret = db_host_open(&rig->mock->sys, &rig->host);
	if (!ret)
		ret = db_device_open(rig->host, "0000:01:00.0", DB_OPEN_REBIND, &rig->dev);
	if (!ret)
		ret = db_device_caps(rig->dev, &caps);
	if (!ret)
		ret = db_space_create(rig->host, &rig->space);
	if (!ret)
		ret = db_space_map(rig->space, 0x40000000, memory, sizeof(memory),
				   DB_READ | DB_WRITE);
	if (!ret)
		ret = use_viommu(rig);
	if (!ret)
		ret = use_msi(rig);
	return ret ? ret : use_msix(rig, mode);
}

static void end(struct rig *rig)
{
	rig->mock->fail_call = 0;
	fail_allocation = 0;
	rig_close(rig);
}

static const struct {
	enum db_mode mode;
	const char *driver;
} lives[] = {
	{ DB_MODE_NATIVE, "nvme" }, { DB_MODE_STOCK, "vfio-pci" }, { DB_MODE_RMR, "" },
};

/* ENOTTY and EOPNOTSUPP too: what a host lacks must be told apart from what fails, and leave as
 * little behind. */
static void test_calls(void **state)
{
	static const int errors[] = { -ENOMEM, -EIO, -EOPNOTSUPP, -EINVAL };
	unsigned int i, n, calls, e, refused = 0;
	struct rig rig;
	int ret;

	(void)state;
	for (i = 0; i < 3; i++) {
		rig_init(&rig);
		assert_int_equal(life(&rig, lives[i].mode, lives[i].driver), 0);
		calls = rig.mock->calls;
		end(&rig);
		assert_in_range(calls, 50, 500);
		for (n = 1; n <= calls; n++) {
			for (e = 0; e < 4; e++) {
				rig_init(&rig);
				rig.mock->fail_call = n;
				rig.mock->fail_error = errors[e];
				ret = life(&rig, lives[i].mode, lives[i].driver);
				assert_true(ret <= 0);
				refused += ret < 0;
				if (ret)
					assert_true(db_error_message()[0]);
				end(&rig);
				/* The driver is what it was, unless the failure was in putting it
				 * back. */
			}
		}
	}
	assert_in_range(refused, 300, 4 * 3 * 500);
}

static void test_allocations(void **state)
{
	unsigned int i, n, count;
	struct rig rig;

	(void)state;
	for (i = 0; i < 3; i++) {
		rig_init(&rig);
		allocations = 0;
		assert_int_equal(life(&rig, lives[i].mode, lives[i].driver), 0);
		count = allocations;
		end(&rig);
		assert_in_range(count, 10, 100);
		for (n = 1; n <= count; n++) {
			rig_init(&rig);
			allocations = 0;
			fail_allocation = n;
			assert_int_equal(life(&rig, lives[i].mode, lives[i].driver), -ENOMEM);
			end(&rig);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
