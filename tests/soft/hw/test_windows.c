/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The races that the hardware model is protected against, each met at exactly its moment.
 *
 * Raising an interrupt and unmasking (or enabling, or moving) it may cross anywhere. So the raise
 * is executed one instruction at a time, and the other is done after each of them in turn: whatever
 * the point, the interrupt arrives once. (What is done in between must not wait for the raise,
 * which stands still meanwhile.)
 *
 * Masking, ending, invalidating are the other way round: they must wait for what is under way. So
 * the interrupt's handler, which is the end of a device's write, holds out while another thread
 * masks, and sees to it that this does not return.
 */
#include <endian.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "arm/its_regs.h"
#include "hw_fixture.h"
#include "soft/hw/gic_priv.h"
#include "soft/hw/pci_priv.h"

#define VECTOR 3u
#define MSI_VECTORS 4
/* A sanitizer's code is long: of more instructions than this, not all are tried. */
#define MOST_POINTS 400

struct window {
	struct hw *hw;
	struct pci_dev *dev;
	void (*raise)(struct window *w);
};

/* The device raises its vector, from the register's write to the handler. */
static void ring(struct window *w)
{
	hw_ring(w->dev, VECTOR);
}

/* From the message's write at the doorbell on. */
static void write_doorbell(struct window *w)
{
	uint32_t data = htole32(its_dev_message_data(w->hw->its, VECTOR, w->hw->intid + VECTOR));

	hw_read_lock();
	assert_int_equal(
		bus_write(w->hw->bus, w->hw->doorbell_pa, &data, sizeof(data), HW_DEVICE_ID), 0);
	hw_read_unlock();
}

static void open_window(struct window *w, enum doorbell_kind kind, unsigned int msix,
			unsigned int msi)
{
	w->raise = ring;
	w->hw = hw_create(kind);
	w->dev = hw_bell(w->hw, msix, msi);
	hw_bus_master(w->dev);
}

static void close_window(struct window *w)
{
	pci_dev_destroy(w->dev);
	hw_destroy(w->hw);
}

static int msix_setup(void **state)
{
	static struct window w;

	open_window(&w, DOORBELL_ITS, HW_VECTORS, 0);
	hw_arm(w.hw, w.dev);
	*state = &w;
	return 0;
}

static void write_msi(struct window *w, unsigned int reg, unsigned int size, uint32_t value)
{
	pci_config_write(w->dev, pci_find_capability(w->dev, PCI_CAP_ID_MSI) + reg, size,
			 value);
}

static int msi_setup(void **state)
{
	static struct window w;

	open_window(&w, DOORBELL_ITS, 0, MSI_VECTORS);
	write_msi(&w, PCI_MSI_ADDRESS_LO, 4, (uint32_t)hw_doorbell_iova(w.hw));
	write_msi(&w, PCI_MSI_ADDRESS_HI, 4, hw_doorbell_iova(w.hw) >> 32);
	write_msi(&w, PCI_MSI_DATA_32 + 4, 2, 0);
	write_msi(&w, PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 2 << 4);
	*state = &w;
	return 0;
}

static int lpi_setup(void **state)
{
	msix_setup(state);
	((struct window *)*state)->raise = write_doorbell;
	return 0;
}

static int spi_setup(void **state)
{
	static struct window w;

	open_window(&w, DOORBELL_V2M, HW_VECTORS, 0);
	hw_arm(w.hw, w.dev);
	w.raise = write_doorbell;
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	close_window(*state);
	return 0;
}

/* --- One instruction at a time --- */

#ifdef __x86_64__

#define TRAP_FLAG 0x100ull

static struct {
	void (*change)(struct window *w);
	struct window *w;
	unsigned long steps, at;
} stepper;

static void step(int signal, siginfo_t *info, void *context)
{
	greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];

	(void)signal, (void)info;
	if (++stepper.steps != stepper.at)
		return;
	*flags &= ~(greg_t)TRAP_FLAG;
	stepper.change(stepper.w);
}

static inline void set_trap_flag(void)
{
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
}

static inline void clear_trap_flag(void)
{
	__asm__ volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
}

/* Raises the interrupt, with @change after instruction @at; how many there were until then. */
static unsigned long ring_and_change(struct window *w, void (*change)(struct window *w),
				     unsigned long at)
{
	stepper.change = change;
	stepper.w = w;
	stepper.steps = 0;
	stepper.at = at;
	set_trap_flag();
	w->raise(w);
	clear_trap_flag();
	return stepper.steps;
}

