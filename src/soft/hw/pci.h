/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCIe functions: config space, BARs, MSI and MSI-X in the function's own registers, DMA through
 * its SMMU, and the way its requests are
 * numbered: requester ID -> StreamID and DeviceID (IORT / iommu-map, msi-map).
 *
 * What here is hardware: the MSI-X table and the MSI capability hold what the kernel (or who maps
 * the BAR) wrote, and a message goes where they say. Virtualisation of config space is the vfio
 * driver's work (soft/uapi).
 */
#ifndef SOFT_HW_PCI_H
#define SOFT_HW_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "soft/hw/gic.h"
#include "soft/hw/smmu_dev.h"

#define PCI_BARS 6
#define PCI_CONFIG_SIZE 4096
#define PCI_MSIX_MAX 2048

struct pci_dev;

/* A device model. All calls with the function's lock not held; a model has its own lock. */
struct pci_model {
	const char *name;
	/*
	 * BAR access outside the MSI-X table and PBA, 1..8 bytes aligned. Reads of nothing give 0.
	 * Either may be NULL.
	 */
	uint64_t (*bar_read)(void *state, unsigned int bar, uint64_t off, unsigned int size);
	void (*bar_write)(void *state, unsigned int bar, uint64_t off, unsigned int size,
			  uint64_t value);
	/*
	 * Function-level reset: state as after power-on; DMA and interrupts have ceased when it
	 * returns.
	 */
	void (*reset)(void *state);
	void (*destroy)(void *state);
};

/* What a model wants to look like. */
struct pci_shape {
	uint16_t vendor, device;
	uint32_t class_code;		/* 24 bits */
	/* Powers of two >= 4 KiB, 0: none; 64-bit BARs take an even index and leave the next 0 */
	uint64_t bar_size[PCI_BARS];
	unsigned int msix_vectors;	/* 0: no MSI-X; table and PBA in msix_bar */
	unsigned int msix_bar;
	uint32_t msix_table_off, msix_pba_off;	/* page-aligned, so that the table may be mapped */
	/* 0: no MSI; a power of two <= 32. Granted fewer, vectors share (vector modulo granted) */
	unsigned int msi_vectors;
	bool msi_64bit, msi_maskable;
	bool intx;			/* a pin, INTA */
};

struct pci_slot {
	char address[16];		/* "0000:01:00.0" */
	uint16_t requester_id;
	struct smmu_dev *smmu;		/* NULL: requests go to the bus untranslated */
	uint32_t sid;
	struct its_dev *its;
	uint32_t device_id;
	struct bus *bus;
};

/*
 * Creates the function; takes over @state (destroyed with the function, also when this fails). A
 * BAR with an even index and nothing in the next is a 64-bit one. -EINVAL: the shape; -ENOMEM,
 * -EMFILE.
 */
int pci_dev_create(const struct pci_slot *slot, const struct pci_shape *shape,
		   const struct pci_model *model, void *state, struct pci_dev **out);
void pci_dev_destroy(struct pci_dev *dev);
const struct pci_slot *pci_dev_slot(const struct pci_dev *dev);
const struct pci_shape *pci_dev_shape(const struct pci_dev *dev);
const struct pci_model *pci_dev_model(const struct pci_dev *dev);

/* --- Used by models --- */

/*
 * DMA at device addresses, split at page borders as needed. 0, or -EFAULT if any part was aborted
 * (the rest may have been done). Needs Bus Master Enable: without it -EIO and nothing is sent.
 */
int pci_dma_read(struct pci_dev *dev, uint64_t addr, void *buf, size_t len);
int pci_dma_write(struct pci_dev *dev, uint64_t addr, const void *buf, size_t len);

/*
 * Raises MSI-X vector (or MSI message) @vector: sent, made pending while masked, or dropped while
 * MSI(-X) or bus mastering is off.
 */
void pci_raise(struct pci_dev *dev, unsigned int vector);

/* The same for vectors 0 to @count - 1, one after the other. */
void pci_raise_first(struct pci_dev *dev, unsigned int count);

/* The INTx pin: level-triggered. */
void pci_set_intx(struct pci_dev *dev, bool asserted);

/* --- Used by the kernel side --- */

/*
 * @changed is called after each pci_set_intx(), by whoever made that; NULL: nobody is. When it
 * returns the former is not running any more: not to be called from there.
 */
void pci_intx_hook(struct pci_dev *dev, void (*changed)(void *ctx), void *ctx);
bool pci_intx_asserted(const struct pci_dev *dev);

/*
 * (Model choice: BARs answer by number whatever Memory Space Enable and the BAR registers say; that
 * is for the kernel side to check.)
 */

/*
 * When a write that masks a vector, disables messages or ends bus mastering returns, what was sent
 * before has arrived. (As on a real bus a read back pushes it.) Such a write waits for a grace
 * period: not inside an RCU section.
 */

/*
 * Raw config space; effects of writes (BME, MSI(-X) enable and mask) are immediate. 1, 2, 4 bytes,
 * aligned; beyond the end ~0.
 */
uint32_t pci_config_read(struct pci_dev *dev, unsigned int off, unsigned int size);
void pci_config_write(struct pci_dev *dev, unsigned int off, unsigned int size, uint32_t value);
unsigned int pci_find_capability(struct pci_dev *dev, uint8_t id);	/* offset or 0 */

/* Any BAR access, MSI-X table and PBA included. */
uint64_t pci_bar_read(struct pci_dev *dev, unsigned int bar, uint64_t off, unsigned int size);
void pci_bar_write(struct pci_dev *dev, unsigned int bar, uint64_t off, unsigned int size,
		   uint64_t value);

/*
 * The BAR as memory for mmap: @*memfd (the function's own) holds the MSI-X table and PBA as plain
 * memory that the function reads when it raises a vector; registers elsewhere in it are not live,
 * they are reached through pci_bar_read/write. A store to the table needs no call, but
 * pci_msix_rescan() makes a vector unmasked by such a store send what it had pending. -EOPNOTSUPP:
 * a BAR without a table.
 */
int pci_bar_memfd(struct pci_dev *dev, unsigned int bar, int *memfd);
void pci_msix_rescan(struct pci_dev *dev);

/*
 * Function-level reset: config space, MSI state and the model. When it returns nothing of before is
 * under way. Not inside an RCU section.
 */
void pci_dev_reset(struct pci_dev *dev);

/*
 * Threads that perform accesses register with RCU on first use; this forgets the calling thread.
 * Optional at thread end.
 */
void pci_thread_exit(void);

#endif
