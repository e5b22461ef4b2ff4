/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A passed-through device and an emulated one behind one virtual SMMU: the VMM hands each register
 * access of the guest on, and asks for a translation before each access of its own device.
 * docs/vmm-guide.md, "A whole virtual SMMU".
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <doorbell/doorbell.h>

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (16ull << 20)
#define PASSED 0x08	/* StreamIDs */
#define EMULATED 0x10

struct vm {
	struct db_sys *sys;
	struct db_host *host;
	struct db_device *dev;
	struct db_space *space;
	struct db_vsmmu *vsmmu;
	uint8_t *ram;
	uint32_t commands;	/* of the guest's driver: put into the queue so far */
};

static void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, db_error_message());
	exit(1);
}

/* --- What the virtual SMMU needs of a VMM --- */

static void *ram_at(struct vm *vm, uint64_t ipa, size_t len)
{
	uint64_t offset = ipa - RAM_IPA;

	return ipa >= RAM_IPA && offset < RAM_SIZE && len <= RAM_SIZE - offset ? vm->ram + offset
									       : NULL;
}

/* Dword by dword, each whole: the guest's CPUs write while this reads. */
static int read_ram(void *ctx, uint64_t ipa, void *buf, size_t len)
{
	uint64_t *from = ram_at(ctx, ipa, len), *to = buf;

	if (!from)
		return -EFAULT;
	for (size_t i = 0; i < len / 8; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
	return 0;
}

static int write_ram(void *ctx, uint64_t ipa, const void *buf, size_t len)
{
	uint64_t *to = ram_at(ctx, ipa, len);
	const uint64_t *from = buf;

	if (!to)
		return -EFAULT;
	for (size_t i = 0; i < len / 8; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE);
	return 0;
}

/* A VMM with KVM gives irq_fds instead, irqfds of SPIs. */
static void raise_irq(void *ctx, enum db_vsmmu_irq irq)
{
	static const char *const names[DB_VSMMU_IRQS] = { "event queue", "global error", "sync" };

	(void)ctx;
	printf("interrupt: %s\n", names[irq]);
}

static const struct db_vsmmu_ops ops = {
	.size = sizeof(ops),
	.read = read_ram,
	.write = write_ram,
	.irq = raise_irq,
};

static void create(struct vm *vm)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &ops, .ctx = vm };

	check(db_host_open(vm->sys, &vm->host), "host");
	check(db_device_open(vm->host, "0000:01:00.0", 0, &vm->dev), "device");
	check(db_device_caps(vm->dev, &caps), "capabilities");
	check(db_space_create(vm->host, &vm->space), "space");
	vm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		exit(1);
	check(db_space_map(vm->space, RAM_IPA, vm->ram, RAM_SIZE, DB_READ | DB_WRITE), "RAM");
	config.space = vm->space;
	config.host = &caps.smmu;
	check(db_vsmmu_create(&config, &vm->vsmmu), "virtual SMMU");
	check(db_vsmmu_add_device(vm->vsmmu, vm->dev, PASSED), "passed-through device");
	check(db_vsmmu_add_emulated(vm->vsmmu, EMULATED), "emulated device");
}

/* --- The emulated device: it fills memory --- */

static int emulated_fill(struct vm *vm, uint64_t iova, uint8_t byte, size_t len)
{
	struct db_vsmmu_translation to = DB_SIZED(struct db_vsmmu_translation);
	size_t part;
	void *at;
	int ret;

	for (; len; iova += part, len -= part) {
		/* A CMD_SYNC of the guest waits for accesses begun before it. */
		unsigned int token = db_vsmmu_access_begin(vm->vsmmu);

		ret = db_vsmmu_translate(vm->vsmmu, EMULATED, 0, iova, DB_VSMMU_WRITE, &to);
		part = 4096 - iova % 4096 < len ? 4096 - iova % 4096 : len;
		at = ret ? NULL : ram_at(vm, to.address, part);
		if (at)
			memset(at, byte, part);
		db_vsmmu_access_end(vm->vsmmu, token);
		if (!at)
			return -EFAULT;
	}
	return 0;
}

/* --- The guest's driver, which a VMM does not see: it writes memory and registers --- */

#define COMMANDS 0x0000		/* in RAM */
#define EVENTS 0x2000
#define STREAM_TABLE 0x4000
#define CONTEXT(n) (0x8000 + (n) * 64)
#define TABLE(n, level) (0x10000 + ((n) * 3 + (level)) * 0x1000)
#define IOVA 0x7ffff00000ull
#define BUFFER(n) (0x100000 + (n) * 0x1000)
#define NEXT_TABLE 3
#define LEAF_PAGE (3 | 1 << 6 | 3 << 8 | 1 << 10 | 1 << 11 | 1ull << 54)

static void put(struct vm *vm, uint64_t offset, uint64_t value)
{
	__atomic_store_n((uint64_t *)(vm->ram + offset), htole64(value), __ATOMIC_RELEASE);
}

