/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What else a hostile guest may hand to the host: illegal STEs and CDs, another ITS's doorbell,
 * floods of commands, tables that are rewritten while they are walked. Each gives what the
 * architecture names, in bounded work, and the other VM notices nothing.
 */
#include "pair.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

#include "arm/smmu_regs.h"
#include "soft/host.h"

#define C_BAD_CD 0x0a
#define F_TRANSLATION 0x10
#define SID 0x40
#define CD_POINTER 0x000fffffffffffc0ull
#define FROM (VM_RAM_IPA + VM_BUFFERS + 0x2000)
#define TO (VM_RAM_IPA + VM_BUFFERS + 0x3000)

/* --- STEs --- */

static const struct {
	const char *what;
	uint64_t ste[2];
	int error;
	bool reaches; /* its DMA goes through */
} stes[] = {
	/* V = 0: the guest is owed C_BAD_STE, which only hardware could tell; it gets an abort. */
	{ "not valid", { 0, 0 }, 0, false },
	{ "not valid, all else set", { ~1ull, ~0ull }, 0, false },
	{ "abort", { 1, 0 }, 0, false },
	{ "reserved Config 0b010", { 1 | 2 << 1, 0 }, 0, false },
	{ "bypass", { 1 | 4 << 1, 0 }, 0, true },
	{ "stage 2 of the guest's own", { 1 | 6 << 1, 0 }, -EIO, false },
	{ "both stages", { 1 | 7 << 1, 0 }, -EIO, false },
	{ "all ones", { ~0ull, ~0ull }, -EIO, false },
};

static void illegal_stes(void **state)
{
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];
	uint64_t event[4], lost;

	for (unsigned int i = 0; i < sizeof(stes) / sizeof(*stes); i++) {
		uint64_t ste[8] = { stes[i].ste[0], stes[i].ste[1] };

		print_message("# %s\n", stes[i].what);
		assert_int_equal(db_viommu_install_ste(vm->viommu, vm->devices[0].dev, ste),
				 stes[i].error);
		assert_int_equal(pair_copy(vm, FROM, TO, 64) == 0, stes[i].reaches);
		/* An abort makes no event (IHI 0070 5.2, Config). */
		assert_int_equal(db_viommu_events(vm->viommu, &event, 1, &lost), 0);
		assert_int_equal(
			db_viommu_install_ste(vm->viommu, vm->devices[0].dev, vm->s1.ste), 0);
		assert_int_equal(pair_copy(vm, FROM, TO, 64), 0);
	}
	assert_works(vm);
	assert_silent(&p->vms[1]);
	assert_works(&p->vms[1]);
}

/* --- CDs --- */

static void forget_cds(struct vm *vm)
{
	const uint64_t cmds[2][2] = {
		{ SMMU_CMD_OP_CFGI_CD_ALL | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, SID), 0 },
		{ SMMU_CMD_OP_TLBI_NH_ALL, 0 }
	};

	assert_int_equal(db_viommu_invalidate(vm->viommu, cmds, 2, NULL), 0);
}

/* Each makes C_BAD_CD with the guest's own StreamID; none is replaced by something that works. */
static void illegal_cds(void **state)
{
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];
	uint64_t *cd = (uint64_t *)(vm->ram + ((vm->s1.ste[0] & CD_POINTER) - VM_RAM_IPA)),
		 good = cd[0];
	const uint64_t bad[] = {
		0,
		~0ull,
		good & ~(1ull << 31), /* V */
		good & ~(1ull << 41), /* AA64: a table of AArch32 */
		good & ~0x3full, /* T0SZ 0: 64 bits of input */
		good | 0x3f, /* T0SZ 63 */
		good | 3 << 6, /* TG0, reserved */
	};
	uint64_t event[4], lost;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		__atomic_store_n(&cd[0], bad[i], __ATOMIC_RELEASE);
		forget_cds(vm);
		assert_int_not_equal(pair_copy(vm, FROM, TO, 64), 0);
		assert_int_equal(db_viommu_events(vm->viommu, &event, 1, &lost), 1);
		assert_int_equal(event[0] & 0xff, C_BAD_CD);
		assert_int_equal(event[0] >> 32, SID);
		__atomic_store_n(&cd[0], good, __ATOMIC_RELEASE);
		forget_cds(vm);
		assert_int_equal(pair_copy(vm, FROM, TO, 64), 0);
	}
	assert_works(vm);
	assert_silent(&p->vms[1]);
	assert_works(&p->vms[1]);
}

/* --- Commands --- */

/* Illegal ones among them: each is told where it is, and what came before was done. */
static void flood_of_commands(void **state)
{
	static uint64_t cmds[4096][2];
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];
	size_t done;

	for (unsigned int i = 0; i < 4096; i++) {
		cmds[i][0] = SMMU_CMD_OP_TLBI_NH_VA | FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, i);
		cmds[i][1] = (uint64_t)i << 30;
	}
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(
			db_viommu_invalidate(vm->viommu, (const uint64_t(*)[2])cmds, 4096, &done),
			0);
		assert_int_equal(done, 4096);
	}
	/* Every opcode there is and is not, everywhere. */
	for (unsigned int op = 0; op < 256; op++) {
		const uint64_t was = cmds[op * 16][0];
		int ret;

		cmds[op * 16][0] = op | ~0ull << 8;
		ret = db_viommu_invalidate(vm->viommu, (const uint64_t(*)[2])cmds, 4096, &done);
		if (ret) {
			assert_int_equal(ret, -EIO);
			assert_int_equal(done, op * 16);
		}
		cmds[op * 16][0] = was;
	}
	assert_works(vm);
	assert_silent(&p->vms[1]);
	assert_works(&p->vms[1]);
}

