/* SPDX-License-Identifier: BSD-2-Clause */
/* 1,000 VMs with 2 devices of 64 vectors each on one software host: memory, set-up time, and what an interrupt costs then. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "subjects.h"
#include "soft/endpoints/bell.h"
#include "vm/vm.h"

#define VMS 1000
#define DEVICES 2
#define VECTORS 64
#define FIRST_VMS 250
#define ROUNDS 1000		/* of one VM */

struct fleet {
	struct db_sys *sys;
	struct vm *vms;
	unsigned int n;
	double setup_us;	/* a VM */
	double first_setup_us;	/* of the first ones */
	double bytes;		/* resident, a VM */
	double one_vm_ns;	/* an interrupt when there is only one VM */
};

/* A VM holds about ten descriptors, with one eventfd for all vectors of a device. */
#define DESCRIPTORS (VMS * 16)

static int raise_descriptor_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur >= DESCRIPTORS ? 0 : -EMFILE;
}

static int open_vm(struct fleet *f, unsigned int n)
{
	char text[DEVICES][VM_ADDRESS];
	const char *addresses[DEVICES];

	for (unsigned int i = 0; i < DEVICES; i++) {
		vm_bell_address(text[i], n * DEVICES + i);
		addresses[i] = text[i];
	}
	f->vms[n].share_eventfds = true;
	return vm_open(&f->vms[n], f->sys, addresses, DEVICES, VECTORS);
}

/* Opens VMs until there are @count. */
static int open_vms(struct fleet *f, unsigned int count)
{
	int ret = 0;

	while (f->n < count && !ret) {
		ret = open_vm(f, f->n);
		f->n += !ret;
	}
	return ret;
}

static double time_interrupts(struct fleet *f, unsigned int vms)
{
	uint64_t start = bench_cpu_ns();
	unsigned int count = 0;

	for (unsigned int r = 0; r < ROUNDS / vms; r++)
		for (unsigned int i = 0; i < vms; i++)
			for (unsigned int d = 0; d < DEVICES; d++, count++)
				if (vm_bell_write(&f->vms[i].devices[d], BELL_RINGS, VECTORS, 4))
					return -1;
	return (double)(bench_cpu_ns() - start) / ((double)count * VECTORS);
}

static void teardown(void *state)
{
	struct fleet *f = state;

	for (unsigned int i = 0; i < f->n; i++)
		vm_close(&f->vms[i]);
	if (f->sys)
		f->sys->ops->release(f->sys);
	free(f->vms);
	free(f);
}

static int setup(void **state)
{
	char machine[128];
	struct fleet *f = calloc(1, sizeof(*f));
	uint64_t start, before;
	int ret = raise_descriptor_limit();

	if (ret) {
		fprintf(stderr, "fleet: needs a limit of %d open files (ulimit -Hn)\n", DESCRIPTORS);
		free(f);
		return ret;
	}
	f->vms = calloc(VMS, sizeof(*f->vms));
	ret = db_soft_host_create(machine, vm_bells(machine, sizeof(machine), VMS * DEVICES, VECTORS), &f->sys);
	ret = ret ? ret : open_vms(f, 1);
	if (!ret)
		f->one_vm_ns = time_interrupts(f, 1);
	before = bench_resident();
	start = bench_cpu_ns();
	ret = ret ? ret : open_vms(f, 1 + FIRST_VMS);
	f->first_setup_us = (bench_cpu_ns() - start) / 1e3 / FIRST_VMS;
	ret = ret ? ret : open_vms(f, VMS);
	f->setup_us = (bench_cpu_ns() - start) / 1e3 / (VMS - 1);
	f->bytes = (double)(bench_resident() - before) / (VMS - 1);
	*state = f;
	if (ret) {
		fprintf(stderr, "fleet: VM %u: %s\n", f->n, db_error_message());
		teardown(f);
	}
	return ret;
}

static int run_interrupts(void *state, struct bench_sample *s)
{
	struct fleet *f = state;

	s->value = time_interrupts(f, VMS);
	s->limit = f->one_vm_ns;
	return s->value > 0 ? 0 : -EIO;
}

static int run_setup(void *state, struct bench_sample *s)
{
	struct fleet *f = state;

	*s = (struct bench_sample){ f->setup_us, f->first_setup_us };
	return 0;
}

static int run_memory(void *state, struct bench_sample *s)
{
	struct fleet *f = state;

	/* What the guest itself has touched of its RAM is in it: tables and CD, some pages. */
	*s = (struct bench_sample){ f->bytes / 1024, VM_RAM_SIZE / 1024.0 };
	return 0;
}

const struct bench bench_fleet[] = {
	{ "fleet_1000", "ns", "an interrupt with one VM instead of 1,000 (2 devices, 64 vectors each)", 1.3, setup, run_interrupts, teardown },
	{ "fleet_1000_setup", "us/VM", "set-up of the first 250 VMs", 1.5, setup, run_setup, teardown },
	{ "fleet_1000_memory", "KiB/VM", "the guest's own RAM, 2 MiB", 0, setup, run_memory, teardown },
	{ 0 },
};