/* Calls @check after each; @before makes again what @change changes. */
static void at_each_instruction(struct window *w, void (*before)(struct window *w),
				void (*change)(struct window *w), void (*check)(struct window *w))
{
	struct sigaction action = { .sa_sigaction = step, .sa_flags = SA_SIGINFO }, old;
	unsigned long all, stride;

	assert_int_equal(sigaction(SIGTRAP, &action, &old), 0);
	/* Once without, so that all routes are at hand: what has to be looked up first takes a
	 * lock, which @change may want. */
	ring(w);
	before(w);
	all = ring_and_change(w, change, ~0ul);
	change(w);
	check(w);
	stride = all / MOST_POINTS + 1;
	for (unsigned long at = 1; at <= all; at += stride) {
		before(w);
		/* A run may be shorter than the first, of which some was the linker's. */
		if (ring_and_change(w, change, at) < at)
			change(w);
		check(w);
	}
	sigaction(SIGTRAP, &old, NULL);
	print_message("# %lu instructions, every %lu\n", all, stride);
	assert_true(all > 20);
}

#else

static void at_each_instruction(struct window *w, void (*before)(struct window *w),
				void (*change)(struct window *w), void (*check)(struct window *w))
{
	(void)w, (void)before, (void)change, (void)check;
	print_message("# skipped: a program can step through itself on x86-64 only\n");
	skip();
}

#endif

static uint64_t take_all(struct window *w)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < HW_VECTORS; i++)
		sum += __atomic_exchange_n(&w->hw->taken[i], 0, __ATOMIC_RELAXED);
	return sum;
}

/* Once, on its vector; and no more is to come. */
static void arrived_once(struct window *w)
{
	assert_int_equal(hw_taken(w->hw, VECTOR), 1);
	assert_int_equal(take_all(w), 1);
	assert_false(gic_is_pending(w->hw->gic, w->hw->intid + VECTOR));
}

static void mask_vector(struct window *w)
{
	take_all(w);
	hw_msix_mask(w->dev, VECTOR, true);
}

static void unmask_vector(struct window *w)
{
	hw_msix_mask(w->dev, VECTOR, false);
}

static void vector_unmasked(void **state)
{
	at_each_instruction(*state, mask_vector, unmask_vector, arrived_once);
}

