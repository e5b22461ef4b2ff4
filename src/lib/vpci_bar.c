/* SPDX-License-Identifier: BSD-2-Clause */
/* BARs and the expansion ROM: where the guest put them, and accesses to them (PCIe 7.5.1.2). */
#include "lib/vpci.h"

#include <errno.h>
#include <linux/pci_regs.h>

#include "lib/bytes.h"
#include "lib/sized.h"
#include "sys/error.h"

static unsigned int register_at(unsigned int index)
{
	return index == DB_REGION_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * index;
}

/* --- Registers --- */

static uint64_t power_of_two(uint64_t length)
{
	return length & (length - 1) ? 1ull << (64 - __builtin_clzll(length)) : length;
}

static void init_bar(struct db_vpci *vpci, unsigned int index, uint32_t low)
{
	struct vpci_region *region = &vpci->region[index];
	unsigned int at = register_at(index);
	uint64_t length = power_of_two(vpci->dev->bar[index].size);
	uint32_t flags;

	vpci_own(vpci, at, 4, ~0u, 0, 0);
	if (!length)
		return;
	region->length = length;
	region->io = low & PCI_BASE_ADDRESS_SPACE_IO;
	flags = low & (region->io ? ~(uint32_t)PCI_BASE_ADDRESS_IO_MASK :
				    ~(uint32_t)PCI_BASE_ADDRESS_MEM_MASK);
	region->wide = !region->io && index + 1 < DB_REGION_BARS &&
		       (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
	region->prefetchable = !region->io && (low & PCI_BASE_ADDRESS_MEM_PREFETCH);
	vpci_own(vpci, at, 4, ~0u, flags, (uint32_t)~(length - 1) & ~flags);
	if (region->wide)
		vpci_own(vpci, at + 4, 4, ~0u, 0, ~(length - 1) >> 32);
}

void vpci_bars_init(struct db_vpci *vpci, const uint8_t *config, bool rom)
{
	struct vpci_region *region = &vpci->region[DB_REGION_ROM];
	unsigned int i;

	for (i = 0; i < DB_REGION_BARS; i++) {
		init_bar(vpci, i, get32(config + register_at(i)));
		i += vpci->region[i].wide;
	}
	vpci_own(vpci, PCI_ROM_ADDRESS, 4, ~0u, 0, 0);
	if (!rom || !vpci->dev->rom.size || vpci->dev->rom.size > 1 << 24)
		return;
	region->length = power_of_two(vpci->dev->rom.size);
	if (region->length < 2048)
		region->length = 2048;
	vpci_own(vpci, PCI_ROM_ADDRESS, 4, ~0u, 0,
		 (uint32_t)~(region->length - 1) | PCI_ROM_ADDRESS_ENABLE);
}

void vpci_bars_reset(struct db_vpci *vpci)
{
	unsigned int i, at;

	for (i = 0; i < DB_REGION_COUNT; i++) {
		at = register_at(i);
		vpci_put(vpci->value + at, 4, vpci_get(vpci->value + at, 4) &
					      ~vpci_get(vpci->writable + at, 4));
	}
}

static uint64_t read_address(const struct db_vpci *vpci, unsigned int index)
{
	const uint8_t *at = vpci->value + register_at(index);
	uint64_t address = get32(at);

	if (vpci->region[index].wide)
		address |= (uint64_t)get32(at + 4) << 32;
	return address & ~(vpci->region[index].length - 1);
}

/* --- What the VMM is told --- */

static bool enabled(const struct db_vpci *vpci, unsigned int index, uint16_t command)
{
	const struct vpci_region *region = &vpci->region[index];

	if (!region->length || !vpci->powered)
		return false;
	if (index == DB_REGION_ROM &&
	    !(get32(vpci->value + PCI_ROM_ADDRESS) & PCI_ROM_ADDRESS_ENABLE))
		return false;
	return command & (region->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
}

/* Not where it was never put, nor where it is while it is sized. */
static bool placed(const struct vpci_region *region, uint64_t address)
{
	uint64_t last = address + region->length - 1;

	return address && last != (region->wide ? UINT64_MAX : UINT32_MAX);
}

static void unmap(struct db_vpci *vpci, unsigned int index)
{
	struct vpci_region *region = &vpci->region[index];

	if (!region->mapped)
		return;
	region->mapped = false;
	if (vpci->ops.unmap)
		vpci->ops.unmap(vpci->ctx, index, region->address, region->length, region->io);
}

static void map(struct db_vpci *vpci, unsigned int index, uint64_t address)
{
	struct vpci_region *region = &vpci->region[index];

	region->mapped = true;
	region->address = address;
	if (vpci->ops.map)
		vpci->ops.map(vpci->ctx, index, address, region->length, region->io);
}

void vpci_bars_update(struct db_vpci *vpci, uint16_t command)
{
	struct vpci_region *region;
	uint64_t address;
	unsigned int i;
	bool on;

	/* First what goes: a BAR may move to where another was. */
	for (i = 0; i < DB_REGION_COUNT; i++) {
		region = &vpci->region[i];
		on = enabled(vpci, i, command);
		address = read_address(vpci, i);
		__atomic_store_n(&region->decodes, on, __ATOMIC_RELEASE);
		if (!on || !placed(region, address) || address != region->address)
			unmap(vpci, i);
	}
	for (i = 0; i < DB_REGION_COUNT; i++) {
		region = &vpci->region[i];
		address = read_address(vpci, i);
		if (region->decodes && !region->mapped && placed(region, address))
			map(vpci, i, address);
	}
}

int db_vpci_bar(struct db_vpci *vpci, unsigned int index, struct db_vpci_bar *bar)
{
	struct db_vpci_bar own = { 0 };
	const struct vpci_region *region;
	int ret;

	ret = sized_check(bar, "db_vpci_bar");
	if (ret)
		return ret;
	if (index >= DB_REGION_COUNT) {
		db_error_set(-EINVAL, "there is no region %u", index);
		return -EINVAL;
	}
	pthread_mutex_lock(&vpci->lock);
	region = &vpci->region[index];
	if (region->length)
		own = (struct db_vpci_bar){
			.address = read_address(vpci, index),
			.length = region->length,
			.mapped = region->mapped,
			.io = region->io,
			.wide = region->wide,
			.prefetchable = region->prefetchable,
		};
	pthread_mutex_unlock(&vpci->lock);
	sized_give(bar, &own, sizeof(own));
	return 0;
}

int db_vpci_find(struct db_vpci *vpci, uint64_t address, bool io, unsigned int *index,
		 uint64_t *offset)
{
	const struct vpci_region *region;
	int ret = -ENOENT;
	unsigned int i;

	pthread_mutex_lock(&vpci->lock);
	for (i = 0; i < DB_REGION_COUNT && ret; i++) {
		region = &vpci->region[i];
		if (!region->mapped || region->io != io ||
		    address - region->address >= region->length)
			continue;
		*index = i;
		*offset = address - region->address;
		ret = 0;
	}
	pthread_mutex_unlock(&vpci->lock);
	if (ret)
		db_error_set(ret, "no BAR of %s is at 0x%llx", vpci->dev->address,
			     (unsigned long long)address);
	return ret;
}

/* --- Accesses --- */

/* Within a naturally aligned 8 bytes, and not beyond the end. */
static bool access_valid(const struct db_vpci *vpci, unsigned int index, uint64_t offset,
			 unsigned int size)
{
	return index < DB_REGION_COUNT && (size == 1 || size == 2 || size == 4 || size == 8) &&
	       offset % 8 + size <= 8 && offset < vpci->region[index].length &&
	       size <= vpci->region[index].length - offset &&
	       __atomic_load_n(&vpci->region[index].decodes, __ATOMIC_ACQUIRE);
}

static bool in_table(const struct db_vpci *vpci, unsigned int index, uint64_t offset)
{
	const struct device_msix *msix = &vpci->dev->msix;

	return vpci->vmsix && index == msix->table_bar &&
	       offset - msix->table_offset < msix->count * (uint64_t)PCI_MSIX_ENTRY_SIZE;
}

static bool in_pba(const struct db_vpci *vpci, unsigned int index, uint64_t offset)
{
	const struct device_msix *msix = &vpci->dev->msix;

	return vpci->vmsix && index == msix->pba_bar &&
	       offset - msix->pba_offset < (msix->count + 63ull) / 64 * 8;
}

static uint64_t device_read(struct db_vpci *vpci, unsigned int index, uint64_t offset,
			    unsigned int size)
{
	struct db_device *dev = vpci->dev;
	uint8_t bytes[8] = { 0 };
	ssize_t ret;

	ret = device_region_read(dev, index == DB_REGION_ROM ? &dev->rom : &dev->bar[index], bytes,
				 size, offset);
	return ret == (ssize_t)size ? get64(bytes) : UINT64_MAX;
}

uint64_t db_vpci_bar_read(struct db_vpci *vpci, unsigned int index, uint64_t offset,
			  unsigned int size)
{
	const struct device_msix *msix = &vpci->dev->msix;
	uint64_t value = UINT64_MAX;

	if (!access_valid(vpci, index, offset, size))
		;
	else if (in_table(vpci, index, offset))
		value = db_vmsix_table_read(vpci->vmsix, offset - msix->table_offset, size);
	else if (in_pba(vpci, index, offset))
		value = db_vmsix_pba_read(vpci->vmsix, offset - msix->pba_offset, size);
	else
		value = device_read(vpci, index, offset, size);
	return size < 8 ? value & ((1ull << 8 * size) - 1) : value;
}

int db_vpci_bar_write(struct db_vpci *vpci, unsigned int index, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	uint8_t bytes[8];
	ssize_t ret;

	if (!access_valid(vpci, index, offset, size) || index == DB_REGION_ROM ||
	    in_pba(vpci, index, offset))
		return 0;
	if (in_table(vpci, index, offset))
		return db_vmsix_table_write(vpci->vmsix, offset - vpci->dev->msix.table_offset,
					    size, value);
	put64(bytes, value);
	ret = db_device_bar_write(vpci->dev, index, bytes, size, offset);
	return ret < 0 ? ret : 0;
}
