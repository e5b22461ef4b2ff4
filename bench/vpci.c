/* SPDX-License-Identifier: BSD-2-Clause */
/* The trap layer: a guest that masks and unmasks a vector in its MSI-X table, as trapped accesses of a BAR. */
#include "subjects.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <doorbell/doorbell.h>

#include "vm/vm.h"

#define TABLE_BAR 2
#define TABLE_SIZE 4096u
#define VECTOR 5
#define PAIRS 2000u

struct trapped {
	struct bell_vm *bell;
	struct db_vpci *vpci;
	void *table;	/* the device's own, mapped */
};

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	const struct vm_device *d = ctx;

	(void)route;
	return d->eventfds[index];
}

static void teardown(void *state)
{
	struct trapped *t = state;

	if (t->table)
		t->bell->sys->ops->munmap(t->bell->sys, t->table, TABLE_SIZE);
	db_vpci_destroy(t->vpci);
	bell_vm_close(t->bell);
	free(t);
}

static unsigned int find_msix(struct db_vpci *vpci)
{
	unsigned int cap = db_vpci_config_read(vpci, PCI_CAPABILITY_LIST, 1);

	while (cap && db_vpci_config_read(vpci, cap, 1) != PCI_CAP_ID_MSIX)
		cap = db_vpci_config_read(vpci, cap + PCI_CAP_LIST_NEXT, 1);
	return cap;
}

static int mask(struct trapped *t, uint32_t masked)
{
	return db_vpci_bar_write(t->vpci, TABLE_BAR, VECTOR * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, masked);
}

static int enable(struct trapped *t)
{
	int ret = db_vpci_config_write(t->vpci, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

	ret = ret ? ret : db_vpci_config_write(t->vpci, find_msix(t->vpci) + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	ret = ret ? ret : db_vpci_bar_write(t->vpci, TABLE_BAR, VECTOR * PCI_MSIX_ENTRY_SIZE, 8, VM_GIOVA);
	return ret ? ret : mask(t, 0);
}

static int setup(void **state)
{
	static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };
	struct trapped *t = calloc(1, sizeof(*t));
	struct vm_device *d;
	int ret;

	if (!t)
		return -ENOMEM;
	ret = bell_vm_open(&t->bell, 0);
	if (ret) {
		free(t);
		return ret;
	}
	*state = t;
	d = &t->bell->vm.devices[0];
	struct db_vpci_config config = DB_SIZED(struct db_vpci_config, .dev = d->dev, .msix = d->msi, .msi_ops = &ops, .ctx = d);
	ret = db_vpci_create(&config, &t->vpci);
	ret = ret ? ret : enable(t);
	/* The library maps it for itself; VFIO gives it to whoever asks, offsets as vfio-pci has them. */
	ret = ret ? ret : t->bell->sys->ops->mmap(t->bell->sys, TABLE_SIZE, PROT_READ | PROT_WRITE, db_device_fd(d->dev),
						  (uint64_t)TABLE_BAR << 40, &t->table);
	if (ret)
		teardown(t);
	return ret;
}

/* What of it the device must see: the bit is read, set, and read back; and cleared. */
static void access_device(struct trapped *t, uint32_t control)
{
	volatile uint8_t *at = (volatile uint8_t *)t->table + VECTOR * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL;
	struct db_sys *sys = t->bell->sys;

	bench_use(sys->ops->mmio_read(sys, at, 4));
	sys->ops->mmio_write(sys, at, 4, control);
	if (control)
		bench_use(sys->ops->mmio_read(sys, at, 4));
}

static int run(void *state, struct bench_sample *s)
{
	struct trapped *t = state;
	uint64_t start = bench_cpu_ns();
	int ret = 0;

	for (unsigned int i = 0; i < PAIRS && !ret; i++) {
		ret = mask(t, 1);
		ret = ret ? ret : mask(t, 0);
	}
	s->value = (double)(bench_cpu_ns() - start) / (2 * PAIRS);
	start = bench_cpu_ns();
	for (unsigned int i = 0; i < PAIRS; i++) {
		access_device(t, 1);
		access_device(t, 0);
	}
	s->limit = (double)(bench_cpu_ns() - start) / (2 * PAIRS);
	return ret;
}

const struct bench bench_vpci[] = {
	{ "msix_mask_trap", "ns", "the accesses to the device's own table alone", 1.5, setup, run, teardown },
	{ 0 },
};
