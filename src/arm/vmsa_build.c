/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building VMSAv8-64 tables.
 *
 * Whatever can fail comes first: the tables that a change needs are counted and allocated into a
 * pool before the first descriptor is written, so a change is done whole or not at all. A table is
 * filled before the descriptor that points to it is written, and tables that fall out of use are
 * handed to the caller, so a walk at any moment sees the old tables or the new.
 */
#include <errno.h>
#include <stddef.h>

#include "arm/vmsa.h"
#include "arm/vmsa_desc.h"

/*
 * The part of a table, at @level and beginning at @ia, that a change covers: [from, last], both
 * within the table.
 */
struct span {
	uint64_t table;
	uint64_t ia;
	unsigned int level;
	uint64_t from, last;
};

/* Tables allocated but not yet linked; a list through their first dwords, as of released ones. */
struct pool {
	uint64_t head;
};

static unsigned int shift_of(const struct vmsa_table *t, unsigned int level)
{
	return vmsa_level_shift(t->format.granule_shift, level);
}

static uint64_t table_size(const struct vmsa_table *t)
{
	return BIT64(t->format.granule_shift);
}

static int get(struct vmsa_table *t, uint64_t table, uint64_t index, uint64_t *desc)
{
	return t->mem.read64(t->mem.ctx, table + index * 8, desc);
}

static int put(struct vmsa_table *t, uint64_t table, uint64_t index, uint64_t desc)
{
	return t->mem.write64(t->mem.ctx, table + index * 8, desc);
}

static bool is_table(unsigned int level, uint64_t desc)
{
	return level < VMSA_LAST_LEVEL && (desc & VMSA_DESC_TYPE) == VMSA_DESC_TYPE_TABLE;
}

static uint64_t index_in(const struct vmsa_table *t, const struct span *s, uint64_t ia)
{
	return (ia - s->ia) >> shift_of(t, s->level);
}

/* The part of @s that falls on entry @index. */
static struct span entry_span(const struct vmsa_table *t, const struct span *s, uint64_t index,
			      uint64_t desc)
{
	unsigned int shift = shift_of(t, s->level);
	uint64_t first = s->ia + (index << shift);
	uint64_t last = first + BIT64(shift) - 1;

	return (struct span){
		.table = desc & VMSA_DESC_ADDR,
		.ia = first,
		.level = s->level + 1,
		.from = s->from > first ? s->from : first,
		.last = s->last < last ? s->last : last,
	};
}

static bool covers_entry(const struct vmsa_table *t, const struct span *entry)
{
	return entry->last - entry->from == BIT64(shift_of(t, entry->level - 1)) - 1;
}

static struct span whole(const struct vmsa_table *t, uint64_t ia, uint64_t size)
{
	return (struct span){
		.table = t->root,
		.level = t->format.start_level,
		.from = ia,
		.last = ia + size - 1,
	};
}

/* A range of input addresses that lies in the table's input space. */
static bool range_valid(const struct vmsa_table *t, uint64_t ia, uint64_t size)
{
	uint64_t mask = table_size(t) - 1;

	return size && !(ia & mask) && !(size & mask) && ia + size - 1 >= ia &&
	       !((ia + size - 1) >> t->format.ia_bits);
}

/* --- The pool --- */

static int pool_take(struct vmsa_table *t, struct pool *pool, uint64_t *table)
{
	int rc;

	/* Happens only if somebody else changed the tables after they were counted. */
	if (!pool->head)
		return -EFAULT;
	*table = pool->head;
	rc = get(t, *table, 0, &pool->head);
	return rc ? rc : put(t, *table, 0, 0);
}

static int push(struct vmsa_table *t, uint64_t *list, uint64_t table)
{
	int rc = put(t, table, 0, *list);

	if (!rc)
		*list = table;
	return rc;
}

void vmsa_release(struct vmsa_table *t, uint64_t freed)
{
	while (freed) {
		uint64_t next;

		if (get(t, freed, 0, &next))
			return;
		t->free(t->ctx, freed, table_size(t));
		freed = next;
	}
}

