/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <doorbell/kvm.h>

/* KVM_MAX_IRQ_ROUTES. */
#define ROUTES_MAX 4096

/* CPUs may fail at the same time: one of the sentences stays. */
static int fail(struct kvm *kvm, const char *what)
{
	int ret = -errno;

	pthread_mutex_lock(&kvm->why_lock);
	snprintf(kvm->why, VM_WHY, "%s: %s", what, strerror(-ret));
	pthread_mutex_unlock(&kvm->why_lock);
	return ret;
}

int kvm_open(struct kvm *kvm, char *why)
{
	*kvm = (struct kvm){ .kvm = -1, .vm = -1, .gic = -1, .its = -1, .next_slot = 1, .why = why };
	pthread_mutex_init(&kvm->lock, NULL);
	pthread_mutex_init(&kvm->why_lock, NULL);
	kvm->routes = calloc(1, sizeof(*kvm->routes) +
				ROUTES_MAX * sizeof(struct kvm_irq_routing_entry));
	if (!kvm->routes) {
		errno = ENOMEM;
		return fail(kvm, "routes");
	}
	kvm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->kvm < 0)
		return fail(kvm, errno == ENOENT ? "/dev/kvm (this kernel has no KVM, or the machine "
						   "did not start it at EL2)" : "/dev/kvm");
	kvm->vm = ioctl(kvm->kvm, KVM_CREATE_VM, 0);
	if (kvm->vm < 0)
		return fail(kvm, "KVM_CREATE_VM");
	/* Routes of the pins come first; a table replaces the whole one before it. */
	for (unsigned int i = 0; i < SPI_COUNT; i++)
		kvm->routes->entries[i] = (struct kvm_irq_routing_entry){
			.gsi = i, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = i,
		};
	kvm->n_routes = SPI_COUNT;
	return 0;
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

void kvm_close(struct kvm *kvm)
{
	close_one(kvm->its);
	close_one(kvm->gic);
	close_one(kvm->vm);
	close_one(kvm->kvm);
	free(kvm->routes);
	pthread_mutex_destroy(&kvm->lock);
	pthread_mutex_destroy(&kvm->why_lock);
}

/* --- memory --- */

static int set_memory(struct kvm *kvm, struct kvm_userspace_memory_region *region)
{
	return ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, region) < 0 ? fail(kvm, "a memory slot") :
									0;
}

int kvm_add_memory(struct kvm *kvm, uint64_t address, uint64_t len, void *memory)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = address,
		.memory_size = len,
		.userspace_addr = (uintptr_t)memory,
	};
	int ret;

	region.slot = __atomic_fetch_add(&kvm->next_slot, 1, __ATOMIC_RELAXED);
	ret = set_memory(kvm, &region);
	return ret ? ret : (int)region.slot;
}

void kvm_remove_memory(struct kvm *kvm, uint32_t slot)
{
	struct kvm_userspace_memory_region region = { .slot = slot };

	set_memory(kvm, &region);
}

/* --- CPUs --- */

int kvm_add_cpu(struct kvm *kvm, unsigned int index, struct kvm_cpu *cpu)
{
	struct kvm_vcpu_init init;
	int size = ioctl(kvm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < 0)
		return fail(kvm, "KVM_GET_VCPU_MMAP_SIZE");
	if (ioctl(kvm->vm, KVM_ARM_PREFERRED_TARGET, &init) < 0)
		return fail(kvm, "KVM_ARM_PREFERRED_TARGET");
	cpu->fd = ioctl(kvm->vm, KVM_CREATE_VCPU, (unsigned long)index);
	if (cpu->fd < 0)
		return fail(kvm, "KVM_CREATE_VCPU");
	cpu->run_size = size;
	cpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	if (cpu->run == MAP_FAILED) {
		cpu->run = NULL;
		return fail(kvm, "a CPU's memory");
	}
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (index)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	return ioctl(cpu->fd, KVM_ARM_VCPU_INIT, &init) < 0 ? fail(kvm, "KVM_ARM_VCPU_INIT") : 0;
}

void kvm_remove_cpu(struct kvm_cpu *cpu)
{
	if (cpu->run)
		munmap(cpu->run, cpu->run_size);
	close_one(cpu->fd);
}

static int set_register(struct kvm *kvm, struct kvm_cpu *cpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | id,
		.addr = (uintptr_t)&value,
	};

	return ioctl(cpu->fd, KVM_SET_ONE_REG, &reg) < 0 ? fail(kvm, "KVM_SET_ONE_REG") : 0;
}

