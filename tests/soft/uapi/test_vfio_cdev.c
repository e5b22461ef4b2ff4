/* SPDX-License-Identifier: BSD-2-Clause */
/* The vfio cdev: open, bind, attach, info, features, close. */
#include "soft/uapi/vfio_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/alloc.h"
#include "soft/uapi/user.h"


static int setup(void **state)
{
	static struct fixture f;

	fixture_create(&f, NULL);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fixture_destroy(*state);
	return 0;
}

static int open_path(struct fixture *f, const char *path)
{
	return f->sys->ops->open(f->sys, path, O_RDWR);
}

static int bind_with(struct fixture_device *dev, uint32_t argsz, uint32_t flags, int iommufd,
		     uint8_t tail)
{
	struct {
		struct vfio_device_bind_iommufd bind;
		uint8_t tail[8];
	} arg = { .bind = { .argsz = argsz, .flags = flags, .iommufd = iommufd } };

	arg.tail[7] = tail;
	return device_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &arg);
}

static void nodes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_path(f, "/dev/vfio/devices/vfio3"), -ENOENT);
	assert_int_equal(open_path(f, "/dev/vfio/devices/vfio"), -ENOENT);
	assert_int_equal(open_path(f, "/dev/vfio/devices/vfio00"), -ENOENT);
	assert_int_equal(open_path(f, "/dev/vfio/devices/vfio1x"), -ENOENT);
	assert_int_equal(open_path(f, "/dev/vfio/devices/vfio99999999999999999999"), -ENOENT);
	assert_int_equal(open_path(f, "/dev/vfio/77"), -ENOENT);
	assert_int_equal(open_path(f, "/dev/vfio/x"), -ENOENT);
	assert_int_equal(open_path(f, "/etc/passwd"), -ENOENT);
}

static void nothing_before_bind(void **state)
{
	static const unsigned long requests[] = {
		VFIO_DEVICE_GET_INFO,
		VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO,
		VFIO_DEVICE_SET_IRQS,
		VFIO_DEVICE_RESET,
		VFIO_DEVICE_FEATURE,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		VFIO_DEVICE_DETACH_IOMMUFD_PT,
		0x1234,
	};
	struct fixture *f = *state;
	struct fixture_device dev;
	uint8_t buf[128] = { 0 };
	void *map;

	device_open(f, BELL, &dev);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		assert_int_equal(device_ioctl(&dev, requests[i], buf), -EINVAL);
	assert_int_equal(f->sys->ops->pread(f->sys, dev.fd, buf, 4, 7ull << 40), -EINVAL);
	assert_int_equal(f->sys->ops->pwrite(f->sys, dev.fd, buf, 4, 7ull << 40), -EINVAL);
	assert_int_equal(f->sys->ops->mmap(f->sys, 4096, PROT_READ, dev.fd, 0, &map), -EINVAL);
	device_close(&dev);
}

static void bind_rules(void **state)
{
	struct fixture *f = *state;
	struct fixture_device dev, other;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	device_open(f, BELL, &dev);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_BIND_IOMMUFD, NULL), -EFAULT);
	assert_int_equal(bind_with(&dev, 15, 0, f->iommufd, 0), -EINVAL);
	assert_int_equal(bind_with(&dev, 32, 0, f->iommufd, 1), -E2BIG);
	assert_int_equal(bind_with(&dev, 24, 2, f->iommufd, 0), -EINVAL);
	assert_int_equal(bind_with(&dev, 24, VFIO_DEVICE_BIND_FLAG_TOKEN, f->iommufd, 0), -EINVAL);
	assert_int_equal(bind_with(&dev, 24, 0, -1, 0), -EINVAL);
	assert_int_equal(bind_with(&dev, 24, 0, 99999, 0), -EBADF);
	assert_int_equal(bind_with(&dev, 24, 0, pipes[0], 0), -EBADFD);
	assert_int_equal(bind_with(&dev, 24, 0, dev.fd, 0), -EBADFD);

	/* Short as before the token was added, or longer with zeros. */
	assert_int_equal(bind_with(&dev, 16, 0, f->iommufd, 0), 0);
	assert_int_equal(bind_with(&dev, 24, 0, f->iommufd, 0), -EINVAL);
	/* Opened by another is fine; bound is not. */
	device_open(f, BELL, &other);
	assert_int_equal(bind_with(&other, 24, 0, f->iommufd, 0), -EINVAL);
	device_close(&dev);
	assert_int_equal(bind_with(&other, 32, 0, f->iommufd, 0), 0);
	device_close(&other);
	close(pipes[0]);
	close(pipes[1]);
}

