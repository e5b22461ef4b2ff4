/* SPDX-License-Identifier: BSD-2-Clause */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"

#define STE_S1(ptr) (1ull | 5ull << 1 | (ptr))
#define STE_BYPASS (1ull | 4ull << 1)

static const uint64_t *attached_ste(struct rig *rig, unsigned int device)
{
	struct mock_object *object =
		mock_find(rig->mock, rig->mock->device[device].attached, MOCK_NESTED);

	assert_non_null(object);
	return object->ste;
}

static int install(struct rig *rig, uint64_t low, uint64_t high)
{
	uint64_t ste[8] = { low, high, 0x1234 };

	return db_viommu_install_ste(rig->viommu, rig->dev, ste);
}

static void test_starts_aborted(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	assert_int_equal(attached_ste(&rig, 0)[0], 1);
	assert_int_equal(attached_ste(&rig, 0)[1], 0);
	db_viommu_remove(rig.viommu, rig.dev);
	assert_int_equal(rig.hw->attached, 0);
	/* Not a member any more. */
	assert_int_equal(install(&rig, STE_BYPASS, 0), -EINVAL);
	db_viommu_remove(rig.viommu, rig.dev);
	rig_close(&rig);
}

static void test_install(void **state)
{
	struct rig rig = { 0 };
	uint32_t first;

	(void)state;
	rig_open(&rig);
	mock_forget(rig.mock);
	assert_int_equal(install(&rig, STE_S1(0x1000), 0x40), 0);
	assert_int_equal(attached_ste(&rig, 0)[0], STE_S1(0x1000));
	assert_int_equal(attached_ste(&rig, 0)[1], 0x40);
	assert_int_equal(mock_ioctls(rig.mock), 2);
	first = rig.hw->attached;
	/* Equal in all that reaches hardware: it stays. SHCFG, STRW, MEV and dword 2 do not. But
	 * the CDs go that are cached under it. */
	mock_forget(rig.mock);
	assert_int_equal(install(&rig, STE_S1(0x1000), 0x40 | 1ull << 44 | 1ull << 19), 0);
	assert_int_equal(mock_ioctls(rig.mock), 1);
	assert_int_equal(mock_count(rig.mock, IOMMU_HWPT_INVALIDATE), 1);
	assert_int_equal(rig.mock->last_command[0], 0x06 | 0x10ull << 32);
	mock_fail(rig.mock, IOMMU_HWPT_INVALIDATE, -EIO, 0);
	assert_int_equal(install(&rig, STE_S1(0x1000), 0x40), -EIO);
	assert_message_has("StreamID 0x10");
	/* There and back: the old HWPT is found again. */
	assert_int_equal(install(&rig, STE_BYPASS, 0x40), 0);
	assert_int_equal(attached_ste(&rig, 0)[0], STE_BYPASS);
	assert_int_equal(attached_ste(&rig, 0)[1], 0);
	mock_forget(rig.mock);
	assert_int_equal(install(&rig, STE_S1(0x1000), 0x40), 0);
	assert_int_equal(rig.hw->attached, first);
	assert_int_equal(mock_ioctls(rig.mock), 1);
	/* Invalid and all kinds of abort are one. */
	assert_int_equal(install(&rig, 0, 0), 0);
	assert_int_equal(attached_ste(&rig, 0)[0], 1);
	mock_forget(rig.mock);
	assert_int_equal(install(&rig, 1 | 3 << 1, 0), 0);
	assert_int_equal(install(&rig, STE_S1(0x2000) & ~1ull, 0), 0);
	assert_int_equal(mock_ioctls(rig.mock), 0);
	rig_close(&rig);
}

/* A guest that goes through many STEs does not make the kernel keep them all. */
static void test_install_many(void **state)
{
	struct rig rig = { 0 };
	unsigned int i, alive = 0;

	(void)state;
	rig_open(&rig);
	for (i = 1; i <= 100; i++)
		assert_int_equal(install(&rig, STE_S1(i * 0x10000), 0), 0);
	for (i = 0; i < MOCK_OBJECTS; i++)
		alive += rig.mock->object[i].type == MOCK_NESTED;
	assert_in_range(alive, 2, 8);
	rig_close(&rig);
}

