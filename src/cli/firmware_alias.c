/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * By which requester ID a function's DMA and messages arrive: its own, or that of a bridge on the
 * way (PCI Express to PCI/PCI-X Bridge Specification 1.0, 2.3). What Linux's
 * pci_for_each_dma_alias() and pci_msi_domain_get_msi_rid() make of it.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "cli/firmware.h"
#include "cli/firmware_tree.h"
#include "cli/sysfs.h"

#define CONFIG_SIZE 256
#define CAPABILITIES_MAX 48	/* more do not fit */

static unsigned int pcie_type(const uint8_t *config, ssize_t size, bool *known)
{
	unsigned int at = config[PCI_CAPABILITY_LIST] & ~3u, i;

	*known = true;
	if (!(config[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return UINT32_MAX;
	for (i = 0; at && i < CAPABILITIES_MAX; i++) {
		if (at + PCI_EXP_FLAGS >= (size_t)size) {
			*known = false;
			return UINT32_MAX;
		}
		if (config[at] == PCI_CAP_ID_EXP)
			return (config[at + PCI_EXP_FLAGS] & PCI_EXP_FLAGS_TYPE) >> 4;
		at = config[at + 1] & ~3u;
	}
	return UINT32_MAX;
}

/* The requester ID that the bridge @address puts in place of those below it. False: none. */
static bool bridge_alias(struct db_sys *sys, const char *address, uint16_t own, uint16_t *out)
{
	uint8_t config[CONFIG_SIZE] = { 0 };
	char path[128];
	ssize_t n = 0;
	bool known;
	int fd;

	if (snprintf(path, sizeof(path), SYSFS_PCI "/%s/config", address) >= (int)sizeof(path))
		return false;
	fd = sys->ops->open(sys, path, O_RDONLY);
	if (fd < 0)
		return false;
	n = sys->ops->read(sys, fd, config, sizeof(config));
	sys->ops->close(sys, fd);
	if (n < PCI_STD_HEADER_SIZEOF)
		return false;
	switch (pcie_type(config, n, &known)) {
	case PCI_EXP_TYPE_PCI_BRIDGE:
		*out = config[PCI_SECONDARY_BUS] << 8;
		return true;
	case PCI_EXP_TYPE_PCIE_BRIDGE:
	case UINT32_MAX:	/* a conventional one */
		*out = own;
		return known;
	default:
		return false;
	}
}

void firmware_aliases(struct db_sys *sys, const char *address, uint16_t id,
		      struct firmware_requester *out)
{
	char path[256], link[512], *part, *at;
	unsigned int segment;
	uint16_t bridge, alias;

	*out = (struct firmware_requester){ id, id };
	snprintf(path, sizeof(path), SYSFS_PCI "/%s", address);
	if (sys->ops->readlink(sys, path, link, sizeof(link)) < 0)
		return;
	/* ".../pci0000:00/0000:00:01.0/0000:01:00.0": from the function up to the root. */
	at = strrchr(link, '/');
	while (at) {
		*at = 0;
		at = strrchr(link, '/');
		part = at ? at + 1 : link;
		if (!firmware_parse_address(part, &segment, &bridge))
			break;
		if (!bridge_alias(sys, part, bridge, &alias))
			continue;
		out->dma = alias;
		/* Of messages an alias counts that is not of the bus they come from. */
		if (bridge >> 8 != out->msi >> 8 || alias >> 8 != out->msi >> 8)
			out->msi = alias;
	}
}

static bool route_one(struct db_sys *sys, const struct firmware *fw, const char *address,
		      uint32_t segment, uint16_t id, struct firmware_route *out)
{
	if (fw->tree)
		return firmware_tree_route(sys, fw->tree, address, id, out);
	return firmware_route(fw, segment, id, out);
}

bool firmware_device(struct db_sys *sys, const struct firmware *fw, const char *address,
		     struct firmware_route *out, uint16_t *alias)
{
	struct firmware_requester requester;
	struct firmware_route messages;
	unsigned int segment;
	uint16_t id;

	*alias = 0;
	if ((!fw->iort && !fw->tree) || !firmware_parse_address(address, &segment, &id))
		return false;
	firmware_aliases(sys, address, id, &requester);
	if (!route_one(sys, fw, address, segment, requester.dma, out))
		return false;
	if (requester.dma != id)
		*alias = requester.dma;
	if (requester.msi == requester.dma ||
	    !route_one(sys, fw, address, segment, requester.msi, &messages))
		return true;
	out->its = messages.its;
	out->device_id = messages.device_id;
	out->n_itses = messages.n_itses;
	out->more_itses = messages.more_itses;
	memcpy(out->its_ids, messages.its_ids, sizeof(out->its_ids));
	return true;
}
