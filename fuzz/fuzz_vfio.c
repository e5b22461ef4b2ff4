/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vfio-pci device in the hands of a hostile VMM or guest: config space, BARs, the MSI-X table,
 * SET_IRQS, reset, unplug, in any order. Afterwards the host must still be whole: the device can be
 * closed and opened, and a vector of it delivers.
 *
 * The input is a list of records: operation, two bytes, and a dword.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/vfio.h"
#include "abi/native.h"
#include "device.h"
#include "soft/host.h"

#define ADDRESS "0000:02:00.0"
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct record {
	uint8_t op, small;
	uint16_t off;
	uint32_t value;
};

struct run {
	struct fuzz_device d;
	void *map;
	uint64_t map_len;
};

static void unmap(struct run *run)
{
	if (run->map)
		fuzz_check(!run->d.sys->ops->munmap(run->d.sys, run->map, run->map_len));
	run->map = NULL;
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
		fds[i] = (r->value >> i) & 1 ? run->d.eventfd : -1;
	memcpy(arg.bytes + offsetof(struct vfio_irq_set, data), fds, sizeof(fds));
	fuzz_call(&run->d, VFIO_DEVICE_SET_IRQS, &arg);
}

static void use_map(struct run *run, const struct record *r)
{
	struct db_sys *sys = run->d.sys;
	unsigned int bytes = 1u << (r->small & 3);
	char *at;

	if (!run->map) {
		run->map_len = 4096 * (1 + (r->small >> 4));
		if (sys->ops->mmap(sys, run->map_len, PROT_READ | PROT_WRITE, run->d.fd,
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

static void replug(struct run *run)
{
	struct soft_host *host = (struct soft_host *)run->d.sys;

	fuzz_check(!soft_host_unplug(host, ADDRESS));
	unmap(run);
	fuzz_close(&run->d);
	fuzz_check(!soft_host_plug(host, ADDRESS));
	fuzz_open(&run->d);
}

static void step(struct run *run, const struct record *r)
{
	struct db_sys *sys = run->d.sys;
	int fd = run->d.fd;

	switch (r->op % 9) {
	case 0:
		fuzz_access(sys, fd, true, CONFIG, r->off % 0x110, 1 + r->small % 8, r->value);
		break;
	case 1:
		fuzz_access(sys, fd, false, CONFIG, r->off % 0x1008, 1 + r->small % 8, 0);
		break;
	case 2:
		fuzz_access(sys, fd, true, r->small & 7, r->off, 1 + r->small / 8 % 16, r->value);
		break;
	case 3:
		fuzz_access(sys, fd, false, r->small & 7, r->off, 1 + r->small / 8 % 16, 0);
		break;
	case 4:
	case 5:
		set_irqs(run, r);
		break;
	case 6:
		use_map(run, r);
		break;
	case 7:
		fuzz_call(&run->d, VFIO_DEVICE_RESET, NULL);
		break;
	default:
		if (r->small % 16 == 0)
			replug(run);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = { .map = NULL };
	struct record record;

	fuzz_begin(&run.d, fuzz_host("device " ADDRESS " bell vectors=40"));
	for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
		memcpy(&record, data, sizeof(record));
		step(&run, &record);
	}
	unmap(&run);
	fuzz_must_work(&run.d);
	fuzz_end(&run.d);
	return 0;
}
