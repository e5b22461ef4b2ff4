/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VMM that has opened, bound, attached and mapped everything by itself, as it did before it knew
 * of this library, and takes only the interrupts from it. Usage: msi_alone native|stock
 *
 * The guest has no virtual SMMU here, so that what the device writes to is an IPA; with a nested
 * HWPT attached instead of the IOAS it is a gIOVA, and nothing else changes.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <doorbell/doorbell.h>

/* These are the kernel's <linux/iommufd.h> and <linux/vfio.h>, which may be older here. */
#include "abi/iommufd.h"
#include "abi/vfio.h"

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (16ull << 20)
#define VITS_BASE 0x20080000ull
#define BAR_RING 0x08	/* of the software host's test device: raises a vector */

struct vmm {
	struct db_sys *sys;	/* a VMM on a real host has plain system calls here */
	int iommufd, device;
	uint32_t dev_id, ioas_id;
	void *ram;
};

static void check(int ret, const char *what, const char *why)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* --- What the VMM had --- */

static void own_ioctl(struct vmm *vmm, int fd, unsigned long request, void *arg, const char *what)
{
	check(vmm->sys->ops->ioctl(vmm->sys, fd, request, arg), what, "refused");
}

static void own_set_up(struct vmm *vmm)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.length = RAM_SIZE,
		.iova = RAM_IPA,
	};

	vmm->iommufd = vmm->sys->ops->open(vmm->sys, "/dev/iommu", O_RDWR);
	vmm->device = vmm->sys->ops->open(vmm->sys, "/dev/vfio/devices/vfio0", O_RDWR);
	vmm->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vmm->iommufd < 0 || vmm->device < 0 || vmm->ram == MAP_FAILED)
		exit(1);
	bind.iommufd = vmm->iommufd;
	own_ioctl(vmm, vmm->device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "bind");
	vmm->dev_id = bind.out_devid;
	own_ioctl(vmm, vmm->iommufd, IOMMU_IOAS_ALLOC, &alloc, "IOAS");
	vmm->ioas_id = attach.pt_id = map.ioas_id = alloc.out_ioas_id;
	own_ioctl(vmm, vmm->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, "attach");
	map.user_va = (uintptr_t)vmm->ram;
	own_ioctl(vmm, vmm->iommufd, IOMMU_IOAS_MAP, &map, "RAM");
}

static void own_tear_down(struct vmm *vmm)
{
	vmm->sys->ops->close(vmm->sys, vmm->device);
	vmm->sys->ops->close(vmm->sys, vmm->iommufd);
	vmm->sys->ops->release(vmm->sys);
}

/* --- What it takes from the library --- */

static void need(int ret, const char *what)
{
	check(ret, what, db_error_message());
}

int main(int argc, char **argv)
{
	static const char machine[] = "device 0000:02:00.0 bell\n";
	struct db_device_adoption adoption = DB_SIZED(struct db_device_adoption);
	struct db_msi_config config = DB_SIZED(struct db_msi_config, .kind = DB_MSIX);
	struct db_msi_vector vector = { 0 };
	struct pollfd poller = { .events = POLLIN };
	struct db_device *dev;
	struct db_space *space;
	struct db_host *host;
	struct vmm vmm;
	struct db_msi *msi;
	uint32_t index = 3;
	uint8_t command[2] = { 6 };
	bool fixed;

	need(db_soft_host_create(machine, sizeof(machine) - 1, &vmm.sys), "software host");
	own_set_up(&vmm);

	/* All descriptors and ids stay the VMM's. */
	need(db_host_adopt(vmm.sys, vmm.iommufd, DB_ADOPT_KEEP, &host), "iommufd");
	adoption.fd = vmm.device;
	adoption.flags = DB_ADOPT_KEEP | DB_ADOPT_BOUND;
	adoption.dev_id = vmm.dev_id;
	adoption.ioas_id = vmm.ioas_id;
	adoption.name = "nic0";
	need(db_device_adopt(host, &adoption, &dev), "device");
	/* For the doorbell of mode native, which is mapped into the VMM's IOAS. */
	need(db_space_adopt(host, vmm.ioas_id, DB_ADOPT_KEEP, &space), "IOAS");

	config.dev = dev;
	config.space = space;
	need(db_mode_parse(argc > 1 ? argv[1] : "native", &config.mode), "mode");
	/* Before the address map is laid out: in mode stock the kernel says where this is. */
	need(db_msi_doorbell_ipa(dev, config.mode, &fixed, &config.doorbell_ipa), "doorbell");
	if (!fixed)
		config.doorbell_ipa = VITS_BASE + 0x10000;
	need(db_msi_create(&config, &msi), "interrupts");

	/* The guest wrote its vITS's address into vector 3, and enabled it: an irqfd of the VMM. */
	vector.eventfd = poller.fd = eventfd(0, EFD_CLOEXEC);
	vector.address = config.doorbell_ipa | 0x40;
	need(db_msi_set(msi, index, 1, &vector), "vector");

	need(db_device_config_write(dev, command, sizeof(command), 4), "bus master");
	need(db_device_bar_write(dev, 0, &index, sizeof(index), BAR_RING), "device");
	if (poll(&poller, 1, 5000) != 1) {
		fprintf(stderr, "no interrupt\n");
		return 1;
	}
	printf("mode %s: vector %u arrived\n", db_mode_name(db_msi_mode(msi)), index);

	db_msi_destroy(msi);
	db_space_destroy(space);
	db_device_close(dev);
	db_host_close(host);
	close(vector.eventfd);
	own_tear_down(&vmm);
	return 0;
}
