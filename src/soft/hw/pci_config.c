/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space of a function: layout, write masks, and what a write changes at once. */
#include <endian.h>
#include <string.h>

#include "soft/hw/pci_priv.h"

#define PM_CAP 0x40
#define MSI_CAP 0x50
#define MSIX_CAP 0x70
#define EXP_CAP 0x80

/* --- Layout --- */

static void put(uint8_t *space, unsigned int off, unsigned int size, uint32_t value)
{
	uint32_t le = htole32(value);

	memcpy(space + off, &le, size);
}

static uint32_t get(const uint8_t *space, unsigned int off, unsigned int size)
{
	uint32_t le = 0;

	memcpy(&le, space + off, size);
	return le32toh(le);
}

static unsigned int log2_of(unsigned int n)
{
	return n ? 31 - __builtin_clz(n) : 0;
}

static void init_header(struct pci_dev *dev)
{
	const struct pci_shape *shape = &dev->shape;

	put(dev->config, PCI_VENDOR_ID, 2, shape->vendor);
	put(dev->config, PCI_DEVICE_ID, 2, shape->device);
	put(dev->config, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	put(dev->config, PCI_CLASS_REVISION, 4, shape->class_code << 8 | 1);
	put(dev->config, PCI_SUBSYSTEM_VENDOR_ID, 2, shape->vendor);
	put(dev->config, PCI_SUBSYSTEM_ID, 2, shape->device);

	put(dev->config, PCI_INTERRUPT_PIN, 1, shape->intx);
	put(dev->writable, PCI_COMMAND, 2,
	    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
		    PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	put(dev->writable, PCI_CACHE_LINE_SIZE, 1, 0xff);
	put(dev->writable, PCI_INTERRUPT_LINE, 1, 0xff);
}

static void init_bars(struct pci_dev *dev)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		uint64_t size = dev->shape.bar_size[i];
		bool wide = i % 2 == 0 && !dev->shape.bar_size[i + 1];

		if (!size)
			continue;
		put(dev->writable, PCI_CFG_BAR(i), 4, ~(size - 1));
		if (wide) {
			put(dev->config, PCI_CFG_BAR(i), 4, PCI_BASE_ADDRESS_MEM_TYPE_64);
			put(dev->writable, PCI_CFG_BAR(i + 1), 4, ~(size - 1) >> 32);
		}
	}
}

/*
 * Puts a capability at the end of the list, whose last pointer is at @link; returns where the next
 * one's pointer goes.
 */
static unsigned int add_capability(struct pci_dev *dev, unsigned int link, unsigned int at,
				   uint8_t id)
{
	put(dev->config, link, 1, at);
	put(dev->config, at, 1, id);
	return at + 1;
}

static void init_pm(struct pci_dev *dev)
{
	dev->pm_cap = PM_CAP;
	put(dev->config, PM_CAP + PCI_PM_PMC, 2, 3);	/* version of the specification */
	put(dev->config, PM_CAP + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET);
	put(dev->writable, PM_CAP + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK);
}

