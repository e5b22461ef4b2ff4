/* SPDX-License-Identifier: BSD-2-Clause */
/* Bridges that stand in for a function, and device trees: as sysfs shows them, on a tree on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/firmware.h"
#include "cli/firmware_tree.h"

static char root[64];

/* The running kernel's, below @root. */
static int below_open(struct db_sys *sys, const char *path, int flags)
{
	char full[1200];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return db_sys_linux()->ops->open(sys, full, flags);
}

static ssize_t below_readlink(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	char full[1200];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return db_sys_linux()->ops->readlink(sys, full, buf, size);
}

static int below_list(struct db_sys *sys, const char *path,
		      int (*entry)(void *arg, const char *name), void *arg)
{
	char full[1200];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return db_sys_linux()->ops->list(sys, full, entry, arg);
}

static struct db_sys_ops ops;
static struct db_sys below = { &ops };

/* The path below @root, and the folders that it is in. */
static void make_place(const char *path, char full[1200])
{
	char *at;

	snprintf(full, 1200, "%s%s", root, path);
	for (at = strchr(full + strlen(root) + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = 0;
		mkdir(full, 0777);
		*at = '/';
	}
}

static void make_file(const char *path, const void *content, size_t size)
{
	char full[1200];
	FILE *file;

	make_place(path, full);
	file = fopen(full, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void make_link(const char *path, const char *target)
{
	char full[1200];

	make_place(path, full);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

#define NO_PCIE 0xff

/* A bridge or function: config space with an Express capability of this type behind another one. */
static void make_function(const char *address, const char *place, unsigned int type,
			  unsigned int secondary, size_t readable)
{
	uint8_t config[256] = { 0 };
	char path[128], target[256];

	config[0x06] = 0x10;	/* a capability list */
	config[0x19] = secondary;
	config[0x34] = 0x40;
	config[0x40] = 0x01;
	config[0x41] = type == NO_PCIE ? 0 : 0x80;
	config[0x80] = 0x10;
	config[0x82] = type << 4 | 2;
	snprintf(target, sizeof(target), "../../../devices/%s/%s", place, address);
	snprintf(path, sizeof(path), "/sys/devices/%s/%s/config", place, address);
	make_file(path, config, readable);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	make_link(path, target);
}

/* The words of a property, big-endian. */
static void make_cells(const char *path, unsigned int n, const uint32_t *cells)
{
	uint8_t bytes[256];
	unsigned int i;

	for (i = 0; i < n; i++) {
		bytes[4 * i] = cells[i] >> 24;
		bytes[4 * i + 1] = cells[i] >> 16;
		bytes[4 * i + 2] = cells[i] >> 8;
		bytes[4 * i + 3] = cells[i];
	}
	make_file(path, bytes, 4 * n);
}

#define CELLS(path, ...) \
	make_cells(path, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })

static int setup(void **state)
{
	(void)state;
	ops = *db_sys_linux()->ops;
	ops.open = below_open;
	ops.readlink = below_readlink;
	ops.list = below_list;
	strcpy(root, "/tmp/doorbell-sysfs-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

#define ROOT_PORT 4
#define TO_PCI 7
#define TO_PCIE 8
#define ENDPOINT 0

static void check_aliases(const char *address, uint16_t id, uint16_t dma, uint16_t msi)
{
	struct firmware_requester r;

	firmware_aliases(&below, address, id, &r);
	assert_int_equal(r.dma, dma);
	assert_int_equal(r.msi, msi);
}

static void bridges(void **state)
{
	const char *port = "pci0008:00/0008:00:00.0", *to_pci = "pci0008:00/0008:00:00.0/0008:01:00.0";
	const char *deep = "pci0008:00/0008:00:00.0/0008:01:00.0/0008:02:03.0";

	(void)state;
	make_function("0008:00:00.0", "pci0008:00", ROOT_PORT, 1, 256);
	make_function("0008:01:00.0", port, TO_PCI, 2, 256);
	make_function("0008:02:00.0", to_pci, NO_PCIE, 0, 256);
	make_function("0008:02:02.1", to_pci, NO_PCIE, 0, 256);
	make_function("0008:02:03.0", to_pci, NO_PCIE, 3, 256);
	make_function("0008:03:01.0", deep, NO_PCIE, 0, 256);
	check_aliases("0008:01:00.0", 0x100, 0x100, 0x100);
	/* behind the PCIe-to-PCI bridge: what is on its bus, by function 0 of that bus */
	check_aliases("0008:02:00.0", 0x200, 0x200, 0x200);
	check_aliases("0008:02:02.1", 0x211, 0x200, 0x200);
	/* and behind a conventional bridge on that bus */
	check_aliases("0008:03:01.0", 0x308, 0x200, 0x200);
	/* one from PCI to PCIe stands in by its own ID */
	make_function("0009:00:05.0", "pci0009:00", TO_PCIE, 4, 256);
	make_function("0009:04:00.0", "pci0009:00/0009:00:05.0", ENDPOINT, 0, 256);
	check_aliases("0009:04:00.0", 0x400, 0x28, 0x28);
	/* a user who is not root reads 64 bytes, which do not tell the kind of bridge */
	make_function("000a:00:00.0", "pci000a:00", TO_PCI, 4, 64);
	make_function("000a:04:00.0", "pci000a:00/000a:00:00.0", ENDPOINT, 0, 64);
	check_aliases("000a:04:00.0", 0x400, 0x400, 0x400);
	check_aliases("000b:04:00.0", 0x400, 0x400, 0x400);
}

#define BASE "/sys/firmware/devicetree/base"
#define PCIE BASE "/soc/pcie@40000000"

static void make_node(const char *path)
{
	char name[256];

	snprintf(name, sizeof(name), "%s/name", path);
	make_file(name, "node", 5);
}

static void make_tree(void)
{
	make_node(BASE);
	make_file(BASE "/compatible", "linux,dummy-virt", 17);
	CELLS(BASE "/#address-cells", 2);
	CELLS(BASE "/#size-cells", 2);
	make_node(BASE "/soc");
	CELLS(BASE "/soc/#address-cells", 1);
	CELLS(BASE "/soc/#size-cells", 1);
	CELLS(BASE "/soc/ranges", 0x1000, 0x8, 0x1000, 0x10000000);
	make_node(BASE "/soc/smmu");
	CELLS(BASE "/soc/smmu/phandle", 7);
	CELLS(BASE "/soc/smmu/reg", 0x9050000, 0x20000);
	make_file(BASE "/soc/smmu/compatible", "vendor,smmu\0arm,smmu-v3", 24);
	make_node(BASE "/intc");
	CELLS(BASE "/intc/phandle", 1);
	CELLS(BASE "/intc/#address-cells", 2);
	CELLS(BASE "/intc/#size-cells", 2);
	make_file(BASE "/intc/ranges", "", 0);
	make_node(BASE "/intc/its");
	CELLS(BASE "/intc/its/phandle", 8);
	CELLS(BASE "/intc/its/reg", 0, 0x8080000, 0, 0x20000);
	make_file(BASE "/intc/its/compatible", "arm,gic-v3-its", 15);
	make_node(PCIE);
	CELLS(PCIE "/iommu-map", 0, 7, 0x10000, 0x80, 0x80, 7, 0x20000, 0x80);
	CELLS(PCIE "/iommu-map-mask", 0xff);
	CELLS(PCIE "/msi-map", 0, 8, 0x500, 0x1000, 0x2000, 99, 0, 0x10);
	make_file(PCIE "/dma-coherent", "", 0);
	make_link("/sys/devices/platform/40000000.pcie/of_node",
		  "../../../firmware/devicetree/base/soc/pcie@40000000");
	make_function("0000:00:01.0", "platform/40000000.pcie/pci0000:00", ROOT_PORT, 1, 256);
	make_function("0000:01:00.0", "platform/40000000.pcie/pci0000:00/0000:00:01.0", ENDPOINT, 0,
		      256);
}

static void trees(void **state)
{
	struct firmware_route r;
	struct firmware fw;
	uint16_t alias;

	(void)state;
	make_tree();
	assert_int_equal(firmware_read(&below, &fw), 0);
	assert_null(fw.iort);
	assert_non_null(fw.tree);
	assert_int_equal(fw.n_itses, 1);
	assert_int_equal(firmware_its(&fw, 8)->base, 0x8080000);
	assert_true(firmware_device(&below, &fw, "0000:01:00.0", &r, &alias));
	assert_true(r.smmu && r.its && r.coherent && !r.canwbs);
	assert_int_equal(alias, 0);
	assert_true(r.smmu_base == 0x809050000ull);	/* through the bus's ranges */
	assert_int_equal(r.stream_id, 0x10000);		/* 0x100 under the mask */
	assert_int_equal(r.device_id, 0x600);
	assert_int_equal(r.its_ids[0], 8);
	assert_true(firmware_tree_route(&below, fw.tree, "0000:01:00.0", 0x1f8, &r));
	assert_int_equal(r.stream_id, 0x20078);
	assert_true(firmware_tree_route(&below, fw.tree, "0000:01:00.0", 0x2001, &r));
	assert_false(r.its);		/* a controller that is none */
	assert_true(firmware_tree_route(&below, fw.tree, "0000:01:00.0", 0x3000, &r));
	assert_false(r.its);
	assert_false(firmware_device(&below, &fw, "0000:77:00.0", &r, &alias));
	/* an ID beyond the mask: Linux takes nothing of it, nor of what follows */
	CELLS(PCIE "/iommu-map", 0x100, 7, 0, 0x100, 0, 7, 0, 0x100);
	assert_true(firmware_tree_route(&below, fw.tree, "0000:01:00.0", 0x10, &r));
	assert_false(r.smmu);
	firmware_free(&fw);
	/* without a map: the parent, by the requester's own ID */
	CELLS(PCIE "/msi-parent", 8);
	make_link(PCIE "/msi-map", "nowhere");
	assert_int_equal(firmware_read(&below, &fw), 0);
	assert_true(firmware_device(&below, &fw, "0000:01:00.0", &r, &alias));
	assert_true(r.its);
	assert_int_equal(r.device_id, 0x100);
	firmware_free(&fw);
}

/* Properties cut off, and nodes without what belongs to them: something comes of it, or nothing. */
static void damaged_trees(void **state)
{
	static const char *const paths[] = {
		PCIE "/iommu-map", PCIE "/msi-map", PCIE "/iommu-map-mask", BASE "/soc/ranges",
		BASE "/soc/smmu/reg", BASE "/soc/#address-cells", BASE "/intc/its/phandle",
	};
	struct firmware_route r;
	struct firmware fw;
	uint16_t alias;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		make_tree();
		for (len = 0; len < 40; len += 3) {
			make_file(paths[i], "\xff\xff\xff\xff\0\0\0\x07\0\0\0\x08\0\0\0\x10"
				  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
				  "\0\0\0\0\0\0\0\0", len);
			assert_int_equal(firmware_read(&below, &fw), 0);
			firmware_device(&below, &fw, "0000:01:00.0", &r, &alias);
			firmware_free(&fw);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bridges, setup, teardown),
		cmocka_unit_test_setup_teardown(trees, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_trees, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