static void another_iommufd(void **state)
{
	struct fixture *f = *state;
	struct fixture_device dev, other;
	int iommufd = open_path(f, "/dev/iommu");

	assert_true(iommufd >= 0);
	device_open(f, BELL, &dev);
	device_bind(&dev);
	/* Another group: free for anybody. */
	device_open(f, NVME, &other);
	assert_int_equal(bind_with(&other, 24, 0, iommufd, 0), 0);
	device_close(&other);
	device_close(&dev);
	assert_int_equal(f->sys->ops->close(f->sys, iommufd), 0);
	assert_int_equal(f->sys->ops->close(f->sys, iommufd), -EBADF);
}

static void attach_rules(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	struct fixture_device dev;

	device_open(f, BELL, &dev);
	device_bind(&dev);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL), -EFAULT);
	attach.argsz = 11;
	attach.pt_id = f->ioas;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EINVAL);
	attach.argsz = sizeof(attach);
	attach.flags = 2;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EINVAL);
	attach.flags = VFIO_DEVICE_ATTACH_PASID;
	attach.pasid = 1;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EINVAL);
	attach.flags = 0;
	attach.pt_id = 12345;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -ENOENT);
	attach.pt_id = dev.id;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EINVAL);

	attach.argsz = 12;
	attach.pt_id = f->ioas;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
	/* The HWPT in use comes back, and attaching again replaces. */
	assert_int_not_equal(attach.pt_id, f->ioas);
	assert_int_equal(device_attach(&dev, attach.pt_id), 0);
	assert_int_equal(device_attach(&dev, f->ioas), 0);

	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL), -EFAULT);
	detach.argsz = 7;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), -EINVAL);
	detach.argsz = 8;
	detach.flags = 2;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), -EINVAL);
	detach.flags = VFIO_DEVICE_DETACH_PASID;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), -EINVAL);
	detach.argsz = sizeof(detach);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	detach.flags = 0;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	assert_int_equal(device_attach(&dev, f->ioas), 0);
	device_close(&dev);
}

static void info(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_info info = { .argsz = 15 };
	struct fixture_device dev;

	device_open(f, BELL, &dev);
	device_bind(&dev);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_INFO, NULL), -EFAULT);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	info.argsz = 16;
	info.cap_offset = 0x55;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 0x55);
	info.argsz = 1000;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.cap_offset, 0);
	assert_int_equal(device_ioctl(&dev, 0x1234, &info), -ENOTTY);
	device_close(&dev);
}

static int feature(struct fixture_device *dev, uint32_t argsz, uint32_t flags)
{
	struct vfio_device_feature arg[5] = { { .argsz = argsz, .flags = flags } };

	return device_ioctl(dev, VFIO_DEVICE_FEATURE, &arg);
}

static void feature_rules(void **state)
{
	const uint32_t get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET,
		       probe = VFIO_DEVICE_FEATURE_PROBE;
	struct fixture *f = *state;
	struct fixture_device dev;

	device_open(f, BELL, &dev);
	device_bind(&dev);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_FEATURE, NULL), -EFAULT);
	assert_int_equal(feature(&dev, 7, get | 1), -EINVAL);
	assert_int_equal(feature(&dev, 40, get | 1 | 1 << 19), -EINVAL);
	assert_int_equal(feature(&dev, 40, get | set | 1), -EINVAL);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(feature(&dev, 40, probe | i), -ENOTTY);
	assert_int_equal(feature(&dev, 40, get | 0xffff), -ENOTTY);
	assert_int_equal(feature(&dev, 8, probe | get | set | 1), -ENOTTY);
	device_close(&dev);
}

