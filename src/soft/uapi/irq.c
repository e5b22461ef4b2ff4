/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/irq.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "abi/vfio.h"
#include "soft/alloc.h"
#include "soft/hw/rcu.h"
#include "soft/uapi/irq_events.h"

/* Of an address: the page. */
#define PARKED (~0xfffull)

struct irq_vector {
	uint32_t event;		/* EventID on an ITS */
	uint32_t intid;
	uint64_t address;	/* of the message */
	uint32_t data;
	bool allocated;
	/* the message is to be composed anew before the vector is started */
	bool stale;
	bool active;		/* the MSI-X entry has its message; else zeros */
	bool started;
};

struct irq_domain {
	struct soft_device *dev;
	struct iommufd_device *idev;
	struct pci_dev *pci;		/* NULL after removal */
	struct its_dev *its;
	struct gic *gic;
	uint32_t device_id;

	/*
	 * Made for one kind of interrupt with the capability's size, kept until the other kind is
	 * enabled.
	 */
	/* VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX; 0: none yet */
	unsigned int kind;
	unsigned int size;		/* vectors of the capability */
	struct irq_events *events;	/* NULL for a v2m frame */
	struct irq_vector *vectors;	/* size of them */

	bool enabled;
	unsigned int allocated;		/* MSI: vectors of the one message */
	unsigned int cap, pm_cap;	/* of kind, and of power management, in config space */
	bool msi_64bit, msi_maskable;
	uint32_t msi_mask;		/* as last written */
};

static bool is_msix(const struct irq_domain *domain)
{
	return domain->kind == VFIO_PCI_MSIX_IRQ_INDEX;
}

static bool is_v2m(const struct irq_domain *domain)
{
	return its_dev_config(domain->its)->kind == DOORBELL_V2M;
}

static unsigned int round_up_pow2(unsigned int n)
{
	unsigned int p = 1;

	while (p < n)
		p *= 2;
	return p;
}

int irq_domain_create(struct soft_device *dev, struct iommufd_device *idev, struct irq_domain **out)
{
	struct irq_domain *domain = soft_calloc(1, sizeof(*domain));

	if (!domain)
		return -ENOMEM;
	domain->dev = dev;
	domain->idev = idev;
	domain->pci = dev->pci;
	domain->pm_cap = pci_find_capability(dev->pci, PCI_CAP_ID_PM);
	domain->its = dev->host->itses[dev->desc->its];
	domain->gic = dev->host->gic;
	domain->device_id = dev->desc->device_id;
	*out = domain;
	return 0;
}

/* --- ITS: events and LPIs --- */

static void its_invalidate(struct irq_domain *domain, uint32_t event)
{
	/* INV, IHI 0069 §5.3.6 */
	const uint64_t inv[1][4] = { { 0x0c | (uint64_t)domain->device_id << 32, event } };

	if (!is_v2m(domain))
		its_dev_commands(domain->its, inv, 1);
}

static void release_kind(struct irq_domain *domain)
{
	if (domain->events)
		irq_events_put(domain->events);
	soft_free(domain->vectors);
	domain->vectors = NULL;
	domain->events = NULL;
	domain->kind = 0;
}

void irq_domain_destroy(struct irq_domain *domain)
{
	irq_free_vectors(domain);
	release_kind(domain);
	soft_free(domain);
}

static int setup_kind(struct irq_domain *domain, unsigned int kind)
{
	const struct pci_shape *shape = pci_dev_shape(domain->pci);
	uint32_t flags;
	int ret;

	if (domain->kind == kind)
		return 0;
	release_kind(domain);

	domain->size = kind == VFIO_PCI_MSIX_IRQ_INDEX ? shape->msix_vectors : shape->msi_vectors;
	domain->vectors = soft_calloc(domain->size, sizeof(*domain->vectors));
	if (!domain->vectors)
		return -ENODEV;
	if (!is_v2m(domain)) {
		ret = irq_events_get(domain->dev, domain->size, &domain->events);
		if (ret) {
			release_kind(domain);
			return ret;
		}
	}
	domain->kind = kind;
	domain->cap = pci_find_capability(domain->pci,
					  is_msix(domain) ? PCI_CAP_ID_MSIX : PCI_CAP_ID_MSI);
	if (!is_msix(domain)) {
		flags = pci_config_read(domain->pci, domain->cap + PCI_MSI_FLAGS, 2);
		domain->msi_64bit = flags & PCI_MSI_FLAGS_64BIT;
		domain->msi_maskable = flags & PCI_MSI_FLAGS_MASKBIT;
	}
	return 0;
}

