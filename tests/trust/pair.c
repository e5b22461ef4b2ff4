/* SPDX-License-Identifier: BSD-2-Clause */
#include "pair.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

int pair_begin(void **state)
{
	static const char machine[] =
		"device 0000:01:00.0 bell vectors=4\ndevice 0000:02:00.0 bell vectors=4\n";
	static const char *const address[VMS] = { "0000:01:00.0", "0000:02:00.0" };
	struct pair *p = calloc(1, sizeof(*p));

	assert_int_equal(db_soft_host_create(machine, sizeof(machine) - 1, &p->sys), 0);
	for (int i = 0; i < VMS; i++)
		if (vm_open(&p->vms[i], p->sys, &address[i], 1, VECTORS))
			fail_msg("%s", db_error_message());
	*state = p;
	return 0;
}

int pair_end(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < VMS; i++)
		vm_close(&p->vms[i]);
	p->sys->ops->release(p->sys);
	free(p);
	return 0;
}

uint64_t pair_taken(struct vm *vm, unsigned int vector)
{
	eventfd_t count = 0;

	return eventfd_read(vm->devices[0].eventfds[vector], &count) ? 0 : count;
}

void assert_silent(struct vm *vm)
{
	uint64_t event[4], lost = 0;

	for (unsigned int v = 0; v < VECTORS; v++)
		assert_int_equal(pair_taken(vm, v), 0);
	assert_int_equal(db_viommu_events(vm->viommu, &event, 1, &lost), 0);
}

void assert_works(struct vm *vm)
{
	for (unsigned int v = 0; v < VECTORS; v++) {
		assert_int_equal(vm_bell_write(&vm->devices[0], BELL_RING, v, 4), 0);
		assert_int_equal(pair_taken(vm, v), 1);
	}
}

/* Rings vector 0 with the guest's message at @address; returns the event's number, or 0 if there
 * was none. */
unsigned int pair_ring_at(struct vm *vm, uint64_t address, uint64_t event[4])
{
	struct db_msi_vector vector = { address, vm->devices[0].eventfds[0] };
	uint64_t records[2][4], lost;
	int n;

	if (db_msi_set(vm->devices[0].msi, 0, 1, &vector))
		fail_msg("%s", db_error_message());
	assert_int_equal(vm_bell_write(&vm->devices[0], BELL_RING, 0, 4), 0);
	n = db_viommu_events(vm->viommu, records, 2, &lost);
	assert_in_range(n, 0, 1);
	if (!n)
		return 0;
	memcpy(event, records[0], sizeof(records[0]));
	return event[0] & 0xff;
}

/* A copy of @len bytes by the endpoint's DMA engine; its STATUS afterwards. */
uint32_t pair_copy(struct vm *vm, uint64_t from, uint64_t to, uint32_t len)
{
	struct vm_device *d = &vm->devices[0];
	uint32_t status = ~0u;

	assert_int_equal(vm_bell_write(d, BELL_SRC, from, 8), 0);
	assert_int_equal(vm_bell_write(d, BELL_DST, to, 8), 0);
	assert_int_equal(vm_bell_write(d, BELL_LEN, len, 4), 0);
	assert_int_equal(vm_bell_write(d, BELL_GO, ~0u, 4), 0);
	assert_int_equal(db_device_bar_read(d->dev, 0, &status, 4, BELL_STATUS), 4);
	return status;
}
