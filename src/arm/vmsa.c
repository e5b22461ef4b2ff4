/* SPDX-License-Identifier: BSD-2-Clause */
/* Geometry of VMSAv8-64 tables (Arm DDI 0487, D8.2). */
#include "arm/vmsa.h"

#include <errno.h>

#include "arm/vmsa_desc.h"

/* Without FEAT_TTST a region is at least 25 bits (TxSZ <= 39); without FEAT_LVA at most 48. */
#define IA_BITS_MIN 25
#define IA_BITS_MAX 48

/* D8.2.4: up to 16 stage-2 tables stand side by side at the start level. */
#define CONCAT_SHIFT_MAX 4

static bool oa_bits_valid(unsigned int bits)
{
	return bits == 32 || bits == 36 || bits == 40 || bits == 42 || bits == 44 || bits == 48;
}

/* The level at which one table resolves the top of @ia_bits. */
static unsigned int start_level(unsigned int granule_shift, unsigned int ia_bits)
{
	unsigned int stride = vmsa_stride(granule_shift);
	unsigned int levels = (ia_bits - granule_shift + stride - 1) / stride;

	return VMSA_LAST_LEVEL + 1 - levels;
}

/*
 * D8.2.4: concatenation saves a level when the start level's table would have 16 entries or fewer.
 * It is also the only legal way to avoid a start level that the PA size does not allow
 * (VTCR_EL2.SL0), since ia_bits <= oa_bits for a usable stage 2.
 */
static void concatenate(struct vmsa_format *f)
{
	unsigned int next = f->start_level + 1;
	unsigned int extra;

	if (next > VMSA_LAST_LEVEL)
		return;
	extra = f->ia_bits - vmsa_level_shift(f->granule_shift, f->start_level);
	if (extra > CONCAT_SHIFT_MAX)
		return;
	f->start_level = next;
	f->concat = 1u << extra;
}

int vmsa_format_init(struct vmsa_format *f, enum vmsa_stage stage, unsigned int granule_shift,
		     unsigned int ia_bits, unsigned int oa_bits)
{
	if (stage != VMSA_S1 && stage != VMSA_S2)
		return -EINVAL;
	if (granule_shift != 12 && granule_shift != 14 && granule_shift != 16)
		return -EINVAL;
	if (ia_bits < IA_BITS_MIN || ia_bits > IA_BITS_MAX || !oa_bits_valid(oa_bits))
		return -EINVAL;

	*f = (struct vmsa_format){
		.stage = stage,
		.granule_shift = granule_shift,
		.ia_bits = ia_bits,
		.oa_bits = oa_bits,
		.start_level = start_level(granule_shift, ia_bits),
		.concat = 1,
	};
	if (stage == VMSA_S2)
		concatenate(f);
	return 0;
}

uint64_t vmsa_root_size(const struct vmsa_format *f)
{
	uint64_t size = UINT64_C(8)
			<< (f->ia_bits - vmsa_level_shift(f->granule_shift, f->start_level));

	/*
	 * A table of less than eight entries is still aligned to 64 bytes (D8.2.3): what the root
	 * register cannot say is 0.
	 */
	return size < VMSA_ROOT_MIN ? VMSA_ROOT_MIN : size;
}

uint64_t vmsa_leaf_sizes(const struct vmsa_format *f)
{
	uint64_t sizes = 0;
	unsigned int level;

	for (level = f->start_level; level <= VMSA_LAST_LEVEL; level++) {
		unsigned int shift = vmsa_level_shift(f->granule_shift, level);
		unsigned int cont = vmsa_cont_shift(f->granule_shift, level);

		if (!vmsa_leaf_allowed(f->granule_shift, level))
			continue;
		if (shift <= f->ia_bits)
			sizes |= BIT64(shift);
		if (cont && shift + cont <= f->ia_bits)
			sizes |= BIT64(shift + cont);
	}
	return sizes;
}