/*
 * Interrupts for @count vectors from @vector on that share a message (1 for MSI-X), mapped but
 * disabled.
 */
static int alloc_interrupts(struct irq_domain *domain, unsigned int vector, unsigned int count)
{
	unsigned int span = round_up_pow2(count), i;
	uint32_t event = 0, intid;
	int ret;

	if (is_v2m(domain)) {
		ret = gic_alloc_interrupts(domain->gic, domain->its, span, &intid);
		if (ret)
			return ret;
	} else {
		ret = irq_events_alloc(domain->events, span, &event);
		if (ret)
			return ret;
		intid = irq_events_lpi(domain->events) + event;
		ret = its_dev_map_events(domain->its, domain->device_id, event, span, intid,
					 event % domain->dev->host->machine.processors);
		if (ret) {
			irq_events_free(domain->events, event, span);
			return ret;
		}
	}
	for (i = 0; i < count; i++) {
		domain->vectors[vector + i] = (struct irq_vector){
			.event = event + i,
			.intid = intid + i,
			.data = its_dev_message_data(domain->its, event + i, intid + i),
			.allocated = true,
		};
	}
	return 0;
}

static void free_interrupts(struct irq_domain *domain, unsigned int vector, unsigned int count)
{
	unsigned int span = round_up_pow2(count);
	const struct irq_vector *first = &domain->vectors[vector];

	if (is_v2m(domain)) {
		gic_free_interrupts(domain->gic, domain->its, first->intid, span);
	} else {
		its_dev_unmap_events(domain->its, domain->device_id, first->event, span);
		irq_events_free(domain->events, first->event, span);
	}
	memset(&domain->vectors[vector], 0, count * sizeof(domain->vectors[0]));
}

/* --- The device's registers --- */

/* Does it hear more than config space? In a lower power state what is written to it is lost. */
static bool in_d0(const struct irq_domain *domain)
{
	return domain->pci && !(pci_config_read(domain->pci, domain->pm_cap + PCI_PM_CTRL, 2) &
				PCI_PM_CTRL_STATE_MASK);
}

static void set_control(struct irq_domain *domain, unsigned int reg, uint16_t clear, uint16_t set)
{
	uint32_t control;

	if (!domain->pci)
		return;
	control = pci_config_read(domain->pci, domain->cap + reg, 2);
	pci_config_write(domain->pci, domain->cap + reg, 2, (control & ~(uint32_t)clear) | set);
}

static void msix_set_control(struct irq_domain *domain, uint16_t clear, uint16_t set)
{
	set_control(domain, PCI_MSIX_FLAGS, clear, set);
}

static void msix_entry_write(struct irq_domain *domain, unsigned int vector, unsigned int reg,
			     uint32_t value)
{
	const struct pci_shape *shape;

	if (!in_d0(domain))
		return;
	shape = pci_dev_shape(domain->pci);
	pci_bar_write(domain->pci, shape->msix_bar,
		      shape->msix_table_off + (uint64_t)vector * PCI_MSIX_ENTRY_SIZE + reg, 4,
		      value);
}

