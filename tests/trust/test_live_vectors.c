/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of vectors while interrupts and DMA flow: storms of masks and messages on the MSI-X table
 * that the guest sees, and resets. A masked vector keeps its interrupt, so each still arrives once;
 * a reset takes what was under way, and nothing after it.
 */
#include "live.h"

#define MILLIONS 0.05

#define OTHER_PAGE 0xfffffe000000ull /* leads to the doorbell as well */
#define STOCK_DOORBELL_IPA 0x8000000ull /* where the kernel has it */
#define ENTRY 16
#define ENTRY_CONTROL 12
#define ENABLE 0x8000u
#define FUNCTION_MASK 0x4000u

struct stormer {
	struct scene *scene;
	struct db_vmsix *vmsix;
	unsigned int n; /* of the device */
	uint64_t random;
	unsigned long changes;
	int failed; /* of a register's write */
	pthread_t thread;
};

struct scene {
	struct live_host host;
	struct live l;
	struct stormer stormers[LIVE_DEVICES];
	atomic_bool stop;
};

struct variant {
	const char *kernel;
	enum db_mode mode;
	uint64_t doorbell_ipa;
};

static const struct variant native = { "", DB_MODE_NATIVE, 0 };
static const struct variant stock = { "kernel stock\n", DB_MODE_STOCK, STOCK_DOORBELL_IPA };

static void begin(struct scene *s, const struct variant *v, bool armed)
{
	static const char *const addresses[] = { LIVE_FIRST, LIVE_SECOND };

	*s = (struct scene){ .l = { .vm = { .mode = v->mode, .doorbell_ipa = v->doorbell_ipa } } };
	live_host_begin(&s->host, v->kernel);
	live_open(&s->l, &s->host, addresses, 2, armed);
	live_map(&s->l, OTHER_PAGE, s->l.vm.doorbell_ipa, VMSA_WRITE | VMSA_DEVICE);
}

static void end(struct scene *s)
{
	live_close(&s->l);
	live_host_end(&s->host);
}

/* --- Storms --- */

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	const struct vm_device *d = ctx;

	(void)route;
	return d->eventfds[index];
}

static const struct db_msi_guest_ops guest_ops = {
	.size = sizeof(guest_ops),
	.connect = connect_vector,
};

static void begin_storm(struct scene *s)
{
	for (unsigned int n = 0; n < LIVE_DEVICES; n++) {
		struct vm_device *d = &s->l.vm.devices[n];
		struct stormer *storm = &s->stormers[n];

		*storm = (struct stormer){ .scene = s,
					   .n = n,
					   .random = 0x9e3779b97f4a7c15ull * (n + 1) };
		assert_int_equal(db_vmsix_create(d->msi, &guest_ops, d, &storm->vmsix), 0);
		assert_int_equal(db_vmsix_control_write(storm->vmsix, ENABLE), 0);
		for (unsigned int v = 0; v < LIVE_VECTORS; v++) {
			assert_int_equal(db_vmsix_table_write(storm->vmsix, v * ENTRY, 8, VM_GIOVA),
					 0);
			assert_int_equal(db_vmsix_table_write(storm->vmsix, v * ENTRY + 8, 8, v),
					 0);
		}
	}
}

static unsigned int draw(struct stormer *storm, unsigned int below)
{
	storm->random ^= storm->random << 13;
	storm->random ^= storm->random >> 7;
	storm->random ^= storm->random << 17;
	return (storm->random >> 20) % below;
}

/* What a guest does to a vector: masks it, perhaps changes its message, unmasks it. */
static int change_vector(struct stormer *storm)
{
	uint64_t at = draw(storm, LIVE_VECTORS) * ENTRY;
	int ret = db_vmsix_table_write(storm->vmsix, at + ENTRY_CONTROL, 4, 1);

	switch (draw(storm, 4)) {
	case 0:
		ret = ret ? ret : db_vmsix_table_write(storm->vmsix, at, 8, OTHER_PAGE | 0x40);
		break;
	case 1:
		ret = ret ? ret : db_vmsix_table_write(storm->vmsix, at, 8, VM_GIOVA);
		break;
	case 2:
		db_vmsix_pba_read(storm->vmsix, 0, 8);
		break;
	}
	return ret ? ret : db_vmsix_table_write(storm->vmsix, at + ENTRY_CONTROL, 4, 0);
}

