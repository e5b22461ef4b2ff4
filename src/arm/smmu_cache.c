/* SPDX-License-Identifier: BSD-2-Clause */
#include "arm/smmu_cache.h"

#include <string.h>

size_t cache_footprint(uint32_t entries)
{
	return entries * sizeof(struct cache_entry);
}

void cache_init(struct cache *c, void *entries_memory, uint32_t entries)
{
	memset(c, 0, sizeof(*c));
	c->entries = entries_memory;
	c->mask = entries - 1;
	cache_flush(c);
}

void cache_flush(struct cache *c)
{
	memset(c->entries, 0, cache_footprint(c->mask + 1));
	atomic_store_explicit(&c->substreams, false, memory_order_relaxed);
}

bool cache_lookup(const struct cache *c, uint64_t key, struct smmu_binding *b)
{
	typedef uint64_t __attribute__((may_alias)) word;
	uint64_t index = cache_index(c, key);
	word *words = (word *)b;
	unsigned int way, i;

	for (way = 0; way < 2; way++) {
		const struct cache_entry *e = &c->entries[index ^ way];
		uint32_t seq = atomic_load_explicit(&e->seq, memory_order_acquire);

		if (seq & 1 || atomic_load_explicit(&e->key, memory_order_acquire) != key)
			continue;
#pragma GCC unroll 16
		for (i = 0; i < SMMU_BINDING_WORDS; i++)
			words[i] = atomic_load_explicit(&e->words[i], memory_order_acquire);
		if (atomic_load_explicit(&e->seq, memory_order_relaxed) != seq)
			continue;
		return true;
	}
	return false;
}

static uint64_t hot_flags(const struct smmu_binding *b)
{
	static const uint8_t kind[] = {
		[SMMU_MODE_S1] = TLB_S1, [SMMU_MODE_NESTED] = TLB_NESTED, [SMMU_MODE_S2] = TLB_S2
	};

	if (b->mode < SMMU_MODE_S1)
		return 0;
	return SMMU_HOT_TRANSLATE | (b->tbi[0] ? SMMU_HOT_TBI0 : 0) |
	       (b->tbi[1] ? SMMU_HOT_TBI1 : 0) | FIELD_PREP64(SMMU_HOT_PRIVILEGED, b->privileged) |
	       FIELD_PREP64(SMMU_HOT_INSTRUCTION, b->instruction) |
	       FIELD_PREP64(SMMU_HOT_KIND, kind[b->mode]);
}

/* A binding without stage 1 has ASID 0. */
static uint64_t hot_context(const struct smmu_binding *b)
{
	uint32_t context = tlb_context(b->vmid, b->asid);

	return (uint64_t)tlb_mix(context) << 32 | context;
}

static bool entry_try(struct cache_entry *e, uint32_t *seq)
{
	*seq = atomic_load_explicit(&e->seq, memory_order_relaxed);
	return !(*seq & 1) && atomic_compare_exchange_strong(&e->seq, seq, *seq + 1);
}

static void entry_done(struct cache_entry *e, uint32_t seq)
{
	atomic_store_explicit(&e->seq, seq + 2, memory_order_release);
}

/* The entry to replace: the same key's, or a free one, or the first. */
static struct cache_entry *choose(struct cache *c, uint64_t key)
{
	uint64_t index = cache_index(c, key);
	struct cache_entry *first = &c->entries[index], *second = &c->entries[index ^ 1];
	uint64_t k1 = atomic_load_explicit(&first->key, memory_order_relaxed);
	uint64_t k2 = atomic_load_explicit(&second->key, memory_order_relaxed);

	if (k1 == key || (k2 != key && !(k1 & CACHE_KEY_VALID)))
		return first;
	return k2 == key || !(k2 & CACHE_KEY_VALID) ? second : first;
}

void cache_insert(struct cache *c, uint64_t key, const struct smmu_binding *b,
		  const struct tlb_ticket *ticket)
{
	struct cache_entry *e = choose(c, key);
	uint64_t words[SMMU_BINDING_WORDS];
	unsigned int i;
	uint32_t seq;

	if (key & CACHE_KEY_SSV && !atomic_load_explicit(&c->substreams, memory_order_acquire))
		atomic_store(&c->substreams, true);
	if (!entry_try(e, &seq))
		return;
	if (tlb_ticket_valid(ticket, 0)) {
		memcpy(words, b, sizeof(words));
		atomic_store_explicit(&e->key, key, memory_order_release);
		atomic_store_explicit(&e->flags, hot_flags(b), memory_order_release);
		atomic_store_explicit(&e->context, hot_context(b), memory_order_release);
		for (i = 0; i < SMMU_BINDING_WORDS; i++)
			atomic_store_explicit(&e->words[i], words[i], memory_order_release);
	}
	entry_done(e, seq);
}

struct scope {
	uint32_t first, last;
	const uint32_t *cd;
};

/* CD 0 also serves transactions without a SubstreamID (§4.3.3). */
static bool covered(const struct scope *s, uint64_t key)
{
	uint32_t sid = FIELD_GET64(CACHE_KEY_SID, key);

	return key & CACHE_KEY_VALID && sid >= s->first && sid <= s->last &&
	       (!s->cd || FIELD_GET64(CACHE_KEY_SSID, key) == *s->cd);
}

static void purge(struct cache_entry *e, const struct scope *s)
{
	uint32_t seq = atomic_load(&e->seq);

	if (!(seq & 1) && !covered(s, atomic_load_explicit(&e->key, memory_order_acquire)) &&
	    atomic_load_explicit(&e->seq, memory_order_relaxed) == seq)
		return;
	while (!entry_try(e, &seq))
		;
	if (covered(s, atomic_load_explicit(&e->key, memory_order_relaxed)))
		atomic_store_explicit(&e->key, 0, memory_order_release);
	entry_done(e, seq);
}

static void move_epochs(struct cache *c, const struct scope *s,
			void (*move)(_Atomic uint64_t *epoch))
{
	unsigned int i;

	for (i = 0; i < TLB_EPOCHS; i++) {
		if (s->first != s->last || s->first % TLB_EPOCHS == i)
			move(&c->epoch[i]);
	}
}

static void remove_entries(struct cache *c, const struct scope *s)
{
	uint64_t i;

	if (s->first == s->last && !atomic_load(&c->substreams)) {
		i = cache_index(c, cache_key(s->first, 0, false));
		purge(&c->entries[i], s);
		purge(&c->entries[i ^ 1], s);
		return;
	}
	for (i = 0; i <= c->mask; i++)
		purge(&c->entries[i], s);
}

void cache_invalidate(struct cache *c, uint32_t first, uint32_t last, const uint32_t *cd_only_ssid)
{
	struct scope scope = { first, last, cd_only_ssid };

	move_epochs(c, &scope, tlb_epoch_begin);
	remove_entries(c, &scope);
	move_epochs(c, &scope, tlb_epoch_end);
}