static void init_msi(struct pci_dev *dev)
{
	const struct pci_shape *shape = &dev->shape;
	unsigned int wide = shape->msi_64bit ? 4 : 0;

	dev->msi_cap = MSI_CAP;
	put(dev->config, MSI_CAP + PCI_MSI_FLAGS, 2,
	    log2_of(shape->msi_vectors) << 1 | (shape->msi_64bit ? PCI_MSI_FLAGS_64BIT : 0) |
		    (shape->msi_maskable ? PCI_MSI_FLAGS_MASKBIT : 0));
	put(dev->writable, MSI_CAP + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	put(dev->writable, MSI_CAP + PCI_MSI_ADDRESS_LO, 4, ~3u);
	if (wide)
		put(dev->writable, MSI_CAP + PCI_MSI_ADDRESS_HI, 4, ~0u);
	put(dev->writable, MSI_CAP + PCI_MSI_DATA_32 + wide, 2, 0xffff);
	if (shape->msi_maskable)
		put(dev->writable, MSI_CAP + PCI_MSI_MASK_32 + wide, 4,
		    shape->msi_vectors == 32 ? ~0u : (1u << shape->msi_vectors) - 1);
}

static void init_msix(struct pci_dev *dev)
{
	const struct pci_shape *shape = &dev->shape;

	dev->msix_cap = MSIX_CAP;
	put(dev->config, MSIX_CAP + PCI_MSIX_FLAGS, 2, shape->msix_vectors - 1);
	put(dev->config, MSIX_CAP + PCI_MSIX_TABLE, 4, shape->msix_table_off | shape->msix_bar);
	put(dev->config, MSIX_CAP + PCI_MSIX_PBA, 4, shape->msix_pba_off | shape->msix_bar);
	put(dev->writable, MSIX_CAP + PCI_MSIX_FLAGS, 2,
	    PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

static void init_express(struct pci_dev *dev)
{
	dev->exp_cap = EXP_CAP;
	put(dev->config, EXP_CAP + PCI_EXP_FLAGS, 2, 2);	/* version 2, endpoint */
	put(dev->config, EXP_CAP + PCI_EXP_DEVCAP, 4,
	    PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR | 1);
	put(dev->writable, EXP_CAP + PCI_EXP_DEVCTL, 2, 0x7fff);
	/* x4, 16 GT/s; and so it runs. */
	put(dev->config, EXP_CAP + PCI_EXP_LNKCAP, 4, 4 << 4 | 4);
	put(dev->config, EXP_CAP + PCI_EXP_LNKSTA, 2, 4 << 4 | 4);
}

void pci_config_init(struct pci_dev *dev)
{
	unsigned int link = PCI_CAPABILITY_LIST;

	init_header(dev);
	init_bars(dev);
	link = add_capability(dev, link, PM_CAP, PCI_CAP_ID_PM);
	init_pm(dev);
	if (dev->shape.msi_vectors) {
		link = add_capability(dev, link, MSI_CAP, PCI_CAP_ID_MSI);
		init_msi(dev);
	}
	if (dev->shape.msix_vectors) {
		link = add_capability(dev, link, MSIX_CAP, PCI_CAP_ID_MSIX);
		init_msix(dev);
	}
	add_capability(dev, link, EXP_CAP, PCI_CAP_ID_EXP);
	init_express(dev);
}

/* --- Effects --- */

static uint32_t mode_of(const struct pci_dev *dev)
{
	uint32_t mode = 0, control;

	if (get(dev->config, PCI_COMMAND, 2) & PCI_COMMAND_MASTER &&
	    !(get(dev->config, dev->pm_cap + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK))
		mode |= PCI_MODE_DMA;
	if (dev->msi_cap &&
	    get(dev->config, dev->msi_cap + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE)
		mode |= PCI_MODE_MSI;
	control = dev->msix_cap ? get(dev->config, dev->msix_cap + PCI_MSIX_FLAGS, 2) : 0;
	if (control & PCI_MSIX_FLAGS_ENABLE)
		mode |= PCI_MODE_MSIX |
			(control & PCI_MSIX_FLAGS_MASKALL ? PCI_MODE_MSIX_MASKED : 0);
	return mode;
}

/* Is there a request that @old allowed and @now does not? */
static bool stops_requests(uint32_t old, uint32_t now)
{
	return (old ^ PCI_MODE_MSIX_MASKED) & ~(now ^ PCI_MODE_MSIX_MASKED);
}

void pci_msi_load(struct pci_dev *dev)
{
	unsigned int cap = dev->msi_cap;
	unsigned int wide = dev->shape.msi_64bit ? 4 : 0;
	uint32_t control, granted;
	uint64_t address;

	if (!cap)
		return;
	control = get(dev->config, cap + PCI_MSI_FLAGS, 2);
	granted = PCI_MSI_GRANTED(control);
	if (granted > PCI_MSI_CAPABLE(control))
		granted = PCI_MSI_CAPABLE(control);
	address = get(dev->config, cap + PCI_MSI_ADDRESS_LO, 4);
	if (wide)
		address |= (uint64_t)get(dev->config, cap + PCI_MSI_ADDRESS_HI, 4) << 32;

	__atomic_store_n(&dev->msi_address, address, __ATOMIC_RELEASE);
	__atomic_store_n(&dev->msi_data, get(dev->config, cap + PCI_MSI_DATA_32 + wide, 2),
			 __ATOMIC_RELEASE);
	__atomic_store_n(&dev->msi_count, 1u << granted, __ATOMIC_RELEASE);
	if (dev->shape.msi_maskable)
		__atomic_store_n(&dev->msi_mask, get(dev->config, cap + PCI_MSI_MASK_32 + wide, 4),
				 __ATOMIC_SEQ_CST);
}

void pci_config_reset(struct pci_dev *dev)
{
	pthread_mutex_lock(&dev->config_lock);
	for (unsigned int i = 0; i < PCI_STANDARD_CONFIG; i++)
		dev->config[i] &= ~dev->writable[i];
	pci_msi_load(dev);
	__atomic_store_n(&dev->mode, mode_of(dev), __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&dev->config_lock);
}

/* --- Access --- */

static bool is_access(unsigned int off, unsigned int size)
{
	return (size == 1 || size == 2 || size == 4) && off % size == 0 && off < PCI_CONFIG_SIZE;
}

/* The pending bits of MSI are live, all else is as stored. */
static void refresh_pending(struct pci_dev *dev)
{
	if (dev->msi_cap && dev->shape.msi_maskable)
		put(dev->config, dev->msi_cap + PCI_MSI_PENDING_32 + (dev->shape.msi_64bit ? 4 : 0),
		    4, __atomic_load_n(&dev->msi_pending, __ATOMIC_SEQ_CST));
}

uint32_t pci_config_read(struct pci_dev *dev, unsigned int off, unsigned int size)
{
	uint32_t value;

	if (!is_access(off, size))
		return ~0u;
	if (off >= PCI_STANDARD_CONFIG)
		return 0;
	pthread_mutex_lock(&dev->config_lock);
	refresh_pending(dev);
	value = get(dev->config, off, size);
	pthread_mutex_unlock(&dev->config_lock);
	return value;
}

static bool starts_flr(const struct pci_dev *dev, unsigned int off, unsigned int size,
		       uint32_t value)
{
	unsigned int high = dev->exp_cap + PCI_EXP_DEVCTL + 1;	/* the byte that has the bit */

	if (off > high || high - off >= size)
		return false;
	return value >> 8 * (high - off) & PCI_EXP_DEVCTL_BCR_FLR >> 8;
}

void pci_config_write(struct pci_dev *dev, unsigned int off, unsigned int size, uint32_t value)
{
	uint32_t writable, old, mode, msi_mask;
	bool fewer;

	if (!is_access(off, size) || off >= PCI_STANDARD_CONFIG)
		return;
	if (starts_flr(dev, off, size, value)) {
		pci_dev_reset(dev);
		return;
	}

	pthread_mutex_lock(&dev->config_lock);
	writable = get(dev->writable, off, size);
	old = get(dev->config, off, size);
	put(dev->config, off, size, (old & ~writable) | (value & writable));
	mode = dev->mode;
	msi_mask = dev->msi_mask;
	pci_msi_load(dev);
	__atomic_store_n(&dev->mode, mode_of(dev), __ATOMIC_SEQ_CST);
	fewer = stops_requests(mode, dev->mode) || dev->msi_mask & ~msi_mask;
	pthread_mutex_unlock(&dev->config_lock);
	if (fewer)
		hw_synchronize();
	pci_resend(dev);
}

unsigned int pci_find_capability(struct pci_dev *dev, uint8_t id)
{
	unsigned int at = pci_config_read(dev, PCI_CAPABILITY_LIST, 1);

	while (at && pci_config_read(dev, at, 1) != id)
		at = pci_config_read(dev, at + 1, 1);
	return at;
}
