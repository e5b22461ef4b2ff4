/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small VMM for Linux guests on KVM (arm64), on libdoorbell's public interface alone: what an
 * operator runs to see whether his server can pass devices through without RMR, and the library's
 * first user. One bus of PCI functions behind a virtual SMMUv3, one vITS, a device tree.
 */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include <doorbell/doorbell.h>

#define VM_DEVICES 8
#define VM_CPUS 8
#define VM_WHY 320

struct vm_options {
	struct db_sys *sys;		/* the host; stays the caller's */
	enum db_mode mode;		/* not rmr: a device tree cannot tell the guest of it */
	const char *kernel;		/* an arm64 Image */
	const char *initrd;		/* may be NULL */
	const char *append;		/* the guest's command line, after what the console needs */
	const char *devices[VM_DEVICES];
	unsigned int n_devices;
	bool rebind;			/* take devices away from the host's drivers */
	unsigned int cpus;
	uint64_t ram;			/* bytes, a multiple of 2 MiB */
	bool map_bars;			/* BARs as memory of the guest (not with a software host) */
	/* Each piece of the guest's console output. */
	void (*console)(void *ctx, const char *data, size_t len);
	/* A vector of a device is armed: what the guest wrote, and what the device has (@shown false:
	 * the host does not show it). In the thread of vm_run(). */
	void (*vector)(void *ctx, const char *device, unsigned int index, uint64_t giova,
		       bool shown, uint64_t address, uint32_t data);
	void *ctx;
	int stdin_fd;			/* the guest's console input; -1: none */
};

enum vm_end {
	VM_OFF,				/* the guest powered off */
	VM_RESET,			/* it asked for a reset */
	VM_STOPPED,			/* vm_stop() */
	VM_REQUESTED,			/* the host wants a device back */
	VM_BROKEN,			/* KVM or the host failed; the message says how */
};

struct vm_report {
	enum vm_end end;
	uint64_t exits_uart, exits_smmu, exits_config, exits_bar, exits_none;
	uint64_t routings;		/* KVM_SET_GSI_ROUTING calls */
	uint64_t irqfds;		/* KVM_IRQFD calls */
	uint64_t ram_ns;		/* what mapping RAM into stage 2 took */
};

struct vm;

/* Makes the VM. 0, or -errno with a sentence in @why. */
int vm_create(const struct vm_options *options, struct vm **out, char why[VM_WHY]);
/* Runs it to its end. -errno with a sentence in @why if it could not even begin. */
int vm_run(struct vm *vm, struct vm_report *report, char why[VM_WHY]);
/* Makes vm_run() return. From any thread, or a signal handler. */
void vm_stop(struct vm *vm);
/* Gives the devices back. */
void vm_destroy(struct vm *vm);

#endif
