/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mappings of an IOAS: disjoint intervals in an AVL tree that also knows the free space between
 * them, so that look-up, insertion, removal and finding a hole of some size are O(log n) each. 64
 * bytes an area, from slabs of one page.
 *
 * One caller at a time.
 */
#ifndef SOFT_UAPI_IOVA_TREE_H
#define SOFT_UAPI_IOVA_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct memory_source;
struct slab;

#define IOVA_AREA_ADDR_BITS 52

struct iova_area {
	uint64_t start, last;			/* inclusive */
	struct iova_area *child[2];
	uint64_t gap;				/* free addresses right before it */
	uint64_t max_gap;			/* the largest of its subtree */
	struct memory_source *source;		/* NULL: memory of the process, at addr */
	uint64_t addr : IOVA_AREA_ADDR_BITS;	/* with a source: offset in it */
	uint64_t height : 8;
	uint64_t readable : 1, writable : 1;
	uint64_t may_write : 1;			/* a copy may be made writable */
	/* its memory is pinned and stands in every domain */
	uint64_t filled : 1;
};

struct iova_tree {
	struct iova_area *root;
	uint64_t count;
	struct slab *partial;			/* slabs with a free area; full ones are in no list */
};

void iova_tree_init(struct iova_tree *t);
void iova_tree_fini(struct iova_tree *t);	/* empty, and every area freed */

/* An area outside the tree, zeroed, or NULL. */
struct iova_area *iova_area_alloc(struct iova_tree *t);
void iova_area_free(struct iova_tree *t, struct iova_area *area);

/* @area has start and last, and meets no other. */
void iova_tree_insert(struct iova_tree *t, struct iova_area *area);
void iova_tree_remove(struct iova_tree *t, struct iova_area *area);

/* The lowest area that meets [start, last], or NULL. */
struct iova_area *iova_tree_first(const struct iova_tree *t, uint64_t start, uint64_t last);

/*
 * Calls @visit for each area in ascending order until it returns non-zero; returns that. It must
 * not change the tree.
 */
int iova_tree_walk(const struct iova_tree *t, int (*visit)(void *ctx, struct iova_area *area),
		   void *ctx);

/* The lowest hole of at least @size addresses that ends at or above @from: [*start, *last]. */
bool iova_tree_gap(const struct iova_tree *t, uint64_t from, uint64_t size, uint64_t *start,
		   uint64_t *last);

#endif