static void mask_function(struct window *w)
{
	take_all(w);
	hw_msix_control(w->dev, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

static void unmask_function(struct window *w)
{
	hw_msix_control(w->dev, PCI_MSIX_FLAGS_ENABLE);
}

static void function_unmasked(void **state)
{
	at_each_instruction(*state, mask_function, unmask_function, arrived_once);
}

/* By who has the table mapped: plain stores, then the look at what is pending. */
static void unmask_in_memory(struct window *w)
{
	__atomic_store_n(&w->dev->msix[VECTOR].control, 0, __ATOMIC_SEQ_CST);
	pci_msix_rescan(w->dev);
}

static void unmasked_in_memory(void **state)
{
	at_each_instruction(*state, mask_vector, unmask_in_memory, arrived_once);
}

static void mask_msi(struct window *w)
{
	take_all(w);
	write_msi(w, PCI_MSI_MASK_32 + 4, 4, 1u << VECTOR);
}

static void unmask_msi(struct window *w)
{
	write_msi(w, PCI_MSI_MASK_32 + 4, 4, 0);
}

static void msi_unmasked(void **state)
{
	at_each_instruction(*state, mask_msi, unmask_msi, arrived_once);
}

static void disable_lpi(struct window *w)
{
	const uint64_t inv[1][4] = { { GITS_CMD_0(GITS_CMD_INV, HW_DEVICE_ID), VECTOR } };

	take_all(w);
	gic_set_enabled(w->hw->gic, w->hw->intid + VECTOR, false);
	its_dev_commands(w->hw->its, inv, 1);
}

static void enable_lpi(struct window *w)
{
	gic_set_enabled(w->hw->gic, w->hw->intid + VECTOR, true);
	gic_lpi_ops.invalidate(w->hw->gic, 1, w->hw->intid + VECTOR);
}

static void lpi_enabled(void **state)
{
	at_each_instruction(*state, disable_lpi, enable_lpi, arrived_once);
}

static void disable_spi(struct window *w)
{
	take_all(w);
	gic_set_enabled(w->hw->gic, w->hw->intid + VECTOR, false);
}

static void enable_spi(struct window *w)
{
	gic_set_enabled(w->hw->gic, w->hw->intid + VECTOR, true);
}

static void spi_enabled(void **state)
{
	at_each_instruction(*state, disable_spi, enable_spi, arrived_once);
}

/* The ITS's own command, without the wait of its_dev_commands(). */
static void command(struct window *w, const uint64_t cmd[4])
{
	pthread_mutex_lock(&w->hw->its->lock);
	assert_int_equal(its_command(w->hw->its->its, cmd), 0);
	pthread_mutex_unlock(&w->hw->its->lock);
}

static bool pending_on(struct window *w, unsigned int processor)
{
	uint32_t intid = w->hw->intid + VECTOR;

	return w->hw->gic->pending[processor][intid / 8] & 1u << intid % 8;
}

static void move_to(struct window *w, unsigned int processor)
{
	const uint64_t movi[4] = { GITS_CMD_0(GITS_CMD_MOVI, HW_DEVICE_ID), VECTOR, processor };

	command(w, movi);
}

/* Disabled, on processor 1, and the route to it at hand. */
static void disable_on_first(struct window *w)
{
	disable_lpi(w);
	move_to(w, 1);
	ring(w);
	assert_true(pending_on(w, 1));
	gic_lpi_ops.clear_pending(w->hw->gic, 1, w->hw->intid + VECTOR);
}

static void move_to_second(struct window *w)
{
	move_to(w, 2);
}

/* Where the mapping leads now, and nowhere else: there it will be taken. */
static void pends_on_second(struct window *w)
{
	assert_true(pending_on(w, 2));
	assert_false(pending_on(w, 1));
	gic_lpi_ops.clear_pending(w->hw->gic, 2, w->hw->intid + VECTOR);
	assert_int_equal(take_all(w), 0);
}

static void lpi_moved(void **state)
{
	at_each_instruction(*state, disable_on_first, move_to_second, pends_on_second);
}

static void map_and_disable(struct window *w)
{
	const uint64_t mapti[4] = { GITS_CMD_0(GITS_CMD_MAPTI, HW_DEVICE_ID),
				    GITS_CMD_1(VECTOR, w->hw->intid + VECTOR), 1 };

	command(w, mapti);
	disable_on_first(w);
}

static void discard_event(struct window *w)
{
	const uint64_t discard[4] = { GITS_CMD_0(GITS_CMD_DISCARD, HW_DEVICE_ID), VECTOR };

	command(w, discard);
}

/* Its number may be another's from now on. */
static void pends_nowhere(struct window *w)
{
	assert_false(gic_is_pending(w->hw->gic, w->hw->intid + VECTOR));
	assert_int_equal(take_all(w), 0);
}

static void lpi_discarded(void **state)
{
	struct window *w = *state;

	discard_event(w);
	at_each_instruction(w, map_and_disable, discard_event, pends_nowhere);
}

#define OTHER_DATA 0x77u
#define OTHER_ADDRESS (GUEST_IOVA + 0x3000)

static uint32_t *other_place(struct window *w)
{
	return hw_ipa(w->hw, GUEST_RAM + 0x3000);
}

static void first_message(struct window *w)
{
	take_all(w);
	*other_place(w) = 0;
	hw_msix_entry(w->dev, VECTOR, hw_doorbell_iova(w->hw), VECTOR, false);
}

/* As who has the table mapped does it; nothing is lost that pends meanwhile. */
static void second_message(struct window *w)
{
	struct msix_entry *entry = &w->dev->msix[VECTOR];

	__atomic_store_n(&entry->control, MSIX_ENTRY_MASKED, __ATOMIC_SEQ_CST);
	__atomic_store_n(&entry->address, OTHER_ADDRESS, __ATOMIC_RELEASE);
	__atomic_store_n(&entry->data, OTHER_DATA, __ATOMIC_RELEASE);
	unmask_in_memory(w);
}

/* The first message whole, or the second, and not some of each. */
static void one_or_other(struct window *w)
{
	uint32_t other = *other_place(w);

	if (other)
		assert_int_equal(other, OTHER_DATA);
	else
		assert_int_equal(hw_taken(w->hw, VECTOR), 1);
	assert_int_equal(take_all(w), !other);
	assert_int_equal(its_dev_discarded(w->hw->its), 0);
	assert_int_equal(w->hw->events, 0);
}

static void message_changed(void **state)
{
	at_each_instruction(*state, first_message, second_message, one_or_other);
}

/* --- Who takes away waits --- */

struct wait {
	struct window *w;
	void (*take_away)(struct window *w);
	bool under_way, begun, done; /* atomic */
	bool too_early; /* it was done while the handler ran */
};

static void hold_out(void *ctx)
{
	struct wait *wait = ctx;

	__atomic_store_n(&wait->under_way, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&wait->begun, __ATOMIC_ACQUIRE))
		usleep(100);
	/* It would be done long before; nothing depends on how long this is but what is found. */
	for (unsigned int i = 0; i < 50 && !wait->too_early; i++) {
		usleep(1000);
		wait->too_early = __atomic_load_n(&wait->done, __ATOMIC_ACQUIRE);
	}
}

static void *take_away(void *arg)
{
	struct wait *wait = arg;

	while (!__atomic_load_n(&wait->under_way, __ATOMIC_ACQUIRE))
		usleep(100);
	__atomic_store_n(&wait->begun, true, __ATOMIC_RELEASE);
	wait->take_away(wait->w);
	__atomic_store_n(&wait->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void *ring_once(void *arg)
{
	ring(((struct wait *)arg)->w);
	return NULL;
}

static void must_wait(struct window *w, const char *name, void (*fn)(struct window *w))
{
	struct wait wait = { .w = w, .take_away = fn };
	pthread_t ringer, taker;

	assert_int_equal(gic_set_handler(w->hw->gic, w->hw->intid + VECTOR, hold_out, &wait), 0);
	assert_int_equal(pthread_create(&ringer, NULL, ring_once, &wait), 0);
	assert_int_equal(pthread_create(&taker, NULL, take_away, &wait), 0);
	pthread_join(ringer, NULL);
	pthread_join(taker, NULL);
	gic_set_handler(w->hw->gic, w->hw->intid + VECTOR, NULL, NULL);
	if (wait.too_early)
		fail_msg("%s: does not wait", name);
}

static void msix_off(struct window *w)
{
	hw_msix_control(w->dev, 0);
}

static void bus_master_off(struct window *w)
{
	pci_config_write(w->dev, PCI_COMMAND, 2, 0);
}

static void reset(struct window *w)
{
	pci_dev_reset(w->dev);
}

static void no_handler(struct window *w)
{
	gic_set_handler(w->hw->gic, w->hw->intid + VECTOR, NULL, NULL);
}

static void clear_handlers(struct window *w)
{
	gic_clear_handlers(w->hw->gic, w->hw->intid, HW_VECTORS);
}

static void unmap_event(struct window *w)
{
	its_dev_unmap_events(w->hw->its, HW_DEVICE_ID, VECTOR, 1);
}

static void sync_smmu(struct window *w)
{
	hw_invalidate_all(w->hw);
}

static void no_events(struct window *w)
{
	smmu_dev_set_event_handler(w->hw->smmu, NULL, NULL);
}

static void disable_msi(struct window *w)
{
	write_msi(w, PCI_MSI_FLAGS, 2, 0);
}

#define ROW(fn) { #fn, fn }

struct taker {
	const char *name;
	void (*fn)(struct window *w);
};

static void each_waits(const struct taker *takers, unsigned int n, int (*setup)(void **state))
{
	for (unsigned int i = 0; i < n; i++) {
		void *w;

		setup(&w);
		must_wait(w, takers[i].name, takers[i].fn);
		close_window(w);
	}
}

static void msix_waits(void **state)
{
	static const struct taker takers[] = {
		ROW(mask_vector), ROW(mask_function), ROW(msix_off),	   ROW(bus_master_off),
		ROW(reset),	  ROW(no_handler),    ROW(clear_handlers), ROW(unmap_event),
		ROW(sync_smmu),	  ROW(no_events),
	};

	(void)state;
	each_waits(takers, sizeof(takers) / sizeof(*takers), msix_setup);
}

static void msi_waits(void **state)
{
	static const struct taker takers[] = { ROW(mask_msi), ROW(disable_msi), ROW(bus_master_off),
					       ROW(reset) };

	(void)state;
	each_waits(takers, sizeof(takers) / sizeof(*takers), msi_setup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(vector_unmasked, msix_setup, teardown),
		cmocka_unit_test_setup_teardown(function_unmasked, msix_setup, teardown),
		cmocka_unit_test_setup_teardown(unmasked_in_memory, msix_setup, teardown),
		cmocka_unit_test_setup_teardown(msi_unmasked, msi_setup, teardown),
		cmocka_unit_test_setup_teardown(lpi_enabled, lpi_setup, teardown),
		cmocka_unit_test_setup_teardown(spi_enabled, spi_setup, teardown),
		cmocka_unit_test_setup_teardown(lpi_moved, lpi_setup, teardown),
		cmocka_unit_test_setup_teardown(lpi_discarded, lpi_setup, teardown),
		cmocka_unit_test_setup_teardown(message_changed, msix_setup, teardown),
		cmocka_unit_test(msix_waits),
		cmocka_unit_test(msi_waits),
	};

	return cmocka_run_group_tests_name("soft/hw/windows", tests, NULL, NULL);
}
