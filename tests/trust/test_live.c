/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes while interrupts flow: endpoints ring without pause on threads of their own, and meanwhile the guest moves the MSI page in
 * stage 1, replaces STEs and CDs, re-programs vectors, the VMM moves the doorbell in stage 2 and maps and unmaps memory. Whatever is changed
 * in an order that a careful guest uses, every interrupt arrives once, on its vector. TRUST_MILLIONS says how many (default 0.2).
 *
 * A ringer waits for each interrupt before it rings that vector again: while a vector is masked for its message to be changed, PCI
 * makes one pending interrupt of any number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arm/smmu_build.h"
#include "bench/vm.h"
#include "soft/endpoints/bell.h"

#define VECTORS 8
#define DEVICES 2
#define ASID 5
#define OTHER_PAGE 0xfffffe000000ull	/* the MSI page's other gIOVA */
#define OTHER_DOORBELL_IPA 0x20190000ull
#define SPARE_IPA 0x90000000ull
#define SPARE_SIZE (64u << 10)

struct ringer {
	struct vm_device *d;
	atomic_ulong *stop;
	unsigned int vector;
	int ret;
	pthread_t thread;
};

struct stage {
	struct db_sys *sys;
	struct vm vm;
	struct ringer ringers[DEVICES];
	atomic_ulong stop;
	uint64_t page;			/* gIOVA page in use */
	uint64_t doorbell_ipa;		/* that stage 1 leads to */
	unsigned int changes;
};

/* The next interrupt of an eventfd: there at once but for a vector that is being changed. 0, -ETIMEDOUT, -EEXIST (more than one). */
static int await(int fd)
{
	eventfd_t count;
	int ms;

	for (ms = 0; eventfd_read(fd, &count) && ms < 10000; ms++) {
		struct pollfd poller = { .fd = fd, .events = POLLIN };

		poll(&poller, 1, 1);
	}
	if (ms == 10000)
		return -ETIMEDOUT;
	return count == 1 ? 0 : -EEXIST;
}

static void *ring(void *arg)
{
	struct ringer *r = arg;

	for (unsigned int i = 0; !atomic_load(r->stop) && !r->ret; i++) {
		r->vector = i % VECTORS;
		r->ret = vm_bell_write(r->d, BELL_RING, r->vector, 4);
		if (!r->ret)
			r->ret = await(r->d->eventfds[r->vector]);
	}
	return NULL;
}

static uint64_t rung(const struct stage *s)
{
	uint64_t sum = 0;

	for (unsigned int d = 0; d < DEVICES; d++) {
		uint64_t count = 0;

		assert_int_equal(db_device_bar_read(s->vm.devices[d].dev, 0, &count, 8, BELL_RUNG), 8);
		sum += count;
	}
	return sum;
}

static void begin(struct stage *s)
{
	static const char machine[] = "device 0000:01:00.0 bell vectors=8\ndevice 0000:02:00.0 bell vectors=8\n";
	static const char *const addresses[DEVICES] = { "0000:01:00.0", "0000:02:00.0" };

	memset(s, 0, sizeof(*s));
	assert_int_equal(db_soft_host_create(machine, sizeof(machine) - 1, &s->sys), 0);
	if (vm_open(&s->vm, s->sys, addresses, DEVICES, VECTORS))
		fail_msg("%s", db_error_message());
	s->page = VM_GIOVA_PAGE;
	s->doorbell_ipa = VM_DOORBELL_IPA;
	for (unsigned int d = 0; d < DEVICES; d++) {
		s->ringers[d] = (struct ringer){ .d = &s->vm.devices[d], .stop = &s->stop };
		assert_int_equal(pthread_create(&s->ringers[d].thread, NULL, ring, &s->ringers[d]), 0);
	}
}

/* Every interrupt that was raised has arrived: once, on its vector. */
static void end(struct stage *s)
{
	uint64_t event[4], lost = 0;

	atomic_store(&s->stop, 1);
	for (unsigned int d = 0; d < DEVICES; d++)
		pthread_join(s->ringers[d].thread, NULL);
	for (unsigned int d = 0; d < DEVICES; d++) {
		if (s->ringers[d].ret)
			fail_msg("device %u vector %u: %s", d, s->ringers[d].vector, s->ringers[d].ret == -ETIMEDOUT ? "lost" :
				 s->ringers[d].ret == -EEXIST ? "doubled or misrouted" : strerror(-s->ringers[d].ret));
		for (unsigned int v = 0; v < VECTORS; v++) {
			eventfd_t count;

			assert_int_equal(eventfd_read(s->vm.devices[d].eventfds[v], &count), -1);
		}
	}
	assert_int_equal(db_viommu_events(s->vm.viommu, &event, 1, &lost), 0);
	assert_int_equal(lost, 0);
	print_message("# %u changes\n", s->changes);
	vm_close(&s->vm);
	s->sys->ops->release(s->sys);
}

/* --- What a guest does --- */

static void invalidate(struct stage *s, uint64_t page)
{
	uint64_t cmds[2][2] = {
		{ 0x12 | (uint64_t)ASID << 48, page | 1 },	/* CMD_TLBI_NH_VA, leaf */
		{ 0x46, 0 },					/* CMD_SYNC */
	};

	assert_int_equal(db_viommu_invalidate(s->vm.viommu, (const uint64_t (*)[2])cmds, 2, NULL), 0);
}

