/* SPDX-License-Identifier: BSD-2-Clause */
#include "live.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arm/smmu_regs.h"
#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

#define LOST_MS 20000
#define COPY_PAUSE_US 100

/* --- The host, and what it takes --- */

static unsigned int entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void live_count(struct live_count *count)
{
	count->descriptors = entries("/proc/self/fd");
	count->threads = entries("/proc/self/task");
	count->allocations = soft_alloc_live();
}

static void *tell_id(void *id)
{
	*(pid_t *)id = gettid();
	return NULL;
}

/* With the first thread a sanitizer may start one of its own, which stays. The first is gone. */
static void start_first_thread(void)
{
	char task[64];
	pthread_t first;
	pid_t id;

	assert_int_equal(pthread_create(&first, NULL, tell_id, &id), 0);
	pthread_join(first, NULL);
	/* Who joined it may be told before the kernel's list is. */
	snprintf(task, sizeof(task), "/proc/self/task/%d", id);
	while (!access(task, F_OK))
		usleep(100);
}

/* Threads that were joined may still be listed for a moment: they get one. */
static void live_count_threads(struct live_count *now, unsigned int expected)
{
	live_count(now);
	for (unsigned int ms = 0; ms < LOST_MS && now->threads > expected; ms++) {
		usleep(1000);
		live_count(now);
	}
}

void live_host_begin(struct live_host *host, const char *kernel)
{
	char machine[256];
	int len = snprintf(machine, sizeof(machine),
			   "%sdevice " LIVE_FIRST " bell vectors=%u\ndevice " LIVE_SECOND
			   " bell vectors=%u\n",
			   kernel, LIVE_VECTORS, LIVE_VECTORS);

	start_first_thread();
	live_count(&host->before);
	if (db_soft_host_create(machine, len, &host->sys))
		fail_msg("%s", db_error_message());
}

void live_host_end(struct live_host *host)
{
	const struct soft_host *soft = (const struct soft_host *)host->sys;
	struct live_count now;

	assert_int_equal(soft->iommufd->pinned, 0);
	for (unsigned int fd = 0; fd < soft->n_files; fd++)
		assert_null(soft->files[fd]);
	host->sys->ops->release(host->sys);
	live_count_threads(&now, host->before.threads);
	assert_int_equal(now.descriptors, host->before.descriptors);
	assert_int_equal(now.threads, host->before.threads);
	assert_int_equal(now.allocations, host->before.allocations);
}

/* --- Traffic --- */

static bool ended(const struct live_traffic *t)
{
	return atomic_load(&t->live->stop) || t->wrong;
}

/* Whether a reset may have taken what was begun in @epoch. */
static bool excused(const struct live_traffic *t, unsigned int epoch)
{
	return t->live->care == LIVE_RESETS && (epoch & 1 || atomic_load(&t->live->epoch) != epoch);
}

/* Whether what has not come by now will not. A vector that is masked, by a reset or to be programmed,
 * holds its interrupt back until that is over. */
static bool taken_by_reset(const struct live_traffic *t, unsigned int epoch)
{
	return excused(t, epoch) && !atomic_load(&t->live->busy);
}

/* The next interrupt of an eventfd: there at once but for a vector that is being changed. NULL, or
 * what is wrong. */
static const char *await(const struct live_traffic *t, int fd, unsigned int epoch)
{
	eventfd_t count;
	bool last = false;

	for (unsigned int ms = 0; ms < LOST_MS; ms++) {
		struct pollfd poller = { .fd = fd, .events = POLLIN };

		if (!eventfd_read(fd, &count))
			return count == 1 || t->live->may_double ? NULL : "doubled or misrouted";
		if (last)
			return NULL;
		/* A doomed device loses what it likes, and its eventfds may be closed. */
		if (t->live->care == LIVE_DOOMED && (errno != EAGAIN || atomic_load(&t->live->stop)))
			return NULL;
		/* What came before that is seen by one more look. */
		last = taken_by_reset(t, epoch);
		if (!last)
			poll(&poller, 1, 1);
	}
	return "lost";
}

