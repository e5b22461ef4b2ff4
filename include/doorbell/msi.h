/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSIs of a passed-through device: which address stands in the device, and which eventfd fires.
 *
 * A db_msi is one interrupt capability (MSI or MSI-X) of one device in one mode. The VMM gives each
 * vector the address that the *guest* wrote (gIOVA) and an eventfd, which it connects to the
 * guest's interrupt (irqfd). The data in the device is always the host's. db_vmsix and db_vmsi
 * stand before it: they are the registers the guest sees, to which a VMM hands trapped accesses.
 */
#ifndef DOORBELL_MSI_H
#define DOORBELL_MSI_H

#include <doorbell/viommu.h>

DB_API_BEGIN

struct db_msi;

enum db_msi_kind {
	DB_MSI,
	DB_MSIX,
};

struct db_msi_config {
	size_t size;	/* doorbell/api.h */
	struct db_device *dev;
	/* Native: where the doorbell is mapped. Stock, rmr: may be NULL. */
	struct db_space *space;
	enum db_mode mode;
	enum db_msi_kind kind;

	/*
	 * IPA of the page that holds the guest's GITS_TRANSLATER: base of its vITS + 64 KiB. In
	 * native the doorbell is mapped here; in stock it must be where the kernel put it (see
	 * db_msi_doorbell_ipa()); in rmr it is not used.
	 */
	uint64_t doorbell_ipa;

	/* Where the gIOVA stands that the kernel uses (native only): false: handed over with
	 * SET_IRQS; true: written into the device's own registers and read back by the kernel
	 * (fall-through). */
	bool fall_through;
};

/*
 * Where the doorbell page of @dev has to be in IPA space in @mode. *fixed is false when the VMM may
 * choose (native). The VMM calls it before it lays out its vITS. Errors: -EOPNOTSUPP (this mode is
 * not for this device; message says why).
 */
int db_msi_doorbell_ipa(struct db_device *dev, enum db_mode mode, bool *fixed, uint64_t *ipa);

/*
 * Checks the mode against db_device_caps(), maps the doorbell (native) and prepares for vectors to
 * be set. AUTO takes the best mode that fits: where native's doorbell cannot be at doorbell_ipa,
 * stock is tried, and never rmr instead of these, as the guest would have to be told.
 *
 * Errors: -EOPNOTSUPP (mode not possible), -EXDEV, -EADDRINUSE, -EBUSY (the capability has a db_msi
 * already), -EINVAL (doorbell_ipa, kind, size, no space), -E2BIG, -ENOMEM.
 */
int db_msi_create(const struct db_msi_config *config, struct db_msi **out);

/* Disarms all vectors, takes the doorbell mapping back. */
void db_msi_destroy(struct db_msi *msi);

enum db_mode db_msi_mode(const struct db_msi *msi);
unsigned int db_msi_count(const struct db_msi *msi);

struct db_msi_vector {
	uint64_t address;	/* gIOVA of GITS_TRANSLATER as the guest wrote it; ignored in rmr */
	int eventfd;		/* -1: disarm. Stays the caller's, who keeps it open while armed */
	uint32_t flags;		/* 0; for what is to come */
};

/*
 * Arms, re-programs or disarms vectors [start, start + count) with as few ioctls as possible; what
 * is in force already costs none. An armed vector that only gets another address loses no
 * interrupt. All or nothing: on error the vectors are as before (if even putting them back fails,
 * those concerned are disarmed).
 *
 * MSI-X vectors may be armed one by one. MSI (and MSI-X of a host that says VFIO_IRQ_INFO_NORESIZE)
 * gets its interrupts when the first vector is armed: MSI as many as that call's start + count,
 * which is what the device is told; MSI-X all that there are. Disarming the last vector gives them
 * back. All vectors of an MSI capability have one address.
 *
 * Errors: -EINVAL (range, descriptor, addresses of MSI), -ENOSPC (the host has no more interrupts;
 * fewer can be tried), -EXDEV (stock: the device's doorbell is another page than the one that
 * is at doorbell_ipa), -EBUSY (the device's other capability has vectors armed), -EBADF (no
 * eventfd), -EIO (the device does not answer; native: an armed vector is to get another address,
 * and the device is in a lower power state), -ENXIO (native: the doorbell was unmapped), -ENOMEM.
 */
int db_msi_set(struct db_msi *msi, unsigned int start, unsigned int count,
	       const struct db_msi_vector *vectors);

/* What stands in the device for vector @index: the address that the device writes to and the host's
 * data, as far as the host shows it (-EOPNOTSUPP if not: MSI, and MSI-X tables that cannot be
 * mapped). For people and tests. */
int db_msi_message(struct db_msi *msi, unsigned int index, uint64_t *address, uint32_t *data);

