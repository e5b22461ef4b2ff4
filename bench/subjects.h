/* SPDX-License-Identifier: BSD-2-Clause */
/* What main.c measures: each file of benches gives its own. */
#ifndef BENCH_SUBJECTS_H
#define BENCH_SUBJECTS_H

#include <jansson.h>
#include <stdbool.h>

#include "bench.h"

/* All benches of a subject, ended by one without a name. */
extern const struct bench bench_arm[], bench_msi[], bench_vmsix[], bench_memory[], bench_space[],
	bench_fleet[], bench_vsmmu[], bench_vpci[];

/* --instructions: *@count translations of @what in counted_translations(). 0 or -errno. */
int bench_instructions(const char *what, unsigned int *count);

/* --growth: appends curves to the array @report; @names: only of these axes, if any. 0 or -errno. */
int bench_growth(json_t *report, char **names, int n_names);
bool bench_growth_knows(const char *axis);

#endif
