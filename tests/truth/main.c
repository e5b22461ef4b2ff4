/* SPDX-License-Identifier: BSD-2-Clause */
#include "truth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <doorbell/error.h>
#include <doorbell/soft.h>

#define DEVICE "0000:01:00.0"
#define SYSFS "/sys/bus/pci/devices/" DEVICE

void say(const char *key, const char *format, ...)
{
	va_list args;

	printf("%s = ", key);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

int answer(const char *key, int ret)
{
	if (ret < 0)
		say(key, "%s", strerrorname_np(-ret));
	else
		say(key, "%d", ret);
	return ret;
}

void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	printf("truth: %s: %s\n", what, strerror(-ret));
	exit(1);
}

int call(struct truth *t, int fd, unsigned long request, void *arg)
{
	return t->sys->ops->ioctl(t->sys, fd, request, arg);
}

int attach(struct truth *t, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = pt };

	return call(t, t->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static void write_file(struct truth *t, const char *path, const char *text)
{
	int fd = t->sys->ops->open(t->sys, path, O_WRONLY);

	must(fd, path);
	must(t->sys->ops->pwrite(t->sys, fd, text, strlen(text), 0), path);
	t->sys->ops->close(t->sys, fd);
}

static int take_name(void *arg, const char *name)
{
	snprintf(arg, 32, "%s", name);
	return 1;
}

void open_device(struct truth *t)
{
	char name[32], path[64];

	if (t->sys->ops->list(t->sys, SYSFS "/vfio-dev", take_name, name) != 1) {
		write_file(t, SYSFS "/driver_override", "vfio-pci");
		write_file(t, "/sys/bus/pci/drivers_probe", DEVICE);
		must(t->sys->ops->list(t->sys, SYSFS "/vfio-dev", take_name, name) - 1, "binding to vfio-pci");
	}
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	t->fd = t->sys->ops->open(t->sys, path, O_RDWR);
	must(t->fd, path);
}

/* The lines of the group's reserved_regions, and from them where the window is. */
static void ask_reserved(struct truth *t)
{
	char text[1024], key[32], *line, *next;
	unsigned long long start, last;
	unsigned int n = 0;
	ssize_t len;
	int fd;

	fd = t->sys->ops->open(t->sys, SYSFS "/iommu_group/reserved_regions", O_RDONLY);
	must(fd, "reserved_regions");
	len = t->sys->ops->read(t->sys, fd, text, sizeof(text) - 1);
	must(len, "reserved_regions");
	t->sys->ops->close(t->sys, fd);
	text[len] = '\0';
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		snprintf(key, sizeof(key), "reserved.%u", n++);
		say(key, "%s", line);
		if (strstr(line, "msi") && sscanf(line, "%llx %llx", &start, &last) == 2)
			t->window = start;
	}
}

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	if (!file || !text || !fread(text, 1, 65535, file)) {
		fprintf(stderr, "truth: cannot read %s\n", path);
		exit(1);
	}
	fclose(file);
	return text;
}

static struct db_sys *make_host(int argc, char **argv)
{
	struct db_sys *sys;
	char *text;

	if (argc == 2 && !strcmp(argv[1], "linux"))
		return db_sys_linux();
	if (argc != 3 || strcmp(argv[1], "soft")) {
		fprintf(stderr, "usage: truth linux | truth soft MACHINE-FILE\n");
		exit(2);
	}
	text = read_text(argv[2]);
	if (db_soft_host_create(text, strlen(text), &sys)) {
		fprintf(stderr, "truth: %s\n", db_error_message());
		exit(1);
	}
	free(text);
	return sys;
}

/* Aligned, so that both hosts may map it in blocks. */
static uint8_t *make_ram(void)
{
	uint8_t *ram = mmap(NULL, 2 * RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ram == MAP_FAILED)
		must(-errno, "mmap");
	return (uint8_t *)(((uintptr_t)ram + RAM_SIZE - 1) & ~(uintptr_t)(RAM_SIZE - 1));
}

int main(int argc, char **argv)
{
	struct truth t = { .sys = make_host(argc, argv), .ram = make_ram() };

	t.iommufd = t.sys->ops->open(t.sys, "/dev/iommu", O_RDWR);
	must(t.iommufd, "/dev/iommu");
	open_device(&t);
	ask_reserved(&t);
	ask_unbound(&t);
	ask_bound(&t);
	ask_memory(&t);
	ask_window(&t);
	ask_nesting(&t);
	ask_invalidation(&t);
	ask_interrupts(&t);
	ask_faults(&t);
	ask_native(&t);
	t.sys->ops->munmap(t.sys, (void *)t.bar0, t.bar0_size);
	t.sys->ops->close(t.sys, t.events);
	t.sys->ops->close(t.sys, t.fd);
	t.sys->ops->close(t.sys, t.iommufd);
	t.sys->ops->release(t.sys);
	return 0;
}
