/* SPDX-License-Identifier: BSD-2-Clause */
#include "preload/mmio.h"

#include <string.h>

static unsigned int piece(uintptr_t addr, unsigned int left)
{
	unsigned int size = 8;

	while (size > left || addr % size)
		size /= 2;
	return size;
}

void mmio_load_bytes(const struct mmio *mmio, uintptr_t addr, void *buf, unsigned int size)
{
	uint8_t *to = buf;
	unsigned int n;

	for (; size; size -= n, addr += n, to += n) {
		uint64_t value;

		n = piece(addr, size);
		value = mmio->load(mmio->ctx, addr, n);
		for (unsigned int i = 0; i < n; i++)
			to[i] = (uint8_t)(value >> (8 * i));
	}
}

void mmio_store_bytes(const struct mmio *mmio, uintptr_t addr, const void *buf, unsigned int size)
{
	const uint8_t *from = buf;
	unsigned int n;

	for (; size; size -= n, addr += n, from += n) {
		uint64_t value = 0;

		n = piece(addr, size);
		for (unsigned int i = 0; i < n; i++)
			value |= (uint64_t)from[i] << (8 * i);
		mmio->store(mmio->ctx, addr, n, value);
	}
}
