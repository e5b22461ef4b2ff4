/* SPDX-License-Identifier: BSD-2-Clause */
/* The VM as a whole: made, run, ended. */
#include "vmm/vmm.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "vmm/device.h"
#include "vmm/tree.h"
#include "vmm/uart.h"

/* Takes a CPU out of KVM_RUN. */
#define KICK SIGUSR1

#define TREE_SIZE 0x10000ull
#define PAGE_2M 0x200000ull

/* Ctrl-A x ends the VM, Ctrl-A Ctrl-A is one Ctrl-A. */
#define ESCAPE 1

/* How often vectors that are new are looked at. */
#define TELL_MS 100

struct vm_cpu {
	struct vm *vm;
	struct kvm_cpu kvm;
	pthread_t thread;
	bool started;
};

struct vm {
	struct vm_options options;
	struct kvm kvm;
	uint8_t *ram;
	uint64_t doorbell_ipa, kernel, initrd, initrd_size, tree;
	uint64_t ram_ns;
	struct uart uart;
	struct db_host *host;
	struct db_space *space;
	struct db_vsmmu *vsmmu;
	int smmu_irq[DB_VSMMU_IRQS];
	struct vm_device devices[VM_DEVICES];
	unsigned int n_devices;
	struct vm_cpu cpus[VM_CPUS];
	unsigned int n_cpus;

	int stop_fd;		/* eventfd: the VM is to end */
	int end;		/* enum vm_end; atomic; the first one stays */
	bool ending;		/* atomic: CPUs leave */
	bool escaped;
	uint64_t exits_uart, exits_smmu, exits_config, exits_bar, exits_none;	/* atomic */
	char *why;
};

static int fail(struct vm *vm, int ret, const char *what)
{
	snprintf(vm->why, VM_WHY, "%s: %s", what, strerror(-ret));
	return ret;
}

static int host_fail(struct vm *vm, int ret)
{
	snprintf(vm->why, VM_WHY, "%s", db_error_message());
	return ret;
}

/* --- guest memory --- */

static void *ram_at(const struct vm *vm, uint64_t ipa, uint64_t len)
{
	if (ipa < VM_RAM || ipa - VM_RAM > vm->options.ram ||
	    len > vm->options.ram - (ipa - VM_RAM))
		return NULL;
	return vm->ram + (ipa - VM_RAM);
}

/* Huge pages make stage 2 small; most hosts have none set aside. */
static int make_ram(struct vm *vm)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint64_t size = vm->options.ram;
	int ret;

	vm->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
	if (vm->ram == MAP_FAILED) {
		vm->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (vm->ram == MAP_FAILED) {
			vm->ram = NULL;
			return fail(vm, -errno, "the guest's RAM");
		}
		madvise(vm->ram, size, MADV_HUGEPAGE);
	}
	ret = kvm_add_memory(&vm->kvm, VM_RAM, size, vm->ram);
	return ret < 0 ? ret : 0;
}

static int load(struct vm *vm, const char *path, uint64_t at, uint64_t room, uint64_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	uint64_t done = 0;
	ssize_t n;

	if (fd < 0)
		return fail(vm, -errno, path);
	while (done < room && (n = read(fd, ram_at(vm, at + done, room - done), room - done)) > 0)
		done += n;
	if (done == room)
		ret = fail(vm, -ENOSPC, path);
	else if (!done)
		ret = fail(vm, -EINVAL, path);
	close(fd);
	*size = done;
	return ret;
}

/* Linux, Documentation/arch/arm64/booting.rst: the header of an Image. */
static int check_kernel(struct vm *vm, uint64_t size)
{
	const uint8_t *image = ram_at(vm, VM_RAM, 64);
	uint64_t offset, needs;

	memcpy(&offset, image + 8, 8);
	memcpy(&needs, image + 16, 8);
	if (size < 64 || memcmp(image + 56, "ARM\x64", 4)) {
		snprintf(vm->why, VM_WHY, "%s is no arm64 Image (a packed one has to be unpacked)",
			 vm->options.kernel);
		return -EINVAL;
	}
	if (le64toh(offset)) {
		snprintf(vm->why, VM_WHY, "%s wants to be at an offset (Linux before 5.8)",
			 vm->options.kernel);
		return -EINVAL;
	}
	if (le64toh(needs) > vm->options.ram / 2) {
		snprintf(vm->why, VM_WHY, "the kernel needs %llu MiB: give it more --ram",
			 (unsigned long long)(le64toh(needs) >> 19));
		return -ENOSPC;
	}
	return 0;
}

