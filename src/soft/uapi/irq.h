/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSIs of a device as the kernel's irq layer keeps them: interrupts and ITS mappings of the
 * device's MSI domain, the message of each vector, and what stands in the device's registers.
 *
 * As in Linux, a vector is allocated (it has an interrupt and a message, and is masked), then
 * started by request_irq and stopped by free_irq. The messages are remembered: a reset of the
 * device puts them back.
 *
 * The caller serialises all calls for a device (soft_device.lock).
 */
#ifndef SOFT_UAPI_IRQ_H
#define SOFT_UAPI_IRQ_H

#include "soft/uapi/iommufd.h"

struct irq_domain;

/* For @dev, whose addresses come from @idev. */
int irq_domain_create(struct soft_device *dev, struct iommufd_device *idev,
		      struct irq_domain **out);

/* Frees vectors, interrupts and ITS mappings. Handlers have ended. */
void irq_domain_destroy(struct irq_domain *domain);

/*
 * pci_alloc_irq_vectors(1, nvec) for @irq_index (VFIO_PCI_MSI_IRQ_INDEX or MSIX): all vectors 0 ..
 * nvec - 1 and the capability enabled: 0. When there are fewer interrupts, nothing has changed and
 * that number is returned. -ENOSPC (none), -ENODEV (no room in the ITS), -ERANGE (nvec is 0), -EINVAL
 * (not in D0), -EIO (the address does not fit the capability), -ENOMEM.
 */
int irq_alloc_vectors(struct irq_domain *domain, unsigned int irq_index, unsigned int nvec);

/* Disables the capability and frees its vectors, all of which have been stopped. */
void irq_free_vectors(struct irq_domain *domain);

/* Is an interrupt allocated to @vector? */
bool irq_has_vector(const struct irq_domain *domain, unsigned int vector);

/* Adds a vector while MSI-X is enabled. -ENOSPC. */
int irq_alloc_vector(struct irq_domain *domain, unsigned int vector);

/* May vectors be added while MSI-X is enabled? */
bool irq_can_grow(const struct soft_device *dev);

/*
 * request_irq: @handler is called with @ctx for each interrupt, and must not block. -EDESTADDRREQ
 * (no address was prepared), -ENOMEM.
 */
int irq_start_vector(struct irq_domain *domain, unsigned int vector, void (*handler)(void *ctx),
		     void *ctx);

/* free_irq for [start, start + count): when it returns, no handler runs any more. */
void irq_stop_vectors(struct irq_domain *domain, unsigned int start, unsigned int count);

/* Does the device hear it, should the messages of [start, start + count) have to be rewritten? */
bool irq_can_update(const struct irq_domain *domain, unsigned int start, unsigned int count);

/*
 * The addresses of vectors [start, start + count) have changed: messages that the device may use are
 * composed anew and written to it, those of vectors that are not started when they are.
 */
void irq_update_vectors(struct irq_domain *domain, unsigned int start, unsigned int count);

/*
 * The addresses of vectors [start, start + count) were taken away: a started vector keeps its
 * message; when one is started, it is composed anew.
 */
void irq_forget_vectors(struct irq_domain *domain, unsigned int start, unsigned int count);

/* The device lost its state in a reset: capability, masks and messages are written to it again. */
void irq_restore(struct irq_domain *domain);

/* The device is gone: its registers are not touched any more. */
void irq_device_removed(struct irq_domain *domain);

#endif