/* --- Tables that change under the walk --- */

struct scribbler {
	struct vm *vm;
	const uint8_t *others; /* memory of the other VM */
	atomic_bool stop;
};

/* Writes what must never work, and what works, into entries of all levels, and invalidates all the
 * time. */
static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	struct vm *vm = s->vm;
	uint64_t *words = (uint64_t *)vm->ram;
	const uint64_t evil[] = {
		0,
		~0ull,
		VM_RAM_IPA | 3,
		0x70000000 | 3,
		VM_DOORBELL_IPA | 3,
		(uintptr_t)s->others | 0x7c3,
		(uintptr_t)s->others | 3,
		0x0000fffffffff003ull,
	};
	unsigned int places[64], n = 0;

	/* Descriptors, and the CD among them. */
	for (unsigned int at = 0; at < vm->s1.used / 8 && n < 64; at++)
		if (words[at] & 1)
			places[n++] = at;
	for (unsigned int i = 0; !atomic_load(&s->stop); i++) {
		unsigned int at = places[i % n];
		uint64_t was = words[at];

		__atomic_store_n(&words[at], evil[i / n % 8], __ATOMIC_RELAXED);
		forget_cds(vm);
		__atomic_store_n(&words[at], was, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void tables_rewritten_during_walks(void **state)
{
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];
	struct scribbler s = { .vm = vm, .others = p->vms[1].ram + VM_BUFFERS + 0x8000 };
	uint64_t records[64][4], lost;
	uint8_t before[4096];
	unsigned int done = 0, aborted = 0;
	pthread_t thread;

	memset((void *)s.others, 0x5a, sizeof(before));
	memcpy(before, s.others, sizeof(before));
	assert_int_equal(pthread_create(&thread, NULL, scribble, &s), 0);
	/* Until there was enough of both; both ends wait for the other's turn on a busy machine. */
	for (unsigned int i = 0; i < 20000 || aborted < 200; i++) {
		assert_in_range(i, 0, 20000000);
		if (pair_copy(vm, FROM, TO, 64))
			aborted++;
		else
			done++;
		assert_int_equal(vm_bell_write(&vm->devices[0], BELL_RING, i % VECTORS, 4), 0);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	print_message("# %u copies, %u aborted\n", done, aborted);
	assert_true(aborted);
	assert_memory_equal(s.others, before, sizeof(before));
	assert_silent(&p->vms[1]);
	assert_works(&p->vms[1]);

	/* The tables are what they were, and so is the VM, its own mess apart. */
	forget_cds(vm);
	while (db_viommu_events(vm->viommu, records, 64, &lost) > 0)
		;
	for (unsigned int v = 0; v < VECTORS; v++)
		pair_taken(vm, v);
	assert_int_equal(pair_copy(vm, FROM, TO, 64), 0);
	assert_works(vm);
}

/* --- The doorbell of another ITS --- */

/* It may be mapped, for the device that is behind it; but another's DeviceID means nothing there.
 */
static void doorbell_of_another_its(void **state)
{
	static const char machine[] = "its its base=0x08080000\nits its base=0x080a0000\n"
				      "device 0000:01:00.0 bell vectors=4 its=0\n"
				      "device 0000:02:00.0 bell vectors=4 its=1\n";
	static const char *const address[] = { "0000:01:00.0" };
	const uint64_t other_ipa = 0x20190000, other_iova = 0xfffffd000000;
	struct vm vm = { 0 };
	struct db_device *other = NULL;
	struct db_sys *sys = NULL;
	uint64_t event[4];

	(void)state;
	if (db_soft_host_create(machine, sizeof(machine) - 1, &sys) ||
	    vm_open(&vm, sys, address, 1, VECTORS) ||
	    db_device_open(vm.host, "0000:02:00.0", 0, &other))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_space_map_doorbell(vm.space, other, other_ipa), 0);
	assert_int_equal(vmsa_map(&vm.s1.table, other_iova, other_ipa, 4096, VMSA_WRITE | VMSA_DEVICE),
			 0);
	assert_int_equal(pair_ring_at(&vm, other_iova | 0x40, event), 0);
	assert_int_equal(pair_taken(&vm, 0), 0);
	assert_int_equal(its_dev_discarded(((struct soft_host *)sys)->itses[1]), 1);
	assert_int_equal(pair_ring_at(&vm, VM_GIOVA, event), 0);
	assert_int_equal(pair_taken(&vm, 0), 1);
	assert_int_equal(db_space_unmap_doorbell(vm.space, other, other_ipa), 0);
	db_device_close(other);
	vm_close(&vm);
	sys->ops->release(sys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(illegal_stes, pair_begin, pair_end),
		cmocka_unit_test_setup_teardown(illegal_cds, pair_begin, pair_end),
		cmocka_unit_test_setup_teardown(flood_of_commands, pair_begin, pair_end),
		cmocka_unit_test_setup_teardown(tables_rewritten_during_walks, pair_begin,
						pair_end),
		cmocka_unit_test(doorbell_of_another_its),
	};

	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
