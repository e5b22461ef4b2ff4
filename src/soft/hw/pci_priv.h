/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of a PCI function: pci.c (life, BARs, reset), pci_config.c, pci_msi.c (MSI and MSI-X),
 * pci_dma.c.
 */
#ifndef SOFT_HW_PCI_PRIV_H
#define SOFT_HW_PCI_PRIV_H

#include <pthread.h>

#include "soft/hw/pci.h"
#include "soft/hw/pci_regs.h"
#include "soft/hw/rcu.h"

#define PCI_STANDARD_CONFIG 256	/* beyond it there is an empty list of extended capabilities */

/* What config space means for requests, worked out at each write to it. */
#define PCI_MODE_DMA (1u << 0)		/* bus mastering, and D0 */
#define PCI_MODE_MSI (1u << 1)
#define PCI_MODE_MSIX (1u << 2)
#define PCI_MODE_MSIX_MASKED (1u << 3)	/* enabled, but with the function mask */

/* MSI-X table entry as it lies in the BAR, little-endian (PCIe 6.0 §7.7.2.6 ff.) */
struct msix_entry {
	uint64_t address;
	uint32_t data;
	uint32_t control;
};
#define MSIX_ENTRY_MASKED 1u

struct pci_dev {
	struct pci_slot slot;
	struct pci_shape shape;
	const struct pci_model *model;
	void *state;

	uint32_t mode;			/* atomic */

	/* MSI-X: the BAR's memory. Entries and pending bits are accessed atomically. */
	int memfd;
	size_t bar_size;
	char *bar_memory;
	struct msix_entry *msix;
	uint64_t *pba;

	/* MSI, from the capability at each write to it: atomic */
	uint64_t msi_address;
	uint32_t msi_data, msi_count, msi_mask, msi_pending;

	bool intx;			/* atomic */
	pthread_mutex_t intx_lock;	/* what follows */
	void (*intx_changed)(void *ctx);
	void *intx_ctx;

	/* Covers config space. Models and messages are called without it. */
	pthread_mutex_t config_lock;
	uint8_t config[PCI_STANDARD_CONFIG], writable[PCI_STANDARD_CONFIG];
	uint8_t msi_cap, msix_cap, pm_cap, exp_cap;	/* offsets, 0: none */
};

void pci_config_init(struct pci_dev *dev);
void pci_config_reset(struct pci_dev *dev);

/* Under config_lock: what the MSI capability says now. */
void pci_msi_load(struct pci_dev *dev);

/* All vectors unmasked or enabled meanwhile send what they had pending. */
void pci_resend(struct pci_dev *dev);
void pci_msix_resend_vector(struct pci_dev *dev, unsigned int vector);
void pci_msi_reset(struct pci_dev *dev);

#endif
