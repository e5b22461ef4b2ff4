/* SPDX-License-Identifier: BSD-2-Clause */
#include "arm/smmu_tlb.h"

#include <string.h>

const uint8_t tlb_class_shift[TLB_CLASSES] = { 12, 14, 16, 21, 25, 29, 30 };

/* By log2 of a leaf's size. */
static const uint8_t class_of[] = {
	[12] = 0, [14] = 1, [16] = 2, [21] = 3, [25] = 4, [29] = 5, [30] = 6
};

size_t tlb_footprint(uint32_t entries)
{
	return entries / TLB_WAYS * sizeof(struct tlb_set);
}

void tlb_init(struct tlb *t, void *sets, uint32_t entries)
{
	memset(t, 0, sizeof(*t));
	t->sets = sets;
	t->set_mask = entries / TLB_WAYS - 1;
	tlb_flush(t);
}

void tlb_flush(struct tlb *t)
{
	unsigned int kind;

	memset(t->sets, 0, (t->set_mask + 1) * sizeof(*t->sets));
	for (kind = 0; kind < TLB_KINDS; kind++)
		atomic_store_explicit(&t->classes[kind], 0, memory_order_relaxed);
	atomic_store_explicit(&t->broken, 0, memory_order_relaxed);
}

/* --- Looking up --- */

/* Compares the key first: in most cases it is another entry's, and nothing else need be read. */
static inline bool probe(const struct tlb *t, const struct tlb_set *set, unsigned int way,
			 uint64_t key, uint32_t context, uint64_t addr, uint64_t *data)
{
	return atomic_load_explicit(&set->key[way], memory_order_relaxed) == key &&
	       tlb_probe(t, set, way, key, context, addr, data);
}

/* One size: the four places. */
static inline bool search(const struct tlb *t, uint64_t key, uint32_t context, uint32_t mix,
			  uint64_t addr, unsigned int shift, uint64_t *data)
{
	const struct tlb_set *set = tlb_set_of(t, tlb_place(mix, addr >> shift)),
			     *next = tlb_neighbour(t, set);

	return probe(t, set, 0, key, context, addr, data) ||
	       probe(t, set, 1, key, context, addr, data) ||
	       probe(t, next, 0, key, context, addr, data) ||
	       probe(t, next, 1, key, context, addr, data);
}

bool tlb_lookup_all(const struct tlb *t, enum tlb_kind kind, uint32_t context, uint32_t mix,
		    uint64_t addr, struct tlb_hit *hit)
{
	uint32_t classes = atomic_load_explicit(&t->classes[kind], memory_order_relaxed);
	uint32_t own = classes & ((1u << TLB_CLASSES) - 1), global = classes >> TLB_CLASSES;
	uint64_t key = TLB_KEY_VALID | FIELD_PREP64(TLB_KEY_KIND, kind);

	for (; own; own &= own - 1) {
		unsigned int class = __builtin_ctz(own), shift = tlb_class_shift[class];

		hit->shift = shift;
		if (search(t, (addr >> shift << shift) | key | FIELD_PREP64(TLB_KEY_CLASS, class),
			   context, mix, addr, shift, &hit->data))
			return true;
	}
	context &= ~UINT32_C(0xffff);
	for (; global; global &= global - 1) {
		unsigned int class = __builtin_ctz(global), shift = tlb_class_shift[class];

		hit->shift = shift;
		if (search(t,
			   (addr >> shift << shift) | key | TLB_KEY_GLOBAL |
				   FIELD_PREP64(TLB_KEY_CLASS, class),
			   context, tlb_mix(context), addr, shift, &hit->data))
			return true;
	}
	return false;
}

/* --- A set's writer --- */

static bool set_try(struct tlb_set *set, uint32_t *seq)
{
	*seq = atomic_load_explicit(&set->seq, memory_order_relaxed);
	return !(*seq & 1) && atomic_compare_exchange_strong(&set->seq, seq, *seq + 1);
}

