/* SPDX-License-Identifier: BSD-2-Clause */
#include "device.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "soft/endpoints/bell.h"

void fuzz_check(bool ok)
{
	if (!ok)
		abort();
}

struct db_sys *fuzz_host(const char *machine)
{
	static struct db_sys *sys;

	if (!sys)
		fuzz_check(!db_soft_host_create(machine, strlen(machine), &sys));
	return sys;
}

int fuzz_call(struct fuzz_device *d, unsigned long request, void *arg)
{
	return d->sys->ops->ioctl(d->sys, d->fd, request, arg);
}

void fuzz_open(struct fuzz_device *d)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = d->iommufd };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = d->ioas };

	d->fd = d->sys->ops->open(d->sys, "/dev/vfio/devices/vfio0", O_RDWR);
	fuzz_check(d->fd >= 0);
	fuzz_check(!fuzz_call(d, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	fuzz_check(!fuzz_call(d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

void fuzz_close(struct fuzz_device *d)
{
	fuzz_check(!d->sys->ops->close(d->sys, d->fd));
}

void fuzz_begin(struct fuzz_device *d, struct db_sys *sys)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	d->sys = sys;
	d->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->iommufd = sys->ops->open(sys, "/dev/iommu", O_RDWR);
	fuzz_check(d->eventfd >= 0 && d->iommufd >= 0);
	fuzz_check(!sys->ops->ioctl(sys, d->iommufd, IOMMU_IOAS_ALLOC, &alloc));
	d->ioas = alloc.out_ioas_id;
	fuzz_open(d);
}

void fuzz_end(struct fuzz_device *d)
{
	fuzz_close(d);
	fuzz_check(!d->sys->ops->close(d->sys, d->iommufd));
	close(d->eventfd);
}

void fuzz_access(struct db_sys *sys, int fd, bool write, unsigned int region, uint64_t offset,
		 size_t size, uint64_t value)
{
	uint8_t buffer[16] = { 0 };

	/* A region's index is in the bits from 40 up. */
	offset |= (uint64_t)region << 40;
	memcpy(buffer, &value, sizeof(value));
	if (write)
		sys->ops->pwrite(sys, fd, buffer, size, offset);
	else
		sys->ops->pread(sys, fd, buffer, size, offset);
}

void fuzz_must_work(struct fuzz_device *d)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irqs = { .set = { .argsz = sizeof(irqs),
			    .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    .index = VFIO_PCI_MSIX_IRQ_INDEX,
			    .count = 1 },
		   .fd = d->eventfd };
	uint64_t count = 0;
	void *map;

	fuzz_close(d);
	fuzz_open(d);
	fuzz_access(d->sys, d->fd, true, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, 2,
		    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fuzz_check(!fuzz_call(d, VFIO_DEVICE_SET_IRQS, &irqs));
	while (read(d->eventfd, &count, sizeof(count)) > 0)
		;
	fuzz_check(!d->sys->ops->mmap(d->sys, 4096, PROT_READ | PROT_WRITE, d->fd, 0, &map));
	d->sys->ops->mmio_write(d->sys, (char *)map + BELL_RING, 4, 0);
	fuzz_check(read(d->eventfd, &count, sizeof(count)) == sizeof(count) && count == 1);
	fuzz_check(!d->sys->ops->munmap(d->sys, map, 4096));
}