static void msix_mask(struct irq_domain *domain, unsigned int vector, bool mask)
{
	msix_entry_write(domain, vector, PCI_MSIX_ENTRY_VECTOR_CTRL,
			 mask ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static void msi_set_control(struct irq_domain *domain, uint16_t clear, uint16_t set)
{
	set_control(domain, PCI_MSI_FLAGS, clear, set);
}

static void msi_set_mask(struct irq_domain *domain, uint32_t clear, uint32_t set)
{
	if (!domain->msi_maskable)
		return;
	domain->msi_mask = (domain->msi_mask & ~clear) | set;
	if (domain->pci)
		pci_config_write(domain->pci,
				 domain->cap +
					 (domain->msi_64bit ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32),
				 4, domain->msi_mask);
}

static uint16_t msi_multiple(const struct irq_domain *domain)
{
	unsigned int log2 = 0;

	while (1u << log2 < domain->allocated)
		log2++;
	return (uint16_t)(log2 << 4);
}

/*
 * An MSI-X entry must be masked while its message changes (PCIe 6.1.4.2), or the device might send
 * half of each.
 */
static void write_message(struct irq_domain *domain, unsigned int vector)
{
	const struct irq_vector *v = &domain->vectors[vector];
	uint64_t address = v->active ? v->address : 0;

	/* Linux leaves it at that: a message that is written to a sleeping device is lost. */
	if (!in_d0(domain))
		return;
	if (is_msix(domain)) {
		if (v->started)
			msix_mask(domain, vector, true);
		msix_entry_write(domain, vector, PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)address);
		msix_entry_write(domain, vector, PCI_MSIX_ENTRY_UPPER_ADDR,
				 (uint32_t)(address >> 32));
		msix_entry_write(domain, vector, PCI_MSIX_ENTRY_DATA, v->active ? v->data : 0);
		if (v->started)
			msix_mask(domain, vector, false);
		return;
	}
	msi_set_control(domain, PCI_MSI_FLAGS_QSIZE, msi_multiple(domain));
	pci_config_write(domain->pci, domain->cap + PCI_MSI_ADDRESS_LO, 4, (uint32_t)v->address);
	if (domain->msi_64bit)
		pci_config_write(domain->pci, domain->cap + PCI_MSI_ADDRESS_HI, 4,
				 (uint32_t)(v->address >> 32));
	pci_config_write(domain->pci,
			 domain->cap + (domain->msi_64bit ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2,
			 v->data);
}

/* Linux takes the message out of an MSI-X entry whose interrupt is freed. */
static void deactivate(struct irq_domain *domain, unsigned int vector)
{
	domain->vectors[vector].active = false;
	write_message(domain, vector);
}

/* --- Messages --- */

static int compose(struct irq_domain *domain, unsigned int vector)
{
	struct irq_vector *v = &domain->vectors[vector];
	uint64_t address;
	int ret;

	ret = iommufd_sw_msi(domain->idev, domain->kind, vector,
			     its_dev_doorbell(domain->its, domain->device_id), &address);
	if (ret)
		return ret;
	v->address = address;
	v->stale = false;
	write_message(domain, vector);
	return 0;
}

/*
 * An MSI-X vector that has no address, and no window for one, is allocated all the same: with
 * vector 5 enabled, 0 to 4 get interrupts too, though nobody may ever start them. Its message is
 * parked, masked, in the last page of the address space, where nothing is ever mapped. Plain MSI has
 * no mask bits as a rule, and is not parked.
 */
static int compose_at_allocation(struct irq_domain *domain, unsigned int vector)
{
	struct irq_vector *v = &domain->vectors[vector];
	int ret;

	ret = compose(domain, vector);
	if (ret != -EDESTADDRREQ || !is_msix(domain))
		return ret;
	v->address = PARKED | (its_dev_doorbell(domain->its, domain->device_id) & ~PARKED);
	v->stale = true;
	write_message(domain, vector);
	return 0;
}

/* --- Allocation --- */

static void free_msix_vectors(struct irq_domain *domain)
{
	for (unsigned int i = 0; i < domain->size; i++) {
		if (!domain->vectors[i].allocated)
			continue;
		msix_mask(domain, i, true);
		deactivate(domain, i);
		free_interrupts(domain, i, 1);
	}
}

static int alloc_msix_vector(struct irq_domain *domain, unsigned int vector)
{
	int ret;

	ret = alloc_interrupts(domain, vector, 1);
	if (ret)
		return ret;
	msix_mask(domain, vector, true);
	domain->vectors[vector].active = true;
	ret = compose_at_allocation(domain, vector);
	if (ret)
		free_interrupts(domain, vector, 1);
	return ret;
}

static int alloc_msix(struct irq_domain *domain, unsigned int nvec)
{
	unsigned int i;

	/*
	 * The table is written with the function masked, so that nothing is sent before all entries
	 * are.
	 */
	msix_set_control(domain, 0, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (i = 0; i < domain->size; i++)
		msix_mask(domain, i, true);
	for (i = 0; i < nvec; i++) {
		if (!alloc_msix_vector(domain, i))
			continue;
		/*
		 * Linux tells how many there were, or just that there was none, whatever the
		 * reason.
		 */
		free_msix_vectors(domain);
		msix_set_control(domain, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 0);
		return i ? (int)i : -ENOSPC;
	}
	msix_set_control(domain, PCI_MSIX_FLAGS_MASKALL, 0);
	return 0;
}

static void free_msi_block(struct irq_domain *domain)
{
	free_interrupts(domain, 0, domain->allocated);
	domain->allocated = 0;
}

static int alloc_msi_block(struct irq_domain *domain, unsigned int nvec)
{
	int ret;

	ret = alloc_interrupts(domain, 0, nvec);
	if (ret)
		return -ENOSPC;
	domain->allocated = nvec;
	ret = compose_at_allocation(domain, 0);
	if (ret)
		ret = -ENOSPC;
	else if (!domain->msi_64bit && domain->vectors[0].address >> 32)
		ret = -EIO;
	if (ret)
		free_msi_block(domain);
	return ret;
}

static int alloc_msi(struct irq_domain *domain, unsigned int nvec)
{
	uint32_t all = nvec == 32 ? UINT32_MAX : (1u << nvec) - 1;
	int ret;

	msi_set_control(domain, PCI_MSI_FLAGS_ENABLE, 0);
	msi_set_mask(domain, 0, all);
	ret = alloc_msi_block(domain, nvec);
	if (ret == -ENOSPC && nvec > 1) {
		/* Linux then tries a single one, and tells of it. */
		ret = alloc_msi_block(domain, 1);
		if (!ret) {
			free_msi_block(domain);
			ret = 1;
		}
	}
	if (ret) {
		msi_set_mask(domain, all, 0);
		return ret;
	}
	msi_set_control(domain, 0, PCI_MSI_FLAGS_ENABLE);
	return 0;
}

int irq_alloc_vectors(struct irq_domain *domain, unsigned int irq_index, unsigned int nvec)
{
	int ret;

	if (!nvec)
		return -ERANGE;
	if (!in_d0(domain))
		return -EINVAL;
	ret = setup_kind(domain, irq_index);
	if (ret)
		return ret;
	ret = is_msix(domain) ? alloc_msix(domain, nvec) : alloc_msi(domain, nvec);
	domain->enabled = !ret;
	return ret;
}

void irq_free_vectors(struct irq_domain *domain)
{
	if (!domain->enabled)
		return;
	domain->enabled = false;
	if (is_msix(domain)) {
		free_msix_vectors(domain);
		msix_set_control(domain, PCI_MSIX_FLAGS_ENABLE, 0);
		return;
	}
	msi_set_control(domain, PCI_MSI_FLAGS_ENABLE, 0);
	msi_set_mask(domain, UINT32_MAX, 0);
	free_msi_block(domain);
}

bool irq_has_vector(const struct irq_domain *domain, unsigned int vector)
{
	return domain->enabled && vector < domain->size && domain->vectors[vector].allocated;
}

bool irq_can_grow(const struct soft_device *dev)
{
	/* Linux's v2m driver gives interrupts only when MSI-X is enabled. */
	return !dev->desc->msix_noresize &&
	       its_dev_config(dev->host->itses[dev->desc->its])->kind != DOORBELL_V2M;
}

int irq_alloc_vector(struct irq_domain *domain, unsigned int vector)
{
	return alloc_msix_vector(domain, vector);
}

/* --- request_irq, free_irq --- */

int irq_start_vector(struct irq_domain *domain, unsigned int vector, void (*handler)(void *ctx),
		     void *ctx)
{
	unsigned int message = is_msix(domain) ? vector : 0;	/* MSI has one, that of vector 0 */
	struct irq_vector *v = &domain->vectors[vector];
	bool was_active = v->active;
	int ret;

	v->active = true;
	if (domain->vectors[message].stale) {
		ret = compose(domain, message);
		if (ret) {
			v->active = was_active;
			return ret;
		}
	} else if (is_msix(domain)) {
		/*
		 * vfio-pci writes the remembered message again: a reset behind the kernel's back
		 * may have lost it.
		 */
		write_message(domain, vector);
	}

	ret = gic_set_handler(domain->gic, v->intid, handler, ctx);
	if (ret)
		return ret;
	v->started = true;
	gic_set_enabled(domain->gic, v->intid, true);
	its_invalidate(domain, v->event);
	if (is_msix(domain))
		msix_mask(domain, vector, false);
	else
		msi_set_mask(domain, 1u << vector, 0);
	return 0;
}

static void silence_vector(struct irq_domain *domain, unsigned int vector)
{
	struct irq_vector *v = &domain->vectors[vector];

	if (is_msix(domain))
		msix_mask(domain, vector, true);
	else
		msi_set_mask(domain, 0, 1u << vector);
	gic_set_enabled(domain->gic, v->intid, false);
	its_invalidate(domain, v->event);
	v->started = false;
	if (is_msix(domain))
		deactivate(domain, vector);
}

/* Handlers of neighbouring interrupts end together: each end waits for a grace period. */
void irq_stop_vectors(struct irq_domain *domain, unsigned int start, unsigned int count)
{
	unsigned int end = start + count, i, run;

	for (i = start; i < end; i += run) {
		run = 1;
		if (!domain->vectors[i].started)
			continue;
		silence_vector(domain, i);
		while (i + run < end && domain->vectors[i + run].started &&
		       domain->vectors[i + run].intid == domain->vectors[i].intid + run)
			silence_vector(domain, i + run++);
		gic_clear_handlers(domain->gic, domain->vectors[i].intid, run);
	}
}

/*
 * The vectors of [start, start + count) that have a message of their own: all for MSI-X, the first
 * for MSI.
 */
static unsigned int messages(const struct irq_domain *domain, unsigned int start,
			     unsigned int count)
{
	if (!domain->enabled)
		return 0;
	return is_msix(domain) ? count : !start && count;
}

/* May the device send with the message of @vector? That of MSI can be masked by nobody. */
static bool in_use(const struct irq_domain *domain, unsigned int vector)
{
	return is_msix(domain) ? domain->vectors[vector].started : true;
}

bool irq_can_update(const struct irq_domain *domain, unsigned int start, unsigned int count)
{
	unsigned int end = start + messages(domain, start, count);

	for (unsigned int i = start; i < end; i++)
		if (in_use(domain, i))
			return in_d0(domain);
	return true;
}

void irq_update_vectors(struct irq_domain *domain, unsigned int start, unsigned int count)
{
	unsigned int end = start + messages(domain, start, count);
	bool live = false;

	irq_forget_vectors(domain, start, count);
	for (unsigned int i = start; i < end; i++) {
		if (!in_use(domain, i))
			continue;
		/* With an address at hand this can fail for a detached device only. */
		(void)compose(domain, i);
		live = true;
	}
	/*
	 * Hardware answers the read of a register only after the messages it had sent: none with an
	 * old address is under way any more.
	 */
	if (live)
		hw_synchronize();
}

void irq_forget_vectors(struct irq_domain *domain, unsigned int start, unsigned int count)
{
	unsigned int end = start + messages(domain, start, count);

	for (unsigned int i = start; i < end; i++)
		domain->vectors[i].stale = domain->vectors[i].allocated;
}

/* --- Reset and removal --- */

void irq_restore(struct irq_domain *domain)
{
	if (!domain->enabled)
		return;
	if (!is_msix(domain)) {
		msi_set_control(domain, PCI_MSI_FLAGS_ENABLE, 0);
		write_message(domain, 0);
		msi_set_mask(domain, 0, 0);
		msi_set_control(domain, 0, msi_multiple(domain) | PCI_MSI_FLAGS_ENABLE);
		return;
	}
	msix_set_control(domain, 0, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned int i = 0; i < domain->size; i++) {
		if (!domain->vectors[i].allocated)
			continue;
		write_message(domain, i);
		msix_mask(domain, i, !domain->vectors[i].started);
	}
	msix_set_control(domain, PCI_MSIX_FLAGS_MASKALL, 0);
}

void irq_device_removed(struct irq_domain *domain)
{
	domain->pci = NULL;
}
