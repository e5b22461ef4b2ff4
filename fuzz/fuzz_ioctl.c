/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sequences of system calls on the software host: /dev/iommu twice and two device nodes. Structs
 * hold what the input says, but that pointers point into memory of ours and lengths stay within it:
 * the host takes a caller's memory to be there, as it cannot tell. When all files are closed the
 * host must be whole again.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"
#include "device.h"

#define RAM_SIZE (4u << 20)
#define SCRATCH_SIZE (64u << 10)
#define STRUCT_SIZE 512
#define FILES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A request: where in its struct a pointer stands (to RAM or scratch), and lengths to keep small.
 */
struct request {
	unsigned long number;
	uint8_t ram_pointer, scratch_pointer; /* offset, 0: none */
	uint8_t length[2]; /* offsets of u32 lengths or counts, 0: none */
	uint8_t fd; /* offset of a descriptor, 0: none */
	bool vfio; /* argsz: data may follow */
};

#define AT(type, member) offsetof(struct type, member)

static const struct request requests[] = {
	{ IOMMU_DESTROY },
	{ IOMMU_IOAS_ALLOC },
	{ IOMMU_IOAS_ALLOW_IOVAS,
	  0,
	  AT(iommu_ioas_allow_iovas, allowed_iovas),
	  { AT(iommu_ioas_allow_iovas, num_iovas) } },
	{ IOMMU_IOAS_IOVA_RANGES,
	  0,
	  AT(iommu_ioas_iova_ranges, allowed_iovas),
	  { AT(iommu_ioas_iova_ranges, num_iovas) } },
	{ IOMMU_IOAS_MAP, AT(iommu_ioas_map, user_va) },
	{ IOMMU_IOAS_MAP_FILE, .fd = AT(iommu_ioas_map_file, fd) },
	{ IOMMU_IOAS_COPY },
	{ IOMMU_IOAS_UNMAP },
	{ IOMMU_OPTION },
	{ IOMMU_HWPT_ALLOC,
	  0,
	  AT(iommu_hwpt_alloc, data_uptr),
	  { AT(iommu_hwpt_alloc, data_len) } },
	{ IOMMU_GET_HW_INFO, 0, AT(iommu_hw_info, data_uptr), { AT(iommu_hw_info, data_len) } },
	{ IOMMU_HWPT_INVALIDATE,
	  0,
	  AT(iommu_hwpt_invalidate, data_uptr),
	  { AT(iommu_hwpt_invalidate, entry_len), AT(iommu_hwpt_invalidate, entry_num) } },
	{ IOMMU_VIOMMU_ALLOC },
	{ IOMMU_VDEVICE_ALLOC },
	{ IOMMU_VEVENTQ_ALLOC },
	{ IOMMU_GET_MSI_INFO },
	{ IOMMU_IOAS_MAP_MSI },
	{ VFIO_DEVICE_BIND_IOMMUFD, .fd = AT(vfio_device_bind_iommufd, iommufd), .vfio = true },
	{ VFIO_DEVICE_ATTACH_IOMMUFD_PT, .vfio = true },
	{ VFIO_DEVICE_DETACH_IOMMUFD_PT, .vfio = true },
	{ VFIO_DEVICE_GET_INFO, .vfio = true },
	{ VFIO_DEVICE_GET_REGION_INFO, .vfio = true },
	{ VFIO_DEVICE_GET_IRQ_INFO, .vfio = true },
	{ VFIO_DEVICE_SET_IRQS, .vfio = true },
	{ VFIO_DEVICE_RESET, .vfio = true },
	{ VFIO_DEVICE_FEATURE, .vfio = true },
};

struct run {
	struct db_sys *sys;
	int files[FILES];
	int eventfd;
	uint8_t *ram, *scratch;
};

static const uint8_t *take(const uint8_t **data, size_t *size, size_t want)
{
	const uint8_t *at = *data;

	if (*size < want)
		return NULL;
	*data += want;
	*size -= want;
	return at;
}

static uint32_t load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void store32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void store64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static int choose_fd(const struct run *r, uint32_t n)
{
	const int fds[] = {
		-1, r->files[0], r->files[1], r->files[2], r->eventfd, 12345
	};

	return fds[n % (sizeof(fds) / sizeof(*fds))];
}

