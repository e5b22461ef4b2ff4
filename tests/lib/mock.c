/* SPDX-License-Identifier: BSD-2-Clause */
#include "mock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"

static struct mock *to_mock(struct db_sys *sys)
{
	return (struct mock *)sys;
}

/* Counts a call, and says whether it is its turn to fail. */
static int turn(struct mock *mock)
{
	unsigned int call = __atomic_add_fetch(&mock->calls, 1, __ATOMIC_RELAXED);

	return mock->fail_call && call == mock->fail_call ? mock->fail_error : 0;
}

int mock_new_fd(struct mock *mock, const char *path, void *priv)
{
	/* Any descriptor that can be polled: eventfds are what tests may let run out. */
	int fd = epoll_create1(EPOLL_CLOEXEC);

	assert_in_range(fd, 0, MOCK_FDS - 1);
	mock->fd_path[fd] = strdup(path);
	mock->fd_priv[fd] = priv;
	mock->open_fds++;
	return fd;
}

static struct mock_device *device_of_path(struct mock *mock, const char *path, const char **rest)
{
	static const char base[] = "/sys/bus/pci/devices/";
	unsigned int i;

	if (strncmp(path, base, sizeof(base) - 1))
		return NULL;
	path += sizeof(base) - 1;
	for (i = 0; i < MOCK_DEVICES; i++) {
		if (mock->device[i].address && !strncmp(path, mock->device[i].address, 12) &&
		    path[12] == '/') {
			*rest = path + 13;
			return &mock->device[i];
		}
	}
	return NULL;
}

static int sysfs_text(struct mock *mock, const char *path, char *text, size_t size)
{
	struct mock_device *dev;
	unsigned int group;
	const char *rest;
	int len = 0;

	dev = device_of_path(mock, path, &rest);
	if (dev && !strcmp(rest, "class"))
		return snprintf(text, size, "0x010802\n");
	if (dev && !strcmp(rest, "driver_override"))
		return snprintf(text, size, "%s\n", dev->override[0] ? dev->override : "(null)");
	if (mock->unsafe_interrupts &&
	    !strcmp(path, "/sys/module/iommufd/parameters/allow_unsafe_interrupts"))
		return snprintf(text, size, "%s\n", mock->unsafe_interrupts);
	if (sscanf(path, "/sys/kernel/iommu_groups/%u/reserved_regions", &group) != 1)
		return -ENOENT;
	if (!mock->no_window)
		len += snprintf(text, size, "0x%016llx 0x%016llx msi\n", MOCK_WINDOW,
				MOCK_WINDOW + 0xfffff);
	len += snprintf(text + len, size - len, "garbage\n");
	if (mock->reserved_last)
		len += snprintf(text + len, size - len, "0x%016llx 0x%016llx %s\n",
				(unsigned long long)mock->reserved_start,
				(unsigned long long)mock->reserved_last,
				mock->reserved_type ? mock->reserved_type : "reserved");
	return len;
}

static int file_exists(struct mock *mock, const char *path)
{
	struct mock_device *dev;
	const char *rest;
	char text[256];

	dev = device_of_path(mock, path, &rest);
	if (dev && !strcmp(rest, "driver/unbind"))
		return dev->driver[0] ? 0 : -ENOENT;
	if (!strcmp(path, "/sys/bus/pci/drivers_probe"))
		return 0;
	return sysfs_text(mock, path, text, sizeof(text)) < 0 ? -ENOENT : 0;
}

static int mock_open(struct db_sys *sys, const char *path, int flags)
{
	struct mock *mock = to_mock(sys);
	unsigned int n;
	int ret;

	(void)flags;
	ret = turn(mock);
	if (ret)
		return ret;
	if (!strcmp(path, "/dev/iommu"))
		return mock->no_iommufd ? -ENOENT : mock_new_fd(mock, path, mock);
	if (sscanf(path, "/dev/vfio/devices/vfio%u", &n) == 1 && n < MOCK_DEVICES &&
	    mock->device[n].address) {
		if (mock->device[n].fd >= 0)
			return -EBUSY;
		mock->device[n].fd = mock_new_fd(mock, path, &mock->device[n]);
		return mock->device[n].fd;
	}
	ret = file_exists(mock, path);
	return ret ? ret : mock_new_fd(mock, path, NULL);
}

static void close_device(struct mock *mock, struct mock_device *dev)
{
	if (dev->bound) {
		if (dev->attached)
			mock_find(mock, dev->attached, MOCK_NONE)->users--;
		mock->object[dev->id].type = MOCK_NONE;
	}
	dev->attached = 0;
	dev->bound = false;
	dev->fd = -1;
	mock_device_reset(dev);
	dev->irq_type = -1;
	memset(dev->prepared, 0, sizeof(dev->prepared));
	assert_int_equal(dev->maps, 0);
}

