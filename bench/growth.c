/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the cost of an operation grows: the same operation with 1 to thousands (or a million) of what is there already. What is measured is
 * one operation, so a curve should be flat, or rise as a logarithm does. Each point is the processor time of the fastest of several blocks of
 * operations: what others do on the machine makes blocks slower, never faster.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arm/smmu_build.h"
#include "subjects.h"
#include "soft/endpoints/bell.h"
#include "vm/vm.h"

#define BLOCKS 7
#define OPERATIONS 8		/* a block, of those that change what is there */
#define LOOKS 64		/* a block, of those that do not */
#define MAP_IPA 0x10000000000ull
#define KIB 1024ull
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

/* The fastest block so far; ns for each operation. */
struct best {
	double ns;
};

static void note(struct best *best, uint64_t start, unsigned int operations)
{
	double ns = (double)(bench_cpu_ns() - start) / operations;

	if (!best->ns || ns < best->ns)
		best->ns = ns;
}

/* --- The report --- */

/* The curve of @operation on @axis, begun with its first point. */
static json_t *curve(json_t *report, const char *axis, const char *operation)
{
	json_t *c;
	size_t i;

	json_array_foreach(report, i, c) {
		if (!strcmp(json_string_value(json_object_get(c, "axis")), axis) &&
		    !strcmp(json_string_value(json_object_get(c, "operation")), operation))
			return c;
	}
	c = json_pack("{s:s, s:s, s:s, s:[]}", "axis", axis, "operation", operation, "unit", "ns", "points");
	json_array_append_new(report, c);
	return c;
}

static void point(json_t *report, const char *axis, const char *operation, uint64_t size, const struct best *best)
{
	json_array_append_new(json_object_get(curve(report, axis, operation), "points"), json_pack("[I, f]", (json_int_t)size, best->ns));
	fprintf(stderr, "%s: %s, %llu: %.0f ns\n", axis, operation, (unsigned long long)size, best->ns);
}

/* --- Operations --- */

static int read_of_device(struct vm_device *d, uint64_t from)
{
	int ret = vm_bell_write(d, BELL_SRC, from, 8);

	ret = ret ? ret : vm_bell_write(d, BELL_DST, VM_RAM_IPA + VM_BUFFERS, 8);
	ret = ret ? ret : vm_bell_write(d, BELL_LEN, 8, 4);
	return ret ? ret : vm_bell_write(d, BELL_GO, UINT32_MAX, 4);
}

static int invalidate_page(struct vm *vm, uint64_t addr)
{
	const uint64_t cmd[1][2] = { { 0x12 | 5ull << 48, (addr & ~0xfffull) | 1 } };	/* CMD_TLBI_NH_VA */

	return db_viommu_invalidate(vm->viommu, cmd, 1, NULL);
}

static int measure_invalidation(struct vm *vm, uint64_t addr, struct best *best)
{
	int ret = 0;

	for (unsigned int block = 0; block < BLOCKS && !ret; block++) {
		uint64_t start = bench_cpu_ns();

		for (unsigned int i = 0; i < LOOKS && !ret; i++)
			ret = invalidate_page(vm, addr);
		note(best, start, LOOKS);
	}
	return ret;
}

/* --- Vectors --- */

struct guest {
	struct vm_device *d;
};

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	const struct guest *g = ctx;

	(void)route;
	return g->d->eventfds[index];
}

static int unmask(struct db_vmsix *vmsix, unsigned int index)
{
	int ret = db_vmsix_table_write(vmsix, 16 * index, 8, VM_GIOVA);

	ret = ret ? ret : db_vmsix_table_write(vmsix, 16 * index + 8, 4, index);
	return ret ? ret : db_vmsix_table_write(vmsix, 16 * index + 12, 4, 0);
}

/* One guest's start: vectors come up one by one, and what each costs is kept where it counts. */
static int bring_up(struct vm_device *d, const unsigned int *sizes, unsigned int n, struct best *best)
{
	static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };
	struct guest g = { d };
	struct db_vmsix *vmsix;
	unsigned int up = 0;
	int ret = db_vmsix_create(d->msi, &ops, &g, &vmsix);

	if (ret)
		return ret;
	ret = db_vmsix_control_write(vmsix, 0x8000);
	for (unsigned int s = 0; s < n && !ret; s++) {
		unsigned int end = sizes[s] + OPERATIONS < d->vectors ? sizes[s] + OPERATIONS : d->vectors;
		uint64_t start;

		for (; up < end - OPERATIONS && !ret; up++)
			ret = unmask(vmsix, up);
		start = bench_cpu_ns();
		for (; up < end && !ret; up++)
			ret = unmask(vmsix, up);
		note(&best[s], start, OPERATIONS);
	}
	db_vmsix_destroy(vmsix);
	return ret;
}

