/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

void sysfs_device_path(char *path, const char *address, const char *name)
{
	snprintf(path, SYSFS_PATH, "/sys/bus/pci/devices/%s/%s", address, name);
}

ssize_t sysfs_read(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t ret;
	int fd;

	fd = sys->ops->open(sys, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	do {
		ret = len < size ? sys->ops->pread(sys, fd, buf + len, size - len, len) : -EFBIG;
		if (ret > 0)
			len += ret;
	} while (ret > 0);
	sys->ops->close(sys, fd);
	if (ret < 0)
		return ret;
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return len;
}

int sysfs_write(struct db_sys *sys, const char *path, const char *text)
{
	ssize_t ret;
	int fd;

	fd = sys->ops->open(sys, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	ret = sys->ops->pwrite(sys, fd, text, strlen(text), 0);
	sys->ops->close(sys, fd);
	return ret < 0 ? (int)ret : 0;
}

int sysfs_link_name(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	char target[SYSFS_PATH];
	const char *name;
	ssize_t ret;

	ret = sys->ops->readlink(sys, path, target, sizeof(target));
	if (ret < 0)
		return ret;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, name);
	return 0;
}

struct find {
	const char *prefix;
	char *buf;
	size_t size;
};

static int match(void *arg, const char *name)
{
	struct find *find = arg;

	if (strncmp(name, find->prefix, strlen(find->prefix)) || strlen(name) >= find->size)
		return 0;
	strcpy(find->buf, name);
	return 1;
}

int sysfs_find(struct db_sys *sys, const char *path, const char *prefix, char *buf, size_t size)
{
	struct find find = { .prefix = prefix, .buf = buf, .size = size };
	int ret;

	ret = sys->ops->list(sys, path, match, &find);
	if (ret < 0)
		return ret;
	return ret ? 0 : -ENOENT;
}