static int mock_close(struct db_sys *sys, int fd)
{
	struct mock *mock = to_mock(sys);
	unsigned int i;

	assert_in_range(fd, 0, MOCK_FDS - 1);
	assert_non_null(mock->fd_path[fd]);
	for (i = 0; i < MOCK_DEVICES; i++) {
		if (mock->device[i].fd == fd)
			close_device(mock, &mock->device[i]);
	}
	free(mock->fd_path[fd]);
	mock->fd_path[fd] = NULL;
	mock->open_fds--;
	close(fd);
	return 0;
}

static void count_request(struct mock *mock, unsigned long request)
{
	unsigned int i;

	for (i = 0; mock->requests[i].request && mock->requests[i].request != request; i++)
		;
	mock->requests[i].request = request;
	mock->requests[i].count++;
}

static int mock_ioctl(struct db_sys *sys, int fd, unsigned long request, void *arg)
{
	struct mock *mock = to_mock(sys);
	int ret;

	pthread_mutex_lock(&mock->lock);
	count_request(mock, request);
	assert_non_null(mock->fd_path[fd]);
	ret = turn(mock);
	/* What undoes never fails in the kernel. */
	if (request == IOMMU_DESTROY || request == VFIO_DEVICE_DETACH_IOMMUFD_PT)
		ret = 0;
	if (!ret && request == mock->fail_request && mock->fail_request_error) {
		if (!mock->fail_request_skip) {
			ret = mock->fail_request_error;
			if (!mock->fail_request_stays)
				mock->fail_request_error = 0;
		} else {
			mock->fail_request_skip--;
		}
	}
	if (!ret)
		ret = mock->fd_priv[fd] == mock ? mock_iommufd_ioctl(mock, request, arg) :
			mock_vfio_ioctl(mock, mock->fd_priv[fd], request, arg);
	pthread_mutex_unlock(&mock->lock);
	return ret;
}

static ssize_t mock_read(struct db_sys *sys, int fd, void *buf, size_t len)
{
	struct mock *mock = to_mock(sys);
	size_t done = 0, step;
	int ret;

	assert_string_equal(mock->fd_path[fd], "veventq");
	ret = turn(mock);
	if (ret)
		return ret;
	while (done < mock->events_len) {
		step = mock->events[done] & IOMMU_VEVENTQ_FLAG_LOST_EVENTS ? 8 : 40;
		if (step > len - done)
			break;
		/* The test may have cut off the last one. */
		step = step < mock->events_len - done ? step : mock->events_len - done;
		memcpy((uint8_t *)buf + done, mock->events + done, step);
		done += step;
	}
	memmove(mock->events, mock->events + done, mock->events_len - done);
	mock->events_len -= done;
	return done;
}

static ssize_t read_region(struct mock_device *dev, void *buf, size_t len, uint64_t offset)
{
	uint64_t in = offset & 0xffffffffffull;

	if (offset >> 40 == VFIO_PCI_CONFIG_REGION_INDEX) {
		memcpy(buf, dev->config + in, len);
		return len;
	}
	if (!(dev->config[4] & 2))
		return -EIO;
	if (in >= 0x10000 && in + len <= 0x10000 + sizeof(dev->pba))
		memcpy(buf, (uint8_t *)dev->pba + (in - 0x10000), len);
	else
		memset(buf, 0xff, len);
	return len;
}

static ssize_t mock_pread(struct db_sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	struct mock *mock = to_mock(sys);
	char text[512];
	ssize_t ret;
	int n;

	pthread_mutex_lock(&mock->lock);
	ret = turn(mock);
	if (!ret && mock->fd_priv[fd]) {
		ret = read_region(mock->fd_priv[fd], buf, len, offset);
	} else if (!ret) {
		n = sysfs_text(mock, mock->fd_path[fd], text, sizeof(text));
		ret = n < 0 ? n : offset >= (uint64_t)n ? 0 : n - (ssize_t)offset;
		if (ret > (ssize_t)len)
			ret = len;
		if (ret > 0)
			memcpy(buf, text + offset, ret);
	}
	pthread_mutex_unlock(&mock->lock);
	return ret;
}

static ssize_t write_sysfs(struct mock *mock, const char *path, const char *text)
{
	struct mock_device *dev;
	const char *rest = "";
	unsigned int i;

	dev = device_of_path(mock, path, &rest);
	if (dev && !strcmp(rest, "driver_override"))
		snprintf(dev->override, sizeof(dev->override), "%s", text[0] == '\n' ? "" : text);
	if (dev && !strcmp(rest, "driver/unbind"))
		dev->driver[0] = '\0';
	for (i = 0; i < MOCK_DEVICES && !strcmp(path, "/sys/bus/pci/drivers_probe"); i++) {
		dev = &mock->device[i];
		if (dev->address && !strcmp(dev->address, text) && !dev->driver[0])
			strcpy(dev->driver, dev->override[0] ? dev->override : "nvme");
	}
	return strlen(text);
}

