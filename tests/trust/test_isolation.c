/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two VMs on one host, behind one SMMU and one ITS, each trying to reach the other: by MSI data, by
 * gIOVAs that lead to the other's doorbell page, to memory, to holes, by DMA. Nothing arrives that
 * the other did not cause itself, and what the architecture says happens to who tried.
 */
#include "pair.h"

#include <string.h>

#define F_TRANSLATION 0x10
#define F_PERMISSION 0x13
#define HOSTILE_PAGE 0xfffffd000000ull

/* The message's address lies where stage 1 leads elsewhere than to the doorbell. */
static void messages_that_go_astray(void **state)
{
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];
	uint64_t event[4];
	uint8_t before[4096];
	uint32_t word;

	/* Not mapped in stage 1. */
	assert_int_equal(pair_ring_at(vm, HOSTILE_PAGE | 0x40, event), F_TRANSLATION);
	assert_int_equal(event[2], HOSTILE_PAGE | 0x40);
	assert_int_equal(event[1] >> 39 & 1, 0);

	/* Read-only in stage 1. */
	assert_int_equal(
		vmsa_map(&vm->s1.table, HOSTILE_PAGE, VM_DOORBELL_IPA, 4096, VMSA_READ | VMSA_DEVICE), 0);
	assert_int_equal(pair_ring_at(vm, HOSTILE_PAGE | 0x40, event), F_PERMISSION);

	/* A hole of stage 2; then the other VM's memory by its PA, which is one as well. Linux
	 * keeps faults of stage 2 to itself. */
	assert_int_equal(vmsa_map(&vm->s1.table, HOSTILE_PAGE + 0x1000, 0x70000000, 4096, VMSA_WRITE), 0);
	assert_int_equal(pair_ring_at(vm, HOSTILE_PAGE + 0x1040, event), 0);
	memcpy(before, p->vms[1].ram, sizeof(before));
	assert_int_equal(vmsa_map(&vm->s1.table, HOSTILE_PAGE + 0x2000,
				  (uintptr_t)p->vms[1].ram & 0xfffffffff000, 4096, VMSA_WRITE),
			 0);
	assert_int_equal(pair_ring_at(vm, HOSTILE_PAGE + 0x2040, event), 0);
	assert_memory_equal(before, p->vms[1].ram, sizeof(before));

	/* Its own memory: a write of the host's data, to nobody's harm. The low bits are the
	 * doorbell's, whatever the guest says. */
	memset(vm->ram + VM_RAM_SIZE - 4096, 0xff, 4096);
	assert_int_equal(pair_ring_at(vm, VM_RAM_IPA + VM_RAM_SIZE - 64, event), 0);
	memcpy(&word, vm->ram + VM_RAM_SIZE - 4096 + 0x40, sizeof(word));
	assert_int_equal(word, 0);

	assert_int_equal(pair_taken(vm, 0), 0);
	assert_silent(&p->vms[1]);
	assert_int_equal(pair_ring_at(vm, VM_GIOVA, event), 0);
	assert_int_equal(pair_taken(vm, 0), 1);
	assert_works(vm);
	assert_works(&p->vms[1]);
}

/*
 * The doorbell page is the same ITS for both. The endpoint writes any data there by DMA: its
 * DeviceID is what the bus says it is, so the most it gets is an interrupt of its own.
 */
static void data_of_others(void **state)
{
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];

	for (uint32_t data = 0; data < 70000; data += data < 64 ? 1 : 997) {
		memcpy(vm->ram + VM_BUFFERS + 0x1000, &data, sizeof(data));
		assert_int_equal(pair_copy(vm, VM_RAM_IPA + VM_BUFFERS + 0x1000, VM_GIOVA, 4), 0);
	}
	for (unsigned int v = 0; v < VECTORS; v++)
		assert_in_range(pair_taken(vm, v), 1, 2);
	assert_silent(&p->vms[1]);
	assert_works(&p->vms[1]);
	assert_works(vm);
}

/* DMA with addresses that mean something in the other VM, and in the host. */
static void memory_of_others(void **state)
{
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];
	uint8_t before[4096], *other = p->vms[1].ram + VM_BUFFERS + 0x8000;
	uint64_t records[8][4], lost;

	memset(other, 0x5a, sizeof(before));
	memcpy(before, other, sizeof(before));
	memset(vm->ram + VM_BUFFERS + 0x2000, 0xff, 4096);
	assert_int_not_equal(
		pair_copy(vm, VM_RAM_IPA + VM_BUFFERS + 0x2000, (uintptr_t)other, 4096), 0);
	assert_int_not_equal(
		pair_copy(vm, (uintptr_t)other, VM_RAM_IPA + VM_BUFFERS + 0x2000, 4096), 0);
	/* The ITS's frame by its PA, and the doorbell page beyond the register. */
	assert_int_not_equal(pair_copy(vm, VM_RAM_IPA + VM_BUFFERS + 0x2000, 0x08090040, 4), 0);
	pair_copy(vm, VM_RAM_IPA + VM_BUFFERS + 0x2000, VM_GIOVA_PAGE | 0x100, 4);
	/* Reading the doorbell: stage 2 has it write-only. */
	assert_int_not_equal(pair_copy(vm, VM_GIOVA, VM_RAM_IPA + VM_BUFFERS + 0x2000, 4), 0);
	assert_memory_equal(other, before, sizeof(before));

	/* What stage 1 refused left its record, and none with the other VM. */
	assert_int_equal(db_viommu_events(vm->viommu, records, 8, &lost), 3);
	assert_silent(&p->vms[1]);
	assert_works(&p->vms[1]);
	assert_works(vm);
}

