/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest does to its MSI-X table: vectors that come up one by one, as Linux guests enable them, and all at once; what that takes in
 * time, ioctls and allocations; and interrupts of vectors that are masked.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "subjects.h"
#include "count.h"
#include "soft/endpoints/bell.h"
#include "vm/vm.h"

#define MOST_VECTORS 2048
#define FEW_VECTORS 128
#define CONTROL_ENABLE 0x8000
#define CONTROL_MASK 0x4000	/* of the function */

/* What it took to enable vectors, for each. */
struct taken {
	double us, ioctls, allocations;
};

static int open_vm(void **state)
{
	return bell_vm_open((struct bell_vm **)state, 0);
}

static void teardown(void *state)
{
	bell_vm_close(state);
}

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	const struct vm_device *d = ctx;

	(void)route;
	return d->eventfds[index];
}

static int create(struct vm_device *d, struct db_vmsix **out)
{
	static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };

	return db_vmsix_create(d->msi, &ops, d, out);
}

static int unmask(struct db_vmsix *vmsix, unsigned int index)
{
	int ret = db_vmsix_table_write(vmsix, 16 * index, 8, VM_GIOVA);

	ret = ret ? ret : db_vmsix_table_write(vmsix, 16 * index + 8, 4, index);
	return ret ? ret : db_vmsix_table_write(vmsix, 16 * index + 12, 4, 0);
}

/* Linux enables MSI-X with all masked; the function's mask goes when the entries are set up. */
static int enable_one_by_one(struct db_vmsix *vmsix, unsigned int count)
{
	int ret = db_vmsix_control_write(vmsix, CONTROL_ENABLE | CONTROL_MASK);

	ret = ret ? ret : db_vmsix_control_write(vmsix, CONTROL_ENABLE);
	for (unsigned int i = 0; i < count && !ret; i++)
		ret = unmask(vmsix, i);
	return ret;
}

/* All entries are written and unmasked before MSI-X is enabled. */
static int enable_at_once(struct db_vmsix *vmsix, unsigned int count)
{
	int ret = 0;

	for (unsigned int i = 0; i < count && !ret; i++)
		ret = unmask(vmsix, i);
	return ret ? ret : db_vmsix_control_write(vmsix, CONTROL_ENABLE);
}

static int measure(struct bell_vm *b, int (*enable)(struct db_vmsix *, unsigned int), unsigned int count, struct taken *taken)
{
	struct db_vmsix *vmsix;
	uint64_t start, allocations;
	int ret = create(&b->vm.devices[0], &vmsix);

	if (ret)
		return ret;
	count_begin(b->sys);
	allocations = count_allocations();
	start = bench_cpu_ns();
	ret = enable(vmsix, count);
	taken->us = (bench_cpu_ns() - start) / 1e3 / count;
	taken->allocations = (double)(count_allocations() - allocations) / count;
	taken->ioctls = (double)count_ioctls() / count;
	count_end(b->sys);
	db_vmsix_destroy(vmsix);
	return ret;
}

static int run_enable_one_by_one(void *state, struct bench_sample *s)
{
	struct taken many, few;
	int ret = measure(state, enable_one_by_one, MOST_VECTORS, &many);

	ret = ret ? ret : measure(state, enable_one_by_one, FEW_VECTORS, &few);
	*s = (struct bench_sample){ many.us, few.us };
	return ret;
}

static int run_enable_at_once(void *state, struct bench_sample *s)
{
	struct taken together, single;
	int ret = measure(state, enable_at_once, MOST_VECTORS, &together);

	ret = ret ? ret : measure(state, enable_one_by_one, MOST_VECTORS, &single);
	*s = (struct bench_sample){ together.us, single.us };
	return ret;
}

/* In a VM of its own: what is in force already would cost nothing. */
static int measure_first(int (*enable)(struct db_vmsix *, unsigned int), unsigned int count, struct taken *taken)
{
	struct bell_vm *b;
	int ret = bell_vm_open(&b, 0);

	if (ret)
		return ret;
	ret = measure(b, enable, count, taken);
	bell_vm_close(b);
	return ret;
}

static int run_ioctls(void *state, struct bench_sample *s)
{
	struct taken taken;
	int ret = measure_first(enable_one_by_one, MOST_VECTORS, &taken);

	(void)state;
	*s = (struct bench_sample){ taken.ioctls, 2 };
	return ret;
}

static int run_allocations(void *state, struct bench_sample *s)
{
	struct taken many, few;
	int ret = measure_first(enable_one_by_one, MOST_VECTORS, &many);

	(void)state;
	ret = ret ? ret : measure_first(enable_one_by_one, FEW_VECTORS, &few);
	*s = (struct bench_sample){ many.allocations, few.allocations };
	return ret;
}

