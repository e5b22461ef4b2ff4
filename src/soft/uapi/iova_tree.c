/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/iova_tree.h"

#include <assert.h>
#include <stddef.h>

#include "soft/alloc.h"

#define SLAB_ALIGN 4096

/* Room is left for the allocator's own header, so that the next slab can lie in the next page. */
#define SLAB_SIZE (SLAB_ALIGN - 16)
#define SLAB_AREAS (SLAB_SIZE / sizeof(struct iova_area) - 1)

static_assert(sizeof(struct iova_area) == 64, "an area is one cache line");

/* One page: this header in the place of the first area. */
struct slab {
	struct slab *next, *prev;
	struct iova_area *free;		/* through child[0] */
	unsigned int used;
	struct iova_area areas[] __attribute__((aligned(64)));
};

static_assert(offsetof(struct slab, areas) == 64, "the header takes one area's place");

static void slab_link(struct slab **list, struct slab *s)
{
	s->prev = NULL;
	s->next = *list;
	if (s->next)
		s->next->prev = s;
	*list = s;
}

static void slab_unlink(struct slab **list, struct slab *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		*list = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

static struct slab *slab_new(struct iova_tree *t)
{
	struct slab *s = soft_calloc_aligned(1, SLAB_SIZE, SLAB_ALIGN);

	if (!s)
		return NULL;
	for (unsigned int i = SLAB_AREAS; i-- > 0;) {
		s->areas[i].child[0] = s->free;
		s->free = &s->areas[i];
	}
	slab_link(&t->partial, s);
	return s;
}

struct iova_area *iova_area_alloc(struct iova_tree *t)
{
	struct slab *s = t->partial ? t->partial : slab_new(t);
	struct iova_area *area;

	if (!s)
		return NULL;
	area = s->free;
	s->free = area->child[0];
	area->child[0] = NULL;
	if (++s->used == SLAB_AREAS)
		slab_unlink(&t->partial, s);
	return area;
}

void iova_area_free(struct iova_tree *t, struct iova_area *area)
{
	struct slab *s = (struct slab *)((uintptr_t)area & ~(uintptr_t)(SLAB_ALIGN - 1));

	if (s->used-- == SLAB_AREAS)
		slab_link(&t->partial, s);
	*area = (struct iova_area){ .child[0] = s->free };
	s->free = area;
	if (!s->used) {
		slab_unlink(&t->partial, s);
		soft_free(s);
	}
}

void iova_tree_init(struct iova_tree *t)
{
	*t = (struct iova_tree){ 0 };
}

void iova_tree_fini(struct iova_tree *t)
{
	assert(!t->root && !t->partial);
}

static unsigned int height(const struct iova_area *a)
{
	return a ? a->height : 0;
}

static uint64_t max_gap(const struct iova_area *a)
{
	return a ? a->max_gap : 0;
}

/* What a node knows of its subtree. */
static void update(struct iova_area *a)
{
	unsigned int l = height(a->child[0]), r = height(a->child[1]);
	uint64_t lgap = max_gap(a->child[0]), rgap = max_gap(a->child[1]);

	a->height = 1 + (l > r ? l : r);
	a->max_gap = a->gap;
	if (lgap > a->max_gap)
		a->max_gap = lgap;
	if (rgap > a->max_gap)
		a->max_gap = rgap;
}

/* Moves child[!dir] up; the node goes down on side @dir. */
static struct iova_area *rotate(struct iova_area *a, int dir)
{
	struct iova_area *up = a->child[!dir];

	a->child[!dir] = up->child[dir];
	up->child[dir] = a;
	update(a);
	update(up);
	return up;
}

static struct iova_area *balance(struct iova_area *a)
{
	int lean = (int)height(a->child[1]) - (int)height(a->child[0]);
	int dir = lean < 0 ? 0 : 1;	/* the higher side */
	struct iova_area *c;

	if (lean >= -1 && lean <= 1) {
		update(a);
		return a;
	}
	c = a->child[dir];
	if (height(c->child[!dir]) > height(c->child[dir]))
		a->child[dir] = rotate(c, dir);
	return rotate(a, !dir);
}

static struct iova_area *insert(struct iova_area *root, struct iova_area *area)
{
	int dir;

	if (!root) {
		update(area);
		return area;
	}
	dir = area->start > root->start;
	root->child[dir] = insert(root->child[dir], area);
	return balance(root);
}

static struct iova_area *take_first(struct iova_area *root, struct iova_area **first)
{
	if (!root->child[0]) {
		*first = root;
		return root->child[1];
	}
	root->child[0] = take_first(root->child[0], first);
	return balance(root);
}

static struct iova_area *detach(struct iova_area *root, const struct iova_area *area)
{
	struct iova_area *next, *right;
	int dir;

	if (root != area) {
		dir = area->start > root->start;
		root->child[dir] = detach(root->child[dir], area);
		return balance(root);
	}
	if (!root->child[1])
		return root->child[0];
	right = take_first(root->child[1], &next);
	next->child[0] = root->child[0];
	next->child[1] = right;
	return balance(next);
}

/* The gap of the area at @start has changed: what is known above it follows. */
static void refresh(struct iova_area *root, uint64_t start)
{
	if (root->start != start)
		refresh(root->child[start > root->start], start);
	update(root);
}

/*
 * Both children, of which one is the next step: whoever changes the tree afterwards looks at the
 * other one, too, on the way back up (update()). In a large tree neither is in a cache.
 */
static void fetch_children(const struct iova_area *a)
{
	__builtin_prefetch(a->child[0]);
	__builtin_prefetch(a->child[1]);
}

/* The areas next to address @at, which lies in none. */
static void neighbours(const struct iova_tree *t, uint64_t at, struct iova_area **prev,
		       struct iova_area **next)
{
	*prev = NULL;
	*next = NULL;
	for (struct iova_area *a = t->root; a;) {
		if (a->start > at) {
			*next = a;
			a = a->child[0];
		} else {
			*prev = a;
			a = a->child[1];
		}
	}
}

void iova_tree_insert(struct iova_tree *t, struct iova_area *area)
{
	struct iova_area *prev, *next;

	neighbours(t, area->start, &prev, &next);
	area->child[0] = area->child[1] = NULL;
	area->gap = area->start - (prev ? prev->last + 1 : 0);
	t->root = insert(t->root, area);
	if (next) {
		next->gap = next->start - area->last - 1;
		refresh(t->root, next->start);
	}
	t->count++;
}

void iova_tree_remove(struct iova_tree *t, struct iova_area *area)
{
	struct iova_area *next = area->last == UINT64_MAX
					 ? NULL
					 : iova_tree_first(t, area->last + 1, UINT64_MAX);
	uint64_t gap = area->gap;

	t->root = detach(t->root, area);
	if (next) {
		next->gap += gap + (area->last - area->start + 1);
		refresh(t->root, next->start);
	}
	t->count--;
}

struct iova_area *iova_tree_first(const struct iova_tree *t, uint64_t start, uint64_t last)
{
	struct iova_area *found = NULL;

	for (struct iova_area *a = t->root; a;) {
		fetch_children(a);
		if (a->last >= start) {
			found = a;
			if (a->start <= start)
				break;
			a = a->child[0];
		} else {
			a = a->child[1];
		}
	}
	return found && found->start <= last ? found : NULL;
}

static int walk(struct iova_area *a, int (*visit)(void *ctx, struct iova_area *area), void *ctx)
{
	int rc;

	if (!a)
		return 0;
	rc = walk(a->child[0], visit, ctx);
	if (rc)
		return rc;
	rc = visit(ctx, a);
	return rc ? rc : walk(a->child[1], visit, ctx);
}

int iova_tree_walk(const struct iova_tree *t, int (*visit)(void *ctx, struct iova_area *area),
		   void *ctx)
{
	return walk(t->root, visit, ctx);
}

/* The first area with at least @size free addresses before it, that starts above @from. */
static const struct iova_area *find_gap(const struct iova_area *a, uint64_t from, uint64_t size)
{
	const struct iova_area *found;

	if (!a || a->max_gap < size)
		return NULL;
	if (a->start > from) {
		found = find_gap(a->child[0], from, size);
		if (found)
			return found;
		if (a->gap >= size)
			return a;
	}
	return find_gap(a->child[1], from, size);
}

bool iova_tree_gap(const struct iova_tree *t, uint64_t from, uint64_t size, uint64_t *start,
		   uint64_t *last)
{
	const struct iova_area *a = find_gap(t->root, from, size);
	const struct iova_area *end = t->root;

	if (a) {
		*start = a->start - a->gap;
		*last = a->start - 1;
		return true;
	}
	/* What lies above the last area. */
	while (end && end->child[1])
		end = end->child[1];
	if (end && end->last == UINT64_MAX)
		return false;
	*start = end ? end->last + 1 : 0;
	*last = UINT64_MAX;
	return *last - *start >= size - 1;
}
