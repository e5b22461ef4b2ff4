/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Config space registers of a type 0 function (PCIe 6.0 §7.5, §7.7): offsets and bits that the
 * model or the vfio driver needs.
 */
#ifndef SOFT_HW_PCI_REGS_H
#define SOFT_HW_PCI_REGS_H

#define PCI_CFG_VENDOR 0x00
#define PCI_CFG_DEVICE 0x02
#define PCI_CFG_COMMAND 0x04
#define PCI_COMMAND_MEMORY_SPACE 0x0002
#define PCI_COMMAND_BUS_MASTER 0x0004
#define PCI_COMMAND_PARITY 0x0040
#define PCI_COMMAND_SERR_ENABLE 0x0100
#define PCI_COMMAND_INTX_OFF 0x0400
#define PCI_CFG_STATUS 0x06
#define PCI_STATUS_CAPABILITIES 0x0010
#define PCI_CFG_CLASS 0x08		/* [7:0] revision */
#define PCI_CFG_CACHE_LINE 0x0c
#define PCI_CFG_BAR(n) (0x10 + 4 * (n))
#define PCI_BAR_TYPE_64 0x4
#define PCI_CFG_SUBSYSTEM_VENDOR 0x2c
#define PCI_CFG_SUBSYSTEM 0x2e
#define PCI_CFG_CAPABILITIES 0x34
#define PCI_CFG_INTERRUPT_LINE 0x3c

#define PCI_CAPABILITY_PM 0x01
#define PCI_PM_PMC 2
#define PCI_PM_PMCSR 4
#define PCI_PMCSR_STATE 0x0003		/* 0: D0 */
#define PCI_PMCSR_NO_SOFT_RESET 0x0008

#define PCI_CAPABILITY_MSI 0x05
#define PCI_MSI_CONTROL 2
#define PCI_MSI_ENABLE 0x0001
#define PCI_MSI_CAPABLE(v) (((v) >> 1) & 7)	/* log2 of vectors */
#define PCI_MSI_GRANTED(v) (((v) >> 4) & 7)
#define PCI_MSI_GRANTED_BITS 0x0070
#define PCI_MSI_64BIT 0x0080
#define PCI_MSI_MASKABLE 0x0100
#define PCI_MSI_ADDRESS 4
#define PCI_MSI_ADDRESS_HIGH 8		/* 64-bit: what follows is 4 further on */
#define PCI_MSI_DATA_32 8
#define PCI_MSI_MASK_32 0x0c
#define PCI_MSI_PENDING_32 0x10

#define PCI_CAPABILITY_EXP 0x10
#define PCI_EXP_FLAGS 0x02
#define PCI_EXP_DEVCAP 0x04
#define PCI_EXP_DEVCAP_RBER 0x00008000u	/* role-based error reporting */
#define PCI_EXP_DEVCAP_FLR_CAPABLE 0x10000000u
#define PCI_EXP_DEVCTL 0x08
#define PCI_EXP_DEVCTL_FLR 0x8000
#define PCI_EXP_LNKCAP 0x0c
#define PCI_EXP_LNKSTA 0x12
#define PCI_EXP_LENGTH 0x3c

#define PCI_CAPABILITY_MSIX 0x11
#define PCI_MSIX_CONTROL 2
#define PCI_MSIX_ENABLE 0x8000
#define PCI_MSIX_FUNCTION_MASK 0x4000
#define PCI_MSIX_TABLE 4		/* offset, with the BAR in [2:0] */
#define PCI_MSIX_PBA 8
#define PCI_MSIX_ENTRY_BYTES 16

#endif
