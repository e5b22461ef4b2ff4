/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library on the software host: a guest's stage 1, the bell device, and every interrupt by way
 * of the gIOVA. What it is to the guest that counts here; how the library goes about it is in the
 * other tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <doorbell/doorbell.h>

#include "soft/endpoints/bell.h"
#include "vm/stage1.h"

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (8ull << 20)
#define GIOVA_PAGE 0xffffff000000ull
#define GIOVA (GIOVA_PAGE | 0x40)
#define OTHER_PAGE 0xfffffe000000ull
#define SID 0x42
#define MAX_VECTORS 2048

struct vm {
	struct db_sys *sys;
	struct db_host *host;
	struct db_device *dev;
	struct db_space *space;
	struct db_viommu *viommu;
	struct db_msi *msi;
	struct db_vmsix *vmsix;
	uint64_t doorbell_ipa;
	uint8_t *ram;
	struct stage1 s1;
	int fd[MAX_VECTORS];
};

static void open_host(struct vm *vm, const char *machine, const char *address)
{
	unsigned int i;
	uint8_t command[2] = { 6 };

	memset(vm, 0, sizeof(*vm));
	for (i = 0; i < MAX_VECTORS; i++)
		vm->fd[i] = -1;
	if (db_soft_host_create(machine, machine ? strlen(machine) : 0, &vm->sys))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_host_open(vm->sys, &vm->host), 0);
	if (db_device_open(vm->host, address, 0, &vm->dev))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_device_config_write(vm->dev, command, 2, 4), 2);
}

/* The guest's stage 1: RAM at its own address, the vITS's doorbell page at GIOVA_PAGE. */
static void make_stage_1(struct vm *vm)
{
	vm->s1 = (struct stage1){ .ram = vm->ram,
				  .ram_ipa = RAM_IPA,
				  .used = 1 << 20,
				  .limit = RAM_SIZE,
				  .input_bits = 48,
				  .asid = 5 };
	assert_int_equal(stage1_init(&vm->s1), 0);
	assert_int_equal(vmsa_map(&vm->s1.table, RAM_IPA, RAM_IPA, RAM_SIZE,
				  VMSA_READ | VMSA_WRITE),
			 0);
	if (vm->doorbell_ipa)
		assert_int_equal(vmsa_map(&vm->s1.table, GIOVA_PAGE, vm->doorbell_ipa, 4096,
					  VMSA_WRITE | VMSA_DEVICE),
				 0);
	if (db_viommu_install_ste(vm->viommu, vm->dev, vm->s1.ste))
		fail_msg("%s", db_error_message());
}

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct vm *vm = ctx;

	(void)route;
	if (vm->fd[index] < 0)
		vm->fd[index] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return vm->fd[index];
}

static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };

static int create_msi(struct vm *vm, enum db_mode mode, enum db_msi_kind kind, bool fall_through)
{
	struct db_msi_config config = { .size = sizeof(config),
					.dev = vm->dev,
					.space = vm->space,
					.mode = mode,
					.kind = kind,
					.fall_through = fall_through };
	bool fixed;
	int ret;

	ret = db_msi_doorbell_ipa(vm->dev, mode, &fixed, &config.doorbell_ipa);
	if (ret)
		return ret;
	/* In rmr the guest maps the window to itself, which is stage 1 as well. */
	if (!fixed)
		config.doorbell_ipa = 0x20090000;
	vm->doorbell_ipa = config.doorbell_ipa;
	return db_msi_create(&config, &vm->msi);
}

static void open_space(struct vm *vm)
{
	assert_int_equal(db_space_create(vm->host, &vm->space), 0);
	vm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(vm->ram != MAP_FAILED);
	if (db_space_map(vm->space, RAM_IPA, vm->ram, RAM_SIZE, DB_READ | DB_WRITE))
		fail_msg("%s", db_error_message());
	if (db_viommu_create(vm->space, vm->dev, &vm->viommu) ||
	    db_viommu_add(vm->viommu, vm->dev, SID))
		fail_msg("%s", db_error_message());
}