static void *ring(void *arg)
{
	struct live_traffic *t = arg;

	for (unsigned int i = 0; !ended(t); i++) {
		unsigned int epoch = atomic_load(&t->live->epoch);

		t->vector = i % LIVE_VECTORS;
		if (vm_bell_write(t->d, BELL_RING, t->vector, 4)) {
			if (t->live->care == LIVE_EXACT)
				t->wrong = "the device does not answer";
			if (t->live->care == LIVE_DOOMED)
				break;
			continue;
		}
		t->wrong = await(t, t->d->eventfds[t->vector], epoch);
		if (!t->wrong)
			atomic_fetch_add(&t->done, 1);
	}
	return NULL;
}

/* One copy of 64 bytes, marked with @number. 0, the bell's status, or -errno. */
static int copy_once(struct live_traffic *t, uint64_t number)
{
	struct vm *vm = &t->live->vm;
	uint64_t to = atomic_load(&t->live->copy_to);
	uint32_t status = ~0u;
	int ret;

	memcpy(vm->ram + LIVE_FROM(t->n), &number, sizeof(number));
	ret = vm_bell_write(t->d, BELL_SRC, VM_RAM_IPA + LIVE_FROM(t->n), 8);
	ret = ret ? ret
		  : vm_bell_write(t->d, BELL_DST, to ? to + t->n * 64 : VM_RAM_IPA + LIVE_TO(t->n),
				  8);
	ret = ret ? ret : vm_bell_write(t->d, BELL_LEN, 64, 4);
	ret = ret ? ret : vm_bell_write(t->d, BELL_GO, ~0u, 4);
	if (ret)
		return ret;
	ret = db_device_bar_read(t->d->dev, 0, &status, 4, BELL_STATUS);
	if (ret < 0 || status || to)
		return ret < 0 ? ret : (int)status;
	return memcmp(vm->ram + LIVE_TO(t->n), &number, sizeof(number)) ? -ENOMSG : 0;
}

static void *copy(void *arg)
{
	struct live_traffic *t = arg;

	for (uint64_t number = 1; !ended(t); number++) {
		unsigned int epoch = atomic_load(&t->live->epoch);
		int ret = copy_once(t, number);

		/* Memory traffic goes on, but it is the rings that are counted. */
		if (!atomic_load(&t->live->copy_to))
			usleep(COPY_PAUSE_US);

		if (!ret) {
			atomic_fetch_add(&t->done, 1);
		} else if (t->live->care == LIVE_DOOMED && ret < 0) {
			break;
		} else if (ret > 0 && (t->live->copies_may_abort || t->live->care == LIVE_DOOMED)) {
			atomic_fetch_add(&t->aborted, 1);
		} else if (!excused(t, epoch)) {
			t->wrong = ret == -ENOMSG ? "a copy did not arrive"
				   : ret < 0	  ? "the device does not answer"
						  : "a copy was aborted";
		}
	}
	return NULL;
}

/* --- The VM --- */

void live_open(struct live *l, struct live_host *host, const char *const *addresses,
	       unsigned int devices, bool armed)
{
	if (vm_open(&l->vm, host->sys, addresses, devices, armed ? LIVE_VECTORS : 0))
		fail_msg("%s", db_error_message());
}

void live_start(struct live *l)
{
	atomic_store(&l->stop, false);
	for (unsigned int n = 0; n < l->vm.n_devices; n++) {
		l->ringers[n] = (struct live_traffic){ .live = l, .d = &l->vm.devices[n], .n = n };
		l->copiers[n] = l->ringers[n];
		assert_int_equal(pthread_create(&l->ringers[n].thread, NULL, ring, &l->ringers[n]),
				 0);
		assert_int_equal(pthread_create(&l->copiers[n].thread, NULL, copy, &l->copiers[n]),
				 0);
	}
}

static void assert_right(const struct live_traffic *t, const char *what)
{
	if (t->wrong)
		fail_msg("%s, device %u, vector %u, after %lu: %s", what, t->n, t->vector,
			 atomic_load(&t->done), t->wrong);
}