static void doorbell_of_its(void **state)
{
	struct iommu_get_msi_info first, second;
	struct fixture_device bell, nvme;
	struct fixture *f = *state;

	device_open(f, BELL, &bell);
	device_bind(&bell);
	device_open(f, NVME, &nvme);
	device_bind(&nvme);
	assert_int_equal(get_doorbell(&bell, &first), 0);
	assert_int_equal(get_doorbell(&nvme, &second), 0);
	assert_int_equal(first.out_length, 4096);
	assert_int_equal(first.out_offset, 0x40);
	assert_int_not_equal(first.out_id, 0);
	assert_int_equal(first.out_id, second.out_id);
	device_close(&bell);
	device_close(&nvme);
}

static void doorbell_ids(void **state)
{
	static const char machine[] =
		"page-size 64k\n"
		"its its base=0x08080000\nits its base=0x080a0000\n"
		"its v2m base=0x09000000 spis=64+64\nits v2m base=0x09001000 spis=128+64\nits v2m base=0x09010000 spis=192+64\n"
		"its pre-its base=0x0a000000 window=0x58000000\n"
		"device 0000:01:00.0 bell\ndevice 0000:02:00.0 bell its=1\n"
		"device 0000:03:00.0 bell its=2\ndevice 0000:04:00.0 bell its=3\ndevice 0000:05:00.0 bell its=4\n"
		"device 0000:06:00.0 bell its=5 device-id=1\ndevice 0000:07:00.0 bell its=5 device-id=2\n"
		"device 0000:08:00.0 bell its=5 device-id=0x4000\n";
	struct iommu_get_msi_info doorbell[8];
	struct fixture_device dev;
	char address[16];
	struct fixture f;

	(void)state;
	fixture_create(&f, machine);
	for (unsigned int i = 0; i < 8; i++) {
		snprintf(address, sizeof(address), "0000:%02x:00.0", i + 1);
		device_open(&f, address, &dev);
		device_bind(&dev);
		assert_int_equal(get_doorbell(&dev, &doorbell[i]), 0);
		assert_int_equal(doorbell[i].out_length, 65536);
		assert_int_not_equal(doorbell[i].out_id, 0);
		device_close(&dev);
	}
	assert_int_equal(doorbell[0].out_offset, 0x40);
	assert_int_not_equal(doorbell[0].out_id, doorbell[1].out_id);
	/* Two v2m frames in one 64 KiB page, and one in another. */
	assert_int_equal(doorbell[2].out_id, doorbell[3].out_id);
	assert_int_equal(doorbell[2].out_offset, 0x40);
	assert_int_equal(doorbell[3].out_offset, 0x1040);
	assert_int_not_equal(doorbell[3].out_id, doorbell[4].out_id);
	/* The pre-ITS window: 4 bytes a DeviceID. */
	assert_int_equal(doorbell[5].out_offset, 4);
	assert_int_equal(doorbell[6].out_offset, 8);
	assert_int_equal(doorbell[5].out_id, doorbell[6].out_id);
	assert_int_not_equal(doorbell[6].out_id, doorbell[7].out_id);
	fixture_destroy(&f);
}

static void stock_kernel_has_no_doorbell(void **state)
{
	struct vfio_irq_info info = { .argsz = sizeof(info) };
	struct iommu_get_msi_info doorbell;
	struct fixture_device dev;
	struct fixture f;

	(void)state;
	fixture_create(&f, "kernel stock");
	device_open(&f, BELL, &dev);
	device_bind(&dev);
	assert_int_equal(get_doorbell(&dev, &doorbell), -ENOTTY);
	assert_int_equal(try_map_doorbell(&dev, 0x90000000), -ENOTTY);
	info.index = VFIO_PCI_MSIX_IRQ_INDEX;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
	assert_int_equal(info.flags, VFIO_IRQ_INFO_EVENTFD);
	device_close(&dev);
	fixture_destroy(&f);
}

