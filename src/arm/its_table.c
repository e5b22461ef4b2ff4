/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ITS's tables in memory: flat and two-level (§5.2, GITS_BASER<n>.Indirect), and interrupt
 * translation tables.
 */
#include "arm/its_priv.h"

#include <errno.h>

static uint64_t page_bytes(uint64_t baser)
{
	static const uint64_t bytes[4] = { 4096, 16384, 65536, 65536 };

	return bytes[GITS_BASER_PAGE_SIZE(baser)];
}

static uint64_t table_base(uint64_t baser)
{
	if (page_bytes(baser) != 65536)
		return baser & GITS_BASER_ADDRESS;
	return (baser & GITS_BASER_ADDRESS_64K) | (baser & GITS_BASER_ADDRESS_HIGH) << 36;
}

/* Address of entry @id of table @n. */
static int entry_address(const struct its *its, unsigned int n, uint64_t id, uint64_t *address)
{
	uint64_t baser = its->baser[n];
	uint64_t page = page_bytes(baser);
	uint64_t bytes = GITS_BASER_SIZE(baser) * page;
	uint64_t per_page = page / ITS_ENTRY_SIZE;
	uint64_t l1;

	if (!(baser & GITS_BASER_VALID))
		return -ERANGE;
	if (!(baser & GITS_BASER_INDIRECT)) {
		if (id >= bytes / ITS_ENTRY_SIZE)
			return -ERANGE;
		*address = table_base(baser) + id * ITS_ENTRY_SIZE;
		return 0;
	}

	if (id / per_page >= bytes / sizeof(l1))
		return -ERANGE;
	if (its->config.mem.read64(its->config.mem.ctx,
				   table_base(baser) + id / per_page * sizeof(l1), &l1))
		return -EFAULT;
	if (!(l1 & ITS_L1_VALID))
		return -ENOENT;
	*address = (l1 & ITS_L1_ADDRESS & ~(page - 1)) + id % per_page * ITS_ENTRY_SIZE;
	return 0;
}

int its_table_read(const struct its *its, unsigned int n, uint64_t id, uint64_t *entry)
{
	uint64_t address;
	int err = entry_address(its, n, id, &address);

	if (err)
		return err;
	return its->config.mem.read64(its->config.mem.ctx, address, entry) ? -EFAULT : 0;
}

int its_table_write(struct its *its, unsigned int n, uint64_t id, uint64_t entry)
{
	uint64_t address;
	int err = entry_address(its, n, id, &address);

	if (err)
		return err;
	return its->config.mem.write64(its->config.mem.ctx, address, entry) ? -EFAULT : 0;
}

static uint64_t ite_address(uint64_t dte, uint32_t event)
{
	return (dte & ITS_DTE_ITT) + (uint64_t)event * ITS_ENTRY_SIZE;
}

int its_itt_read(const struct its *its, uint64_t dte, uint32_t event, uint64_t *ite)
{
	return its->config.mem.read64(its->config.mem.ctx, ite_address(dte, event), ite) ? -EFAULT
											 : 0;
}

int its_itt_write(struct its *its, uint64_t dte, uint32_t event, uint64_t ite)
{
	return its->config.mem.write64(its->config.mem.ctx, ite_address(dte, event), ite) ? -EFAULT
											  : 0;
}
