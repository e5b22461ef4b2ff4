/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts and invalidation through the library on the software host: a message from the endpoint to an eventfd, commands to the SMMU. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "subjects.h"
#include "soft/endpoints/bell.h"
#include "vm/vm.h"

#define VECTORS 64
#define ROUNDS 400
#define DELIVERY_NS 100		/* what may come on top of the eventfd write */
#define BATCH 256

static int open_armed(void **state)
{
	return bell_vm_open((struct bell_vm **)state, VECTORS);
}

static void teardown(void *state)
{
	bell_vm_close(state);
}

/* --- Delivery --- */

static int drain(const struct vm_device *d, uint64_t expected)
{
	uint64_t count, sum = 0;

	for (unsigned int i = 0; i < VECTORS; i++)
		if (read(d->eventfds[i], &count, sizeof(count)) == sizeof(count))
			sum += count;
	return sum == expected ? 0 : -EIO;
}

/* The same eventfds, in the same order, with nobody blocked on them. */
static int write_eventfds(const struct vm_device *d, unsigned int count)
{
	uint64_t one = 1;

	for (unsigned int i = 0; i < count; i++)
		if (write(d->eventfds[i], &one, sizeof(one)) != sizeof(one))
			return -EIO;
	return 0;
}

/*
 * Both in turn, in blocks of 64, so that what disturbs the one disturbs the other; of each the
 * median block. One register write makes the endpoint raise all vectors once: what the register
 * costs is shared by 64 messages.
 */
static int run_msi(void *state, struct bench_sample *s)
{
	struct vm_device *d = &((struct bell_vm *)state)->vm.devices[0];
	double message[ROUNDS], plain[ROUNDS];
	int ret = 0;

	for (unsigned int r = 0; r < ROUNDS && !ret; r++) {
		uint64_t start = bench_now_ns(), middle;

		ret = write_eventfds(d, VECTORS);
		middle = bench_now_ns();
		ret = ret ? ret : vm_bell_write(d, BELL_RINGS, VECTORS, 4);
		plain[r] = (double)(middle - start) / VECTORS;
		message[r] = (double)(bench_now_ns() - middle) / VECTORS;
	}
	s->limit = bench_median(plain, ROUNDS) + DELIVERY_NS;
	s->value = bench_median(message, ROUNDS);
	return ret ? ret : drain(d, 2 * ROUNDS * VECTORS);
}

/* A reader that sleeps in read(2) and notes when it woke. */
struct sleeper {
	int fd;
	_Atomic uint64_t woke;
	atomic_bool stop;
};

static void *sleep_and_wake(void *arg)
{
	struct sleeper *s = arg;
	struct pollfd poller = { .fd = s->fd, .events = POLLIN };
	uint64_t count;

	while (!atomic_load(&s->stop)) {
		if (poll(&poller, 1, 100) == 1 && read(s->fd, &count, sizeof(count)) == sizeof(count))
			atomic_store(&s->woke, bench_now_ns());
	}
	return NULL;
}

/* From the cause of an interrupt to the blocked reader's next instruction, ns. */
static double time_wake_ups(struct vm_device *d, struct sleeper *s, bool by_message)
{
	uint64_t sum = 0, one = 1;
	int rounds = 50;

	for (int r = 0; r < rounds; r++) {
		uint64_t start, woke;

		usleep(200);	/* let it sleep */
		atomic_store(&s->woke, 0);
		start = bench_now_ns();
		if (by_message ? vm_bell_write(d, BELL_RING, 0, 4) != 0 : write(s->fd, &one, sizeof(one)) != sizeof(one))
			return -1;
		while (!(woke = atomic_load(&s->woke)))
			;
		sum += woke - start;
	}
	return (double)sum / rounds;
}

static int run_wake_up(void *state, struct bench_sample *s)
{
	struct vm_device *d = &((struct bell_vm *)state)->vm.devices[0];
	struct sleeper sleeper = { .fd = d->eventfds[0] };
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleep_and_wake, &sleeper))
		return -EAGAIN;
	s->limit = time_wake_ups(d, &sleeper, false);
	s->value = time_wake_ups(d, &sleeper, true);
	atomic_store(&sleeper.stop, true);
	pthread_join(thread, NULL);
	return s->value > 0 && s->limit > 0 ? 0 : -EIO;
}

/* --- Invalidation --- */

static double time_invalidations(struct vm *vm, size_t batch)
{
	static uint64_t cmds[BATCH][2];
	unsigned int rounds = 4;
	uint64_t start;

	/* CMD_TLBI_NH_VA of pages in a row, as a guest sends them after unmapping a buffer. */
	for (unsigned int i = 0; i < BATCH; i++) {
		cmds[i][0] = 0x12 | 5ull << 48;
		cmds[i][1] = (VM_RAM_IPA + i * 4096) | 1;
	}
	start = bench_now_ns();
	for (unsigned int r = 0; r < rounds; r++)
		for (size_t i = 0; i < BATCH; i += batch)
			if (db_viommu_invalidate(vm->viommu, (const uint64_t (*)[2])cmds + i, batch, NULL))
				return -1;
	return (double)(bench_now_ns() - start) / (rounds * BATCH);
}

static int run_invalidate_batch(void *state, struct bench_sample *s)
{
	struct bell_vm *b = state;

	s->value = time_invalidations(&b->vm, BATCH);
	s->limit = time_invalidations(&b->vm, 1);
	return s->value > 0 && s->limit > 0 ? 0 : -EIO;
}

const struct bench bench_msi[] = {
	{ "msi_eventfd", "ns", "eventfd write + 100 ns", 1, open_armed, run_msi, teardown },
	{ "msi_wake_up", "ns", "waking the same reader by a plain eventfd write", 0, open_armed, run_wake_up, teardown },
	{ "invalidate_batch", "ns/command", "one ioctl a command", 0.5, open_armed, run_invalidate_batch, teardown },
	{ 0 },
};