static int pool_fill(struct vmsa_table *t, struct pool *pool, uint64_t count)
{
	while (count--) {
		uint64_t table;
		int rc = t->alloc(t->ctx, table_size(t), &table);

		if (rc)
			return rc;
		rc = push(t, &pool->head, table);
		if (rc) {
			t->free(t->ctx, table, table_size(t));
			return rc;
		}
	}
	return 0;
}

/* --- Descriptors --- */

static uint64_t s1_attributes(unsigned int prot)
{
	uint64_t d = FIELD_PREP64(VMSA_S1_ATTRINDX,
				  prot & VMSA_DEVICE ? VMSA_ATTRINDX_DEVICE : VMSA_ATTRINDX_NORMAL);

	if (!(prot & VMSA_PRIV_ONLY))
		d |= VMSA_S1_AP_UNPRIV;
	if (!(prot & VMSA_WRITE))
		d |= VMSA_S1_AP_RDONLY;
	if (!(prot & VMSA_EXEC))
		d |= VMSA_S1_PXN | VMSA_S1_UXN;
	if (prot & VMSA_NOT_GLOBAL)
		d |= VMSA_S1_NG;
	return d;
}

static uint64_t s2_attributes(unsigned int prot)
{
	uint64_t d = FIELD_PREP64(VMSA_S2_MEMATTR, prot & VMSA_DEVICE ? VMSA_S2_MEMATTR_DEVICE_NGNRE
								      : VMSA_S2_MEMATTR_NORMAL_WB);

	if (prot & VMSA_READ)
		d |= VMSA_S2_S2AP_READ;
	if (prot & VMSA_WRITE)
		d |= VMSA_S2_S2AP_WRITE;
	if (!(prot & VMSA_EXEC))
		d |= VMSA_S2_XN1;
	return d;
}

static uint64_t leaf_attributes(const struct vmsa_table *t, unsigned int prot)
{
	uint64_t d = VMSA_LEAF_AF | FIELD_PREP64(VMSA_LEAF_SH, VMSA_LEAF_SH_INNER);

	return d | (t->format.stage == VMSA_S1 ? s1_attributes(prot) : s2_attributes(prot));
}

static uint64_t leaf_type(unsigned int level)
{
	return level == VMSA_LAST_LEVEL ? VMSA_DESC_TYPE_PAGE : VMSA_DESC_TYPE_BLOCK;
}

/* --- Mapping --- */

struct map_job {
	struct vmsa_table *t;
	uint64_t oa_offset;	/* output address - input address, modulo 2^64 */
	uint64_t attributes;
	uint64_t from, last;	/* the whole change */
	struct pool pool;
};

static bool leaf_fits(const struct map_job *job, const struct span *entry)
{
	unsigned int level = entry->level - 1;
	uint64_t oa = entry->from + job->oa_offset;

	return vmsa_leaf_allowed(job->t->format.granule_shift, level) &&
	       covers_entry(job->t, entry) && !(oa & (BIT64(shift_of(job->t, level)) - 1));
}

/*
 * Does the change map the whole contiguous group that @entry is in, with one suitably aligned
 * output range? D8.7.1.
 */
static bool contiguous(const struct map_job *job, const struct span *entry)
{
	unsigned int level = entry->level - 1;
	unsigned int cont = vmsa_cont_shift(job->t->format.granule_shift, level);
	unsigned int shift = shift_of(job->t, level) + cont;
	uint64_t mask = BIT64(shift) - 1;

	if (!cont || shift > job->t->format.ia_bits)
		return false;
	return (entry->from & ~mask) >= job->from && (entry->from | mask) <= job->last &&
	       !(job->oa_offset & mask);
}

/*
 * Counts the tables that mapping @s needs, and finds whether any of it is mapped. A table that does
 * not exist yet (@s->table 0 below the root) needs itself and what lies under it.
 */
