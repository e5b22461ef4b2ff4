/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI tables of somebody's machine: whatever is in them, the answers are those of ID by ID. */
#include <stdlib.h>

#include "cli/firmware.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(const struct firmware *fw, uint32_t segment, uint16_t first, uint16_t last,
			const struct firmware_route *range)
{
	uint16_t at = first + (last - first) / 2, step = range->single ? 0 : at - first;
	struct firmware_route one;

	if (!firmware_route(fw, segment, at, &one) || one.smmu != range->smmu ||
	    one.its != range->its || one.n_itses > FIRMWARE_GROUP)
		abort();
	if (one.smmu && one.stream_id != range->stream_id + step)
		abort();
	if (one.its && one.device_id != range->device_id + step)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct firmware_route route;
	unsigned int i, ranges = 0;
	uint32_t segment;
	uint16_t last;
	struct firmware fw;
	uint32_t first;
	size_t madt;

	/* The first byte says how much of the rest is the MADT. */
	madt = size ? data[0] * (size - 1) / 256 : 0;
	if (firmware_parse(&fw, data + size - (size ? size - 1 - madt : 0),
			   size ? size - 1 - madt : 0, data + !!size, madt))
		abort();
	for (i = 0; i < 4 && firmware_segment(&fw, i, &segment); i++)
		for (first = 0; first <= UINT16_MAX && ranges < 1000; first = last + 1u, ranges++) {
			if (!firmware_range(&fw, segment, first, &last, &route) || last < first)
				abort();
			check_range(&fw, segment, first, last, &route);
		}
	firmware_free(&fw);
	return 0;
}
