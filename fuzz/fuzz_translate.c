/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stream tables, STEs, CDs and tables of both stages: the input is the sequence of choices that the oracle's generator makes, so
 * that a mutated input is another configuration, and the engine must agree with the oracle on it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "generate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world *w;
	struct rng rng = { .state = 1, .data = data, .size = size };
	struct scene scene;
	char why[512];

	if (!w)
		w = world_new();
	scene_build(&scene, w, &rng);
	for (int i = 0; i < 24; i++) {
		struct oracle_access access = scene_access(&scene);

		if (!world_access(w, &access, why, sizeof(why))) {
			fprintf(stderr, "%s\n", why);
			abort();
		}
		if (i % 8 == 7)
			scene_change(&scene);
	}
	return 0;
}
