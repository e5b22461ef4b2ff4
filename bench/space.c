/* SPDX-License-Identifier: BSD-2-Clause */
/* Mapping guest memory: 1 GiB in pieces of several sizes, and an address space of a million mappings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "abi/iommufd.h"
#include "subjects.h"
#include <doorbell/doorbell.h>

#define GIB (1ull << 30)
#define IPA 0x100000000ull
#define MILLION 1000000u
#define STRIDE 8192	/* a page and a hole: nothing can be merged */

struct space {
	struct db_sys *sys;
	int fd;
	uint32_t ioas;
	/* A nest parent stands on the IOAS, so that every mapping reaches a stage 2. */
	struct db_host *host;
	struct db_device *dev;
	struct db_space *space;
	struct db_viommu *viommu;
	uint8_t *memory;
	uint64_t mapped;	/* pieces, of the million */
};

static void teardown(void *state)
{
	struct space *s = state;

	if (s->fd >= 0)
		s->sys->ops->close(s->sys, s->fd);
	db_viommu_destroy(s->viommu);
	db_space_destroy(s->space);
	db_device_close(s->dev);
	db_host_close(s->host);
	if (s->sys)
		s->sys->ops->release(s->sys);
	if (s->memory)
		munmap(s->memory, GIB);
	free(s);
}

static int setup(void **state)
{
	static const char machine[] = "ram 64g\ndevice 0000:02:00.0 bell vectors=1\n";
	struct space *s = calloc(1, sizeof(*s));
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int ret;

	if (!s)
		return -ENOMEM;
	s->fd = -1;
	*state = s;
	s->memory = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->memory == MAP_FAILED)
		s->memory = NULL;
	ret = s->memory ? db_soft_host_create(machine, sizeof(machine) - 1, &s->sys) : -ENOMEM;
	ret = ret ? ret : db_host_open(s->sys, &s->host);
	ret = ret ? ret : db_device_open(s->host, "0000:02:00.0", 0, &s->dev);
	ret = ret ? ret : db_space_create(s->host, &s->space);
	ret = ret ? ret : db_viommu_create(s->space, s->dev, &s->viommu);
	if (!ret) {
		s->fd = s->sys->ops->open(s->sys, "/dev/iommu", 2);
		ret = s->fd < 0 ? s->fd : s->sys->ops->ioctl(s->sys, s->fd, IOMMU_IOAS_ALLOC, &alloc);
		s->ioas = alloc.out_ioas_id;
	}
	if (ret)
		teardown(s);
	return ret;
}

/* ns to map and unmap 1 GiB in pieces of @piece bytes. */
static double time_gib(struct space *s, uint64_t piece)
{
	uint64_t start = bench_cpu_ns();

	for (uint64_t off = 0; off < GIB; off += piece)
		if (db_space_map(s->space, IPA + off, s->memory + off, piece, DB_READ | DB_WRITE))
			return -1;
	for (uint64_t off = 0; off < GIB; off += piece)
		if (db_space_unmap(s->space, IPA + off, piece))
			return -1;
	return bench_cpu_ns() - start;
}

static int done(struct bench_sample *s)
{
	return s->value > 0 && s->limit > 0 ? 0 : -EIO;
}

/* The least that anybody does for the memory: the same number of naked system calls of the process's own kernel. */
static double time_mprotect(struct space *s, uint64_t piece)
{
	uint64_t start = bench_cpu_ns();

	for (uint64_t off = 0; off < GIB; off += piece) {
		if (mprotect(s->memory + off, piece, PROT_READ) || mprotect(s->memory + off, piece, PROT_READ | PROT_WRITE))
			return -1;
	}
	return bench_cpu_ns() - start;
}

static int run_1g(struct space *s, struct bench_sample *sample, uint64_t piece)
{
	double pieces = GIB / piece;

	sample->value = time_gib(s, piece) / pieces / 1e3;
	sample->limit = time_mprotect(s, piece) / pieces / 1e3;
	return done(sample);
}

static int run_1g_range(void *state, struct bench_sample *sample)
{
	return run_1g(state, sample, GIB);
}

static int run_1g_2m(void *state, struct bench_sample *sample)
{
	return run_1g(state, sample, 2 << 20);
}

static int run_1g_4k(void *state, struct bench_sample *sample)
{
	return run_1g(state, sample, 4096);
}

/* --- A million mappings --- */

static int map_piece(struct space *s, uint64_t i)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = s->ioas,
		.user_va = (uintptr_t)s->memory + i % (GIB / 4096) * 4096,
		.length = 4096,
		.iova = IPA + i * STRIDE,
	};

	return s->sys->ops->ioctl(s->sys, s->fd, IOMMU_IOAS_MAP, &map);
}

static int unmap_piece(struct space *s, uint64_t i)
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = s->ioas, .iova = IPA + i * STRIDE, .length = 4096 };

	return s->sys->ops->ioctl(s->sys, s->fd, IOMMU_IOAS_UNMAP, &unmap);
}

/* Removes and inserts again @rounds of @mappings, here and there; ns for each pair. */
static double time_replacing(struct space *s, uint64_t mappings, unsigned int rounds)
{
	uint64_t random = 88172645463325252ull, start = bench_cpu_ns();

	for (unsigned int r = 0; r < rounds; r++) {
		uint64_t i = bench_random(&random) % mappings;

		if (unmap_piece(s, i) || map_piece(s, i))
			return -1;
	}
	return (double)(bench_cpu_ns() - start) / rounds;
}

static int fill(struct space *s, uint64_t count)
{
	for (; s->mapped < count; s->mapped++) {
		int ret = map_piece(s, s->mapped);

		if (ret)
			return ret;
	}
	return 0;
}

static int empty(struct space *s)
{
	struct iommu_ioas_unmap all = { .size = sizeof(all), .ioas_id = s->ioas, .length = UINT64_MAX };
	int ret = s->sys->ops->ioctl(s->sys, s->fd, IOMMU_IOAS_UNMAP, &all);

	s->mapped = 0;
	return ret;
}

static int run_million(void *state, struct bench_sample *sample)
{
	struct space *s = state;
	int ret;

	/* Each run begins with the small one, whose cost is the limit. */
	ret = s->mapped ? empty(s) : 0;
	ret = ret ? ret : fill(s, 1000);
	if (ret)
		return ret;
	sample->limit = time_replacing(s, 1000, 20000);
	ret = fill(s, MILLION);
	if (ret)
		return ret;
	sample->value = time_replacing(s, MILLION, 20000);
	return done(sample);
}

const struct bench bench_space[] = {
	{ "map_1g_range", "us", "two mprotect() calls over the same memory", 0, setup, run_1g_range, teardown },
	{ "map_1g_2m", "us/piece", "two mprotect() calls a piece", 0, setup, run_1g_2m, teardown },
	{ "map_1g_4k", "us/piece", "two mprotect() calls a piece", 0, setup, run_1g_4k, teardown },
	/* log2(1,000,000) / log2(1,000) is 2; a tree of a million does not fit the caches, hence the rest. */
	{ "ioas_million", "ns", "unmap and map among 1,000 mappings", 4, setup, run_million, teardown },
	{ 0 },
};