/* The kernel is at the start of RAM, the initrd in the second half, the tree at the end. */
static int load_guest(struct vm *vm)
{
	uint64_t half = vm->options.ram / 2, size;
	int ret;

	vm->kernel = VM_RAM;
	vm->initrd = VM_RAM + half;
	vm->tree = VM_RAM + vm->options.ram - PAGE_2M;
	ret = load(vm, vm->options.kernel, vm->kernel, half, &size);
	if (!ret)
		ret = check_kernel(vm, size);
	if (!ret && vm->options.initrd)
		ret = load(vm, vm->options.initrd, vm->initrd, half - PAGE_2M, &vm->initrd_size);
	return ret;
}

static int make_tree(struct vm *vm)
{
	char command_line[2048];
	struct tree tree = {
		.command_line = command_line,
		.ram = vm->options.ram,
		.initrd = vm->initrd,
		.initrd_size = vm->initrd_size,
		.cpus = vm->options.cpus,
		.its = vm->doorbell_ipa - VM_ITS_DOORBELL,
	};
	int ret = snprintf(command_line, sizeof(command_line), "console=ttyS0 %s",
			   vm->options.append ? vm->options.append : "");

	if (ret >= (int)sizeof(command_line))
		return fail(vm, -E2BIG, "the guest's command line");
	ret = tree_make(&tree, ram_at(vm, vm->tree, TREE_SIZE), TREE_SIZE);
	return ret ? fail(vm, ret, "the device tree") : 0;
}

/* --- the vSMMU --- */

static int guest_read(void *ctx, uint64_t ipa, void *buf, size_t len)
{
	const void *ram = ram_at(ctx, ipa, len);

	if (!ram)
		return -EFAULT;
	memcpy(buf, ram, len);
	return 0;
}

static int guest_write(void *ctx, uint64_t ipa, const void *buf, size_t len)
{
	void *ram = ram_at(ctx, ipa, len);

	if (!ram)
		return -EFAULT;
	memcpy(ram, buf, len);
	return 0;
}

static const struct db_vsmmu_ops smmu_ops = {
	.size = sizeof(smmu_ops),
	.read = guest_read,
	.write = guest_write,
};

static int make_smmu(struct vm *vm, const struct db_caps *caps)
{
	static const enum vm_spi spi[DB_VSMMU_IRQS] = {
		[DB_VSMMU_IRQ_EVENTQ] = SPI_EVENTQ,
		[DB_VSMMU_IRQ_GERROR] = SPI_GERROR,
		[DB_VSMMU_IRQ_SYNC] = SPI_SYNC,
	};
	struct db_vsmmu_config config = DB_SIZED(struct db_vsmmu_config, .space = vm->space,
						 .ops = &smmu_ops, .ctx = vm,
						 .irq_fds = vm->smmu_irq, .host = &caps->smmu,
						 .sid_bits = 16);
	int ret;

	for (unsigned int i = 0; i < DB_VSMMU_IRQS; i++) {
		vm->smmu_irq[i] = eventfd(0, EFD_CLOEXEC);
		if (vm->smmu_irq[i] < 0)
			return fail(vm, -errno, "eventfd");
		ret = kvm_irqfd(&vm->kvm, spi[i], vm->smmu_irq[i], -1);
		if (ret)
			return ret;
	}
	ret = db_vsmmu_create(&config, &vm->vsmmu);
	return ret < 0 ? host_fail(vm, ret) : 0;
}

/* --- devices --- */