/* Call after db_device_reset() or a function-level reset by the guest: puts back the addresses and
 * masks that the library keeps in the device itself. -EIO: the device does not answer. */
int db_msi_restore(struct db_msi *msi);

/* --- What the guest sees --- */

struct db_vmsix;
struct db_vmsi;

/*
 * What the VMM does for a virtual capability. The calls come from within the db_vmsix_ or db_vmsi_
 * call that caused them, in its thread; they must not call back into the same virtual capability or
 * its db_msi. The struct is copied.
 */
/* Where a vector's message goes in the guest. */
struct db_msi_route {
	size_t size;		/* of this struct, set by the library */
	/*
	 * IPA of the GITS_TRANSLATER that the guest means: db_msi_config.doorbell_ipa and the place
	 * in its page that the guest's address has. By this a VMM, and KVM, finds the vITS
	 * (<doorbell/kvm.h> fills KVM's routing entry).
	 */
	uint64_t doorbell;
	/* The address that the guest wrote, before its stage 1: for people. An MSI route with this
	 * one is accepted by KVM, and its interrupts are lost without a word. */
	uint64_t giova;
	uint32_t data;		/* EventID at the vITS */
};

struct db_msi_guest_ops {
	size_t size;	/* doorbell/api.h */

	/*
	 * The guest's message for @index is complete and unmasked: connect @index to @route and
	 * return the eventfd that delivers it (>= 0), or -errno: the vector stays unarmed and is
	 * tried again when the guest next writes it. Called again only for another message, after
	 * @disconnect, or when the vector could not be armed. The same descriptor may be returned
	 * as before. For MSI it is called for masked vectors too, when the capability is enabled.
	 */
	int (*connect)(void *ctx, unsigned int index, const struct db_msi_route *route);
	/* Vector @index is masked or disabled by the guest: the eventfd may be left connected, and
	 * stays open. Optional. */
	void (*disconnect)(void *ctx, unsigned int index);
	/*
	 * After one or more calls of @connect, before their vectors are armed: the place to write
	 * the routes of many vectors at once (KVM_SET_GSI_ROUTING replaces the whole table). 0, or
	 * -errno: none of these vectors is armed. Optional.
	 */
	int (*commit)(void *ctx);
};

/*
 * A virtual MSI-X table and PBA (PCIe 7.7.2). @ctx is handed to @ops. The accesses of a guest, 4 or
 * 8 bytes, naturally aligned; others read as ~0 and are ignored. @msi must stay, and its vectors be
 * left to the table. All vectors are masked at first.
 *
 * Masked vectors collect their interrupts in the PBA: the eventfd of a masked vector is not
 * signalled. Where the device's table can be mapped the mask bit is set in the device, which then
 * has the pending bit too; where not, an internal eventfd takes the interrupts meanwhile. Either
 * way nothing is lost or doubled; several interrupts of a masked vector are one after unmasking, as
 * PCIe has it.
 *
 * A write returns 0, or an error of @connect or of db_msi_set(): the register has the value all the
 * same. -ENOMEM for create.
 */
int db_vmsix_create(struct db_msi *msi, const struct db_msi_guest_ops *ops, void *ctx,
		    struct db_vmsix **out);
void db_vmsix_destroy(struct db_vmsix *vmsix);
uint64_t db_vmsix_table_read(struct db_vmsix *vmsix, uint64_t offset, unsigned int size);
int db_vmsix_table_write(struct db_vmsix *vmsix, uint64_t offset, unsigned int size,
			 uint64_t value);
uint64_t db_vmsix_pba_read(struct db_vmsix *vmsix, uint64_t offset, unsigned int size);

/* Message Control of the MSI-X capability (the word at capability + 2): enable (15) and function
 * mask (14). */
uint16_t db_vmsix_control_read(struct db_vmsix *vmsix);
int db_vmsix_control_write(struct db_vmsix *vmsix, uint16_t value);

/* The guest's device was reset: disabled, every entry 0 and masked. */
void db_vmsix_reset(struct db_vmsix *vmsix);

/*
 * A virtual MSI capability (PCIe 7.7.1) of the shape of the device's own: @offset from the
 * capability's start, sizes 1, 2, 4, naturally aligned; others read as ~0 and are ignored. The
 * pointer to the next capability (byte 1) is the VMM's to fill in, and reads 0 here.
 */
int db_vmsi_create(struct db_msi *msi, const struct db_msi_guest_ops *ops, void *ctx,
		   struct db_vmsi **out);
void db_vmsi_destroy(struct db_vmsi *vmsi);
uint32_t db_vmsi_read(struct db_vmsi *vmsi, unsigned int offset, unsigned int size);
int db_vmsi_write(struct db_vmsi *vmsi, unsigned int offset, unsigned int size, uint32_t value);
void db_vmsi_reset(struct db_vmsi *vmsi);

DB_API_END

#endif
