/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trap layer and the regions, on the software host: what a guest reads and writes, what the VMM
 * is told, what reaches the device. A layer in front of the host shows registers that its devices
 * do not have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <doorbell/doorbell.h>

#include "abi/vfio.h"
#include "soft/endpoints/bell.h"

#define VECTORS 8
#define DOORBELL 0x20090000ull
#define GIOVA (DOORBELL + 0x40)	/* stage 1 is bypassed */
#define CONFIG_OFFSET ((uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)
#define TABLE_BAR 2
#define PM_CAP 0x40
#define MSIX_CAP 0x70
#define EXP_CAP 0x80

static const char machine[] = "device 0000:01:00.0 bell vectors=8\n";

/* Stands before the software host. */
struct front {
	struct db_sys sys;
	struct db_sys *host;
	uint8_t patch[4096];
	bool patched[4096];
	unsigned int patched_writes;	/* that would have reached patched registers */
	uint8_t power;			/* the state that was written last */
	bool has_intx;
	int intx;			/* the eventfd that is armed */
	bool has_resample;
	unsigned int unmasks;
};

struct vm {
	struct front front;
	struct db_host *host;
	struct db_device *dev;
	struct db_space *space;
	struct db_viommu *viommu;
	struct db_vpci *vpci;
	int fd[VECTORS];
	uint64_t mapped[DB_REGION_COUNT];	/* 0: not */
	unsigned int maps, unmaps, resets;
};

/* --- In front of the host --- */

static struct db_sys *host_of(struct db_sys *sys)
{
	return ((struct front *)sys)->host;
}

static int front_open(struct db_sys *sys, const char *path, int flags)
{
	return host_of(sys)->ops->open(host_of(sys), path, flags);
}

static int front_close(struct db_sys *sys, int fd)
{
	return host_of(sys)->ops->close(host_of(sys), fd);
}

/* INTx as the kernel has it: not beside MSI-X. */
static int front_intx(struct front *front, const struct vfio_irq_set *set)
{
	int fd = *(const int *)set->data;

	switch (set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_UNMASK:
		front->unmasks += !!(set->flags & VFIO_IRQ_SET_DATA_NONE);
		front->has_resample = (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) && fd >= 0;
		return front->intx < 0 ? -EINVAL : 0;
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		front->has_resample = false;
		front->intx = set->flags & VFIO_IRQ_SET_DATA_EVENTFD && fd != 9999 ? fd : -1;
		return fd == 9999 ? -EBADF : 0;
	default:
		return 0;
	}
}

static int front_ioctl(struct db_sys *sys, int fd, unsigned long request, void *arg)
{
	struct front *front = (struct front *)sys;
	struct vfio_irq_info *info = arg;
	struct vfio_irq_set *set = arg;

	if (front->has_intx && request == VFIO_DEVICE_GET_IRQ_INFO &&
	    info->index == VFIO_PCI_INTX_IRQ_INDEX) {
		info->count = 1;
		info->flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
			      VFIO_IRQ_INFO_AUTOMASKED;
		return 0;
	}
	if (front->has_intx && request == VFIO_DEVICE_SET_IRQS) {
		if (set->index == VFIO_PCI_INTX_IRQ_INDEX)
			return front_intx(front, set);
		if (set->index == VFIO_PCI_MSIX_IRQ_INDEX && front->intx >= 0 &&
		    (set->flags & VFIO_IRQ_SET_ACTION_TRIGGER))
			return -EINVAL;
	}
	return host_of(sys)->ops->ioctl(host_of(sys), fd, request, arg);
}

static ssize_t front_read(struct db_sys *sys, int fd, void *buf, size_t len)
{
	return host_of(sys)->ops->read(host_of(sys), fd, buf, len);
}

static ssize_t front_pread(struct db_sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	struct front *front = (struct front *)sys;
	ssize_t ret = host_of(sys)->ops->pread(host_of(sys), fd, buf, len, offset);
	size_t i;

	for (i = 0; ret > 0 && i < len && offset - CONFIG_OFFSET < 4096; i++)
		if (front->patched[offset - CONFIG_OFFSET + i])
			((uint8_t *)buf)[i] = front->patch[offset - CONFIG_OFFSET + i];
	if (ret > 0 && offset == CONFIG_OFFSET + PM_CAP + PCI_PM_CTRL)
		*(uint8_t *)buf |= front->power;
	return ret;
}

static ssize_t front_pwrite(struct db_sys *sys, int fd, const void *buf, size_t len,
			    uint64_t offset)
{
	struct front *front = (struct front *)sys;

	if (offset - CONFIG_OFFSET < 4096)
		front->patched_writes += front->patched[offset - CONFIG_OFFSET];
	if (offset == CONFIG_OFFSET + PM_CAP + PCI_PM_CTRL)
		front->power = *(const uint8_t *)buf & PCI_PM_CTRL_STATE_MASK;
	return host_of(sys)->ops->pwrite(host_of(sys), fd, buf, len, offset);
}

static int front_mmap(struct db_sys *sys, size_t len, int prot, int fd, uint64_t offset, void **out)
{
	return host_of(sys)->ops->mmap(host_of(sys), len, prot, fd, offset, out);
}

static int front_munmap(struct db_sys *sys, void *addr, size_t len)
{
	return host_of(sys)->ops->munmap(host_of(sys), addr, len);
}

static uint64_t front_mmio_read(struct db_sys *sys, const volatile void *addr, unsigned int size)
{
	return host_of(sys)->ops->mmio_read(host_of(sys), addr, size);
}

static void front_mmio_write(struct db_sys *sys, volatile void *addr, unsigned int size,
			     uint64_t value)
{
	host_of(sys)->ops->mmio_write(host_of(sys), addr, size, value);
}

static ssize_t front_readlink(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	return host_of(sys)->ops->readlink(host_of(sys), path, buf, size);
}

static int front_list(struct db_sys *sys, const char *path,
		      int (*entry)(void *arg, const char *name), void *arg)
{
	return host_of(sys)->ops->list(host_of(sys), path, entry, arg);
}

static void front_release(struct db_sys *sys)
{
	host_of(sys)->ops->release(host_of(sys));
}

