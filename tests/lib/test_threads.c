/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several threads on the same objects: a device that raises interrupts, a guest that masks, unmasks
 * and re-programs, a vIOMMU that is written to. After the storm every interrupt that was raised has
 * been seen or is pending. For ThreadSanitizer too.
 */
#include "rig.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "abi/vfio.h"

#define VECTORS 8
#define ROUNDS 400

struct storm {
	struct rig rig;
	struct db_vmsix *vmsix;
	atomic_bool stop;
};

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct storm *storm = ctx;

	(void)route;
	return rig_fd(&storm->rig, index);
}

static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };

static void *raiser(void *arg)
{
	struct storm *storm = arg;
	unsigned int i = 0;

	/* Each at least once, however late this thread comes to run. */
	while (!atomic_load(&storm->stop) || i < VECTORS)
		mock_raise(storm->rig.mock, storm->rig.hw, i++ % VECTORS);
	return NULL;
}

static void *masker(void *arg)
{
	struct storm *storm = arg;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		db_vmsix_table_write(storm->vmsix, i % VECTORS * 16 + 12, 4, 1);
		db_vmsix_pba_read(storm->vmsix, 0, 8);
		db_vmsix_table_write(storm->vmsix, i % VECTORS * 16 + 8, 4, i);
		db_vmsix_table_write(storm->vmsix, i % VECTORS * 16 + 12, 4, 0);
		if (i % 50 == 0)
			db_vmsix_control_write(storm->vmsix, 0xc000);
		if (i % 50 == 0)
			db_vmsix_control_write(storm->vmsix, 0x8000);
	}
	return NULL;
}

static void *smmu_writer(void *arg)
{
	static const uint64_t cmds[3][2] = { { 0x12 }, { 0x30 }, { 0x46 } };
	struct storm *storm = arg;
	uint64_t ste[8] = { 0 }, events[4][4], lost;
	unsigned int i;
	uint8_t command[2];

	for (i = 0; i < ROUNDS; i++) {
		ste[0] = 1 | (i % 2 ? 4 : 5) << 1 | (uint64_t)(i % 3) << 12;
		assert_int_equal(db_viommu_install_ste(storm->rig.viommu, storm->rig.dev, ste), 0);
		assert_int_equal(db_viommu_invalidate(storm->rig.viommu, cmds, 3, NULL), 0);
		db_viommu_events(storm->rig.viommu, events, 4, &lost);
		command[0] = i % 2 ? 6 : 4;
		command[1] = 0;
		db_device_config_write(storm->rig.dev, command, 2, 4);
	}
	return NULL;
}

static void run(enum db_mode mode, bool mappable)
{
	void *(*const work[])(void *) = { raiser, masker, masker, smmu_writer };
	struct storm storm = { 0 };
	pthread_t threads[4];
	unsigned int i;

	rig_init(&storm.rig);
	storm.rig.mock->native = mode == DB_MODE_NATIVE;
	storm.rig.hw->mappable = mappable;
	rig_open(&storm.rig);
	rig_msi(&storm.rig, mode, DB_MSIX);
	if (mode != DB_MODE_RMR)
		storm.rig.hw->expect = GIOVA;
	assert_int_equal(db_vmsix_create(storm.rig.msi, &ops, &storm, &storm.vmsix), 0);
	for (i = 0; i < VECTORS; i++) {
		rig_fd(&storm.rig, i);
		assert_int_equal(db_vmsix_table_write(storm.vmsix, i * 16, 8, GIOVA), 0);
		assert_int_equal(db_vmsix_table_write(storm.vmsix, i * 16 + 12, 4, 0), 0);
	}
	assert_int_equal(db_vmsix_control_write(storm.vmsix, 0x8000), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work[i], &storm), 0);
	for (i = 1; i < 4; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&storm.stop, true);
	pthread_join(threads[0], NULL);
	/* Quiet now: each vector is unmasked, nothing is pending, and one more interrupt is one. */
	assert_int_equal(db_vmsix_pba_read(storm.vmsix, 0, 8), 0);
	assert_int_equal(storm.rig.hw->lost, 0);
	for (i = 0; i < VECTORS; i++) {
		assert_true(rig_take(&storm.rig, i) > 0);
		mock_raise(storm.rig.mock, storm.rig.hw, i);
		assert_int_equal(rig_take(&storm.rig, i), 1);
	}
	db_vmsix_destroy(storm.vmsix);
	rig_close(&storm.rig);
}

