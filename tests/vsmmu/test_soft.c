/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual SMMU on the software host: a device that does DMA and an emulated one behind it, with
 * the guest's tables between them and memory; two VMs; threads.
 */
#include "guest.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "arm/smmu.h"
#include "soft/endpoints/bell.h"

#define SID 8u
#define EMULATED 16u
#define IOVA 0x100000000ull
#define SRC (RAM_IPA + 0x600000)
#define DST (RAM_IPA + 0x610000)
#define CMD_CFGI_STE(sid) (SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid))
#define CMD_TLBI_ASID(asid) (SMMU_CMD_OP_TLBI_NH_ASID | FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, asid))

struct vm {
	struct guest g;
	struct db_host *host;
	struct db_space *space;
	struct db_device *dev;
};

static void open_vm(struct vm *vm, struct db_sys *sys, const char *address)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct db_vsmmu_config config = { .size = sizeof(config) };
	uint8_t command[2] = { 6 };

	memset(vm, 0, sizeof(*vm));
	guest_init(&vm->g);
	assert_int_equal(db_host_open(sys, &vm->host), 0);
	if (db_device_open(vm->host, address, 0, &vm->dev))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_device_config_write(vm->dev, command, 2, 4), 2);
	assert_int_equal(db_device_caps(vm->dev, &caps), 0);
	assert_int_equal(db_space_create(vm->host, &vm->space), 0);
	assert_int_equal(db_space_map(vm->space, RAM_IPA, vm->g.ram, RAM_SIZE, DB_READ | DB_WRITE),
			 0);
	config.host = &caps.smmu;
	config.space = vm->space;
	guest_create(&vm->g, &config);
	if (db_vsmmu_add_device(vm->g.vsmmu, vm->dev, SID))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_vsmmu_add_emulated(vm->g.vsmmu, EMULATED), 0);
}

static void close_vm(struct vm *vm)
{
	db_vsmmu_destroy(vm->g.vsmmu);
	vm->g.vsmmu = NULL;
	db_space_destroy(vm->space);
	db_device_close(vm->dev);
	db_host_close(vm->host);
	guest_fini(&vm->g);
}

static struct db_sys *machine(const char *text)
{
	struct db_sys *sys;

	if (db_soft_host_create(text, strlen(text), &sys))
		fail_msg("%s", db_error_message());
	return sys;
}

static void bell_write(struct vm *vm, unsigned int reg, uint64_t value, unsigned int size)
{
	assert_int_equal(db_device_bar_write(vm->dev, 0, &value, size, reg), size);
}

/* The device copies a page from @src to @dst; its status. */
static uint32_t copy(struct vm *vm, uint64_t src, uint64_t dst)
{
	uint32_t status = ~0u;

	bell_write(vm, BELL_SRC, src, 8);
	bell_write(vm, BELL_DST, dst, 8);
	bell_write(vm, BELL_LEN, 4096, 4);
	bell_write(vm, BELL_GO, ~0u, 4);
	assert_int_equal(db_device_bar_read(vm->dev, 0, &status, 4, BELL_STATUS), 4);
	return status;
}

static bool copied(struct vm *vm, uint64_t src, uint64_t dst)
{
	static uint8_t fill;

	memset(vm->g.ram + (SRC - RAM_IPA), ++fill, 4096);
	memset(vm->g.ram + (DST - RAM_IPA), 0, 4096);
	return !copy(vm, src, dst) &&
	       !memcmp(vm->g.ram + (SRC - RAM_IPA), vm->g.ram + (DST - RAM_IPA), 4096);
}

