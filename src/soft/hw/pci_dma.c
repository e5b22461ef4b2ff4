/* SPDX-License-Identifier: BSD-2-Clause */
/* DMA of a function: each page is translated and accessed inside one RCU section. */
#include <errno.h>
#include <string.h>

#include "soft/hw/pci_priv.h"

/* The smallest page, and the most that one section copies (a grace period should not wait long). */
#define DMA_PAGE 4096u
#define DMA_CHUNK 65536u

/* Bytes from @addr that are sure to have the translation of @addr. */
static size_t chunk_of(uint64_t addr, uint64_t page_size, size_t len)
{
	uint64_t left;

	if (page_size < DMA_PAGE)
		page_size = DMA_PAGE;
	if (page_size > DMA_CHUNK)
		page_size = DMA_CHUNK;
	left = page_size - (addr & (page_size - 1));
	return left < len ? left : len;
}

static int access_chunk(struct pci_dev *dev, enum smmu_access access, uint64_t addr, char *buf,
			size_t len, size_t *done)
{
	const struct pci_slot *slot = &dev->slot;
	struct smmu_txn txn = { .sid = slot->sid, .access = access, .addr = addr };
	struct smmu_result res = { .pa = addr, .page_size = DMA_PAGE };
	int err = 0;

	if (slot->smmu)
		err = smmu_dev_translate(slot->smmu, &txn, &res);
	if (err == -ENXIO) {
		/*
		 * Terminated without an abort: reads give zeroes, writes are ignored (IHI 0070
		 * §5.4, CD.A = 0).
		 */
		*done = chunk_of(addr, DMA_PAGE, len);
		if (access == SMMU_READ)
			memset(buf, 0, *done);
		return 0;
	}
	if (err)
		return -EFAULT;
	*done = chunk_of(addr, res.page_size, len);
	err = access == SMMU_READ ? bus_read(slot->bus, res.pa, buf, *done) :
				    bus_write(slot->bus, res.pa, buf, *done, slot->device_id);
	return err ? -EFAULT : 0;
}

static int dma(struct pci_dev *dev, enum smmu_access access, uint64_t addr, char *buf, size_t len)
{
	while (len) {
		size_t done = 0;
		int err = -EIO;

		hw_read_lock();
		/*
		 * Inside the section, so that a reset's grace period waits for what was allowed
		 * before.
		 */
		if (__atomic_load_n(&dev->mode, __ATOMIC_ACQUIRE) & PCI_MODE_DMA)
			err = access_chunk(dev, access, addr, buf, len, &done);
		hw_read_unlock();
		if (err)
			return err;
		addr += done;
		buf += done;
		len -= done;
	}
	return 0;
}

int pci_dma_read(struct pci_dev *dev, uint64_t addr, void *buf, size_t len)
{
	return dma(dev, SMMU_READ, addr, buf, len);
}

int pci_dma_write(struct pci_dev *dev, uint64_t addr, const void *buf, size_t len)
{
	/* Not written through: dma() only reads from it then. */
	return dma(dev, SMMU_WRITE, addr, (char *)(uintptr_t)buf, len);
}