static int open_device(struct vm *vm, unsigned int index, struct db_caps *caps)
{
	struct vm_device_config config = {
		.kvm = &vm->kvm,
		.host = vm->host,
		.address = vm->options.devices[index],
		.rid = (index + 1) << 3,
		.rebind = vm->options.rebind,
		.map_bars = vm->options.map_bars,
	};
	int ret;

	vm->n_devices++;
	ret = vm_device_open(&vm->devices[index], &config, caps);
	if (ret < 0)
		return host_fail(vm, ret);
	if (!caps->mode[vm->options.mode]) {
		snprintf(vm->why, VM_WHY, "%s: mode %s: %s", config.address,
			 db_mode_name(vm->options.mode), caps->why_not[vm->options.mode]);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* In stock the kernel says where the doorbell is; all devices must agree. */
static int place_doorbell(struct vm *vm)
{
	enum db_mode mode = vm->options.mode;
	bool fixed;
	uint64_t ipa;
	int ret;

	vm->doorbell_ipa = VM_DOORBELL;
	for (unsigned int i = 0; i < vm->n_devices; i++) {
		ret = db_msi_doorbell_ipa(vm->devices[i].dev, mode, &fixed, &ipa);
		if (ret < 0)
			return host_fail(vm, ret);
		if (fixed)
			vm->doorbell_ipa = ipa;
	}
	return 0;
}

static int map_ram(struct vm *vm)
{
	struct timespec before, after;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &before);
	ret = db_space_map(vm->space, VM_RAM, vm->ram, vm->options.ram, DB_READ | DB_WRITE);
	clock_gettime(CLOCK_MONOTONIC, &after);
	vm->ram_ns = (after.tv_sec - before.tv_sec) * 1000000000ull + after.tv_nsec -
		     before.tv_nsec;
	return ret < 0 ? host_fail(vm, ret) : 0;
}

/* auto is decided once, with all devices known: a VM has one doorbell. */
static void decide_mode(struct vm *vm, const struct db_caps *caps)
{
	if (vm->options.mode == DB_MODE_AUTO)
		vm->options.mode = caps->mode[DB_MODE_NATIVE] ? DB_MODE_NATIVE : DB_MODE_STOCK;
}

static int open_host(struct vm *vm, struct db_caps *first)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	int ret;

	ret = db_host_open(vm->options.sys, &vm->host);
	if (!ret)
		ret = db_space_create(vm->host, &vm->space);
	if (ret < 0)
		return host_fail(vm, ret);
	for (unsigned int i = 0; i < vm->options.n_devices; i++) {
		ret = open_device(vm, i, &caps);
		if (ret)
			return ret;
		if (!i) {
			*first = caps;
			decide_mode(vm, first);
		}
	}
	return place_doorbell(vm);
}

static int start_devices(struct vm *vm, const struct db_caps *first)
{
	int ret = map_ram(vm);

	if (!ret)
		ret = make_smmu(vm, first);
	for (unsigned int i = 0; !ret && i < vm->n_devices; i++) {
		ret = vm_device_start(&vm->devices[i], vm->space, vm->vsmmu, vm->options.mode,
				      vm->doorbell_ipa);
		if (ret < 0 && !*vm->why)
			host_fail(vm, ret);
	}
	return ret;
}

/* --- what the guest accesses --- */

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void access_smmu(struct vm *vm, uint64_t offset, uint8_t *data, unsigned int len, bool write)
{
	uint64_t value = 0;

	if (write) {
		memcpy(&value, data, len);
		/* The guest is told of errors by the SMMU itself. */
		db_vsmmu_mmio_write(vm->vsmmu, offset, len, value);
	} else {
		value = db_vsmmu_mmio_read(vm->vsmmu, offset, len);
		memcpy(data, &value, len);
	}
}

static void access_config(struct vm *vm, uint64_t offset, uint8_t *data, unsigned int len,
			  bool write)
{
	for (unsigned int i = 0; i < vm->n_devices; i++) {
		if (vm->devices[i].rid == offset >> 12) {
			vm_device_config(&vm->devices[i], offset & 0xfff, data, len, write);
			return;
		}
	}
	if (!write)
		memset(data, 0xff, len);
}

static bool access_bars(struct vm *vm, uint64_t address, uint8_t *data, unsigned int len,
			bool write)
{
	for (unsigned int i = 0; i < vm->n_devices; i++)
		if (vm_device_access(&vm->devices[i], address, data, len, write))
			return true;
	return false;
}

static void access_memory(struct vm *vm, uint64_t address, uint8_t *data, unsigned int len,
			  bool write)
{
	if (address - VM_UART < 8) {
		count(&vm->exits_uart);
		if (write)
			uart_write(&vm->uart, address - VM_UART, data[0]);
		else
			data[0] = uart_read(&vm->uart, address - VM_UART);
	} else if (address - VM_SMMU < DB_VSMMU_SIZE) {
		count(&vm->exits_smmu);
		access_smmu(vm, address - VM_SMMU, data, len, write);
	} else if (address - VM_ECAM < VM_ECAM_SIZE) {
		count(&vm->exits_config);
		access_config(vm, address - VM_ECAM, data, len, write);
	} else if (access_bars(vm, address, data, len, write)) {
		count(&vm->exits_bar);
	} else {
		count(&vm->exits_none);
		if (!write)
			memset(data, 0xff, len);
	}
}

/* --- CPUs --- */

