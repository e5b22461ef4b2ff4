/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few registers of PCI config space that the VMM and the guest look at (PCI Express Base
 * Specification, chapter 7).
 */
#ifndef GUEST_PCI_REGS_H
#define GUEST_PCI_REGS_H

#define PCI_VENDOR 0x00
#define PCI_DEVICE 0x02
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY (1u << 1)
#define PCI_COMMAND_MASTER (1u << 2)
#define PCI_COMMAND_INTX_OFF (1u << 10)
#define PCI_STATUS 0x06
#define PCI_STATUS_CAPS (1u << 4)
#define PCI_CLASS_REVISION 0x08
#define PCI_CAP_POINTER 0x34

#define PCI_CAP_MSI 0x05
#define PCI_CAP_MSIX 0x11

/* MSI capability (§7.7.1), offsets from its start. */
#define PCI_MSI_CONTROL 0x02
#define PCI_MSI_CONTROL_ENABLE (1u << 0)
#define PCI_MSI_CONTROL_CAPABLE_SHIFT 1
#define PCI_MSI_CONTROL_ENABLED_SHIFT 4
#define PCI_MSI_CONTROL_COUNT_MASK 7u
#define PCI_MSI_CONTROL_64BIT (1u << 7)
#define PCI_MSI_CONTROL_MASKABLE (1u << 8)
#define PCI_MSI_ADDRESS 0x04

/* MSI-X capability (§7.7.2) and table entry. */
#define PCI_MSIX_CONTROL 0x02
#define PCI_MSIX_CONTROL_SIZE 0x7ffu
#define PCI_MSIX_CONTROL_MASKALL (1u << 14)
#define PCI_MSIX_CONTROL_ENABLE (1u << 15)
#define PCI_MSIX_TABLE 0x04
#define PCI_MSIX_PBA 0x08
#define PCI_MSIX_BIR 7u
#define PCI_MSIX_LENGTH 12
#define PCI_MSIX_ENTRY 16
#define PCI_MSIX_ENTRY_ADDRESS 0
#define PCI_MSIX_ENTRY_ADDRESS_HIGH 4
#define PCI_MSIX_ENTRY_DATA 8
#define PCI_MSIX_ENTRY_CONTROL 12
#define PCI_MSIX_ENTRY_MASKED 1u

#endif
