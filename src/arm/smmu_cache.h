/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration cache: what (StreamID, SubstreamID) was found to mean. Two ways; read as the
 * TLB is (see smmu_tlb.h): a sequence number for each entry, no lock and no write for readers,
 * epochs (chosen by StreamID) against insertions that an invalidation overtook.
 */
#ifndef ARM_SMMU_CACHE_H
#define ARM_SMMU_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm/smmu_decode.h"
#include "arm/smmu_tlb.h"

enum smmu_mode {
	SMMU_MODE_ABORT,
	SMMU_MODE_BYPASS,
	SMMU_MODE_S1,
	SMMU_MODE_NESTED,
	SMMU_MODE_S2,
};

/* A decoded configuration, STE and CD together. */
struct smmu_binding {
	struct vmsa_regime ttb[2], s2;
	uint16_t vmid, asid;
	uint8_t mode;			/* enum smmu_mode */
	uint8_t privileged, instruction;	/* enum smmu_override */
	bool epd[2], tbi[2];
	bool wxn, pan;
	bool s1_record, s1_abort;
	bool s2_record, s2_protect_walks;
};

#define SMMU_BINDING_WORDS (sizeof(struct smmu_binding) / 8)
_Static_assert(sizeof(struct smmu_binding) % 8 == 0, "a binding is cached as dwords");

/* What a TLB hit needs of a binding: flags, and the context with its tlb_mix(). */
#define SMMU_HOT_TRANSLATE BIT64(0)	/* some stage translates; else the kind means nothing */
#define SMMU_HOT_TBI0 BIT64(1)
#define SMMU_HOT_TBI1 BIT64(2)
#define SMMU_HOT_PRIVILEGED GENMASK64(4, 3)	/* enum smmu_override */
#define SMMU_HOT_INSTRUCTION GENMASK64(6, 5)
#define SMMU_HOT_KIND GENMASK64(9, 8)		/* enum tlb_kind */
#define SMMU_HOT_RARE (SMMU_HOT_TBI0 | SMMU_HOT_TBI1 | SMMU_HOT_PRIVILEGED | SMMU_HOT_INSTRUCTION)

struct smmu_hot {
	uint64_t flags;
	uint32_t context, mix;
};

struct cache_entry {
	_Alignas(64) _Atomic uint32_t seq;
	_Atomic uint64_t key;
	_Atomic uint64_t flags;
	_Atomic uint64_t context;	/* mix << 32 | context */
	_Atomic uint64_t words[SMMU_BINDING_WORDS];
};

/* cache_entry.key */
#define CACHE_KEY_SID GENMASK64(31, 0)
#define CACHE_KEY_SSID GENMASK64(51, 32)
#define CACHE_KEY_SSV BIT64(52)
#define CACHE_KEY_VALID BIT64(63)

struct cache {
	struct cache_entry *entries;
	uint64_t mask;
	/* some entry has SSV: invalidation of a StreamID has to look everywhere */
	_Atomic bool substreams;
	_Alignas(64) _Atomic uint64_t epoch[TLB_EPOCHS];
};

size_t cache_footprint(uint32_t entries);	/* @entries: a power of two >= 2 */
void cache_init(struct cache *c, void *entries_memory, uint32_t entries);
void cache_flush(struct cache *c);		/* not concurrent with anything */

static inline uint64_t cache_key(uint32_t sid, uint32_t ssid, bool ssid_valid)
{
	uint64_t key = CACHE_KEY_VALID | sid;

	return ssid_valid ? key | CACHE_KEY_SSV | FIELD_PREP64(CACHE_KEY_SSID, ssid) : key;
}

/*
 * Spreads StreamIDs over the sets. Those of one SMMU are usually dense, or multiples of 8 when each
 * device has one function: neither kind collides here.
 */
static inline uint64_t cache_index(const struct cache *c, uint64_t key)
{
	uint64_t sid = key & CACHE_KEY_SID;

	if (__builtin_expect(key & CACHE_KEY_SSV, 0))
		sid ^= FIELD_GET64(CACHE_KEY_SSID, key) * UINT64_C(0x9e3779b1);
	return (sid ^ (sid >> 3) ^ (sid >> 11)) & c->mask;
}

static inline bool cache_probe(const struct cache_entry *e, uint64_t key, struct smmu_hot *hot)
{
	uint32_t seq = atomic_load_explicit(&e->seq, memory_order_acquire);
	uint64_t context;

	if (atomic_load_explicit(&e->key, memory_order_acquire) != key)
		return false;
	context = atomic_load_explicit(&e->context, memory_order_acquire);
	hot->flags = atomic_load_explicit(&e->flags, memory_order_acquire);
	hot->context = context;
	hot->mix = context >> 32;
	return !(seq & 1) && atomic_load_explicit(&e->seq, memory_order_relaxed) == seq;
}

/* False: it is not cached. */
static inline bool cache_hot(const struct cache *c, uint64_t key, struct smmu_hot *hot)
{
	uint64_t index = cache_index(c, key);

	return __builtin_expect(cache_probe(&c->entries[index], key, hot), 1) ||
	       cache_probe(&c->entries[index ^ 1], key, hot);
}

static inline const _Atomic uint64_t *cache_epoch_of(const struct cache *c, uint32_t sid)
{
	return &c->epoch[sid % TLB_EPOCHS];
}

/* The whole binding, copied out. */
bool cache_lookup(const struct cache *c, uint64_t key, struct smmu_binding *b);

/*
 * @ticket: its first epoch was that of cache_epoch_of() before the STE was read. Any number of
 * callers.
 */
void cache_insert(struct cache *c, uint64_t key, const struct smmu_binding *b,
		  const struct tlb_ticket *ticket);

/*
 * StreamIDs [first, last]; with @cd_only_ssid not NULL only what was made from CD *cd_only_ssid of
 * theirs. One caller at a time.
 */
void cache_invalidate(struct cache *c, uint32_t first, uint32_t last, const uint32_t *cd_only_ssid);

#endif
