/* SPDX-License-Identifier: BSD-2-Clause */
/* src/abi against the kernel's own headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "abi/facts.h"

#ifdef ABI_SKIP

/* The whole program is skipped: cmocka 1.1 calls a skipped test "not ok" in TAP. */
int main(void)
{
	puts("1..0 # SKIP " ABI_SKIP);
	return 0;
}

#else

static void facts_are_the_kernels(void **state)
{
	unsigned int wrong = 0, i;

	(void)state;
	for (i = 0; our_facts[i].name; i++) {
		assert_string_equal(our_facts[i].name, kernel_facts[i].name);
		if (our_facts[i].value == kernel_facts[i].value)
			continue;
		print_error("%s: ours %#llx, the kernel's %#llx\n", our_facts[i].name,
			    our_facts[i].value, kernel_facts[i].value);
		wrong++;
	}
	assert_int_equal(wrong, 0);
	assert_true(i > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(facts_are_the_kernels) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
