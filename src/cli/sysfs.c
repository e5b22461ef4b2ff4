/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_sysfs_read(struct db_sys *sys, char *buf, size_t size, const char *format, ...)
{
	char path[256];
	va_list args;
	ssize_t n;
	int fd;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	fd = sys->ops->open(sys, path, O_RDONLY);
	if (fd < 0)
		return fd;
	n = sys->ops->read(sys, fd, buf, size - 1);
	sys->ops->close(sys, fd);
	if (n < 0)
		return n;
	while (n && buf[n - 1] == '\n')
		n--;
	buf[n] = 0;
	return 0;
}

int cli_sysfs_driver(struct db_sys *sys, const char *address, char *buf, size_t size)
{
	char path[256], link[256];
	ssize_t n;

	snprintf(path, sizeof(path), SYSFS_PCI "/%s/driver", address);
	n = sys->ops->readlink(sys, path, link, sizeof(link));
	if (n < 0) {
		buf[0] = 0;
		return cli_sysfs_class(sys, address) < 0 ? -ENOENT : 0;
	}
	snprintf(buf, size, "%s", strrchr(link, '/') ? strrchr(link, '/') + 1 : link);
	return 0;
}

int cli_sysfs_class(struct db_sys *sys, const char *address)
{
	char text[32];
	int err = cli_sysfs_read(sys, text, sizeof(text), SYSFS_PCI "/%s/class", address);

	return err ? err : (int)(strtoul(text, NULL, 16) & 0xffffff);
}

int cli_sysfs_group(struct db_sys *sys, const char *address)
{
	char path[128], link[256];
	const char *last;
	ssize_t n;

	snprintf(path, sizeof(path), SYSFS_PCI "/%s/iommu_group", address);
	n = sys->ops->readlink(sys, path, link, sizeof(link));
	if (n < 0)
		return n;
	last = strrchr(link, '/');
	return atoi(last ? last + 1 : link);
}

static int add_name(void *arg, const char *name)
{
	struct cli_addresses *list = arg;
	unsigned int room = list->room ? 2 * list->room : 16;

	if (strlen(name) >= sizeof(list->at[0]))
		return -ENAMETOOLONG;
	if (list->n == list->room) {
		void *grown = realloc(list->at, room * sizeof(list->at[0]));

		if (!grown)
			return -ENOMEM;
		list->at = grown;
		list->room = room;
	}
	strcpy(list->at[list->n++], name);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

int cli_sysfs_list(struct db_sys *sys, const char *path, struct cli_addresses *out)
{
	int err;

	*out = (struct cli_addresses){ 0 };
	err = sys->ops->list(sys, path, add_name, out);
	if (!err && out->n)
		qsort(out->at, out->n, sizeof(out->at[0]), compare_names);
	return err;
}