static const struct db_sys_ops front_ops = {
	.size = sizeof(front_ops),
	.open = front_open,
	.close = front_close,
	.ioctl = front_ioctl,
	.read = front_read,
	.pread = front_pread,
	.pwrite = front_pwrite,
	.mmap = front_mmap,
	.munmap = front_munmap,
	.mmio_read = front_mmio_read,
	.mmio_write = front_mmio_write,
	.readlink = front_readlink,
	.list = front_list,
	.release = front_release,
};

static void patch(struct vm *vm, unsigned int at, unsigned int size, uint32_t value)
{
	unsigned int i;

	for (i = 0; i < size; i++) {
		vm->front.patch[at + i] = value >> 8 * i;
		vm->front.patched[at + i] = true;
	}
}

/* --- The VMM --- */

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct vm *vm = ctx;

	(void)route;
	return index < VECTORS ? vm->fd[index] : -ENODEV;
}

static const struct db_msi_guest_ops msi_ops = {
	.size = sizeof(msi_ops),
	.connect = connect_vector,
};

static void map(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io)
{
	struct vm *vm = ctx;

	assert_int_equal(vm->mapped[index], 0);
	assert_int_not_equal(address, 0);
	assert_int_equal(address & (length - 1), 0);
	assert_false(io);
	vm->mapped[index] = address;
	vm->maps++;
}

static void unmap(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io)
{
	struct vm *vm = ctx;

	(void)length;
	(void)io;
	assert_int_equal(vm->mapped[index], address);
	vm->mapped[index] = 0;
	vm->unmaps++;
}

static void was_reset(void *ctx)
{
	struct vm *vm = ctx;

	vm->resets++;
}

static const struct db_vpci_ops vpci_ops = {
	.size = sizeof(vpci_ops),
	.map = map,
	.unmap = unmap,
	.reset = was_reset,
};

/* The host and its device; the test may patch config space then. */
static void begin(struct vm *vm, const char *text)
{
	unsigned int i;

	memset(vm, 0, sizeof(*vm));
	vm->front.sys.ops = &front_ops;
	vm->front.intx = -1;
	if (db_soft_host_create(text, strlen(text), &vm->front.host))
		fail_msg("%s", db_error_message());
	for (i = 0; i < VECTORS; i++)
		vm->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(db_host_open(&vm->front.sys, &vm->host), 0);
	assert_int_equal(db_space_create(vm->host, &vm->space), 0);
}

static void open_device(struct vm *vm)
{
	/* V, stage 1 bypassed. */
	uint64_t ste[8] = { 1 | 4 << 1 };

	if (db_device_open(vm->host, "0000:01:00.0", 0, &vm->dev))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_viommu_create(vm->space, vm->dev, &vm->viommu), 0);
	assert_int_equal(db_viommu_add(vm->viommu, vm->dev, 1), 0);
	assert_int_equal(db_viommu_install_ste(vm->viommu, vm->dev, ste), 0);
}

static int create(struct vm *vm, uint32_t flags)
{
	struct db_vpci_config config = DB_SIZED(struct db_vpci_config,
		.dev = vm->dev,
		.flags = flags,
		.space = vm->space,
		.mode = DB_MODE_NATIVE,
		.doorbell_ipa = DOORBELL,
		.msi_ops = &msi_ops,
		.ops = &vpci_ops,
		.ctx = vm);

	return db_vpci_create(&config, &vm->vpci);
}

static void start(struct vm *vm, const char *text)
{
	begin(vm, text);
	open_device(vm);
	if (create(vm, 0))
		fail_msg("%s", db_error_message());
}

static void stop(struct vm *vm)
{
	unsigned int i;

	db_vpci_destroy(vm->vpci);
	for (i = 0; i < DB_REGION_COUNT; i++)
		assert_int_equal(vm->mapped[i], 0);
	db_viommu_remove(vm->viommu, vm->dev);
	db_viommu_destroy(vm->viommu);
	db_device_close(vm->dev);
	db_space_destroy(vm->space);
	db_host_close(vm->host);
	vm->front.sys.ops->release(&vm->front.sys);
	for (i = 0; i < VECTORS; i++)
		close(vm->fd[i]);
}

static void assert_message_has(const char *text)
{
	if (!strstr(db_error_message(), text))
		fail_msg("\"%s\" is not in \"%s\"", text, db_error_message());
}

/* --- The guest --- */

static uint32_t rd(struct vm *vm, unsigned int at, unsigned int size)
{
	return db_vpci_config_read(vm->vpci, at, size);
}

static void wr(struct vm *vm, unsigned int at, unsigned int size, uint32_t value)
{
	if (db_vpci_config_write(vm->vpci, at, size, value))
		fail_msg("%s", db_error_message());
}

static void bar_wr(struct vm *vm, unsigned int bar, uint64_t at, unsigned int size, uint64_t value)
{
	if (db_vpci_bar_write(vm->vpci, bar, at, size, value))
		fail_msg("%s", db_error_message());
}

