/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMMU commands: any 16 bytes are a command. Each is executed or refused, in bounded time, and afterwards an access through a TLB that
 * was warm gives what the oracle gives: a command may forget more than it has to, never change a result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world *w;
	struct rng rng = { .state = 7 + size % 16 };
	struct scene scene;
	char why[512];

	if (!w)
		w = world_new();
	scene_build(&scene, w, &rng);
	for (; size >= 16; data += 16, size -= 16) {
		struct oracle_access access = scene_access(&scene);
		uint64_t cmd[2];

		memcpy(cmd, data, sizeof(cmd));
		world_command(w, cmd[0], cmd[1]);
		if (!world_access(w, &access, why, sizeof(why))) {
			fprintf(stderr, "%s\n", why);
			abort();
		}
	}
	return 0;
}
