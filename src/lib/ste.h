/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a guest's stream table entry reaches hardware through iommufd (IHI 0070 §5.2; struct
 * iommu_hwpt_arm_smmuv3). */
#ifndef LIB_STE_H
#define LIB_STE_H

#include <stdbool.h>
#include <stdint.h>

/* Dwords 0 and 1 of an STE whose transactions are all aborted, without an event. */
extern const uint64_t ste_abort[2];

/*
 * Reduces the guest's entry @ste (dwords in host order) to @out, which is equal for entries that
 * hardware would treat equally. -EIO: a configuration that a guest without stage 2 of its own must
 * not use.
 */
int ste_reduce(const uint64_t ste[2], uint64_t out[2]);

/* Does @ste, reduced, have the guest's tables walked? */
bool ste_has_s1(const uint64_t ste[2]);

#endif