static void test_fails_closed(void **state)
{
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	assert_int_equal(install(&rig, STE_BYPASS, 0), 0);
	/* Stage 2 of its own is not the guest's to have. */
	assert_int_equal(install(&rig, 1 | 6 << 1, 0), -EIO);
	assert_message_has("StreamID 0x10");
	assert_int_equal(attached_ste(&rig, 0)[0], 1);
	/* The driver finds it illegal. */
	assert_int_equal(install(&rig, STE_BYPASS, 0), 0);
	assert_int_equal(install(&rig, STE_S1(0xbad000), 0), -EIO);
	assert_int_equal(attached_ste(&rig, 0)[0], 1);
	/* The attach fails. */
	assert_int_equal(install(&rig, STE_BYPASS, 0), 0);
	mock_fail(rig.mock, VFIO_DEVICE_ATTACH_IOMMUFD_PT, -EBUSY, 0);
	assert_int_equal(install(&rig, STE_S1(0x1000), 0), -EBUSY);
	assert_int_equal(attached_ste(&rig, 0)[0], 1);
	/* Even aborting fails: detached. */
	assert_int_equal(install(&rig, STE_BYPASS, 0), 0);
	rig.mock->fail_request_stays = true;
	mock_fail(rig.mock, VFIO_DEVICE_ATTACH_IOMMUFD_PT, -EBUSY, 0);
	assert_int_equal(install(&rig, STE_S1(0x1000), 0), -EBUSY);
	assert_int_equal(rig.hw->attached, 0);
	assert_int_equal(install(&rig, STE_S1(0x1000), 0), -EBUSY);
	rig.mock->fail_request_error = 0;
	/* And it recovers. */
	assert_int_equal(install(&rig, STE_S1(0x1000), 0), 0);
	assert_int_equal(attached_ste(&rig, 0)[0], STE_S1(0x1000));
	rig_close(&rig);
}

static void test_members(void **state)
{
	struct db_device *second, *far;
	struct db_viommu *other;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	assert_int_equal(db_device_open(rig.host, "0000:02:00.0", 0, &second), 0);
	assert_int_equal(db_device_open(rig.host, "0001:01:00.0", 0, &far), 0);
	assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x11), -EEXIST);
	assert_int_equal(db_viommu_add(rig.viommu, second, 0x10), -EEXIST);
	assert_int_equal(db_viommu_add(rig.viommu, far, 0x12), -EINVAL);
	assert_message_has("another SMMU");
	/* Same space, another SMMU: a nest parent of its own. The next vIOMMU of the first SMMU
	 * shares its parent. */
	mock_forget(rig.mock);
	assert_int_equal(db_viommu_create(rig.space, far, &other), 0);
	assert_int_equal(mock_count(rig.mock, IOMMU_HWPT_ALLOC), 2);
	assert_int_equal(db_viommu_add(other, far, 0x10), 0);
	assert_int_equal(db_viommu_install_ste(rig.viommu, far, (uint64_t[8]) { STE_BYPASS }),
			 -EINVAL);
	db_viommu_remove(rig.viommu, far);
	assert_int_not_equal(far ? rig.mock->device[3].attached : 0, 0);
	db_viommu_remove(other, far);
	db_viommu_destroy(other);
	mock_forget(rig.mock);
	assert_int_equal(db_viommu_create(rig.space, second, &other), 0);
	assert_int_equal(mock_count(rig.mock, IOMMU_HWPT_ALLOC), 1);
	db_viommu_destroy(other);
	/* Two devices with the same STE share the HWPT. */
	assert_int_equal(db_viommu_add(rig.viommu, second, 0x10 + 64), 0);
	assert_int_equal(install(&rig, STE_BYPASS, 0), 0);
	assert_int_equal(db_viommu_install_ste(rig.viommu, second, (uint64_t[8]){ STE_BYPASS }), 0);
	assert_int_equal(rig.mock->device[1].attached, rig.hw->attached);
	db_viommu_remove(rig.viommu, second);
	db_device_close(second);
	db_device_close(far);
	rig_close(&rig);
}

/* The vIOMMU does not need the device that it was made with. */
static void test_first_leaves(void **state)
{
	struct db_device *second;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	assert_int_equal(db_device_open(rig.host, "0000:02:00.0", 0, &second), 0);
	assert_int_equal(db_viommu_add(rig.viommu, second, 0x20), 0);
	db_viommu_remove(rig.viommu, rig.dev);
	db_device_close(rig.dev);
	assert_int_equal(db_viommu_install_ste(rig.viommu, second,
					       (uint64_t[8]){ STE_S1(0x3000) }), 0);
	assert_int_equal(attached_ste(&rig, 1)[0], STE_S1(0x3000));
	db_viommu_remove(rig.viommu, second);
	/* It comes back. */
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &rig.dev), 0);
	assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x10), 0);
	assert_int_equal(install(&rig, STE_S1(0x4000), 0), 0);
	db_device_close(second);
	rig_close(&rig);
}

