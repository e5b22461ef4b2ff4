/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bindings: Linux, Documentation/devicetree/bindings/: arm/psci.yaml, timer/arm,arch_timer.yaml,
 * interrupt-controller/arm,gic-v3.yaml, serial/8250.yaml, iommu/arm,smmu-v3.yaml,
 * pci/host-generic-pci.yaml. RID, StreamID and DeviceID of a function are the same number.
 */
#include "vmm/tree.h"

#include <errno.h>
#include <stdio.h>
#include <libfdt.h>
#include <doorbell/vsmmu.h>

#include "vmm/layout.h"

enum phandle { GIC = 1, ITS, SMMU };

/* The cells of an interrupt: SPI or PPI, its number, how it is signalled. */
enum { SPI, PPI };
enum { EDGE = 1, LEVEL = 4 };

#define HI(x) (uint32_t)((uint64_t)(x) >> 32)
#define LO(x) (uint32_t)(x)
#define REG(base, size) HI(base), LO(base), HI(size), LO(size)

/* libfdt's first error is kept, so that a tree is written without a check after each line. */
struct writer {
	void *fdt;
	int err;
};

static void keep(struct writer *w, int err)
{
	if (!w->err)
		w->err = err;
}

static void begin(struct writer *w, const char *name)
{
	keep(w, fdt_begin_node(w->fdt, name));
}

static void begin_at(struct writer *w, const char *name, uint64_t address)
{
	char full[48];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)address);
	begin(w, full);
}

static void end(struct writer *w)
{
	keep(w, fdt_end_node(w->fdt));
}

static void text(struct writer *w, const char *name, const char *value)
{
	keep(w, fdt_property_string(w->fdt, name, value));
}

/* Several strings, each with its 0. */
static void bytes(struct writer *w, const char *name, const char *value, size_t size)
{
	keep(w, fdt_property(w->fdt, name, value, size));
}

static void flag(struct writer *w, const char *name)
{
	keep(w, fdt_property(w->fdt, name, NULL, 0));
}

static void put_cells(struct writer *w, const char *name, const uint32_t *cells, size_t count)
{
	uint32_t big[32];

	for (size_t i = 0; i < count; i++)
		big[i] = cpu_to_fdt32(cells[i]);
	keep(w, fdt_property(w->fdt, name, big, count * sizeof(*big)));
}

