/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSI-X table of the device itself (PCIe 7.7.2.5 ff.), through a mapping of its BAR. */
#ifndef LIB_TABLE_H
#define LIB_TABLE_H

#include "lib/device.h"

#define MSIX_ENTRY 16u
#define MSIX_ENTRY_ADDRESS 0
#define MSIX_ENTRY_ADDRESS_HIGH 4
#define MSIX_ENTRY_DATA 8
#define MSIX_ENTRY_CONTROL 12
#define MSIX_ENTRY_MASKED 1u

struct table {
	struct db_device *dev;
	void *map;			/* NULL: not mapped */
	size_t len;
	volatile uint8_t *entries;
};

/* @page: the host's page size. -EOPNOTSUPP if the BAR cannot be mapped where the table is;
 * table->map stays NULL then. */
int table_map(struct table *table, struct db_device *dev, uint64_t page);
void table_unmap(struct table *table);

/*
 * The calls below are made between table_begin() and table_end(), which keep config space and
 * resets of the device away.
 */
int table_begin(struct table *table, bool *was_off);
void table_end(struct table *table, bool was_off);

uint64_t table_address(struct table *table, unsigned int index);
uint32_t table_data(struct table *table, unsigned int index);

/* When it returns the device sends no more messages of a vector that was masked; one that came in
 * between is pending in it. */
void table_set_mask(struct table *table, unsigned int index, bool masked);

/*
 * Exchanges the address of an entry that may be in use. The entry is masked while it is half old
 * and half new, so that the device keeps a message back instead of losing it; @masked says how it
 * is to be left.
 */
void table_set_address(struct table *table, unsigned int index, uint64_t address, bool masked);

#endif
