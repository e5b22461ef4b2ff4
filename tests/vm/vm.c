/* SPDX-License-Identifier: BSD-2-Clause */
#include "vm/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define ASID 5
/* As guests map for DMA: of one ASID. */
#define S1_FLAGS (VMSA_WRITE | VMSA_NOT_GLOBAL)
#define FIRST_SID 0x40
#define COMMAND 4		/* PCI config space */
#define COMMAND_MEMORY_MASTER 6

static int make_stage_1(struct vm *vm)
{
	int ret;

	vm->s1.ram = vm->ram;
	vm->s1.ram_ipa = VM_RAM_IPA;
	vm->s1.limit = VM_BUFFERS;
	vm->s1.input_bits = 48;
	vm->s1.asid = ASID;
	ret = stage1_init(&vm->s1);
	ret = ret ? ret :
		    vmsa_map(&vm->s1.table, VM_RAM_IPA, VM_RAM_IPA, VM_RAM_SIZE,
			     VMSA_READ | S1_FLAGS);
	return ret ? ret :
		     vmsa_map(&vm->s1.table, VM_GIOVA_PAGE, vm->doorbell_ipa, PAGE,
			      S1_FLAGS | VMSA_DEVICE);
}

/* --- Devices --- */

static int make_eventfds(struct vm_device *d, bool share)
{
	d->eventfds = malloc((d->vectors + 1) * sizeof(*d->eventfds));
	if (!d->eventfds)
		return -ENOMEM;
	for (unsigned int i = 0; i < d->vectors; i++)
		d->eventfds[i] = -1;
	for (unsigned int i = 0; i < d->vectors; i++) {
		if (share && i) {
			d->eventfds[i] = d->eventfds[0];
			continue;
		}
		d->eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (d->eventfds[i] < 0)
			return -errno;
	}
	return 0;
}

static int set_vectors(struct vm_device *d, unsigned int start, unsigned int count, bool armed)
{
	struct db_msi_vector *vectors = calloc(count, sizeof(*vectors));
	int ret;

	if (!vectors)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++)
		vectors[i] = (struct db_msi_vector){ VM_GIOVA, armed ? d->eventfds[start + i] : -1 };
	ret = db_msi_set(d->msi, start, count, vectors);
	free(vectors);
	return ret;
}

int vm_arm(struct vm_device *d, unsigned int start, unsigned int count)
{
	return set_vectors(d, start, count, true);
}

int vm_disarm(struct vm_device *d, unsigned int start, unsigned int count)
{
	return set_vectors(d, start, count, false);
}

static int open_device(struct vm *vm, struct vm_device *d, const char *address)
{
	uint8_t command[2] = { COMMAND_MEMORY_MASTER };
	ssize_t written;
	int ret = db_device_open(vm->host, address, 0, &d->dev);

	if (ret)
		return ret;
	written = db_device_config_write(d->dev, command, sizeof(command), COMMAND);
	if (written < 0)
		return written;
	return vm->viommu ? 0 : db_viommu_create(vm->space, d->dev, &vm->viommu);
}

int vm_add_device(struct vm *vm, const char *address, unsigned int vectors)
{
	struct vm_device *d = &vm->devices[vm->n_devices];
	struct db_msi_config config = {
		.size = sizeof(config),
		.space = vm->space,
		.mode = vm->mode,
		.kind = DB_MSIX,
		.doorbell_ipa = vm->doorbell_ipa,
	};
	int ret;

	if (vm->n_devices == vm->most_devices)
		return -ENOSPC;
	vm->n_devices++;
	ret = open_device(vm, d, address);
	if (ret)
		return ret;
	ret = db_viommu_add(vm->viommu, d->dev, FIRST_SID + vm->n_devices - 1);
	if (ret)
		return ret;
	d->added = true;
	config.dev = d->dev;
	ret = db_viommu_install_ste(vm->viommu, d->dev, vm->s1.ste);
	ret = ret ? ret : db_msi_create(&config, &d->msi);
	if (ret)
		return ret;
	d->vectors = db_msi_count(d->msi);
	ret = make_eventfds(d, vm->share_eventfds);
	return ret || !vectors ? ret : vm_arm(d, 0, vectors);
}