static int map_count(struct map_job *job, const struct span *s, bool exists, uint64_t *count)
{
	uint64_t i, end = index_in(job->t, s, s->last);

	for (i = index_in(job->t, s, s->from); i <= end; i++) {
		struct span entry;
		uint64_t desc = 0;
		int rc = exists ? get(job->t, s->table, i, &desc) : 0;

		if (rc)
			return rc;
		entry = entry_span(job->t, s, i, desc);
		if (is_table(s->level, desc)) {
			rc = map_count(job, &entry, true, count);
		} else if (desc & VMSA_DESC_VALID) {
			rc = -EEXIST;
		} else if (!leaf_fits(job, &entry)) {
			++*count;
			rc = map_count(job, &entry, false, count);
		}
		if (rc)
			return rc;
	}
	return 0;
}

static int map_write(struct map_job *job, const struct span *s);

/* One entry of the change: a leaf, or a table below it, a new one if need be. */
static int map_entry(struct map_job *job, const struct span *s, uint64_t index, uint64_t desc)
{
	struct span entry = entry_span(job->t, s, index, desc);
	int rc;

	if (is_table(s->level, desc))
		return map_write(job, &entry);
	if (leaf_fits(job, &entry)) {
		desc = ((entry.from + job->oa_offset) & VMSA_DESC_ADDR) | job->attributes |
		       leaf_type(s->level);
		if (contiguous(job, &entry))
			desc |= VMSA_LEAF_CONT;
		return put(job->t, s->table, index, desc);
	}
	rc = pool_take(job->t, &job->pool, &entry.table);
	if (!rc)
		rc = map_write(job, &entry);
	return rc ? rc : put(job->t, s->table, index, entry.table | VMSA_DESC_TYPE_TABLE);
}

static int map_write(struct map_job *job, const struct span *s)
{
	uint64_t i, end = index_in(job->t, s, s->last);

	for (i = index_in(job->t, s, s->from); i <= end; i++) {
		uint64_t desc;
		int rc = get(job->t, s->table, i, &desc);

		if (!rc)
			rc = map_entry(job, s, i, desc);
		if (rc)
			return rc;
	}
	return 0;
}

int vmsa_map(struct vmsa_table *t, uint64_t ia, uint64_t oa, uint64_t size, unsigned int prot)
{
	struct map_job job = {
		.t = t,
		.oa_offset = oa - ia,
		.attributes = leaf_attributes(t, prot),
		.from = ia,
		.last = ia + size - 1,
	};
	uint64_t count = 0;
	struct span s;
	int rc;

	if (!range_valid(t, ia, size) || oa & (table_size(t) - 1) || oa + size - 1 < oa ||
	    (oa + size - 1) >> t->format.oa_bits)
		return -EINVAL;
	/*
	 * Stage 1 has no encoding for "nothing" or "write only": read comes with every mapping
	 * (D8.4.1.2).
	 */
	if (t->format.stage == VMSA_S1 && !(prot & (VMSA_READ | VMSA_WRITE | VMSA_EXEC)))
		return -EINVAL;

	s = whole(t, ia, size);
	rc = map_count(&job, &s, true, &count);
	if (!rc)
		rc = pool_fill(t, &job.pool, count);
	if (!rc)
		rc = map_write(&job, &s);
	vmsa_release(t, job.pool.head);
	return rc;
}

/* --- Unmapping --- */

/*
 * Finds the leaf that @ia cuts in two: its level in *@level and its place in *@table and *@index.
 * Returns 1 if there is one, 0 if @ia is at a border or unmapped, or an error of the memory.
 */
static int find_cut(struct vmsa_table *t, uint64_t ia, unsigned int *level, uint64_t *table,
		    uint64_t *index, uint64_t *desc)
{
	*table = t->root;
	for (*level = t->format.start_level;; ++*level) {
		unsigned int shift = shift_of(t, *level);
		unsigned int bits = *level == t->format.start_level
					    ? t->format.ia_bits - shift
					    : vmsa_stride(t->format.granule_shift);
		int rc;

		*index = (ia >> shift) & (BIT64(bits) - 1);
		rc = get(t, *table, *index, desc);
		if (rc)
			return rc;
		if (!is_table(*level, *desc))
			return (*desc & VMSA_DESC_VALID) && ia & (BIT64(shift) - 1);
		*table = *desc & VMSA_DESC_ADDR;
	}
}