static int run_ioctls_at_once(void *state, struct bench_sample *s)
{
	struct taken taken;
	int ret = measure_first(enable_at_once, MOST_VECTORS, &taken);

	(void)state;
	*s = (struct bench_sample){ taken.ioctls * MOST_VECTORS, 2 };
	return ret;
}

static int run_allocations_at_once(void *state, struct bench_sample *s)
{
	struct taken together, single;
	int ret = measure_first(enable_at_once, MOST_VECTORS, &together);

	(void)state;
	ret = ret ? ret : measure_first(enable_one_by_one, MOST_VECTORS, &single);
	*s = (struct bench_sample){ together.allocations, single.allocations };
	return ret;
}

/* --- Bursts --- */

#define BURST 64
#define ROUNDS 400

struct masked {
	struct bell_vm *b;
	struct db_vmsix *vmsix;
};

static void burst_teardown(void *state)
{
	struct masked *m = state;

	db_vmsix_destroy(m->vmsix);
	bell_vm_close(m->b);
	free(m);
}

static int burst_setup(void **state)
{
	struct masked *m = calloc(1, sizeof(*m));
	int ret;

	if (!m)
		return -ENOMEM;
	ret = bell_vm_open(&m->b, 0);
	if (ret) {
		free(m);
		return ret;
	}
	*state = m;
	ret = create(&m->b->vm.devices[0], &m->vmsix);
	ret = ret ? ret : enable_one_by_one(m->vmsix, BURST);
	if (ret)
		burst_teardown(m);
	return ret;
}

/* Sum of the eventfds, and empties them. */
static uint64_t drain(const struct vm_device *d)
{
	uint64_t count, sum = 0;

	for (unsigned int i = 0; i < BURST; i++)
		if (read(d->eventfds[i], &count, sizeof(count)) == sizeof(count))
			sum += count;
	return sum;
}

static int time_eventfds(const struct vm_device *d, double *ns)
{
	uint64_t one = 1, start = bench_now_ns();

	for (unsigned int i = 0; i < BURST; i++)
		if (write(d->eventfds[i], &one, sizeof(one)) != sizeof(one))
			return -EIO;
	*ns = (double)(bench_now_ns() - start) / BURST;
	return 0;
}

static int time_burst(struct vm_device *d, double *ns)
{
	uint64_t start = bench_now_ns();
	int ret = vm_bell_write(d, BELL_RINGS, BURST, 4);

	*ns = (double)(bench_now_ns() - start) / BURST;
	return ret;
}

/* The guest has masked its vectors, and all are pending: one more message of each changes nothing; unmasked, there is one of each. */
static int run_burst(void *state, struct bench_sample *s)
{
	struct masked *m = state;
	struct vm_device *d = &m->b->vm.devices[0];
	double burst[ROUNDS], plain[ROUNDS];
	int ret = db_vmsix_control_write(m->vmsix, CONTROL_ENABLE | CONTROL_MASK);

	for (unsigned int r = 0; r < ROUNDS && !ret; r++) {
		ret = time_eventfds(d, &plain[r]);
		ret = ret ? ret : time_burst(d, &burst[r]);
	}
	if (!ret && drain(d) != ROUNDS * BURST)
		ret = -EIO;
	ret = ret ? ret : db_vmsix_control_write(m->vmsix, CONTROL_ENABLE);
	if (!ret && drain(d) != BURST)
		ret = -EIO;
	if (!ret)
		*s = (struct bench_sample){ bench_median(burst, ROUNDS), bench_median(plain, ROUNDS) };
	return ret;
}

const struct bench bench_vmsix[] = {
	{ "msi_burst", "ns", "an eventfd write: what is pending already makes none", 1, burst_setup, run_burst, burst_teardown },
	{ "enable_vectors_2048", "us/vector", "the same for 128 vectors: more than that is not linear", 1.5, open_vm, run_enable_one_by_one,
	  teardown },
	{ "enable_vectors_at_once", "us/vector", "one by one", 1, open_vm, run_enable_at_once, teardown },
	{ "enable_ioctls", "ioctls/vector", "one for the address, one for the eventfd", 1.01, NULL, run_ioctls, NULL },
	{ "enable_allocations", "allocs/vector", "the same for 128 vectors", 1.01, NULL, run_allocations, NULL },
	{ "enable_ioctls_at_once", "ioctls", "one for all addresses, one for all eventfds", 1, NULL, run_ioctls_at_once, NULL },
	{ "enable_allocs_at_once", "allocs/vector", "one by one", 1, NULL, run_allocations_at_once, NULL },
	{ 0 },
};
