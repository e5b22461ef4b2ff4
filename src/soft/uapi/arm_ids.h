/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ASIDs and VMIDs: small numbers handed out lowest first. Number 0 stays the kernel's own.
 * Thread-safe.
 */
#ifndef SOFT_UAPI_ARM_IDS_H
#define SOFT_UAPI_ARM_IDS_H

#include <stdint.h>

struct arm_ids;

struct arm_ids *arm_ids_create(unsigned int bits);	/* NULL: no memory */
void arm_ids_destroy(struct arm_ids *ids);

/* A number in 1 .. 2^bits - 1, or -1. */
int arm_ids_alloc(struct arm_ids *ids);
void arm_ids_free(struct arm_ids *ids, unsigned int id);

#endif
