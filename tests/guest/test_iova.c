/* SPDX-License-Identifier: BSD-2-Clause */
/* gIOVAs: from the top, below 4 GiB first, aligned to their size; never two at one address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "guest/iova.h"

#define ANY UINT64_MAX

static void from_the_top_below_4g(void **state)
{
	struct iova_space space;
	uint64_t a, b, c;

	(void)state;
	iova_init(&space, 12, 48);
	assert_int_equal(iova_alloc(&space, 4096, ANY, &a), 0);
	assert_int_equal(a, 0xfffff000);
	assert_int_equal(iova_alloc(&space, 1, ANY, &b), 0);
	assert_int_equal(b, 0xffffe000);
	assert_int_equal(iova_free(&space, a), 0);
	assert_int_equal(iova_alloc(&space, 4096, ANY, &c), 0);
	assert_int_equal(c, a);
	iova_fini(&space);
}

static void aligned_to_size(void **state)
{
	struct iova_space space;
	uint64_t a, b;

	(void)state;
	iova_init(&space, 14, 48);
	assert_int_equal(iova_alloc(&space, 16384, ANY, &a), 0);
	assert_int_equal(iova_alloc(&space, 3 * 16384, ANY, &b), 0);
	assert_int_equal(b % 65536, 0);
	assert_true(b + 3 * 16384 <= a);
	iova_fini(&space);
}

static void above_4g_when_below_is_full(void **state)
{
	struct iova_space space;
	uint64_t a;

	(void)state;
	iova_init(&space, 16, 48);
	assert_int_equal(iova_reserve(&space, 0, 1ull << 32), 0);
	assert_int_equal(iova_alloc(&space, 65536, ANY, &a), 0);
	assert_int_equal(a, (1ull << 48) - 65536);
	assert_int_equal(iova_alloc(&space, 65536, 0xffffffff, &a), -ENOSPC);
	iova_fini(&space);
}

static void limit_of_the_device(void **state)
{
	struct iova_space space;
	uint64_t a;

	(void)state;
	iova_init(&space, 12, 48);
	assert_int_equal(iova_alloc(&space, 4096, (1ull << 28) - 1, &a), 0);
	assert_int_equal(a, (1ull << 28) - 4096);
	iova_fini(&space);
}

static void reserved_is_taken(void **state)
{
	struct iova_space space;
	uint64_t a;

	(void)state;
	iova_init(&space, 12, 32);
	assert_int_equal(iova_reserve(&space, 0xffff0000, 0x10000), 0);
	assert_int_equal(iova_reserve(&space, 0xfffff000, 0x1000), -EADDRINUSE);
	assert_int_equal(iova_reserve(&space, 0xfffe0000, 0x11000), -EADDRINUSE);
	assert_int_equal(iova_reserve(&space, 0x800, 0x1000), -EINVAL);
	assert_int_equal(iova_reserve(&space, 0x100000000, 0x1000), -EINVAL);
	assert_int_equal(iova_alloc(&space, 4096, ANY, &a), 0);
	assert_int_equal(a, 0xfffef000);
	assert_int_equal(iova_free(&space, 0xffff1000), -ENOENT);
	assert_int_equal(iova_alloc(&space, 0, ANY, &a), -EINVAL);
	iova_fini(&space);
}

static void all_but_zero_can_be_used(void **state)
{
	struct iova_space space;
	unsigned int i;
	uint64_t a;

	(void)state;
	iova_init(&space, 12, 20);
	for (i = 255; i > 0; i--) {
		assert_int_equal(iova_alloc(&space, 4096, ANY, &a), 0);
		assert_int_equal(a, i * 4096);
	}
	assert_int_equal(iova_alloc(&space, 4096, ANY, &a), -ENOSPC);
	iova_fini(&space);
}

/* Against a map of pages, thousands of random steps. */
static void random_against_a_map(void **state)
{
	enum { PAGES = 1024, LIVE = 200 };
	struct {
		uint64_t start, pages;
	} live[LIVE];
	uint8_t map[PAGES] = { 0 };
	unsigned int n = 0, step, i;
	struct iova_space space;
	uint64_t a;

	(void)state;
	srand(1);
	iova_init(&space, 12, 22);
	for (step = 0; step < 20000; step++) {
		if (n < LIVE && rand() % 2) {
			uint64_t pages = 1 + rand() % 9;

			if (iova_alloc(&space, pages * 4096, ANY, &a))
				continue;
			assert_true(a && a / 4096 + pages <= PAGES);
			for (i = 0; i < pages; i++)
				assert_int_equal(map[a / 4096 + i]++, 0);
			live[n].start = a;
			live[n++].pages = pages;
		} else if (n) {
			unsigned int victim = rand() % n;

			assert_int_equal(iova_free(&space, live[victim].start), 0);
			for (i = 0; i < live[victim].pages; i++)
				map[live[victim].start / 4096 + i] = 0;
			live[victim] = live[--n];
		}
		assert_int_equal(space.n, n);
	}
	iova_fini(&space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_the_top_below_4g),
		cmocka_unit_test(aligned_to_size),
		cmocka_unit_test(above_4g_when_below_is_full),
		cmocka_unit_test(limit_of_the_device),
		cmocka_unit_test(reserved_is_taken),
		cmocka_unit_test(all_but_zero_can_be_used),
		cmocka_unit_test(random_against_a_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
