/* SPDX-License-Identifier: BSD-2-Clause */
/* The seam over the running kernel: each operation is the system call of its name. */
#include <doorbell/sys.h>

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int linux_open(struct db_sys *sys, const char *path, int flags)
{
	int fd;

	(void)sys;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int linux_close(struct db_sys *sys, int fd)
{
	(void)sys;
	return close(fd) ? -errno : 0;
}

static int linux_ioctl(struct db_sys *sys, int fd, unsigned long request, void *arg)
{
	int ret;

	(void)sys;
	ret = ioctl(fd, request, arg);
	return ret < 0 ? -errno : ret;
}

static ssize_t linux_read(struct db_sys *sys, int fd, void *buf, size_t len)
{
	ssize_t ret;

	(void)sys;
	ret = read(fd, buf, len);
	return ret < 0 ? -errno : ret;
}

static ssize_t linux_pread(struct db_sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t ret;

	(void)sys;
	ret = pread(fd, buf, len, (off_t)offset);
	return ret < 0 ? -errno : ret;
}

static ssize_t linux_pwrite(struct db_sys *sys, int fd, const void *buf, size_t len,
			    uint64_t offset)
{
	ssize_t ret;

	(void)sys;
	ret = pwrite(fd, buf, len, (off_t)offset);
	return ret < 0 ? -errno : ret;
}

static int linux_mmap(struct db_sys *sys, size_t len, int prot, int fd, uint64_t offset, void **out)
{
	void *addr;

	(void)sys;
	addr = mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);
	if (addr == MAP_FAILED)
		return -errno;
	*out = addr;
	return 0;
}

static int linux_munmap(struct db_sys *sys, void *addr, size_t len)
{
	(void)sys;
	return munmap(addr, len) ? -errno : 0;
}

/* Each size is one access of that width: a device must see exactly what the caller asked for. */
static uint64_t linux_mmio_read(struct db_sys *sys, const volatile void *addr, unsigned int size)
{
	(void)sys;
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)addr;
	case 2:
		return le16toh(*(const volatile uint16_t *)addr);
	case 4:
		return le32toh(*(const volatile uint32_t *)addr);
	default:
		return le64toh(*(const volatile uint64_t *)addr);
	}
}

/* What was written to memory must be seen by the device that the next access to it starts. */
static void memory_before_device(void)
{
#if defined(__x86_64__) || defined(__i386__)
	/*
	 * Stores to device memory do not overtake others (Intel SDM 3A, 9.2.2); the compiler might.
	 */
	__asm__ volatile("" ::: "memory");
#elif defined(__aarch64__)
	__asm__ volatile("dmb oshst" ::: "memory");
#else
	__sync_synchronize();
#endif
}

static void linux_mmio_write(struct db_sys *sys, volatile void *addr, unsigned int size,
			     uint64_t value)
{
	(void)sys;
	memory_before_device();
	switch (size) {
	case 1:
		*(volatile uint8_t *)addr = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)addr = htole16((uint16_t)value);
		break;
	case 4:
		*(volatile uint32_t *)addr = htole32((uint32_t)value);
		break;
	default:
		*(volatile uint64_t *)addr = htole64(value);
		break;
	}
}

static ssize_t linux_readlink(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	ssize_t len;

	(void)sys;
	len = readlink(path, buf, size);
	if (len < 0)
		return -errno;
	if ((size_t)len >= size)
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return len;
}

static int linux_list(struct db_sys *sys, const char *path,
		      int (*entry)(void *arg, const char *name), void *arg)
{
	struct dirent *dirent;
	int ret = 0;
	DIR *dir;

	(void)sys;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!ret && (dirent = readdir(dir))) {
		if (strcmp(dirent->d_name, ".") && strcmp(dirent->d_name, ".."))
			ret = entry(arg, dirent->d_name);
	}
	closedir(dir);
	return ret;
}

static void linux_release(struct db_sys *sys)
{
	(void)sys;
}

static const struct db_sys_ops linux_ops = {
	.size = sizeof(linux_ops),
	.open = linux_open,
	.close = linux_close,
	.ioctl = linux_ioctl,
	.read = linux_read,
	.pread = linux_pread,
	.pwrite = linux_pwrite,
	.mmap = linux_mmap,
	.munmap = linux_munmap,
	.mmio_read = linux_mmio_read,
	.mmio_write = linux_mmio_write,
	.readlink = linux_readlink,
	.list = linux_list,
	.release = linux_release,
};

struct db_sys *db_sys_linux(void)
{
	static struct db_sys sys = { .ops = &linux_ops };

	return &sys;
}
