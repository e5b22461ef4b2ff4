/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The least a VMM does to pass a PCI device through with the guest's own MSI address;
 * docs/vmm-guide.md goes through it.
 */
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <doorbell/doorbell.h>

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (16ull << 20)
#define VITS_BASE 0x20080000ull
#define STREAM_ID 0x10
#define VECTORS 8
#define BAR_BASE 0x10000000

struct vm {
	struct db_sys *sys;
	struct db_host *host;
	struct db_device *dev;
	struct db_space *space;
	struct db_viommu *viommu;
	struct db_vpci *vpci;
	uint8_t *ram;
	uint64_t doorbell_ipa;
	int eventfd[VECTORS];
};

static void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, db_error_message());
	exit(1);
}

static void open_device(struct vm *vm, const char *address)
{
	struct db_caps caps = DB_SIZED(struct db_caps);

	check(db_host_open(vm->sys, &vm->host), "host");
	check(db_device_open(vm->host, address, 0, &vm->dev), "device");
	check(db_device_caps(vm->dev, &caps), "capabilities");
	if (!caps.mode[DB_MODE_AUTO]) {
		fprintf(stderr, "%s\n", caps.why_not[DB_MODE_AUTO]);
		exit(1);
	}
}

static void create_space(struct vm *vm)
{
	vm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		exit(1);
	check(db_space_create(vm->host, &vm->space), "space");
	check(db_space_map(vm->space, RAM_IPA, vm->ram, RAM_SIZE, DB_READ | DB_WRITE), "RAM");
	check(db_viommu_create(vm->space, vm->dev, &vm->viommu), "vIOMMU");
	check(db_viommu_add(vm->viommu, vm->dev, STREAM_ID), "StreamID");
}

/*
 * A real VMM connects the eventfd to the guest's interrupt: a KVM irqfd, with a route that
 * db_kvm_msi_route() fills (doorbell/kvm.h).
 */
static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct vm *vm = ctx;

	if (index >= VECTORS)
		return -ENODEV;
	if (vm->eventfd[index] < 0)
		vm->eventfd[index] = eventfd(0, EFD_CLOEXEC);
	printf("vector %u: the guest's address 0x%llx, vITS at IPA 0x%llx, data %u\n", index,
	       (unsigned long long)route->giova, (unsigned long long)route->doorbell, route->data);
	return vm->eventfd[index];
}

static const struct db_msi_guest_ops guest_ops = {
	.size = sizeof(guest_ops),
	.connect = connect_vector,
};

/* A real VMM makes BAR @index a memory region at @address, or takes it away. */
static void map_bar(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io)
{
	(void)ctx;
	printf("BAR %u: the guest put it at 0x%llx of its %s space, 0x%llx bytes\n", index,
	       (unsigned long long)address, io ? "I/O" : "memory", (unsigned long long)length);
}

static const struct db_vpci_ops function_ops = { .size = sizeof(function_ops), .map = map_bar };

static void create_function(struct vm *vm, enum db_mode mode)
{
	struct db_vpci_config config = DB_SIZED(struct db_vpci_config,
		.dev = vm->dev,
		.space = vm->space,
		.mode = mode,
		.msi_ops = &guest_ops,
		.ops = &function_ops,
		.ctx = vm);
	bool fixed;

	/* Before the address map is laid out: in mode stock the kernel says where this is. */
	check(db_msi_doorbell_ipa(vm->dev, mode, &fixed, &vm->doorbell_ipa), "doorbell");
	if (!fixed)
		vm->doorbell_ipa = VITS_BASE + 0x10000;
	config.doorbell_ipa = vm->doorbell_ipa;
	check(db_vpci_create(&config, &vm->vpci), "function");
	printf("mode %s, vITS doorbell page at IPA 0x%llx\n",
	       db_mode_name(db_msi_mode(db_vpci_msi(vm->vpci, DB_MSIX))),
	       (unsigned long long)vm->doorbell_ipa);
}

/*
 * The guest's part, which a VMM does not see: a stage 1 of three levels (4 KiB granule, 39 bits)
 * that maps one page, its doorbell's.
 */
#define GIOVA_PAGE 0x7ffff00000ull
#define TABLE(n) (0x2000 + (n) * 0x1000)
#define NEXT_TABLE 3
#define LEAF_MSI_PAGE (3 | 1 << 6 | 3 << 8 | 1 << 10 | 1ull << 54) /* EL0 read/write, AF, UXN */

