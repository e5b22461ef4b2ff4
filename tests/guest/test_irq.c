/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages are programmed whole before they can be sent, and every interrupt is accounted for as
 * what it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/pci_regs.h>

#include "arm/smmu_regs.h"
#include "fake_vmm.h"
#include "guest/guest_priv.h"

struct rig {
	struct vmm *vmm;
	struct guest *guest;
	struct guest_device *gd;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct guest_config config = { .ram_size = FAKE_RAM_SIZE, .granule_shift = 12 };

	rig->vmm = fake_vmm_create();
	config.vmm = rig->vmm;
	assert_int_equal(guest_create(&config, &rig->guest), 0);
	assert_int_equal(guest_device_add(rig->guest, &rig->vmm->device, 0, &rig->gd), 0);
	rig->guest->patience_ms = 5;
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	guest_destroy(rig->guest);
	assert_false(rig->vmm->device.control & PCI_MSIX_FLAGS_ENABLE);
	fake_vmm_destroy(rig->vmm);
	free(rig);
	return 0;
}

static uint32_t event_of(const struct rig *rig, unsigned int vector)
{
	return guest_device_info(rig->gd)->first_event + vector;
}

static void expect_counts(struct rig *rig, uint64_t expected, uint64_t delivered, uint64_t lost,
			  uint64_t spurious, uint64_t misrouted)
{
	struct guest_interrupts got;

	guest_device_interrupts(rig->gd, &got);
	assert_int_equal(got.expected, expected);
	assert_int_equal(got.delivered, delivered);
	assert_int_equal(got.lost, lost);
	assert_int_equal(got.spurious, spurious);
	assert_int_equal(got.misrouted, misrouted);
}

static void messages_as_linux_writes_them(void **state)
{
	struct rig *rig = *state;
	struct vmm_device *dev = &rig->vmm->device;
	const struct guest_device_info *info = guest_device_info(rig->gd);
	uint64_t ipa;
	unsigned int i;

	assert_int_equal(info->vectors, FAKE_VECTORS);
	assert_int_equal(dev->unmasked_early, 0);
	assert_int_equal(dev->control, PCI_MSIX_FLAGS_ENABLE);
	for (i = 0; i < FAKE_VECTORS; i++) {
		assert_int_equal(dev->table[i][0], (uint32_t)info->giova);
		assert_int_equal(dev->table[i][1], info->giova >> 32);
		assert_int_equal(dev->table[i][2], info->first_event + i);
		assert_int_equal(dev->table[i][3], 0);
		assert_int_equal(dev->lpis[info->first_event + i] >= GUEST_LPI_FIRST, 1);
	}
	assert_int_equal(fake_vmm_translate(rig->vmm, info->giova, true, &ipa), 0);
	assert_int_equal(ipa, dev->info.doorbell_ipa + VMM_ITS_TRANSLATER);
}

static void all_arrive(void **state)
{
	struct rig *rig = *state;
	unsigned int i;

	for (i = 0; i < FAKE_VECTORS; i++) {
		guest_irq_expect(rig->gd, i);
		fake_vmm_signal(rig->vmm, event_of(rig, i), 1);
		assert_int_equal(guest_irq_wait(rig->gd, i), 0);
	}
	expect_counts(rig, FAKE_VECTORS, FAKE_VECTORS, 0, 0, 0);
}

static void one_is_lost(void **state)
{
	struct rig *rig = *state;

	guest_irq_expect(rig->gd, 3);
	assert_int_equal(guest_irq_wait(rig->gd, 3), -ETIMEDOUT);
	guest_irq_expect(rig->gd, 3);
	fake_vmm_signal(rig->vmm, event_of(rig, 3), 1);
	assert_int_equal(guest_irq_wait(rig->gd, 3), 0);
	expect_counts(rig, 2, 1, 1, 0, 0);
}

static void one_comes_twice(void **state)
{
	struct rig *rig = *state;

	guest_irq_expect(rig->gd, 0);
	fake_vmm_signal(rig->vmm, event_of(rig, 0), 2);
	assert_int_equal(guest_irq_wait(rig->gd, 0), 0);
	expect_counts(rig, 1, 1, 0, 1, 0);
}

static void one_goes_astray(void **state)
{
	struct rig *rig = *state;

	guest_irq_expect(rig->gd, 1);
	fake_vmm_signal(rig->vmm, event_of(rig, 2), 1);
	assert_int_equal(guest_irq_wait(rig->gd, 1), -ETIMEDOUT);
	expect_counts(rig, 1, 0, 0, 0, 1);
}

/* A device that stopped in the middle: what had not arrived is cancelled, and only that. */
static void some_are_cancelled(void **state)
{
	struct rig *rig = *state;
	struct guest_interrupts got;

	guest_irq_expect(rig->gd, 0);	/* arrives before the device stops */
	fake_vmm_signal(rig->vmm, event_of(rig, 0), 1);
	guest_irq_expect(rig->gd, 1);	/* does not */
	guest_irq_expect(rig->gd, 2);	/* was lost before: nobody waits any more */
	assert_int_equal(guest_irq_wait(rig->gd, 2), -ETIMEDOUT);
	guest_irq_maybe(rig->gd, 3);	/* came though it need not */
	fake_vmm_signal(rig->vmm, event_of(rig, 3), 1);
	guest_irq_maybe(rig->gd, 4);	/* did not come */
	guest_irq_cancel(rig->gd);
	expect_counts(rig, 3, 2, 1, 0, 0);
	guest_device_interrupts(rig->gd, &got);
	assert_int_equal(got.cancelled, 1);
	/* Afterwards nothing more may come of it. */
	fake_vmm_signal(rig->vmm, event_of(rig, 4), 1);
	expect_counts(rig, 3, 2, 0, 0, 1);
}