/* Tables needed to cut the leaf at @level so that a border falls on @ia. */
static unsigned int cut_depth(const struct vmsa_table *t, uint64_t ia, unsigned int level)
{
	unsigned int depth = 0;

	while (ia & (BIT64(shift_of(t, level)) - 1)) {
		level++;
		depth++;
	}
	return depth;
}

/*
 * A contiguous group that loses a member is no group any more: the hint must go from the members
 * that stay (D8.7.1).
 */
static int drop_hint(struct vmsa_table *t, unsigned int level, uint64_t table, uint64_t index)
{
	unsigned int cont = vmsa_cont_shift(t->format.granule_shift, level);
	uint64_t first = index & ~(BIT64(cont) - 1);
	uint64_t i;

	for (i = first; i < first + BIT64(cont); i++) {
		uint64_t desc;
		int rc = get(t, table, i, &desc);

		if (!rc && desc & VMSA_LEAF_CONT)
			rc = put(t, table, i, desc & ~VMSA_LEAF_CONT);
		if (rc)
			return rc;
	}
	return 0;
}

/* Replaces one leaf by a table of smaller ones that map the same. */
static int split_leaf(struct vmsa_table *t, struct pool *pool, unsigned int level, uint64_t table,
		      uint64_t index, uint64_t desc)
{
	unsigned int below = shift_of(t, level + 1);
	uint64_t oa = desc & VMSA_DESC_ADDR & ~(BIT64(shift_of(t, level)) - 1);
	uint64_t attributes = desc & ~(VMSA_DESC_ADDR | VMSA_DESC_TYPE | VMSA_LEAF_CONT);
	uint64_t i, fresh;
	int rc = desc & VMSA_LEAF_CONT ? drop_hint(t, level, table, index) : 0;

	if (!rc)
		rc = pool_take(t, pool, &fresh);
	for (i = 0; !rc && i < table_size(t) / 8; i++)
		rc = put(t, fresh, i, (oa + (i << below)) | attributes | leaf_type(level + 1));
	return rc ? rc : put(t, table, index, fresh | VMSA_DESC_TYPE_TABLE);
}

/*
 * Makes @ia a border between leaves. Blocks are allowed at every level from the first that has
 * them, so each step is one split.
 */
static int cut(struct vmsa_table *t, struct pool *pool, uint64_t ia)
{
	for (;;) {
		uint64_t table, index, desc;
		unsigned int level;
		int rc = find_cut(t, ia, &level, &table, &index, &desc);

		if (rc <= 0)
			return rc;
		rc = split_leaf(t, pool, level, table, index, desc);
		if (rc)
			return rc;
	}
}

static int count_cut(struct vmsa_table *t, uint64_t ia, uint64_t *count)
{
	uint64_t table, index, desc;
	unsigned int level;
	int rc = ia >> t->format.ia_bits ? 0 : find_cut(t, ia, &level, &table, &index, &desc);

	if (rc == 1)
		*count += cut_depth(t, ia, level);
	return rc < 0 ? rc : 0;
}

static int cut_both(struct vmsa_table *t, uint64_t ia, uint64_t end)
{
	struct pool pool = { 0 };
	uint64_t count = 0;
	int rc = count_cut(t, ia, &count);

	if (!rc)
		rc = count_cut(t, end, &count);
	if (!rc)
		rc = pool_fill(t, &pool, count);
	if (!rc)
		rc = cut(t, &pool, ia);
	if (!rc && !(end >> t->format.ia_bits))
		rc = cut(t, &pool, end);
	/* Two cuts in one leaf share tables: what is left over was never linked. */
	vmsa_release(t, pool.head);
	return rc;
}