static ssize_t write_region(struct mock_device *dev, const void *buf, size_t len, uint64_t offset)
{
	if (offset >> 40 == VFIO_PCI_CONFIG_REGION_INDEX)
		memcpy(dev->config + (offset & 0xff), buf, len);
	return len;
}

static ssize_t mock_pwrite(struct db_sys *sys, int fd, const void *buf, size_t len, uint64_t offset)
{
	struct mock *mock = to_mock(sys);
	char text[64];
	ssize_t ret;

	pthread_mutex_lock(&mock->lock);
	ret = turn(mock);
	if (!ret && mock->fd_priv[fd]) {
		ret = write_region(mock->fd_priv[fd], buf, len, offset);
	} else if (!ret) {
		snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)buf);
		ret = write_sysfs(mock, mock->fd_path[fd], text);
	}
	pthread_mutex_unlock(&mock->lock);
	return ret;
}

static int mock_mmap(struct db_sys *sys, size_t len, int prot, int fd, uint64_t offset, void **out)
{
	struct mock *mock = to_mock(sys);
	struct mock_device *dev = mock->fd_priv[fd];
	int ret;

	(void)prot;
	ret = turn(mock);
	if (ret)
		return ret;
	assert_int_equal(offset, 0);	/* the table is at the beginning of BAR 0 */
	assert_in_range(len, dev->msix * 16, sizeof(dev->table) + mock->page);
	dev->maps++;
	*out = dev->table;
	return 0;
}

static int mock_munmap(struct db_sys *sys, void *addr, size_t len)
{
	struct mock *mock = to_mock(sys);
	unsigned int i;

	(void)len;
	for (i = 0; i < MOCK_DEVICES; i++) {
		if (addr == mock->device[i].table) {
			assert_int_not_equal(mock->device[i].maps, 0);
			mock->device[i].maps--;
		}
	}
	return 0;
}

static struct mock_device *device_of_table(struct mock *mock, const volatile void *addr,
					   unsigned int *index)
{
	unsigned int i;

	for (i = 0; i < MOCK_DEVICES; i++) {
		struct mock_device *dev = &mock->device[i];

		if (addr >= (void *)dev->table && addr < (void *)(dev->table + MOCK_VECTORS)) {
			/* On real hardware this would be a bus error. */
			assert_true(dev->config[4] & 2);
			*index = ((const volatile uint8_t *)addr - (uint8_t *)dev->table) / 16;
			return dev;
		}
	}
	fail();
	return NULL;
}

static uint64_t mock_mmio_read(struct db_sys *sys, const volatile void *addr, unsigned int size)
{
	struct mock *mock = to_mock(sys);
	unsigned int index;
	uint64_t value;

	assert_int_equal(size, 4);
	pthread_mutex_lock(&mock->lock);
	device_of_table(mock, addr, &index);
	value = *(const volatile uint32_t *)addr;
	pthread_mutex_unlock(&mock->lock);
	return value;
}

static void mock_mmio_write(struct db_sys *sys, volatile void *addr, unsigned int size,
			    uint64_t value)
{
	struct mock *mock = to_mock(sys);
	struct mock_device *dev;
	unsigned int index;

	assert_int_equal(size, 4);
	pthread_mutex_lock(&mock->lock);
	dev = device_of_table(mock, addr, &index);
	*(volatile uint32_t *)addr = value;
	mock_send_pending(dev, index);
	pthread_mutex_unlock(&mock->lock);
}

static ssize_t mock_readlink(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	struct mock *mock = to_mock(sys);
	struct mock_device *dev;
	const char *rest = "";
	int ret;

	ret = turn(mock);
	if (ret)
		return ret;
	dev = device_of_path(mock, path, &rest);
	if (dev && !strcmp(rest, "driver") && dev->driver[0])
		return snprintf(buf, size, "../../../bus/pci/drivers/%s", dev->driver);
	if (dev && !strcmp(rest, "iommu_group") && !dev->no_group)
		return snprintf(buf, size, "../../../kernel/iommu_groups/%u", dev->group);
	return -ENOENT;
}

static int list_group(struct mock *mock, unsigned int group,
		      int (*entry)(void *arg, const char *name), void *arg)
{
	int ret = 0;

	for (unsigned int i = 0; i < MOCK_DEVICES && !ret; i++)
		if (mock->device[i].group == group)
			ret = entry(arg, mock->device[i].address);
	return ret;
}