static void open_vm(struct vm *vm, const char *machine, const char *address, enum db_mode mode,
		    enum db_msi_kind kind, bool fall_through)
{
	open_host(vm, machine, address);
	open_space(vm);
	if (create_msi(vm, mode, kind, fall_through))
		fail_msg("%s", db_error_message());
	make_stage_1(vm);
	if (mode == DB_MODE_RMR)
		assert_int_equal(vmsa_map(&vm->s1.table, 0x8000000, 0x8000000, 1 << 20,
					  VMSA_WRITE | VMSA_DEVICE),
				 0);
}

static void close_vm(struct vm *vm)
{
	unsigned int i;

	db_vmsix_destroy(vm->vmsix);
	db_msi_destroy(vm->msi);
	if (vm->viommu)
		db_viommu_remove(vm->viommu, vm->dev);
	db_viommu_destroy(vm->viommu);
	db_space_destroy(vm->space);
	db_device_close(vm->dev);
	db_host_close(vm->host);
	vm->sys->ops->release(vm->sys);
	if (vm->ram)
		munmap(vm->ram, RAM_SIZE);
	for (i = 0; i < MAX_VECTORS; i++) {
		if (vm->fd[i] >= 0)
			close(vm->fd[i]);
	}
}

static void bell_write(struct vm *vm, unsigned int reg, uint64_t value, unsigned int size)
{
	assert_int_equal(db_device_bar_write(vm->dev, 0, &value, size, reg), size);
}

static uint64_t bell_read(struct vm *vm, unsigned int reg, unsigned int size)
{
	uint64_t value = 0;

	assert_int_equal(db_device_bar_read(vm->dev, 0, &value, size, reg), size);
	return value;
}

/* The count of vector @index, waiting for the first one when @expected. */
static uint64_t take(struct vm *vm, unsigned int index, bool expected)
{
	struct pollfd poller = { .fd = vm->fd[index], .events = POLLIN };
	eventfd_t count = 0;

	poll(&poller, 1, expected ? 5000 : 20);
	return eventfd_read(vm->fd[index], &count) ? 0 : count;
}

static void ring(struct vm *vm, unsigned int index)
{
	bell_write(vm, BELL_RING, index, 4);
}

static void set_all(struct vm *vm, unsigned int count, uint64_t address)
{
	struct db_msi_vector *vectors = calloc(count, sizeof(*vectors));
	unsigned int i;

	for (i = 0; i < count; i++)
		vectors[i] = (struct db_msi_vector){ .address = address,
						      .eventfd = connect_vector(vm, i, NULL) };
	if (db_msi_set(vm->msi, 0, count, vectors))
		fail_msg("%s", db_error_message());
	free(vectors);
}

/* The device copies memory through both stages, then rings; the interrupt comes after the data. */
static void copy(struct vm *vm, unsigned int vector)
{
	memset(vm->ram, 0x5a, 4096);
	memset(vm->ram + 8192, 0, 4096);
	bell_write(vm, BELL_SRC, RAM_IPA, 8);
	bell_write(vm, BELL_DST, RAM_IPA + 8192, 8);
	bell_write(vm, BELL_LEN, 4096, 4);
	bell_write(vm, BELL_GO, vector, 4);
	assert_int_equal(take(vm, vector, true), 1);
	assert_int_equal(bell_read(vm, BELL_STATUS, 4), 0);
	assert_memory_equal(vm->ram, vm->ram + 8192, 4096);
}

static void check_vectors(struct vm *vm, unsigned int count)
{
	unsigned int i;

	bell_write(vm, BELL_RINGS, count, 4);
	for (i = 0; i < count; i++)
		assert_int_equal(take(vm, i, true), 1);
	copy(vm, count - 1);
}

