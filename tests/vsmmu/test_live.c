/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual SMMU under traffic: a device copies without pause and an emulated one translates,
 * while the guest changes entries, CDs and tables, fills its queue, and another device is plugged
 * in and out. What is mapped throughout never fails; what is unmapped is gone when the CMD_SYNC is
 * complete. TRUST_MILLIONS says how long, as in tests/trust.
 */
#include "guest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "soft/endpoints/bell.h"

#define SID 8u
#define OTHER 16u
#define EMULATED 24u
#define IOVA 0x100000000ull
#define SCRATCH 0x200000000ull
#define SRC (RAM_IPA + 0x700000)
#define DST (RAM_IPA + 0x710000)
#define CMD_CFGI_STE(sid) (SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid))
#define CMD_TLBI_VA(asid) (SMMU_CMD_OP_TLBI_NH_VA | FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, asid))

struct live {
	struct guest g;
	struct db_sys *sys;
	struct db_host *host;
	struct db_space *space;
	struct db_device *dev, *other;
	struct stream first, second;	/* two stage 1 for SID, alike at IOVA */
	struct stream emulated;
	atomic_bool stop;
	atomic_ulong copies, translations;
	_Atomic(const char *) wrong;
};

static int copy(struct db_device *dev, uint64_t src, uint64_t dst)
{
	uint32_t len = 4096, go = ~0u, status = ~0u;

	db_device_bar_write(dev, 0, &src, 8, BELL_SRC);
	db_device_bar_write(dev, 0, &dst, 8, BELL_DST);
	db_device_bar_write(dev, 0, &len, 4, BELL_LEN);
	db_device_bar_write(dev, 0, &go, 4, BELL_GO);
	db_device_bar_read(dev, 0, &status, 4, BELL_STATUS);
	return status;
}

static void *copier(void *arg)
{
	struct live *l = arg;

	while (!atomic_load(&l->stop)) {
		if (copy(l->dev, IOVA, IOVA + 0x10000))
			atomic_store(&l->wrong, "a copy was aborted");
		atomic_fetch_add(&l->copies, 1);
	}
	return NULL;
}

static void *translator(void *arg)
{
	struct live *l = arg;
	unsigned int token;
	uint64_t ipa;

	while (!atomic_load(&l->stop)) {
		token = db_vsmmu_access_begin(l->g.vsmmu);
		if (guest_translate(&l->g, EMULATED, IOVA, DB_VSMMU_WRITE, &ipa) || ipa != SRC)
			atomic_store(&l->wrong, "a translation failed");
		db_vsmmu_access_end(l->g.vsmmu, token);
		atomic_fetch_add(&l->translations, 1);
		sched_yield();
	}
	return NULL;
}

static void open_live(struct live *l)
{
	static const char machine[] = "device 0000:01:00.0 bell\ndevice 0000:02:00.0 bell\n";
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct db_vsmmu_config config = DB_SIZED(struct db_vsmmu_config);
	uint8_t command[2] = { 6 };

	memset(l, 0, sizeof(*l));
	guest_init(&l->g);
	assert_int_equal(db_soft_host_create(machine, sizeof(machine) - 1, &l->sys), 0);
	assert_int_equal(db_host_open(l->sys, &l->host), 0);
	assert_int_equal(db_device_open(l->host, "0000:01:00.0", 0, &l->dev), 0);
	assert_int_equal(db_device_open(l->host, "0000:02:00.0", 0, &l->other), 0);
	assert_int_equal(db_device_config_write(l->dev, command, 2, 4), 2);
	assert_int_equal(db_device_caps(l->dev, &caps), 0);
	assert_int_equal(db_space_create(l->host, &l->space), 0);
	assert_int_equal(db_space_map(l->space, RAM_IPA, l->g.ram, RAM_SIZE, DB_READ | DB_WRITE),
			 0);
	config.space = l->space;
	config.host = &caps.smmu;
	guest_create(&l->g, &config);
	assert_int_equal(db_vsmmu_add_device(l->g.vsmmu, l->dev, SID), 0);
	assert_int_equal(db_vsmmu_add_emulated(l->g.vsmmu, EMULATED), 0);
	guest_start(&l->g, true);
	stream_init(&l->second, &l->g, SID, 12, 2);
	stream_init(&l->first, &l->g, SID, 12, 1);
	stream_init(&l->emulated, &l->g, EMULATED, 12, 3);
	stream_map(&l->first, IOVA, SRC, 0x20000);
	stream_map(&l->second, IOVA, SRC, 0x20000);
	stream_map(&l->emulated, IOVA, SRC, 4096);
}