/* Stage 1 number @n (4 KiB granule, 39 bits, ASID n + 1) maps IOVA to BUFFER(n). */
static void guest_stage_1(struct vm *vm, unsigned int n, uint32_t sid)
{
	uint64_t ste = STREAM_TABLE + sid * 64, cd = CONTEXT(n);

	put(vm, TABLE(n, 0) + (IOVA >> 30) * 8, (RAM_IPA + TABLE(n, 1)) | NEXT_TABLE);
	put(vm, TABLE(n, 1) + (IOVA >> 21 & 511) * 8, (RAM_IPA + TABLE(n, 2)) | NEXT_TABLE);
	put(vm, TABLE(n, 2) + (IOVA >> 12 & 511) * 8, (RAM_IPA + BUFFER(n)) | LEAF_PAGE);
	put(vm, cd, 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 30 | 1ull << 31 | 5ull << 32 |
			    1ull << 41 | 1ull << 45 | 1ull << 46 | 1ull << 47 |
			    (n + 1ull) << 48);
	put(vm, cd + 8, RAM_IPA + TABLE(n, 0));
	put(vm, cd + 24, 0xff);
	put(vm, ste + 8, 1 << 2 | 1 << 4 | 3 << 6);
	put(vm, ste, 1 | 5 << 1 | (RAM_IPA + cd));
}

static void guest_write(struct vm *vm, uint32_t offset, unsigned int size, uint64_t value)
{
	check(db_vsmmu_mmio_write(vm->vsmmu, offset, size, value), "register");
}

/* A command and a CMD_SYNC that interrupts. */
static void guest_command(struct vm *vm, uint64_t dw0, uint64_t dw1)
{
	put(vm, COMMANDS + vm->commands % 64 * 16, dw0);
	put(vm, COMMANDS + vm->commands % 64 * 16 + 8, dw1);
	put(vm, COMMANDS + (vm->commands + 1) % 64 * 16, 0x46 | 1 << 12);
	put(vm, COMMANDS + (vm->commands + 1) % 64 * 16 + 8, 0);
	vm->commands += 2;
	guest_write(vm, 0x98, 4, vm->commands % 128);
}

static void guest_driver(struct vm *vm)
{
	guest_stage_1(vm, 0, PASSED);
	guest_stage_1(vm, 1, EMULATED);
	guest_write(vm, 0x80, 8, RAM_IPA + STREAM_TABLE);	/* STRTAB_BASE, _CFG */
	guest_write(vm, 0x88, 4, 6);
	guest_write(vm, 0x90, 8, (RAM_IPA + COMMANDS) | 6);	/* CMDQ_BASE */
	guest_write(vm, 0xa0, 8, (RAM_IPA + EVENTS) | 6);	/* EVENTQ_BASE */
	guest_write(vm, 0x50, 4, 5);				/* IRQ_CTRL */
	guest_write(vm, 0x20, 4, 0xd);				/* CR0: all on */
	guest_command(vm, 0x04, 31);				/* CFGI_ALL */
	guest_command(vm, 0x30, 0);				/* TLBI_NSNH_ALL */
}

/* The bell device of the software host copies a page by DMA. */
static uint32_t passed_copy(struct vm *vm, uint64_t from, uint64_t to)
{
	uint64_t src = htole64(from), dst = htole64(to);
	uint32_t len = htole32(64), go = ~0u, status = 0;

	check(db_device_bar_write(vm->dev, 0, &src, 8, 0x10), "BAR");
	check(db_device_bar_write(vm->dev, 0, &dst, 8, 0x18), "BAR");
	check(db_device_bar_write(vm->dev, 0, &len, 4, 0x20), "BAR");
	check(db_device_bar_write(vm->dev, 0, &go, 4, 0x24), "BAR");
	check(db_device_bar_read(vm->dev, 0, &status, 4, 0x28), "BAR");
	return le32toh(status);
}

static int run(struct vm *vm)
{
	struct pollfd poller = { .fd = db_vsmmu_event_fd(vm->vsmmu), .events = POLLIN };
	uint8_t *passed = vm->ram + BUFFER(0), *emulated = vm->ram + BUFFER(1);
	uint16_t command = htole16(6);

	check(db_device_config_write(vm->dev, &command, 2, 4), "config space");
	guest_driver(vm);
	/* The same IOVA is another page for each. */
	memset(passed, 0x5a, 64);
	if (passed_copy(vm, IOVA, IOVA + 64) || memcmp(passed, passed + 64, 64))
		return 1;
	if (emulated_fill(vm, IOVA, 0xa5, 64) || emulated[63] != 0xa5 || passed[0] != 0x5a)
		return 1;
	printf("both devices reach what the guest mapped for them\n");
	/* And nothing else: two faults in the guest's event queue. */
	if (!passed_copy(vm, IOVA + 0x1000, IOVA) || !emulated_fill(vm, IOVA + 0x1000, 0, 1))
		return 1;
	if (poll(&poller, 1, 5000) == 1)
		check(db_vsmmu_poll_events(vm->vsmmu), "events");
	printf("%llu events\n", (unsigned long long)db_vsmmu_mmio_read(vm->vsmmu, 0x100a8, 4));
	return db_vsmmu_mmio_read(vm->vsmmu, 0x100a8, 4) != 2;
}

int main(void)
{
	static const char machine[] = "device 0000:01:00.0 bell\n";
	struct vm vm = { 0 };
	int ret;

	/* Or, on an Arm host: vm.sys = db_sys_linux(); */
	check(db_soft_host_create(machine, sizeof(machine) - 1, &vm.sys), "software host");
	create(&vm);
	ret = run(&vm);
	db_vsmmu_destroy(vm.vsmmu);
	db_space_destroy(vm.space);
	db_device_close(vm.dev);
	db_host_close(vm.host);
	vm.sys->ops->release(vm.sys);
	return ret;
}