static void end(struct vm *vm, enum vm_end how)
{
	int none = -1;
	uint64_t one = 1;

	__atomic_compare_exchange_n(&vm->end, &none, how, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_ACQUIRE);
	if (write(vm->stop_fd, &one, sizeof(one)) < 0)
		return;	/* it is readable already */
}

void vm_stop(struct vm *vm)
{
	end(vm, VM_STOPPED);
}

static void system_event(struct vm *vm, const struct kvm_run *run)
{
	end(vm, run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? VM_OFF :
		run->system_event.type == KVM_SYSTEM_EVENT_RESET    ? VM_RESET :
								      VM_BROKEN);
}

static void *run_cpu(void *arg)
{
	struct vm_cpu *cpu = arg;
	struct vm *vm = cpu->vm;
	struct kvm_run *run = cpu->kvm.run;

	while (!__atomic_load_n(&vm->ending, __ATOMIC_ACQUIRE)) {
		if (ioctl(cpu->kvm.fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			fail(vm, -errno, "KVM_RUN");
			end(vm, VM_BROKEN);
			break;
		}
		if (run->exit_reason == KVM_EXIT_MMIO) {
			access_memory(vm, run->mmio.phys_addr, run->mmio.data, run->mmio.len,
				      run->mmio.is_write);
		} else if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT) {
			system_event(vm, run);
			break;
		} else {
			snprintf(vm->why, VM_WHY, "KVM ended a CPU for reason %u",
				 run->exit_reason);
			end(vm, VM_BROKEN);
			break;
		}
	}
	return NULL;
}

static void kicked(int signal)
{
	(void)signal;
}

static int start_cpus(struct vm *vm)
{
	struct sigaction action = { .sa_handler = kicked };
	int ret;

	sigaction(KICK, &action, NULL);
	for (unsigned int i = 0; i < vm->n_cpus; i++) {
		ret = pthread_create(&vm->cpus[i].thread, NULL, run_cpu, &vm->cpus[i]);
		if (ret)
			return fail(vm, -ret, "a thread for a CPU");
		vm->cpus[i].started = true;
	}
	return 0;
}

/* A signal just before KVM_RUN would be lost, but for immediate_exit. */
static void stop_cpus(struct vm *vm)
{
	__atomic_store_n(&vm->ending, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < vm->n_cpus; i++) {
		if (!vm->cpus[i].started)
			continue;
		__atomic_store_n(&vm->cpus[i].kvm.run->immediate_exit, 1, __ATOMIC_RELEASE);
		pthread_kill(vm->cpus[i].thread, KICK);
		pthread_join(vm->cpus[i].thread, NULL);
		vm->cpus[i].started = false;
	}
}

/* --- the thread of vm_run() --- */

static void read_console(struct vm *vm)
{
	char in[256], out[256];
	ssize_t n = read(vm->options.stdin_fd, in, sizeof(in));
	size_t count = 0;

	if (n <= 0) {
		vm->options.stdin_fd = -1;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (vm->escaped) {
			vm->escaped = false;
			if (in[i] == 'x')
				vm_stop(vm);
			if (in[i] != ESCAPE)
				continue;
		} else if (in[i] == ESCAPE) {
			vm->escaped = true;
			continue;
		}
		out[count++] = in[i];
	}
	uart_input(&vm->uart, out, count);
}

static void tell(struct vm *vm)
{
	if (!vm->options.vector)
		return;
	for (unsigned int i = 0; i < vm->n_devices; i++)
		vm_device_tell(&vm->devices[i], &vm->options);
}

static void attend(struct vm *vm)
{
	enum { STOP, EVENTS, CONSOLE, REQUESTS };
	struct pollfd poll_fds[REQUESTS + VM_DEVICES];

	for (;;) {
		poll_fds[STOP] = (struct pollfd){ vm->stop_fd, POLLIN, 0 };
		poll_fds[EVENTS] = (struct pollfd){ db_vsmmu_event_fd(vm->vsmmu), POLLIN, 0 };
		poll_fds[CONSOLE] = (struct pollfd){ vm->options.stdin_fd, POLLIN, 0 };
		for (unsigned int i = 0; i < vm->n_devices; i++)
			poll_fds[REQUESTS + i] = (struct pollfd){ vm->devices[i].req, POLLIN, 0 };
		if (poll(poll_fds, REQUESTS + vm->n_devices, TELL_MS) < 0 && errno != EINTR)
			return;
		tell(vm);
		if (poll_fds[STOP].revents)
			return;
		if (poll_fds[EVENTS].revents)
			db_vsmmu_poll_events(vm->vsmmu);
		if (poll_fds[CONSOLE].revents)
			read_console(vm);
		for (unsigned int i = 0; i < vm->n_devices; i++) {
			if (poll_fds[REQUESTS + i].revents) {
				snprintf(vm->why, VM_WHY, "the host wants %s back",
					 vm->devices[i].address);
				end(vm, VM_REQUESTED);
			}
		}
	}
}

