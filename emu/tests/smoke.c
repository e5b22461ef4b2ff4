/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is the emulated host what the other tests take for granted? Its IORT says CANWBS, every endpoint
 * has an IOMMU group, and each of them can be taken by vfio-pci, bound to an iommufd and put behind
 * a nest parent on which a vIOMMU can be made. Where there is SR-IOV, a virtual function appears.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#define PCI_DEVICES "/sys/bus/pci/devices"
#define IORT_FILE "/sys/firmware/acpi/tables/IORT"

static int passed, failed;

static bool __attribute__((format(printf, 2, 3))) check(bool ok, const char *format, ...)
{
	const int error = errno;
	va_list args;

	va_start(args, format);
	printf("%s - ", ok ? "ok" : "not ok");
	vprintf(format, args);
	va_end(args);
	if (!ok)
		printf(" (errno %d: %s)", error, strerror(error));
	putchar('\n');
	*(ok ? &passed : &failed) += 1;
	errno = 0;
	return ok;
}

static ssize_t read_file(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, buf, size);
		close(fd);
	}
	return n;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static long number(const char *device, const char *attribute)
{
	char path[512], text[64] = "";

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", device, attribute);
	if (read_file(path, text, sizeof(text) - 1) <= 0)
		return -1;
	return strtol(text, NULL, 0);
}

static bool set(const char *device, const char *attribute, const char *value)
{
	char path[512];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", device, attribute);
	return write_file(path, value);
}

/* Arm DEN 0049: nodes from the offset at 40, their number at 36; a root complex is type 2. */
static void check_iort(void)
{
	static uint8_t table[65536];
	const ssize_t len = read_file(IORT_FILE, table, sizeof(table));
	uint32_t count = 0, offset = 0;
	int with = 0, without = 0;

	if (!check(len > 48, "the kernel shows an IORT"))
		return;
	memcpy(&count, table + 36, 4);
	memcpy(&offset, table + 40, 4);
	while (count-- && offset + 24 < (uint32_t)len) {
		if (table[offset] == 2)
			*(table[offset + 23] & 4 ? &with : &without) += 1;
		offset += table[offset + 1] | table[offset + 2] << 8;
	}
	check(with > 0 && !without, "its root complexes say CANWBS");
}

static int open_cdev(const char *device)
{
	char path[600];
	struct dirent *entry;
	DIR *dir;
	int fd = -1;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/vfio-dev", device);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
		fd = open(path, O_RDWR);
	}
	closedir(dir);
	return fd;
}

static void check_nesting(const char *device, int dev, int iommufd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	struct iommu_hw_info_arm_smmuv3 smmu = { 0 };

	if (!check(!ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), "%s binds to an iommufd", device))
		return;

	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = bind.out_devid,
		.data_len = sizeof(smmu),
		.data_uptr = (uintptr_t)&smmu,
	};

	check(!ioctl(iommufd, IOMMU_GET_HW_INFO, &info) &&
	      info.out_data_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3 && (smmu.idr[0] & 3) == 3,
	      "%s is behind an SMMUv3 of two stages (IDR0 %#x)", device, smmu.idr[0]);

	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };

	if (!check(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &ioas), "%s: IOAS_ALLOC", device))
		return;

	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = bind.out_devid,
		.pt_id = ioas.out_ioas_id,
	};

	if (!check(!ioctl(iommufd, IOMMU_HWPT_ALLOC, &parent), "%s: nest parent", device))
		return;

	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = parent.out_hwpt_id,
	};

	if (!check(!ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), "%s attaches", device))
		return;

	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = bind.out_devid,
		.hwpt_id = parent.out_hwpt_id,
	};

	check(!ioctl(iommufd, IOMMU_VIOMMU_ALLOC, &viommu), "%s: VIOMMU_ALLOC", device);
}

static void check_sriov(const char *device)
{
	char path[512];
	const long total = number(device, "sriov_totalvfs");

	if (total <= 0)
		return;
	if (!check(set(device, "sriov_numvfs", "1"), "%s: one of %ld virtual functions", device, total))
		return;
	check(number(device, "virtfn0/class") > 0, "%s: it is there", device);
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/virtfn0/iommu_group", device);
	check(!access(path, F_OK), "%s: it has a group", device);
}

static void check_endpoint(const char *device)
{
	char path[512];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group/devices/%s", device, device);
	check(!access(path, F_OK), "%s has an IOMMU group", device);
	if (!check(set(device, "driver_override", "vfio-pci") &&
		   write_file("/sys/bus/pci/drivers_probe", device), "%s goes to vfio-pci", device))
		return;
	check_sriov(device);

	int dev = open_cdev(device), iommufd = open("/dev/iommu", O_RDWR);

	if (check(dev >= 0, "%s has a VFIO device node", device) &&
	    check(iommufd >= 0, "there is /dev/iommu"))
		check_nesting(device, dev, iommufd);
	if (dev >= 0)
		close(dev);
	if (iommufd >= 0)
		close(iommufd);
}

int main(void)
{
	struct dirent **list;
	const int count = scandir(PCI_DEVICES, &list, NULL, alphasort);
	int endpoints = 0;

	check_iort();
	for (int i = 0; i < count; i++) {
		const long class = list[i]->d_name[0] == '.' ? 0x06 << 16 :
				   number(list[i]->d_name, "class");

		if (class >> 16 == 0x06)	/* bridges, and . and .. */
			continue;
		endpoints++;
		check_endpoint(list[i]->d_name);
	}
	check(endpoints > 0, "there are %d endpoints", endpoints);
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
