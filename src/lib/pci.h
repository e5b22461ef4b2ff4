/* SPDX-License-Identifier: BSD-2-Clause */
/* The capability lists of a function (PCIe 7.5.1.1.11, 7.6.3). */
#ifndef LIB_PCI_H
#define LIB_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_SPACE 4096		/* config space, bytes */
#define PCI_CAPABILITIES 256	/* more in one function are not looked at */

struct pci_capability {
	uint16_t id, at;
	bool extended;
};

/*
 * Finds the capabilities in config space of @size bytes (256 or 4096), in the order of the lists.
 * What the device says is not trusted: a list that goes round, or out of its part of the space,
 * ends there. Returns how many.
 */
unsigned int pci_capabilities(const uint8_t *config, size_t size,
			      struct pci_capability caps[PCI_CAPABILITIES]);

#endif
