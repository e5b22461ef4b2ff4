/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the parts of db_msi see each other, highest first: msi.c and msi_guest.c, msi_change.c,
 * msi_irqs.c. All with the object's lock.
 */
#ifndef LIB_MSI_PARTS_H
#define LIB_MSI_PARTS_H

#include "lib/msi.h"

/* now.fd of a vector about which a failed ioctl leaves us in doubt. */
#define FD_UNKNOWN (-2)

/* --- msi_irqs.c --- */

const char *msi_kind_name(enum db_msi_kind kind);

/* What the kernel signals for vector @index, as it is counted. */
void msi_set_fd(struct db_msi *msi, unsigned int index, int fd);

/* Has the kernel signal vectors [first, last): those of [start, start + count) as in @to, others
 * nothing. As the ioctl. */
int msi_trigger(struct db_msi *msi, unsigned int start, unsigned int count,
		const struct msi_state *to, unsigned int first, unsigned int last);

/* The same when the capability is not enabled yet, which it is then. 0 or -errno. */
int msi_enable_vectors(struct db_msi *msi, unsigned int start, unsigned int count,
		       const struct msi_state *to);

/* Sets the message of @error, and returns it as error.h calls it. */
int msi_explain_arm(struct db_msi *msi, int error, unsigned int start, unsigned int count);

/* --- msi_change.c --- */

/* Brings vectors [start, start + count) to msi->want. */
int msi_apply(struct db_msi *msi, unsigned int start, unsigned int count);

/* What the kernel is to signal for vector @index when its eventfd is @eventfd. */
int msi_target_fd(struct db_msi *msi, unsigned int index, int eventfd);

/* The kernel unmasks what it arms or rewrites. */
int msi_mask_again(struct db_msi *msi, unsigned int start, unsigned int count);

/* --- msi.c --- */

/* db_msi_set(). */
int msi_set_vectors(struct db_msi *msi, unsigned int start, unsigned int count,
		    const struct db_msi_vector *vectors);

#endif