static void test_both(void **state)
{
	struct db_sys *sys = machine("device 0000:01:00.0 bell\n");
	struct pollfd poller = { .events = POLLIN };
	struct stream passed, emulated;
	uint64_t event[4], ipa, freed;
	struct vm vm;

	(void)state;
	open_vm(&vm, sys, "0000:01:00.0");
	poller.fd = db_vsmmu_event_fd(vm.g.vsmmu);
	/* Disabled: both go round stage 1. */
	assert_true(copied(&vm, SRC, DST));
	assert_int_equal(guest_translate(&vm.g, EMULATED, SRC, 0, &ipa), 0);
	guest_start(&vm.g, true);
	assert_int_equal(copy(&vm, SRC, DST), 1);
	stream_init(&passed, &vm.g, SID, 12, 1);
	stream_init(&emulated, &vm.g, EMULATED, 12, 2);
	stream_map(&passed, IOVA, SRC, 0x20000);
	stream_map(&emulated, IOVA, DST, 4096);
	assert_true(copied(&vm, IOVA, IOVA + 0x10000));
	assert_int_equal(guest_translate(&vm.g, EMULATED, IOVA + 8, DB_VSMMU_WRITE, &ipa), 0);
	assert_int_equal(ipa, DST + 8);
	/* The same from the passed-through device's tables, by asking. */
	assert_int_equal(guest_translate(&vm.g, SID, IOVA + 8, DB_VSMMU_QUIET, &ipa), 0);
	assert_int_equal(ipa, SRC + 8);
	/* Each one's fault comes to the same queue. */
	while (guest_events(&vm.g))
		guest_event(&vm.g, event);
	assert_int_equal(copy(&vm, IOVA + 0x100000, IOVA), 1);
	assert_int_equal(poll(&poller, 1, 5000), 1);
	while (db_vsmmu_poll_events(vm.g.vsmmu) > 0)
		;
	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_true(guest_events(&vm.g) > 0);
	do
		guest_event(&vm.g, event);
	while (guest_events(&vm.g));
	assert_int_equal(event[0] >> 32, SID);
	assert_int_equal(event[0] & 0xff, SMMU_EVT_F_TRANSLATION);
	assert_int_equal(event[2], IOVA + 0x100000);
	assert_int_equal(guest_translate(&vm.g, EMULATED, IOVA + 0x1000, 0, &ipa), -EFAULT);
	guest_event(&vm.g, event);
	assert_int_equal(event[0] >> 32, EMULATED);
	/* Unmapped: gone when the CMD_SYNC is complete, for the one that is meant. */
	assert_int_equal(vmsa_unmap(&passed.table, IOVA, 0x20000, &freed), 0);
	guest_do(&vm.g, CMD_TLBI_ASID(1), 0);
	assert_int_equal(copy(&vm, IOVA, IOVA + 0x10000), 1);
	assert_int_equal(guest_translate(&vm.g, EMULATED, IOVA, 0, &ipa), 0);
	/* Off: stage 1 is gone. */
	guest_write(&vm.g, SMMU_CR0, 0);
	assert_true(copied(&vm, SRC, DST));
	guest_write(&vm.g, SMMU_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
	assert_int_equal(copy(&vm, SRC, DST), 1);
	close_vm(&vm);
	sys->ops->release(sys);
}

/* A CD that changes under an equal entry. */
static void test_cd_changes(void **state)
{
	struct db_sys *sys = machine("device 0000:01:00.0 bell\n");
	struct stream one, other;
	unsigned int i;
	struct vm vm;

	(void)state;
	open_vm(&vm, sys, "0000:01:00.0");
	guest_start(&vm.g, true);
	stream_init(&other, &vm.g, SID, 12, 2);
	stream_map(&other, IOVA, SRC + 0x10000, 0x10000);
	stream_init(&one, &vm.g, SID, 12, 1);
	stream_map(&one, IOVA, SRC, 0x20000);
	assert_true(copied(&vm, IOVA, IOVA + 0x10000));
	for (i = 0; i < 8; i++)
		guest_put(&vm.g, one.cd + i * 8, guest_get(&vm.g, other.cd + i * 8));
	guest_do(&vm.g, CMD_CFGI_STE(SID), 1);
	assert_int_equal(copy(&vm, IOVA, IOVA + 0x10000), 2);
	close_vm(&vm);
	sys->ops->release(sys);
}

/* The device that the host's side was made with leaves; another goes on. */
static void test_first_leaves(void **state)
{
	struct db_sys *sys = machine("device 0000:01:00.0 bell\ndevice 0000:02:00.0 bell\n");
	struct db_device *second;
	uint8_t command[2] = { 6 };
	struct stream stream;
	struct vm vm;

	(void)state;
	open_vm(&vm, sys, "0000:01:00.0");
	assert_int_equal(db_device_open(vm.host, "0000:02:00.0", 0, &second), 0);
	assert_int_equal(db_device_config_write(second, command, 2, 4), 2);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, second, SID + 1), 0);
	guest_start(&vm.g, true);
	db_vsmmu_remove_device(vm.g.vsmmu, vm.dev);
	db_device_close(vm.dev);
	vm.dev = second;
	stream_init(&stream, &vm.g, SID + 1, 12, 1);
	stream_map(&stream, IOVA, SRC, 0x20000);
	assert_true(copied(&vm, IOVA, IOVA + 0x10000));
	close_vm(&vm);
	sys->ops->release(sys);
}

/* One VM's commands and tables are nothing to the other. */
static void test_two_vms(void **state)
{
	struct db_sys *sys = machine("device 0000:01:00.0 bell\ndevice 0000:02:00.0 bell\n");
	struct stream stream[2];
	struct vm vm[2];
	uint64_t ipa;
	unsigned int i;

	(void)state;
	open_vm(&vm[0], sys, "0000:01:00.0");
	open_vm(&vm[1], sys, "0000:02:00.0");
	for (i = 0; i < 2; i++) {
		guest_start(&vm[i].g, true);
		stream_init(&stream[i], &vm[i].g, SID, 12, 1);
		stream_map(&stream[i], IOVA + i * 0x100000, SRC, 0x20000);
	}
	for (i = 0; i < 2; i++) {
		assert_true(copied(&vm[i], IOVA + i * 0x100000, IOVA + i * 0x100000 + 0x10000));
		assert_int_equal(copy(&vm[i], IOVA + !i * 0x100000, IOVA), 1);
		assert_int_equal(guest_translate(&vm[i].g, SID, IOVA + !i * 0x100000, 0, &ipa),
				 -EFAULT);
	}
	/* An illegal command stops its own VM's queue only. */
	guest_command(&vm[0].g, SMMU_CMD_OP_TLBI_EL2_ALL, 0);
	assert_int_equal(guest_kick(&vm[0].g), -EIO);
	guest_do(&vm[1].g, CMD_TLBI_ASID(1), 0);
	close_vm(&vm[0]);
	assert_true(copied(&vm[1], IOVA + 0x100000, IOVA + 0x110000));
	close_vm(&vm[1]);
	sys->ops->release(sys);
}

