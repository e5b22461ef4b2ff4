/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking VMSAv8-64 tables (Arm DDI 0487, D8.2 to D8.4), one descriptor at a time. The caller reads
 * the descriptors, each exactly once:
 *
 *	status = vmsa_walk_start(&walk, &regime, regime.granule_shift, ia, upper);
 *	while (status == VMSA_NEXT) {
 *		desc = read(vmsa_walk_addr(&walk));
 *		status = vmsa_walk_step(&walk, desc);
 *	}
 *
 * so that stage 1 can fetch through stage 2 without this file knowing. At most four steps, whatever
 * the tables hold. All inline: this is the inner loop of a TLB miss.
 */
#ifndef ARM_VMSA_WALK_H
#define ARM_VMSA_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "arm/vmsa.h"
#include "arm/vmsa_desc.h"

/* What a walk needs to know of TCR/VTCR and TTBR, or of the CD or STE that stands for them. */
struct vmsa_regime {
	uint64_t root;		/* aligned to the start level's table size */
	uint8_t granule_shift;
	uint8_t ia_bits;
	uint8_t oa_bits;
	uint8_t start_level;
	bool af_fault;		/* AF = 0 faults (AFFD = 0); there is no hardware update of AF */
	/* hierarchical permissions disabled (HAD), or stage 2, which has none */
	bool flat;
};

enum vmsa_status {
	VMSA_OK,		/* a leaf: oa, desc, shift */
	VMSA_NEXT,		/* a descriptor is to be read */
	/* Faults, in the order of priority at one level (D8.15.3). */
	VMSA_FAULT_TRANSLATION,
	VMSA_FAULT_ADDR_SIZE,
	VMSA_FAULT_ACCESS,
};

struct vmsa_walk {
	const struct vmsa_regime *regime;
	uint64_t ia;
	uint64_t table;
	uint64_t index_mask;	/* of the table's entries */
	uint64_t oa_beyond;	/* address bits that an output may not have */
	uint64_t hierarchy;	/* all table descriptors on the way, ORed */
	uint64_t desc;		/* the leaf */
	uint64_t oa;		/* the whole output address */
	unsigned int granule_shift;
	unsigned int shift;	/* log2 of what an entry of the table maps; for a leaf, its size */
};

/* A function of this kind is compiled once for a granule that is known, and once for the others. */
#define VMSA_SPECIALISED static inline __attribute__((always_inline))

/* Stands at table @table, of which an entry maps 2^@shift and @index_bits choose the entry. */
VMSA_SPECIALISED enum vmsa_status vmsa_walk_stand(struct vmsa_walk *w, const struct vmsa_regime *r,
						  unsigned int granule_shift, uint64_t ia,
						  uint64_t table, unsigned int shift,
						  unsigned int index_bits, uint64_t hierarchy)
{
	w->regime = r;
	w->ia = ia;
	w->table = table;
	w->index_mask = BIT64(index_bits) - 1;
	w->oa_beyond = ~UINT64_C(0) << r->oa_bits;
	w->hierarchy = hierarchy;
	w->granule_shift = granule_shift;
	w->shift = shift;
	return VMSA_NEXT;
}

static inline bool vmsa_in_range(const struct vmsa_regime *r, uint64_t ia, bool upper)
{
	return !((upper ? ~ia : ia) >> r->ia_bits);
}

/*
 * Begins at the start level. A fault when @ia is outside the input range; @ia is canonical
 * otherwise (the bits above ia_bits are not looked at again). @granule_shift is the regime's: given
 * apart, so that it can be a constant.
 */
VMSA_SPECIALISED enum vmsa_status vmsa_walk_start(struct vmsa_walk *w, const struct vmsa_regime *r,
						  unsigned int granule_shift, uint64_t ia,
						  bool upper)
{
	unsigned int shift = vmsa_level_shift(granule_shift, r->start_level);

	if (!vmsa_in_range(r, ia, upper))
		return VMSA_FAULT_TRANSLATION;
	return vmsa_walk_stand(w, r, granule_shift, ia, r->root, shift, r->ia_bits - shift, 0);
}

/* Begins at the last level, in a table that an earlier walk of @ia's region found. */
VMSA_SPECIALISED enum vmsa_status vmsa_walk_resume(struct vmsa_walk *w, const struct vmsa_regime *r,
						   unsigned int granule_shift, uint64_t ia,
						   uint64_t table, uint64_t hierarchy)
{
	return vmsa_walk_stand(w, r, granule_shift, ia, table, granule_shift,
			       vmsa_stride(granule_shift), hierarchy);
}

static inline unsigned int vmsa_walk_level(const struct vmsa_walk *w)
{
	return VMSA_LAST_LEVEL - (w->shift - w->granule_shift) / vmsa_stride(w->granule_shift);
}

static inline uint64_t vmsa_walk_index(const struct vmsa_walk *w)
{
	return (w->ia >> w->shift) & w->index_mask;
}

/* Where the next descriptor is. */
static inline uint64_t vmsa_walk_addr(const struct vmsa_walk *w)
{
	return w->table + vmsa_walk_index(w) * 8;
}

