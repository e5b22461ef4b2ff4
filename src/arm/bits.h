/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields of 64-bit words, named by their masks. */
#ifndef ARM_BITS_H
#define ARM_BITS_H

#include <stdint.h>

#define BIT64(n) (UINT64_C(1) << (n))
#define GENMASK64(hi, lo) ((~UINT64_C(0) >> (63 - (hi))) & (~UINT64_C(0) << (lo)))

/* @mask is one run of ones: its lowest bit is the field's unit. */
#define FIELD_UNIT64(mask) ((mask) & (~(mask) + 1))
#define FIELD_GET64(mask, word) (((uint64_t)(word) & (mask)) / FIELD_UNIT64(mask))
#define FIELD_PREP64(mask, value) (((uint64_t)(value) * FIELD_UNIT64(mask)) & (mask))

#endif