static void close_live(struct live *l)
{
	db_vsmmu_destroy(l->g.vsmmu);
	l->g.vsmmu = NULL;
	db_space_destroy(l->space);
	db_device_close(l->other);
	db_device_close(l->dev);
	db_host_close(l->host);
	l->sys->ops->release(l->sys);
	guest_fini(&l->g);
}

/* The stream gets the other stage 1; the entry is replaced while the device uses it. */
static void switch_entry(struct live *l, unsigned int round)
{
	guest_set_ste(&l->g, SID, round % 2 ? l->second.ste : l->first.ste);
	guest_do(&l->g, CMD_CFGI_STE(SID), 1);
}

/* A page comes and goes, for both devices. */
static void scratch(struct live *l)
{
	struct stream *streams[] = { &l->first, &l->emulated };
	uint64_t freed, ipa;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		uint64_t used = l->g.used;

		stream_map(streams[i], SCRATCH, DST, 4096);
		if (i)
			assert_int_equal(guest_translate(&l->g, EMULATED, SCRATCH, 0, &ipa), 0);
		freed = 0;
		assert_int_equal(vmsa_unmap(&streams[i]->table, SCRATCH, 4096, &freed), 0);
		guest_do(&l->g, CMD_TLBI_VA(i ? 3 : 1), SCRATCH);
		if (i)
			assert_int_equal(guest_translate(&l->g, EMULATED, SCRATCH, DB_VSMMU_QUIET,
							 &ipa), -EFAULT);
		/* Its tables are nobody's now. */
		memset(l->g.ram + (used - RAM_IPA), 0, l->g.used - used);
		l->g.used = used;
	}
}

static void many_commands(struct live *l)
{
	unsigned int i;

	for (i = 0; i < 510; i++)
		guest_command(&l->g, CMD_TLBI_VA(i % 4), IOVA + i * 4096);
	guest_do(&l->g, SMMU_CMD_OP_CFGI_STE_RANGE, 31);
}

static void plug(struct live *l, unsigned int round)
{
	if (round % 2)
		db_vsmmu_remove_device(l->g.vsmmu, l->other);
	else
		assert_int_equal(db_vsmmu_add_device(l->g.vsmmu, l->other, OTHER), 0);
}

static void test_live(void **state)
{
	const char *text = getenv("TRUST_MILLIONS");
	unsigned int round, rounds = 200 * (text ? atof(text) / 0.05 : 1);
	pthread_t threads[3];
	struct live l;
	unsigned int i;

	(void)state;
	open_live(&l);
	assert_int_equal(pthread_create(&threads[0], NULL, copier, &l), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, translator, &l), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, translator, &l), 0);
	for (round = 0; round < rounds && !atomic_load(&l.wrong); round++) {
		switch_entry(&l, round);
		scratch(&l);
		many_commands(&l);
		plug(&l, round);
	}
	if (round % 2)
		db_vsmmu_remove_device(l.g.vsmmu, l.other);
	while (!atomic_load(&l.copies) || !atomic_load(&l.translations))
		sched_yield();
	atomic_store(&l.stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	if (atomic_load(&l.wrong))
		fail_msg("round %u: %s", round, atomic_load(&l.wrong));
	print_message("# %u rounds, %lu copies, %lu translations\n", round,
		      (unsigned long)l.copies, (unsigned long)l.translations);
	assert_int_equal(guest_events(&l.g), 0);
	close_live(&l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
