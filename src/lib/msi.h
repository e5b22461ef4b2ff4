/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interrupt capability in one of the modes. msi.c decides what changes and in which order, and
 * undoes; the modes say how an address gets into the device.
 */
#ifndef LIB_MSI_H
#define LIB_MSI_H

#include <pthread.h>
#include <doorbell/msi.h>

#include "lib/device.h"
#include "lib/table.h"

/* What is in force for a vector, or is to be. */
struct msi_state {
	uint64_t address;	/* that the library gave the kernel or wrote into the device */
	bool addressed;		/* an address was given */
	int fd;			/* what the kernel signals, -1: not armed */
};

struct msi_vector {
	struct msi_state now;
	int eventfd;	/* the caller's, -1: none; while masked the collector may be in force */
	int collector;	/* takes the interrupts of a masked vector, -1: none */
	bool masked;
	bool was_live;	/* disarmed a moment ago, to be armed anew */
	bool kick;	/* an interrupt may have gone astray: to be signalled once for it */
};

struct db_msi;

struct msi_mode_ops {
	/* What is to be done once. 0, or an error with its message. */
	int (*start)(struct db_msi *msi);
	void (*stop)(struct db_msi *msi);

	/*
	 * Vectors [start, start + count) are to have the addresses in @to (indexed by vector),
	 * before those that are not armed are. Vectors that are not armed and are not going to be
	 * may be among them, but the first is armed or going to be; for MSI it speaks for all. NULL:
	 * this mode has no addresses.
	 */
	int (*set_addresses)(struct db_msi *msi, unsigned int start, unsigned int count,
			     const struct msi_state *to);

	/* The kernel is about to arm these, or has armed them and written its own message. NULL:
	 * nothing is to be done. */
	void (*before_arm)(struct db_msi *msi, unsigned int start, unsigned int count,
			   const struct msi_state *to);
	int (*after_arm)(struct db_msi *msi, unsigned int start, unsigned int count,
			 const struct msi_state *to);

	/* After a reset, for the armed vectors, in the table that was begun. NULL: nothing is to be
	 * done. */
	void (*restore)(struct db_msi *msi);
};

struct db_msi {
	struct db_device *dev;
	struct db_space *space;
	const struct msi_mode_ops *ops;
	enum db_mode mode;
	enum db_msi_kind kind;
	uint64_t doorbell_ipa;
	bool fall_through;
	unsigned int count;
	struct db_caps caps;

	pthread_mutex_t lock;		/* all that follows */
	struct table table;		/* mapped where possible in any mode */
	bool enabled;			/* the capability, in the device */
	bool hold;			/* it stays enabled, armed vectors or not: the guest's is */
	unsigned int allocated;		/* vectors with an interrupt of the host, while enabled */
	unsigned int armed;		/* vectors with now.fd >= 0 */
	unsigned int asked;		/* start + count of the db_msi_set() under way */
	uint64_t mapped_ipa;		/* native: where the doorbell's page(s) begin */
	bool mapped;
	uint64_t doorbell_low;		/* stock: bits [11:0] of the kernel's address */
	struct msi_vector *vector;	/* count of them */
	struct msi_state *want, *old;	/* scratch, count each */
	void *request;			/* scratch for one VFIO_DEVICE_SET_IRQS with count __u64 */
};

extern const struct msi_mode_ops msi_native_ops, msi_stock_ops, msi_rmr_ops;

/* For vmsix and vmsi. The object's lock is taken inside. */

/*
 * The guest enabled the capability, with no vector armed yet, or disabled it. While it is enabled
 * the device keeps interrupts of masked vectors in its PBA instead of using INTx.
 */
int msi_enable(struct db_msi *msi);
void msi_disable(struct db_msi *msi);

/*
 * Masks or unmasks those of [start, start + count) that are armed. Masked: nothing is signalled; an
 * interrupt stays pending in the device, or where its table cannot be mapped in a collector, and is
 * delivered after unmasking. Vectors armed while masked stay so.
 */
int msi_mask(struct db_msi *msi, unsigned int start, unsigned int count, bool masked);

/* The same for those of all vectors that are @selected (MSI-X), with few ioctls however they lie. */
int msi_mask_selected(struct db_msi *msi, const bool *selected, bool masked);

/* Takes over the ops that a VMM gave. -EINVAL: no size, or no connect. */
int msi_guest_ops(struct db_msi_guest_ops *to, const struct db_msi_guest_ops *from);

/* Where in the guest the message (@giova, @data) goes. */
void msi_route(const struct db_msi *msi, uint64_t giova, uint32_t data, struct db_msi_route *route);

/*
 * The guest gives up the address of vector @index, which is masked. Where the device's own mask bit
 * is set that makes no difference until the vector is unmasked; one that is masked by its collector
 * is disarmed, so that the device sends nothing to the old address and keeps its interrupt pending.
 */
int msi_park(struct db_msi *msi, unsigned int index);

/* What is in force for vector @index, in the form in which db_msi_set() would
 * leave it unchanged. */
struct db_msi_vector msi_current(struct db_msi *msi, unsigned int index);

/* Pending bits of vectors [first, first + 64), from the device and the collectors. */
uint64_t msi_pending(struct db_msi *msi, unsigned int first);

/* For the modes. */

/* Where the data of the next VFIO_DEVICE_SET_IRQS is put: room for a __u64 for each vector. */
void *msi_request_data(struct db_msi *msi);

/* VFIO_DEVICE_SET_IRQS with @size bytes of that data. Returns what the ioctl does. */
int msi_set_irqs(struct db_msi *msi, uint32_t flags, unsigned int start, unsigned int count,
		 size_t size);

/* Pending bits of vectors [first, first + 64) as the device has them; 0 while
 * MSI-X is not enabled. */
uint64_t msi_device_pending(struct db_msi *msi, unsigned int first);

/* What the result of the SET_IRQS that enables the capability means: 0, or an errno of error.h. */
int msi_enable_error(int ret);

/* Sets the message of -ENOSPC. */
void msi_no_interrupts(struct db_msi *msi, unsigned int start, unsigned int count);

/* Disables the capability in the device; no vector is armed then. */
void msi_shut(struct db_msi *msi);

#endif
