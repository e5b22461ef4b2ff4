/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVM as this VMM uses it: memory slots, CPUs, GICv3 with an ITS, and interrupts by eventfd.
 * Functions return 0 (or what they say) or -errno; the object's @why says what failed.
 * Source: Linux, Documentation/virt/kvm/api.rst and devices/arm-vgic*.rst.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/layout.h"
#include "vmm/vmm.h"

struct kvm_irq_routing;

struct kvm {
	int kvm, vm, gic, its;
	uint32_t next_slot;
	pthread_mutex_t lock;		/* of what follows */
	struct kvm_irq_routing *routes;
	unsigned int n_routes, room;
	uint64_t n_routings, n_irqfds;
	pthread_mutex_t why_lock;
	char *why;			/* VM_WHY bytes of the caller's */
};

struct kvm_cpu {
	int fd;
	struct kvm_run *run;
	size_t run_size;
};

int kvm_open(struct kvm *kvm, char *why);
void kvm_close(struct kvm *kvm);

/* Memory at @address of the guest; the slot's number (from 1), by which kvm_remove_memory() ends it. */
int kvm_add_memory(struct kvm *kvm, uint64_t address, uint64_t len, void *memory);
void kvm_remove_memory(struct kvm *kvm, uint32_t slot);

/* All CPUs but the first are off until the guest turns them on (PSCI). */
int kvm_add_cpu(struct kvm *kvm, unsigned int index, struct kvm_cpu *cpu);
void kvm_remove_cpu(struct kvm_cpu *cpu);
int kvm_start_at(struct kvm *kvm, struct kvm_cpu *cpu, uint64_t pc, uint64_t x0);

/* After the CPUs. */
int kvm_add_gic(struct kvm *kvm, unsigned int cpus, uint64_t its);

/* SPI @spi has this level, for devices that this VMM emulates. */
void kvm_set_spi(struct kvm *kvm, enum vm_spi spi, bool level);

/* @eventfd delivers GSI @gsi, @resample (-1: edge-triggered) is signalled at its end of interrupt. */
int kvm_irqfd(struct kvm *kvm, unsigned int gsi, int eventfd, int resample);

/* A GSI for a vector: its number. */
int kvm_add_route(struct kvm *kvm);
/* Where it goes; in force with the next kvm_commit_routes(). */
void kvm_set_route(struct kvm *kvm, unsigned int gsi, uint32_t device_id,
		   const struct db_msi_route *route);
int kvm_commit_routes(struct kvm *kvm);

#endif
