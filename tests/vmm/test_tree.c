/* SPDX-License-Identifier: BSD-2-Clause */
/* The device tree: what a kernel looks for is there, and says what it was told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>
#include <libfdt.h>

#include "vmm/layout.h"
#include "vmm/tree.h"

static const struct tree sample = {
	.command_line = "console=ttyS0 quiet",
	.ram = 512 << 20,
	.initrd = VM_RAM + (256 << 20),
	.initrd_size = 12345,
	.cpus = 4,
	.its = VM_DOORBELL - VM_ITS_DOORBELL,
};

static uint64_t number(const void *fdt, int node, const char *name, unsigned int cell)
{
	int len;
	const fdt32_t *cells = fdt_getprop(fdt, node, name, &len);

	assert_non_null(cells);
	assert_true((cell + 2) * sizeof(*cells) <= (size_t)len);
	return (uint64_t)fdt32_to_cpu(cells[cell]) << 32 | fdt32_to_cpu(cells[cell + 1]);
}

static int compatible(const void *fdt, const char *what)
{
	int node = fdt_node_offset_by_compatible(fdt, -1, what);

	assert_true(node >= 0);
	return node;
}

static void test_whole(void **state)
{
	static uint8_t fdt[0x10000];
	int node, its;

	(void)state;
	assert_int_equal(tree_make(&sample, fdt, sizeof(fdt)), 0);
	assert_int_equal(fdt_check_full(fdt, sizeof(fdt)), 0);
	node = fdt_path_offset(fdt, "/chosen");
	assert_string_equal(fdt_getprop(fdt, node, "bootargs", NULL), sample.command_line);
	assert_int_equal(number(fdt, node, "linux,initrd-end", 0), sample.initrd + 12345);
	node = fdt_path_offset(fdt, "/memory@80000000");
	assert_int_equal(number(fdt, node, "reg", 2), sample.ram);
	assert_true(fdt_path_offset(fdt, "/cpus/cpu@3") >= 0);
	assert_true(fdt_path_offset(fdt, "/cpus/cpu@4") < 0);
	its = compatible(fdt, "arm,gic-v3-its");
	assert_int_equal(number(fdt, its, "reg", 0), sample.its);
	node = compatible(fdt, "arm,gic-v3");
	/* The redistributors of all CPUs end where the distributor begins. */
	assert_int_equal(number(fdt, node, "reg", 4) + number(fdt, node, "reg", 6), VM_GICD);
	assert_int_equal(number(fdt, compatible(fdt, "arm,smmu-v3"), "reg", 0), VM_SMMU);
	assert_true(compatible(fdt, "ns16550a") >= 0);
}

/* RID, StreamID and DeviceID are the same number, and nothing is reserved for MSIs. */
static void test_pci(void **state)
{
	static uint8_t fdt[0x10000];
	int node;

	(void)state;
	assert_int_equal(tree_make(&sample, fdt, sizeof(fdt)), 0);
	node = compatible(fdt, "pci-host-ecam-generic");
	assert_int_equal(number(fdt, node, "msi-map", 0),
			 fdt_get_phandle(fdt, compatible(fdt, "arm,gic-v3-its")));
	assert_int_equal(number(fdt, node, "msi-map", 2), 0x10000);
	assert_int_equal(number(fdt, node, "iommu-map", 0),
			 fdt_get_phandle(fdt, compatible(fdt, "arm,smmu-v3")));
	assert_int_equal(number(fdt, node, "iommu-map", 2), 0x10000);
	assert_true(fdt_path_offset(fdt, "/reserved-memory") < 0);
	assert_int_equal(fdt_num_mem_rsv(fdt), 0);
}

static void test_no_initrd(void **state)
{
	static uint8_t fdt[0x10000];
	struct tree tree = sample;

	(void)state;
	tree.initrd_size = 0;
	assert_int_equal(tree_make(&tree, fdt, sizeof(fdt)), 0);
	assert_null(fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "linux,initrd-start", NULL));
}

/* Wherever the buffer ends, it is said and nothing is written behind it. */
static void test_no_room(void **state)
{
	static uint8_t fdt[0x2000];

	(void)state;
	for (size_t size = 0; size < 1024; size += 8) {
		memset(fdt, 0xa5, sizeof(fdt));
		assert_int_equal(tree_make(&sample, fdt, size), -ENOSPC);
		assert_int_equal(fdt[size], 0xa5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_pci),
		cmocka_unit_test(test_no_initrd),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
