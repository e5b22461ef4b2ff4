/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/mem.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GMEM_PAGE 4096u

int gmem_init(struct gmem *mem, struct vmm *vmm, uint64_t size)
{
	*mem = (struct gmem){ .vmm = vmm, .base = vmm_ram_base(vmm), .pages = size / GMEM_PAGE };
	mem->used = calloc(mem->pages, 1);
	return mem->used ? 0 : -ENOMEM;
}

void gmem_fini(struct gmem *mem)
{
	free(mem->used);
	mem->used = NULL;
}

int gmem_alloc(struct gmem *mem, uint64_t size, uint64_t align, uint64_t *ipa)
{
	uint64_t need = (size + GMEM_PAGE - 1) / GMEM_PAGE;
	uint64_t at, i;

	/*
	 * RAM starts 2 MiB aligned, above every alignment asked for here: offsets may be aligned
	 * instead of addresses.
	 */
	for (at = mem->hint; at + need <= mem->pages; at++) {
		if (at * GMEM_PAGE % align)
			continue;
		for (i = 0; i < need && !mem->used[at + i]; i++)
			;
		if (i < need)
			continue;
		if (at == mem->hint)
			mem->hint = at + need;
		memset(mem->used + at, 1, need);
		*ipa = mem->base + at * GMEM_PAGE;
		memset(vmm_ram(mem->vmm, *ipa, need * GMEM_PAGE), 0, need * GMEM_PAGE);
		return 0;
	}
	return -ENOMEM;
}

void gmem_free(struct gmem *mem, uint64_t ipa, uint64_t size)
{
	uint64_t at = (ipa - mem->base) / GMEM_PAGE;

	memset(mem->used + at, 0, (size + GMEM_PAGE - 1) / GMEM_PAGE);
	if (at < mem->hint)
		mem->hint = at;
}

static int read64(void *ctx, uint64_t ipa, uint64_t *value)
{
	struct gmem *mem = ctx;
	const uint64_t *at = vmm_ram(mem->vmm, ipa, sizeof(*at));

	if (!at)
		return -EFAULT;
	*value = le64toh(__atomic_load_n(at, __ATOMIC_ACQUIRE));
	return 0;
}

static int write64(void *ctx, uint64_t ipa, uint64_t value)
{
	struct gmem *mem = ctx;
	uint64_t *at = vmm_ram(mem->vmm, ipa, sizeof(*at));

	if (!at)
		return -EFAULT;
	__atomic_store_n(at, htole64(value), __ATOMIC_RELEASE);
	return 0;
}

struct arm_mem gmem_arm(struct gmem *mem)
{
	return (struct arm_mem){ .read64 = read64, .write64 = write64, .ctx = mem };
}