static int interrupts(struct vm_device *d, unsigned int vectors, struct best *best)
{
	int ret = 0;

	for (unsigned int block = 0; block < BLOCKS && !ret; block++) {
		unsigned int rings = vectors < LOOKS ? LOOKS / vectors : 1;
		uint64_t start = bench_cpu_ns();

		for (unsigned int i = 0; i < rings && !ret; i++)
			ret = vm_bell_write(d, BELL_RINGS, vectors, 4);
		note(best, start, rings * vectors);
	}
	return ret;
}

static int grow_vectors(json_t *report)
{
	static const unsigned int sizes[] = { 1, 16, 64, 256, 1024, 2048 };
	enum { N = sizeof(sizes) / sizeof(*sizes) };
	struct best enable[N] = { 0 }, arm[N] = { 0 }, ring[N] = { 0 };
	struct bell_vm *b;
	struct vm_device *d;
	int ret = bell_vm_open(&b, 0);

	if (ret)
		return ret;
	d = &b->vm.devices[0];
	for (unsigned int block = 0; block < BLOCKS && !ret; block++)
		ret = bring_up(d, sizes, N, enable);
	for (unsigned int s = 0; s < N && !ret; s++) {
		for (unsigned int block = 0; block < BLOCKS && !ret; block++) {
			uint64_t start = bench_cpu_ns();

			ret = vm_arm(d, 0, sizes[s]);
			note(&arm[s], start, sizes[s]);
			ret = ret || block ? ret : interrupts(d, sizes[s], &ring[s]);
			ret = ret ? ret : vm_disarm(d, 0, sizes[s]);
		}
		if (ret)
			break;
		point(report, "vectors", "enable one more vector", sizes[s], &enable[s]);
		point(report, "vectors", "enable all at once, a vector", sizes[s], &arm[s]);
		point(report, "vectors", "interrupt", sizes[s], &ring[s]);
	}
	bell_vm_close(b);
	return ret;
}

/* --- Devices --- */

static int add_devices(struct vm *vm, unsigned int count)
{
	char address[VM_ADDRESS];
	int ret = 0;

	while (vm->n_devices < count && !ret) {
		vm_bell_address(address, vm->n_devices);
		ret = vm_add_device(vm, address, 1);
	}
	return ret;
}

static int measure_devices(struct vm *vm, json_t *report, unsigned int size, char *page)
{
	struct best attach = { 0 }, detach = { 0 }, ring = { 0 }, invalidate = { 0 }, map = { 0 }, ste = { 0 };
	unsigned int next = 0;
	int ret = 0;

	/* The first interrupt of each fills caches. */
	for (unsigned int i = 0; i < size && !ret; i++)
		ret = vm_bell_write(&vm->devices[i], BELL_RING, 0, 4);
	for (unsigned int block = 0; block < BLOCKS && !ret; block++) {
		uint64_t start = bench_cpu_ns();

		ret = add_devices(vm, size + OPERATIONS);
		note(&attach, start, OPERATIONS);
		start = bench_cpu_ns();
		while (vm->n_devices > size)
			vm_remove_device(vm);
		note(&detach, start, OPERATIONS);

		start = bench_cpu_ns();
		for (unsigned int i = 0; i < LOOKS && !ret; i++, next++)
			ret = vm_bell_write(&vm->devices[next * 7919u % size], BELL_RING, 0, 4);
		note(&ring, start, LOOKS);

		start = bench_cpu_ns();
		for (unsigned int i = 0; i < OPERATIONS && !ret; i++) {
			ret = db_space_map(vm->space, MAP_IPA, page, 4096, DB_READ);
			ret = ret ? ret : db_space_unmap(vm->space, MAP_IPA, 4096);
		}
		note(&map, start, OPERATIONS);

		start = bench_cpu_ns();
		for (unsigned int i = 0; i < OPERATIONS && !ret; i++, next++)
			ret = db_viommu_install_ste(vm->viommu, vm->devices[next * 7919u % size].dev, vm->s1.ste);
		note(&ste, start, OPERATIONS);
	}
	ret = ret ? ret : measure_invalidation(vm, VM_GIOVA_PAGE, &invalidate);
	if (ret)
		return ret;
	point(report, "devices", "attach one more device", size, &attach);
	point(report, "devices", "detach a device", size, &detach);
	point(report, "devices", "interrupt of any device", size, &ring);
	point(report, "devices", "map and unmap a page", size, &map);
	point(report, "devices", "install an STE", size, &ste);
	point(report, "devices", "invalidate a page", size, &invalidate);
	return 0;
}

