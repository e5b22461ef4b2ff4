/* SPDX-License-Identifier: BSD-2-Clause */
/* What the SMMU tells the guest: event queue (IHI 0070 §3.5, §7.2, §7.3), global errors (§7.5),
 * interrupts (§3.18). */
#include "lib/vsmmu.h"

#include <endian.h>
#include <sys/eventfd.h>

static void set_error(struct db_vsmmu *s, uint32_t bit);

static void wired(struct db_vsmmu *s, enum db_vsmmu_irq irq)
{
	if (s->ops.irq)
		s->ops.irq(s->ctx, irq);
	else if (s->irq_fd[irq] >= 0)
		eventfd_write(s->irq_fd[irq], 1);
}

/* @abort: the error that stands for an MSI which did not arrive. */
static void interrupt(struct db_vsmmu *s, enum db_vsmmu_irq irq, uint64_t address, uint32_t data,
		      uint32_t abort)
{
	if (!s->ops.msi || !address)
		wired(s, irq);
	else if (s->ops.msi(s->ctx, address, data))
		set_error(s, abort);
}

/* A bit of GERROR that differs from GERRORN's is an active error; one that is active already does
 * not change. */
static void set_error(struct db_vsmmu *s, uint32_t bit)
{
	if ((s->gerror ^ s->gerrorn) & bit)
		return;
	s->gerror ^= bit;
	if (s->irq_ctrl & SMMU_IRQ_CTRL_GERROR)
		interrupt(s, DB_VSMMU_IRQ_GERROR, s->gerror_irq.address, s->gerror_irq.data,
			  SMMU_GERROR_MSI_GERROR_ABT);
}

void vsmmu_report_error(struct db_vsmmu *s, uint32_t bit)
{
	pthread_mutex_lock(&s->report);
	set_error(s, bit);
	pthread_mutex_unlock(&s->report);
}

bool vsmmu_report_active(struct db_vsmmu *s, uint32_t bit)
{
	bool active;

	pthread_mutex_lock(&s->report);
	active = (s->gerror ^ s->gerrorn) & bit;
	pthread_mutex_unlock(&s->report);
	return active;
}

void vsmmu_report_sync(struct db_vsmmu *s, uint64_t address, uint32_t data)
{
	pthread_mutex_lock(&s->report);
	interrupt(s, DB_VSMMU_IRQ_SYNC, address, data, SMMU_GERROR_MSI_CMDQ_ABT);
	pthread_mutex_unlock(&s->report);
}

/* §7.4: the flag differs from the guest's acknowledgement until that catches up. */
static void overflow(struct db_vsmmu *s)
{
	if (!((s->eventq.prod ^ s->eventq.cons) & SMMU_EVENTQ_OVERFLOW))
		s->eventq.prod ^= SMMU_EVENTQ_OVERFLOW;
}

/* True if the queue has one record more. */
static bool push(struct db_vsmmu *s, const uint64_t event[4])
{
	uint32_t size = vsmmu_queue_size(s->eventq.base), wrap = 2 * size - 1;
	uint64_t record[4];
	unsigned int i;

	/* More than full is what a guest makes of CONS. */
	if (((s->eventq.prod - s->eventq.cons) & wrap) >= size) {
		overflow(s);
		return false;
	}
	for (i = 0; i < 4; i++)
		record[i] = htole64(event[i]);
	if (s->ops.write(s->ctx, vsmmu_queue_base(s->eventq.base, sizeof(record)) +
				 (s->eventq.prod & (size - 1)) * sizeof(record),
			 record, sizeof(record))) {
		set_error(s, SMMU_GERROR_EVENTQ_ABT);
		return false;
	}
	s->eventq.prod = (s->eventq.prod & SMMU_EVENTQ_OVERFLOW) | ((s->eventq.prod + 1) & wrap);
	return true;
}

/* The interrupt comes with every batch of records, and not only with the first into an empty queue:
 * one too many does no harm. */
void vsmmu_report_events(struct db_vsmmu *s, const uint64_t (*events)[4], unsigned int count)
{
	bool any = false;
	unsigned int i;

	pthread_mutex_lock(&s->report);
	for (i = 0; s->eventq.on && i < count; i++)
		any |= push(s, events[i]);
	if (any && s->irq_ctrl & SMMU_IRQ_CTRL_EVENTQ)
		interrupt(s, DB_VSMMU_IRQ_EVENTQ, s->eventq_irq.address, s->eventq_irq.data,
			  SMMU_GERROR_MSI_EVENTQ_ABT);
	pthread_mutex_unlock(&s->report);
}

void vsmmu_report_lost(struct db_vsmmu *s)
{
	pthread_mutex_lock(&s->report);
	if (s->eventq.on)
		overflow(s);
	pthread_mutex_unlock(&s->report);
}
