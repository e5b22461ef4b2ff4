/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device tree says of the way from a PCI device to its SMMU and ITS: iommu-map, msi-map and
 * their masks (Devicetree bindings, pci-iommu.txt and pci-msi.txt). As careful as with tables.
 */
#ifndef CLI_FIRMWARE_TREE_H
#define CLI_FIRMWARE_TREE_H

#include "cli/firmware.h"

/*
 * Reads the host's tree, and adds its ITSes to @fw, whose ids are their phandles. fw->tree stays
 * NULL where there is none. -ENOMEM.
 */
int firmware_tree_read(struct db_sys *sys, struct firmware *fw);
void firmware_tree_free(struct firmware_tree *tree);

/* Of requester @id behind the host bridge of @address. False: the tree has no word on it. */
bool firmware_tree_route(struct db_sys *sys, const struct firmware_tree *tree, const char *address,
			 uint16_t id, struct firmware_route *out);

#endif
