/* SPDX-License-Identifier: BSD-2-Clause */
/* The sysfs tree: what is there, what it says, binding, and the trace file. */
#include "soft/uapi/vfio_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soft/uapi/sysfs.h"

#define NVME "0000:01:00.0"
#define BELL "0000:02:00.0"
#define DEVICES "/sys/bus/pci/devices/"
#define DRIVERS "/sys/bus/pci/drivers/"
#define GROUPS "/sys/kernel/iommu_groups/"

static struct fixture f;

static int setup(void **state)
{
	(void)state;
	fixture_create(&f, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_destroy(&f);
	return 0;
}

static int open_file(const char *path, int flags)
{
	return f.sys->ops->open(f.sys, path, flags);
}

static const char *read_file(const char *path)
{
	static char text[8192];
	int fd = open_file(path, O_RDONLY);
	ssize_t len;

	if (fd < 0)
		fail_msg("%s: %d", path, fd);
	len = f.sys->ops->pread(f.sys, fd, text, sizeof(text) - 1, 0);
	assert_true(len >= 0);
	text[len] = '\0';
	assert_int_equal(f.sys->ops->close(f.sys, fd), 0);
	return text;
}

static ssize_t write_file(const char *path, const char *text)
{
	int fd = open_file(path, O_WRONLY);
	ssize_t ret;

	if (fd < 0)
		return fd;
	ret = f.sys->ops->pwrite(f.sys, fd, text, strlen(text), 0);
	assert_int_equal(f.sys->ops->close(f.sys, fd), 0);
	return ret == (ssize_t)strlen(text) ? 0 : ret;
}

static const char *read_link(const char *path)
{
	static char target[256];
	ssize_t len = f.sys->ops->readlink(f.sys, path, target, sizeof(target));

	if (len < 0)
		fail_msg("%s: %zd", path, len);
	assert_int_equal(len, strlen(target));
	return target;
}

/* Names of a directory, sorted, with blanks between. */
struct names {
	char *list[64];
	unsigned int count;
};

static int add_name(void *arg, const char *name)
{
	struct names *names = arg;

	assert_true(names->count < 64);
	names->list[names->count++] = strdup(name);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *list(const char *path)
{
	static char text[1024];
	struct names names = { .count = 0 };

	assert_int_equal(f.sys->ops->list(f.sys, path, add_name, &names), 0);
	qsort(names.list, names.count, sizeof(names.list[0]), compare);
	text[0] = '\0';
	for (unsigned int i = 0; i < names.count; i++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 names.list[i]);
		free(names.list[i]);
	}
	return text;
}

static int seventeen(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return 17;
}

static void tree(void **state)
{
	(void)state;
	assert_string_equal(list("/sys/bus/pci"), "devices drivers drivers_probe");
	assert_string_equal(list("/sys/bus/pci/devices/"),
			    "0000:01:00.0 0000:02:00.0 0000:03:00.0");
	assert_string_equal(list("/sys/bus/pci//drivers"), "bell nvme vfio-pci");
	assert_string_equal(list(DRIVERS "vfio-pci"),
			    "0000:01:00.0 0000:02:00.0 0000:03:00.0 bind unbind");
	assert_string_equal(list(DRIVERS "nvme"), "bind unbind");
	assert_string_equal(
		list(DEVICES BELL),
		"class device driver driver_override iommu_group reset revision vendor vfio-dev");
	assert_string_equal(list(DEVICES BELL "/vfio-dev"), "vfio1");
	assert_string_equal(list(DEVICES BELL "/vfio-dev/vfio1"), "dev");
	assert_string_equal(list(DEVICES BELL "/driver"), list(DRIVERS "vfio-pci"));
	assert_string_equal(list("/sys/kernel/iommu_groups"), "0 1 2");
	assert_string_equal(list(GROUPS "1"), "devices reserved_regions type");
	assert_string_equal(list(GROUPS "1/devices"), BELL);
	assert_string_equal(list(GROUPS "1/devices/" BELL), list(DEVICES BELL));
	assert_string_equal(list(DEVICES BELL "/iommu_group/devices"), BELL);
	assert_string_equal(list("/sys/kernel/debug/doorbell"),
			    "0000:01:00.0 0000:02:00.0 0000:03:00.0");
	assert_string_equal(list("/dev/vfio/devices"), "vfio0 vfio1 vfio2");

	assert_int_equal(f.sys->ops->list(f.sys, "/sys/bus/pci/devices", seventeen, NULL), 17);
	assert_int_equal(f.sys->ops->list(f.sys, DEVICES BELL, seventeen, NULL), 17);
	assert_int_equal(f.sys->ops->list(f.sys, "/sys/kernel/iommu_groups", seventeen, NULL), 17);
	assert_int_equal(f.sys->ops->list(f.sys, "/sys/bus/usb", seventeen, NULL), -ENOENT);
	assert_int_equal(f.sys->ops->list(f.sys, "/sys/bus/pcix", seventeen, NULL), -ENOENT);
	assert_int_equal(f.sys->ops->list(f.sys, DEVICES BELL "/vendor", seventeen, NULL),
			 -ENOTDIR);
	assert_int_equal(f.sys->ops->list(f.sys, GROUPS "01", seventeen, NULL), -ENOENT);
	assert_int_equal(f.sys->ops->list(f.sys, GROUPS "7", seventeen, NULL), -ENOENT);
	assert_int_equal(f.sys->ops->list(f.sys, GROUPS "1/devices/" NVME, seventeen, NULL),
			 -ENOENT);
}

static void texts(void **state)
{
	(void)state;
	assert_string_equal(read_file(DEVICES BELL "/vendor"), "0x1d1d\n");
	assert_string_equal(read_file(DEVICES BELL "/device"), "0xbe11\n");
	assert_string_equal(read_file(DEVICES NVME "/class"), "0x010802\n");
	assert_int_equal(strlen(read_file(DEVICES NVME "/revision")), 5);
	assert_string_equal(read_file(DEVICES BELL "/driver_override"), "vfio-pci\n");
	assert_string_equal(read_file(DEVICES BELL "/vfio-dev/vfio1/dev"), "511:1\n");
	assert_string_equal(read_file(GROUPS "2/type"), "DMA\n");
	assert_string_equal(read_file(GROUPS "2/reserved_regions"),
			    "0x0000000008000000 0x00000000080fffff msi\n");
	assert_string_equal(read_link(DEVICES BELL "/driver"),
			    "../../../../bus/pci/drivers/vfio-pci");
	assert_string_equal(read_link(DEVICES BELL "/iommu_group"),
			    "../../../../kernel/iommu_groups/1");
	assert_string_equal(read_link(DRIVERS "vfio-pci/" NVME),
			    "../../../../bus/pci/devices/" NVME);
}

static void reserved_regions(void **state)
{
	(void)state;
	fixture_destroy(&f);
	fixture_create(
		&f,
		"sw-msi 0x10000000 2m\ndevice 0000:02:00.0 bell group=4\ndevice 0000:03:00.0 bell group=4\n"
		"device 0000:04:00.0 bell\nreserved 4 0xfee00000..0xfeefffff reserved\nreserved 4 0x1000..0x1fff direct-relaxable");
	assert_string_equal(list("/sys/kernel/iommu_groups"), "4 5");
	assert_string_equal(list(GROUPS "4/devices"), "0000:02:00.0 0000:03:00.0");
	assert_string_equal(read_file(GROUPS "4/reserved_regions"),
			    "0x0000000000001000 0x0000000000001fff direct-relaxable\n"
			    "0x0000000010000000 0x00000000101fffff msi\n"
			    "0x00000000fee00000 0x00000000feefffff reserved\n");
	assert_string_equal(read_file(GROUPS "5/reserved_regions"),
			    "0x0000000010000000 0x00000000101fffff msi\n");
}

static void access_rights(void **state)
{
	char buf[8];
	int fd;

	(void)state;
	assert_int_equal(open_file(DEVICES BELL "/vendor", O_WRONLY), -EACCES);
	assert_int_equal(open_file(DEVICES BELL "/vendor", O_RDWR), -EACCES);
	assert_int_equal(open_file(DRIVERS "vfio-pci/unbind", O_RDONLY), -EACCES);
	assert_int_equal(open_file("/sys/bus/pci/drivers_probe", O_RDWR), -EACCES);
	assert_int_equal(open_file(DEVICES BELL, O_RDONLY), -EISDIR);
	assert_int_equal(open_file(DEVICES BELL "/nothing", O_RDONLY), -ENOENT);
	assert_int_equal(open_file(DEVICES BELL "/vendor/x", O_RDONLY), -ENOTDIR);
	assert_int_equal(open_file("/sys/power/state", O_RDONLY), -ENOENT);
	assert_int_equal(f.sys->ops->readlink(f.sys, DEVICES BELL "/vendor", buf, sizeof(buf)),
			 -EINVAL);
	assert_int_equal(f.sys->ops->readlink(f.sys, DEVICES BELL "/driver", buf, sizeof(buf)),
			 -ENAMETOOLONG);
	assert_int_equal(f.sys->ops->readlink(f.sys, DEVICES "x", buf, sizeof(buf)), -ENOENT);

	/* read(2) goes on where it was; pread does not care. */
	fd = open_file(DEVICES BELL "/vendor", O_RDONLY);
	assert_int_equal(f.sys->ops->read(f.sys, fd, buf, 4), 4);
	assert_memory_equal(buf, "0x1d", 4);
	assert_int_equal(f.sys->ops->read(f.sys, fd, buf, 8), 3);
	assert_memory_equal(buf, "1d\n", 3);
	assert_int_equal(f.sys->ops->read(f.sys, fd, buf, 8), 0);
	assert_int_equal(f.sys->ops->pread(f.sys, fd, buf, 8, 5), 2);
	assert_int_equal(f.sys->ops->pread(f.sys, fd, buf, 8, UINT64_MAX), 0);
	assert_int_equal(f.sys->ops->pwrite(f.sys, fd, buf, 1, 0), -EBADF);
	assert_int_equal(f.sys->ops->ioctl(f.sys, fd, 1, NULL), -ENOTTY);
	f.sys->ops->close(f.sys, fd);
}

static void binding(void **state)
{
	(void)state;
	assert_int_equal(write_file(DRIVERS "nvme/unbind", BELL), -ENODEV);
	assert_int_equal(write_file(DRIVERS "vfio-pci/unbind", "0000:77:00.0"), -ENODEV);
	assert_int_equal(write_file(DRIVERS "vfio-pci/unbind", BELL "\n"), 0);
	assert_int_equal(write_file(DRIVERS "vfio-pci/unbind", BELL), -ENODEV);
	assert_string_equal(list(DEVICES BELL),
			    "class device driver_override iommu_group reset revision vendor");
	assert_string_equal(list("/dev/vfio/devices"), "vfio0 vfio2");
	assert_int_equal(f.sys->ops->readlink(f.sys, DEVICES BELL "/driver", (char[8]){ 0 }, 8),
			 -ENOENT);

	/* Its own driver does not get it while the override says otherwise. */
	assert_int_equal(write_file(DRIVERS "bell/bind", BELL), -ENODEV);
	assert_int_equal(write_file(DRIVERS "vfio-pci/bind", BELL), 0);
	assert_int_equal(write_file(DRIVERS "vfio-pci/bind", BELL), -EBUSY);
	assert_int_equal(write_file(DRIVERS "vfio-pci/bind", "nobody"), -ENODEV);
	assert_int_equal(write_file(DEVICES BELL "/driver/unbind", BELL), 0);

	assert_int_equal(write_file(DEVICES BELL "/driver_override", "\n"), 0);
	assert_string_equal(read_file(DEVICES BELL "/driver_override"), "(null)\n");
	assert_int_equal(write_file(DRIVERS "vfio-pci/bind", BELL), -ENODEV);
	assert_int_equal(write_file("/sys/bus/pci/drivers_probe", BELL), 0);
	assert_string_equal(read_link(DEVICES BELL "/driver"), "../../../../bus/pci/drivers/bell");
	assert_int_equal(open_file("/dev/vfio/devices/vfio1", O_RDWR), -ENOENT);
	/* What has a driver keeps it. */
	assert_int_equal(write_file(DEVICES BELL "/driver_override", "vfio-pci"), 0);
	assert_int_equal(write_file("/sys/bus/pci/drivers_probe", BELL), 0);
	assert_string_equal(read_link(DEVICES BELL "/driver"), "../../../../bus/pci/drivers/bell");

	/* A driver that is not there. */
	assert_int_equal(write_file(DRIVERS "bell/unbind", BELL), 0);
	assert_int_equal(write_file(DEVICES BELL "/driver_override", "e1000"), 0);
	assert_int_equal(write_file("/sys/bus/pci/drivers_probe", BELL), 0);
	assert_int_equal(f.sys->ops->readlink(f.sys, DEVICES BELL "/driver", (char[8]){ 0 }, 8),
			 -ENOENT);
	assert_int_equal(write_file("/sys/bus/pci/drivers_probe", "0000:77:00.0"), -ENODEV);
	assert_int_equal(write_file(DEVICES BELL "/driver_override",
				    "a-name-that-is-much-longer-than-a-driver-may-have"),
			 -EINVAL);
}

static void in_use_at_start(void **state)
{
	(void)state;
	fixture_destroy(&f);
	fixture_create(
		&f,
		"device 0000:01:00.0 nvme in-use io-queues=1\ndevice 0000:02:00.0 bell no-reset");
	assert_string_equal(read_link(DEVICES NVME "/driver"), "../../../../bus/pci/drivers/nvme");
	assert_string_equal(read_file(DEVICES NVME "/driver_override"), "(null)\n");
	assert_int_equal(open_file("/dev/vfio/devices/vfio0", O_RDWR), -ENOENT);
	assert_int_equal(open_file(DEVICES BELL "/reset", O_WRONLY), -ENOENT);
	assert_string_equal(
		list(DEVICES BELL),
		"class device driver driver_override iommu_group revision vendor vfio-dev");
}

/* A driver of the host's own and an iommufd do not share a group. */
static void one_owner_of_a_group(void **state)
{
	struct fixture_device dev;

	(void)state;
	fixture_destroy(&f);
	fixture_create(&f, "device 0000:02:00.0 bell group=4\ndevice 0000:03:00.0 bell group=4\n");
	device_start(&f, BELL, &dev);
	assert_int_equal(write_file(DRIVERS "vfio-pci/unbind", "0000:03:00.0"), 0);
	assert_int_equal(write_file(DEVICES "0000:03:00.0/driver_override", "\n"), 0);
	assert_int_equal(write_file(DRIVERS "bell/bind", "0000:03:00.0"), -EBUSY);
	assert_int_equal(f.sys->ops->readlink(f.sys, DEVICES "0000:03:00.0/driver", (char[8]){ 0 },
					      8),
			 -ENOENT);
	device_close(&dev);
	assert_int_equal(write_file(DRIVERS "bell/bind", "0000:03:00.0"), 0);
}

static void reset(void **state)
{
	struct fixture_device dev;

	(void)state;
	assert_int_equal(write_file(DEVICES BELL "/reset", "2"), -EINVAL);
	assert_int_equal(write_file(DEVICES BELL "/reset", "1\n"), 0);
	device_start(&f, BELL, &dev);
	assert_int_equal(write_file(DEVICES BELL "/reset", "1"), -EAGAIN);
	device_close(&dev);
}

static void unplugged(void **state)
{
	int fd = open_file(DEVICES BELL "/vendor", O_RDONLY);
	char buf[8];

	(void)state;
	assert_int_equal(soft_host_unplug(f.host, BELL), 0);
	assert_int_equal(f.sys->ops->pread(f.sys, fd, buf, 8, 0), -ENODEV);
	f.sys->ops->close(f.sys, fd);
	assert_string_equal(list("/sys/bus/pci/devices"), "0000:01:00.0 0000:03:00.0");
	assert_string_equal(list("/sys/kernel/iommu_groups"), "0 2");
	assert_int_equal(open_file(DEVICES BELL "/vendor", O_RDONLY), -ENOENT);
	assert_int_equal(write_file("/sys/bus/pci/drivers_probe", BELL), -ENODEV);
	assert_int_equal(soft_host_plug(f.host, BELL), 0);
	assert_string_equal(read_file(DEVICES BELL "/vendor"), "0x1d1d\n");
}

static const struct smmu_step *trace(int fd, const struct sysfs_trace *request, unsigned int *count)
{
	static struct smmu_step steps[SYSFS_TRACE_STEPS];
	ssize_t len;

	assert_int_equal(f.sys->ops->pwrite(f.sys, fd, request, sizeof(*request), 0),
			 sizeof(*request));
	len = f.sys->ops->pread(f.sys, fd, steps, sizeof(steps), 0);
	assert_true(len > 0 && len % (ssize_t)sizeof(steps[0]) == 0);
	*count = (unsigned int)(len / (ssize_t)sizeof(steps[0]));
	return steps;
}

static void traces(void **state)
{
	struct sysfs_trace request = { .iova = FIXTURE_IOVA + 0x1234,
				       .write = 1,
				       .ssid = UINT32_MAX };
	const struct smmu_step *steps;
	struct fixture_device dev;
	unsigned int n;
	int fd;

	(void)state;
	device_start(&f, BELL, &dev);
	fd = open_file(SYSFS_TRACE_DIR BELL, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(f.sys->ops->pread(f.sys, fd, &request, 8, 0), 0);
	assert_int_equal(f.sys->ops->pwrite(f.sys, fd, &request, 8, 0), -EINVAL);
	steps = trace(fd, &request, &n);
	assert_int_equal(steps[n - 1].kind, SMMU_STEP_PA);
	assert_int_equal(steps[n - 1].pa, (uintptr_t)f.memory + 0x1234);

	request.iova = 0x12345000;
	steps = trace(fd, &request, &n);
	assert_int_equal(steps[n - 1].kind, SMMU_STEP_EVENT);
	assert_int_equal(steps[n - 1].data[0] & 0xff, 0x10);	/* F_TRANSLATION */
	request.write = 2;
	assert_int_equal(f.sys->ops->pwrite(f.sys, fd, &request, sizeof(request), 0), -EINVAL);
	f.sys->ops->close(f.sys, fd);
	device_close(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tree, setup, teardown),
		cmocka_unit_test_setup_teardown(texts, setup, teardown),
		cmocka_unit_test_setup_teardown(reserved_regions, setup, teardown),
		cmocka_unit_test_setup_teardown(access_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(binding, setup, teardown),
		cmocka_unit_test_setup_teardown(in_use_at_start, setup, teardown),
		cmocka_unit_test_setup_teardown(one_owner_of_a_group, setup, teardown),
		cmocka_unit_test_setup_teardown(reset, setup, teardown),
		cmocka_unit_test_setup_teardown(unplugged, setup, teardown),
		cmocka_unit_test_setup_teardown(traces, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
