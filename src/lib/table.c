/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/table.h"

#include <errno.h>
#include <sys/mman.h>

#include "sys/error.h"

int table_map(struct table *table, struct db_device *dev, uint64_t page)
{
	const struct device_msix *msix = &dev->msix;
	const struct device_region *bar = &dev->bar[msix->table_bar];
	struct db_sys *sys = dev->host->sys;
	uint64_t start, end;
	void *map;
	int ret;

	*table = (struct table){ .dev = dev };
	if (!msix->count || !bar->mappable || !bar->msix_mappable)
		return -EOPNOTSUPP;
	/* Only the table's pages: what else lies in the BAR is the VMM's to map. */
	start = msix->table_offset & ~(page - 1);
	end = ((uint64_t)msix->table_offset + msix->count * MSIX_ENTRY + page - 1) & ~(page - 1);
	if ((uint64_t)msix->table_offset + msix->count * MSIX_ENTRY > bar->size)
		return -EOPNOTSUPP;
	ret = sys->ops->mmap(sys, end - start, PROT_READ | PROT_WRITE, dev->fd, bar->offset + start,
			     &map);
	if (ret < 0)
		return ret;
	table->map = map;
	table->len = end - start;
	table->entries = (volatile uint8_t *)map + (msix->table_offset - start);
	return 0;
}

void table_unmap(struct table *table)
{
	struct db_sys *sys;

	if (!table->map)
		return;
	sys = table->dev->host->sys;
	sys->ops->munmap(sys, table->map, table->len);
	table->map = NULL;
}

int table_begin(struct table *table, bool *was_off)
{
	return device_memory_begin(table->dev, was_off);
}

void table_end(struct table *table, bool was_off)
{
	device_memory_end(table->dev, was_off);
}

static uint32_t get(struct table *table, unsigned int index, unsigned int field)
{
	struct db_sys *sys = table->dev->host->sys;

	return sys->ops->mmio_read(sys, table->entries + index * MSIX_ENTRY + field, 4);
}

static void put(struct table *table, unsigned int index, unsigned int field, uint32_t value)
{
	struct db_sys *sys = table->dev->host->sys;

	sys->ops->mmio_write(sys, table->entries + index * MSIX_ENTRY + field, 4, value);
}

uint64_t table_address(struct table *table, unsigned int index)
{
	return get(table, index, MSIX_ENTRY_ADDRESS) |
	       (uint64_t)get(table, index, MSIX_ENTRY_ADDRESS_HIGH) << 32;
}

uint32_t table_data(struct table *table, unsigned int index)
{
	return get(table, index, MSIX_ENTRY_DATA);
}

void table_set_mask(struct table *table, unsigned int index, bool masked)
{
	uint32_t control = get(table, index, MSIX_ENTRY_CONTROL) & ~MSIX_ENTRY_MASKED;

	/* The other bits are not ours: steering tags of TPH, or reserved and to be kept (7.7.2.8). */
	put(table, index, MSIX_ENTRY_CONTROL, control | (masked ? MSIX_ENTRY_MASKED : 0));
	/* Writes are posted: the read brings back that the device has seen it. */
	if (masked)
		get(table, index, MSIX_ENTRY_CONTROL);
}

void table_set_address(struct table *table, unsigned int index, uint64_t address, bool masked)
{
	table_set_mask(table, index, true);
	put(table, index, MSIX_ENTRY_ADDRESS, address);
	put(table, index, MSIX_ENTRY_ADDRESS_HIGH, address >> 32);
	if (!masked)
		table_set_mask(table, index, false);
}