static void close_device(struct vm *vm, struct vm_device *d)
{
	db_msi_destroy(d->msi);
	if (d->added)
		db_viommu_remove(vm->viommu, d->dev);
	for (unsigned int i = 0; d->eventfds && i < d->vectors; i++)
		if (d->eventfds[i] >= 0 && (!i || d->eventfds[i] != d->eventfds[0]))
			close(d->eventfds[i]);
	free(d->eventfds);
}

void vm_remove_device(struct vm *vm)
{
	struct vm_device *d = &vm->devices[--vm->n_devices];

	close_device(vm, d);
	db_device_close(d->dev);
	*d = (struct vm_device){ 0 };
}

int vm_open(struct vm *vm, struct db_sys *sys, const char *const *addresses, unsigned int n_devices, unsigned int vectors)
{
	int ret;

	vm->sys = sys;
	if (!vm->mode)
		vm->mode = DB_MODE_NATIVE;
	if (!vm->doorbell_ipa)
		vm->doorbell_ipa = VM_DOORBELL_IPA;
	if (vm->most_devices < n_devices)
		vm->most_devices = n_devices;
	vm->devices = calloc(vm->most_devices, sizeof(*vm->devices));
	vm->ram = mmap(NULL, VM_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		vm->ram = NULL;
	ret = vm->ram && vm->devices ? db_host_open(sys, &vm->host) : -ENOMEM;
	ret = ret ? ret : db_space_create(vm->host, &vm->space);
	ret = ret ? ret : db_space_map(vm->space, VM_RAM_IPA, vm->ram, VM_RAM_SIZE, DB_READ | DB_WRITE);
	ret = ret ? ret : make_stage_1(vm);
	for (unsigned int i = 0; i < n_devices && !ret; i++)
		ret = vm_add_device(vm, addresses[i], vectors);
	if (ret)
		vm_close(vm);
	return ret;
}

void vm_close(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->n_devices; i++)
		close_device(vm, &vm->devices[i]);
	db_viommu_destroy(vm->viommu);
	db_space_destroy(vm->space);
	for (unsigned int i = 0; i < vm->n_devices; i++)
		db_device_close(vm->devices[i].dev);
	db_host_close(vm->host);
	free(vm->devices);
	if (vm->ram)
		munmap(vm->ram, VM_RAM_SIZE);
}

int vm_bell_write(struct vm_device *d, unsigned int reg, uint64_t value, unsigned int size)
{
	ssize_t written = db_device_bar_write(d->dev, 0, &value, size, reg);

	return written < 0 ? written : 0;
}

size_t vm_bells(char *text, size_t size, unsigned int devices, unsigned int vectors)
{
	return snprintf(text, size, "ram 256g\nlpi-bits 20\ndevice 0000:00:00.0 bell vectors=%u count=%u\n", vectors, devices);
}

/* 32 device numbers a bus, 256 buses a segment, as `count=` lays them out. */
void vm_bell_address(char address[VM_ADDRESS], unsigned int n)
{
	snprintf(address, VM_ADDRESS, "%04x:%02x:%02x.0", n / 8192 & 0xffff, n / 32 % 256, n % 32);
}

int bell_vm_open(struct bell_vm **out, unsigned int vectors)
{
	static const char *const address[] = { "0000:00:00.0" };
	char machine[128];
	struct bell_vm *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return -ENOMEM;
	ret = db_soft_host_create(machine, vm_bells(machine, sizeof(machine), 1, 2048), &b->sys);
	if (!ret) {
		ret = vm_open(&b->vm, b->sys, address, 1, 0);
		ret = ret || !vectors ? ret : vm_arm(&b->vm.devices[0], 0, vectors);
		if (ret)
			b->sys->ops->release(b->sys);
	}
	if (ret)
		free(b);
	else
		*out = b;
	return ret;
}

void bell_vm_close(struct bell_vm *b)
{
	vm_close(&b->vm);
	b->sys->ops->release(b->sys);
	free(b);
}