/* Stage-1 tables that lie outside the guest's memory, on the doorbell, lead to themselves, or are
 * nothing but ones. */
static void tables_from_hell(void **state)
{
	static const uint64_t roots[] = { 0x70000000, VM_DOORBELL_IPA,
					  VM_RAM_IPA + VM_BUFFERS + 0x10000,
					  VM_RAM_IPA + VM_BUFFERS + 0x11000 };
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];
	uint64_t cd = vm->s1.ste[0] & 0x000fffffffffffc0, good, records[4][4], lost;
	uint64_t sync[1][2] = { { 0x30, 0 } };

	/* One table of which every entry is the table itself, one of ones. */
	for (unsigned int i = 0; i < 512; i++)
		((uint64_t *)(vm->ram + VM_BUFFERS + 0x10000))[i] =
			(VM_RAM_IPA + VM_BUFFERS + 0x10000) | 3;
	memset(vm->ram + VM_BUFFERS + 0x11000, 0xff, 4096);
	memcpy(&good, vm->ram + (cd - VM_RAM_IPA) + 8, sizeof(good));
	for (unsigned int i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		uint64_t config[2][2] = { { 0x06 | 0x40ull << 32, 0 }, { 0x30, 0 } };

		memcpy(vm->ram + (cd - VM_RAM_IPA) + 8, &roots[i], sizeof(roots[i]));
		assert_int_equal(
			db_viommu_invalidate(vm->viommu, (const uint64_t(*)[2])config, 2, NULL), 0);
		assert_int_equal(vm_bell_write(&vm->devices[0], BELL_RING, 0, 4), 0);
		/* A table that leads to itself ends in a page without AF; the others fault in
		 * stage 2. */
		assert_int_equal(db_viommu_events(vm->viommu, records, 4, &lost), i == 2);
	}
	memcpy(vm->ram + (cd - VM_RAM_IPA) + 8, &good, sizeof(good));
	/* The CD is the same one again for the library, so the guest tells the SMMU itself. */
	{
		uint64_t config[2][2] = { { 0x06 | 0x40ull << 32, 0 }, { sync[0][0], 0 } };

		assert_int_equal(
			db_viommu_invalidate(vm->viommu, (const uint64_t(*)[2])config, 2, NULL), 0);
	}
	assert_int_equal(pair_taken(vm, 0), 0);
	assert_silent(&p->vms[1]);
	assert_works(&p->vms[1]);
	assert_works(vm);
}

/* More faults than the event queue holds: counted as lost, and the queue works on afterwards. */
static void flood_of_faults(void **state)
{
	struct pair *p = *state;
	struct vm *vm = &p->vms[0];
	struct db_msi_vector vector = { HOSTILE_PAGE, vm->devices[0].eventfds[0] };
	uint64_t records[64][4], lost, all_lost = 0, seen = 0;
	const unsigned int faults = 20000;
	int n;

	assert_int_equal(db_msi_set(vm->devices[0].msi, 0, 1, &vector), 0);
	for (unsigned int i = 0; i < faults; i++)
		assert_int_equal(vm_bell_write(&vm->devices[0], BELL_RING, 0, 4), 0);
	do {
		n = db_viommu_events(vm->viommu, records, 64, &lost);
		assert_true(n >= 0);
		seen += n;
		all_lost += lost;
	} while (n > 0 || lost);
	assert_true(seen > 0);
	assert_int_equal(seen + all_lost, faults);
	assert_silent(&p->vms[1]);
	assert_works(&p->vms[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_that_go_astray, pair_begin, pair_end),
		cmocka_unit_test_setup_teardown(data_of_others, pair_begin, pair_end),
		cmocka_unit_test_setup_teardown(memory_of_others, pair_begin, pair_end),
		cmocka_unit_test_setup_teardown(tables_from_hell, pair_begin, pair_end),
		cmocka_unit_test_setup_teardown(flood_of_faults, pair_begin, pair_end),
	};

	return cmocka_run_group_tests_name("isolation", tests, NULL, NULL);
}