/*
 * Takes the descriptor that was read from vmsa_walk_addr(). Output addresses are 48 bits at most,
 * so bits above are not part of the address (RES0, ignored). Model choice: the contiguous hint is
 * ignored by walks, as an implementation may.
 */
VMSA_SPECIALISED enum vmsa_status vmsa_walk_step(struct vmsa_walk *w, uint64_t desc)
{
	uint64_t addr = desc & VMSA_DESC_ADDR & ~(BIT64(w->granule_shift) - 1);
	bool last = w->shift == w->granule_shift;
	unsigned int type = desc & VMSA_DESC_TYPE;

	if (type == VMSA_DESC_TYPE_TABLE && !last) {
		if (addr & w->oa_beyond)
			return VMSA_FAULT_ADDR_SIZE;
		w->hierarchy |= desc;
		w->table = addr;
		w->shift -= vmsa_stride(w->granule_shift);
		w->index_mask = BIT64(vmsa_stride(w->granule_shift)) - 1;
		return VMSA_NEXT;
	}
	/*
	 * A leaf: a page at the last level, a block above it where blocks may be. All else is
	 * invalid or reserved.
	 */
	if (type != (last ? VMSA_DESC_TYPE_PAGE : VMSA_DESC_TYPE_BLOCK) ||
	    w->shift > vmsa_max_leaf_shift(w->granule_shift))
		return VMSA_FAULT_TRANSLATION;
	addr &= ~(BIT64(w->shift) - 1);
	if (addr & w->oa_beyond)
		return VMSA_FAULT_ADDR_SIZE;
	if (w->regime->af_fault && !(desc & VMSA_LEAF_AF))
		return VMSA_FAULT_ACCESS;
	w->desc = desc;
	w->oa = addr | (w->ia & (BIT64(w->shift) - 1));
	return VMSA_OK;
}

/* What the tables on the way took away (D8.4.3). */
static inline uint64_t vmsa_walk_hierarchy(const struct vmsa_walk *w)
{
	return w->regime->flat ? 0 : w->hierarchy & VMSA_TABLE_HIERARCHY;
}

/* --- Permissions --- */

/* Which accesses are allowed: unprivileged in the low bits, privileged in the high ones. */
#define VMSA_PERM_R (1u << 0)
#define VMSA_PERM_W (1u << 1)
#define VMSA_PERM_X (1u << 2)
#define VMSA_PERM_PRIV_SHIFT 3
#define VMSA_PERM_ALL 0x3fu

static inline unsigned int vmsa_perm(bool privileged, bool write, bool instruction)
{
	unsigned int p = write ? VMSA_PERM_W : instruction ? VMSA_PERM_X : VMSA_PERM_R;

	return privileged ? p << VMSA_PERM_PRIV_SHIFT : p;
}

/*
 * Stage 1 with two privilege levels (D8.4.1 to D8.4.3): the leaf, then what tables above it took
 * away, then WXN and PAN. What unprivileged accesses may write, privileged ones never execute.
 */
static inline unsigned int vmsa_s1_perms(uint64_t desc, uint64_t hierarchy, bool wxn, bool pan)
{
	bool unpriv = desc & VMSA_S1_AP_UNPRIV && !(hierarchy & VMSA_TABLE_AP_PRIV_ONLY);
	bool write = !(desc & VMSA_S1_AP_RDONLY) && !(hierarchy & VMSA_TABLE_AP_RDONLY);
	bool uw = unpriv && write;
	bool ux = !(desc & VMSA_S1_UXN) && !(hierarchy & VMSA_TABLE_UXN) && !(wxn && uw);
	bool px = !(desc & VMSA_S1_PXN) && !(hierarchy & VMSA_TABLE_PXN) && !uw && !(wxn && write);
	bool pdata = !(pan && unpriv);

	return (unpriv ? VMSA_PERM_R : 0) | (uw ? VMSA_PERM_W : 0) | (ux ? VMSA_PERM_X : 0) |
	       ((pdata ? VMSA_PERM_R : 0) | (pdata && write ? VMSA_PERM_W : 0) |
		(px ? VMSA_PERM_X : 0))
		       << VMSA_PERM_PRIV_SHIFT;
}

/*
 * Stage 2 (D8.4.4): execution does not need the right to read. @xnx: FEAT_XNX, XN[0] splits
 * execution by privilege.
 */
static inline unsigned int vmsa_s2_perms(uint64_t desc, bool xnx)
{
	unsigned int rw = (desc & VMSA_S2_S2AP_READ ? VMSA_PERM_R : 0) |
			  (desc & VMSA_S2_S2AP_WRITE ? VMSA_PERM_W : 0);
	bool xn1 = desc & VMSA_S2_XN1;
	bool xn0 = xnx && desc & VMSA_S2_XN0;

	/* XN[1:0]: 00 both, 01 unprivileged only, 10 none, 11 privileged only. */
	return rw | rw << VMSA_PERM_PRIV_SHIFT | (!xn1 ? VMSA_PERM_X : 0) |
	       (xn1 == xn0 ? VMSA_PERM_X << VMSA_PERM_PRIV_SHIFT : 0);
}

#endif