static int grow_devices(json_t *report)
{
	static const unsigned int sizes[] = { 1, 4, 16, 64, 256, 1024 };
	struct vm vm = { .share_eventfds = true, .most_devices = 1024 + OPERATIONS };
	struct db_sys *sys;
	char machine[128], *page;
	int ret = db_soft_host_create(machine, vm_bells(machine, sizeof(machine), vm.most_devices, 1), &sys);

	if (ret)
		return ret;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ret = page == MAP_FAILED ? -ENOMEM : vm_open(&vm, sys, NULL, 0, 0);
	if (!ret) {
		for (unsigned int s = 0; s < sizeof(sizes) / sizeof(*sizes) && !ret; s++) {
			ret = add_devices(&vm, sizes[s]);
			ret = ret ? ret : measure_devices(&vm, report, sizes[s], page);
		}
		vm_close(&vm);
	}
	if (page != MAP_FAILED)
		munmap(page, 4096);
	sys->ops->release(sys);
	return ret;
}

/* --- Mapped memory --- */

/* A VM whose device sees guest-physical addresses, and much memory to map. */
struct mapper {
	struct bell_vm *b;
	char *memory;		/* MEMORY bytes, of which hardly any is ever touched */
	uint64_t piece, stride;
	uint64_t mapped;	/* pieces */
};

#define MEMORY (64 * GIB)

static int mapper_open(struct mapper *m)
{
	uint64_t ste[8];
	char *memory;
	int ret = bell_vm_open(&m->b, 0);

	if (ret)
		return ret;
	/* Aligned as an operator of large pages has it. */
	memory = mmap(NULL, MEMORY + GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		bell_vm_close(m->b);
		return -ENOMEM;
	}
	m->memory = memory + (GIB - (uintptr_t)memory % GIB) % GIB;
	munmap(memory, m->memory - memory);
	munmap(m->memory + MEMORY, memory + GIB - m->memory);
	smmu_ste_bypass(ste);
	ret = db_viommu_install_ste(m->b->vm.viommu, m->b->vm.devices[0].dev, ste);
	return ret;
}

static void mapper_close(struct mapper *m)
{
	bell_vm_close(m->b);
	munmap(m->memory, MEMORY);
}

/* Every piece is the same memory: that a page is touched for the first time should not be in a look-up's cost. */
static int map_piece(struct mapper *m, uint64_t i)
{
	return db_space_map(m->b->vm.space, MAP_IPA + i * m->stride, m->memory, m->piece, DB_READ | DB_WRITE);
}

static int unmap_piece(struct mapper *m, uint64_t i)
{
	return db_space_unmap(m->b->vm.space, MAP_IPA + i * m->stride, m->piece);
}

static int map_up_to(struct mapper *m, uint64_t count)
{
	int ret = 0;

	for (; m->mapped < count && !ret; m->mapped++)
		ret = map_piece(m, m->mapped);
	return ret;
}

/* With @count pieces mapped: takes some out and puts them back, looks others up, invalidates one. */
static int measure_pieces(struct mapper *m, json_t *report, const char *axis, uint64_t size, uint64_t count)
{
	struct best map = { 0 }, unmap = { 0 }, read = { 0 }, invalidate = { 0 };
	struct vm_device *d = &m->b->vm.devices[0];
	uint64_t random = 88172645463325252ull, start, victim[OPERATIONS];
	unsigned int n = count < OPERATIONS ? count : OPERATIONS;
	int ret = map_up_to(m, count);

	for (unsigned int block = 0; block < 3 * BLOCKS && !ret; block++) {
		/* Different ones: a stretch of the pieces each. */
		for (unsigned int i = 0; i < n; i++)
			victim[i] = count / n * i + bench_random(&random) % (count / n);
		start = bench_cpu_ns();
		for (unsigned int i = 0; i < n && !ret; i++)
			ret = unmap_piece(m, victim[i]);
		note(&unmap, start, n);
		start = bench_cpu_ns();
		for (unsigned int i = 0; i < n && !ret; i++)
			ret = map_piece(m, victim[i]);
		note(&map, start, n);
		start = bench_cpu_ns();
		for (unsigned int i = 0; i < LOOKS && !ret; i++)
			ret = read_of_device(d, MAP_IPA + bench_random(&random) % count * m->stride);
		note(&read, start, LOOKS);
	}
	ret = ret ? ret : measure_invalidation(&m->b->vm, MAP_IPA, &invalidate);
	if (ret)
		return ret;
	point(report, axis, "map a piece", size, &map);
	point(report, axis, "unmap a piece", size, &unmap);
	point(report, axis, "device access (look-up)", size, &read);
	point(report, axis, "invalidate a page", size, &invalidate);
	return 0;
}