static void place_bars(struct vm *vm)
{
	wr(vm, PCI_BASE_ADDRESS_0, 4, 0x50000000);
	wr(vm, PCI_BASE_ADDRESS_1, 4, 1);
	wr(vm, PCI_BASE_ADDRESS_2, 4, 0x50010000);
	wr(vm, PCI_BASE_ADDRESS_3, 4, 1);
	wr(vm, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void enable_vectors(struct vm *vm)
{
	unsigned int i;

	wr(vm, MSIX_CAP + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (i = 0; i < VECTORS; i++) {
		bar_wr(vm, TABLE_BAR, 16 * i, 8, GIOVA);
		bar_wr(vm, TABLE_BAR, 16 * i + 8, 8, i);
	}
	wr(vm, MSIX_CAP + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

/* Rings vector @index, and counts what arrives. */
static uint64_t ring(struct vm *vm, unsigned int index)
{
	eventfd_t count = 0;

	bar_wr(vm, 0, BELL_RING, 4, index);
	return eventfd_read(vm->fd[index], &count) ? 0 : count;
}

/* --- Tests --- */

static void test_power_on(void **state)
{
	uint8_t on[2] = { PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0 }, now[2];
	struct vm vm;
	unsigned int i;

	(void)state;
	begin(&vm, machine);
	patch(&vm, PCI_HEADER_TYPE, 1, 0x80);
	open_device(&vm);
	assert_int_equal(db_device_config_write(vm.dev, on, 2, PCI_COMMAND), 2);
	assert_int_equal(create(&vm, 0), 0);
	assert_int_equal(db_device_config_read(vm.dev, now, 2, PCI_COMMAND), 2);
	assert_int_equal(now[0], 0);
	assert_int_equal(rd(&vm, PCI_COMMAND, 2), 0);
	assert_int_equal(rd(&vm, PCI_VENDOR_ID, 4), (uint32_t)BELL_DEVICE << 16 | BELL_VENDOR);
	assert_int_equal(rd(&vm, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(rd(&vm, PCI_INTERRUPT_PIN, 1), 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(rd(&vm, PCI_BASE_ADDRESS_0 + 4 * i, 4),
				 i == 0 || i == 2 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0);
	assert_int_equal(rd(&vm, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(vm.maps, 0);
	stop(&vm);
}

/* Every access that is within a dword reads the same bytes; every other reads as ones. */
static void test_config_sizes_and_alignments(void **state)
{
	unsigned int at, size, offset;
	uint32_t dword, mask;
	struct vm vm;

	(void)state;
	start(&vm, machine);
	for (at = 0; at < 0x120; at += 4) {
		dword = rd(&vm, at, 4);
		for (size = 1; size <= 4; size *= 2) {
			mask = ~0u >> (32 - 8 * size);
			for (offset = 0; offset < 4; offset++)
				assert_int_equal(rd(&vm, at + offset, size),
						 offset + size <= 4 ?
							 dword >> 8 * offset & mask : mask);
		}
	}
	assert_int_equal(rd(&vm, 0, 3), 0xffffff);
	assert_int_equal(rd(&vm, 0, 8), ~0u);
	assert_int_equal(rd(&vm, 4096, 4), ~0u);
	assert_int_equal(rd(&vm, ~0u, 4), ~0u);
	/* Writes of parts, a word in the middle among them; one across a dword does nothing. */
	wr(&vm, PCI_BASE_ADDRESS_0 + 3, 1, 0x12);
	wr(&vm, PCI_BASE_ADDRESS_0 + 1, 2, 0x3456);
	assert_int_equal(rd(&vm, PCI_BASE_ADDRESS_0, 4), 0x12345004);
	wr(&vm, PCI_BASE_ADDRESS_0 + 3, 2, 0xffff);
	wr(&vm, PCI_BASE_ADDRESS_0 + 2, 4, 0xffff);
	assert_int_equal(rd(&vm, PCI_BASE_ADDRESS_0, 4), 0x12345004);
	wr(&vm, MSIX_CAP, 4, (uint32_t)PCI_MSIX_FLAGS_MASKALL << 16);
	assert_int_equal(rd(&vm, MSIX_CAP + PCI_MSIX_FLAGS, 2),
			 PCI_MSIX_FLAGS_MASKALL | (VECTORS - 1));
	wr(&vm, MSIX_CAP + 3, 1, 0);
	assert_int_equal(rd(&vm, MSIX_CAP + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	wr(&vm, PCI_INTERRUPT_LINE, 1, 0x2a);
	assert_int_equal(rd(&vm, PCI_INTERRUPT_LINE, 2), 0x2a);
	stop(&vm);
}

static void test_bar_sizing_and_moves(void **state)
{
	struct db_vpci_bar bar = DB_SIZED(struct db_vpci_bar);
	unsigned int index;
	uint64_t offset;
	struct vm vm;

	(void)state;
	start(&vm, machine);
	wr(&vm, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(vm.maps, 0);
	/* Sized with decoding on, which some do. */
	wr(&vm, PCI_BASE_ADDRESS_2, 4, ~0u);
	wr(&vm, PCI_BASE_ADDRESS_3, 4, ~0u);
	assert_int_equal(rd(&vm, PCI_BASE_ADDRESS_2, 4), 0xffff0000 | PCI_BASE_ADDRESS_MEM_TYPE_64);
	assert_int_equal(rd(&vm, PCI_BASE_ADDRESS_3, 4), ~0u);
	assert_int_equal(vm.mapped[2], 0);
	wr(&vm, PCI_COMMAND, 2, 0);
	place_bars(&vm);
	assert_int_equal(vm.mapped[0], 0x150000000);
	assert_int_equal(vm.mapped[2], 0x150010000);
	assert_int_equal(db_vpci_bar(vm.vpci, 2, &bar), 0);
	assert_int_equal(bar.address, 0x150010000);
	assert_int_equal(bar.length, 0x10000);
	assert_true(bar.mapped && bar.wide && !bar.io && !bar.prefetchable);
	assert_int_equal(db_vpci_find(vm.vpci, 0x150018008, false, &index, &offset), 0);
	assert_int_equal(index, 2);
	assert_int_equal(offset, 0x8008);
	assert_int_equal(db_vpci_find(vm.vpci, 0x150018008, true, &index, &offset), -ENOENT);
	assert_int_equal(db_vpci_find(vm.vpci, 0x150020000, false, &index, &offset), -ENOENT);
	/* Moved while it decodes. */
	vm.maps = vm.unmaps = 0;
	wr(&vm, PCI_BASE_ADDRESS_0, 4, 0x60000fff);
	assert_int_equal(rd(&vm, PCI_BASE_ADDRESS_0, 4), 0x60000004);
	assert_int_equal(vm.mapped[0], 0x160000000);
	assert_int_equal(vm.maps, 1);
	assert_int_equal(vm.unmaps, 1);
	wr(&vm, PCI_BASE_ADDRESS_0, 4, 0x60000004);
	assert_int_equal(vm.maps, 1);
	wr(&vm, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(vm.unmaps, 3);
	assert_int_equal(db_vpci_bar(vm.vpci, 1, &bar), 0);
	assert_int_equal(bar.length, 0);
	assert_int_equal(db_vpci_bar(vm.vpci, 7, &bar), -EINVAL);
	wr(&vm, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	stop(&vm);
}

static void test_bar_accesses(void **state)
{
	const uint64_t value = 0x1122334455667788;
	unsigned int size, offset;
	uint64_t mask;
	struct vm vm;

	(void)state;
	start(&vm, machine);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_ID, 4), ~0u);
	bar_wr(&vm, 0, BELL_SRC, 8, 1);
	place_bars(&vm);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_ID, 4), 0x4c4c4542);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_SRC, 8), 0);
	bar_wr(&vm, 0, BELL_SRC, 8, value);
	for (size = 1; size <= 8; size *= 2) {
		mask = ~0ull >> (64 - 8 * size);
		for (offset = 0; offset < 8; offset++)
			if (size >= 4 && !(offset % size))
				assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_SRC + offset,
								  size), value >> 8 * offset & mask);
			else if (offset + size > 8)
				assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_SRC + offset,
								  size), mask);
	}
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, 4096, 4), ~0u);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, ~7ull, 8), ~0ull);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 1, 0, 4), ~0u);
	assert_int_equal(db_vpci_bar_read(vm.vpci, DB_REGION_ROM, 0, 4), ~0u);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 99, 0, 4), ~0u);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, 0, 3), 0xffffff);
	bar_wr(&vm, 99, 0, 4, 0);
	/* Table and PBA. */
	bar_wr(&vm, TABLE_BAR, 16, 8, GIOVA);
	bar_wr(&vm, TABLE_BAR, 24, 4, 0x77);
	assert_int_equal(db_vpci_bar_read(vm.vpci, TABLE_BAR, 16, 8), GIOVA);
	assert_int_equal(db_vpci_bar_read(vm.vpci, TABLE_BAR, 24, 8), 0x100000077);
	assert_int_equal(db_vpci_bar_read(vm.vpci, TABLE_BAR, 0x8000, 8), 0);
	bar_wr(&vm, TABLE_BAR, 0x8000, 8, ~0ull);
	assert_int_equal(db_vpci_bar_read(vm.vpci, TABLE_BAR, 0x8000, 8), 0);
	stop(&vm);
}