static void guest_stage_1(struct vm *vm, uint64_t ste[8])
{
	uint64_t *cd = (uint64_t *)(vm->ram + 0x1000);
	uint64_t *level[3] = {
		(uint64_t *)(vm->ram + TABLE(0)),
		(uint64_t *)(vm->ram + TABLE(1)),
		(uint64_t *)(vm->ram + TABLE(2)),
	};

	level[0][GIOVA_PAGE >> 30] = htole64((RAM_IPA + TABLE(1)) | NEXT_TABLE);
	level[1][GIOVA_PAGE >> 21 & 511] = htole64((RAM_IPA + TABLE(2)) | NEXT_TABLE);
	level[2][GIOVA_PAGE >> 12 & 511] = htole64(vm->doorbell_ipa | LEAF_MSI_PAGE);
	/* T0SZ 25, EPD1, V, IPS 48 bits, AA64, R, A, ASET, ASID 1; SMMUv3 §5.4. */
	cd[0] = htole64(25 | 1ull << 8 | 1ull << 10 | 3ull << 12 | 1ull << 30 | 1ull << 31 |
			5ull << 32 | 1ull << 41 | 1ull << 45 | 1ull << 46 | 1ull << 47 |
			1ull << 48);
	cd[1] = htole64(RAM_IPA + TABLE(0));
	cd[3] = htole64(0xff);
	/* V, Config: stage 1; SMMUv3 §5.2. */
	ste[0] = htole64(1 | 5 << 1 | (RAM_IPA + 0x1000));
	ste[1] = htole64(1 << 2 | 1 << 4 | 3 << 6);
}

/* What the guest's driver does: each line is a register access that the VMM traps and hands on. */
static void config_write(struct vm *vm, unsigned int at, unsigned int size, uint32_t value)
{
	check(db_vpci_config_write(vm->vpci, at, size, value), "config space");
}

static void guest_driver(struct vm *vm)
{
	unsigned int i, cap = db_vpci_config_read(vm->vpci, PCI_CAPABILITY_LIST, 1);
	unsigned int bar;
	uint64_t entry;

	while (cap && db_vpci_config_read(vm->vpci, cap, 1) != PCI_CAP_ID_MSIX)
		cap = db_vpci_config_read(vm->vpci, cap + PCI_CAP_LIST_NEXT, 1);
	entry = db_vpci_config_read(vm->vpci, cap + PCI_MSIX_TABLE, 4);
	bar = entry & PCI_MSIX_TABLE_BIR;
	entry &= PCI_MSIX_TABLE_OFFSET;
	config_write(vm, PCI_BASE_ADDRESS_0, 4, BAR_BASE);
	config_write(vm, PCI_BASE_ADDRESS_0 + 4 * bar, 4, BAR_BASE + 0x10000);
	config_write(vm, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	config_write(vm, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (i = 0; i < VECTORS; i++, entry += PCI_MSIX_ENTRY_SIZE) {
		check(db_vpci_bar_write(vm->vpci, bar, entry, 8, GIOVA_PAGE | 0x40), "address");
		check(db_vpci_bar_write(vm->vpci, bar, entry + 8, 8, i), "data, and unmask");
	}
	config_write(vm, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

static int ring_and_count(struct vm *vm)
{
	uint64_t events[4][4], lost, count;
	struct pollfd poller = { .events = POLLIN };
	unsigned int i, arrived = 0;

	for (i = 0; i < VECTORS; i++) {
		/* The bell device raises this vector. */
		check(db_vpci_bar_write(vm->vpci, 0, 0x08, 4, i), "BAR");
		poller.fd = vm->eventfd[i];
		if (poll(&poller, 1, 5000) == 1 && read(poller.fd, &count, 8) == 8 && count == 1)
			arrived++;
	}
	check(db_viommu_events(vm->viommu, events, 4, &lost), "events");
	printf("%u of %u interrupts arrived\n", arrived, VECTORS);
	return arrived == VECTORS ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const char machine[] = "device 0000:02:00.0 bell\n";
	struct vm vm = { 0 };
	enum db_mode mode;
	uint64_t ste[8] = { 0 };
	unsigned int i;
	int ret;

	for (i = 0; i < VECTORS; i++)
		vm.eventfd[i] = -1;
	check(db_mode_parse(argc > 1 ? argv[1] : "auto", &mode), "usage: vmm [auto|native|stock]");
	/* Or, on an Arm host: vm.sys = db_sys_linux(); */
	check(db_soft_host_create(machine, sizeof(machine) - 1, &vm.sys), "software host");
	open_device(&vm, "0000:02:00.0");
	create_space(&vm);
	create_function(&vm, mode);
	guest_stage_1(&vm, ste);
	check(db_viommu_install_ste(vm.viommu, vm.dev, ste), "STE");
	guest_driver(&vm);
	ret = ring_and_count(&vm);
	db_vpci_destroy(vm.vpci);
	db_viommu_remove(vm.viommu, vm.dev);
	db_viommu_destroy(vm.viommu);
	db_space_destroy(vm.space);
	db_device_close(vm.dev);
	db_host_close(vm.host);
	vm.sys->ops->release(vm.sys);
	return ret;
}
