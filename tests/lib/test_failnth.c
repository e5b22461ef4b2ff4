/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call, every allocation and every eventfd of a whole VMM's life fails in turn.
 * Whatever happens, nothing is left behind, and the next try without a failure works.
 */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Linked with --wrap=calloc, --wrap=tsearch (which allocates, too) and --wrap=eventfd. */
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_tsearch(const void *key, void **root, int (*compare)(const void *a, const void *b));
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *a, const void *b));
int __real_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags);

static unsigned int allocations, fail_allocation, eventfds, fail_eventfd;

void *__wrap_calloc(size_t n, size_t size)
{
	return ++allocations == fail_allocation ? NULL : __real_calloc(n, size);
}

void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *a, const void *b))
{
	return ++allocations == fail_allocation ? NULL : __real_tsearch(key, root, compare);
}

int __wrap_eventfd(unsigned int count, int flags)
{
	if (++eventfds != fail_eventfd)
		return __real_eventfd(count, flags);
	errno = EMFILE;
	return -1;
}

static char memory[4096] __attribute__((aligned(4096)));

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	(void)route;
	return rig_fd(ctx, index);
}

static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };

/* Vectors without a virtual table: armed, moved, connected elsewhere, disarmed. */
static int use_vectors(struct rig *rig)
{
	struct db_msi_vector vectors[2] = {
		{ .address = GIOVA, .eventfd = rig_fd(rig, 0) },
		{ .address = GIOVA, .eventfd = rig_fd(rig, 1) },
	};
	int ret = db_msi_set(rig->msi, 0, 2, vectors);

	vectors[0].address = GIOVA + 0x1000;
	ret = ret ? ret : db_msi_set(rig->msi, 0, 2, vectors);
	vectors[0].eventfd = rig_fd(rig, 2);
	vectors[1] = (struct db_msi_vector){ .address = GIOVA + 0x1000, .eventfd = rig_fd(rig, 3) };
	ret = ret ? ret : db_msi_set(rig->msi, 0, 2, vectors);
	return ret ? ret : rig_clear(rig, 0, 2);
}

static int use_msix(struct rig *rig, enum db_mode mode)
{
	struct db_msi_config config = {
		.size = sizeof(config),
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
		ret = db_vmsix_control_write(vmsix, 0xc000);
	if (!ret)
		ret = db_vmsix_control_write(vmsix, 0x8000);
	if (!ret)
		ret = db_device_reset(rig->dev);
	if (!ret)
		ret = db_msi_restore(rig->msi);
	if (!ret)
		ret = db_vmsix_control_write(vmsix, 0);
	if (!ret)
		ret = use_vectors(rig);
	db_vmsix_destroy(vmsix);
	return ret;
}

static int use_msi(struct rig *rig, enum db_mode mode, bool fall_through)
{
	struct db_msi_config config = {
		.size = sizeof(config),
		.dev = rig->dev, .space = rig->space, .mode = mode, .kind = DB_MSI,
		.doorbell_ipa = 0x20090000, .fall_through = fall_through,
	};
	struct db_vmsi *vmsi = NULL;
	struct db_msi *msi;
	int ret;

	ret = db_msi_create(&config, &msi);
	if (ret)
		return ret;
	ret = db_vmsi_create(msi, &ops, rig, &vmsi);
	if (!ret)
		ret = db_vmsi_write(vmsi, 4, 4, 0xffff0040);
	if (!ret)
		ret = db_vmsi_write(vmsi, 2, 2, 1);
	if (!ret)
		ret = db_vmsi_write(vmsi, 2, 2, 0);
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
	ste[0] = 1 | 5 << 1 | 0x8000;
	if (!ret)
		ret = db_viommu_install_ste(rig->viommu, rig->dev, ste);
	if (!ret)
		ret = db_viommu_invalidate(rig->viommu, &cmd, 1, NULL);
	if (!ret)
		ret = db_viommu_events(rig->viommu, events, 1, &lost);
	return ret;
}

static int use_space(struct rig *rig, enum db_mode mode)
{
	int ret = db_space_map(rig->space, 0x40000000, memory, sizeof(memory), DB_READ | DB_WRITE);

	if (!ret && mode == DB_MODE_NATIVE)
		ret = db_space_map_doorbell(rig->space, rig->dev, 0x30000000);
	if (!ret && mode == DB_MODE_NATIVE)
		ret = db_space_unmap_doorbell(rig->space, rig->dev, 0x30000000);
	if (!ret)
		ret = db_space_map_file(rig->space, 0x50000000, 0, 0, 4096, DB_READ);
	if (!ret)
		ret = db_space_unmap(rig->space, 0x50000000, 4096);
	return ret ? ret : db_space_unmap(rig->space, 0x40000000, sizeof(memory));
}

static int use_device(struct rig *rig, enum db_mode mode)
{
	struct db_reserved regions[4];
	uint8_t bytes[2] = { 6, 0 };
	uint64_t size;
	ssize_t done = db_device_config_write(rig->dev, bytes, 2, 4);
	int ret;

	if (done >= 0)
		done = db_device_config_read(rig->dev, bytes, 2, 4);
	if (done >= 0)
		done = db_device_bar_size(rig->dev, 0, &size);
	if (done >= 0)
		done = db_device_reserved(rig->dev, regions, 4, sizeof(*regions));
	ret = done < 0 ? done : 0;
	if (!ret && mode == DB_MODE_NATIVE)
		ret = db_device_set_window(rig->dev, 0x9000000, 1 << 20);
	return ret;
}

static int life(struct rig *rig, enum db_mode mode, const char *driver)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	int ret;

	strcpy(rig->hw->driver, driver);
	ret = db_host_open(&rig->mock->sys, &rig->host);
	if (!ret)
		ret = db_device_open(rig->host, "0000:01:00.0", DB_OPEN_REBIND, &rig->dev);
	if (!ret)
		ret = db_device_caps(rig->dev, &caps);
	if (!ret)
		ret = use_device(rig, mode);
	if (!ret)
		ret = db_space_create(rig->host, &rig->space);
	if (!ret)
		ret = use_space(rig, mode);
	if (!ret)
		ret = use_viommu(rig);
	if (!ret)
		ret = use_msi(rig, mode == DB_MODE_NATIVE ? mode : DB_MODE_RMR, false);
	if (!ret && mode == DB_MODE_NATIVE)
		ret = use_msi(rig, mode, true);
	return ret ? ret : use_msix(rig, mode);
}