static void program(struct stage *s, uint64_t address)
{
	for (unsigned int d = 0; d < DEVICES; d++) {
		struct vm_device *dev = &s->vm.devices[d];
		struct db_msi_vector vectors[VECTORS];

		for (unsigned int v = 0; v < VECTORS; v++)
			vectors[v] = (struct db_msi_vector){ address, dev->eventfds[v] };
		if (db_msi_set(dev->msi, 0, VECTORS, vectors))
			fail_msg("%s", db_error_message());
	}
}

static void unmap_page(struct stage *s, uint64_t page)
{
	uint64_t freed = 0;

	assert_int_equal(vmsa_unmap(&s->vm.s1, page, 4096, &freed), 0);
	invalidate(s, page);
	vmsa_release(&s->vm.s1, freed);
}

/* The MSI page gets another gIOVA: map there, tell the devices, and only then unmap here. */
static void move_page(struct stage *s)
{
	uint64_t to = s->page == OTHER_PAGE ? VM_GIOVA_PAGE : OTHER_PAGE;

	assert_int_equal(vmsa_map(&s->vm.s1, to, s->doorbell_ipa, 4096, VMSA_WRITE | VMSA_DEVICE), 0);
	program(s, to | 0x40);
	unmap_page(s, s->page);
	s->page = to;
}

/* The VMM has the doorbell at another IPA: mapped there first, the guest's stage 1 follows, then the old one goes. */
static void move_doorbell(struct stage *s)
{
	uint64_t to = s->doorbell_ipa == VM_DOORBELL_IPA ? OTHER_DOORBELL_IPA : VM_DOORBELL_IPA, from = s->doorbell_ipa;

	for (unsigned int d = 0; d < DEVICES; d++)
		if (db_space_map_doorbell(s->vm.space, s->vm.devices[d].dev, to))
			fail_msg("%s", db_error_message());
	s->doorbell_ipa = to;
	move_page(s);
	/* What the db_msi mapped when it was made stays until it goes: only our own mapping of it is taken back. */
	if (from != VM_DOORBELL_IPA)
		for (unsigned int d = 0; d < DEVICES; d++)
			assert_int_equal(db_space_unmap_doorbell(s->vm.space, s->vm.devices[d].dev, from), 0);
}

/* The same translations under another CD, and back. */
static void replace_ste(struct stage *s)
{
	uint64_t from = s->vm.ste[0] & 0x000fffffffffffc0, to;
	unsigned int d = s->changes % DEVICES;

	assert_int_equal(s->vm.s1.alloc(s->vm.s1.ctx, 64, &to), 0);
	memcpy(s->vm.ram + (to - VM_RAM_IPA), s->vm.ram + (from - VM_RAM_IPA), 64);
	s->vm.used -= 64;	/* by the end nobody uses it any more */
	s->vm.ste[0] = (s->vm.ste[0] & ~0x000fffffffffffc0ull) | to;
	if (db_viommu_install_ste(s->vm.viommu, s->vm.devices[d].dev, s->vm.ste))
		fail_msg("%s", db_error_message());
	s->vm.ste[0] = (s->vm.ste[0] & ~0x000fffffffffffc0ull) | from;
	if (db_viommu_install_ste(s->vm.viommu, s->vm.devices[d].dev, s->vm.ste))
		fail_msg("%s", db_error_message());
}

/* Memory comes and goes elsewhere in the space. */
static void remap_memory(struct stage *s)
{
	void *va = mmap(NULL, SPARE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(va != MAP_FAILED);
	assert_int_equal(db_space_map(s->vm.space, SPARE_IPA, va, SPARE_SIZE, DB_READ | DB_WRITE), 0);
	assert_int_equal(db_space_unmap(s->vm.space, SPARE_IPA, SPARE_SIZE), 0);
	munmap(va, SPARE_SIZE);
}

static void invalidate_everything(struct stage *s)
{
	uint64_t cmds[3][2] = { { 0x30, 0 }, { 0x11 | (uint64_t)ASID << 48, 0 }, { 0x46, 0 } };	/* NSNH_ALL, NH_ASID, SYNC */

	assert_int_equal(db_viommu_invalidate(s->vm.viommu, (const uint64_t (*)[2])cmds, 3, NULL), 0);
}

static uint64_t wanted_interrupts(void)
{
	const char *text = getenv("TRUST_MILLIONS");

	return (text ? strtod(text, NULL) : 0.2) * 1e6;
}

static void under(void (*const *changes)(struct stage *s), unsigned int n)
{
	uint64_t wanted = wanted_interrupts();
	struct stage s;

	begin(&s);
	while (rung(&s) < wanted) {
		changes[s.changes % n](&s);
		s.changes++;
	}
	end(&s);
}

#define UNDER(change)						\
static void under_##change(void **state)			\
{								\
	static void (*const changes[])(struct stage *s) = { change };	\
								\
	(void)state;						\
	under(changes, 1);					\
}

UNDER(move_page)
UNDER(move_doorbell)
UNDER(replace_ste)
UNDER(remap_memory)
UNDER(invalidate_everything)

static void under_all(void **state)
{
	static void (*const changes[])(struct stage *s) = {
		move_page, replace_ste, invalidate_everything, move_doorbell, remap_memory, replace_ste, move_page, remap_memory,
	};

	(void)state;
	under(changes, sizeof(changes) / sizeof(*changes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(under_move_page),
		cmocka_unit_test(under_move_doorbell),
		cmocka_unit_test(under_replace_ste),
		cmocka_unit_test(under_remap_memory),
		cmocka_unit_test(under_invalidate_everything),
		cmocka_unit_test(under_all),
	};

	return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
