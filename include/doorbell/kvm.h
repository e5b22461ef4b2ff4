/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For VMMs on KVM: a vector's route. Not part of <doorbell/doorbell.h>, since it needs the kernel's
 * <linux/kvm.h>. Source: Linux, Documentation/virt/kvm/api.rst, KVM_SET_GSI_ROUTING.
 */
#ifndef DOORBELL_KVM_H
#define DOORBELL_KVM_H

#include <string.h>
#include <linux/kvm.h>
#include <doorbell/msi.h>

DB_API_BEGIN

/*
 * Fills the routing entry of interrupt @gsi for what db_msi_guest_ops.connect() was given. KVM
 * finds the vITS by the IPA of its doorbell, and in it the device by @device_id: what the guest's
 * msi-map (or IORT) says, usually the requester ID. The caller has the other entries of the table:
 * the ioctl replaces it as a whole, the routes of the interrupt controller's pins among them.
 */
static inline void db_kvm_msi_route(struct kvm_irq_routing_entry *entry, uint32_t gsi,
				    uint32_t device_id, const struct db_msi_route *route)
{
	memset(entry, 0, sizeof(*entry));
	entry->gsi = gsi;
	entry->type = KVM_IRQ_ROUTING_MSI;
	entry->flags = KVM_MSI_VALID_DEVID;
	entry->u.msi.address_lo = (uint32_t)route->doorbell;
	entry->u.msi.address_hi = (uint32_t)(route->doorbell >> 32);
	entry->u.msi.data = route->data;
	entry->u.msi.devid = device_id;
}

DB_API_END

#endif