static int clear_leaf(struct vmsa_table *t, const struct span *s, uint64_t index, uint64_t desc)
{
	unsigned int shift =
		shift_of(t, s->level) + vmsa_cont_shift(t->format.granule_shift, s->level);
	uint64_t mask = BIT64(shift) - 1;
	uint64_t ia = s->ia + (index << shift_of(t, s->level));

	/* Of a group that goes whole, the members need no care. */
	if (desc & VMSA_LEAF_CONT && ((ia & ~mask) < s->from || (ia | mask) > s->last)) {
		int rc = drop_hint(t, s->level, s->table, index);

		if (rc)
			return rc;
	}
	return put(t, s->table, index, 0);
}

/*
 * Is the table of @s empty, now that [from, last] was unmapped? The entries at the ends of that,
 * and their neighbours, answer for dense tables, so that unmapping page by page is linear; only for
 * sparse ones is the table read through.
 */
static int table_empty(struct vmsa_table *t, const struct span *s, bool *empty)
{
	uint64_t entries = table_size(t) / 8;
	uint64_t from = index_in(t, s, s->from), last = index_in(t, s, s->last);
	uint64_t likely[4] = { last + 1, from - 1, last, from };
	uint64_t i, desc;

	*empty = false;
	for (i = 0; i < 4 + entries; i++) {
		uint64_t index = i < 4 ? likely[i] : i - 4;
		int rc;

		if (index >= entries)
			continue;
		rc = get(t, s->table, index, &desc);
		if (rc || desc)
			return rc;
	}
	*empty = true;
	return 0;
}

static int unmap_span(struct vmsa_table *t, const struct span *s, uint64_t *freed);

static int unmap_subtable(struct vmsa_table *t, const struct span *s, uint64_t index,
			  const struct span *entry, uint64_t *freed)
{
	bool empty = true;
	int rc = unmap_span(t, entry, freed);

	if (!rc && !covers_entry(t, entry))
		rc = table_empty(t, entry, &empty);
	if (!rc && empty)
		rc = put(t, s->table, index, 0);
	return rc || !empty ? rc : push(t, freed, entry->table);
}

/* No leaf reaches over the ends of the range any more. */
static int unmap_span(struct vmsa_table *t, const struct span *s, uint64_t *freed)
{
	uint64_t i, end = index_in(t, s, s->last);

	for (i = index_in(t, s, s->from); i <= end; i++) {
		uint64_t desc;
		int rc = get(t, s->table, i, &desc);

		if (!rc && is_table(s->level, desc)) {
			struct span entry = entry_span(t, s, i, desc);

			rc = unmap_subtable(t, s, i, &entry, freed);
		} else if (!rc && desc & VMSA_DESC_VALID) {
			rc = clear_leaf(t, s, i, desc);
		}
		if (rc)
			return rc;
	}
	return 0;
}

int vmsa_unmap(struct vmsa_table *t, uint64_t ia, uint64_t size, uint64_t *freed)
{
	struct span s;
	int rc;

	*freed = 0;
	if (!range_valid(t, ia, size))
		return -EINVAL;
	rc = cut_both(t, ia, ia + size);
	if (rc)
		return rc;
	s = whole(t, ia, size);
	return unmap_span(t, &s, freed);
}

/* --- Life --- */

int vmsa_table_init(struct vmsa_table *t)
{
	return t->alloc(t->ctx, vmsa_root_size(&t->format), &t->root);
}

static void free_below(struct vmsa_table *t, uint64_t table, unsigned int level, uint64_t entries)
{
	uint64_t i, desc;

	for (i = 0; level < VMSA_LAST_LEVEL && i < entries; i++) {
		if (get(t, table, i, &desc) || !is_table(level, desc))
			continue;
		free_below(t, desc & VMSA_DESC_ADDR, level + 1, table_size(t) / 8);
		t->free(t->ctx, desc & VMSA_DESC_ADDR, table_size(t));
	}
}

void vmsa_table_fini(struct vmsa_table *t)
{
	uint64_t size = vmsa_root_size(&t->format);

	if (!t->root)
		return;
	free_below(t, t->root, t->format.start_level, size / 8);
	t->free(t->ctx, t->root, size);
	t->root = 0;
}