static void test_msix_modes(void **state)
{
	static const struct {
		const char *machine;
		enum db_mode mode;
		bool fall_through;
		uint64_t address;	/* in the device */
	} cases[] = {
		{ "device 0000:02:00.0 bell\n", DB_MODE_NATIVE, false, GIOVA },
		{ "device 0000:02:00.0 bell\n", DB_MODE_NATIVE, true, GIOVA },
		{ "device 0000:02:00.0 bell noresize\n", DB_MODE_NATIVE, false, GIOVA },
		{ "device 0000:02:00.0 bell not-mappable\n", DB_MODE_NATIVE, false, 0 },
		{ "kernel stock\ndevice 0000:02:00.0 bell\n", DB_MODE_STOCK, false, GIOVA },
		{ "kernel stock\ndevice 0000:02:00.0 bell noresize\n", DB_MODE_STOCK, false,
		  GIOVA },
		{ "device 0000:02:00.0 bell\n", DB_MODE_STOCK, false, GIOVA },
		{ "kernel stock\ndevice 0000:02:00.0 bell\n", DB_MODE_RMR, false, 0x8000040 },
		{ "kernel stock\ndevice 0000:02:00.0 bell not-mappable\n", DB_MODE_RMR, false, 0 },
	};
	struct vm vm;
	uint64_t address;
	unsigned int i;
	uint32_t data;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_vm(&vm, cases[i].machine, "0000:02:00.0", cases[i].mode, DB_MSIX,
			cases[i].fall_through);
		set_all(&vm, MAX_VECTORS, GIOVA);
		if (cases[i].address) {
			assert_int_equal(db_msi_message(vm.msi, 2047, &address, &data), 0);
			assert_int_equal(address, cases[i].address);
		} else {
			assert_int_equal(db_msi_message(vm.msi, 2047, &address, &data),
					 -EOPNOTSUPP);
		}
		check_vectors(&vm, MAX_VECTORS);
		close_vm(&vm);
	}
}

static void test_msi_modes(void **state)
{
	static const struct {
		enum db_mode mode;
		bool fall_through;
	} cases[] = { { DB_MODE_NATIVE, false }, { DB_MODE_NATIVE, true }, { DB_MODE_RMR, false } };
	struct vm vm;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		open_vm(&vm, "device 0000:03:00.0 bell msi=32\n", "0000:03:00.0", cases[i].mode,
			DB_MSI, cases[i].fall_through);
		set_all(&vm, 32, GIOVA);
		check_vectors(&vm, 32);
		close_vm(&vm);
	}
}

static void test_refusals(void **state)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct vm vm;

	(void)state;
	open_host(&vm, "kernel stock\ndevice 0000:02:00.0 bell not-mappable\n", "0000:02:00.0");
	assert_int_equal(db_device_caps(vm.dev, &caps), 0);
	assert_false(caps.mode[DB_MODE_NATIVE] || caps.mode[DB_MODE_STOCK]);
	assert_true(caps.mode[DB_MODE_RMR]);
	assert_non_null(strstr(caps.why_not[DB_MODE_NATIVE], "linux/"));
	assert_non_null(strstr(caps.why_not[DB_MODE_STOCK], "cannot be mapped"));
	close_vm(&vm);
	open_host(&vm, "smmu not-coherent\ndevice 0000:02:00.0 bell\n", "0000:02:00.0");
	assert_int_equal(db_device_caps(vm.dev, &caps), 0);
	assert_false(caps.nesting || caps.mode[DB_MODE_AUTO]);
	assert_non_null(strstr(caps.why_not[DB_MODE_NATIVE], "CANWBS"));
	close_vm(&vm);
	open_host(&vm, "smmu stages=1\ndevice 0000:02:00.0 bell\n", "0000:02:00.0");
	assert_int_equal(db_device_caps(vm.dev, &caps), 0);
	assert_false(caps.mode[DB_MODE_AUTO]);
	assert_non_null(strstr(caps.why_not[DB_MODE_RMR], "both stages"));
	close_vm(&vm);
	open_host(&vm, "page-size 64k\ndevice 0000:02:00.0 bell\n", "0000:02:00.0");
	assert_int_equal(db_device_caps(vm.dev, &caps), 0);
	assert_true(caps.mode[DB_MODE_NATIVE] && caps.mode[DB_MODE_STOCK] &&
		    caps.mode[DB_MODE_RMR]);
	assert_int_equal(caps.page_size, 65536);
	assert_int_equal(caps.doorbell.size, 65536);
	assert_int_equal(caps.doorbell.offset, 0x40);
	close_vm(&vm);
}

