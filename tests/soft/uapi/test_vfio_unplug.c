/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that go away under their users, and come back. */
#include "soft/uapi/one_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IPA 0x7fff5000ull
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

static void request_eventfd(int fd)
{
	assert_int_equal(set_irqs(&dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				  VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &fd, 4),
			 0);
}

static ssize_t write_file(const char *path, const char *text)
{
	int fd = f.sys->ops->open(f.sys, path, O_WRONLY);
	ssize_t ret;

	if (fd < 0)
		return fd;
	ret = f.sys->ops->pwrite(f.sys, fd, text, strlen(text), 0);
	f.sys->ops->close(f.sys, fd);
	return ret;
}

/* What a user finds whose device is gone. */
static void is_gone(void *map)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = 8 };
	uint32_t value;

	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_INFO, &info), -ENODEV);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), -ENODEV);
	assert_int_equal(device_attach(&dev, f.ioas), -ENODEV);
	assert_int_equal(arm(&dev, MSIX, 0, 1, &(int){ -1 }), -ENODEV);
	assert_int_equal(f.sys->ops->pread(f.sys, dev.fd, &value, 4, 0), -EIO);
	assert_int_equal(f.sys->ops->pread(f.sys, dev.fd, &value, 4, 7ull << 40), -EIO);
	assert_int_equal(f.sys->ops->mmap(f.sys, 4096, PROT_READ, dev.fd, 0, &(void *){ NULL }),
			 -ENODEV);
	assert_int_equal(f.sys->ops->mmio_read(f.sys, map, 4), 0xffffffff);
	f.sys->ops->mmio_write(f.sys, (char *)map + BELL_RING, 4, 0);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
}

static void unplug(void **state)
{
	int fds[2] = { new_eventfd(), new_eventfd() }, req = new_eventfd();
	void *map;

	(void)state;
	request_eventfd(req);
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(f.sys->ops->mmap(f.sys, 4096, PROT_READ | PROT_WRITE, dev.fd, 0, &map), 0);
	assert_int_equal(soft_host_unplug(f.host, "0000:77:00.0"), -ENOENT);
	assert_int_equal(soft_host_plug(f.host, "0000:77:00.0"), -ENOENT);
	assert_int_equal(soft_host_plug(f.host, BELL), -EEXIST);
	assert_int_equal(take(req), 0);
	assert_int_equal(soft_host_unplug(f.host, BELL), 0);
	assert_int_equal(take(req), 1);
	assert_int_equal(soft_host_unplug(f.host, BELL), -ENOENT);
	is_gone(map);
	assert_int_equal(take(fds[0]), 0);
	assert_int_equal(f.sys->ops->open(f.sys, "/dev/vfio/devices/vfio1", O_RDWR), -ENOENT);

	/* It cannot come back before its last user is gone. */
	assert_int_equal(soft_host_plug(f.host, BELL), -EBUSY);
	assert_int_equal(f.sys->ops->munmap(f.sys, map, 4096), 0);
	device_close(&dev);
	assert_int_equal(soft_host_plug(f.host, BELL), 0);
	device_start(&f, BELL, &dev);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	bar_set(&dev, 0, BELL_RING, 0);
	assert_int_equal(take(fds[0]), 1);
	close(fds[0]);
	close(fds[1]);
	close(req);
}