static int mock_list(struct db_sys *sys, const char *path,
		     int (*entry)(void *arg, const char *name), void *arg)
{
	struct mock *mock = to_mock(sys);
	struct mock_device *dev;
	const char *rest = "";
	unsigned int group;
	char name[16];
	int ret;

	ret = turn(mock);
	if (ret)
		return ret;
	if (sscanf(path, "/sys/kernel/iommu_groups/%u/devices", &group) == 1)
		return list_group(mock, group, entry, arg);
	dev = device_of_path(mock, path, &rest);
	if (!dev || strcmp(rest, "vfio-dev") || strcmp(dev->driver, "vfio-pci") || dev->no_node)
		return -ENOENT;
	snprintf(name, sizeof(name), "vfio%u", (unsigned int)(dev - mock->device));
	ret = entry(arg, "power");
	return ret ? ret : entry(arg, name);
}

static void mock_release(struct db_sys *sys)
{
	(void)sys;
}

static const struct db_sys_ops mock_ops = {
	.size = sizeof(mock_ops),
	.open = mock_open,
	.close = mock_close,
	.ioctl = mock_ioctl,
	.read = mock_read,
	.pread = mock_pread,
	.pwrite = mock_pwrite,
	.mmap = mock_mmap,
	.munmap = mock_munmap,
	.mmio_read = mock_mmio_read,
	.mmio_write = mock_mmio_write,
	.readlink = mock_readlink,
	.list = mock_list,
	.release = mock_release,
};

struct mock *mock_create(void)
{
	static const char *const addresses[MOCK_DEVICES] = { "0000:01:00.0", "0000:02:00.0",
							     "0000:03:00.0", "0001:01:00.0" };
	struct mock *mock = calloc(1, sizeof(*mock));
	unsigned int i;

	assert_non_null(mock);
	mock->sys.ops = &mock_ops;
	pthread_mutex_init(&mock->lock, NULL);
	mock->nesting = true;
	mock->native = true;
	mock->fwb = true;
	mock->page = MOCK_PAGE;
	mock->window_start = MOCK_WINDOW;
	mock->window_size = 1 << 20;
	mock->invalidate_bad = -1;
	for (i = 0; i < MOCK_DEVICES; i++) {
		/* The first two share SMMU and ITS, the third has another ITS, the last another
		 * SMMU too. */
		mock->device[i] = (struct mock_device){
			.address = addresses[i],
			.smmu = i == 3,
			.its = i < 2 ? 0 : i,
			.group = 10 + i,
			.msix = i == 0 ? MOCK_VECTORS : 64,
			.msi = 8,
			.mappable = true,
			.msi_64bit = true,
			.msi_maskable = true,
			.interrupts = MOCK_VECTORS,
			.doorbell_offset = 0x40,
			.driver = "vfio-pci",
			.fd = -1,
			.irq_type = -1,
		};
		mock_device_reset(&mock->device[i]);
		mock->device[i].config[4] = 6;
	}
	return mock;
}

void mock_check_clean(struct mock *mock)
{
	unsigned int i;

	assert_int_equal(mock->open_fds, 0);
	for (i = 0; i < MOCK_OBJECTS; i++)
		assert_int_equal(mock->object[i].type, MOCK_NONE);
	for (i = 0; i < 64; i++)
		assert_false(mock->mapping[i].used);
}

void mock_destroy(struct mock *mock)
{
	mock_check_clean(mock);
	pthread_mutex_destroy(&mock->lock);
	free(mock);
}

unsigned int mock_count(const struct mock *mock, unsigned long request)
{
	unsigned int i;

	for (i = 0; i < MOCK_REQUESTS; i++) {
		if (mock->requests[i].request == request)
			return mock->requests[i].count;
	}
	return 0;
}

unsigned int mock_ioctls(const struct mock *mock)
{
	unsigned int i, sum = 0;

	for (i = 0; i < MOCK_REQUESTS; i++)
		sum += mock->requests[i].count;
	return sum;
}

void mock_forget(struct mock *mock)
{
	memset(mock->requests, 0, sizeof(mock->requests));
}

void mock_fail(struct mock *mock, unsigned long request, int error, unsigned int skip)
{
	mock->fail_request = request;
	mock->fail_request_error = error;
	mock->fail_request_skip = skip;
}

void mock_add_event(struct mock *mock, bool bare, uint32_t sequence, uint64_t first_dword)
{
	uint32_t header[2] = { bare ? IOMMU_VEVENTQ_FLAG_LOST_EVENTS : 0, sequence };
	uint64_t record[4] = { first_dword, 1, 2, 3 };

	assert_true(mock->events_len + 40 <= sizeof(mock->events));
	memcpy(mock->events + mock->events_len, header, 8);
	mock->events_len += 8;
	if (bare)
		return;
	memcpy(mock->events + mock->events_len, record, 32);
	mock->events_len += 32;
}

uint64_t mock_take(int fd)
{
	eventfd_t count;

	return eventfd_read(fd, &count) ? 0 : count;
}