/* A vector stays masked until somebody waits for it, or counts. */
static void waiting_unmasks(void **state)
{
	struct rig *rig = *state;
	struct vmm_device *dev = &rig->vmm->device;

	assert_int_equal(guest_pci_mask(rig->gd, 1, true), 0);
	assert_int_equal(guest_pci_mask(rig->gd, 2, true), 0);
	assert_int_equal(dev->table[1][3], PCI_MSIX_ENTRY_CTRL_MASKBIT);
	guest_irq_expect(rig->gd, 1);
	fake_vmm_signal(rig->vmm, event_of(rig, 1), 1);
	assert_int_equal(guest_irq_wait(rig->gd, 1), 0);
	assert_int_equal(dev->table[1][3], 0);
	assert_int_equal(dev->table[2][3], PCI_MSIX_ENTRY_CTRL_MASKBIT);
	expect_counts(rig, 1, 1, 0, 0, 0);
	assert_int_equal(dev->table[2][3], 0);
}

/* The doorbell page moves: entries change only while masked, and the old address ends. */
static void messages_move(void **state)
{
	struct rig *rig = *state;
	struct vmm_device *dev = &rig->vmm->device;
	const struct guest_device_info *info = guest_device_info(rig->gd);
	uint64_t old = info->giova, ipa;
	unsigned int i;

	assert_int_equal(guest_pci_mask(rig->gd, 3, true), 0);
	assert_int_equal(guest_disturb(rig->gd, GUEST_DISTURB_REMAP), 0);
	assert_int_not_equal(info->giova, old);
	for (i = 0; i < FAKE_VECTORS; i++) {
		assert_int_equal(dev->table[i][0], (uint32_t)info->giova);
		assert_int_equal(dev->table[i][3], i == 3 ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
	}
	assert_int_equal(dev->unmasked_early, 0);
	assert_int_equal(fake_vmm_translate(rig->vmm, info->giova, true, &ipa), 0);
	assert_int_equal(ipa, dev->info.doorbell_ipa + VMM_ITS_TRANSLATER);
	assert_true(fake_vmm_translate(rig->vmm, old, true, &ipa));
	assert_true(fake_vmm_invalidated(rig->vmm, old & ~0xfffull, 0x1000, 0x1000));
	assert_int_equal(guest_disturbed(rig->gd, GUEST_DISTURB_REMAP), 1);
}

/*
 * Whichever CD the STE points at, the tables are the same, and an ASID is flushed before it is used
 * again.
 */
static void context_descriptors_alternate(void **state)
{
	struct rig *rig = *state;
	const struct guest_device_info *info = guest_device_info(rig->gd);
	uint64_t ipa;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		fake_vmm_forget(rig->vmm);
		assert_int_equal(guest_disturb(rig->gd, GUEST_DISTURB_CD), 0);
		assert_int_equal(fake_vmm_translate(rig->vmm, info->giova, true, &ipa), 0);
		assert_true(fake_vmm_invalidated(rig->vmm, info->giova, 1, 0x1000));
		assert_true(FIELD_GET64(SMMU_CMD_0_OP, rig->vmm->commands[0][0]) ==
			    SMMU_CMD_OP_TLBI_NH_ASID);
	}
	assert_int_equal(guest_smmu_bypass(&rig->gd->domain), 0);
	assert_int_equal(fake_vmm_translate(rig->vmm, 0x1234000, true, &ipa), 0);
	assert_int_equal(ipa, 0x1234000);
	assert_int_equal(guest_smmu_detach(&rig->gd->domain), 0);
	assert_true(fake_vmm_translate(rig->vmm, info->giova, true, &ipa));
}

/* An EventID without a translation: the host's data taken for the guest's, for example. */
static void one_has_no_translation(void **state)
{
	struct rig *rig = *state;

	fake_vmm_signal(rig->vmm, 0, 1);
	expect_counts(rig, 0, 0, 0, 1, 0);
	guest_irq_expect(rig->gd, 0);
	fake_vmm_signal(rig->vmm, 0, 1);
	assert_int_equal(guest_irq_wait(rig->gd, 0), -ETIMEDOUT);
	expect_counts(rig, 1, 0, 0, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_as_linux_writes_them, setup, teardown),
		cmocka_unit_test_setup_teardown(all_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(one_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(one_comes_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(one_goes_astray, setup, teardown),
		cmocka_unit_test_setup_teardown(some_are_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(waiting_unmasks, setup, teardown),
		cmocka_unit_test_setup_teardown(messages_move, setup, teardown),
		cmocka_unit_test_setup_teardown(context_descriptors_alternate, setup, teardown),
		cmocka_unit_test_setup_teardown(one_has_no_translation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