#define cells(w, name, ...)                                                                        \
	put_cells(w, name, (const uint32_t[]){ __VA_ARGS__ },                                      \
		  sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void chosen(struct writer *w, const struct tree *tree)
{
	begin(w, "chosen");
	text(w, "bootargs", tree->command_line);
	text(w, "stdout-path", "/serial@1000000");
	if (tree->initrd_size) {
		keep(w, fdt_property_u64(w->fdt, "linux,initrd-start", tree->initrd));
		keep(w, fdt_property_u64(w->fdt, "linux,initrd-end",
					 tree->initrd + tree->initrd_size));
	}
	end(w);
	begin_at(w, "memory", VM_RAM);
	text(w, "device_type", "memory");
	cells(w, "reg", REG(VM_RAM, tree->ram));
	end(w);
}

static void processors(struct writer *w, const struct tree *tree)
{
	static const char psci[] = "arm,psci-1.0\0arm,psci-0.2";

	begin(w, "cpus");
	cells(w, "#address-cells", 1);
	cells(w, "#size-cells", 0);
	for (unsigned int i = 0; i < tree->cpus; i++) {
		begin_at(w, "cpu", i);
		text(w, "device_type", "cpu");
		text(w, "compatible", "arm,armv8");
		text(w, "enable-method", "psci");
		cells(w, "reg", i);
		end(w);
	}
	end(w);
	begin(w, "psci");
	bytes(w, "compatible", psci, sizeof(psci));
	text(w, "method", "hvc");
	end(w);
	begin(w, "timer");
	text(w, "compatible", "arm,armv8-timer");
	cells(w, "interrupts", PPI, 13, LEVEL, PPI, 14, LEVEL, PPI, 11, LEVEL, PPI, 10, LEVEL);
	flag(w, "always-on");
	end(w);
}

static void interrupts(struct writer *w, const struct tree *tree)
{
	begin_at(w, "interrupt-controller", VM_GICD);
	text(w, "compatible", "arm,gic-v3");
	cells(w, "#interrupt-cells", 3);
	flag(w, "interrupt-controller");
	cells(w, "reg", REG(VM_GICD, 0x10000), REG(VM_GICR(tree->cpus), 0x20000ull * tree->cpus));
	cells(w, "#address-cells", 2);
	cells(w, "#size-cells", 2);
	flag(w, "ranges");
	cells(w, "phandle", GIC);
	begin_at(w, "msi-controller", tree->its);
	text(w, "compatible", "arm,gic-v3-its");
	flag(w, "msi-controller");
	cells(w, "#msi-cells", 1);
	cells(w, "reg", REG(tree->its, VM_ITS_SIZE));
	cells(w, "phandle", ITS);
	end(w);
	end(w);
}

static void serial(struct writer *w)
{
	begin_at(w, "serial", VM_UART);
	text(w, "compatible", "ns16550a");
	cells(w, "reg", REG(VM_UART, 8));
	cells(w, "interrupts", SPI, SPI_UART, LEVEL);
	cells(w, "clock-frequency", 1843200);
	end(w);
}

static void smmu(struct writer *w)
{
	static const char names[] = "eventq\0gerror\0cmdq-sync";

	begin_at(w, "iommu", VM_SMMU);
	text(w, "compatible", "arm,smmu-v3");
	cells(w, "reg", REG(VM_SMMU, DB_VSMMU_SIZE));
	cells(w, "interrupts", SPI, SPI_EVENTQ, EDGE, SPI, SPI_GERROR, EDGE, SPI, SPI_SYNC, EDGE);
	bytes(w, "interrupt-names", names, sizeof(names));
	flag(w, "dma-coherent");
	cells(w, "#iommu-cells", 1);
	cells(w, "phandle", SMMU);
	end(w);
}

/* The pins of all functions are one SPI: the map looks at nothing of the address. */
static void pci(struct writer *w)
{
	enum { MEM32 = 0x02000000, MEM64_PREFETCHABLE = 0x43000000 };

	begin_at(w, "pcie", VM_ECAM);
	text(w, "compatible", "pci-host-ecam-generic");
	text(w, "device_type", "pci");
	cells(w, "#address-cells", 3);
	cells(w, "#size-cells", 2);
	cells(w, "#interrupt-cells", 1);
	cells(w, "reg", REG(VM_ECAM, VM_ECAM_SIZE));
	cells(w, "bus-range", 0, 0);
	cells(w, "ranges", MEM32, REG(VM_PCI, VM_PCI), HI(VM_PCI_SIZE), LO(VM_PCI_SIZE),
	      MEM64_PREFETCHABLE, REG(VM_PCI64, VM_PCI64), HI(VM_PCI64_SIZE), LO(VM_PCI64_SIZE));
	flag(w, "dma-coherent");
	cells(w, "interrupt-map-mask", 0, 0, 0, 0);
	cells(w, "interrupt-map", 0, 0, 0, 0, GIC, 0, 0, SPI, SPI_INTX, LEVEL);
	cells(w, "msi-map", 0, ITS, 0, 0x10000);
	cells(w, "iommu-map", 0, SMMU, 0, 0x10000);
	end(w);
}

int tree_make(const struct tree *tree, void *buf, size_t size)
{
	struct writer w = { .fdt = buf };

	keep(&w, fdt_create(buf, size));
	keep(&w, fdt_finish_reservemap(buf));
	begin(&w, "");
	cells(&w, "#address-cells", 2);
	cells(&w, "#size-cells", 2);
	text(&w, "compatible", "linux,dummy-virt");
	cells(&w, "interrupt-parent", GIC);
	chosen(&w, tree);
	processors(&w, tree);
	interrupts(&w, tree);
	serial(&w);
	smmu(&w);
	pci(&w);
	end(&w);
	keep(&w, fdt_finish(buf));
	return w.err ? -ENOSPC : 0;
}
