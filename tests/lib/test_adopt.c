/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VMM that has its descriptors already, in a sandbox: once it is shut nothing can be opened or
 * looked up, in sysfs or elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <doorbell/doorbell.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "soft/endpoints/bell.h"
#include "vm/stage1.h"

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (2ull << 20)
#define WINDOW 0x8000000ull
#define DOORBELL_IPA 0x20090000ull
#define GIOVA_PAGE 0xffffff000000ull
#define GIOVA (GIOVA_PAGE | 0x40)

struct vm {
	struct db_sys *sys;
	const struct db_sys_ops *ops;
	struct db_sys_ops shut;
	int iommufd, cdev, fired;
	uint32_t ioas, dev_id;
	uint8_t *ram;
	struct stage1 s1;
	struct db_host *host;
	struct db_device *dev;
	struct db_space *space;
	struct db_viommu *viommu;
	struct db_msi *msi;
};

static unsigned int looked;	/* beyond the sandbox */

static int no_open(struct db_sys *sys, const char *path, int flags)
{
	(void)sys;
	(void)path;
	(void)flags;
	looked++;
	return -EACCES;
}

static ssize_t no_readlink(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	(void)sys;
	(void)path;
	(void)buf;
	(void)size;
	looked++;
	return -EACCES;
}

static int no_list(struct db_sys *sys, const char *path, int (*entry)(void *arg, const char *name),
		   void *arg)
{
	(void)sys;
	(void)path;
	(void)entry;
	(void)arg;
	looked++;
	return -EACCES;
}

/* What the launcher does, before the sandbox is shut. */
static void launch(struct vm *vm, const char *machine)
{
	memset(vm, 0, sizeof(*vm));
	if (db_soft_host_create(machine, strlen(machine), &vm->sys))
		fail_msg("%s", db_error_message());
	vm->ops = vm->sys->ops;
	vm->iommufd = vm->ops->open(vm->sys, "/dev/iommu", O_RDWR);
	vm->cdev = vm->ops->open(vm->sys, "/dev/vfio/devices/vfio0", O_RDWR);
	assert_true(vm->iommufd >= 0 && vm->cdev >= 0);
	vm->fired = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(vm->ram != MAP_FAILED);
	vm->shut = *vm->ops;
	vm->shut.open = no_open;
	vm->shut.readlink = no_readlink;
	vm->shut.list = no_list;
	vm->sys->ops = &vm->shut;
	looked = 0;
}

static int ioctl_of(struct vm *vm, int fd, unsigned long request, void *arg)
{
	return vm->ops->ioctl(vm->sys, fd, request, arg);
}

/* --- The VMM's own code --- */

static void own_ioas(struct vm *vm)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.user_va = (uintptr_t)vm->ram,
		.length = RAM_SIZE,
		.iova = RAM_IPA,
	};

	assert_int_equal(ioctl_of(vm, vm->iommufd, IOMMU_IOAS_ALLOC, &alloc), 0);
	map.ioas_id = vm->ioas = alloc.out_ioas_id;
	assert_int_equal(ioctl_of(vm, vm->iommufd, IOMMU_IOAS_MAP, &map), 0);
}