void live_stop(struct live *l)
{
	uint64_t event[4], lost = 0;

	atomic_store(&l->stop, true);
	for (unsigned int n = 0; n < l->vm.n_devices; n++) {
		pthread_join(l->ringers[n].thread, NULL);
		pthread_join(l->copiers[n].thread, NULL);
	}
	for (unsigned int n = 0; n < l->vm.n_devices; n++) {
		assert_right(&l->ringers[n], "ringer");
		assert_right(&l->copiers[n], "copier");
		for (unsigned int v = 0;
		     v < LIVE_VECTORS && l->care != LIVE_DOOMED && !l->may_double; v++) {
			eventfd_t count;

			assert_int_equal(eventfd_read(l->vm.devices[n].eventfds[v], &count), -1);
		}
	}
	if (l->care == LIVE_EXACT && !l->copies_may_abort) {
		assert_int_equal(db_viommu_events(l->vm.viommu, &event, 1, &lost), 0);
		assert_int_equal(lost, 0);
	}
}

void live_close(struct live *l)
{
	vm_close(&l->vm);
}

/* --- How far it is --- */

uint64_t live_taken(struct live *l)
{
	uint64_t sum = 0;

	for (unsigned int n = 0; n < l->vm.n_devices; n++)
		sum += atomic_load(&l->ringers[n].done);
	return sum;
}

uint64_t live_wanted(double millions)
{
	const char *text = getenv("TRUST_MILLIONS");

	return (text ? strtod(text, NULL) : millions) * 1e6;
}

static unsigned long progress(struct live_traffic *t)
{
	return atomic_load(&t->done) + atomic_load(&t->aborted);
}

static void await_traffic(struct live_traffic *traffic, unsigned int devices, unsigned int n)
{
	for (unsigned int i = 0; i < devices; i++) {
		unsigned long until = progress(&traffic[i]) + n;

		/* A traffic thread that finds something wrong ends; live_stop() tells. */
		for (unsigned int us = 0; progress(&traffic[i]) < until && us < LOST_MS * 1000u;
		     us += 50)
			usleep(50);
	}
}

void live_await_rings(struct live *l, unsigned int n)
{
	await_traffic(l->ringers, l->vm.n_devices, n);
}

void live_await_copies(struct live *l, unsigned int n)
{
	await_traffic(l->copiers, l->vm.n_devices, n);
}

void live_epoch_begin(struct live *l)
{
	atomic_fetch_add(&l->epoch, 1);
}

void live_epoch_end(struct live *l)
{
	atomic_fetch_add(&l->epoch, 1);
}

/* --- What a guest does --- */

void live_commands(struct live *l, const uint64_t (*cmds)[2], size_t count)
{
	const uint64_t sync[1][2] = { { SMMU_CMD_OP_SYNC, 0 } };

	assert_int_equal(db_viommu_invalidate(l->vm.viommu, cmds, count, NULL), 0);
	assert_int_equal(db_viommu_invalidate(l->vm.viommu, sync, 1, NULL), 0);
}

void live_invalidate_page(struct live *l, uint64_t page, bool leaf)
{
	const uint64_t cmd[1][2] = { { SMMU_CMD_OP_TLBI_NH_VA |
					       FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, LIVE_ASID),
				       page | leaf } };

	live_commands(l, cmd, 1);
}

void live_map(struct live *l, uint64_t iova, uint64_t ipa, unsigned int prot)
{
	assert_int_equal(vmsa_map(&l->vm.s1.table, iova, ipa, 4096, prot | VMSA_NOT_GLOBAL), 0);
}

void live_unmap(struct live *l, uint64_t iova)
{
	uint64_t freed = 0;

	assert_int_equal(vmsa_unmap(&l->vm.s1.table, iova, 4096, &freed), 0);
	/* Tables that are given back must not be found any more either. */
	live_invalidate_page(l, iova, !freed);
	vmsa_release(&l->vm.s1.table, freed);
}

void live_program(struct live *l, uint64_t address)
{
	for (unsigned int n = 0; n < l->vm.n_devices; n++) {
		struct vm_device *d = &l->vm.devices[n];
		struct db_msi_vector vectors[LIVE_VECTORS];

		for (unsigned int v = 0; v < LIVE_VECTORS; v++)
			vectors[v] = (struct db_msi_vector){ address, d->eventfds[v] };
		if (db_msi_set(d->msi, 0, LIVE_VECTORS, vectors))
			fail_msg("%s", db_error_message());
	}
}

void live_install(struct live *l, const uint64_t ste[8])
{
	for (unsigned int n = 0; n < l->vm.n_devices; n++)
		if (db_viommu_install_ste(l->vm.viommu, l->vm.devices[n].dev, ste))
			fail_msg("%s", db_error_message());
}
