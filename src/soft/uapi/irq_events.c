/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/irq_events.h"

#include <errno.h>

#include "soft/alloc.h"
#include "soft/hw/gic.h"

struct irq_events {
	struct soft_host *host;
	struct irq_events *next;	/* of the host's; with users, under host->its_lock */
	unsigned int users;
	struct its_dev *its;
	uint32_t device_id;
	unsigned int count;		/* of LPIs from first_lpi, one for each event */
	uint32_t first_lpi;
	pthread_mutex_t lock;		/* in_use */
	uint64_t *in_use;		/* a bit for each event */
};

static unsigned int vectors_of(const struct machine_device *desc)
{
	if (desc->kind == MACHINE_NVME)
		return desc->nvme.io_queues + 1;
	return desc->bell.msix_vectors ? desc->bell.msix_vectors : desc->bell.msi_vectors;
}

/* With what other functions of the same DeviceID may ask for. */
static unsigned int events_of(const struct soft_device *dev, unsigned int vectors)
{
	const struct machine *m = &dev->host->machine;
	unsigned int most = 1u << its_dev_config(dev->host->itses[dev->desc->its])->event_bits;
	unsigned int n = vectors, events = 1;

	for (unsigned int i = 0; i < m->n_devices; i++) {
		const struct machine_device *other = &m->devices[i];

		if (other != dev->desc && other->its == dev->desc->its &&
		    other->device_id == dev->desc->device_id)
			n += vectors_of(other);
	}
	while (events < n)
		events *= 2;
	/*
	 * DeviceID 0 is what a machine without wired DeviceIDs has for all: Linux leaves room for
	 * more than one device.
	 */
	if (!dev->desc->device_id && events < 32)
		events = 32;
	return events < most ? events : most;
}

static int create_itt(struct soft_device *dev, struct irq_events *e, unsigned int vectors)
{
	unsigned int n = events_of(dev, vectors), lpis;
	int ret = -ENOSPC;

	for (lpis = n; lpis; lpis /= 2) {
		ret = gic_alloc_interrupts(dev->host->gic, e->its, lpis, &e->first_lpi);
		if (ret != -ENOSPC)
			break;
	}
	if (ret)
		return -ENODEV;
	e->count = lpis;
	e->in_use = soft_calloc((lpis + 63) / 64, sizeof(*e->in_use));
	if (!e->in_use)
		ret = -ENOMEM;
	else if (its_dev_map_device(e->its, e->device_id, n < 2 ? 2 : n))
		ret = -ENODEV;
	if (ret) {
		soft_free(e->in_use);
		gic_free_interrupts(dev->host->gic, e->its, e->first_lpi, lpis);
	}
	return ret;
}

static int create_events(struct soft_device *dev, unsigned int vectors, struct irq_events **out)
{
	struct irq_events *e = soft_calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return -ENOMEM;
	*e = (struct irq_events){
		.host = dev->host,
		.its = dev->host->itses[dev->desc->its],
		.device_id = dev->desc->device_id,
	};
	ret = create_itt(dev, e, vectors);
	if (ret) {
		soft_free(e);
		return ret;
	}
	pthread_mutex_init(&e->lock, NULL);
	e->next = dev->host->its_events;
	dev->host->its_events = e;
	*out = e;
	return 0;
}

int irq_events_get(struct soft_device *dev, unsigned int vectors, struct irq_events **out)
{
	const struct its_dev *its = dev->host->itses[dev->desc->its];
	struct irq_events *e;
	int ret = 0;

	pthread_mutex_lock(&dev->host->its_lock);
	for (e = dev->host->its_events; e; e = e->next)
		if (e->its == its && e->device_id == dev->desc->device_id)
			break;
	if (!e)
		ret = create_events(dev, vectors, &e);
	if (!ret) {
		e->users++;
		*out = e;
	}
	pthread_mutex_unlock(&dev->host->its_lock);
	return ret;
}

void irq_events_put(struct irq_events *e)
{
	struct soft_host *host = e->host;
	struct irq_events **at;

	pthread_mutex_lock(&host->its_lock);
	if (!--e->users) {
		for (at = &host->its_events; *at != e; at = &(*at)->next)
			;
		*at = e->next;
		its_dev_unmap_device(e->its, e->device_id);
		gic_free_interrupts(host->gic, e->its, e->first_lpi, e->count);
		pthread_mutex_destroy(&e->lock);
		soft_free(e->in_use);
		soft_free(e);
	}
	pthread_mutex_unlock(&host->its_lock);
}

static bool is_used(const struct irq_events *e, unsigned int event)
{
	return e->in_use[event / 64] >> (event % 64) & 1;
}

int irq_events_alloc(struct irq_events *e, unsigned int count, uint32_t *first)
{
	unsigned int base, i;
	int ret = -ENOSPC;

	pthread_mutex_lock(&e->lock);
	for (base = 0; ret && base + count <= e->count; base += count) {
		for (i = 0; i < count && !is_used(e, base + i); i++)
			;
		if (i < count)
			continue;
		for (i = 0; i < count; i++)
			e->in_use[(base + i) / 64] |= 1ull << ((base + i) % 64);
		*first = base;
		ret = 0;
	}
	pthread_mutex_unlock(&e->lock);
	return ret;
}

void irq_events_free(struct irq_events *e, uint32_t first, unsigned int count)
{
	pthread_mutex_lock(&e->lock);
	for (unsigned int i = 0; i < count; i++)
		e->in_use[(first + i) / 64] &= ~(1ull << ((first + i) % 64));
	pthread_mutex_unlock(&e->lock);
}

uint32_t irq_events_lpi(const struct irq_events *e)
{
	return e->first_lpi;
}