static void own_bind(struct vm *vm)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = vm->iommufd };

	assert_int_equal(ioctl_of(vm, vm->cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	vm->dev_id = bind.out_devid;
}

static void own_attach(struct vm *vm)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach),
							.pt_id = vm->ioas };

	assert_int_equal(ioctl_of(vm, vm->cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
}

static void own_detach(struct vm *vm)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	assert_int_equal(ioctl_of(vm, vm->cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
}

/* --- The library's --- */

static int adopt(struct vm *vm, unsigned int flags, uint32_t ioas)
{
	struct db_device_adoption adoption = { .size = sizeof(adoption),
					       .fd = vm->cdev,
					       .flags = flags,
					       .dev_id = vm->dev_id,
					       .ioas_id = ioas,
					       .name = "nic" };

	if (!vm->host)
		assert_int_equal(db_host_adopt(vm->sys, vm->iommufd, DB_ADOPT_KEEP, &vm->host), 0);
	return db_device_adopt(vm->host, &adoption, &vm->dev);
}

static void must_adopt(struct vm *vm, unsigned int flags, uint32_t ioas)
{
	uint8_t command[2] = { 6 };

	if (adopt(vm, flags, ioas))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_device_config_write(vm->dev, command, 2, 4), 2);
}

static void create_msi(struct vm *vm, enum db_mode mode)
{
	struct db_msi_config config = { .size = sizeof(config),
					.dev = vm->dev,
					.space = vm->space,
					.mode = mode,
					.kind = DB_MSIX };
	bool fixed;

	if (db_msi_doorbell_ipa(vm->dev, mode, &fixed, &config.doorbell_ipa))
		fail_msg("%s", db_error_message());
	assert_int_equal(fixed, mode == DB_MODE_STOCK);
	if (!fixed)
		config.doorbell_ipa = DOORBELL_IPA;
	else
		assert_int_equal(config.doorbell_ipa, WINDOW);
	if (db_msi_create(&config, &vm->msi))
		fail_msg("%s", db_error_message());
}

static void check_interrupt(struct vm *vm, uint64_t address)
{
	struct db_msi_vector vector = { .address = address, .eventfd = vm->fired };
	struct pollfd poller = { .fd = vm->fired, .events = POLLIN };
	uint32_t ring = 3;
	eventfd_t count;

	if (db_msi_set(vm->msi, 3, 1, &vector))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_device_bar_write(vm->dev, 0, &ring, sizeof(ring), BELL_RING),
			 sizeof(ring));
	assert_int_equal(poll(&poller, 1, 5000), 1);
	assert_int_equal(eventfd_read(vm->fired, &count), 0);
	assert_int_equal(count, 1);
}

static void close_library(struct vm *vm)
{
	db_msi_destroy(vm->msi);
	if (vm->viommu)
		db_viommu_remove(vm->viommu, vm->dev);
	db_viommu_destroy(vm->viommu);
	db_space_destroy(vm->space);
	db_device_close(vm->dev);
	db_host_close(vm->host);
	assert_int_equal(looked, 0);
}

/* What was kept works still, and the host has nothing else open. */
static void end(struct vm *vm)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = vm->ioas };

	assert_int_equal(ioctl_of(vm, vm->cdev, VFIO_DEVICE_GET_INFO, &info), 0);
	if (vm->ioas)
		assert_int_equal(ioctl_of(vm, vm->iommufd, IOMMU_DESTROY, &destroy), 0);
	vm->ops->close(vm->sys, vm->cdev);
	vm->ops->close(vm->sys, vm->iommufd);
	vm->sys->ops = vm->ops;
	vm->sys->ops->release(vm->sys);
	munmap(vm->ram, RAM_SIZE);
	close(vm->fired);
}

/* --- Tests --- */

static const struct {
	const char *machine;
	enum db_mode mode;
} modes[] = {
	{ "device 0000:02:00.0 bell vectors=8\n", DB_MODE_NATIVE },
	{ "kernel stock\ndevice 0000:02:00.0 bell vectors=8\n", DB_MODE_STOCK },
};

/* Descriptors and IOAS are the VMM's; the library does all the rest, with a guest's own stage 1. */
static void all_but_opening(struct vm *vm, unsigned int variant, bool bound)
{
	uint64_t doorbell = modes[variant].mode == DB_MODE_STOCK ? WINDOW : DOORBELL_IPA;

	launch(vm, modes[variant].machine);
	own_ioas(vm);
	if (bound)
		own_bind(vm);
	must_adopt(vm, DB_ADOPT_KEEP | (bound ? DB_ADOPT_BOUND : 0), 0);
	assert_string_equal(db_device_address(vm->dev), "nic");
	assert_int_equal(db_host_fd(vm->host), vm->iommufd);
	assert_int_equal(db_device_fd(vm->dev), vm->cdev);
	if (bound)
		assert_int_equal(db_device_id(vm->dev), vm->dev_id);
	assert_int_equal(db_space_adopt(vm->host, vm->ioas, DB_ADOPT_KEEP, &vm->space), 0);
	assert_int_equal(db_space_id(vm->space), vm->ioas);
	if (db_viommu_create(vm->space, vm->dev, &vm->viommu))
		fail_msg("%s", db_error_message());
	assert_int_equal(db_viommu_vdevice_id(vm->viommu, vm->dev), 0);
	if (db_viommu_add(vm->viommu, vm->dev, 7))
		fail_msg("%s", db_error_message());
	assert_true(db_viommu_id(vm->viommu));
	assert_true(db_viommu_parent_id(vm->viommu));
	assert_true(db_viommu_vdevice_id(vm->viommu, vm->dev));
	create_msi(vm, modes[variant].mode);
	vm->s1 = (struct stage1){ .ram = vm->ram, .ram_ipa = RAM_IPA, .limit = RAM_SIZE,
				  .input_bits = 48, .asid = 5 };
	assert_int_equal(stage1_init(&vm->s1), 0);
	assert_int_equal(vmsa_map(&vm->s1.table, GIOVA_PAGE, doorbell, 4096,
				  VMSA_WRITE | VMSA_DEVICE), 0);
	if (db_viommu_install_ste(vm->viommu, vm->dev, vm->s1.ste))
		fail_msg("%s", db_error_message());
	check_interrupt(vm, GIOVA);
	close_library(vm);
	end(vm);
}

