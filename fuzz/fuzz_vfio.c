/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vfio-pci device in the hands of a hostile VMM or guest: config space, BARs, the MSI-X table,
 * SET_IRQS, reset, unplug, in any order. Afterwards the host must still be whole: the device can be
 * closed and opened, and a vector of it delivers.
 *
 * The input is a list of records: operation, two bytes, and a dword.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <doorbell/soft.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"
#include "soft/host.h"

#define ADDRESS "0000:02:00.0"
#define CONFIG ((uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct record {
	uint8_t op, small;
	uint16_t off;
	uint32_t value;
};

struct run {
	struct db_sys *sys;
	int iommufd, fd, eventfd;
	uint32_t ioas;
	void *map;
	uint64_t map_len;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int call(struct run *run, unsigned long request, void *arg)
{
	return run->sys->ops->ioctl(run->sys, run->fd, request, arg);
}

static void device_open(struct run *run)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = run->iommufd };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach),
							.pt_id = run->ioas };

	run->fd = run->sys->ops->open(run->sys, "/dev/vfio/devices/vfio0", O_RDWR);
	check(run->fd >= 0);
	check(!call(run, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	check(!call(run, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

static void device_close(struct run *run)
{
	if (run->map)
		check(!run->sys->ops->munmap(run->sys, run->map, run->map_len));
	run->map = NULL;
	check(!run->sys->ops->close(run->sys, run->fd));
}

static void set_irqs(struct run *run, const struct record *r)
{
	union {
		struct vfio_irq_set set;
		uint8_t bytes[sizeof(struct vfio_irq_set) + 64];
	} arg = { .set = {
			  .argsz = sizeof(arg),
			  .flags = r->off,
			  .index = r->small % 6,
			  .start = r->value & 0xffff,
			  .count = (r->value >> 16) % 20,
		  } };
	int32_t fds[16];

	if (r->value >> 31)
		arg.set.count = r->value;
	for (unsigned int i = 0; i < 16; i++)
		fds[i] = (r->value >> i) & 1 ? run->eventfd : -1;
	memcpy(arg.bytes + offsetof(struct vfio_irq_set, data), fds, sizeof(fds));
	call(run, VFIO_DEVICE_SET_IRQS, &arg);
}

static void use_map(struct run *run, const struct record *r)
{
	struct db_sys *sys = run->sys;
	unsigned int bytes = 1u << (r->small & 3);
	char *at;

	if (!run->map) {
		run->map_len = 4096 * (1 + (r->small >> 4));
		if (sys->ops->mmap(sys, run->map_len, PROT_READ | PROT_WRITE, run->fd,
				   (uint64_t)(r->small >> 2 & 3) << 40, &run->map))
			run->map = NULL;
		return;
	}
	at = (char *)run->map + r->off % run->map_len / bytes * bytes;
	if (r->small & 4)
		sys->ops->mmio_read(sys, at, bytes);
	else
		sys->ops->mmio_write(sys, at, bytes, r->value);
}

static void step(struct run *run, const struct record *r)
{
	struct soft_host *host = (struct soft_host *)run->sys;
	struct db_sys *sys = run->sys;
	uint64_t bar = (uint64_t)(r->small & 7) << 40;
	uint8_t buf[16] = { 0 };

	memcpy(buf, &r->value, sizeof(r->value));
	switch (r->op % 9) {
	case 0:
		sys->ops->pwrite(sys, run->fd, buf, 1 + r->small % 8, CONFIG + r->off % 0x110);
		break;
	case 1:
		sys->ops->pread(sys, run->fd, buf, 1 + r->small % 8, CONFIG + r->off % 0x1008);
		break;
	case 2:
		sys->ops->pwrite(sys, run->fd, buf, 1 + r->small / 8 % 16, bar | r->off);
		break;
	case 3:
		sys->ops->pread(sys, run->fd, buf, 1 + r->small / 8 % 16, bar | r->off);
		break;
	case 4:
	case 5:
		set_irqs(run, r);
		break;
	case 6:
		use_map(run, r);
		break;
	case 7:
		call(run, VFIO_DEVICE_RESET, NULL);
		break;
	default:
		if (r->small % 16)
			return;
		check(!soft_host_unplug(host, ADDRESS));
		device_close(run);
		check(!soft_host_plug(host, ADDRESS));
		device_open(run);
	}
}

/* The device answers and interrupts as if nothing had been. */
static void must_work(struct run *run)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct vfio_irq_set *set = (struct vfio_irq_set *)(uint64_t[8]){ 0 };
	uint32_t value = 0;
	uint64_t count = 0;
	void *map;

	device_close(run);
	device_open(run);
	check(run->sys->ops->pwrite(run->sys, run->fd, &command, 2, CONFIG + PCI_COMMAND) == 2);
	set->argsz = sizeof(*set) + sizeof(int32_t);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = VFIO_PCI_MSIX_IRQ_INDEX;
	set->count = 1;
	memcpy(set->data, &run->eventfd, sizeof(int32_t));
	check(!call(run, VFIO_DEVICE_SET_IRQS, set));
	while (read(run->eventfd, &count, sizeof(count)) > 0)
		;
	check(!run->sys->ops->mmap(run->sys, 4096, PROT_READ | PROT_WRITE, run->fd, 0, &map));
	run->sys->ops->mmio_write(run->sys, (char *)map + BELL_RING, 4, value);
	check(read(run->eventfd, &count, sizeof(count)) == sizeof(count) && count == 1);
	check(!run->sys->ops->munmap(run->sys, map, 4096));
	device_close(run);
}

/*
 * One host for all runs: a run has an iommufd and an open device of its own, and leaves nothing but
 * a device that was reset.
 */
static struct db_sys *the_host(void)
{
	static const char machine[] = "device " ADDRESS " bell vectors=40";
	static struct db_sys *sys;

	if (!sys)
		check(!db_soft_host_create(machine, sizeof(machine) - 1, &sys));
	return sys;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct run run = { .sys = the_host() };
	struct record record;

	run.eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	run.iommufd = run.sys->ops->open(run.sys, "/dev/iommu", O_RDWR);
	check(run.eventfd >= 0 && run.iommufd >= 0);
	check(!run.sys->ops->ioctl(run.sys, run.iommufd, IOMMU_IOAS_ALLOC, &alloc));
	run.ioas = alloc.out_ioas_id;
	device_open(&run);
	for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
		memcpy(&record, data, sizeof(record));
		step(&run, &record);
	}
	must_work(&run);
	check(!run.sys->ops->close(run.sys, run.iommufd));
	close(run.eventfd);
	return 0;
}
