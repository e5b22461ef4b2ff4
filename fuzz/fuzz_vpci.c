/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest before the trap layer of two functions on the software host, one with MSI-X, one
 * with MSI: config space and BAR accesses of any size, at any offset. Nothing may crash or hang;
 * the VMM is told of BARs in pairs, never of one at address 0; and after a reset the registers are
 * as after power-on.
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <doorbell/doorbell.h>

#define FUNCTIONS 2
#define VECTORS 4
#define STEP 14		/* what to do and with which function, size and nearness, offset (4), value (8) */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct function {
	struct db_device *dev;
	struct db_vpci *vpci;
	int fd[VECTORS];
	uint64_t mapped[DB_REGION_COUNT];	/* 0: not */
	uint32_t header[16];
};

static void must(int ret)
{
	if (ret < 0)
		abort();
}

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct function *f = ctx;

	/* A VMM may refuse a message, and does so for some. */
	return (route->giova ^ route->data) % 8 ? f->fd[index % VECTORS] : -1;
}

static void map(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io)
{
	struct function *f = ctx;

	if (f->mapped[index] || !address || address % length || address + length - 1 < address || io)
		abort();
	f->mapped[index] = address;
}

static void unmap(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io)
{
	struct function *f = ctx;

	if (f->mapped[index] != address || !length || io)
		abort();
	f->mapped[index] = 0;
}

static const struct db_msi_guest_ops msi_ops = {
	.size = sizeof(msi_ops),
	.connect = connect_vector,
};

static const struct db_vpci_ops ops = { .size = sizeof(ops), .map = map, .unmap = unmap };

static void read_header(struct function *f, uint32_t header[16])
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		header[i] = db_vpci_config_read(f->vpci, 4 * i, 4);
}

static void create(struct function functions[FUNCTIONS])
{
	static const char machine[] =
		"device 0000:01:00.0 bell vectors=4\ndevice 0000:02:00.0 bell msi=4\n";
	static const char *const address[] = { "0000:01:00.0", "0000:02:00.0" };
	struct db_vpci_config config = DB_SIZED(struct db_vpci_config,
		.mode = DB_MODE_NATIVE,
		.doorbell_ipa = 0x20090000,
		.msi_ops = &msi_ops,
		.ops = &ops);
	struct db_host *host;
	struct db_sys *sys;
	unsigned int i, j;

	must(db_soft_host_create(machine, sizeof(machine) - 1, &sys));
	must(db_host_open(sys, &host));
	must(db_space_create(host, &config.space));
	for (i = 0; i < FUNCTIONS; i++) {
		struct function *f = &functions[i];
		uint64_t ste[8] = { 1 | 4 << 1 };	/* V, bypass */
		static struct db_viommu *viommu;

		must(db_device_open(host, address[i], 0, &f->dev));
		if (!viommu)
			must(db_viommu_create(config.space, f->dev, &viommu));
		must(db_viommu_add(viommu, f->dev, i));
		must(db_viommu_install_ste(viommu, f->dev, ste));
		for (j = 0; j < VECTORS; j++)
			must(f->fd[j] = eventfd(0, EFD_NONBLOCK));
		config.dev = f->dev;
		config.ctx = f;
		must(db_vpci_create(&config, &f->vpci));
		read_header(f, f->header);
	}
}

static void act(struct function functions[FUNCTIONS], const uint8_t *in)
{
	struct function *f = &functions[in[0] >> 7];
	unsigned int size = in[1] & 0xf, index;
	uint64_t value, offset;
	uint32_t at;

	memcpy(&at, in + 2, 4);
	memcpy(&value, in + 6, 8);
	/* Mostly of a size and at a place that there is. */
	if (in[1] & 0x80)
		size = 1u << (size & 3);
	if (in[1] & 0x40)
		at &= 0xff;
	else if (in[1] & 0x20)
		at &= 0xffff;
	switch (in[0] & 7) {
	case 0:
	case 1:
		db_vpci_config_write(f->vpci, at, size, value);
		break;
	case 2:
		db_vpci_config_read(f->vpci, at, size);
		break;
	case 3:
	case 4:
		db_vpci_bar_write(f->vpci, in[0] >> 3 & 7, at, size, value);
		break;
	case 5:
		db_vpci_bar_read(f->vpci, in[0] >> 3 & 7, at, size);
		break;
	case 6:
		if (!db_vpci_find(f->vpci, value, in[1] & 1, &index, &offset) &&
		    f->mapped[index] != value - offset)
			abort();
		break;
	default:
		db_vpci_config_write(f->vpci, PCI_COMMAND, 2, value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct function functions[FUNCTIONS];
	uint32_t header[16];
	unsigned int i;

	if (!functions[0].vpci)
		create(functions);
	for (; size >= STEP; data += STEP, size -= STEP)
		act(functions, data);
	for (i = 0; i < FUNCTIONS; i++) {
		must(db_vpci_reset(functions[i].vpci));
		read_header(&functions[i], header);
		/* What VFIO puts back after a reset is the device's: cache line size, latency. */
		header[3] = functions[i].header[3];
		if (memcmp(header, functions[i].header, sizeof(header)))
			abort();
	}
	return 0;
}