int vm_run(struct vm *vm, struct vm_report *report, char why[VM_WHY])
{
	int ret;

	vm->why = why;
	vm->kvm.why = why;
	*why = '\0';
	ret = start_cpus(vm);
	if (!ret)
		attend(vm);
	stop_cpus(vm);
	*report = (struct vm_report){
		.end = vm->end,
		.exits_uart = vm->exits_uart,
		.exits_smmu = vm->exits_smmu,
		.exits_config = vm->exits_config,
		.exits_bar = vm->exits_bar,
		.exits_none = vm->exits_none,
		.routings = vm->kvm.n_routings,
		.irqfds = vm->kvm.n_irqfds,
		.ram_ns = vm->ram_ns,
	};
	return ret;
}

/* --- life --- */

static void uart_irq(void *ctx, bool level)
{
	kvm_set_spi(ctx, SPI_UART, level);
}

static int make_machine(struct vm *vm)
{
	int ret;

	ret = make_ram(vm);
	if (!ret)
		ret = load_guest(vm);
	for (unsigned int i = 0; !ret && i < vm->options.cpus; i++) {
		vm->cpus[i] = (struct vm_cpu){ .vm = vm, .kvm.fd = -1 };
		vm->n_cpus++;
		ret = kvm_add_cpu(&vm->kvm, i, &vm->cpus[i].kvm);
	}
	if (!ret)
		ret = kvm_start_at(&vm->kvm, &vm->cpus[0].kvm, vm->kernel, vm->tree);
	return ret;
}

static int create(struct vm *vm)
{
	struct db_caps first = DB_SIZED(struct db_caps);
	int ret;

	ret = kvm_open(&vm->kvm, vm->why);
	if (ret)
		return ret;
	vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stop_fd < 0)
		return fail(vm, -errno, "eventfd");
	ret = make_machine(vm);
	if (!ret)
		ret = open_host(vm, &first);
	if (!ret)
		ret = kvm_add_gic(&vm->kvm, vm->options.cpus, vm->doorbell_ipa - VM_ITS_DOORBELL);
	if (!ret)
		ret = make_tree(vm);
	if (!ret)
		ret = start_devices(vm, &first);
	return ret;
}

int vm_create(const struct vm_options *options, struct vm **out, char why[VM_WHY])
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int ret;

	*why = '\0';
	if (!vm) {
		snprintf(why, VM_WHY, "no memory");
		return -ENOMEM;
	}
	vm->options = *options;
	vm->why = why;
	vm->end = -1;
	vm->stop_fd = -1;
	for (unsigned int i = 0; i < DB_VSMMU_IRQS; i++)
		vm->smmu_irq[i] = -1;
	uart_init(&vm->uart);
	vm->uart.output = options->console;
	vm->uart.output_ctx = options->ctx;
	vm->uart.irq = uart_irq;
	vm->uart.irq_ctx = &vm->kvm;
	if (options->mode == DB_MODE_RMR) {
		snprintf(why, VM_WHY, "mode rmr: firmware would have to tell the guest of the window "
			 "(ACPI's RMR nodes), and this VMM's guests have a device tree");
		ret = -EOPNOTSUPP;
	} else {
		ret = create(vm);
	}
	if (ret) {
		vm_destroy(vm);
		return ret;
	}
	*out = vm;
	return 0;
}

void vm_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->n_cpus; i++)
		kvm_remove_cpu(&vm->cpus[i].kvm);
	for (unsigned int i = 0; i < vm->n_devices; i++)
		vm_device_close(&vm->devices[i]);
	if (vm->vsmmu)
		db_vsmmu_destroy(vm->vsmmu);
	if (vm->space)
		db_space_destroy(vm->space);
	if (vm->host)
		db_host_close(vm->host);
	for (unsigned int i = 0; i < DB_VSMMU_IRQS; i++)
		if (vm->smmu_irq[i] >= 0)
			close(vm->smmu_irq[i]);
	if (vm->stop_fd >= 0)
		close(vm->stop_fd);
	if (vm->kvm.routes)
		kvm_close(&vm->kvm);
	if (vm->ram)
		munmap(vm->ram, vm->options.ram);
	uart_destroy(&vm->uart);
	free(vm);
}
