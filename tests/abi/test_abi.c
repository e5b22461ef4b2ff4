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

static unsigned int compare(const struct fact *ours, const struct fact *kernels)
{
	unsigned int wrong = 0, i;

	for (i = 0; ours[i].name; i++) {
		assert_string_equal(ours[i].name, kernels[i].name);
		if (ours[i].value == kernels[i].value)
			continue;
		print_error("%s: ours %#llx, the kernel's %#llx\n", ours[i].name, ours[i].value,
			    kernels[i].value);
		wrong++;
	}
	assert_int_equal(wrong, 0);
	return i;
}

static void facts_are_the_kernels(void **state)
{
	(void)state;
	assert_true(compare(our_facts, kernel_facts) > 300);
}

static void native_is_the_series(void **state)
{
	(void)state;
	assert_true(compare(our_native_facts, kernel_native_facts) > 10);
}

int main(void)
{
	const struct CMUnitTest stock[] = { cmocka_unit_test(facts_are_the_kernels) };
	const struct CMUnitTest with_series[] = {
		cmocka_unit_test(facts_are_the_kernels),
		cmocka_unit_test(native_is_the_series),
	};

	if (!kernel_native_facts[0].name)
		return cmocka_run_group_tests(stock, NULL, NULL);
	return cmocka_run_group_tests(with_series, NULL, NULL);
}

#endif
