/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A user of vfio-pci puts a device into D3hot and then takes back an eventfd, which makes the kernel mask an
 * entry of the MSI-X table of a device that does not answer. Linux 7.3 reads it back, and that is its end
 * where nothing answers for the device; with linux/patches/fixes/pci it leaves the hardware alone.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#define DEVICE "0000:01:00.0"
#define SYSFS "/sys/bus/pci/devices/" DEVICE

static int dev;
static uint64_t config;

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void write_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY);

	must(fd >= 0 && write(fd, text, strlen(text)) > 0, path);
	close(fd);
}

static int open_cdev(void)
{
	char path[600];
	struct dirent *entry;
	DIR *dir = opendir(SYSFS "/vfio-dev");

	must(dir != NULL, "vfio-dev");
	while ((entry = readdir(dir)) && entry->d_name[0] == '.')
		;
	must(entry != NULL, "vfio-dev");
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
	closedir(dir);
	return open(path, O_RDWR);
}

static uint16_t read_config(unsigned int pos)
{
	uint16_t value = 0;

	must(pread(dev, &value, 2, config + pos) == 2, "config space");
	return value;
}

static void set_power(unsigned int state)
{
	unsigned int pos = read_config(PCI_CAPABILITY_LIST) & 0xff;
	uint16_t control;

	while (pos && (read_config(pos) & 0xff) != PCI_CAP_ID_PM)
		pos = read_config(pos) >> 8;
	must(pos, "a power management capability");
	control = (read_config(pos + PCI_PM_CTRL) & ~PCI_PM_CTRL_STATE_MASK) | state;
	must(pwrite(dev, &control, 2, config + pos + PCI_PM_CTRL) == 2, "PMCSR");
}

/* @fd for vector 0; -1 takes it back */
static int arm(int32_t fd)
{
	uint8_t buf[sizeof(struct vfio_irq_set) + sizeof(fd)];
	struct vfio_irq_set set = {
		.argsz = sizeof(buf),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.count = 1,
	};

	memcpy(buf, &set, sizeof(set));
	memcpy(buf + sizeof(set), &fd, sizeof(fd));
	return ioctl(dev, VFIO_DEVICE_SET_IRQS, buf);
}

int main(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = open("/dev/iommu", O_RDWR) };
	struct vfio_region_info region = { .argsz = sizeof(region), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };

	write_file(SYSFS "/driver_override", "vfio-pci");
	write_file("/sys/bus/pci/drivers_probe", DEVICE);
	must((dev = open_cdev()) >= 0, "the device");
	must(!ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), "binding");
	must(!ioctl(bind.iommufd, IOMMU_IOAS_ALLOC, &ioas), "an IOAS");
	attach.pt_id = ioas.out_ioas_id;
	must(!ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), "attaching");
	must(!ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &region), "config space");
	config = region.offset;

	must(!arm(eventfd(0, 0)), "arming");
	set_power(3);
	printf("in D3hot\n");
	fflush(stdout);
	must(!arm(-1), "taking back the eventfd");
	set_power(0);
	must(!arm(eventfd(0, 0)), "arming again");
	printf("and back\n");
	return 0;
}