static void set_done(struct tlb_set *set, uint32_t seq)
{
	atomic_store_explicit(&set->seq, seq + 2, memory_order_release);
}

/*
 * Says that look-ups have to try this class; before the entry can be found, and before the ticket
 * is looked at.
 */
static void announce(_Atomic uint32_t *mask, uint32_t bit)
{
	if (!(atomic_load_explicit(mask, memory_order_acquire) & bit))
		atomic_fetch_or(mask, bit);
}

struct place {
	struct tlb_set *set;
	unsigned int way;
};

/* The n-th of the four places, the preferred one first. */
static struct place nth_place(const struct tlb *t, uint64_t place, unsigned int n)
{
	struct tlb_set *set = tlb_set_of(t, place);

	return (struct place){ n < TLB_WAYS ? set : tlb_neighbour(t, set), (place ^ n) & 1 };
}

/*
 * Where to enter @key: the same region's old place, else the first free one, else the next in turn.
 * The sets are not locked here, so the answer is only a good guess.
 */
static struct place choose_place(const struct tlb *t, uint64_t hash, uint64_t key, uint32_t context)
{
	struct place preferred = nth_place(t, hash, 0), free = { NULL, 0 };
	uint32_t victim;
	unsigned int n;

	if (!(atomic_load_explicit(&preferred.set->key[preferred.way], memory_order_relaxed) &
	      TLB_KEY_VALID))
		return preferred;

	for (n = 0; n < 2 * TLB_WAYS; n++) {
		struct place p = nth_place(t, hash, n);
		uint64_t k = atomic_load_explicit(&p.set->key[p.way], memory_order_relaxed);

		if (k == key &&
		    atomic_load_explicit(&p.set->context[p.way], memory_order_relaxed) == context)
			return p;
		if (!(k & TLB_KEY_VALID) && !free.set)
			free = p;
	}
	if (free.set)
		return free;
	victim = atomic_load_explicit(&preferred.set->victim, memory_order_relaxed);
	atomic_store_explicit(&preferred.set->victim, victim + 1, memory_order_relaxed);
	return nth_place(t, hash, victim % (2 * TLB_WAYS));
}

/*
 * For a table: a place in its set that is free or has a table. A translation gives way to a table
 * now and then only: often enough that a full TLB gets the tables it needs, seldom enough that
 * pages far apart, with a table each, do not lose half of their places.
 */
#define TABLE_PATIENCE 4

static struct place choose_table_place(const struct tlb *t, uint64_t hash, uint64_t key)
{
	struct place p = nth_place(t, hash, 0);
	uint64_t k0 = atomic_load_explicit(&p.set->key[p.way], memory_order_relaxed);
	uint64_t k1 = atomic_load_explicit(&p.set->key[p.way ^ 1], memory_order_relaxed);
	uint32_t victim;

	if (k0 == key || (k1 != key && !(k0 & TLB_KEY_VALID)))
		return p;
	if (k1 == key || !(k1 & TLB_KEY_VALID) || tlb_kind_of_table(FIELD_GET64(TLB_KEY_KIND, k1)))
		return (struct place){ p.set, p.way ^ 1 };
	if (tlb_kind_of_table(FIELD_GET64(TLB_KEY_KIND, k0)))
		return p;
	victim = atomic_load_explicit(&p.set->victim, memory_order_relaxed);
	atomic_store_explicit(&p.set->victim, victim + 1, memory_order_relaxed);
	return (struct place){ victim % TABLE_PATIENCE ? NULL : p.set, p.way };
}

