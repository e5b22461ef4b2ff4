/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes away while interrupts and DMA flow: the device, and any descriptor. Two VMs on one
 * host; one loses what the test takes, the other, the witness, notices nothing. What is left when
 * all have closed is what was there before.
 */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MILLIONS 0.02

struct scene {
	struct live_host host;
	struct live witness, victim;
};

static struct soft_host *soft(struct scene *s)
{
	return (struct soft_host *)s->host.sys;
}

static void begin(struct scene *s)
{
	static const char *const address[] = { LIVE_SECOND };

	memset(s, 0, sizeof(*s));
	live_host_begin(&s->host, "");
	live_open(&s->witness, &s->host, address, 1, true);
	live_start(&s->witness);
}

static void end(struct scene *s)
{
	live_stop(&s->witness);
	print_message("# %u changes, %lu interrupts of the witness\n", s->victim.changes,
		      (unsigned long)live_taken(&s->witness));
	live_close(&s->witness);
	live_host_end(&s->host);
}

static void begin_victim(struct scene *s)
{
	static const char *const address[] = { LIVE_FIRST };
	unsigned int changes = s->victim.changes;

	s->victim = (struct live){ .care = LIVE_DOOMED, .changes = changes };
	live_open(&s->victim, &s->host, address, 1, true);
	live_start(&s->victim);
	live_await_rings(&s->victim, 20);
}

static void end_victim(struct scene *s)
{
	live_stop(&s->victim);
	live_close(&s->victim);
	s->victim.changes++;
	live_await_rings(&s->witness, 5);
}

static bool enough(struct scene *s, unsigned int least)
{
	return s->victim.changes >= least && live_taken(&s->witness) >= live_wanted(MILLIONS);
}

/* --- The device --- */

static void unplug(struct scene *s)
{
	assert_int_equal(soft_host_unplug(soft(s), LIVE_FIRST), 0);
	/* Not before its last user has gone. */
	assert_int_equal(soft_host_plug(soft(s), LIVE_FIRST), -EBUSY);
}

static void plug(struct scene *s)
{
	assert_int_equal(soft_host_plug(soft(s), LIVE_FIRST), 0);
}

/* Writes @text to a file of sysfs. */
static void tell(struct scene *s, const char *path, const char *text)
{
	struct db_sys *sys = s->host.sys;
	int fd = sys->ops->open(sys, path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(sys->ops->pwrite(sys, fd, text, strlen(text), 0), strlen(text));
	assert_int_equal(sys->ops->close(sys, fd), 0);
}

static void hot_unplug_and_re_plug(void **state)
{
	struct live_count first, now;
	static struct scene s; /* a failed test leaves its threads behind */

	(void)state;
	begin(&s);
	do {
		begin_victim(&s);
		if (s.victim.changes % 2)
			unplug(&s);
		else
			tell(&s, "/sys/bus/pci/drivers/vfio-pci/unbind", LIVE_FIRST);
		end_victim(&s);
		if (s.victim.changes % 2)
			tell(&s, "/sys/bus/pci/drivers_probe", LIVE_FIRST);
		else
			plug(&s);
		/* Nothing piles up. */
		live_count(s.victim.changes <= 2 ? &first : &now);
		if (s.victim.changes > 2) {
			assert_int_equal(now.descriptors, first.descriptors);
			assert_int_equal(now.allocations, first.allocations);
		}
	} while (!enough(&s, 10));
	end(&s);
}

/* --- Any descriptor --- */

/* The host's files that are open, as a list of descriptors. */
static unsigned int open_files(struct scene *s, int *fds, unsigned int max)
{
	unsigned int n = 0;

	pthread_mutex_lock(&soft(s)->lock);
	for (unsigned int fd = 0; fd < soft(s)->n_files && n < max; fd++)
		if (soft(s)->files[fd])
			fds[n++] = fd;
	pthread_mutex_unlock(&soft(s)->lock);
	return n;
}

/* Closes the victim's file number @which. False: it has not so many. */
static bool close_file(struct scene *s, const int *before, unsigned int n_before,
		       unsigned int which)
{
	int fds[64];
	unsigned int n = open_files(s, fds, 64);

	for (unsigned int i = 0; i < n; i++) {
		bool others = false;

		for (unsigned int j = 0; j < n_before; j++)
			others |= fds[i] == before[j];
		if (!others && !which--) {
			assert_int_equal(s->host.sys->ops->close(s->host.sys, fds[i]), 0);
			return true;
		}
	}
	return false;
}

/* Its cdev, its iommufd, its event queue, in turn. The library then finds that they are gone, and
 * closes what is left. */
static void close_files(void **state)
{
	unsigned int n_before, which = 0, kinds = 0;
	int before[64];
	static struct scene s;

	(void)state;
	begin(&s);
	n_before = open_files(&s, before, 64);
	do {
		begin_victim(&s);
		if (!close_file(&s, before, n_before, which)) {
			kinds = which;
			which = 0;
			assert_true(close_file(&s, before, n_before, which));
		}
		which++;
		live_await_copies(&s.witness, 3);
		end_victim(&s);
	} while (!enough(&s, 9));
	assert_in_range(kinds, 3, 8);
	end(&s);
}

/* The descriptors of eventfds with which vectors were armed: the eventfds live on, and nothing is
 * lost. */
static void close_eventfds(void **state)
{
	static const char *const address[] = { LIVE_FIRST };
	struct db_msi_vector vectors[LIVE_VECTORS];
	static struct scene s;

	(void)state;
	begin(&s);
	do {
		s.victim = (struct live){ .changes = s.victim.changes };
		live_open(&s.victim, &s.host, address, 1, false);
		for (unsigned int v = 0; v < LIVE_VECTORS; v++)
			vectors[v] = (struct db_msi_vector){
				VM_GIOVA, dup(s.victim.vm.devices[0].eventfds[v])
			};
		assert_int_equal(db_msi_set(s.victim.vm.devices[0].msi, 0, LIVE_VECTORS, vectors),
				 0);
		live_start(&s.victim);
		for (unsigned int v = 0; v < LIVE_VECTORS; v++) {
			live_await_rings(&s.victim, 20);
			assert_int_equal(close(vectors[v].eventfd), 0);
		}
		live_await_rings(&s.victim, 20);
		end_victim(&s);
	} while (!enough(&s, 5));
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hot_unplug_and_re_plug),
		cmocka_unit_test(close_files),
		cmocka_unit_test(close_eventfds),
	};

	return cmocka_run_group_tests_name("live, gone", tests, NULL, NULL);
}