static void test_flr(void **state)
{
	struct vm vm;

	(void)state;
	start(&vm, machine);
	place_bars(&vm);
	enable_vectors(&vm);
	assert_int_equal(ring(&vm, 3), 1);
	assert_true(rd(&vm, EXP_CAP + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	wr(&vm, EXP_CAP + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(vm.resets, 1);
	assert_int_equal(vm.mapped[0], 0);
	assert_int_equal(rd(&vm, EXP_CAP + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
	assert_int_equal(rd(&vm, PCI_COMMAND, 2), 0);
	assert_int_equal(rd(&vm, PCI_BASE_ADDRESS_0, 4), PCI_BASE_ADDRESS_MEM_TYPE_64);
	assert_int_equal(rd(&vm, PCI_BASE_ADDRESS_1, 4), 0);
	assert_int_equal(rd(&vm, MSIX_CAP + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	place_bars(&vm);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_RUNG, 8), 0);
	assert_int_equal(db_vpci_bar_read(vm.vpci, TABLE_BAR, 0, 8), 0);
	assert_int_equal(ring(&vm, 3), 0);
	enable_vectors(&vm);
	assert_int_equal(ring(&vm, 3), 1);
	/* The VMM's own reset: no call of reset(). */
	assert_int_equal(db_vpci_reset(vm.vpci), 0);
	assert_int_equal(vm.resets, 1);
	assert_int_equal(rd(&vm, PCI_COMMAND, 2), 0);
	stop(&vm);
}

/* Advanced Features, at 0xd0, behind PCI Express. */
static void add_af(struct vm *vm)
{
	patch(vm, EXP_CAP + 1, 1, 0xd0);
	patch(vm, 0xd0, 4, PCI_CAP_ID_AF | 6 << 16 | (PCI_AF_CAP_TP | PCI_AF_CAP_FLR) << 24);
	patch(vm, 0xd4, 4, 0);
}

static void test_af_reset(void **state)
{
	struct vm vm;

	(void)state;
	begin(&vm, machine);
	add_af(&vm);
	open_device(&vm);
	assert_int_equal(create(&vm, 0), 0);
	place_bars(&vm);
	wr(&vm, 0xd4, 2, PCI_AF_CTRL_FLR);
	assert_int_equal(vm.resets, 1);
	assert_int_equal(rd(&vm, 0xd4, 1), 0);
	assert_int_equal(rd(&vm, PCI_COMMAND, 2), 0);
	stop(&vm);
}

/* A device that cannot be reset alone does not say that it can, and is not. */
static void test_no_reset(void **state)
{
	struct vm vm;

	(void)state;
	begin(&vm, "device 0000:01:00.0 bell vectors=8 no-reset\n");
	add_af(&vm);
	open_device(&vm);
	assert_int_equal(create(&vm, 0), 0);
	assert_int_equal(rd(&vm, EXP_CAP + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR, 0);
	assert_int_equal(rd(&vm, EXP_CAP + 1, 1), 0);
	assert_int_equal(rd(&vm, 0xd0, 4), 0);
	place_bars(&vm);
	wr(&vm, 0xd4, 1, PCI_AF_CTRL_FLR);
	wr(&vm, EXP_CAP + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(vm.resets, 0);
	assert_int_equal(vm.mapped[0], 0x150000000);
	/* The VMM's own reset is one of the registers, as far as that goes. */
	assert_int_equal(db_vpci_reset(vm.vpci), 0);
	assert_int_equal(rd(&vm, PCI_COMMAND, 2), 0);
	stop(&vm);
}

static void test_d3hot(void **state)
{
	struct vm vm;
	unsigned int i;

	(void)state;
	start(&vm, machine);
	place_bars(&vm);
	enable_vectors(&vm);
	wr(&vm, PM_CAP + PCI_PM_CTRL, 2, 3);
	assert_int_equal(rd(&vm, PM_CAP + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK, 3);
	assert_int_equal(vm.mapped[0], 0);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_ID, 4), ~0u);
	bar_wr(&vm, 0, BELL_SRC, 8, 5);
	wr(&vm, PM_CAP + PCI_PM_CTRL, 2, 0);
	assert_int_equal(vm.mapped[0], 0x150000000);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_ID, 4), 0x4c4c4542);
	for (i = 0; i < VECTORS; i++)
		assert_int_equal(ring(&vm, i), 1);
	/* MSI-X is config space: it can be changed in D3hot, and is so in D0. */
	wr(&vm, MSIX_CAP + PCI_MSIX_FLAGS, 2, 0);
	wr(&vm, PM_CAP + PCI_PM_CTRL, 2, 3);
	assert_int_equal(db_vpci_config_write(vm.vpci, MSIX_CAP + PCI_MSIX_FLAGS, 2,
					      PCI_MSIX_FLAGS_ENABLE), -EIO);
	assert_int_equal(rd(&vm, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(&vm, PM_CAP + PCI_PM_CTRL, 2, 0);
	for (i = 0; i < VECTORS; i++)
		assert_int_equal(ring(&vm, i), 1);
	stop(&vm);
}

/* Walks a list as a guest does; the IDs, ended by 0. */
static unsigned int walk(struct vm *vm, bool extended, uint16_t ids[32])
{
	unsigned int at, n = 0;
	uint32_t header;

	if (!extended) {
		for (at = rd(vm, PCI_CAPABILITY_LIST, 1); at && n < 31; at = rd(vm, at + 1, 1))
			ids[n++] = rd(vm, at, 1);
		return n;
	}
	for (at = 0x100; at && n < 31; at = PCI_EXT_CAP_NEXT(header)) {
		header = rd(vm, at, 4);
		if (PCI_EXT_CAP_ID(header))
			ids[n++] = PCI_EXT_CAP_ID(header);
	}
	return n;
}

static void add_extended(struct vm *vm, unsigned int at, uint16_t id, unsigned int next)
{
	patch(vm, at, 4, id | 1 << 16 | next << 20);
	patch(vm, at + 4, 4, 0xabcd0000 | id);
}

static void test_hidden_capabilities(void **state)
{
	static const struct {
		uint16_t id, at;
		bool extended;
		const char *why;
	} hidden[] = {
		{ PCI_CAP_ID_HT, 0xd0, false, "bus" },
		{ PCI_EXT_CAP_ID_ATS, 0x100, true, "SMMU" },
		{ PCI_EXT_CAP_ID_SRIOV, 0x180, true, "host's to make" },
		{ 0x7777, 0x200, true, "not known" },
	};
	struct db_vpci_hidden out = DB_SIZED(struct db_vpci_hidden);
	uint16_t ids[32];
	unsigned int i;
	struct vm vm;

	(void)state;
	begin(&vm, machine);
	patch(&vm, EXP_CAP + 1, 1, 0xd0);
	patch(&vm, 0xd0, 4, PCI_CAP_ID_HT | 0xe0 << 8 | 0x1234 << 16);
	patch(&vm, 0xe0, 4, PCI_CAP_ID_VPD | EXP_CAP << 8);	/* and round again */
	add_extended(&vm, 0x100, PCI_EXT_CAP_ID_ATS, 0x140);
	add_extended(&vm, 0x140, PCI_EXT_CAP_ID_ERR, 0x180);
	add_extended(&vm, 0x180, PCI_EXT_CAP_ID_SRIOV, 0x1c0);
	add_extended(&vm, 0x1c0, PCI_EXT_CAP_ID_VNDR, 0x200);
	add_extended(&vm, 0x200, 0x7777, 0x100);
	open_device(&vm);
	assert_int_equal(create(&vm, 0), 0);
	assert_int_equal(walk(&vm, false, ids), 4);
	assert_int_equal(ids[0], PCI_CAP_ID_PM);
	assert_int_equal(ids[1], PCI_CAP_ID_MSIX);
	assert_int_equal(ids[2], PCI_CAP_ID_EXP);
	assert_int_equal(ids[3], PCI_CAP_ID_VPD);
	assert_int_equal(walk(&vm, true, ids), 2);
	assert_int_equal(ids[0], PCI_EXT_CAP_ID_ERR);
	assert_int_equal(ids[1], PCI_EXT_CAP_ID_VNDR);
	vm.front.patched_writes = 0;
	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		assert_int_equal(db_vpci_hidden(vm.vpci, i, &out), 0);
		assert_int_equal(out.id, hidden[i].id);
		assert_int_equal(out.offset, hidden[i].at);
		assert_int_equal(out.extended, hidden[i].extended);
		assert_non_null(strstr(out.why, hidden[i].why));
		if (hidden[i].at != 0x100)
			assert_int_equal(rd(&vm, hidden[i].at, 4), 0);
		assert_int_equal(rd(&vm, hidden[i].at + 4, 4), 0);
		wr(&vm, hidden[i].at, 4, ~0u);
		wr(&vm, hidden[i].at + 4, 4, ~0u);
	}
	assert_int_equal(vm.front.patched_writes, 0);
	assert_int_equal(db_vpci_hidden(vm.vpci, i, &out), -ENOENT);
	assert_int_equal(rd(&vm, 0x144, 4), 0xabcd0001);
	wr(&vm, 0x144, 4, 0);
	assert_int_equal(vm.front.patched_writes, 1);
	stop(&vm);
}

static void test_messages_hidden(void **state)
{
	struct db_vpci_hidden out = DB_SIZED(struct db_vpci_hidden);
	uint16_t ids[32];
	struct vm vm;

	(void)state;
	begin(&vm, machine);
	open_device(&vm);
	assert_int_equal(create(&vm, DB_VPCI_NO_MSIX), 0);
	assert_null(db_vpci_msi(vm.vpci, DB_MSIX));
	assert_int_equal(walk(&vm, false, ids), 2);
	assert_int_equal(rd(&vm, MSIX_CAP, 4), 0);
	assert_int_equal(db_vpci_hidden(vm.vpci, 0, &out), 0);
	assert_int_equal(out.id, PCI_CAP_ID_MSIX);
	wr(&vm, MSIX_CAP, 4, ~0u);
	place_bars(&vm);
	assert_int_equal(db_vpci_bar_read(vm.vpci, TABLE_BAR, 0, 4), ~0u);
	bar_wr(&vm, TABLE_BAR, 0, 4, 0);
	stop(&vm);
}

static void test_msi(void **state)
{
	const unsigned int cap = 0x50;
	eventfd_t count;
	struct vm vm;
	unsigned int i, data;

	(void)state;
	start(&vm, "device 0000:01:00.0 bell msi=4\n");
	assert_non_null(db_vpci_msi(vm.vpci, DB_MSI));
	place_bars(&vm);
	data = rd(&vm, cap + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 :
								       PCI_MSI_DATA_32;
	wr(&vm, cap + PCI_MSI_ADDRESS_LO, 4, GIOVA);
	assert_int_equal(rd(&vm, cap + PCI_MSI_ADDRESS_LO, 4), GIOVA);
	wr(&vm, cap + data, 2, 0x40);
	wr(&vm, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 2 << 4);
	assert_int_equal(rd(&vm, cap + PCI_MSI_FLAGS, 2) & (PCI_MSI_FLAGS_ENABLE | 0x70), 0x21);
	for (i = 0; i < 4; i++)
		assert_int_equal(ring(&vm, i), 1);
	wr(&vm, PM_CAP + PCI_PM_CTRL, 2, 3);
	wr(&vm, PM_CAP + PCI_PM_CTRL, 2, 0);
	assert_int_equal(ring(&vm, 2), 1);
	wr(&vm, EXP_CAP + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(rd(&vm, cap + PCI_MSI_ADDRESS_LO, 4), 0);
	place_bars(&vm);
	bar_wr(&vm, 0, BELL_RING, 4, 2);
	assert_int_not_equal(eventfd_read(vm.fd[2], &count), 0);
	stop(&vm);
}

static void test_intx(void **state)
{
	struct vm vm;

	(void)state;
	begin(&vm, machine);
	vm.front.has_intx = true;
	patch(&vm, PCI_INTERRUPT_PIN, 1, 1);
	open_device(&vm);
	assert_int_equal(create(&vm, 0), 0);
	assert_int_equal(rd(&vm, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(db_vpci_set_intx(vm.vpci, vm.fd[0], vm.fd[1]), 0);
	assert_int_equal(rd(&vm, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(vm.front.intx, vm.fd[0]);
	assert_true(vm.front.has_resample);
	/* Not beside MSI-X, and again after it. */
	place_bars(&vm);
	enable_vectors(&vm);
	assert_int_equal(vm.front.intx, -1);
	assert_int_equal(ring(&vm, 3), 1);
	assert_int_equal(db_vpci_intx_unmask(vm.vpci), 0);
	assert_int_equal(vm.front.unmasks, 0);
	wr(&vm, MSIX_CAP + PCI_MSIX_FLAGS, 2, 0);
	assert_int_equal(vm.front.intx, vm.fd[0]);
	assert_true(vm.front.has_resample);
	enable_vectors(&vm);
	wr(&vm, EXP_CAP + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(vm.front.intx, vm.fd[0]);
	assert_int_equal(db_vpci_intx_unmask(vm.vpci), 0);
	assert_int_equal(vm.front.unmasks, 1);
	/* No eventfd: no pin. */
	assert_int_equal(db_vpci_set_intx(vm.vpci, 9999, -1), -EBADF);
	assert_int_equal(rd(&vm, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(db_vpci_set_intx(vm.vpci, -1, -1), 0);
	assert_int_equal(vm.front.intx, -1);
	assert_int_equal(db_vpci_set_intx(vm.vpci, vm.fd[0], -1), 0);
	stop(&vm);
	assert_int_equal(vm.front.intx, -1);
}

static bool signalled(struct vm *vm, unsigned int index, int timeout_ms)
{
	struct pollfd wait = { .fd = vm->fd[index], .events = POLLIN };
	eventfd_t count;

	return poll(&wait, 1, timeout_ms) == 1 && !eventfd_read(vm->fd[index], &count);
}

static int raw_intx(struct vm *vm, uint32_t flags, uint32_t start, uint32_t count, int fd)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} cmd = {
		.set = { .argsz = sizeof(cmd), .flags = flags, .index = VFIO_PCI_INTX_IRQ_INDEX,
			 .start = start, .count = count },
		.fd = fd,
	};

	return front_ioctl(&vm->front.sys, db_device_fd(vm->dev), VFIO_DEVICE_SET_IRQS, &cmd);
}

/* The pin of a device that has one: level-triggered, masked until the end of interrupt. */
static void test_intx_pin(void **state)
{
	const uint32_t mask = VFIO_IRQ_SET_ACTION_MASK, none = VFIO_IRQ_SET_DATA_NONE,
		       unmask_it = VFIO_IRQ_SET_ACTION_UNMASK, event = VFIO_IRQ_SET_DATA_EVENTFD;
	struct vm vm;

	(void)state;
	start(&vm, "device 0000:01:00.0 bell vectors=8 intx\n");
	assert_int_equal(db_device_irq_count(vm.dev, DB_IRQ_INTX), 1);
	assert_int_equal(rd(&vm, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(raw_intx(&vm, none | mask, 0, 1, 0), -EINVAL);
	assert_int_equal(db_vpci_set_intx(vm.vpci, vm.fd[0], -1), 0);
	assert_int_equal(rd(&vm, PCI_INTERRUPT_PIN, 1), 1);
	place_bars(&vm);
	bar_wr(&vm, 0, BELL_INTX, 4, 1);
	assert_true(signalled(&vm, 0, 0));
	bar_wr(&vm, 0, BELL_INTX, 4, 1);
	assert_false(signalled(&vm, 0, 0));
	assert_int_equal(db_vpci_intx_unmask(vm.vpci), 0);
	assert_true(signalled(&vm, 0, 0));
	bar_wr(&vm, 0, BELL_INTX, 4, 0);
	assert_int_equal(db_vpci_intx_unmask(vm.vpci), 0);
	assert_false(signalled(&vm, 0, 0));
	/* The guest's own bit. */
	wr(&vm, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	bar_wr(&vm, 0, BELL_INTX, 4, 1);
	assert_int_equal(db_vpci_intx_unmask(vm.vpci), 0);
	assert_false(signalled(&vm, 0, 0));
	wr(&vm, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(signalled(&vm, 0, 0));
	assert_int_equal(db_device_intx_mask(vm.dev), 0);
	/* By an eventfd, as KVM does it. */
	assert_int_equal(db_vpci_set_intx(vm.vpci, vm.fd[0], vm.fd[1]), 0);
	assert_true(signalled(&vm, 0, 0));
	eventfd_write(vm.fd[1], 1);
	assert_true(signalled(&vm, 0, 5000));
	bar_wr(&vm, 0, BELL_INTX, 4, 0);
	eventfd_write(vm.fd[1], 1);
	assert_false(signalled(&vm, 0, 20));
	bar_wr(&vm, 0, BELL_INTX, 4, 1);
	assert_true(signalled(&vm, 0, 5000));
	assert_int_equal(raw_intx(&vm, event | unmask_it, 0, 1, vm.fd[1]), -EBUSY);
	assert_int_equal(raw_intx(&vm, event | mask, 0, 1, vm.fd[1]), -ENOTTY);
	assert_int_equal(raw_intx(&vm, none | unmask_it, 0, 0, 0), -EINVAL);
	assert_int_equal(raw_intx(&vm, none | unmask_it, 1, 1, 0), -EINVAL);
	/* MSI-X takes its place. */
	enable_vectors(&vm);
	assert_int_equal(ring(&vm, 3), 1);
	assert_int_equal(raw_intx(&vm, event | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, vm.fd[0]),
			 -EINVAL);
	assert_int_equal(db_device_irq_set(vm.dev, DB_IRQ_INTX, vm.fd[0]), -EBUSY);
	wr(&vm, MSIX_CAP + PCI_MSIX_FLAGS, 2, 0);
	assert_true(signalled(&vm, 0, 0));
	/* A reset takes the pin down. */
	wr(&vm, EXP_CAP + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	eventfd_write(vm.fd[1], 1);
	assert_false(signalled(&vm, 0, 20));
	stop(&vm);
}

static void test_regions(void **state)
{
	static const struct {
		const char *text;
		uint64_t page;
	} pages[] = {
		{ "device 0000:01:00.0 bell vectors=2048\n", 4096 },
		{ "page-size 16k\ndevice 0000:01:00.0 bell vectors=2048\n", 16384 },
		{ "page-size 64k\ndevice 0000:01:00.0 bell vectors=2048\n", 65536 },
		{ "device 0000:01:00.0 bell vectors=300 not-mappable\n", 4096 },
	};
	struct db_region_info info = DB_SIZED(struct db_region_info);
	uint64_t page, table;
	unsigned int i, j;
	struct vm vm;
	void *va;

	(void)state;
	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		page = pages[i].page;
		start(&vm, pages[i].text);
		assert_int_equal(db_device_region(vm.dev, 0, &info), 0);
		assert_int_equal(info.length, 4096);
		assert_int_equal(info.area_count, page == 4096);
		assert_int_equal(info.flags, DB_REGION_READABLE | DB_REGION_WRITABLE);
		assert_int_equal(db_device_region(vm.dev, TABLE_BAR, &info), 0);
		table = info.table.length;
		assert_int_equal(info.pba.offset, 0x8000);
		for (j = 0; j < info.area_count; j++) {
			assert_int_equal(info.areas[j].offset % page, 0);
			assert_int_equal(info.areas[j].length % page, 0);
			assert_true(info.areas[j].offset >= table);
			assert_true(info.areas[j].offset + info.areas[j].length <= 0x8000 ||
				    info.areas[j].offset >= 0x8000 + info.pba.length);
		}
		if (page == 65536) {
			assert_int_equal(info.area_count, 0);
			assert_int_equal(db_region_map(vm.dev, TABLE_BAR, 0, page, DB_READ, &va),
					 -EOPNOTSUPP);
		} else {
			j = info.area_count - 1;
			assert_int_equal(info.areas[j].offset, 0x8000 + page);
			assert_int_equal(info.areas[j].length, 0x8000 - page);
			assert_int_equal(db_region_map(vm.dev, TABLE_BAR, 0, page, DB_READ, &va),
					 -EINVAL);
			assert_int_equal(db_region_map(vm.dev, TABLE_BAR, info.areas[j].offset,
						       page, DB_READ, &va), 0);
			assert_int_equal(db_region_unmap(vm.dev, va, page), 0);
			assert_int_equal(db_space_map_region(vm.space, 0x10000000, vm.dev,
							     TABLE_BAR, info.areas[j].offset, page,
							     DB_READ), -EOPNOTSUPP);
			assert_message_has("peer-to-peer");
		}
		assert_int_equal(db_device_region(vm.dev, 3, &info), 0);
		assert_int_equal(info.length, 0);
		assert_int_equal(db_device_region(vm.dev, 7, &info), -EINVAL);
		stop(&vm);
	}
}

static void test_more_capabilities(void **state)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct vm vm;

	(void)state;
	start(&vm, machine);
	assert_int_equal(db_device_caps(vm.dev, &caps), 0);
	assert_int_equal(caps.pasid_bits, 0);
	assert_false(caps.pasid_exec || caps.pasid_priv || caps.dirty_tracking);
	assert_true(caps.ats_not_supported);
	stop(&vm);
}

/* Two functions on a bus, one of them somebody else's, and a bus that cannot be reset. */
static void test_hot_reset(void **state)
{
	struct db_reset_function function = DB_SIZED(struct db_reset_function);
	struct vfio_pci_hot_reset_info info = { .argsz = sizeof(info) };
	struct vfio_pci_hot_reset raw = { .argsz = sizeof(raw) };
	struct db_device *other;
	struct vm vm;
	int fd;

	(void)state;
	start(&vm, "device 0000:01:00.0 bell vectors=8 no-reset\n"
		   "device 0000:01:00.1 bell vectors=8\n"
		   "device 0000:02:00.0 bell vectors=8\n");
	place_bars(&vm);
	enable_vectors(&vm);
	bar_wr(&vm, 0, BELL_SRC, 8, 5);
	assert_int_equal(db_device_hot_reset_function(vm.dev, 0, &function), 0);
	assert_string_equal(function.address, "0000:01:00.0");
	assert_true(function.open && function.owned);
	assert_int_equal(db_device_hot_reset_function(vm.dev, 1, &function), 0);
	assert_string_equal(function.address, "0000:01:00.1");
	assert_false(function.open || function.owned);
	assert_int_equal(db_device_hot_reset_function(vm.dev, 2, &function), -ENOENT);
	assert_int_equal(db_device_hot_reset(vm.dev), -EPERM);
	assert_message_has("0000:01:00.1");
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_SRC, 8), 5);
	fd = db_device_fd(vm.dev);
	assert_int_equal(front_ioctl(&vm.front.sys, fd, VFIO_DEVICE_PCI_HOT_RESET, &raw), -EINVAL);
	assert_int_equal(front_ioctl(&vm.front.sys, fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
			 -ENOSPC);
	assert_int_equal(info.count, 2);
	assert_int_equal(info.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	info.argsz--;
	assert_int_equal(front_ioctl(&vm.front.sys, fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
			 -EINVAL);

	assert_int_equal(db_device_open(vm.host, "0000:01:00.1", 0, &other), 0);
	assert_int_equal(db_device_hot_reset_function(vm.dev, 1, &function), 0);
	assert_true(function.open && function.owned);
	assert_int_equal(db_device_hot_reset(vm.dev), 0);
	assert_int_equal(db_vpci_reset(vm.vpci), 0);
	place_bars(&vm);
	assert_int_equal(db_vpci_bar_read(vm.vpci, 0, BELL_SRC, 8), 0);
	enable_vectors(&vm);
	assert_int_equal(ring(&vm, 2), 1);
	raw.count = 1;
	assert_int_equal(front_ioctl(&vm.front.sys, fd, VFIO_DEVICE_PCI_HOT_RESET, &raw), -EINVAL);
	raw = (struct vfio_pci_hot_reset){ .argsz = sizeof(raw), .flags = 1 };
	assert_int_equal(front_ioctl(&vm.front.sys, fd, VFIO_DEVICE_PCI_HOT_RESET, &raw), -EINVAL);
	db_device_close(other);
	stop(&vm);

	begin(&vm, "device 0000:00:01.0 bell vectors=8\ndevice 0000:01:00.0 bell vectors=8\n");
	open_device(&vm);
	assert_int_equal(create(&vm, 0), 0);
	assert_int_equal(db_device_open(vm.host, "0000:00:01.0", 0, &other), 0);
	assert_int_equal(db_device_hot_reset(other), -EOPNOTSUPP);
	db_device_close(other);
	stop(&vm);
}

static void test_errors_and_requests(void **state)
{
	int pipes[2];
	struct vm vm;

	(void)state;
	start(&vm, machine);
	assert_int_equal(db_device_irq_count(vm.dev, DB_IRQ_REQ), 1);
	assert_int_equal(db_device_irq_count(vm.dev, 99), -EINVAL);
	assert_int_equal(db_device_irq_set(vm.dev, DB_IRQ_REQ, vm.fd[0]), 0);
	assert_int_equal(db_device_irq_set(vm.dev, DB_IRQ_ERR, vm.fd[1]), 0);
	assert_int_equal(db_device_irq_set(vm.dev, DB_IRQ_ERR, -1), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(db_device_irq_set(vm.dev, DB_IRQ_ERR, pipes[0]), -EBADF);
	assert_int_equal(db_device_irq_set(vm.dev, DB_IRQ_ERR, 9999), -EBADF);
	assert_int_equal(db_device_irq_set(vm.dev, DB_IRQ_ERR, -7), -EBADF);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(db_device_intx_unmask(vm.dev), -EINVAL);
	stop(&vm);
}

static void test_wrong_calls(void **state)
{
	struct db_vpci_config config = { 0 };
	struct vm vm;

	(void)state;
	start(&vm, machine);
	assert_int_equal(db_vpci_create(&config, &vm.vpci), -EINVAL);
	config.size = sizeof(config);
	assert_int_equal(db_vpci_create(&config, &vm.vpci), -EINVAL);
	config.dev = vm.dev;
	config.flags = 1u << 31;
	assert_int_equal(db_vpci_create(&config, &vm.vpci), -EINVAL);
	config.flags = 0;
	config.msi = db_vpci_msi(vm.vpci, DB_MSIX);
	assert_int_equal(db_vpci_create(&config, &vm.vpci), -EINVAL);
	config.msix = config.msi;
	config.msi = NULL;
	assert_int_equal(db_vpci_create(&config, &vm.vpci), -EINVAL);
	assert_message_has("msi_ops");
	stop(&vm);
	begin(&vm, machine);
	patch(&vm, PCI_HEADER_TYPE, 1, PCI_HEADER_TYPE_BRIDGE);
	open_device(&vm);
	assert_int_equal(create(&vm, 0), -EOPNOTSUPP);
	assert_message_has("bridge");
	stop(&vm);
}

/* Nonsense in every register, and then a guest that works. */
static void test_hostile_guest(void **state)
{
	struct vm vm;
	unsigned int i;

	(void)state;
	srand(12);
	start(&vm, machine);
	for (i = 0; i < 30000; i++) {
		unsigned int size = rand() % 10, at = rand() % (rand() % 3 ? 0x100 : 0x2000);
		uint64_t value = (uint64_t)rand() << (rand() % 40);

		if (i % 3)
			db_vpci_config_write(vm.vpci, at, size, value);
		else
			db_vpci_bar_write(vm.vpci, rand() % 9, at, size, value);
		db_vpci_config_read(vm.vpci, at, size);
		db_vpci_bar_read(vm.vpci, rand() % 9, at, size);
	}
	assert_int_equal(db_vpci_reset(vm.vpci), 0);
	place_bars(&vm);
	for (i = 0; i < VECTORS; i++)
		ring(&vm, i);
	enable_vectors(&vm);
	for (i = 0; i < VECTORS; i++)
		assert_int_equal(ring(&vm, i), 1);
	stop(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_on),
		cmocka_unit_test(test_config_sizes_and_alignments),
		cmocka_unit_test(test_bar_sizing_and_moves),
		cmocka_unit_test(test_bar_accesses),
		cmocka_unit_test(test_flr),
		cmocka_unit_test(test_af_reset),
		cmocka_unit_test(test_no_reset),
		cmocka_unit_test(test_d3hot),
		cmocka_unit_test(test_hidden_capabilities),
		cmocka_unit_test(test_messages_hidden),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_intx),
		cmocka_unit_test(test_intx_pin),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_more_capabilities),
		cmocka_unit_test(test_hot_reset),
		cmocka_unit_test(test_errors_and_requests),
		cmocka_unit_test(test_wrong_calls),
		cmocka_unit_test(test_hostile_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