static void test_create_refused(void **state)
{
	struct db_viommu *viommu;
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	assert_int_equal(db_host_open(&rig.mock->sys, &rig.host), 0);
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &rig.dev), 0);
	assert_int_equal(db_space_create(rig.host, &rig.space), 0);
	rig.mock->nesting = false;
	assert_int_equal(db_viommu_create(rig.space, rig.dev, &viommu), -EOPNOTSUPP);
	assert_message_has("CANWBS");
	rig.mock->nesting = true;
	rig.mock->no_eventq = true;
	assert_int_equal(db_viommu_create(rig.space, rig.dev, &viommu), -ENOTTY);
	rig.mock->no_eventq = false;
	mock_fail(rig.mock, IOMMU_VIOMMU_ALLOC, -ENOTTY, 0);
	assert_int_equal(db_viommu_create(rig.space, rig.dev, &viommu), -ENOTTY);
	assert_message_has("6.15");
	mock_fail(rig.mock, IOMMU_HWPT_ALLOC, -EOPNOTSUPP, 0);
	assert_int_equal(db_viommu_create(rig.space, rig.dev, &viommu), -EOPNOTSUPP);
	assert_message_has("both stages");
	mock_fail(rig.mock, IOMMU_HWPT_ALLOC, -EADDRINUSE, 0);
	assert_int_equal(db_viommu_create(rig.space, rig.dev, &viommu), -EADDRINUSE);
	/* Memory where the window is: said at the first attach. */
	assert_int_equal(db_space_map(rig.space, MOCK_WINDOW, rig.mock, 4096, DB_READ), 0);
	assert_int_equal(db_viommu_create(rig.space, rig.dev, &rig.viommu), 0);
	assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 1), -EADDRINUSE);
	assert_message_has("db_device_set_window");
	rig_close(&rig);
}

static const uint64_t sync_cmd[2] = { 0x46 };

