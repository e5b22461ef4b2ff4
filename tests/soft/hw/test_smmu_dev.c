/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's SMMU: stream tables of both shapes, entries replaced in use, batches of commands,
 * events.
 */
#include <errno.h>
#include <pthread.h>

#include "hw_fixture.h"

static int setup(void **state)
{
	*state = hw_create(DOORBELL_ITS);
	return 0;
}

static int teardown(void **state)
{
	hw_destroy(*state);
	return 0;
}

static struct smmu_dev *create(struct hw *hw, unsigned int sid_bits, bool two_level)
{
	struct smmu_dev_config config = { .bus = hw->bus, .sid_bits = sid_bits };

	hw_idr(config.idr);
	if (!two_level)
		config.idr[0] &= ~(uint32_t)SMMU_IDR0_ST_LEVEL;
	return smmu_dev_create(&config);
}

static int translate(struct smmu_dev *smmu, uint32_t sid, uint64_t addr, struct smmu_result *res)
{
	struct smmu_txn txn = { .sid = sid, .access = SMMU_WRITE, .addr = addr };
	int ret;

	hw_read_lock();
	ret = smmu_dev_translate(smmu, &txn, res);
	hw_read_unlock();
	return ret;
}

/* Every stream aborts, without an event where the table has an entry, until its own is written. */
static void test_shapes(void **state)
{
	static const unsigned int bits[] = { 0, 4, 6, 7, 10, 16 };
	struct hw *hw = *state;

	for (unsigned int i = 0; i < 2 * sizeof(bits) / sizeof(bits[0]); i++) {
		unsigned int sid_bits = bits[i / 2];
		uint32_t last = (1u << sid_bits) - 1;
		struct smmu_dev *smmu = create(hw, sid_bits, i % 2);
		struct smmu_result res;
		uint64_t ste[8];

		assert_non_null(smmu);
		assert_int_equal(translate(smmu, last, 0x1000, &res), -EFAULT);
		smmu_ste_bypass(ste);
		assert_int_equal(smmu_dev_write_ste(smmu, last + 1, ste), -ERANGE);
		assert_int_equal(smmu_dev_write_ste(smmu, last, ste), 0);
		assert_int_equal(translate(smmu, last, 0x123456, &res), 0);
		assert_int_equal(res.pa, 0x123456);
		assert_int_equal(translate(smmu, last + 1, 0x1000, &res), -EFAULT);
		if (last) {
			assert_int_equal(translate(smmu, last - 1, 0x1000, &res), -EFAULT);
			assert_int_equal(smmu_dev_write_ste(smmu, last - 1, ste), 0);
			assert_int_equal(translate(smmu, last - 1, 0x1000, &res), 0);
			/* And the neighbour still has its own. */
			assert_int_equal(translate(smmu, last, 0x1000, &res), 0);
		}
		smmu_ste_abort(ste);
		assert_int_equal(smmu_dev_write_ste(smmu, last, ste), 0);
		assert_int_equal(translate(smmu, last, 0x1000, &res), -EFAULT);
		smmu_dev_destroy(smmu);
	}
	/* More streams than the SMMU has. */
	assert_null(create(hw, 17, true));
}

