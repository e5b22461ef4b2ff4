/* SPDX-License-Identifier: BSD-2-Clause */
/* What the SMMU tells the guest: event queue (IHI 0070 §3.5, §7.2, §7.3), global errors (§7.5),
 * interrupts (§3.18). */
#include "lib/vsmmu.h"

#include <endian.h>
#include <sys/eventfd.h>

/*
 * Without the lock "report": an emulated device's thread comes here by a fault, and what the VMM does
 * for an interrupt may need a lock that somebody holds who is about to access a register. @abort: the
 * error that stands for an MSI which did not arrive.
 */
static void interrupt(struct db_vsmmu *s, enum db_vsmmu_irq irq, const struct vsmmu_irq_cfg *cfg,
		      uint32_t abort)
{
	if (s->ops.msi && cfg->address) {
		if (s->ops.msi(s->ctx, cfg->address, cfg->data))
			vsmmu_report_error(s, abort);
	} else if (s->ops.irq) {
		s->ops.irq(s->ctx, irq);
	} else if (s->irq_fd[irq] >= 0) {
		eventfd_write(s->irq_fd[irq], 1);
	}
}

/* A bit of GERROR that differs from GERRORN's is an active error; one that is active already does
 * not change, nor interrupt again. */
void vsmmu_report_error(struct db_vsmmu *s, uint32_t bit)
{
	struct vsmmu_irq_cfg cfg;
	bool due = false;

	pthread_mutex_lock(&s->report);
	if (!((s->gerror ^ s->gerrorn) & bit)) {
		s->gerror ^= bit;
		due = s->irq_ctrl & SMMU_IRQ_CTRL_GERROR;
	}
	cfg = s->gerror_irq;
	pthread_mutex_unlock(&s->report);
	if (due)
		interrupt(s, DB_VSMMU_IRQ_GERROR, &cfg, SMMU_GERROR_MSI_GERROR_ABT);
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
	const struct vsmmu_irq_cfg cfg = { .address = address, .data = data };

	interrupt(s, DB_VSMMU_IRQ_SYNC, &cfg, SMMU_GERROR_MSI_CMDQ_ABT);
}

/* §7.4: the flag differs from the guest's acknowledgement until that catches up. */
static void overflow(struct db_vsmmu *s)
{
	if (!((s->eventq.prod ^ s->eventq.cons) & SMMU_EVENTQ_OVERFLOW))
		s->eventq.prod ^= SMMU_EVENTQ_OVERFLOW;
}

/* 1 if the queue has one record more, 0 if that is lost, or a negative errno: it is not in memory. */
static int push(struct db_vsmmu *s, const uint64_t event[4])
{
	uint32_t size = vsmmu_queue_size(s->eventq.base), wrap = 2 * size - 1;
	uint64_t record[4];
	unsigned int i;
	int ret;

	/* More than full is what a guest makes of CONS. */
	if (((s->eventq.prod - s->eventq.cons) & wrap) >= size) {
		overflow(s);
		return 0;
	}
	for (i = 0; i < 4; i++)
		record[i] = htole64(event[i]);
	ret = s->ops.write(s->ctx, vsmmu_queue_base(s->eventq.base, sizeof(record)) +
				   (s->eventq.prod & (size - 1)) * sizeof(record),
			   record, sizeof(record));
	if (ret)
		return ret;
	s->eventq.prod = (s->eventq.prod & SMMU_EVENTQ_OVERFLOW) | ((s->eventq.prod + 1) & wrap);
	return 1;
}

/* The interrupt comes with every batch of records, and not only with the first into an empty queue:
 * one too many does no harm. */
void vsmmu_report_events(struct db_vsmmu *s, const uint64_t (*events)[4], unsigned int count)
{
	bool any = false, abort = false;
	struct vsmmu_irq_cfg cfg;
	unsigned int i;
	int ret;

	pthread_mutex_lock(&s->report);
	for (i = 0; s->eventq.on && i < count; i++) {
		ret = push(s, events[i]);
		any |= ret > 0;
		abort |= ret < 0;
	}
	any = any && s->irq_ctrl & SMMU_IRQ_CTRL_EVENTQ;
	cfg = s->eventq_irq;
	pthread_mutex_unlock(&s->report);
	if (any)
		interrupt(s, DB_VSMMU_IRQ_EVENTQ, &cfg, SMMU_GERROR_MSI_EVENTQ_ABT);
	if (abort)
		vsmmu_report_error(s, SMMU_GERROR_EVENTQ_ABT);
}

void vsmmu_report_lost(struct db_vsmmu *s)
{
	pthread_mutex_lock(&s->report);
	if (s->eventq.on)
		overflow(s);
	pthread_mutex_unlock(&s->report);
}