int kvm_start_at(struct kvm *kvm, struct kvm_cpu *cpu, uint64_t pc, uint64_t x0)
{
	int ret = set_register(kvm, cpu, KVM_REG_ARM_CORE_REG(regs.pc), pc);

	return ret ? ret : set_register(kvm, cpu, KVM_REG_ARM_CORE_REG(regs.regs[0]), x0);
}

/* --- interrupts --- */

static int set_attribute(struct kvm *kvm, int fd, uint32_t group, uint64_t attr, void *value)
{
	struct kvm_device_attr request = {
		.group = group, .attr = attr, .addr = (uintptr_t)value,
	};

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &request) < 0 ? fail(kvm, "the interrupt controller") :
							      0;
}

static int create_device(struct kvm *kvm, uint32_t type, const char *name)
{
	struct kvm_create_device create = { .type = type };

	return ioctl(kvm->vm, KVM_CREATE_DEVICE, &create) < 0 ? fail(kvm, name) : (int)create.fd;
}

int kvm_add_gic(struct kvm *kvm, unsigned int cpus, uint64_t its)
{
	uint64_t distributor = VM_GICD, redistributors = VM_GICR(cpus);
	uint32_t interrupts = SPI_COUNT + 32;
	int ret;

	kvm->gic = create_device(kvm, KVM_DEV_TYPE_ARM_VGIC_V3, "a GICv3 (the host has an older one?)");
	if (kvm->gic < 0)
		return kvm->gic;
	ret = set_attribute(kvm, kvm->gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST,
			    &distributor);
	if (!ret)
		ret = set_attribute(kvm, kvm->gic, KVM_DEV_ARM_VGIC_GRP_ADDR,
				    KVM_VGIC_V3_ADDR_TYPE_REDIST, &redistributors);
	if (!ret)
		ret = set_attribute(kvm, kvm->gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);
	if (!ret)
		ret = set_attribute(kvm, kvm->gic, KVM_DEV_ARM_VGIC_GRP_CTRL,
				    KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	if (ret)
		return ret;
	kvm->its = create_device(kvm, KVM_DEV_TYPE_ARM_VGIC_ITS, "an ITS");
	if (kvm->its < 0)
		return kvm->its;
	ret = set_attribute(kvm, kvm->its, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &its);
	if (!ret)
		ret = set_attribute(kvm, kvm->its, KVM_DEV_ARM_VGIC_GRP_CTRL,
				    KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return ret;
}

void kvm_set_spi(struct kvm *kvm, enum vm_spi spi, bool level)
{
	struct kvm_irq_level line = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (32 + spi),
		.level = level,
	};

	ioctl(kvm->vm, KVM_IRQ_LINE, &line);
}

int kvm_irqfd(struct kvm *kvm, unsigned int gsi, int eventfd, int resample)
{
	struct kvm_irqfd irqfd = { .fd = eventfd, .gsi = gsi };

	if (resample >= 0) {
		irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = resample;
	}
	__atomic_fetch_add(&kvm->n_irqfds, 1, __ATOMIC_RELAXED);
	return ioctl(kvm->vm, KVM_IRQFD, &irqfd) < 0 ? fail(kvm, "KVM_IRQFD") : 0;
}

int kvm_add_route(struct kvm *kvm)
{
	int ret = -ENOSPC;

	pthread_mutex_lock(&kvm->lock);
	if (kvm->n_routes < ROUTES_MAX) {
		ret = kvm->n_routes++;
		/* Until it is set it leads to an interrupt that no one has. */
		kvm->routes->entries[ret] = (struct kvm_irq_routing_entry){
			.gsi = ret, .type = KVM_IRQ_ROUTING_MSI, .flags = KVM_MSI_VALID_DEVID,
		};
	}
	pthread_mutex_unlock(&kvm->lock);
	if (ret < 0) {
		errno = -ret;
		return fail(kvm, "KVM takes 4,096 routes, and all are used");
	}
	return ret;
}

void kvm_set_route(struct kvm *kvm, unsigned int gsi, uint32_t device_id,
		   const struct db_msi_route *route)
{
	pthread_mutex_lock(&kvm->lock);
	db_kvm_msi_route(&kvm->routes->entries[gsi], gsi, device_id, route);
	pthread_mutex_unlock(&kvm->lock);
}

int kvm_commit_routes(struct kvm *kvm)
{
	int ret;

	pthread_mutex_lock(&kvm->lock);
	kvm->routes->nr = kvm->n_routes;
	kvm->n_routings++;
	ret = ioctl(kvm->vm, KVM_SET_GSI_ROUTING, kvm->routes) < 0 ?
		      fail(kvm, "KVM_SET_GSI_ROUTING") : 0;
	pthread_mutex_unlock(&kvm->lock);
	return ret;
}