static void test_second_its(void **state)
{
	static const char machine[] = "its its base=0x08080000\nits its base=0x080c0000\n"
		"device 0000:01:00.0 bell\ndevice 0000:02:00.0 bell its=1\n";
	struct db_msi_config config = { .size = sizeof(config),
					.kind = DB_MSIX };
	struct db_device *other;
	struct db_msi *msi;
	enum db_mode mode;
	struct vm vm;

	(void)state;
	for (mode = DB_MODE_NATIVE; mode <= DB_MODE_STOCK; mode++) {
		open_vm(&vm, machine, "0000:01:00.0", mode, DB_MSIX, false);
		assert_int_equal(db_device_open(vm.host, "0000:02:00.0", 0, &other), 0);
		assert_int_equal(db_viommu_add(vm.viommu, other, SID + 1), 0);
		config.dev = other;
		config.space = vm.space;
		config.mode = mode;
		config.doorbell_ipa = vm.doorbell_ipa;
		assert_int_equal(db_msi_create(&config, &msi), -EXDEV);
		assert_non_null(strstr(db_error_message(), "ITS"));
		db_viommu_remove(vm.viommu, other);
		db_device_close(other);
		close_vm(&vm);
	}
}

/* Two devices of one ITS; the one that came first is unplugged, the other one goes on. */
static void test_first_leaves(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.kind = DB_MSIX, .mode = DB_MODE_NATIVE };
	struct db_device *first;
	struct db_msi *msi;
	struct vm vm;

	(void)state;
	open_host(&vm, "device 0000:01:00.0 bell\ndevice 0000:02:00.0 bell\n", "0000:02:00.0");
	open_space(&vm);
	assert_int_equal(db_device_open(vm.host, "0000:01:00.0", 0, &first), 0);
	config.dev = first;
	config.space = vm.space;
	config.doorbell_ipa = 0x20090000;
	assert_int_equal(db_msi_create(&config, &msi), 0);
	assert_int_equal(create_msi(&vm, DB_MODE_NATIVE, DB_MSIX, false), 0);
	make_stage_1(&vm);
	set_all(&vm, 4, GIOVA);
	db_msi_destroy(msi);
	db_device_close(first);
	check_vectors(&vm, 4);
	close_vm(&vm);
}

/* A gIOVA that stage 1 does not map: no interrupt, and an event with the guest's StreamID. */
static void test_fault(void **state)
{
	uint64_t events[4][4], lost;
	enum db_mode mode;
	struct vm vm;

	(void)state;
	for (mode = DB_MODE_NATIVE; mode <= DB_MODE_STOCK; mode++) {
		open_vm(&vm, "device 0000:02:00.0 bell\n", "0000:02:00.0", mode, DB_MSIX, false);
		set_all(&vm, 2, OTHER_PAGE | 0x40);
		ring(&vm, 1);
		assert_int_equal(take(&vm, 1, false), 0);
		assert_int_equal(db_viommu_events(vm.viommu, events, 4, &lost), 1);
		assert_int_equal(FIELD_GET64(SMMU_EVT_0_ID, events[0][0]), SMMU_EVT_F_TRANSLATION);
		assert_int_equal(FIELD_GET64(SMMU_EVT_0_SID, events[0][0]), SID);
		assert_int_equal(events[0][2], OTHER_PAGE | 0x40);
		/* Mapped after all, and the vector given the same address again: it works from now
		 * on. */
		assert_int_equal(vmsa_map(&vm.s1.table, OTHER_PAGE, vm.doorbell_ipa, 4096,
					  VMSA_WRITE | VMSA_DEVICE),
				 0);
		ring(&vm, 1);
		assert_int_equal(take(&vm, 1, true), 1);
		close_vm(&vm);
	}
}

static void start_table(struct vm *vm, unsigned int vectors)
{
	unsigned int i;

	if (db_vmsix_create(vm->msi, &ops, vm, &vm->vmsix))
		fail_msg("%s", db_error_message());
	if (db_vmsix_control_write(vm->vmsix, 0x8000))
		fail_msg("%s", db_error_message());
	for (i = 0; i < vectors; i++) {
		assert_int_equal(db_vmsix_table_write(vm->vmsix, i * 16, 8, GIOVA), 0);
		if (db_vmsix_table_write(vm->vmsix, i * 16 + 8, 8, i))
			fail_msg("%s", db_error_message());
	}
}

