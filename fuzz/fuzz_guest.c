/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest against the library on the software host: accesses to the virtual MSI-X table,
 * PBA and Message Control, to the virtual MSI capability, to config space and BARs, STEs and
 * commands. Nothing may crash or hang, and a vector that is masked or disabled is not signalled.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <doorbell/doorbell.h>

#define VECTORS 4
#define RAM_IPA 0x40000000ull
#define RAM_SIZE (1u << 20)
#define BELL_RING 0x08
#define STEP	  19 /* what to do, size and nearness, offset (8), value (8), which device or BAR */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct guest {
	struct db_device *msix_dev, *msi_dev;
	struct db_viommu *viommu;
	struct db_msi *msix, *msi;
	struct db_vmsix *vmsix;
	struct db_vmsi *vmsi;
	int fd[VECTORS];
};

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct guest *guest = ctx;

	/* A VMM may refuse a message, and does so for some. */
	return index < VECTORS && (route->giova ^ route->data) % 8 ? guest->fd[index] : -EINVAL;
}

static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };

static void must(int ret)
{
	if (ret < 0)
		abort();
}

static void create(struct guest *guest)
{
	static const char machine[] =
		"device 0000:01:00.0 bell vectors=4\ndevice 0000:02:00.0 bell msi=4\n";
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_NATIVE,
					.kind = DB_MSIX,
					.doorbell_ipa = 0x20090000 };
	struct db_space *space;
	struct db_host *host;
	struct db_sys *sys;
	unsigned int i;
	void *ram;

	for (i = 0; i < VECTORS; i++)
		must(guest->fd[i] = eventfd(0, EFD_NONBLOCK));
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(db_soft_host_create(machine, sizeof(machine) - 1, &sys));
	must(db_host_open(sys, &host));
	must(db_device_open(host, "0000:01:00.0", 0, &guest->msix_dev));
	must(db_device_open(host, "0000:02:00.0", 0, &guest->msi_dev));
	must(db_space_create(host, &space));
	must(db_space_map(space, RAM_IPA, ram, RAM_SIZE, DB_READ | DB_WRITE));
	must(db_viommu_create(space, guest->msix_dev, &guest->viommu));
	must(db_viommu_add(guest->viommu, guest->msix_dev, 1));
	must(db_viommu_add(guest->viommu, guest->msi_dev, 2));
	config.space = space;
	config.dev = guest->msix_dev;
	must(db_msi_create(&config, &guest->msix));
	config.dev = guest->msi_dev;
	config.kind = DB_MSI;
	must(db_msi_create(&config, &guest->msi));
	must(db_vmsix_create(guest->msix, &ops, guest, &guest->vmsix));
	must(db_vmsi_create(guest->msi, &ops, guest, &guest->vmsi));
}

static bool live(struct guest *guest, unsigned int index)
{
	return (db_vmsix_control_read(guest->vmsix) & 0xc000) == 0x8000 &&
	       !(db_vmsix_table_read(guest->vmsix, index * 16 + 12, 4) & 1);
}

/* Rings a vector of the MSI-X device that should be quiet. */
static void check_quiet(struct guest *guest, unsigned int index)
{
	uint32_t vector = index;
	eventfd_t count;

	if (live(guest, index))
		return;
	eventfd_read(guest->fd[index], &count);
	db_device_bar_write(guest->msix_dev, 0, &vector, 4, BELL_RING);
	if (!eventfd_read(guest->fd[index], &count))
		abort();
}

static void act(struct guest *guest, const uint8_t *in)
{
	unsigned int size = 1u << (in[1] & 3);
	uint64_t offset, value, ste[8] = { 0 }, cmd[2];
	size_t done;

	memcpy(&offset, in + 2, 8);
	memcpy(&value, in + 10, 8);
	/* Mostly near what is there. */
	if (in[1] & 0x80)
		offset &= 0xff;
	switch (in[0] % 12) {
	case 0:
	case 1:
		db_vmsix_table_write(guest->vmsix, offset, size, value);
		break;
	case 2:
		db_vmsix_table_read(guest->vmsix, offset, size);
		db_vmsix_pba_read(guest->vmsix, offset, size);
		break;
	case 3:
		db_vmsix_control_write(guest->vmsix, value);
		break;
	case 4:
		db_vmsi_write(guest->vmsi, offset, size, value);
		break;
	case 5:
		db_vmsi_read(guest->vmsi, offset, size);
		break;
	case 6:
		db_device_config_write(in[18] & 1 ? guest->msi_dev : guest->msix_dev, &value, size,
				       offset);
		break;
	case 7:
		db_device_bar_write(guest->msix_dev, in[18] % 8, &value, size, offset);
		break;
	case 8:
		ste[0] = offset;
		ste[1] = value;
		db_viommu_install_ste(guest->viommu, in[18] & 1 ? guest->msi_dev : guest->msix_dev,
				      ste);
		break;
	case 9:
		cmd[0] = offset;
		cmd[1] = value;
		if (db_viommu_invalidate(guest->viommu, &cmd, 1, &done) && done)
			abort();
		break;
	case 10:
		db_device_reset(guest->msix_dev);
		db_msi_restore(guest->msix);
		break;
	default:
		check_quiet(guest, in[18] % VECTORS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest guest;
	uint64_t events[16][4], lost;
	uint16_t command = 6;

	if (!guest.vmsix)
		create(&guest);
	for (; size >= STEP; data += STEP, size -= STEP)
		act(&guest, data);
	while (db_viommu_events(guest.viommu, events, 16, &lost) == 16)
		;
	db_vmsix_reset(guest.vmsix);
	db_vmsi_reset(guest.vmsi);
	db_device_reset(guest.msix_dev);
	db_device_reset(guest.msi_dev);
	db_device_config_write(guest.msix_dev, &command, 2, 4);
	db_device_config_write(guest.msi_dev, &command, 2, 4);
	return 0;
}
