/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TLB of the SMMU model: a set-associative table that readers search without a lock and without
 * writing.
 *
 * What an entry is. The translation of one naturally aligned region by everything between its input
 * and its output: both stages for nested streams. Its size is the smallest leaf on the way, its tag
 * {kind, VMID, ASID, input region}. A global translation is tagged with the VMID only. Each size
 * that was ever inserted is one probe of a look-up, smallest first. The contiguous hint makes no
 * larger entries, so an invalidation never has to guess what a hint covered.
 *
 * Where an entry is. A set is one cache line with two ways; an entry may be in the set that its
 * hash says or in that one's neighbour, so four places in all. It goes to the one place that the
 * hash prefers if that is free, and look-ups try it first: nearly always the only line that they
 * touch, and a branch that goes the same way.
 *
 * Fragments. Where stage 2 has smaller leaves than stage 1, one stage-1 leaf becomes many entries,
 * and an invalidation by any address in the leaf must hit them all (§4.4). Finding them would cost
 * what the leaf covers; instead each fragment remembers the generation of its leaf (a counter
 * chosen by hash of VMID and leaf address) and is dead once an invalidation has moved it on. So
 * invalidating an address is one probe for each size of entry and one increment for each size of
 * broken-up leaf, whatever the TLB holds.
 *
 * Readers and writers. Each set has a sequence number, odd while it is written. Readers load it
 * (acquire), then the entry, then it again; an entry's words are stored with release and loaded
 * with acquire, so a reader that sees a word of a later write also sees the later sequence number.
 * Writers of a set take turns by compare-and-swap of the number; an insertion that finds a set
 * taken gives up, an invalidation waits. Two insertions of one translation may leave it twice; an
 * invalidation looks in all four places.
 *
 * Insertion against invalidation. An epoch, one for each group of VMIDs, is odd while an
 * invalidation is at work and even otherwise. A walk takes a ticket (the epoch) before it reads
 * tables or looks for what earlier walks found of them, and its result is entered only if the epoch
 * was even and is the same with the set taken. So:
 * - a walk that began before the invalidation, and a walk that began during it and may have used
 *   an entry still to be removed, enter nothing;
 * - of an insertion with a good ticket and an invalidation of the same set, either the insertion
 *   sees the epoch move, or the invalidation sees the set taken, waits, and removes the entry (both
 *   orders by sequentially consistent accesses);
 * - a walk that begins after it finds nothing that it removed (the epoch becomes even with
 *   release, and is read with acquire).
 *
 * After an invalidation no result of an older walk is found, nor of a newer one that built on an
 * older.
 */
#ifndef ARM_SMMU_TLB_H
#define ARM_SMMU_TLB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm/bits.h"

#define TLB_WAYS 2
#define TLB_EPOCHS 64
#define TLB_GENERATIONS 1024
#define TLB_DEFAULT_ENTRIES 16384u

enum tlb_kind {
	TLB_S1,		/* VA to PA, stage 1 alone */
	TLB_NESTED,	/* VA to PA */
	TLB_S2,		/* IPA to PA: accesses without stage 1, and the tables of stage 1 */
	/*
	 * Walk cache: the PA of the last-level table of stage 1 that a VA's walk ends in, and what
	 * the tables above it took away.
	 */
	TLB_S1_TABLE,
	TLB_NESTED_TABLE,
	TLB_S2_TABLE,	/* the same of an IPA's walk */
	TLB_KINDS,
};

/*
 * A table is looked for, and entered, in one set only: a walk without it costs little more, and
 * looking in a second set would cost nearly as much.
 */
static inline bool tlb_kind_of_table(enum tlb_kind kind)
{
	return kind >= TLB_S1_TABLE;
}

static inline bool tlb_kind_of_ipa(enum tlb_kind kind)
{
	return kind == TLB_S2 || kind == TLB_S2_TABLE;
}

/* Sizes of leaves: 4K, 16K, 64K, 2M, 32M, 512M, 1G; a class is an index into these. */
#define TLB_CLASSES 7
extern const uint8_t tlb_class_shift[TLB_CLASSES];

/* tlb_set.key: the region's address in the bits from its size up, and below */
#define TLB_KEY_VALID BIT64(0)
#define TLB_KEY_GLOBAL BIT64(1)
#define TLB_KEY_KIND GENMASK64(4, 2)
#define TLB_KEY_CLASS GENMASK64(7, 5)
#define TLB_KEY_ADDR GENMASK64(63, 12)

/* tlb_set.data: output address, and what is allowed */
#define TLB_DATA_PERMS GENMASK64(5, 0)	/* VMSA_PERM_*; of tables, VMSA_TABLE_HIERARCHY */
#define TLB_DATA_DEVICE BIT64(6)		/* TLB_S2: Device memory */
#define TLB_DATA_FRAGMENT BIT64(7)
#define TLB_DATA_LEAF_CLASS GENMASK64(10, 8)	/* of the stage-1 leaf, for a fragment */
#define TLB_DATA_ADDR GENMASK64(51, 12)

