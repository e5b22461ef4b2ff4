/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for interrupts, and accounting for each of them. */
#include <errno.h>
#include <time.h>

#include "arm/smmu_regs.h"
#include "guest/guest_priv.h"

#define PATIENCE_LEAST_MS 5
#define SETTLE_MS 30

static void interrupt(void *ctx, uint32_t lpi, uint64_t times)
{
	struct guest *guest = ctx;
	struct guest_lpi *handler = NULL;

	if (lpi >= GUEST_LPI_FIRST && lpi - GUEST_LPI_FIRST < guest->n_lpis)
		handler = &guest->lpis[lpi - GUEST_LPI_FIRST];
	if (handler && handler->gd)
		handler->gd->vectors[handler->vector].arrived += times;
	else
		guest->unknown += times;
}

/*
 * The device whose void granule the faulting access went to, if that is what the record tells of.
 */
static struct guest_device *who_faulted(const struct guest *guest, const uint64_t record[4])
{
	unsigned int i;

	if (FIELD_GET64(SMMU_EVT_0_ID, record[0]) != SMMU_EVT_F_TRANSLATION ||
	    record[1] & (SMMU_EVT_1_S2 | SMMU_EVT_1_RNW))
		return NULL;
	for (i = 0; i < guest->n_devices; i++) {
		struct guest_device *gd = guest->devices[i];

		if (gd->void_giova &&
		    FIELD_GET64(SMMU_EVT_0_SID, record[0]) ==
			    vmm_device_info(gd->info.vmm)->stream_id &&
		    record[2] >> gd->info.granule_shift == gd->void_giova >> gd->info.granule_shift)
			return gd;
	}
	return NULL;
}

bool guest_event_expected(const struct guest *guest, const uint64_t record[4])
{
	return who_faulted(guest, record);
}

static void event(void *ctx, unsigned int smmu)
{
	struct guest *guest = ctx;
	struct guest_device *gd;
	uint64_t record[4];

	while (guest_smmu_event(&guest->smmus[smmu], record)) {
		gd = who_faulted(guest, record);	/* the VMM gives no StreamID twice */
		if (gd)
			gd->faults++;
	}
}

const struct vmm_cpu_ops guest_cpu_ops = {
	.interrupt = interrupt,
	.event = event,
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

void guest_irq_expect(struct guest_device *gd, unsigned int vector)
{
	struct guest_vector *v = &gd->vectors[vector];

	v->raised++;
	v->awaited = v->arrived + 1;
	v->in_flight = true;
}

void guest_irq_maybe(struct guest_device *gd, unsigned int vector)
{
	gd->vectors[vector].maybe++;
}

int guest_irq_wait(struct guest_device *gd, unsigned int vector)
{
	struct guest_vector *v = &gd->vectors[vector];
	struct guest *guest = gd->guest;
	int64_t deadline = now_ms() + guest->patience_ms;

	v->in_flight = false;
	if (v->masked)
		guest_pci_mask(gd, vector, false);
	while (v->arrived < v->awaited) {
		int64_t left = deadline - now_ms();

		if (left <= 0) {
			if (guest->patience_ms > PATIENCE_LEAST_MS)
				guest->patience_ms /= 2;
			return -ETIMEDOUT;
		}
		if (vmm_wait(guest->base.vmm, left) < 0)
			return -EIO;
	}
	return 0;
}

void guest_delay(struct guest *guest, int ms)
{
	int64_t deadline = now_ms() + ms, left;

	while ((left = deadline - now_ms()) > 0)
		if (vmm_wait(guest->base.vmm, left) < 0)
			return;
}

/* What is pending of masked vectors arrives, and what is under way. */
static void settle(struct guest_device *gd)
{
	unsigned int i;

	for (i = 0; i < gd->info.vectors; i++)
		if (gd->vectors[i].masked)
			guest_pci_mask(gd, i, false);
	vmm_drain(gd->info.vmm);
	guest_delay(gd->guest, SETTLE_MS);
}

void guest_irq_cancel(struct guest_device *gd)
{
	unsigned int i;

	settle(gd);
	for (i = 0; i < gd->info.vectors; i++) {
		struct guest_vector *v = &gd->vectors[i];

		for (; v->maybe; v->maybe--)
			v->raised += v->arrived > v->raised;
		if (v->in_flight && v->arrived < v->raised) {
			v->raised--;
			v->cancelled++;
		}
		v->in_flight = false;
	}
}

/*
 * Each vector by itself shows how many came too few or too many. One too many here while one is
 * missing there went astray; what nobody is missing was not raised at all.
 */
void guest_device_interrupts(struct guest_device *gd, struct guest_interrupts *out)
{
	uint64_t missing = 0, surplus;
	unsigned int i;

	settle(gd);
	*out = (struct guest_interrupts){ 0 };
	surplus = gd->guest->unknown;
	gd->guest->unknown = 0;	/* accounted for once, with the device that is asked first */
	for (i = 0; i < gd->info.vectors; i++) {
		const struct guest_vector *v = &gd->vectors[i];
		uint64_t good = v->arrived < v->raised ? v->arrived : v->raised;

		out->expected += v->raised;
		out->delivered += good;
		out->cancelled += v->cancelled;
		missing += v->raised - good;
		surplus += v->arrived - good;
	}
	out->misrouted = missing < surplus ? missing : surplus;
	out->lost = missing - out->misrouted;
	out->spurious = surplus - out->misrouted;
}
