/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bell: a PCI test function. It copies memory by DMA and rings its interrupts on command; 1..2048
 * MSI-X vectors, or 1..32 MSI vectors.
 *
 * BAR0, little-endian registers:
 *   0x00  ID       RO  32  0x4c4c4542 "BELL"
 *   0x04  VECTORS  RO  32  number of vectors
 *   0x08  RING     WO  32  raises this vector
 *   0x0c  RINGS    WO  32  raises vectors 0 .. n-1, one each
 *   0x10  SRC      RW  64  DMA source, device address
 *   0x18  DST      RW  64  DMA destination
 *   0x20  LEN      RW  32  bytes, at most 1 MiB
 *   0x24  GO       WO  32  copies LEN bytes from SRC to DST, then raises this vector (~0: none)
 *   0x28  STATUS   RO  32  0 idle or done, 1 the read was aborted, 2 the write, 3 LEN out of range
 *   0x2c  INTX     RW  32  1: the INTx pin is asserted (if it has one)
 *   0x30  RUNG     RO  64  vectors raised since reset
 * MSI-X table in BAR2 at 0, PBA in BAR2 at 0x8000.
 */
#ifndef SOFT_ENDPOINTS_BELL_H
#define SOFT_ENDPOINTS_BELL_H

#include "soft/hw/pci.h"

#define BELL_VENDOR 0x1d1d
#define BELL_DEVICE 0xbe11

enum bell_reg {
	BELL_ID = 0x00,
	BELL_VECTORS = 0x04,
	BELL_RING = 0x08,
	BELL_RINGS = 0x0c,
	BELL_SRC = 0x10,
	BELL_DST = 0x18,
	BELL_LEN = 0x20,
	BELL_GO = 0x24,
	BELL_STATUS = 0x28,
	BELL_INTX = 0x2c,
	BELL_RUNG = 0x30,
};

struct bell_config {
	unsigned int msix_vectors;	/* 1..2048, or 0 and ... */
	unsigned int msi_vectors;	/* ... 1..32, a power of two */
	bool intx;			/* it has a pin */
	bool msi_narrow;		/* its address has 32 bits */
};

int bell_create(const struct pci_slot *slot, const struct bell_config *config,
		struct pci_dev **out);

#endif
