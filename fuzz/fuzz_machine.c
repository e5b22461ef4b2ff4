/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine description: any text is parsed, or refused with a sentence that names a line. */
#include <stdlib.h>
#include <string.h>

#include "soft/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine machine;
	char why[256] = "";
	int ret = machine_parse((const char *)data, size, &machine, why, sizeof(why));

	if (ret == 0)
		machine_free(&machine);
	else if (!why[0] || !memchr(why, 0, sizeof(why)))
		abort();
	return 0;
}
