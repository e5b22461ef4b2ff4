/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/disturb.h"

#include <errno.h>

#include "guest/guest_priv.h"

#define STORM_ROUNDS 3
#define BLOCKED_MS 2	/* DMA is aborted for so long, for the device to run into it */

static const struct {
	const char *name;
	bool heavy;
} disturbances[GUEST_DISTURB_COUNT] = {
	[GUEST_DISTURB_MASK] = { "mask", false },
	[GUEST_DISTURB_REMAP] = { "remap", false },
	[GUEST_DISTURB_CD] = { "cd", false },
	[GUEST_DISTURB_ABORT] = { "abort", true },
	[GUEST_DISTURB_BYPASS] = { "bypass", true },
	[GUEST_DISTURB_RESET] = { "reset", true },
	[GUEST_DISTURB_FAULT] = { "fault", true },
};

const char *guest_disturbance_name(enum guest_disturbance what)
{
	return disturbances[what].name;
}

bool guest_disturbance_is_heavy(enum guest_disturbance what)
{
	return disturbances[what].heavy;
}

static uint64_t translater(const struct guest_device *gd)
{
	return vmm_device_info(gd->info.vmm)->doorbell_ipa + VMM_ITS_TRANSLATER;
}

static int remap(struct guest_device *gd)
{
	uint64_t old = gd->info.giova, giova;
	unsigned int i, n = gd->msix ? gd->info.vectors : 1;
	int err;

	err = dma_msi_move(&gd->domain, translater(gd), &giova);
	for (i = 0; !err && i < n; i++)
		err = guest_pci_readdress(gd, i, giova);
	if (err)
		return err;
	gd->info.giova = giova;
	return dma_msi_forget(&gd->domain, old);
}

/* Now and then all at once by the function mask; and every other vector stays masked. */
static int mask(struct guest_device *gd)
{
	unsigned int round, i, n = gd->info.vectors;
	int err = 0;

	for (round = 0; !err && round < STORM_ROUNDS; round++) {
		for (i = 0; !err && i < n; i++)
			err = guest_pci_mask(gd, i, true);
		if (gd->msix)
			guest_pci_mask_function(gd, round & 1);
		for (i = n; !err && i-- > 0;)
			err = guest_pci_mask(gd, i, false);
	}
	for (i = gd->disturbed[GUEST_DISTURB_MASK] & 1; !err && i < n; i += 2)
		err = guest_pci_mask(gd, i, true);
	if (gd->msix)
		guest_pci_mask_function(gd, false);
	return err;
}

/* The device runs into an STE of another kind. */
static int block(struct guest_device *gd, bool bypass)
{
	int err = bypass ? guest_smmu_bypass(&gd->domain) : guest_smmu_detach(&gd->domain);

	if (err)
		return err;
	guest_irq_maybe(gd, 0);
	gd->driver->kick(gd);
	guest_delay(gd->guest, BLOCKED_MS);
	err = guest_smmu_attach(&gd->domain);
	return err ? err : gd->driver->restart(gd);
}

static int reset(struct guest_device *gd)
{
	int err = vmm_device_reset(gd->info.vmm);

	if (err)
		return guest_fail(&gd->guest->base, err, "%s", vmm_why(gd->guest->base.vmm));
	guest_pci_enable(gd);
	return gd->driver->restart(gd);
}

static int await_record(struct guest_device *gd, uint64_t before, const char *what)
{
	unsigned int waited;

	for (waited = 0; gd->faults == before; waited++) {
		if (waited >= (unsigned int)gd->guest->patience_ms)
			return guest_fail(&gd->guest->base, -ETIMEDOUT,
					  "%s: %s went to gIOVA 0x%llx, which is not mapped, and "
					  "no event record tells of it",
					  vmm_device_info(gd->info.vmm)->address, what,
					  (unsigned long long)gd->void_giova);
		guest_delay(gd->guest, 1);
	}
	return 0;
}

/* A message to nowhere, of a vector with nothing in flight; then it gets its address back. */
static int fault_of_message(struct guest_device *gd)
{
	uint64_t before = gd->faults;
	unsigned int i;
	int err;

	for (i = 0; i < (gd->msix ? 1 : gd->info.vectors); i++)
		guest_irq_wait(gd, i);
	err = guest_pci_readdress(gd, 0, gd->void_giova + VMM_ITS_TRANSLATER);
	if (err)
		return err;
	gd->driver->kick(gd);
	err = await_record(gd, before, "a message");
	if (!err)
		err = gd->driver->kicked(gd);
	if (!err)
		err = guest_pci_readdress(gd, 0, gd->info.giova);
	return err;
}

static int fault(struct guest_device *gd)
{
	/* in mode rmr the device's messages go to the kernel's window, whatever the guest writes */
	bool by_message = vmm_mode(gd->guest->base.vmm) != DB_MODE_RMR;
	uint64_t before = gd->faults;
	int err = 0;

	if (!by_message && !gd->driver->fault)
		return guest_fail(&gd->guest->base, -EOPNOTSUPP,
				  "%s: its driver cannot have it write to a wrong address, and in "
				  "mode rmr its messages go to the kernel's window",
				  vmm_device_info(gd->info.vmm)->address);
	if (!gd->void_giova)
		err = dma_reserve_void(&gd->domain, &gd->void_giova);
	if (!err && gd->driver->fault)
		err = gd->driver->fault(gd, gd->void_giova);
	if (!err && gd->driver->fault)
		err = await_record(gd, before, "a DMA write");
	if (!err && by_message)
		err = fault_of_message(gd);
	return err;
}

static int disturb(struct guest_device *gd, enum guest_disturbance what)
{
	switch (what) {
	case GUEST_DISTURB_REMAP:
		return remap(gd);
	case GUEST_DISTURB_CD:
		return guest_smmu_switch_cd(&gd->domain);
	case GUEST_DISTURB_ABORT:
		return block(gd, false);
	case GUEST_DISTURB_BYPASS:
		return block(gd, true);
	case GUEST_DISTURB_MASK:
		return mask(gd);
	case GUEST_DISTURB_RESET:
		return reset(gd);
	case GUEST_DISTURB_FAULT:
		return fault(gd);
	default:
		return -EINVAL;
	}
}

int guest_disturb(struct guest_device *gd, enum guest_disturbance what)
{
	int err = disturb(gd, what);

	if (err)
		return err;
	err = vmm_trap_error(gd->guest->base.vmm);
	if (err)
		return guest_fail(&gd->guest->base, err, "%s", vmm_why(gd->guest->base.vmm));
	gd->disturbed[what]++;
	return 0;
}

uint64_t guest_disturbed(const struct guest_device *gd, enum guest_disturbance what)
{
	return gd->disturbed[what];
}