static void reset_works_or_not(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct fixture_device dev;
	struct fixture f;

	(void)state;
	fixture_create(&f, "device 0000:01:00.0 bell\ndevice 0000:02:00.0 bell no-reset");
	device_open(&f, "0000:01:00.0", &dev);
	device_bind(&dev);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), 0);
	device_close(&dev);
	device_open(&f, "0000:02:00.0", &dev);
	device_bind(&dev);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), -EINVAL);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI);
	device_close(&dev);
	fixture_destroy(&f);
}

/* The files may be closed in any order; a bound device keeps its iommufd, a mapping its device. */
static void close_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct fixture_device dev, again;
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	uint64_t id;
	void *map;
	int fd;

	bind.iommufd = open_path(f, "/dev/iommu");
	device_open(f, BELL, &dev);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	assert_int_equal(fixture_ioctl(f, bind.iommufd, IOMMU_IOAS_ALLOC, &ioas), 0);
	assert_int_equal(device_attach(&dev, ioas.out_ioas_id), 0);
	assert_int_equal(f->sys->ops->close(f->sys, bind.iommufd), 0);
	fd = new_eventfd();
	assert_int_equal(arm(&dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd), 0);
	assert_int_equal(f->sys->ops->mmap(f->sys, 4096, PROT_READ | PROT_WRITE, dev.fd, 0, &map),
			 0);
	device_close(&dev);

	id = f->sys->ops->mmio_read(f->sys, (char *)map + BELL_ID, 4);
	assert_int_equal(id, 0x4c4c4542);
	device_open(f, BELL, &again);
	bind.iommufd = f->iommufd;
	assert_int_equal(device_ioctl(&again, VFIO_DEVICE_BIND_IOMMUFD, &bind), -EINVAL);
	assert_int_equal(f->sys->ops->munmap(f->sys, map, 4096), 0);
	assert_int_equal(device_ioctl(&again, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	device_close(&again);
	close(fd);
}

/* What a release() of the host takes back by itself. */
static void all_left_open(void **state)
{
	struct fixture_device dev;
	struct fixture f;
	long before = soft_alloc_live();
	void *map;
	int fd;

	(void)state;
	fixture_create(&f, NULL);
	device_start(&f, BELL, &dev);
	fd = new_eventfd();
	assert_int_equal(arm(&dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd), 0);
	assert_int_equal(f.sys->ops->mmap(f.sys, 4096, PROT_READ, dev.fd, 0, &map), 0);
	f.sys->ops->release(f.sys);
	free(f.memory);
	close(fd);
	assert_int_equal(soft_alloc_live(), before);
}

static void bind_fails_whole(void **state)
{
	struct fixture *f = *state;
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = f->iommufd };
	struct fixture_device dev;
	unsigned long n;
	long before;
	int ret;

	device_open(f, BELL, &dev);
	before = soft_alloc_live();
	for (n = 1;; n++) {
		soft_alloc_fail_nth(n);
		ret = device_ioctl(&dev, VFIO_DEVICE_BIND_IOMMUFD, &bind);
		soft_alloc_fail_nth(0);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(soft_alloc_live(), before);
	}
	assert_true(n > 3);
	device_close(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_before_bind, setup, teardown),
		cmocka_unit_test_setup_teardown(bind_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(another_iommufd, setup, teardown),
		cmocka_unit_test_setup_teardown(attach_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(info, setup, teardown),
		cmocka_unit_test_setup_teardown(feature_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(doorbell_of_its, setup, teardown),
		cmocka_unit_test(doorbell_ids),
		cmocka_unit_test(stock_kernel_has_no_doorbell),
		cmocka_unit_test(reset_works_or_not),
		cmocka_unit_test_setup_teardown(close_in_any_order, setup, teardown),
		cmocka_unit_test(all_left_open),
		cmocka_unit_test_setup_teardown(bind_fails_whole, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
