/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/firmware_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/sysfs.h"

#define TREE "/sys/firmware/devicetree/base"
#define PROPERTY_MAX 65536u
#define DEPTH_MAX 16
#define MAP_CELLS 4	/* first ID, phandle, first output, count */

/* A node that others refer to. */
struct target {
	uint32_t phandle;
	uint64_t base;		/* of its registers, for the CPU */
	bool smmu_v3, its;
};

struct firmware_tree {
	struct target *targets;
	unsigned int n;
};

/* How addresses of a node's children are written, and what becomes of them further up. */
struct bus {
	const struct bus *parent;
	unsigned int address_cells, size_cells;
	uint8_t *ranges;	/* NULL: none, the same addresses */
	size_t ranges_size;
};

struct scan {
	struct db_sys *sys;
	struct firmware *fw;
	const char *path;
	const struct bus *bus;
	unsigned int depth;
};

static uint64_t cells(const uint8_t *at, unsigned int n)
{
	uint64_t value = 0;

	for (; n; n--, at += 4)
		value = value << 32 | (uint64_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
	return value;
}

/* The whole property, malloc'ed. NULL: there is none; its size in *size. */
static uint8_t *property(struct db_sys *sys, const char *node, const char *name, size_t *size)
{
	char path[1024];
	uint8_t *buf;
	ssize_t n;
	int fd;

	*size = 0;
	if (snprintf(path, sizeof(path), "%s/%s", node, name) >= (int)sizeof(path))
		return NULL;
	fd = sys->ops->open(sys, path, O_RDONLY);
	if (fd < 0)
		return NULL;
	buf = malloc(PROPERTY_MAX);
	for (n = 1; buf && n > 0 && *size < PROPERTY_MAX; *size += n > 0 ? n : 0)
		n = sys->ops->read(sys, fd, buf + *size, PROPERTY_MAX - *size);
	sys->ops->close(sys, fd);
	if (buf && n) {		/* unreadable, or larger than any */
		free(buf);
		return NULL;
	}
	return buf;
}

static bool number(struct db_sys *sys, const char *node, const char *name, uint32_t *out)
{
	size_t size;
	uint8_t *value = property(sys, node, name, &size);
	bool good = value && size == 4;

	if (good)
		*out = cells(value, 1);
	free(value);
	return good;
}

static unsigned int cell_count(struct db_sys *sys, const char *node, const char *name,
			       unsigned int otherwise)
{
	uint32_t n;

	return number(sys, node, name, &n) && n <= 4 ? n : otherwise;
}

static bool is_compatible(const uint8_t *list, size_t size, const char *with)
{
	size_t at, len;

	for (at = 0; at < size; at += len + 1) {
		len = strnlen((const char *)list + at, size - at);
		if (len == strlen(with) && !memcmp(list + at, with, len))
			return true;
	}
	return false;
}

/* An address of a child of @bus, as the CPU sees it. */
static uint64_t translate(const struct bus *bus, uint64_t address)
{
	unsigned int width;
	size_t at;

	for (; bus && bus->parent; bus = bus->parent) {
		width = 4 * (bus->address_cells + bus->parent->address_cells + bus->size_cells);
		for (at = 0; width && at + width <= bus->ranges_size; at += width) {
			const uint8_t *range = bus->ranges + at;
			uint64_t child = cells(range, bus->address_cells);
			const uint8_t *up = range + 4 * bus->address_cells;

			if (address - child >= cells(up + 4 * bus->parent->address_cells,
						     bus->size_cells))
				continue;
			address += cells(up, bus->parent->address_cells) - child;
			break;
		}
	}
	return address;
}

static int add_target(struct scan *s, const char *node, uint32_t phandle)
{
	struct firmware_tree *tree = s->fw->tree;
	struct target *grown, target = { .phandle = phandle };
	size_t size;
	uint8_t *value;

	value = property(s->sys, node, "compatible", &size);
	if (value) {
		target.smmu_v3 = is_compatible(value, size, "arm,smmu-v3");
		target.its = is_compatible(value, size, "arm,gic-v3-its");
	}
	free(value);
	if (!target.smmu_v3 && !target.its)
		return 0;
	value = property(s->sys, node, "reg", &size);
	if (value && s->bus->address_cells && size >= 4 * s->bus->address_cells)
		target.base = translate(s->bus, cells(value, s->bus->address_cells));
	free(value);
	grown = realloc(tree->targets, (tree->n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	tree->targets = grown;
	tree->targets[tree->n++] = target;
	return target.its ? firmware_add_its(s->fw, phandle, target.base) : 0;
}

static int visit(void *arg, const char *name);

/* A node and all below it. What is a property of it, cannot be listed. */
static int scan_node(struct scan *parent, const char *node)
{
	struct bus bus = { .parent = parent->bus };
	struct scan s = {
		.sys = parent->sys, .fw = parent->fw, .path = node, .bus = &bus,
		.depth = parent->depth + 1,
	};
	uint32_t phandle;
	int err = 0;

	if (parent->bus && number(s.sys, node, "phandle", &phandle))
		err = add_target(parent, node, phandle);
	bus.address_cells = cell_count(s.sys, node, "#address-cells", 2);
	bus.size_cells = cell_count(s.sys, node, "#size-cells", 1);
	bus.ranges = property(s.sys, node, "ranges", &bus.ranges_size);
	if (!err)
		err = s.sys->ops->list(s.sys, node, visit, &s);
	free(bus.ranges);
	return err == -ENOMEM ? err : 0;
}

static int visit(void *arg, const char *name)
{
	struct scan *s = arg;
	char path[1024], test[1040];
	int fd;

	if (s->depth == DEPTH_MAX ||
	    snprintf(path, sizeof(path), "%s/%s", s->path, name) >= (int)sizeof(path))
		return 0;
	/* Every node has this; to try so is cheaper than to list each property. */
	snprintf(test, sizeof(test), "%s/name", path);
	fd = s->sys->ops->open(s->sys, test, O_RDONLY);
	if (fd < 0)
		return 0;
	s->sys->ops->close(s->sys, fd);
	return scan_node(s, path);
}

int firmware_tree_read(struct db_sys *sys, struct firmware *fw)
{
	struct scan top = { .sys = sys, .fw = fw };
	size_t size;
	uint8_t *value = property(sys, TREE, "compatible", &size);

	if (!value)
		return 0;
	free(value);
	fw->tree = calloc(1, sizeof(*fw->tree));
	return fw->tree ? scan_node(&top, TREE) : -ENOMEM;
}

void firmware_tree_free(struct firmware_tree *tree)
{
	if (tree)
		free(tree->targets);
	free(tree);
}

static const struct target *find_target(const struct firmware_tree *tree, uint32_t phandle)
{
	unsigned int i;

	for (i = 0; i < tree->n; i++)
		if (tree->targets[i].phandle == phandle)
			return &tree->targets[i];
	return NULL;
}

/*
 * @id by the map @name and its mask. A map that says nothing of it sends it nowhere. False: there
 * is no such map.
 */
static bool map_id(struct db_sys *sys, const char *node, const char *name, uint32_t id,
		   uint32_t *phandle, uint32_t *out)
{
	uint32_t mask = UINT32_MAX;
	char mask_name[32];
	uint8_t *map;
	size_t size, at;

	*phandle = 0;
	map = property(sys, node, name, &size);
	if (!map)
		return false;
	snprintf(mask_name, sizeof(mask_name), "%s-mask", name);
	number(sys, node, mask_name, &mask);
	for (at = 0; at + 4 * MAP_CELLS <= size; at += 4 * MAP_CELLS) {
		uint32_t first = cells(map + at, 1), count = cells(map + at + 12, 1);

		if (first & ~mask)
			break;	/* Linux takes nothing of what follows then */
		if ((id & mask) < first || (id & mask) - first >= count)
			continue;
		*phandle = cells(map + at + 4, 1);
		*out = cells(map + at + 8, 1) + ((id & mask) - first);
		break;
	}
	free(map);
	return true;
}

/*
 * The host bridge's node: "../../../devices/platform/40000000.pcie/pci0000:00/..." is a function
 * below a bridge of which sysfs has of_node.
 */
static bool host_bridge(struct db_sys *sys, const char *address, char *node, size_t size)
{
	char path[128], link[512], *bus;
	const char *from;

	snprintf(path, sizeof(path), SYSFS_PCI "/%s", address);
	if (sys->ops->readlink(sys, path, link, sizeof(link)) < 0)
		return false;
	bus = strstr(link, "/pci");
	from = strstr(link, "devices/");
	if (!bus || !from || bus < from)
		return false;
	*bus = 0;
	return snprintf(node, size, "/sys/%s/of_node", from) < (int)size;
}

bool firmware_tree_route(struct db_sys *sys, const struct firmware_tree *tree, const char *address,
			 uint16_t id, struct firmware_route *out)
{
	const struct target *smmu = NULL, *its = NULL;
	uint32_t phandle, mapped;
	char node[640];
	uint8_t *value;
	size_t size;

	*out = (struct firmware_route){ 0 };
	if (!host_bridge(sys, address, node, sizeof(node)))
		return false;
	if (map_id(sys, node, "iommu-map", id, &phandle, &mapped))
		smmu = find_target(tree, phandle);
	if (smmu && smmu->smmu_v3) {
		out->smmu = true;
		out->smmu_base = smmu->base;
		out->stream_id = mapped;
	}
	mapped = id;
	if (map_id(sys, node, "msi-map", id, &phandle, &mapped) ||
	    number(sys, node, "msi-parent", &phandle))
		its = find_target(tree, phandle);
	if (its && its->its) {
		out->its = true;
		out->device_id = mapped;
		out->its_ids[out->n_itses++] = its->phandle;
	}
	value = property(sys, node, "dma-coherent", &size);
	out->coherent = value != NULL;
	free(value);
	return true;
}
