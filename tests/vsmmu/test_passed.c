/* SPDX-License-Identifier: BSD-2-Clause */
/* Passed-through devices behind a virtual SMMU, on the stand-in kernel: what reaches the host, how
 * often, and what becomes of the guest when the host fails. */
#include "guest.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "arm/smmu.h"
#include "mock.h"

#define STE_S1(ptr) (1ull | 5ull << 1 | (ptr))
#define STE_BYPASS (1ull | 4ull << 1)
#define STE_ABORT 1ull
#define CMD_CFGI_STE(sid) (SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid))
#define DEVICES 4

/* Linked with --wrap of these: what is to fail (1: the next; 0: nothing). */
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
int __real_posix_memalign(void **out, size_t align, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);

static unsigned int attempts, fail_attempt;

void *__wrap_calloc(size_t n, size_t size)
{
	return ++attempts == fail_attempt ? NULL : __real_calloc(n, size);
}

int __wrap_posix_memalign(void **out, size_t align, size_t size)
{
	return ++attempts == fail_attempt ? ENOMEM : __real_posix_memalign(out, align, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return ++attempts == fail_attempt ? NULL : __real_reallocarray(old, n, size);
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	if (op != EPOLL_CTL_ADD || ++attempts != fail_attempt)
		return __real_epoll_ctl(epoll, op, fd, event);
	errno = ENOSPC;
	return -1;
}

/* Device i has StreamID 8 (i + 1). */
struct vm {
	struct guest g;
	struct mock *mock;
	struct db_host *host;
	struct db_space *space;
	struct db_device *dev[DEVICES];
};

static uint32_t sid_of(unsigned int i)
{
	return 8 * (i + 1);
}

static void open_device(struct vm *vm, unsigned int i)
{
	assert_int_equal(db_device_open(vm->host, vm->mock->device[i].address, 0, &vm->dev[i]), 0);
}

static void open_vm(struct vm *vm, bool one_host_smmu)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct db_vsmmu_config config = { .size = sizeof(config), .one_host_smmu = one_host_smmu };
	unsigned int i;

	memset(vm, 0, sizeof(*vm));
	vm->mock = mock_create();
	assert_int_equal(db_host_open(&vm->mock->sys, &vm->host), 0);
	for (i = 0; i < DEVICES; i++)
		open_device(vm, i);
	assert_int_equal(db_space_create(vm->host, &vm->space), 0);
	assert_int_equal(db_device_caps(vm->dev[0], &caps), 0);
	config.host = &caps.smmu;
	config.space = vm->space;
	guest_init(&vm->g);
	guest_create(&vm->g, &config);
}

static void close_vm(struct vm *vm)
{
	unsigned int i;

	guest_fini(&vm->g);
	db_space_destroy(vm->space);
	for (i = 0; i < DEVICES; i++)
		db_device_close(vm->dev[i]);
	db_host_close(vm->host);
	mock_destroy(vm->mock);
}

static void add(struct vm *vm, unsigned int i)
{
	if (db_vsmmu_add_device(vm->g.vsmmu, vm->dev[i], sid_of(i)))
		fail_msg("%s", db_error_message());
}

/* What hardware has for device @i. */
static uint64_t installed(struct vm *vm, unsigned int i)
{
	struct mock_object *object = mock_find(vm->mock, vm->mock->device[i].attached, MOCK_NESTED);

	return object ? object->ste[0] : 0;
}

static void set_ste(struct vm *vm, unsigned int i, uint64_t low)
{
	const uint64_t ste[8] = { low };

	guest_set_ste(&vm->g, sid_of(i), ste);
}