static void descriptors(void **state)
{
	struct vm vm;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		all_but_opening(&vm, i, false);
		all_but_opening(&vm, i, true);
	}
}

/* The VMM has bound and attached the device and mapped its memory; of the library it takes the
 * interrupts. */
static void msi_alone(void **state)
{
	struct vm vm;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		launch(&vm, modes[i].machine);
		own_ioas(&vm);
		own_bind(&vm);
		own_attach(&vm);
		must_adopt(&vm, DB_ADOPT_KEEP | DB_ADOPT_BOUND, vm.ioas);
		/* For the doorbell's mapping. */
		if (modes[i].mode == DB_MODE_NATIVE)
			assert_int_equal(db_space_adopt(vm.host, vm.ioas, DB_ADOPT_KEEP,
							&vm.space), 0);
		create_msi(&vm, modes[i].mode);
		check_interrupt(&vm, (modes[i].mode == DB_MODE_STOCK ? WINDOW : DOORBELL_IPA) |
				0x40);
		close_library(&vm);
		own_detach(&vm);
		end(&vm);
	}
}

/* A doorbell that outlives its db_msi in an IOAS that stays is taken out of it. */
static void no_doorbell_stays(void **state)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .iova = DOORBELL_IPA,
					  .length = 65536 };
	struct vm vm;

	(void)state;
	launch(&vm, modes[0].machine);
	own_ioas(&vm);
	must_adopt(&vm, DB_ADOPT_KEEP, 0);
	assert_int_equal(db_space_adopt(vm.host, vm.ioas, DB_ADOPT_KEEP, &vm.space), 0);
	assert_int_equal(db_space_map_doorbell(vm.space, vm.dev, DOORBELL_IPA), 0);
	close_library(&vm);
	unmap.ioas_id = vm.ioas;
	assert_true(ioctl_of(&vm, vm.iommufd, IOMMU_IOAS_UNMAP, &unmap) < 0 || !unmap.length);
	unmap.iova = RAM_IPA;
	unmap.length = RAM_SIZE;
	assert_int_equal(ioctl_of(&vm, vm.iommufd, IOMMU_IOAS_UNMAP, &unmap), 0);
	end(&vm);
}

/* What is not kept is closed with its object. */
static void handed_over(void **state)
{
	struct db_device_adoption adoption = { .size = sizeof(adoption) };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vm vm;

	(void)state;
	launch(&vm, modes[0].machine);
	own_ioas(&vm);
	adoption.fd = vm.cdev;
	assert_int_equal(db_host_adopt(vm.sys, vm.iommufd, 0, &vm.host), 0);
	assert_int_equal(db_device_adopt(vm.host, &adoption, &vm.dev), 0);
	/* Without a name. */
	assert_int_equal(strncmp(db_device_address(vm.dev), "fd ", 3), 0);
	assert_int_equal(db_space_adopt(vm.host, vm.ioas, 0, &vm.space), 0);
	close_library(&vm);
	assert_true(ioctl_of(&vm, vm.cdev, VFIO_DEVICE_GET_INFO, &info) < 0);
	assert_true(fcntl(vm.iommufd, F_GETFD) < 0);
	vm.sys->ops = vm.ops;
	vm.sys->ops->release(vm.sys);
	munmap(vm.ram, RAM_SIZE);
	close(vm.fired);
}

static bool has_window(struct vm *vm)
{
	struct db_reserved regions[16];
	int i, count = db_device_reserved(vm->dev, regions, 16, sizeof(*regions));

	for (i = 0; i < count; i++) {
		if (!strcmp(regions[i].type, "msi"))
			return regions[i].start == WINDOW && regions[i].last == WINDOW + 0xfffff;
	}
	return false;
}