struct tlb_set {
	_Alignas(64) _Atomic uint32_t seq;
	/* the place to give up next, of this set's and its neighbour's four; a hint */
	_Atomic uint32_t victim;
	_Atomic uint64_t key[TLB_WAYS];
	_Atomic uint64_t data[TLB_WAYS];
	_Atomic uint64_t generation[TLB_WAYS];
	_Atomic uint32_t context[TLB_WAYS];	/* VMID << 16 | ASID */
};

_Static_assert(sizeof(struct tlb_set) == 64, "a look-up touches one cache line");

struct tlb {
	struct tlb_set *sets;
	uint64_t set_mask;
	/* Bit c: class c was inserted; bit TLB_CLASSES + c: as global. Grows only. */
	_Atomic uint32_t classes[TLB_KINDS];
	_Atomic uint32_t broken;	/* classes of stage-1 leaves that have fragments */

	/* Written by invalidations: apart from what every look-up reads. */
	_Alignas(64) _Atomic uint64_t epoch[TLB_EPOCHS];
	_Atomic uint64_t generation[TLB_GENERATIONS];
};

size_t tlb_footprint(uint32_t entries);		/* @entries: a power of two >= 2 * TLB_WAYS */
void tlb_init(struct tlb *t, void *sets, uint32_t entries);
void tlb_flush(struct tlb *t);			/* not concurrent with anything */

struct tlb_hit {
	uint64_t data;
	unsigned int shift;	/* log2 of the region */
};

static inline uint32_t tlb_context(uint16_t vmid, uint16_t asid)
{
	return (uint32_t)vmid << 16 | asid;
}

/* How far a context moves its entries, so that guests that use the same addresses do not meet. */
static inline uint32_t tlb_mix(uint32_t context)
{
	return (context * UINT32_C(0x9e3779b1)) >> 12;
}

/*
 * The place of an entry: way in bit 0, set above. The page number folded, so that pages in a row
 * and pages at any power-of-two distance spread evenly.
 */
static inline uint64_t tlb_place(uint32_t mix, uint64_t page)
{
	uint64_t h = page ^ (page >> 9);

	h ^= h >> 13;
	h ^= mix;
	/* Pages in a row fill one way of all sets, then the other (of the default size). */
	return (h << 1) | (h >> 13 & 1);
}

static inline struct tlb_set *tlb_set_of(const struct tlb *t, uint64_t place)
{
	return &t->sets[(place >> 1) & t->set_mask];
}

static inline struct tlb_set *tlb_neighbour(const struct tlb *t, const struct tlb_set *set)
{
	return &t->sets[(set - t->sets) ^ 1];
}

static inline unsigned int tlb_generation_index(uint16_t vmid, uint64_t addr,
						unsigned int leaf_shift)
{
	uint64_t h = ((addr >> leaf_shift) + ((uint64_t)vmid << 40)) * UINT64_C(0x9e3779b97f4a7c15);

	return h >> 54;
}

_Static_assert(TLB_GENERATIONS == 1 << (64 - 54), "tlb_generation_index() covers the counters");

static inline bool tlb_fragment_alive(const struct tlb *t, uint64_t data, uint64_t generation,
				      uint16_t vmid, uint64_t addr)
{
	unsigned int leaf_shift = tlb_class_shift[FIELD_GET64(TLB_DATA_LEAF_CLASS, data)];

	return generation ==
	       atomic_load_explicit(&t->generation[tlb_generation_index(vmid, addr, leaf_shift)],
				    memory_order_acquire);
}

/* A seqlock read of one way. */
static inline bool tlb_probe(const struct tlb *t, const struct tlb_set *set, unsigned int way,
			     uint64_t key, uint32_t context, uint64_t addr, uint64_t *data)
{
	uint32_t seq = atomic_load_explicit(&set->seq, memory_order_acquire);

	if (atomic_load_explicit(&set->key[way], memory_order_acquire) != key ||
	    atomic_load_explicit(&set->context[way], memory_order_acquire) != context)
		return false;
	*data = atomic_load_explicit(&set->data[way], memory_order_acquire);
	if (__builtin_expect(*data & TLB_DATA_FRAGMENT, 0)) {
		uint64_t generation =
			atomic_load_explicit(&set->generation[way], memory_order_acquire);

		if (!tlb_fragment_alive(t, *data, generation, context >> 16, addr))
			return false;
	}
	return !(seq & 1) && atomic_load_explicit(&set->seq, memory_order_relaxed) == seq;
}