static void test_commands(void **state)
{
	struct hw *hw = *state;
	const uint64_t cmds[4][2] = {
		{ SMMU_CMD_OP_SYNC, 0 },
		{ SMMU_CMD_OP_TLBI_NSNH_ALL, 0 },
		{ 0xff, 0 },
		{ SMMU_CMD_OP_SYNC, 0 },
	};
	size_t done;

	assert_int_equal(smmu_dev_commands(hw->smmu, cmds, 4, &done), SMMU_CERROR_ILL);
	assert_int_equal(done, 2);
	assert_int_equal(smmu_dev_commands(hw->smmu, cmds, 2, &done), 0);
	assert_int_equal(done, 2);
	assert_int_equal(smmu_dev_commands(hw->smmu, NULL, 0, &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(smmu_dev_idr(hw->smmu)[1], 16);
}

static void other_event(void *ctx, const struct smmu_event *event)
{
	(void)event;
	__atomic_fetch_add((uint64_t *)ctx, 1, __ATOMIC_RELAXED);
}

static void test_events(void **state)
{
	struct hw *hw = *state;
	struct smmu_result res;
	uint64_t others = 0;

	assert_int_equal(translate(hw->smmu, HW_SID, 0x1000, &res), -EFAULT);
	assert_int_equal(hw->events, 1);
	assert_int_equal(smmu_dev_set_event_handler(hw->smmu, other_event, &others), 0);
	assert_int_equal(translate(hw->smmu, HW_SID, 0x1000, &res), -EFAULT);
	assert_int_equal(hw->events, 1);
	assert_int_equal(others, 1);
	assert_int_equal(smmu_dev_set_event_handler(hw->smmu, NULL, NULL), 0);
	assert_int_equal(translate(hw->smmu, HW_SID, 0x1000, &res), -EFAULT);
	assert_int_equal(others, 1);
}

/* CD.A = 0: a fault gives zeroes and takes writes away, and the device sees no error. */
static void test_raz_wi(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 4, 0);
	struct smmu_cd_table ttb0 = { hw->s1.format, hw->s1.root };
	uint64_t cd[8], cd_ipa, ste[8];
	char data[10000];

	assert_int_equal(hw_guest_alloc(hw, 64, &cd_ipa), 0);
	smmu_cd_build(cd, &(struct smmu_cd){ .ttb0 = &ttb0, .asid = 1 });
	cd[0] &= ~(uint64_t)SMMU_CD_0_A;
	memcpy(hw_ipa(hw, cd_ipa), cd, sizeof(cd));
	smmu_ste_nested(
		ste, &(struct smmu_ste_s1){ .cd_table = cd_ipa },
		&(struct smmu_ste_s2){ .format = hw->s2.format, .root = hw->s2.root, .vmid = 1 });
	hw_set_ste(hw, HW_SID, ste);
	hw_bus_master(dev);

	memset(data, 0x5a, sizeof(data));
	assert_int_equal(pci_dma_read(dev, 0x1800, data, sizeof(data)), 0);
	for (unsigned int i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(pci_dma_write(dev, 0x1800, data, sizeof(data)), 0);
	assert_int_equal(hw->events, 6);
	pci_dev_destroy(dev);
}

/*
 * An entry of another shape, back and forth, while the stream is in use: old or new, never between.
 */
struct flip {
	struct hw *hw;
	struct smmu_dev *smmu;
	uint32_t stop, wrong;
};

static void *reader(void *arg)
{
	struct flip *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
		struct smmu_result res;
		int ret = translate(f->smmu, 9, GUEST_RAM, &res);

		/* Bypass, or stage 2. */
		if (ret || (res.pa != GUEST_RAM && res.pa != (uintptr_t)f->hw->ram))
			__atomic_fetch_add(&f->wrong, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void test_replaced_in_use(void **state)
{
	const uint64_t sync[1][2] = { { SMMU_CMD_OP_SYNC, 0 } };
	struct hw *hw = *state;
	struct flip f = { .hw = hw, .smmu = create(hw, 16, true) };
	uint64_t ste[2][8];
	pthread_t thread;

	smmu_ste_bypass(ste[0]);
	smmu_ste_s2(ste[1], &(struct smmu_ste_s2){
				    .format = hw->s2.format, .root = hw->s2.root, .vmid = 3 });
	assert_int_equal(smmu_dev_write_ste(f.smmu, 9, ste[0]), 0);
	assert_int_equal(pthread_create(&thread, NULL, reader, &f), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		assert_int_equal(smmu_dev_write_ste(f.smmu, 9, ste[i % 2]), 0);
		/* Others in the same part of the table come and go, too. */
		assert_int_equal(smmu_dev_write_ste(f.smmu, 10 + i % 40, ste[0]), 0);
		if (i % 3 == 0)
			assert_int_equal(smmu_dev_commands(f.smmu, sync, 1, NULL), 0);
	}
	__atomic_store_n(&f.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_equal(f.wrong, 0);
	smmu_dev_destroy(f.smmu);
}

static void *leave(void *arg)
{
	struct smmu_result res;

	translate(arg, 5, 0, &res);
	pci_thread_exit();
	pci_thread_exit();
	translate(arg, 5, 0, &res);
	return NULL;
}

/* A thread that forgot itself, one that ends registered: neither holds a grace period up. */
static void test_threads_end(void **state)
{
	struct hw *hw = *state;
	pthread_t thread;

	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(pthread_create(&thread, NULL, leave, hw->smmu), 0);
		pthread_join(thread, NULL);
		hw_invalidate_all(hw);
	}
}

#define with_hw(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_hw(test_shapes),
		with_hw(test_commands),
		with_hw(test_events),
		with_hw(test_raz_wi),
		with_hw(test_replaced_in_use),
		with_hw(test_threads_end),
	};

	return cmocka_run_group_tests_name("soft/hw/smmu_dev", tests, NULL, NULL);
}
