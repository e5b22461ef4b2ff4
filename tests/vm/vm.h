/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest VM there is around one or more bell devices of a software host: memory, a stage 1 that maps it and the doorbell, and
 * interrupts that end in plain eventfds. Benches and tests use it where the in-process guest would do too much.
 */
#ifndef TESTS_VM_VM_H
#define TESTS_VM_VM_H

#include <doorbell/doorbell.h>

#include "vm/stage1.h"

#define VM_RAM_IPA 0x40000000ull
#define VM_RAM_SIZE (2ull << 20)
#define VM_BUFFERS (1ull << 20)	/* from here on the guest's RAM has no tables */
#define VM_DOORBELL_IPA 0x20090000ull
#define VM_GIOVA_PAGE 0xffffff000000ull
#define VM_GIOVA (VM_GIOVA_PAGE | 0x40)

struct vm_device {
	struct db_device *dev;
	struct db_msi *msi;
	bool added;		/* to the vIOMMU */
	unsigned int vectors;
	int *eventfds;		/* one a vector (or the same for all), not blocking */
};

struct vm {
	struct db_sys *sys;	/* the caller's */
	struct db_host *host;
	struct db_space *space;
	struct db_viommu *viommu;
	uint8_t *ram;
	struct stage1 s1;	/* maps the RAM, and the doorbell at VM_GIOVA_PAGE */
	/* The caller's choice, before vm_open(). */
	enum db_mode mode;	/* AUTO: native */
	uint64_t doorbell_ipa;	/* 0: VM_DOORBELL_IPA */
	bool share_eventfds;	/* of a device: where thousands of VMs would use up the descriptors */
	unsigned int most_devices;	/* that there is room for; 0: those of vm_open() */
	unsigned int n_devices;
	struct vm_device *devices;
};

/*
 * Passes the devices at @addresses (all behind one SMMU and one ITS) through and arms @vectors of each, all at once; 0 arms none.
 * @vm is zeroed but for the caller's choice. Returns 0 or -errno, with nothing left behind.
 */
int vm_open(struct vm *vm, struct db_sys *sys, const char *const *addresses, unsigned int n_devices, unsigned int vectors);
void vm_close(struct vm *vm);

/*
 * One device more, and the last one away again. A failed addition leaves vm_remove_device() to be
 * called, or vm_close().
 */
int vm_add_device(struct vm *vm, const char *address, unsigned int vectors);
void vm_remove_device(struct vm *vm);

/* Arms vectors [start, start + count) of a device at VM_GIOVA with its eventfds. */
int vm_arm(struct vm_device *d, unsigned int start, unsigned int count);
int vm_disarm(struct vm_device *d, unsigned int start, unsigned int count);

/* Register @reg of the bell, @size bytes. */
int vm_bell_write(struct vm_device *d, unsigned int reg, uint64_t value, unsigned int size);

/* Machine text with @devices bells of @vectors vectors each, and the address of the n-th; the text's length. */
#define VM_ADDRESS 16
size_t vm_bells(char *text, size_t size, unsigned int devices, unsigned int vectors);
void vm_bell_address(char address[VM_ADDRESS], unsigned int n);

/* A software host with one bell of 2,048 vectors, and a VM that has it. */
struct bell_vm {
	struct db_sys *sys;
	struct vm vm;
};

int bell_vm_open(struct bell_vm **out, unsigned int vectors);
void bell_vm_close(struct bell_vm *b);

#endif
