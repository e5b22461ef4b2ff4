/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * src/arm against the oracle: random scenes, accesses with everything cached that may be, changes with the invalidation that they need
 * in between, and every answer equal. ORACLE_SCENES and ORACLE_SEED choose how long and where to begin; a difference is cut
 * down and written to oracle-failure.txt (ORACLE_FAILURE names another file).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "generate.h"

#define ACCESSES 48
#define CHANGES 6

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void report(struct world *w, uint64_t seed)
{
	char why[512];
	const char *path = getenv("ORACLE_FAILURE");

	if (!path)
		path = "oracle-failure.txt";
	world_shrink(w, why, sizeof(why));
	world_write(w, path);
	print_message("# scene %#" PRIx64 " (ORACLE_SEED=%#" PRIx64 " ORACLE_SCENES=1): %s\n# shrunk to %u operations in %s\n", seed, seed, why,
		      w->log.count, path);
}

/* True if all answers were equal. */
static bool run_scene(struct world *w, uint64_t seed, unsigned long *translated)
{
	struct rng rng = { .state = seed * 0x9e3779b97f4a7c15ull + 1 };
	struct scene scene;

	scene_build(&scene, w, &rng);
	for (int change = 0; change <= CHANGES; change++) {
		for (int i = 0; i < ACCESSES; i++) {
			struct oracle_access access = scene_access(&scene);

			if (!world_access(w, &access, NULL, 0)) {
				report(w, seed);
				return false;
			}
			*translated += oracle_translate(&w->machine, &access).ok;
		}
		scene_change(&scene);
	}
	return true;
}

static void engine_equals_oracle(void **state)
{
	uint64_t seed = setting("ORACLE_SEED", 1), scenes = setting("ORACLE_SCENES", 20000);
	struct world *w = world_new();
	unsigned long translated = 0;
	clock_t start = clock();
	uint64_t i;

	(void)state;
	for (i = 0; i < scenes; i++)
		if (!run_scene(w, seed + i, &translated))
			break;
	double cases = (double)i * ACCESSES * (CHANGES + 1);

	print_message("# %.0f cases, %.0f%% of them translated, %.1f million a minute\n", cases, 100.0 * translated / (cases ? cases : 1),
		      cases * 60 / 1e6 / ((double)(clock() - start) / CLOCKS_PER_SEC));
	world_free(w);
	assert_int_equal(i, scenes);
	/* Scenes that only fault would show little. */
	assert_true(translated > cases / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_equals_oracle),
	};

	return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
