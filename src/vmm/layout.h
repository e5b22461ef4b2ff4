/* SPDX-License-Identifier: BSD-2-Clause */
/* Where things are in guest-physical space. RAM is above all that the host reserves by default. */
#ifndef VMM_LAYOUT_H
#define VMM_LAYOUT_H

#define VM_UART 0x01000000ull		/* 8 bytes: a 16550 */
#define VM_SMMU 0x09000000ull		/* DB_VSMMU_SIZE */
#define VM_DOORBELL 0x0a090000ull	/* of the vITS, where the host leaves the choice */
#define VM_GICD 0x3fff0000ull		/* 64 KiB; redistributors, 128 KiB a CPU, end here */
#define VM_GICR(cpus) (VM_GICD - 0x20000ull * (cpus))
#define VM_ECAM 0x40000000ull		/* bus 0 */
#define VM_ECAM_SIZE 0x100000ull
#define VM_PCI 0x50000000ull		/* 32-bit BARs */
#define VM_PCI_SIZE 0x30000000ull
#define VM_PCI64 0x8000000000ull	/* 64-bit prefetchable BARs */
#define VM_PCI64_SIZE 0x4000000000ull
#define VM_RAM 0x80000000ull

/* The vITS is two 64 KiB frames; the doorbell is in the second (Arm IHI 0069, 12.18). */
#define VM_ITS_SIZE 0x20000ull
#define VM_ITS_DOORBELL 0x10000ull

/* Shared peripheral interrupts, counted from SPI 0; as GSIs the same. */
enum vm_spi { SPI_UART, SPI_EVENTQ, SPI_GERROR, SPI_SYNC, SPI_INTX, SPI_COUNT = 64 };

#endif