static void unbind(void **state)
{
	struct fixture_device other;
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = f.iommufd };
	int fd = new_eventfd(), req = new_eventfd();
	void *map;

	(void)state;
	request_eventfd(req);
	assert_int_equal(arm(&dev, MSIX, 0, 1, &fd), 0);
	assert_int_equal(f.sys->ops->mmap(f.sys, 4096, PROT_READ | PROT_WRITE, dev.fd, 0, &map), 0);
	assert_int_equal(write_file("/sys/bus/pci/drivers/vfio-pci/unbind", BELL), strlen(BELL));
	assert_int_equal(take(req), 1);
	is_gone(map);
	assert_int_equal(f.sys->ops->open(f.sys, "/dev/vfio/devices/vfio1", O_RDWR), -ENOENT);

	/* Bound again, it is free only when the first user has closed. */
	assert_int_equal(write_file("/sys/bus/pci/drivers_probe", BELL), strlen(BELL));
	device_open(&f, BELL, &other);
	assert_int_equal(device_ioctl(&other, VFIO_DEVICE_BIND_IOMMUFD, &bind), -EINVAL);
	is_gone(map);
	assert_int_equal(f.sys->ops->munmap(f.sys, map, 4096), 0);
	device_close(&dev);
	assert_int_equal(device_ioctl(&other, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	assert_int_equal(bar_get(&other, 0, BELL_ID), 0x4c4c4542);
	device_close(&other);
	close(fd);
	close(req);
}

/* The doorbell's mapping serves the others, and those that come, whatever is unplugged. */
static void doorbell_stays(void **state)
{
	struct iommu_get_msi_info doorbell;
	struct fixture_device other;
	uint64_t iova = IPA;
	int fd = new_eventfd();
	struct nest nest;

	(void)state;
	device_start(&f, BELL_MSI, &other);
	device_nest(&other, 1, &nest);
	map_doorbell(&dev, IPA);
	assert_int_equal(prepare(&other, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &iova), 0);
	assert_int_equal(arm(&other, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &fd), 0);
	assert_int_equal(soft_host_unplug(f.host, BELL), 0);
	/* What iommufd knows of it outlives it, as long as it is open. */
	assert_int_equal(get_doorbell(&dev, &doorbell), 0);
	assert_int_equal(try_map_doorbell(&dev, IPA), -EEXIST);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), -ENODEV);
	bar_set(&other, 0, BELL_RING, 0);
	assert_int_equal(take(fd), 1);
	device_close(&dev);
	assert_int_equal(soft_host_unplug(f.host, BELL_MSI), 0);
	device_close(&other);
	nest_end(&nest);

	/* A device that comes now finds it in place. */
	assert_int_equal(soft_host_plug(f.host, BELL), 0);
	device_start(&f, BELL, &dev);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, &fd), 0);
	bar_set(&dev, 0, BELL_RING, 0);
	assert_int_equal(take(fd), 1);
	unmap(&f, IPA, 4096);
	close(fd);
}

static void opened_but_not_bound(void **state)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = f.iommufd };

	(void)state;
	device_close(&dev);
	device_open(&f, BELL, &dev);
	assert_int_equal(soft_host_unplug(f.host, BELL), 0);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), -ENODEV);
	assert_int_equal(soft_host_plug(f.host, BELL), 0);
	device_bind(&dev);
}

/* Users go on in all their ways while the device comes and goes. */
struct user {
	void *map;
	bool stop;
};

static void *use(void *arg)
{
	struct user *user = arg;
	int fd = new_eventfd();
	uint32_t value;

	while (!__atomic_load_n(&user->stop, __ATOMIC_RELAXED)) {
		f.sys->ops->mmio_write(f.sys, (char *)user->map + BELL_RING, 4, 0);
		f.sys->ops->pread(f.sys, dev.fd, &value, 4, 0);
		f.sys->ops->pread(f.sys, dev.fd, &value, 4, 7ull << 40);
		device_ioctl(&dev, VFIO_DEVICE_RESET, NULL);
		arm(&dev, MSIX, 0, 1, &fd);
	}
	close(fd);
	return NULL;
}

static void in_full_use(void **state)
{
	struct user user = { 0 };
	pthread_t threads[2];

	(void)state;
	for (unsigned int round = 0; round < 20; round++) {
		user.stop = false;
		assert_int_equal(
			f.sys->ops->mmap(f.sys, 4096, PROT_READ | PROT_WRITE, dev.fd, 0, &user.map),
			0);
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, use, &user), 0);
		usleep(2000);
		assert_int_equal(soft_host_unplug(f.host, BELL), 0);
		__atomic_store_n(&user.stop, true, __ATOMIC_RELAXED);
		for (unsigned int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(f.sys->ops->munmap(f.sys, user.map, 4096), 0);
		device_close(&dev);
		assert_int_equal(soft_host_plug(f.host, BELL), 0);
		device_start(&f, BELL, &dev);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unplug, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(unbind, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(doorbell_stays, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(opened_but_not_bound, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(in_full_use, setup_bell, teardown_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