void tlb_insert(struct tlb *t, const struct tlb_entry *e, const struct tlb_ticket *ticket)
{
	unsigned int class = class_of[e->shift], leaf_class = class_of[e->leaf_shift];
	uint32_t context = tlb_context(e->vmid, e->global ? 0 : e->asid);
	uint64_t region = ~UINT64_C(0) << tlb_class_shift[class];
	uint64_t hash, key, data, generation = 0;
	struct place p;
	uint32_t seq;

	key = (e->addr & region) | TLB_KEY_VALID | (e->global ? TLB_KEY_GLOBAL : 0) |
	      FIELD_PREP64(TLB_KEY_KIND, e->kind) | FIELD_PREP64(TLB_KEY_CLASS, class);
	data = (e->pa & TLB_DATA_ADDR) | (e->device ? TLB_DATA_DEVICE : 0) |
	       FIELD_PREP64(TLB_DATA_PERMS, e->perms);
	if (leaf_class > class) {
		data |= TLB_DATA_FRAGMENT | FIELD_PREP64(TLB_DATA_LEAF_CLASS, leaf_class);
		announce(&t->broken, UINT32_C(1) << leaf_class);
	}
	announce(&t->classes[e->kind], UINT32_C(1) << (e->global ? TLB_CLASSES + class : class));

	hash = tlb_place(tlb_mix(context), e->addr >> tlb_class_shift[class]);
	p = tlb_kind_of_table(e->kind) ? choose_table_place(t, hash, key)
				       : choose_place(t, hash, key, context);
	if (!p.set || !set_try(p.set, &seq))
		return;
	if (data & TLB_DATA_FRAGMENT)
		generation = atomic_load(&t->generation[tlb_generation_index(
			e->vmid, e->addr, tlb_class_shift[leaf_class])]);
	if (tlb_ticket_valid(ticket, 0) && tlb_ticket_valid(ticket, 1)) {
		atomic_store_explicit(&p.set->key[p.way], key, memory_order_release);
		atomic_store_explicit(&p.set->context[p.way], context, memory_order_release);
		atomic_store_explicit(&p.set->data[p.way], data, memory_order_release);
		atomic_store_explicit(&p.set->generation[p.way], generation, memory_order_release);
	}
	set_done(p.set, seq);
}

/* --- Invalidation --- */

/* A fragment covers its whole leaf as far as invalidation is concerned. */
static bool covered(const struct tlb_scope *s, uint64_t key, uint32_t context, uint64_t data)
{
	enum tlb_kind kind = FIELD_GET64(TLB_KEY_KIND, key);
	unsigned int class =
		FIELD_GET64(data & TLB_DATA_FRAGMENT ? TLB_DATA_LEAF_CLASS : TLB_KEY_CLASS,
			    data & TLB_DATA_FRAGMENT ? data : key);
	uint64_t region = ~UINT64_C(0) << tlb_class_shift[class];
	uint64_t addr = key & TLB_KEY_ADDR;

	if (!(key & TLB_KEY_VALID) || !(tlb_kind_of_ipa(kind) ? s->s2 : s->s1))
		return false;
	if (!s->any_vmid && context >> 16 != s->vmid)
		return false;
	if (key & TLB_KEY_GLOBAL
		    ? s->keep_global
		    : !s->any_asid && !tlb_kind_of_ipa(kind) && (context & 0xffff) != s->asid)
		return false;
	return (addr | ~region) >= s->first && (addr & region) <= s->last;
}

static bool set_has(const struct tlb_set *set, const struct tlb_scope *scope)
{
	unsigned int way;

	for (way = 0; way < TLB_WAYS; way++) {
		if (covered(scope, atomic_load_explicit(&set->key[way], memory_order_acquire),
			    atomic_load_explicit(&set->context[way], memory_order_acquire),
			    atomic_load_explicit(&set->data[way], memory_order_acquire)))
			return true;
	}
	return false;
}

static void set_purge(struct tlb_set *set, const struct tlb_scope *scope)
{
	uint32_t seq = atomic_load(&set->seq);
	unsigned int way;

	/*
	 * Skips a set that nobody is writing and that holds nothing to remove: an insertion that
	 * begins later will see the new epoch.
	 */
	if (!(seq & 1) && !set_has(set, scope) &&
	    atomic_load_explicit(&set->seq, memory_order_relaxed) == seq)
		return;
	/* An insertion holds a set for some tens of instructions. */
	while (!set_try(set, &seq))
		;
	for (way = 0; way < TLB_WAYS; way++) {
		if (covered(scope, atomic_load_explicit(&set->key[way], memory_order_relaxed),
			    atomic_load_explicit(&set->context[way], memory_order_relaxed),
			    atomic_load_explicit(&set->data[way], memory_order_relaxed)))
			atomic_store_explicit(&set->key[way], 0, memory_order_release);
	}
	set_done(set, seq);
}