/* Makes the struct one that names memory of ours; ids are kept small, so that some exist. */
static void tame(const struct run *r, const struct request *q, uint8_t *arg, size_t given)
{
	uint32_t size = load32(arg);

	store32(arg, size > STRUCT_SIZE ? given : size);
	for (size_t at = 4; at + 4 <= 48; at += 4)
		if (arg[at + 3] == 0xff) /* the input asks for a small number here */
			store32(arg + at, arg[at] % 16);
	if (q->ram_pointer)
		store64(arg + q->ram_pointer,
			(uintptr_t)r->ram + load32(arg + q->ram_pointer) % RAM_SIZE / 4096 * 4096);
	if (q->scratch_pointer)
		store64(arg + q->scratch_pointer, (uintptr_t)r->scratch);
	for (int i = 0; i < 2; i++)
		if (q->length[i])
			store32(arg + q->length[i], load32(arg + q->length[i]) % 256);
	if (q->number == IOMMU_IOAS_MAP) {
		uint64_t offset = 0;

		memcpy(&offset, arg + q->ram_pointer, sizeof(offset));
		offset -= (uintptr_t)r->ram;
		store64(arg + AT(iommu_ioas_map, length),
			load32(arg + AT(iommu_ioas_map, length)) % (RAM_SIZE - offset + 1));
	}
	if (q->fd)
		store32(arg + q->fd, choose_fd(r, load32(arg + q->fd)));
	if (q->number == VFIO_DEVICE_SET_IRQS && load32(arg + 4) & VFIO_IRQ_SET_DATA_EVENTFD)
		for (size_t at = sizeof(struct vfio_irq_set); at + 4 <= STRUCT_SIZE; at += 4)
			store32(arg + at, choose_fd(r, load32(arg + at)));
}

static void call(struct run *r, const uint8_t **data, size_t *size)
{
	const uint8_t *head = take(data, size, 4), *body;
	static uint8_t arg[STRUCT_SIZE + 64];
	const struct request *q;
	size_t given;

	if (!head)
		return;
	q = &requests[head[0] % (sizeof(requests) / sizeof(*requests))];
	given = 8 + head[2] % 100;
	body = take(data, size, given < *size ? given : *size);
	memset(arg, 0, sizeof(arg));
	memcpy(arg, body, (size_t)(*data - body));
	if (head[3] % 4)
		store32(arg, q->vfio ? STRUCT_SIZE : given);
	tame(r, q, arg, given);
	r->sys->ops->ioctl(r->sys, r->files[head[1] % FILES], q->number, arg);
}

static void access_file(struct run *r, const uint8_t **data, size_t *size)
{
	const uint8_t *head = take(data, size, 8);

	if (head)
		fuzz_access(r->sys, r->files[head[2] % FILES], head[0] & 1, head[1] % 10,
			    load32(head + 4) & 0xfffff, head[3] % 9,
			    load32(head) | (uint64_t)load32(head + 4) << 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char machine[] = "lpi-bits 14\ndevice 0000:01:00.0 bell vectors=16\ndevice "
				      "0000:02:00.0 bell msi=8\n";
	static const char *const paths[FILES] = { "/dev/iommu", "/dev/iommu",
						  "/dev/vfio/devices/vfio0",
						  "/dev/vfio/devices/vfio1" };
	static uint8_t *ram, *scratch;
	struct run r = { .eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	struct fuzz_device after;

	if (!ram) {
		ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
		scratch = calloc(1, SCRATCH_SIZE);
	}
	r.sys = fuzz_host(machine);
	r.ram = ram;
	r.scratch = scratch;
	for (int i = 0; i < FILES; i++)
		r.files[i] = r.sys->ops->open(r.sys, paths[i], O_RDWR);
	while (size >= 4) {
		const uint8_t *kind = take(&data, &size, 1);

		switch (*kind % 8) {
		case 0:
			access_file(&r, &data, &size);
			break;
		case 1: {
			const uint8_t *at = take(&data, &size, 18);

			if (at)
				memcpy(scratch + at[0] * 16, at + 2, 16);
			break;
		}
		default:
			call(&r, &data, &size);
		}
	}
	for (int i = 0; i < FILES; i++)
		if (r.files[i] >= 0)
			r.sys->ops->close(r.sys, r.files[i]);
	close(r.eventfd);
	fuzz_begin(&after, r.sys);
	fuzz_must_work(&after);
	fuzz_end(&after);
	return 0;
}
