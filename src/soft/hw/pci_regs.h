/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers of a PCI function: Linux's names, and what it has none for (PCIe 7.5, 7.7). */
#ifndef SOFT_HW_PCI_REGS_H
#define SOFT_HW_PCI_REGS_H

#include <linux/pci_regs.h>

#define PCI_CFG_BAR(n) (PCI_BASE_ADDRESS_0 + 4 * (n))

#define PCI_MSI_CAPABLE(v) (((v) >> 1) & 7)	/* log2 of vectors */
#define PCI_MSI_GRANTED(v) (((v) >> 4) & 7)

#define PCI_EXP_LENGTH 0x3c

#endif
