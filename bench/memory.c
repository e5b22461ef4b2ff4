/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for each mapping, device and vector, library and software host together: how much more the process has resident with many of
 * them than with one. Measured once; the numbers do not depend on a machine's speed.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "subjects.h"
#include "vm/vm.h"

#define DEVICES 512
#define VECTORS 2048
#define VECTOR_DEVICES 8
#define MAPPINGS 262144u
#define STRIDE 8192		/* a page and a hole: nothing can be merged */
#define MAPPING_IPA 0x100000000ull

struct memory {
	double bytes;
};

static void teardown(void *state)
{
	free(state);
}

static int run(void *state, struct bench_sample *s, double budget)
{
	*s = (struct bench_sample){ ((struct memory *)state)->bytes, budget };
	return 0;
}

/* A VM with up to @devices bells of @vectors vectors, of which it has the first. */
static int open_bells(struct bell_vm *b, unsigned int devices, unsigned int vectors)
{
	static const char *const first[] = { "0000:00:00.0" };
	char machine[128];
	int ret;

	b->vm.share_eventfds = true;
	b->vm.most_devices = devices;
	ret = db_soft_host_create(machine, vm_bells(machine, sizeof(machine), devices, vectors), &b->sys);
	if (ret)
		return ret;
	ret = vm_open(&b->vm, b->sys, first, 1, 0);
	if (ret)
		b->sys->ops->release(b->sys);
	return ret;
}

static void close_bells(struct bell_vm *b)
{
	vm_close(&b->vm);
	b->sys->ops->release(b->sys);
}

static int add_devices(struct bell_vm *b, unsigned int count)
{
	char address[VM_ADDRESS];
	int ret = 0;

	for (unsigned int i = b->vm.n_devices; i < count && !ret; i++) {
		vm_bell_address(address, i);
		ret = vm_add_device(&b->vm, address, 0);
	}
	return ret;
}

static int measured(int ret, uint64_t before, unsigned int count, void **state)
{
	struct memory *m = ret ? NULL : malloc(sizeof(*m));

	if (!m)
		return ret ? ret : -ENOMEM;
	m->bytes = (double)(bench_resident() - before) / count;
	*state = m;
	return 0;
}

static int measure_devices(void **state)
{
	struct bell_vm b = { 0 };
	uint64_t before;
	int ret = open_bells(&b, DEVICES, 1);

	if (ret)
		return ret;
	before = bench_resident();
	ret = measured(add_devices(&b, DEVICES), before, DEVICES - 1, state);
	close_bells(&b);
	return ret;
}

static int measure_vectors(void **state)
{
	struct bell_vm b = { 0 };
	uint64_t before;
	int ret = open_bells(&b, VECTOR_DEVICES, VECTORS);

	if (ret)
		return ret;
	ret = add_devices(&b, VECTOR_DEVICES);
	before = bench_resident();
	for (unsigned int i = 0; i < VECTOR_DEVICES && !ret; i++)
		ret = vm_arm(&b.vm.devices[i], 0, VECTORS);
	ret = measured(ret, before, VECTOR_DEVICES * VECTORS, state);
	close_bells(&b);
	return ret;
}

/* With a nest parent on the address space, so that stage 2 is in it; the mapped memory itself is not touched. */
static int measure_mappings(void **state)
{
	struct bell_vm b = { 0 };
	uint64_t before;
	char *page;
	int ret = open_bells(&b, 1, 1);

	if (ret)
		return ret;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		ret = -ENOMEM;
	before = bench_resident();
	for (uint64_t i = 0; i < MAPPINGS && !ret; i++)
		ret = db_space_map(b.vm.space, MAPPING_IPA + i * STRIDE, page, 4096, DB_READ | DB_WRITE);
	ret = measured(ret, before, MAPPINGS, state);
	if (page != MAP_FAILED)
		munmap(page, 4096);
	close_bells(&b);
	return ret;
}

static int run_mapping(void *state, struct bench_sample *s)
{
	return run(state, s, 512);
}

static int run_device(void *state, struct bench_sample *s)
{
	return run(state, s, 65536);
}

static int run_vector(void *state, struct bench_sample *s)
{
	return run(state, s, 512);
}

const struct bench bench_memory[] = {
	{ "memory_mapping", "bytes", "a budget of 512, stage 2 included", 1, measure_mappings, run_mapping, teardown },
	{ "memory_device", "bytes", "a budget of 64 KiB", 1, measure_devices, run_device, teardown },
	{ "memory_vector", "bytes", "a budget of 512", 1, measure_vectors, run_vector, teardown },
	{ 0 },
};