static int grow_pieces(json_t *report, const char *axis, uint64_t piece, uint64_t stride, uint64_t most, bool in_bytes)
{
	struct mapper m = { .piece = piece, .stride = stride };
	uint64_t count = 1;
	int ret = mapper_open(&m);

	if (ret)
		return ret;
	for (;;) {
		ret = measure_pieces(&m, report, axis, in_bytes ? count * piece : count, count);
		if (ret || count == most)
			break;
		count = count * 8 < most ? count * 8 : most;
	}
	mapper_close(&m);
	return ret;
}

/* One mapping of all: what there is to do is a table entry for each GiB, and the first and last ones. */
static int grow_ranges(json_t *report)
{
	struct mapper m = { 0 };
	int ret = mapper_open(&m);

	if (ret)
		return ret;
	for (uint64_t size = 4 * KIB; size <= MEMORY && !ret; size = size == 4 * KIB ? 64 * KIB : size * 16) {
		struct best map = { 0 }, unmap = { 0 }, read = { 0 };
		uint64_t random = 88172645463325252ull;

		m.piece = m.stride = size;
		for (unsigned int block = 0; block < 3 * BLOCKS && !ret; block++) {
			uint64_t start = bench_cpu_ns();

			ret = map_piece(&m, 0);
			note(&map, start, 1);
			start = bench_cpu_ns();
			for (unsigned int i = 0; i < LOOKS && !ret; i++)
				/* One page of each GiB: others would be touched for the first time. */
				ret = read_of_device(&m.b->vm.devices[0], MAP_IPA + (bench_random(&random) % size & ~(GIB - 1)));
			note(&read, start, LOOKS);
			start = bench_cpu_ns();
			ret = ret ? ret : unmap_piece(&m, 0);
			note(&unmap, start, 1);
		}
		if (ret)
			break;
		point(report, "bytes mapped as one range", "map all", size, &map);
		point(report, "bytes mapped as one range", "unmap all", size, &unmap);
		point(report, "bytes mapped as one range", "device access (look-up)", size, &read);
	}
	mapper_close(&m);
	return ret;
}

static int grow_pages(json_t *report)
{
	return grow_pieces(report, "bytes mapped as 4 KiB pages", 4 * KIB, 4 * KIB, GIB / (4 * KIB), true);
}

static int grow_blocks(json_t *report)
{
	return grow_pieces(report, "bytes mapped as 2 MiB pieces", 2 * MIB, 2 * MIB, MEMORY / (2 * MIB), true);
}

static int grow_mappings(json_t *report)
{
	return grow_pieces(report, "mappings (4 KiB, with holes)", 4 * KIB, 8 * KIB, 1000000, false);
}

static const struct {
	const char *name;
	int (*grow)(json_t *report);
} axes[] = {
	{ "vectors", grow_vectors }, { "devices", grow_devices }, { "ranges", grow_ranges },
	{ "pages", grow_pages },     { "blocks", grow_blocks },	  { "mappings", grow_mappings },
};

bool bench_growth_knows(const char *axis)
{
	for (size_t i = 0; i < sizeof(axes) / sizeof(*axes); i++)
		if (!strcmp(axis, axes[i].name))
			return true;
	return false;
}

int bench_growth(json_t *report, char **names, int n_names)
{
	int ret = 0;

	for (size_t i = 0; i < sizeof(axes) / sizeof(*axes) && !ret; i++) {
		bool wanted = !n_names;

		for (int n = 0; n < n_names; n++)
			wanted |= !strcmp(names[n], axes[i].name);
		if (wanted)
			ret = axes[i].grow(report);
	}
	return ret;
}