struct waiter {
	struct guest g;
	uint32_t offset, value;
	atomic_bool done;
};

static void *write_register(void *arg)
{
	struct waiter *w = arg;

	guest_write(&w->g, w->offset, w->value);
	atomic_store(&w->done, true);
	return NULL;
}

/* A CMD_SYNC, and disabling the SMMU, end after the accesses that began before; those that begin
 * meanwhile hold nothing up. */
static void test_waits_for_accesses(void **state)
{
	struct waiter w = { 0 };
	unsigned int i, old, new;
	pthread_t thread;

	(void)state;
	guest_init(&w.g);
	guest_create(&w.g, NULL);
	guest_start(&w.g, true);
	for (i = 0; i < 2; i++) {
		guest_command(&w.g, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
		guest_command(&w.g, SMMU_CMD_OP_SYNC, 0);
		w.offset = i ? SMMU_CR0 : SMMU_CMDQ_PROD;
		w.value = i ? 0 : w.g.prod;
		atomic_store(&w.done, false);
		old = db_vsmmu_access_begin(w.g.vsmmu);
		assert_int_equal(pthread_create(&thread, NULL, write_register, &w), 0);
		usleep(50000);
		assert_false(atomic_load(&w.done));
		new = db_vsmmu_access_begin(w.g.vsmmu);
		db_vsmmu_access_end(w.g.vsmmu, old);
		pthread_join(thread, NULL);
		assert_true(atomic_load(&w.done));
		db_vsmmu_access_end(w.g.vsmmu, new);
	}
	guest_fini(&w.g);
}

#define SLOTS 64u
#define ROUNDS 100u

struct race {
	struct guest g;
	struct stream s;
	atomic_uint retired;		/* generations before it must not be seen */
	atomic_bool stop;
	atomic_uint translated;
};

static uint64_t page_of(unsigned int generation)
{
	return SRC + generation % SLOTS * 4096;
}

/*
 * An emulated device's thread: what it gets for an access is not retired before the access has
 * ended.
 */
static void *translator(void *arg)
{
	struct race *race = arg;
	unsigned int token, retired, got;
	uint64_t ipa;
	int ret;

	while (!atomic_load(&race->stop)) {
		token = db_vsmmu_access_begin(race->g.vsmmu);
		ret = guest_translate(&race->g, EMULATED, IOVA, DB_VSMMU_QUIET, &ipa);
		sched_yield();
		retired = atomic_load(&race->retired);
		if (!ret) {
			got = (ipa - SRC) / 4096;
			assert_in_range((got - retired) % SLOTS, 0, SLOTS / 2);
			atomic_fetch_add(&race->translated, 1);
		}
		db_vsmmu_access_end(race->g.vsmmu, token);
		sched_yield();
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct race race = { 0 };
	pthread_t threads[3];
	uint64_t freed;
	unsigned int i;

	(void)state;
	guest_init(&race.g);
	guest_create(&race.g, NULL);
	assert_int_equal(db_vsmmu_add_emulated(race.g.vsmmu, EMULATED), 0);
	/* What is not translated is aborted. */
	guest_write(&race.g, SMMU_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
	guest_start(&race.g, true);
	stream_init(&race.s, &race.g, EMULATED, 12, 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, translator, &race), 0);
	for (i = 0; i < ROUNDS; i++) {
		stream_map(&race.s, IOVA, page_of(i), 4096);
		guest_do(&race.g, SMMU_CMD_OP_TLBI_NH_VA | 1ull << 48, IOVA);
		assert_int_equal(vmsa_unmap(&race.s.table, IOVA, 4096, &freed), 0);
		guest_do(&race.g, SMMU_CMD_OP_TLBI_NH_VA | 1ull << 48, IOVA);
		atomic_store(&race.retired, i + 1);
		if (i % 64 == 0) {
			guest_write(&race.g, SMMU_CR0, 0);
			guest_write(&race.g, SMMU_CR0, SMMU_CR0_WRITABLE);
		}
	}
	stream_map(&race.s, IOVA, page_of(ROUNDS), 4096);
	while (!atomic_load(&race.translated))
		sched_yield();
	atomic_store(&race.stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	guest_fini(&race.g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_cd_changes),
		cmocka_unit_test(test_first_leaves),
		cmocka_unit_test(test_two_vms),
		cmocka_unit_test(test_waits_for_accesses),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