/* Masks, changes of the address and resets lose nothing and deliver nothing twice. */
static void test_table(void **state)
{
	static const struct {
		const char *machine;
		enum db_mode mode;
	} cases[] = {
		{ "device 0000:02:00.0 bell\n", DB_MODE_NATIVE },
		{ "device 0000:02:00.0 bell noresize\n", DB_MODE_NATIVE },
		{ "device 0000:02:00.0 bell not-mappable\n", DB_MODE_NATIVE },
		{ "kernel stock\ndevice 0000:02:00.0 bell\n", DB_MODE_STOCK },
		{ "kernel stock\ndevice 0000:02:00.0 bell not-mappable\n", DB_MODE_RMR },
	};
	unsigned int i, round;
	struct vm vm;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_vm(&vm, cases[i].machine, "0000:02:00.0", cases[i].mode, DB_MSIX, false);
		assert_int_equal(vmsa_map(&vm.s1.table, OTHER_PAGE, vm.doorbell_ipa, 4096,
					  VMSA_WRITE | VMSA_DEVICE),
				 0);
		start_table(&vm, 70);
		check_vectors(&vm, 70);
		for (round = 0; round < 20; round++) {
			assert_int_equal(db_vmsix_table_write(vm.vmsix, 66 * 16 + 12, 4, 1), 0);
			ring(&vm, 66);
			ring(&vm, 66);
			assert_int_equal(db_vmsix_pba_read(vm.vmsix, 8, 8), 4);
			assert_int_equal(take(&vm, 66, false), 0);
			assert_int_equal(db_vmsix_table_write(vm.vmsix, 66 * 16, 8,
							      (round % 2 ? GIOVA_PAGE :
									   OTHER_PAGE) |
								      0x40),
					 0);
			assert_int_equal(db_vmsix_table_write(vm.vmsix, 66 * 16 + 12, 4, 0), 0);
			assert_int_equal(take(&vm, 66, true), 1);
			assert_int_equal(db_vmsix_pba_read(vm.vmsix, 8, 8), 0);
			ring(&vm, 66);
			assert_int_equal(take(&vm, 66, true), 1);
		}
		assert_int_equal(db_device_reset(vm.dev), 0);
		assert_int_equal(db_msi_restore(vm.msi), 0);
		check_vectors(&vm, 70);
		assert_int_equal(db_vmsix_control_write(vm.vmsix, 0), 0);
		ring(&vm, 3);
		assert_int_equal(take(&vm, 3, false), 0);
		close_vm(&vm);
	}
}

/* The window moved away, the vITS put where it was. */
static void test_moved_window(void **state)
{
	struct vm vm;

	(void)state;
	open_host(&vm, "device 0000:02:00.0 bell\n", "0000:02:00.0");
	if (db_device_set_window(vm.dev, 0x100000000, 1 << 20))
		fail_msg("%s", db_error_message());
	open_space(&vm);
	vm.doorbell_ipa = 0x8090000;
	assert_int_equal(db_msi_create(&(struct db_msi_config){ .size = sizeof(struct db_msi_config),
								 .dev = vm.dev,
								 .space = vm.space,
								 .mode = DB_MODE_NATIVE,
								 .kind = DB_MSIX,
								 .doorbell_ipa = vm.doorbell_ipa },
				       &vm.msi),
			 0);
	make_stage_1(&vm);
	set_all(&vm, 8, GIOVA);
	check_vectors(&vm, 8);
	close_vm(&vm);
}

/* Invalid, bypass, S1: what the guest puts in its stream table is what its device gets. */
static void test_ste(void **state)
{
	uint64_t ste[8] = { 0 };
	struct vm vm;

	(void)state;
	open_vm(&vm, "device 0000:02:00.0 bell\n", "0000:02:00.0", DB_MODE_NATIVE, DB_MSIX, false);
	set_all(&vm, 1, GIOVA);
	copy(&vm, 0);
	assert_int_equal(db_viommu_install_ste(vm.viommu, vm.dev, ste), 0);
	ring(&vm, 0);
	assert_int_equal(take(&vm, 0, false), 0);
	/* Bypass of stage 1: now the IPA itself is the address. */
	smmu_ste_bypass(ste);
	assert_int_equal(db_viommu_install_ste(vm.viommu, vm.dev, ste), 0);
	set_all(&vm, 1, vm.doorbell_ipa | 0x40);
	copy(&vm, 0);
	ste[0] = SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_NESTED);
	assert_int_equal(db_viommu_install_ste(vm.viommu, vm.dev, ste), -EIO);
	ring(&vm, 0);
	assert_int_equal(take(&vm, 0, false), 0);
	close_vm(&vm);
}