static void move_epochs(struct tlb *t, const struct tlb_scope *s,
			void (*move)(_Atomic uint64_t *epoch))
{
	unsigned int i;

	if (!s->any_vmid) {
		move(&t->epoch[s->vmid % TLB_EPOCHS]);
		return;
	}
	for (i = 0; i < TLB_EPOCHS; i++)
		move(&t->epoch[i]);
}

static uint32_t scope_classes(const struct tlb *t, const struct tlb_scope *s)
{
	uint32_t classes = 0;
	unsigned int kind;

	for (kind = 0; kind < TLB_KINDS; kind++) {
		if (tlb_kind_of_ipa(kind) ? s->s2 : s->s1)
			classes |= atomic_load(&t->classes[kind]);
	}
	return classes;
}

/* How many regions of 2^@shift the scope touches, less one. */
static uint64_t regions(const struct tlb_scope *s, unsigned int shift)
{
	return (s->last >> shift) - (s->first >> shift);
}

static unsigned int class_of_bit(uint32_t classes)
{
	unsigned int bit = __builtin_ctz(classes);

	return bit >= TLB_CLASSES ? bit - TLB_CLASSES : bit;
}

/* Can entries be found by address, in fewer probes than there are sets? */
static bool probing_pays(const struct tlb *t, const struct tlb_scope *s, uint32_t classes)
{
	uint64_t probes = 0;

	if (s->any_vmid || (s->s1 && s->any_asid))
		return false;
	for (; classes; classes &= classes - 1) {
		uint64_t n = regions(s, tlb_class_shift[class_of_bit(classes)]);

		if (n > t->set_mask)
			return false;
		probes += n + 1;
	}
	return probes <= t->set_mask + 1;
}

static void probe_regions(struct tlb *t, const struct tlb_scope *s, uint32_t classes)
{
	for (; classes; classes &= classes - 1) {
		bool global = __builtin_ctz(classes) >= TLB_CLASSES;
		unsigned int shift = tlb_class_shift[class_of_bit(classes)];
		uint32_t context = tlb_context(s->vmid, global || !s->s1 ? 0 : s->asid);
		uint64_t page = s->first >> shift, n = regions(s, shift);

		do {
			struct tlb_set *set = tlb_set_of(t, tlb_place(tlb_mix(context), page++));

			set_purge(set, s);
			set_purge(tlb_neighbour(t, set), s);
		} while (n--);
	}
}

/* Fragments may lie in any set: their leaves' generations end. */
static void end_generations(struct tlb *t, const struct tlb_scope *s)
{
	uint32_t broken = s->s1 ? atomic_load(&t->broken) : 0;

	for (; broken; broken &= broken - 1) {
		unsigned int shift = tlb_class_shift[__builtin_ctz(broken)];
		uint64_t n = regions(s, shift), addr = s->first;

		for (;; addr += BIT64(shift)) {
			atomic_fetch_add(&t->generation[tlb_generation_index(s->vmid, addr, shift)],
					 1);
			if (!n--)
				break;
		}
	}
}

static void remove_entries(struct tlb *t, const struct tlb_scope *scope)
{
	uint32_t classes = scope_classes(t, scope);
	uint64_t i;

	if (!classes)
		return;
	if (probing_pays(t, scope, classes)) {
		end_generations(t, scope);
		probe_regions(t, scope, classes);
		return;
	}
	for (i = 0; i <= t->set_mask; i++)
		set_purge(&t->sets[i], scope);
}

void tlb_invalidate(struct tlb *t, const struct tlb_scope *scope)
{
	move_epochs(t, scope, tlb_epoch_begin);
	remove_entries(t, scope);
	move_epochs(t, scope, tlb_epoch_end);
}