static int change_function(struct stormer *storm)
{
	int ret = db_vmsix_control_write(storm->vmsix, ENABLE | FUNCTION_MASK);

	/* With all of it masked, a vector may change without being masked itself. */
	ret = ret ? ret
		  : db_vmsix_table_write(storm->vmsix, draw(storm, LIVE_VECTORS) * ENTRY, 8,
					 VM_GIOVA);
	return ret ? ret : db_vmsix_control_write(storm->vmsix, ENABLE);
}

static void *rage(void *arg)
{
	struct stormer *storm = arg;

	while (!atomic_load(&storm->scene->stop) && !storm->failed) {
		storm->failed = draw(storm, 8) ? change_vector(storm) : change_function(storm);
		storm->changes++;
	}
	return NULL;
}

static void storm(const struct variant *variant)
{
	uint64_t wanted = live_wanted(MILLIONS), before = ~0ull;
	static struct scene s; /* a failed test leaves its threads behind */

	begin(&s, variant, false);
	begin_storm(&s);
	live_start(&s.l);
	for (unsigned int n = 0; n < LIVE_DEVICES; n++)
		assert_int_equal(pthread_create(&s.stormers[n].thread, NULL, rage, &s.stormers[n]),
				 0);
	while (live_taken(&s.l) < wanted && live_taken(&s.l) != before) {
		before = live_taken(&s.l);
		live_await_rings(&s.l, 1);
	}
	atomic_store(&s.stop, true);
	for (unsigned int n = 0; n < LIVE_DEVICES; n++) {
		pthread_join(s.stormers[n].thread, NULL);
		assert_int_equal(s.stormers[n].failed, 0);
		s.l.changes += s.stormers[n].changes;
	}
	live_stop(&s.l);
	assert_true(live_taken(&s.l) >= wanted);
	print_message("# %u changes, %lu interrupts\n", s.l.changes,
		      (unsigned long)live_taken(&s.l));
	for (unsigned int n = 0; n < LIVE_DEVICES; n++)
		db_vmsix_destroy(s.stormers[n].vmsix);
	end(&s);
}

static void masks_native(void **state)
{
	(void)state;
	storm(&native);
}

static void masks_stock(void **state)
{
	(void)state;
	storm(&stock);
}

/* --- Resets --- */

static void reset(struct scene *s)
{
	struct vm_device *d = &s->l.vm.devices[s->l.changes % s->l.vm.n_devices];

	live_epoch_begin(&s->l);
	if (db_device_reset(d->dev) || db_msi_restore(d->msi))
		fail_msg("%s", db_error_message());
	live_epoch_end(&s->l);
}

/* All vectors work on after each, with the addresses that they were given. */
static void resets(const struct variant *variant)
{
	uint64_t wanted = live_wanted(MILLIONS);
	static struct scene s;

	begin(&s, variant, true);
	s.l.care = LIVE_RESETS;
	s.l.may_double = variant->mode == DB_MODE_STOCK;
	live_start(&s.l);
	while (live_taken(&s.l) < wanted && !s.l.ringers[0].wrong && !s.l.ringers[1].wrong) {
		atomic_store(&s.l.busy, true);
		reset(&s);
		if (s.l.changes % 4 == 1)
			live_program(&s.l, s.l.changes % 8 == 1 ? OTHER_PAGE | 0x40 : VM_GIOVA);
		atomic_store(&s.l.busy, false);
		live_await_rings(&s.l, 2);
		s.l.changes++;
	}
	/* No reset: nothing is excused. */
	live_await_rings(&s.l, 2 * LIVE_VECTORS);
	live_stop(&s.l);
	print_message("# %u resets, %lu interrupts\n", s.l.changes,
		      (unsigned long)live_taken(&s.l));
	end(&s);
}

static void resets_native(void **state)
{
	(void)state;
	resets(&native);
}

static void resets_stock(void **state)
{
	(void)state;
	resets(&stock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_native),
		cmocka_unit_test(masks_stock),
		cmocka_unit_test(resets_native),
		cmocka_unit_test(resets_stock),
	};

	return cmocka_run_group_tests_name("live vectors", tests, NULL, NULL);
}
