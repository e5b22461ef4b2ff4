/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A passed-through function as the guest sees it. vpci.c: its life, its state and what a write of
 * config space brings about; vpci_caps.c: which capabilities it shows; vpci_bar.c: where its BARs
 * are, and accesses to them.
 */
#ifndef LIB_VPCI_H
#define LIB_VPCI_H

#include <pthread.h>
#include <doorbell/vpci.h>

#include "lib/device.h"
#include "lib/pci.h"

struct vpci_region {
	/* Fixed. */
	uint64_t length;	/* a power of two; 0: not there */
	bool io, wide, prefetchable;
	/* With the lock. */
	bool mapped;		/* the VMM was told, with this address */
	uint64_t address;
	/* Any time: accesses to it go to the device. */
	bool decodes;
};

struct db_vpci {
	/* Fixed once made. */
	struct db_device *dev;
	struct db_vpci_ops ops;
	void *ctx;
	struct db_msi *msi, *msix;
	bool own_msi, own_msix;		/* made here */
	struct db_vmsi *vmsi;		/* NULL: hidden */
	struct db_vmsix *vmsix;
	uint16_t config_size;
	uint8_t pm, exp, af, msi_cap, msix_cap;	/* offsets, 0: none or hidden */
	uint8_t msi_length;
	struct db_vpci_hidden hidden[PCI_CAPABILITIES];
	unsigned int hidden_count;
	char why_no_msi[256];
	/* Config space: bits of @value where @own has a 1, the device's else; @writable: bits of
	 * @own that the guest may change. */
	uint8_t own[PCI_SPACE], writable[PCI_SPACE];

	pthread_mutex_t lock;		/* what follows; held while db_vpci_ops are called */
	uint8_t value[PCI_SPACE];
	struct vpci_region region[DB_REGION_COUNT];
	uint16_t command;		/* as the device has it */
	bool powered;			/* D0 */
	int intx, intx_resample;	/* the VMM's eventfds, -1: none */
	bool intx_armed;
};

/* vpci_caps.c: fills hidden, own and value from the device's lists in @config. */
void vpci_caps_init(struct db_vpci *vpci, const uint8_t *config);

/* vpci_bar.c */

/* Types and sizes; the registers become the library's. */
void vpci_bars_init(struct db_vpci *vpci, const uint8_t *config, bool rom);

/* Registers as after power-on. */
void vpci_bars_reset(struct db_vpci *vpci);

/* The command register is @command now, or is about to be: tells the VMM what that changes. */
void vpci_bars_update(struct db_vpci *vpci, uint16_t command);

/* Bits of a register of the library's own. */
void vpci_own(struct db_vpci *vpci, unsigned int at, unsigned int size, uint32_t own,
	      uint32_t value, uint32_t writable);
uint32_t vpci_get(const uint8_t *bytes, unsigned int size);
void vpci_put(uint8_t *bytes, unsigned int size, uint32_t value);

#endif