static void test_invalidate(void **state)
{
	uint64_t cmds[300][2] = { { 0 } }, freed;
	unsigned int i;
	struct vm vm;
	size_t done;

	(void)state;
	open_vm(&vm, "device 0000:02:00.0 bell\n", "0000:02:00.0", DB_MODE_NATIVE, DB_MSIX, false);
	set_all(&vm, 1, GIOVA);
	copy(&vm, 0);
	assert_int_equal(vmsa_unmap(&vm.s1.table, GIOVA_PAGE, 4096, &freed), 0);
	for (i = 0; i < 299; i++) {
		cmds[i][0] = SMMU_CMD_OP_TLBI_NH_VA | FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, 5);
		cmds[i][1] = GIOVA_PAGE + i * 4096;
	}
	cmds[299][0] = SMMU_CMD_OP_SYNC;
	assert_int_equal(db_viommu_invalidate(vm.viommu, (const uint64_t(*)[2])cmds, 300, &done),
			 0);
	assert_int_equal(done, 300);
	ring(&vm, 0);
	assert_int_equal(take(&vm, 0, false), 0);
	cmds[7][0] = SMMU_CMD_OP_TLBI_S2_IPA;
	assert_int_equal(db_viommu_invalidate(vm.viommu, (const uint64_t(*)[2])cmds, 300, &done),
			 -EIO);
	assert_int_equal(done, 7);
	close_vm(&vm);
}

static void test_rebind(void **state)
{
	struct vm vm;

	(void)state;
	memset(&vm, 0, sizeof(vm));
	assert_int_equal(db_soft_host_create("device 0000:02:00.0 bell in-use\n", 32, &vm.sys), 0);
	assert_int_equal(db_host_open(vm.sys, &vm.host), 0);
	assert_int_equal(db_device_open(vm.host, "0000:02:00.0", 0, &vm.dev), -EBUSY);
	assert_non_null(strstr(db_error_message(), "rebind"));
	if (db_device_open(vm.host, "0000:02:00.0", DB_OPEN_REBIND, &vm.dev))
		fail_msg("%s", db_error_message());
	db_device_close(vm.dev);
	assert_int_equal(db_device_open(vm.host, "0000:02:00.0", 0, &vm.dev), -EBUSY);
	db_host_close(vm.host);
	vm.sys->ops->release(vm.sys);
}

/* A host whose pages are larger than the SMMU's largest granule: all modes. */
static void test_large_pages(void **state)
{
	static const enum db_mode all[] = { DB_MODE_NATIVE, DB_MODE_STOCK, DB_MODE_RMR };
	static const char machine[] =
		"page-size 64k\nsmmu granules=4k\ndevice 0000:02:00.0 bell vectors=8\n";
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct vm vm;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		open_vm(&vm, machine, "0000:02:00.0", all[i], DB_MSIX, false);
		assert_int_equal(db_device_caps(vm.dev, &caps), 0);
		assert_int_equal(caps.page_size, 65536);
		/* Told as the host's pages, not as memory that is missing. */
		assert_int_equal(db_space_map(vm.space, 0x70001000, vm.ram, 4096, DB_READ),
				 -EINVAL);
		set_all(&vm, 8, GIOVA);
		check_vectors(&vm, 8);
		close_vm(&vm);
	}
}