static void test_enable(void **state)
{
	struct vm vm;

	(void)state;
	open_vm(&vm, false);
	/* GBPA decides while it is disabled. */
	add(&vm, 0);
	assert_int_equal(installed(&vm, 0), STE_BYPASS);
	guest_write(&vm.g, SMMU_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
	assert_int_equal(installed(&vm, 0), STE_ABORT);
	set_ste(&vm, 0, STE_S1(0x1000));
	set_ste(&vm, 1, STE_BYPASS);
	guest_start(&vm.g, true);
	assert_int_equal(installed(&vm, 0), STE_S1(0x1000));
	/* Plugged in while it runs: its entry is read. */
	add(&vm, 1);
	assert_int_equal(installed(&vm, 1), STE_BYPASS);
	/* GBPA does not matter now. */
	guest_write(&vm.g, SMMU_GBPA, SMMU_GBPA_UPDATE);
	assert_int_equal(installed(&vm, 0), STE_S1(0x1000));
	guest_write(&vm.g, SMMU_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
	guest_write(&vm.g, SMMU_CR0, 0);
	assert_int_equal(installed(&vm, 0), STE_ABORT);
	assert_int_equal(installed(&vm, 1), STE_ABORT);
	assert_int_equal(db_vsmmu_reset(vm.g.vsmmu), 0);
	assert_int_equal(installed(&vm, 1), STE_BYPASS);
	close_vm(&vm);
}

static void test_commands(void **state)
{
	struct vm vm;
	unsigned int i;

	(void)state;
	open_vm(&vm, false);
	add(&vm, 0);
	add(&vm, 1);
	guest_start(&vm.g, true);
	set_ste(&vm, 0, STE_S1(0x1000));
	assert_int_equal(installed(&vm, 0), STE_ABORT);
	guest_do(&vm.g, CMD_CFGI_STE(sid_of(0)), 1);
	assert_int_equal(installed(&vm, 0), STE_S1(0x1000));
	/* The same entry again: the CDs cached under it go. */
	mock_forget(vm.mock);
	guest_do(&vm.g, CMD_CFGI_STE(sid_of(0)), 1);
	assert_int_equal(mock_ioctls(vm.mock), 1);
	assert_int_equal(vm.mock->last_command[0],
			 SMMU_CMD_OP_CFGI_CD_ALL | (uint64_t)sid_of(0) << 32);
	/* A range, and all. */
	set_ste(&vm, 1, STE_S1(0x2000));
	guest_do(&vm.g, SMMU_CMD_OP_CFGI_STE_RANGE | (uint64_t)sid_of(1) << 32, 2);
	assert_int_equal(installed(&vm, 1), STE_S1(0x2000));
	set_ste(&vm, 0, STE_BYPASS);
	set_ste(&vm, 1, STE_BYPASS);
	guest_do(&vm.g, SMMU_CMD_OP_CFGI_STE_RANGE, 31);
	assert_int_equal(installed(&vm, 0), STE_BYPASS);
	assert_int_equal(installed(&vm, 1), STE_BYPASS);
	/* Hundreds of commands with whatever between them: one ioctl. Many times the same entry:
	 * it is installed once. */
	mock_forget(vm.mock);
	vm.mock->invalidated = 0;
	set_ste(&vm, 0, STE_S1(0x3000));
	for (i = 0; i < 500; i++)
		guest_command(&vm.g, i % 50 == 7  ? SMMU_CMD_OP_SYNC | 1 << 12
				     : i % 50 == 8 ? CMD_CFGI_STE(sid_of(0))
						   : SMMU_CMD_OP_TLBI_NH_VA, 0);
	assert_int_equal(guest_kick(&vm.g), 0);
	assert_int_equal(mock_count(vm.mock, IOMMU_HWPT_INVALIDATE), 1);
	assert_int_equal(mock_ioctls(vm.mock), 3);
	assert_int_equal(vm.mock->invalidated, 480);
	assert_int_equal(vm.g.irqs[DB_VSMMU_IRQ_SYNC], 10);
	assert_int_equal(installed(&vm, 0), STE_S1(0x3000));
	close_vm(&vm);
}

/* In every order: who is left is not concerned, and whoever comes finds its entry. */
static void test_unplug(void **state)
{
	unsigned int first, second, i;
	struct vm vm;

	(void)state;
	for (first = 0; first < DEVICES; first++) {
		for (second = 0; second < DEVICES; second++) {
			if (second == first)
				continue;
			open_vm(&vm, false);
			for (i = 0; i < DEVICES; i++)
				add(&vm, i);
			guest_start(&vm.g, true);
			db_vsmmu_remove_device(vm.g.vsmmu, vm.dev[first]);
			db_device_close(vm.dev[first]);
			db_vsmmu_remove_device(vm.g.vsmmu, vm.dev[second]);
			db_device_close(vm.dev[second]);
			for (i = 0; i < DEVICES; i++) {
				if (i == first || i == second)
					continue;
				set_ste(&vm, i, STE_S1(0x1000ull * (i + 1)));
				guest_do(&vm.g, CMD_CFGI_STE(sid_of(i)), 1);
				assert_int_equal(installed(&vm, i), STE_S1(0x1000ull * (i + 1)));
			}
			set_ste(&vm, first, STE_S1(0x9000));
			open_device(&vm, second);
			open_device(&vm, first);
			add(&vm, first);
			assert_int_equal(installed(&vm, first), STE_S1(0x9000));
			close_vm(&vm);
		}
	}
}

static void test_add_refused(void **state)
{
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &guest_ops };
	struct vm vm;

	(void)state;
	open_vm(&vm, true);
	add(&vm, 0);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, vm.dev[1], sid_of(0)), -EEXIST);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, vm.dev[0], sid_of(1)), -EEXIST);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, vm.dev[1], 1 << 16), -EINVAL);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, vm.dev[3], sid_of(3)), -EXDEV);
	assert_int_equal(db_vsmmu_add_emulated(vm.g.vsmmu, sid_of(0)), -EEXIST);
	db_vsmmu_remove_emulated(vm.g.vsmmu, sid_of(0));
	assert_int_equal(installed(&vm, 0), STE_BYPASS);
	/* When the last one has left, another SMMU may come. */
	db_vsmmu_remove_device(vm.g.vsmmu, vm.dev[0]);
	db_vsmmu_remove_device(vm.g.vsmmu, vm.dev[0]);
	add(&vm, 3);
	mock_fail(vm.mock, IOMMU_VDEVICE_ALLOC, -ENOMEM, 0);
	db_vsmmu_remove_device(vm.g.vsmmu, vm.dev[3]);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, vm.dev[3], sid_of(3)), -ENOMEM);
	mock_fail(vm.mock, IOMMU_VIOMMU_ALLOC, -ENOMEM, 0);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, vm.dev[3], sid_of(3)), -ENOMEM);
	db_vsmmu_destroy(vm.g.vsmmu);
	/* No space: emulated devices only. */
	guest_create(&vm.g, &config);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, vm.dev[0], sid_of(0)), -EINVAL);
	db_vsmmu_destroy(vm.g.vsmmu);
	/* The guest was told more than this SMMU can. */
	config.space = vm.space;
	guest_create(&vm.g, &config);
	assert_int_equal(db_vsmmu_add_device(vm.g.vsmmu, vm.dev[0], sid_of(0)), -EOPNOTSUPP);
	assert_non_null(strstr(db_error_message(), "0000:01:00.0"));
	close_vm(&vm);
}