static void reserved(void **state)
{
	struct db_reserved regions[16];
	struct vm vm;
	int count;

	(void)state;
	/* Learnt when the library binds: the window, and what the SMMU does not reach. */
	launch(&vm, modes[1].machine);
	own_ioas(&vm);
	must_adopt(&vm, DB_ADOPT_KEEP, 0);
	assert_true(has_window(&vm));
	count = db_device_reserved(vm.dev, regions, 16, sizeof(*regions));
	assert_true(count >= 2 && count <= 16);
	assert_string_equal(regions[count - 1].type, "aperture");
	assert_int_equal(regions[count - 1].last, UINT64_MAX);
	assert_int_equal(db_device_reserved(vm.dev, regions, 1, sizeof(*regions)), count);
	close_library(&vm);
	end(&vm);

	/* From the VMM's IOAS; and where nothing is known, the window that Linux has. */
	launch(&vm, modes[1].machine);
	own_ioas(&vm);
	own_bind(&vm);
	own_attach(&vm);
	must_adopt(&vm, DB_ADOPT_KEEP | DB_ADOPT_BOUND, vm.ioas);
	assert_true(has_window(&vm));
	db_device_close(vm.dev);
	must_adopt(&vm, DB_ADOPT_KEEP | DB_ADOPT_BOUND, 0);
	assert_int_equal(db_device_reserved(vm.dev, NULL, 0, sizeof(*regions)), 1);
	assert_true(has_window(&vm));
	close_library(&vm);
	own_detach(&vm);
	end(&vm);
}

static void refused(void **state)
{
	struct db_device_adoption none = { 0 };
	struct vm vm;

	(void)state;
	launch(&vm, modes[0].machine);
	assert_int_equal(db_host_adopt(vm.sys, vm.cdev, 0, &vm.host), -EBADF);
	assert_int_equal(db_host_adopt(vm.sys, vm.fired, 0, &vm.host), -EBADF);
	assert_int_equal(db_host_adopt(vm.sys, -1, 0, &vm.host), -EBADF);
	assert_int_equal(db_host_adopt(vm.sys, vm.iommufd, 0x80, &vm.host), -EINVAL);
	assert_int_equal(db_host_adopt(vm.sys, vm.iommufd, DB_ADOPT_BOUND, &vm.host), -EINVAL);
	vm.host = NULL;
	own_ioas(&vm);
	assert_int_equal(adopt(&vm, 0x80, 0), -EINVAL);
	assert_int_equal(db_device_adopt(vm.host, &none, &vm.dev), -EINVAL);
	/* Said to be bound, and is not. */
	assert_true(adopt(&vm, DB_ADOPT_BOUND, 0) < 0);
	own_bind(&vm);
	assert_int_equal(adopt(&vm, 0, 0), -EBUSY);
	assert_non_null(strstr(db_error_message(), "DB_ADOPT_BOUND"));
	assert_int_equal(adopt(&vm, DB_ADOPT_BOUND, 0x7777), -ENOENT);
	vm.dev_id += 0x1000;
	assert_int_equal(adopt(&vm, DB_ADOPT_BOUND, 0), -ENOENT);
	vm.dev_id -= 0x1000;
	assert_int_equal(db_space_adopt(vm.host, 0x7777, 0, &vm.space), -ENOENT);
	assert_int_equal(db_space_adopt(vm.host, vm.dev_id, 0, &vm.space), -ENOENT);
	assert_int_equal(db_space_adopt(vm.host, vm.ioas, DB_ADOPT_BOUND, &vm.space), -EINVAL);
	/* No VFIO device. */
	none = (struct db_device_adoption){ .size = sizeof(none), .fd = vm.fired };
	assert_int_equal(db_device_adopt(vm.host, &none, &vm.dev), -EBADF);
	none.flags = DB_ADOPT_BOUND;
	none.dev_id = vm.dev_id;
	assert_int_equal(db_device_adopt(vm.host, &none, &vm.dev), -EBADF);
	/* After all that it is there to be taken. */
	vm.space = NULL;
	must_adopt(&vm, DB_ADOPT_KEEP | DB_ADOPT_BOUND, 0);
	close_library(&vm);
	end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors),
		cmocka_unit_test(msi_alone),
		cmocka_unit_test(no_doorbell_stays),
		cmocka_unit_test(handed_over),
		cmocka_unit_test(reserved),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