/* @addr: VA in its canonical form, or IPA. @context: with ASID 0 for TLB_S2. */
bool tlb_lookup_all(const struct tlb *t, enum tlb_kind kind, uint32_t context, uint32_t mix,
		    uint64_t addr, struct tlb_hit *hit);

/* The key of @addr at the smallest size that this kind has. */
static inline uint64_t tlb_likely_key(const struct tlb *t, enum tlb_kind kind, uint64_t addr,
				      unsigned int *shift)
{
	uint32_t classes = atomic_load_explicit(&t->classes[kind], memory_order_relaxed);
	unsigned int class = __builtin_ctz(classes | 1u << (TLB_CLASSES - 1));

	*shift = tlb_class_shift[class];
	return (addr >> *shift << *shift) | TLB_KEY_VALID | FIELD_PREP64(TLB_KEY_KIND, kind) |
	       FIELD_PREP64(TLB_KEY_CLASS, class);
}

/* Only the likeliest place: smallest size, preferred way. @mix is tlb_mix(@context). */
static inline bool tlb_lookup_likely(const struct tlb *t, enum tlb_kind kind, uint32_t context,
				     uint32_t mix, uint64_t addr, struct tlb_hit *hit)
{
	uint64_t key = tlb_likely_key(t, kind, addr, &hit->shift);
	uint64_t place = tlb_place(mix, addr >> hit->shift);

	return __builtin_expect(
		tlb_probe(t, tlb_set_of(t, place), place & 1, key, context, addr, &hit->data), 1);
}

static inline bool tlb_lookup(const struct tlb *t, enum tlb_kind kind, uint32_t context,
			      uint32_t mix, uint64_t addr, struct tlb_hit *hit)
{
	return tlb_lookup_likely(t, kind, context, mix, addr, hit) ||
	       tlb_lookup_all(t, kind, context, mix, addr, hit);
}

/* For tables: both ways of the preferred set. */
static inline bool tlb_lookup_table(const struct tlb *t, enum tlb_kind kind, uint32_t context,
				    uint32_t mix, uint64_t addr, struct tlb_hit *hit)
{
	uint64_t key = tlb_likely_key(t, kind, addr, &hit->shift);
	const struct tlb_set *set = tlb_set_of(t, tlb_place(mix, addr >> hit->shift));
	unsigned int way = atomic_load_explicit(&set->key[1], memory_order_relaxed) == key;

	return tlb_probe(t, set, way, key, context, addr, &hit->data);
}

/* Epochs as they were before the walk: of the configuration, and of the VMID. */
struct tlb_ticket {
	const _Atomic uint64_t *epoch[2];
	uint64_t value[2];
};

static inline void tlb_ticket_take(struct tlb_ticket *ticket, unsigned int n,
				   const _Atomic uint64_t *epoch)
{
	ticket->epoch[n] = epoch;
	ticket->value[n] = atomic_load_explicit(epoch, memory_order_acquire);
}

static inline bool tlb_ticket_valid(const struct tlb_ticket *ticket, unsigned int n)
{
	return !(ticket->value[n] & 1) && atomic_load(ticket->epoch[n]) == ticket->value[n];
}

/* By who invalidates: one at a time. */
static inline void tlb_epoch_begin(_Atomic uint64_t *epoch)
{
	atomic_store(epoch, atomic_load_explicit(epoch, memory_order_relaxed) + 1);
}

static inline void tlb_epoch_end(_Atomic uint64_t *epoch)
{
	atomic_store_explicit(epoch, atomic_load_explicit(epoch, memory_order_relaxed) + 1,
			      memory_order_release);
}

static inline const _Atomic uint64_t *tlb_epoch_of(const struct tlb *t, uint16_t vmid)
{
	return &t->epoch[vmid % TLB_EPOCHS];
}

struct tlb_entry {
	enum tlb_kind kind;
	uint16_t vmid, asid;
	bool global;
	bool device;
	uint64_t addr;			/* any in the region */
	uint64_t pa;			/* of the region's start; of the table */
	unsigned int shift;		/* log2 of the region: a leaf size */
	/* of the stage-1 leaf; equal to shift, or larger: a fragment */
	unsigned int leaf_shift;
	unsigned int perms;		/* TLB_DATA_PERMS */
};

/* Enters @e unless the ticket is void or the set is busy. Any number of callers. */
void tlb_insert(struct tlb *t, const struct tlb_entry *e, const struct tlb_ticket *ticket);

/* What an invalidation covers. */
struct tlb_scope {
	bool s1, s2;			/* what VAs lead to; what IPAs lead to */
	bool any_vmid, any_asid;
	bool keep_global;		/* global entries stay (by ASID) */
	uint16_t vmid, asid;
	uint64_t first, last;		/* addresses; 0 and ~0 for all */
};

/* One caller at a time. */
void tlb_invalidate(struct tlb *t, const struct tlb_scope *scope);

#endif