/* Two physical SMMUs behind one virtual: each is told. */
static void test_two_hosts(void **state)
{
	struct vm vm;

	(void)state;
	open_vm(&vm, false);
	add(&vm, 0);
	add(&vm, 3);
	guest_start(&vm.g, true);
	mock_forget(vm.mock);
	guest_do(&vm.g, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	assert_int_equal(mock_count(vm.mock, IOMMU_HWPT_INVALIDATE), 2);
	/* What the second refuses is not done. */
	mock_fail(vm.mock, IOMMU_HWPT_INVALIDATE, -EIO, 1);
	guest_command(&vm.g, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	guest_command(&vm.g, SMMU_CMD_OP_SYNC | 1 << 12, 0);
	assert_int_equal(guest_kick(&vm.g), -EIO);
	assert_int_equal(guest_read(&vm.g, SMMU_CMDQ_CONS) >> 24, SMMU_CERROR_ILL);
	assert_int_equal(vm.g.irqs[DB_VSMMU_IRQ_SYNC], 0);
	close_vm(&vm);
}

static void test_host_fails(void **state)
{
	uint64_t event[4];
	uint32_t start;
	struct vm vm;

	(void)state;
	open_vm(&vm, false);
	add(&vm, 0);
	guest_start(&vm.g, true);
	/* An entry that only the host finds illegal: the device aborts, the guest hears of it, and
	 * the commands are done. */
	set_ste(&vm, 0, STE_S1(0xbad000));
	guest_command(&vm.g, CMD_CFGI_STE(sid_of(0)), 1);
	guest_command(&vm.g, SMMU_CMD_OP_SYNC, 0);
	assert_int_equal(guest_kick(&vm.g), -EIO);
	assert_int_equal(guest_read(&vm.g, SMMU_CMDQ_CONS), vm.g.prod);
	assert_int_equal(installed(&vm, 0), STE_ABORT);
	guest_event(&vm.g, event);
	assert_int_equal(event[0], SMMU_EVT_C_BAD_STE | (uint64_t)sid_of(0) << 32);
	/* A command that the kernel refuses, and one that it fails at: tried again. */
	set_ste(&vm, 0, STE_S1(0x1000));
	guest_do(&vm.g, CMD_CFGI_STE(sid_of(0)), 1);
	start = vm.g.prod;
	guest_command(&vm.g, SMMU_CMD_OP_SYNC, 0);
	guest_command(&vm.g, SMMU_CMD_OP_TLBI_NH_ALL, 0);
	guest_command(&vm.g, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	vm.mock->invalidate_bad = 1;
	assert_int_equal(guest_kick(&vm.g), -EIO);
	assert_int_equal(guest_read(&vm.g, SMMU_CMDQ_CONS), (start + 2) | SMMU_CERROR_ILL << 24);
	vm.mock->invalidate_bad = -1;
	mock_fail(vm.mock, IOMMU_HWPT_INVALIDATE, -ENOMEM, 0);
	assert_int_equal(guest_write(&vm.g, SMMU_GERRORN, SMMU_GERROR_CMDQ), -ENOMEM);
	assert_int_equal(guest_read(&vm.g, SMMU_CMDQ_CONS), (start + 2) | SMMU_CERROR_ABT << 24);
	assert_int_equal(guest_write(&vm.g, SMMU_GERRORN, 0), 0);
	assert_int_equal(guest_read(&vm.g, SMMU_CMDQ_CONS) & 0xfffff, vm.g.prod);
	/* Not even the CDs of an equal entry: nothing of the kick counts as done. */
	guest_command(&vm.g, CMD_CFGI_STE(sid_of(0)), 1);
	guest_command(&vm.g, SMMU_CMD_OP_SYNC, 0);
	mock_fail(vm.mock, IOMMU_HWPT_INVALIDATE, -EIO, 0);
	assert_int_equal(guest_kick(&vm.g), -EIO);
	assert_int_equal(guest_read(&vm.g, SMMU_CMDQ_CONS), (vm.g.prod - 2) | SMMU_CERROR_ABT << 24);
	close_vm(&vm);
}

static void test_events(void **state)
{
	struct pollfd poller = { .events = POLLIN };
	uint64_t event[4];
	struct vm vm;

	(void)state;
	open_vm(&vm, false);
	poller.fd = db_vsmmu_event_fd(vm.g.vsmmu);
	assert_int_equal(poll(&poller, 1, 0), 0);
	add(&vm, 0);
	guest_start(&vm.g, true);
	assert_int_equal(db_vsmmu_poll_events(vm.g.vsmmu), 0);
	/* The mock's records have IPA bits and no S2. */
	mock_add_event(vm.mock, false, 0, 0x10);
	mock_add_event(vm.mock, false, 1, 0x11);
	assert_int_equal(db_vsmmu_poll_events(vm.g.vsmmu), 2);
	assert_int_equal(vm.g.irqs[DB_VSMMU_IRQ_EVENTQ], 1);
	guest_event(&vm.g, event);
	assert_int_equal(event[0], 0x10);
	assert_int_equal(event[3], 3);
	guest_event(&vm.g, event);
	assert_int_equal(guest_events(&vm.g), 0);
	/* One of stage 2 is not the guest's. */
	mock_add_event(vm.mock, false, 2, 0x12);
	memcpy(vm.mock->events + 16, &(uint64_t){ SMMU_EVT_1_S2 }, 8);
	mock_add_event(vm.mock, false, 3, 0x13);
	assert_int_equal(db_vsmmu_poll_events(vm.g.vsmmu), 2);
	guest_event(&vm.g, event);
	assert_int_equal(event[0], 0x13);
	assert_int_equal(guest_events(&vm.g), 0);
	/* What the host lost, the guest sees as an overflow. */
	mock_add_event(vm.mock, true, 9, 0);
	assert_int_equal(db_vsmmu_poll_events(vm.g.vsmmu), 0);
	assert_true(guest_read(&vm.g, SMMU_EVENTQ_PROD) & SMMU_EVENTQ_OVERFLOW);
	vm.mock->fail_error = -EIO;
	vm.mock->fail_call = vm.mock->calls + 1;
	assert_int_equal(db_vsmmu_poll_events(vm.g.vsmmu), -EIO);
	close_vm(&vm);
}

static void test_restore(void **state)
{
	uint64_t saved[128];
	struct vm vm;
	size_t len;

	(void)state;
	open_vm(&vm, false);
	add(&vm, 0);
	set_ste(&vm, 0, STE_S1(0x5000));
	guest_start(&vm.g, true);
	len = db_vsmmu_save(vm.g.vsmmu, saved, sizeof(saved));
	assert_int_equal(db_vsmmu_reset(vm.g.vsmmu), 0);
	assert_int_equal(installed(&vm, 0), STE_BYPASS);
	assert_int_equal(db_vsmmu_restore(vm.g.vsmmu, saved, len), 0);
	assert_int_equal(installed(&vm, 0), STE_S1(0x5000));
	close_vm(&vm);
}

static int life(struct vm *vm, const struct db_vsmmu_config *config)
{
	struct db_vsmmu *vsmmu;
	int ret;

	ret = db_vsmmu_create(config, &vsmmu);
	if (ret)
		return ret;
	ret = db_vsmmu_add_emulated(vsmmu, 1);
	ret = ret ? ret : db_vsmmu_add_device(vsmmu, vm->dev[0], sid_of(0));
	ret = ret ? ret : db_vsmmu_add_device(vsmmu, vm->dev[3], sid_of(3));
	ret = ret ? ret : db_vsmmu_mmio_write(vsmmu, SMMU_GBPA, 4, SMMU_GBPA_UPDATE);
	db_vsmmu_destroy(vsmmu);
	return ret;
}

/* Each allocation fails, and each request of the kernel: nothing is left, and the next try works. */
static void test_each_fails(void **state)
{
	static const unsigned long requests[] = {
		IOMMU_VIOMMU_ALLOC, IOMMU_HWPT_ALLOC, IOMMU_VEVENTQ_ALLOC, IOMMU_VDEVICE_ALLOC,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	};
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &guest_ops };
	struct vm vm;
	unsigned int i, n;
	int ret;

	(void)state;
	open_vm(&vm, false);
	assert_int_equal(db_device_caps(vm.dev[0], &caps), 0);
	config.host = &caps.smmu;
	config.space = vm.space;
	config.ctx = &vm.g;
	assert_int_equal(life(&vm, &config), 0);
	for (n = 1;; n++) {
		attempts = 0;
		fail_attempt = n;
		ret = life(&vm, &config);
		if (attempts < n)
			break;
		/* 0: an entry that could not be installed when the device came, but was later. */
		assert_true(!ret || ret == -ENOMEM || ret == -ENOSPC);
		fail_attempt = 0;
		assert_int_equal(life(&vm, &config), 0);
	}
	fail_attempt = 0;
	assert_in_range(n, 8, 64);
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		for (n = 0; n < 2; n++) {
			mock_fail(vm.mock, requests[i], -ENOSPC, n);
			life(&vm, &config);
			vm.mock->fail_request = 0;
			assert_int_equal(life(&vm, &config), 0);
		}
	}
	close_vm(&vm);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enable),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_unplug),
		cmocka_unit_test(test_add_refused),
		cmocka_unit_test(test_two_hosts),
		cmocka_unit_test(test_host_fails),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_restore),
		cmocka_unit_test(test_each_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
