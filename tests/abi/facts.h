/* SPDX-License-Identifier: BSD-2-Clause */
/* A number, size or offset by its name. */
#ifndef TESTS_ABI_FACTS_H
#define TESTS_ABI_FACTS_H

struct fact {
	const char *name;
	unsigned long long value;
};

/* The same names in the same order, ended by NULL. */
extern const struct fact our_facts[], kernel_facts[];
/* What linux/patches add; the kernel's are none without the series. */
extern const struct fact our_native_facts[], kernel_native_facts[];

#endif