/* Four devices take all LPIs, though hardly any is used. */
static void test_no_interrupts(void **state)
{
	static const char machine[] =
		"lpi-bits 14\ndevice 0000:01:00.0 bell vectors=2048 count=5\n";
	static const enum db_mode both[] = { DB_MODE_NATIVE, DB_MODE_STOCK };
	struct db_msi_config config = { .size = sizeof(config), .kind = DB_MSIX };
	struct db_device *dev[5];
	struct db_msi *msi[5];
	struct db_viommu *viommu;
	struct db_space *space;
	struct db_host *host;
	char address[] = "0000:01:00.0";
	struct db_msi_vector vector = { .address = GIOVA };
	struct db_sys *sys;
	unsigned int m, i;
	bool fixed;

	(void)state;
	vector.eventfd = eventfd(0, EFD_CLOEXEC);
	for (m = 0; m < 2; m++) {
		assert_int_equal(db_soft_host_create(machine, sizeof(machine) - 1, &sys), 0);
		assert_int_equal(db_host_open(sys, &host), 0);
		assert_int_equal(db_space_create(host, &space), 0);
		for (i = 0; i < 5; i++) {
			address[9] = '0' + i;
			assert_int_equal(db_device_open(host, address, 0, &dev[i]), 0);
			if (!i)
				assert_int_equal(db_viommu_create(space, dev[i], &viommu), 0);
			config.dev = dev[i];
			config.space = space;
			config.mode = both[m];
			assert_int_equal(db_msi_doorbell_ipa(dev[i], both[m], &fixed,
							     &config.doorbell_ipa), 0);
			if (!fixed)
				config.doorbell_ipa = 0x20090000;
			assert_int_equal(db_msi_create(&config, &msi[i]), 0);
			assert_int_equal(db_viommu_add(viommu, dev[i], i), 0);
			assert_int_equal(db_msi_set(msi[i], 0, 1, &vector), i < 4 ? 0 : -ENOSPC);
		}
		assert_non_null(strstr(db_error_message(), "2048 here"));
		/* One device less is enough. */
		db_msi_destroy(msi[0]);
		db_viommu_remove(viommu, dev[0]);
		db_device_close(dev[0]);
		assert_int_equal(db_msi_set(msi[4], 0, 1, &vector), 0);
		for (i = 1; i < 5; i++) {
			db_msi_destroy(msi[i]);
			db_viommu_remove(viommu, dev[i]);
			db_device_close(dev[i]);
		}
		db_viommu_destroy(viommu);
		db_space_destroy(space);
		db_host_close(host);
		sys->ops->release(sys);
	}
	close(vector.eventfd);
}

static void test_pipe_for_an_eventfd(void **state)
{
	struct db_msi_vector vector = { .address = GIOVA };
	struct vm vm;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	open_vm(&vm, "device 0000:02:00.0 bell vectors=8\n", "0000:02:00.0", DB_MODE_NATIVE,
		DB_MSIX, false);
	vector.eventfd = ends[1];
	assert_int_equal(db_msi_set(vm.msi, 0, 1, &vector), -EBADF);
	assert_non_null(strstr(db_error_message(), "no eventfd"));
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(db_msi_set(vm.msi, 0, 1, &vector), -EBADF);
	set_all(&vm, 8, GIOVA);
	check_vectors(&vm, 8);
	close_vm(&vm);
}

static void test_open_twice(void **state)
{
	static const char machine[] = "device 0000:02:00.0 bell\n";
	struct db_host *other;
	struct db_device *dev;
	struct vm vm;

	(void)state;
	memset(&vm, 0, sizeof(vm));
	assert_int_equal(db_soft_host_create(machine, sizeof(machine) - 1, &vm.sys), 0);
	assert_int_equal(db_host_open(vm.sys, &vm.host), 0);
	assert_int_equal(db_host_open(vm.sys, &other), 0);
	assert_int_equal(db_device_open(vm.host, "0000:02:00.0", 0, &vm.dev), 0);
	assert_int_equal(db_device_open(vm.host, "0000:02:00.0", 0, &dev), -EBUSY);
	assert_int_equal(db_device_open(other, "0000:02:00.0", 0, &dev), -EBUSY);
	assert_non_null(strstr(db_error_message(), "has it already"));
	db_device_close(vm.dev);
	assert_int_equal(db_device_open(other, "0000:02:00.0", 0, &dev), 0);
	db_device_close(dev);
	db_host_close(other);
	db_host_close(vm.host);
	vm.sys->ops->release(vm.sys);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msix_modes),
		cmocka_unit_test(test_msi_modes),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_second_its),
		cmocka_unit_test(test_first_leaves),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_moved_window),
		cmocka_unit_test(test_ste),
		cmocka_unit_test(test_invalidate),
		cmocka_unit_test(test_rebind),
		cmocka_unit_test(test_open_twice),
		cmocka_unit_test(test_large_pages),
		cmocka_unit_test(test_no_interrupts),
		cmocka_unit_test(test_pipe_for_an_eventfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
