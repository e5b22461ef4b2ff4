/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual MSI-X table or MSI capability, as the trap layer uses it. */
#ifndef LIB_VMSIX_H
#define LIB_VMSIX_H

#include <doorbell/msi.h>

/*
 * The device answers again: what could not be done in it meanwhile is done. What is in force
 * already costs nothing.
 */
int vmsix_resume(struct db_vmsix *vmsix);
int vmsi_resume(struct db_vmsi *vmsi);

#endif