static void end(struct rig *rig)
{
	rig->mock->fail_call = 0;
	fail_allocation = 0;
	fail_eventfd = 0;
	rig_close(rig);
}

static const struct {
	enum db_mode mode;
	const char *driver;
	bool mock_native, not_mappable, noresize;
} lives[] = {
	{ DB_MODE_NATIVE, "nvme", .mock_native = true },
	{ DB_MODE_NATIVE, "vfio-pci", .mock_native = true, .not_mappable = true, .noresize = true },
	{ DB_MODE_STOCK, "vfio-pci", .mock_native = true },
	{ DB_MODE_STOCK, "vfio-pci", .noresize = true },
	{ DB_MODE_RMR, "" },
};

#define LIVES (sizeof(lives) / sizeof(*lives))

static void begin(struct rig *rig, unsigned int i)
{
	rig_init(rig);
	rig->mock->native = lives[i].mock_native;
	rig->hw->mappable = !lives[i].not_mappable;
	rig->hw->noresize = lives[i].noresize;
	rig->hw->msi = 4;
	/* Descriptors of the test's own are there beforehand. */
	for (unsigned int v = 0; v < 4; v++)
		rig_fd(rig, v);
	allocations = 0;
	eventfds = 0;
}

/* ENOTTY and EOPNOTSUPP too: what a host lacks must be told apart from what fails, and leave as
 * little behind. */
static void test_calls(void **state)
{
	static const int errors[] = { -ENOMEM, -EIO, -EOPNOTSUPP, -EINVAL, -EACCES, -ENODEV };
	const unsigned int n_errors = sizeof(errors) / sizeof(*errors);
	unsigned int i, n, calls, e, refused = 0;
	struct rig rig;
	int ret;

	(void)state;
	for (i = 0; i < LIVES; i++) {
		begin(&rig, i);
		assert_int_equal(life(&rig, lives[i].mode, lives[i].driver), 0);
		calls = rig.mock->calls;
		end(&rig);
		assert_in_range(calls, 50, 500);
		for (n = 1; n <= calls; n++) {
			for (e = 0; e < n_errors; e++) {
				begin(&rig, i);
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
	assert_in_range(refused, 500, n_errors * LIVES * 500);
}

/* Lets each of what @count counts in one life fail in turn, by @fail; how many there were. */
static unsigned int fail_each(unsigned int i, const unsigned int *count, unsigned int *fail,
			      int error)
{
	unsigned int n, all;
	struct rig rig;

	begin(&rig, i);
	assert_int_equal(life(&rig, lives[i].mode, lives[i].driver), 0);
	all = *count;
	end(&rig);
	for (n = 1; n <= all; n++) {
		begin(&rig, i);
		*fail = n;
		assert_int_equal(life(&rig, lives[i].mode, lives[i].driver), error);
		end(&rig);
	}
	return all;
}

static void test_allocations(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < LIVES; i++)
		assert_in_range(fail_each(i, &allocations, &fail_allocation, -ENOMEM), 10, 100);
}

static void test_eventfds(void **state)
{
	unsigned int i, all = 0;

	(void)state;
	for (i = 0; i < LIVES; i++)
		all += fail_each(i, &eventfds, &fail_eventfd, -EMFILE);
	assert_in_range(all, 2, 100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_eventfds),
		cmocka_unit_test(test_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
