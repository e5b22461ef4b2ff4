/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The software host as a whole: what cannot be built and why, calls on what is not its own, several
 * hosts at once, and its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <doorbell/error.h>
#include <doorbell/soft.h>

#include "abi/iommufd.h"
#include "soft/alloc.h"
#include "soft/host.h"

static void mistakes_have_a_sentence(void **state)
{
	struct db_sys *sys;

	(void)state;
	assert_int_equal(db_soft_host_create("kernel minix", 12, &sys), -EINVAL);
	assert_string_equal(
		db_error_message(),
		"EINVAL: machine description, line 1: kernel must be stock or doorbell, not \"minix\"");
	assert_true(db_soft_host_create("device 0000:01:00.0 nvme disk=/nonexistent/disk", 47,
					&sys) < 0);
	assert_non_null(strstr(db_error_message(), "0000:01:00.0"));
}

static void not_its_files(void **state)
{
	struct db_sys *sys;
	int fds[] = { -1, 0, 99999 }, fd;
	char buf[8];

	(void)state;
	assert_int_equal(db_soft_host_on_dma_write(db_sys_linux(), NULL, NULL), -EINVAL);
	assert_int_equal(db_soft_host_create(NULL, 0, &sys), 0);
	assert_int_equal(db_soft_host_on_dma_write(sys, NULL, NULL), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(sys->ops->close(sys, fds[i]), -EBADF);
		assert_int_equal(sys->ops->ioctl(sys, fds[i], 0, NULL), -EBADF);
		assert_int_equal(sys->ops->read(sys, fds[i], buf, 1), -EBADF);
		assert_int_equal(sys->ops->pread(sys, fds[i], buf, 1, 0), -EBADF);
		assert_int_equal(sys->ops->pwrite(sys, fds[i], buf, 1, 0), -EBADF);
		assert_int_equal(sys->ops->mmap(sys, 4096, 0, fds[i], 0, &(void *){ NULL }),
				 -EBADF);
	}
	/* What a file cannot do. */
	fd = sys->ops->open(sys, "/dev/iommu", O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(sys->ops->read(sys, fd, buf, 1), -EINVAL);
	assert_int_equal(sys->ops->pread(sys, fd, buf, 1, 0), -EINVAL);
	assert_int_equal(sys->ops->pwrite(sys, fd, buf, 1, 0), -EINVAL);
	assert_int_equal(sys->ops->mmap(sys, 4096, 0, fd, 0, &(void *){ NULL }), -ENXIO);
	assert_int_equal(sys->ops->close(sys, fd), 0);
	assert_int_equal(sys->ops->ioctl(sys, fd, IOMMU_IOAS_ALLOC, NULL), -EBADF);
	assert_int_equal(sys->ops->mmio_read(sys, &fd, 4), 0xffffffff);
	sys->ops->mmio_write(sys, &fd, 4, 0);
	assert_int_equal(sys->ops->munmap(sys, &fd, 4096), -EINVAL);
	sys->ops->release(sys);
}

/* A descriptor belongs to the host that opened it. */
static void two_hosts(void **state)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct db_sys *first, *second;
	int fd;

	(void)state;
	assert_int_equal(db_soft_host_create(NULL, 0, &first), 0);
	assert_int_equal(db_soft_host_create("kernel stock", 12, &second), 0);
	fd = first->ops->open(first, "/dev/iommu", O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(second->ops->ioctl(second, fd, IOMMU_IOAS_ALLOC, &alloc), -EBADF);
	assert_int_equal(first->ops->ioctl(first, fd, IOMMU_IOAS_ALLOC, &alloc), 0);
	assert_int_equal(first->ops->close(first, fd), 0);
	second->ops->release(second);
	first->ops->release(first);
}

static void every_allocation_may_fail(void **state)
{
	static const char machine[] =
		"device 0000:01:00.0 bell vectors=4\ndevice 0000:02:00.0 bell msi=4";
	long before = soft_alloc_live();
	struct db_sys *sys;
	unsigned long n;
	int ret;

	(void)state;
	for (n = 1;; n++) {
		soft_alloc_fail_nth(n);
		ret = db_soft_host_create(machine, sizeof(machine) - 1, &sys);
		soft_alloc_fail_nth(0);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(soft_alloc_live(), before);
	}
	assert_true(n > 5);
	sys->ops->release(sys);
	assert_int_equal(soft_alloc_live(), before);
}

static void a_fleet(void **state)
{
	static const char machine[] = "lpi-bits 18\ndevice 0000:01:00.0 bell count=2000 vectors=8";
	long before = soft_alloc_live();
	struct soft_host *host;
	struct db_sys *sys;

	(void)state;
	assert_int_equal(db_soft_host_create(machine, sizeof(machine) - 1, &sys), 0);
	host = (struct soft_host *)sys;
	assert_ptr_equal(soft_host_find(host, "0000:3f:0f.0"), &host->devices[1999]);
	assert_null(soft_host_find(host, "0000:3f:10.0"));
	assert_int_equal(soft_host_unplug(host, "0000:3f:0f.0"), 0);
	sys->ops->release(sys);
	assert_int_equal(soft_alloc_live(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_have_a_sentence),
		cmocka_unit_test(not_its_files),
		cmocka_unit_test(two_hosts),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(a_fleet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
