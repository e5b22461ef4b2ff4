/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest may do to a device of its own while that is at work, and what may befall it. Nothing
 * may be lost, doubled or misrouted by any of it: a driver's counts and data tell.
 */
#ifndef GUEST_DISTURB_H
#define GUEST_DISTURB_H

#include "guest/guest.h"

enum guest_disturbance {
	/* Every vector is masked and unmasked, again and again; some stay masked while raised. */
	GUEST_DISTURB_MASK,
	/*
	 * The doorbell page moves to another gIOVA: vectors are re-programmed, the old one
	 * unmapped.
	 */
	GUEST_DISTURB_REMAP,
	/* The STE points at another CD, with another ASID and the same tables. */
	GUEST_DISTURB_CD,
	/* The STE aborts all DMA, then stage 1 comes back; the driver repeats what failed. */
	GUEST_DISTURB_ABORT,
	/* The same with an STE that bypasses stage 1. */
	GUEST_DISTURB_BYPASS,
	/* The function is reset; the driver repeats what was under way. */
	GUEST_DISTURB_RESET,
	/*
	 * A DMA write, where the driver can bring one about, and an MSI go to a gIOVA that is not
	 * mapped: no interrupt, and an event record for each.
	 */
	GUEST_DISTURB_FAULT,
	GUEST_DISTURB_COUNT,
};

const char *guest_disturbance_name(enum guest_disturbance what);

/* Whether commands in flight are given up and repeated. */
bool guest_disturbance_is_heavy(enum guest_disturbance what);

/*
 * Does it once, between two steps of the device's I/O. -EOPNOTSUPP: this device or mode has nothing
 * of the kind. -ETIMEDOUT: no event record came for a fault.
 */
int guest_disturb(struct guest_device *gd, enum guest_disturbance what);

/* How often it was done. */
uint64_t guest_disturbed(const struct guest_device *gd, enum guest_disturbance what);

#endif
