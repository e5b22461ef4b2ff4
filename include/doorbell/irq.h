/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device signals apart from its MSIs: its INTx pin, errors (AER), and the host's wish to
 * have it back; and the reset of all that shares its bus or slot.
 * Source: VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET.
 *
 * All calls may be made from any thread.
 */
#ifndef DOORBELL_IRQ_H
#define DOORBELL_IRQ_H

#include <doorbell/host.h>

DB_API_BEGIN

enum db_irq {
	DB_IRQ_INTX,	/* level-triggered; masked by the host each time that it is signalled */
	DB_IRQ_ERR,	/* an uncorrectable error: the device is not to be trusted any more */
	DB_IRQ_REQ,	/* the host wants the device: unplug it from the guest and close it */
};

/* 1 if the device has such an interrupt, 0 if not; -EINVAL. */
int db_device_irq_count(struct db_device *dev, enum db_irq irq);

/*
 * Signals @eventfd for @irq from now on, in place of what was signalled before; -1: nothing. The
 * descriptor stays the caller's and may be closed.
 *
 * INTx excludes MSI and MSI-X: while vectors of these are armed it is refused with -EBUSY, and they
 * while it is. (db_vpci exchanges them as the guest enables the one or the other.)
 *
 * Errors: -EOPNOTSUPP (the device has no such interrupt), -EBADF (no eventfd), -EBUSY, -EIO.
 */
int db_device_irq_set(struct db_device *dev, enum db_irq irq, int eventfd);

/*
 * INTx that was signalled is masked until it is unmasked: when the guest's interrupt controller has
 * seen its end of interrupt. db_device_intx_unmask() does that; or the host does it by itself
 * whenever @eventfd is signalled (db_device_intx_resample(), for the resamplefd of a KVM irqfd; -1
 * ends it). A pin that is still asserted is signalled at once. INTx must be set.
 * Errors: -EINVAL (INTx is not set), -EBADF (no eventfd).
 */
int db_device_intx_mask(struct db_device *dev);
int db_device_intx_unmask(struct db_device *dev);
int db_device_intx_resample(struct db_device *dev, int eventfd);

/* A function that a hot reset of a device resets with it. */
struct db_reset_function {
	size_t size;		/* of this struct, set by the caller */
	char address[16];
	/* This host has it open. */
	bool open;
	/* It does not stand in the way of the reset: open here, or open nowhere and in the IOMMU
	 * group of one that is. */
	bool owned;
};

/*
 * The @index-th function (from 0, the device itself among them) that db_device_hot_reset() resets.
 * Errors: -ENOENT (no more), -EOPNOTSUPP (the device sits where nothing can be reset: no slot or
 * bus of its own).
 */
int db_device_hot_reset_function(struct db_device *dev, unsigned int index,
				 struct db_reset_function *out);

/*
 * Resets the slot or bus of @dev, with all functions on it. Whoever has a db_msi or db_vpci of one
 * calls db_msi_restore() or db_vpci_reset() afterwards. Errors: -EOPNOTSUPP, -EPERM (a function is
 * somebody else's: the message names it), -EIO.
 */
int db_device_hot_reset(struct db_device *dev);

DB_API_END

#endif
