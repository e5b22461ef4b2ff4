/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of areas against a plain bitmap that does the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "soft/alloc.h"
#include "soft/uapi/iova_tree.h"

#define SPACE 512

static uint64_t seed = 88172645463325252ull;

static uint64_t random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static unsigned int check_subtree(const struct iova_area *a, uint64_t *prev_end, uint64_t *max_gap)
{
	uint64_t gaps[2] = { 0, 0 };
	unsigned int l, r, h;

	if (!a)
		return 0;
	l = check_subtree(a->child[0], prev_end, &gaps[0]);
	assert_true(a->start <= a->last);
	assert_int_equal(a->gap, a->start - *prev_end);
	*prev_end = a->last + 1;
	r = check_subtree(a->child[1], prev_end, &gaps[1]);
	h = 1 + (l > r ? l : r);
	assert_int_equal(a->height, h);
	assert_true(l <= r + 1 && r <= l + 1);
	*max_gap = a->gap;
	for (int i = 0; i < 2; i++)
		if (gaps[i] > *max_gap)
			*max_gap = gaps[i];
	assert_int_equal(a->max_gap, *max_gap);
	return h;
}

static void check_tree(const struct iova_tree *t)
{
	uint64_t end = 0, gap = 0;

	check_subtree(t->root, &end, &gap);
}

/* The lowest hole of @size in the map that ends at or above @from. */
static bool find_hole(const uint8_t *used, uint64_t from, uint64_t size, uint64_t *start)
{
	for (uint64_t s = 0; s < SPACE;) {
		uint64_t e = s;

		if (used[s]) {
			s++;
			continue;
		}
		while (e < SPACE && !used[e])
			e++;
		/* The last hole goes on for ever. */
		if ((e - s >= size && e - 1 >= from) || e == SPACE) {
			*start = s;
			return true;
		}
		s = e;
	}
	return false;
}

static void random_operations(void **state)
{
	uint8_t used[SPACE] = { 0 };
	long before = soft_alloc_live();
	struct iova_tree t;

	(void)state;
	iova_tree_init(&t);
	for (unsigned int step = 0; step < 20000; step++) {
		uint64_t start = random_below(SPACE - 1), last = start + random_below(8), s, l,
			 want;
		struct iova_area *a;

		if (last >= SPACE - 1)
			last = SPACE - 2;
		a = iova_tree_first(&t, start, last);
		if (!a) {
			for (uint64_t i = start; i <= last; i++)
				assert_int_equal(used[i], 0);
			a = iova_area_alloc(&t);
			assert_non_null(a);
			a->start = start;
			a->last = last;
			iova_tree_insert(&t, a);
			memset(used + start, 1, last - start + 1);
		} else {
			/* The lowest one that meets the range. */
			for (uint64_t i = start; i < a->start; i++)
				assert_int_equal(used[i], 0);
			memset(used + a->start, 0, a->last - a->start + 1);
			iova_tree_remove(&t, a);
			iova_area_free(&t, a);
		}
		if (step % 64 == 0)
			check_tree(&t);
		start = random_below(SPACE);
		last = 1 + random_below(16);
		if (find_hole(used, start, last, &want)) {
			assert_true(iova_tree_gap(&t, start, last, &s, &l));
			/* A hole that @start lies in may begin before it. */
			assert_int_equal(s, want);
			assert_true(l >= start && l - s >= last - 1);
		}
	}
	while (t.root) {
		struct iova_area *a = iova_tree_first(&t, 0, UINT64_MAX);

		iova_tree_remove(&t, a);
		iova_area_free(&t, a);
	}
	assert_int_equal(t.count, 0);
	iova_tree_fini(&t);
	assert_int_equal(soft_alloc_live(), before);
}

static int count(void *ctx, struct iova_area *area)
{
	uint64_t *next = ctx;

	assert_true(area->start >= *next);
	*next = area->last + 1;
	return 0;
}

static void order_and_edges(void **state)
{
	struct iova_area *a, *low, *high;
	uint64_t next = 0, s, l;
	struct iova_tree t;

	(void)state;
	iova_tree_init(&t);
	assert_null(iova_tree_first(&t, 0, UINT64_MAX));
	assert_true(iova_tree_gap(&t, 0, UINT64_MAX, &s, &l));
	assert_int_equal(s, 0);
	assert_int_equal(l, UINT64_MAX);
	high = iova_area_alloc(&t);
	high->start = UINT64_MAX - 9;
	high->last = UINT64_MAX;
	iova_tree_insert(&t, high);
	low = iova_area_alloc(&t);
	low->start = 0;
	low->last = 9;
	iova_tree_insert(&t, low);
	assert_true(iova_tree_gap(&t, 0, 1, &s, &l));
	assert_int_equal(s, 10);
	assert_int_equal(l, UINT64_MAX - 10);
	assert_false(iova_tree_gap(&t, UINT64_MAX - 9, 1, &s, &l));
	/* Ascending insertion, the worst for a tree that does not balance. */
	for (unsigned int i = 0; i < 10000; i++) {
		a = iova_area_alloc(&t);
		a->start = 100 + 10 * i;
		a->last = a->start + 9;
		iova_tree_insert(&t, a);
	}
	check_tree(&t);
	assert_true(t.root->height <= 20);
	iova_tree_walk(&t, count, &next);
	while ((a = iova_tree_first(&t, 0, UINT64_MAX))) {
		iova_tree_remove(&t, a);
		iova_area_free(&t, a);
	}
	iova_tree_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations),
		cmocka_unit_test(order_and_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