static void test_native(void **state)
{
	(void)state;
	run(DB_MODE_NATIVE, true);
}

static void test_native_collected(void **state)
{
	(void)state;
	run(DB_MODE_NATIVE, false);
}

static void test_stock(void **state)
{
	(void)state;
	run(DB_MODE_STOCK, true);
}

static void test_rmr(void **state)
{
	(void)state;
	run(DB_MODE_RMR, false);
}

struct rivals {
	struct rig rig;
	struct db_device *dev;
	struct db_viommu *viommu[2];
	atomic_uint next, joined;
};

/* Two vIOMMUs want the same device, which is the member of one of them at a time. */
static void *rival(void *arg)
{
	struct rivals *rivals = arg;
	struct db_viommu *mine = rivals->viommu[atomic_fetch_add(&rivals->next, 1)];
	uint64_t ste[8] = { 1 | 4 << 1 };
	unsigned int i;
	int ret;

	for (i = 0; i < ROUNDS; i++) {
		ret = db_viommu_add(mine, rivals->dev, 0x20);
		assert_true(!ret || ret == -EEXIST);
		assert_int_equal(db_viommu_install_ste(mine, rivals->dev, ste), ret ? -EINVAL : 0);
		atomic_fetch_add(&rivals->joined, !ret);
		db_viommu_remove(mine, rivals->dev);
	}
	return NULL;
}

static void test_rivals(void **state)
{
	struct rivals rivals = { 0 };
	pthread_t threads[2];
	unsigned int i;

	(void)state;
	rig_open(&rivals.rig);
	assert_int_equal(db_device_open(rivals.rig.host, "0000:02:00.0", 0, &rivals.dev), 0);
	rivals.viommu[0] = rivals.rig.viommu;
	assert_int_equal(db_viommu_create(rivals.rig.space, rivals.dev, &rivals.viommu[1]), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, rival, &rivals), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&rivals.joined) > 0);
	db_viommu_destroy(rivals.viommu[1]);
	db_device_close(rivals.dev);
	rig_close(&rivals.rig);
}

#define MANY (1u << 22)

static void *invalidator(void *arg)
{
	uint64_t (*cmds)[2] = calloc(MANY, 16);
	struct storm *storm = arg;
	unsigned int i;

	for (i = 0; i < MANY; i++)
		cmds[i][0] = 0x12;
	assert_int_equal(db_viommu_invalidate(storm->rig.viommu, (const uint64_t(*)[2])cmds, MANY,
					      NULL), 0);
	atomic_store(&storm->stop, true);
	free(cmds);
	return NULL;
}

static unsigned int invalidated(struct mock *mock)
{
	unsigned int n;

	pthread_mutex_lock(&mock->lock);
	n = mock->invalidated;
	pthread_mutex_unlock(&mock->lock);
	return n;
}

/* Whoever wants the vIOMMU does not wait for the end of another's array. */
static void test_fair(void **state)
{
	struct storm storm = { 0 };
	uint64_t events[1][4], lost;
	pthread_t thread;

	(void)state;
	rig_open(&storm.rig);
	assert_int_equal(pthread_create(&thread, NULL, invalidator, &storm), 0);
	while (!invalidated(storm.rig.mock))
		sched_yield();
	assert_int_equal(db_viommu_events(storm.rig.viommu, events, 1, &lost), 0);
	assert_true(invalidated(storm.rig.mock) < MANY);
	pthread_join(thread, NULL);
	assert_int_equal(invalidated(storm.rig.mock), MANY);
	rig_close(&storm.rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_native_collected),
		cmocka_unit_test(test_stock),
		cmocka_unit_test(test_rmr),
		cmocka_unit_test(test_rivals),
		cmocka_unit_test(test_fair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
