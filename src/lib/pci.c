/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/pci.h"

#include <linux/pci_regs.h>

#include "lib/bytes.h"

/* True the first time that it is asked for the dword at @at. */
static bool fresh(uint64_t seen[PCI_SPACE / 4 / 64], unsigned int at)
{
	uint64_t bit = 1ull << at / 4 % 64, *word = &seen[at / 4 / 64];
	bool is_fresh = !(*word & bit);

	*word |= bit;
	return is_fresh;
}

unsigned int pci_capabilities(const uint8_t *config, size_t size,
			      struct pci_capability caps[PCI_CAPABILITIES])
{
	uint64_t seen[PCI_SPACE / 4 / 64] = { 0 };
	unsigned int at = 0, count = 0;
	uint32_t header;

	if (get16(config + PCI_STATUS) & PCI_STATUS_CAP_LIST)
		at = config[PCI_CAPABILITY_LIST] & ~3u;
	for (; at >= PCI_STD_HEADER_SIZEOF && count < PCI_CAPABILITIES && fresh(seen, at);
	     at = config[at + PCI_CAP_LIST_NEXT] & ~3u)
		caps[count++] = (struct pci_capability){ .id = config[at], .at = at };
	for (at = PCI_CFG_SPACE_SIZE; at >= PCI_CFG_SPACE_SIZE && at + 4 <= size &&
	     count < PCI_CAPABILITIES && fresh(seen, at); at = PCI_EXT_CAP_NEXT(header)) {
		header = get32(config + at);
		if (!header || header == ~0u)
			break;
		if (PCI_EXT_CAP_ID(header))
			caps[count++] = (struct pci_capability){ .id = PCI_EXT_CAP_ID(header),
								  .at = at, .extended = true };
	}
	return count;
}
