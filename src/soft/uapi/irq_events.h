/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ITT of a DeviceID and the LPIs of its events. Functions behind a PCIe-to-PCI bridge have one
 * DeviceID, and so one ITT, which is made with the first and big enough for all of them.
 */
#ifndef SOFT_UAPI_IRQ_EVENTS_H
#define SOFT_UAPI_IRQ_EVENTS_H

#include "soft/host.h"

struct irq_events;

/*
 * Those of @dev's DeviceID, with room for @vectors of it. There may be fewer LPIs than that:
 * vectors beyond these cannot be allocated. -ENOMEM; -ENODEV.
 */
int irq_events_get(struct soft_device *dev, unsigned int vectors, struct irq_events **out);

/* The last one gives ITT and LPIs back. */
void irq_events_put(struct irq_events *events);

/* The first @count (a power of two) free events at a multiple of @count, or -ENOSPC. */
int irq_events_alloc(struct irq_events *events, unsigned int count, uint32_t *first);
void irq_events_free(struct irq_events *events, uint32_t first, unsigned int count);

/* The LPI of event 0; those of the others follow. */
uint32_t irq_events_lpi(const struct irq_events *events);

#endif