static void test_invalidate(void **state)
{
	const uint64_t cmds[][2] = {
		{ 0x12 | 5ull << 48 | 7ull << 32, 0x1000 | 1 },	  /* TLBI_NH_VA */
		{ 0x03 | 0x10ull << 32 },			  /* CFGI_STE: the VMM's */
		{ 0x05 | 0x10ull << 32 | 3 << 12, 1 },		  /* CFGI_CD */
		{ 0x06 | 0x99ull << 32 },			  /* CFGI_CD_ALL of no device */
		{ 0x40 | 0x10ull << 32 | 1 << 11 | 2 << 12, 52 }, /* ATC_INV */
		{ 0x30 },					  /* TLBI_NSNH_ALL */
		{ 0x01 | 0x10ull << 32 },			  /* PREFETCH_CONFIG */
		{ 0x11 | 5ull << 48 },
		{ 0x10 },
		{ 0x13 | 3 << 12 | 2 << 20, 0x2000 | 1 << 10 | 3 << 8 },
		{ 0x46 },
	};
	struct rig rig = { 0 };
	size_t done = 99;

	(void)state;
	rig_open(&rig);
	mock_forget(rig.mock);
	assert_int_equal(db_viommu_invalidate(rig.viommu, cmds, 11, &done), 0);
	assert_int_equal(done, 11);
	assert_int_equal(mock_ioctls(rig.mock), 1);
	assert_int_equal(rig.mock->invalidated, 7);
	assert_int_equal(rig.mock->last_command[0], cmds[9][0]);
	/* Nothing to do: no ioctl. */
	mock_forget(rig.mock);
	assert_int_equal(db_viommu_invalidate(rig.viommu, &sync_cmd, 1, NULL), 0);
	assert_int_equal(db_viommu_invalidate(rig.viommu, NULL, 0, &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(mock_ioctls(rig.mock), 0);
	rig_close(&rig);
}

static void test_invalidate_batches(void **state)
{
	uint64_t (*cmds)[2] = calloc(1300, 16);
	struct rig rig = { 0 };
	unsigned int i;
	size_t done;

	(void)state;
	for (i = 0; i < 1300; i++)
		cmds[i][0] = i % 10 ? 0x12 : 0x46;
	rig_open(&rig);
	assert_int_equal(db_viommu_invalidate(rig.viommu, (const uint64_t(*)[2])cmds, 1300, &done),
			 0);
	assert_int_equal(rig.mock->invalidated, 1170);
	assert_int_equal(rig.mock->invalidate_calls, 3);
	/* An erratum asks for each twice. */
	rig_close(&rig);
	rig = (struct rig){ 0 };
	rig_init(&rig);
	rig.mock->repeat = true;
	rig_open(&rig);
	assert_int_equal(db_viommu_invalidate(rig.viommu, (const uint64_t(*)[2])cmds, 300, &done),
			 0);
	assert_int_equal(rig.mock->invalidated, 540);
	rig_close(&rig);
	free(cmds);
}

static void test_invalidate_illegal(void **state)
{
	static const uint64_t illegal[][2] = {
		{ 0x2a },			/* TLBI_S2_IPA */
		{ 0x20 },			/* TLBI_EL2_ALL */
		{ 0x44 },			/* RESUME */
		{ 0xff },
		{ 0x12 | 1 << 8, 0 },		/* a reserved bit */
		{ 0x12, 1 << 1 },
		{ 0x30 | 1ull << 32, 0 },
		{ 0x10, 1 },
		{ 0x06 | 0x10ull << 32 | 1 << 10 },	/* Secure */
		{ 0x46 | 3 << 12 },		/* CMD_SYNC with a Reserved CS */
		/* Ranges without a granule. */
		{ 0x12 | 1 << 12, 0x1000 },
		{ 0x12 | 1 << 20, 0x1000 },
		{ 0x13, 0x1000 | 1 << 8 },
		/* A granule without a range or level, for each granule. */
		{ 0x12, 0x1000 | 1 << 10 },
		{ 0x12, 0x4000 | 2 << 10 },
		{ 0x13, 0x10000 | 3 << 10 },
		/* 16K at level 1. */
		{ 0x12 | 1 << 12, 0x4000 | 2 << 10 | 1 << 8 },
		/* ATC_INV of more than there is. */
		{ 0x40 | 0x10ull << 32, 53 },
	};
	uint64_t cmds[4][2] = { { 0x12 }, { 0x46 }, { 0 }, { 0x12 } };
	struct rig rig = { 0 };
	unsigned int i;
	size_t done;

	(void)state;
	rig_open(&rig);
	for (i = 0; i < sizeof(illegal) / sizeof(illegal[0]); i++) {
		memcpy(cmds[2], illegal[i], 16);
		rig.mock->invalidated = 0;
		assert_int_equal(db_viommu_invalidate(rig.viommu, (const uint64_t(*)[2])cmds, 4,
						      &done),
				 -EIO);
		assert_message_has("CERROR_ILL");
		assert_int_equal(done, 2);
		/* Those before it were executed. */
		assert_int_equal(rig.mock->invalidated, 1);
	}
	rig_close(&rig);
}

/* No ATS, ASIDs of 8 bits, no substreams, no ranges: what an SMMU lacks is reserved in its
 * commands. */
static void test_invalidate_features(void **state)
{
	static const uint64_t cmds[][2] = {
		{ 0x40 | 0x10ull << 32 },
		{ 0x12 | 0x100ull << 48 },
		{ 0x05 | 0x10ull << 32 | 1 << 12 },
		{ 0x12, 1 << 10 },
	};
	struct rig rig = { 0 };
	unsigned int i;

	(void)state;
	rig_init(&rig);
	mock_fail(rig.mock, IOMMU_GET_HW_INFO, -EOPNOTSUPP, 0);
	rig_open(&rig);
	for (i = 0; i < 4; i++)
		assert_int_equal(db_viommu_invalidate(rig.viommu, &cmds[i], 1, NULL), -EIO);
	rig_close(&rig);
}

static void test_invalidate_kernel_refuses(void **state)
{
	uint64_t cmds[6][2] = { { 0x12 }, { 0x46 }, { 0x12 }, { 0x12 }, { 0x12 }, { 0x46 } };
	struct rig rig = { 0 };
	size_t done;

	(void)state;
	rig_open(&rig);
	/* The third that the kernel sees is the caller's fourth; the two before are sent again,
	 * since it may not have sent them. */
	rig.mock->invalidate_bad = 2;
	assert_int_equal(db_viommu_invalidate(rig.viommu, (const uint64_t(*)[2])cmds, 6, &done),
			 -EIO);
	assert_int_equal(done, 3);
	assert_int_equal(rig.mock->invalidated, 2);
	assert_int_equal(rig.mock->invalidate_calls, 2);
	/* It does not say how far it came, or cannot send again: nothing counts as done. */
	rig.mock->invalidate_bad = -1;
	mock_fail(rig.mock, IOMMU_HWPT_INVALIDATE, -ENOMEM, 0);
	assert_int_equal(db_viommu_invalidate(rig.viommu, (const uint64_t(*)[2])cmds, 6, &done),
			 -ENOMEM);
	assert_int_equal(done, 0);
	rig.mock->invalidate_bad = 2;
	mock_fail(rig.mock, IOMMU_HWPT_INVALIDATE, -EIO, 1);
	assert_int_equal(db_viommu_invalidate(rig.viommu, (const uint64_t(*)[2])cmds, 6, &done),
			 -EIO);
	assert_int_equal(done, 0);
	rig_close(&rig);
}

static void test_events(void **state)
{
	uint64_t events[48][4], lost;
	struct rig rig = { 0 };
	unsigned int i;

	(void)state;
	rig_open(&rig);
	assert_true(db_viommu_event_fd(rig.viommu) >= 0);
	assert_int_equal(db_viommu_events(rig.viommu, events, 48, &lost), 0);
	assert_int_equal(lost, 0);
	mock_add_event(rig.mock, false, 0, 0x10);
	mock_add_event(rig.mock, false, 1, 0x11);
	assert_int_equal(db_viommu_events(rig.viommu, events, 48, &lost), 2);
	assert_int_equal(lost, 0);
	assert_int_equal(events[0][0], 0x10);
	assert_int_equal(events[1][0], 0x11);
	assert_int_equal(events[1][3], 3);
	/* Two lost in between, then three at the end, the last of which the
	 * bare header stands for. */
	mock_add_event(rig.mock, false, 4, 0x12);
	mock_add_event(rig.mock, true, 7, 0);
	assert_int_equal(db_viommu_events(rig.viommu, events, 48, &lost), 1);
	assert_int_equal(lost, 5);
	mock_add_event(rig.mock, false, 8, 0x13);
	assert_int_equal(db_viommu_events(rig.viommu, events, 48, &lost), 1);
	assert_int_equal(lost, 0);
	/* More than fits, in several reads and calls. */
	for (i = 0; i < 50; i++)
		mock_add_event(rig.mock, false, 9 + i, i);
	assert_int_equal(db_viommu_events(rig.viommu, events, 48, &lost), 48);
	assert_int_equal(events[47][0], 47);
	assert_int_equal(db_viommu_events(rig.viommu, events, 48, &lost), 2);
	assert_int_equal(lost, 0);
	assert_int_equal(db_viommu_events(rig.viommu, events, 0, &lost), 0);
	rig_close(&rig);
}

static void test_events_fail(void **state)
{
	uint64_t events[4][4], lost;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig.mock->fail_error = -EIO;
	rig.mock->fail_call = rig.mock->calls + 1;
	assert_int_equal(db_viommu_events(rig.viommu, events, 4, &lost), -EIO);
	rig.mock->fail_error = -EAGAIN;
	rig.mock->fail_call = rig.mock->calls + 1;
	assert_int_equal(db_viommu_events(rig.viommu, events, 4, &lost), 0);
	/* A record that is cut off. */
	mock_add_event(rig.mock, false, 0, 0x10);
	rig.mock->events_len -= 8;
	assert_int_equal(db_viommu_events(rig.viommu, events, 4, &lost), 0);
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_aborted),
		cmocka_unit_test(test_install),
		cmocka_unit_test(test_install_many),
		cmocka_unit_test(test_fails_closed),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_first_leaves),
		cmocka_unit_test(test_create_refused),
		cmocka_unit_test(test_invalidate),
		cmocka_unit_test(test_invalidate_batches),
		cmocka_unit_test(test_invalidate_illegal),
		cmocka_unit_test(test_invalidate_features),
		cmocka_unit_test(test_invalidate_kernel_refuses),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_events_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
