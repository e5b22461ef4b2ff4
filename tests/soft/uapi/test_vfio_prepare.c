/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native interface: ACTION_PREPARE, the doorbell mapped by the user, and when a vector without
 * an address is refused.
 */
#include "soft/uapi/one_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/alloc.h"

#define WINDOW 0x8000040
#define IPA 0x7fff5000ull	/* where the doorbell is mapped */

#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define IOVA VFIO_IRQ_SET_DATA_MSI_IOVA
#define PREPARE VFIO_IRQ_SET_ACTION_PREPARE
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

static struct nest nest;

static void start_nested(const char *machine, const char *address)
{
	one_device(machine, address);
	device_nest(&dev, 9, &nest);
}

/* The same with no window: what has no address has none. */
static void start_native(const char *machine, const char *address)
{
	one_device(machine, address);
	drop_window(&dev);
	device_nest(&dev, 9, &nest);
}

static int setup(void **state)
{
	(void)state;
	start_nested(NULL, BELL);
	return 0;
}

static int setup_native(void **state)
{
	(void)state;
	start_native(NULL, BELL);
	return 0;
}

static int setup_native_msi(void **state)
{
	(void)state;
	start_native(NULL, BELL_MSI);
	return 0;
}

static int teardown(void **state)
{
	if (dev.fd >= 0)
		device_close(&dev);
	nest_end(&nest);
	return teardown_device(state);
}

static int forget(uint32_t index, uint32_t start, uint32_t count)
{
	return set_irqs(&dev, NONE | PREPARE, index, start, count, NULL, 0);
}

static int info(uint32_t index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
	return info.flags & (VFIO_IRQ_INFO_MSI_IOVA | VFIO_IRQ_INFO_MSI_IOVA_DEVICE);
}

static void rules(void **state)
{
	/* the payload of one vector: 4 bytes of nothing, and the address */
	uint32_t one[3] = { 0, IPA, IPA >> 32 };
	uint64_t iova[2] = { IPA, IPA };
	unsigned int i;

	(void)state;
	assert_int_equal(info(MSIX), VFIO_IRQ_INFO_MSI_IOVA | VFIO_IRQ_INFO_MSI_IOVA_DEVICE);
	for (i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		if (i != MSIX)
			assert_int_equal(info(i), 0);
	assert_int_equal(set_irqs(&dev, IOVA | PREPARE | TRIGGER, MSIX, 0, 1, one, 12), -EINVAL);
	assert_int_equal(set_irqs(&dev, IOVA | PREPARE | 1 << 8, MSIX, 0, 1, one, 12), -EINVAL);
	assert_int_equal(set_irqs(&dev, PREPARE, MSIX, 0, 1, one, 12), -EINVAL);
	assert_int_equal(set_irqs(&dev, IOVA | NONE | PREPARE, MSIX, 0, 1, one, 12), -EINVAL);
	assert_int_equal(set_irqs(&dev, IOVA | BOOL | PREPARE, MSIX, 0, 1, one, 12), -EINVAL);
	assert_int_equal(set_irqs(&dev, EVENTFD | PREPARE, MSIX, 0, 1, one, 12), -EINVAL);
	assert_int_equal(set_irqs(&dev, IOVA | TRIGGER, MSIX, 0, 1, one, 12), -EINVAL);
	assert_int_equal(set_irqs(&dev, IOVA, MSIX, 0, 1, one, 12), -EINVAL);

	assert_int_equal(prepare(&dev, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, iova), -EINVAL);
	assert_int_equal(prepare(&dev, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, iova), -EINVAL);
	assert_int_equal(prepare(&dev, VFIO_PCI_NUM_IRQS, 0, 1, iova), -EINVAL);
	assert_int_equal(prepare(&dev, MSI, 0, 1, iova), -EINVAL);
	assert_int_equal(forget(MSI, 0, 0), -EINVAL);
	assert_int_equal(prepare(&dev, MSIX, 2048, 1, iova), -EINVAL);
	assert_int_equal(prepare(&dev, MSIX, 2047, 2, iova), -EINVAL);
	assert_int_equal(prepare(&dev, MSIX, UINT32_MAX, 2, iova), -EINVAL);
	assert_int_equal(prepare(&dev, MSIX, 0, 0, iova), -EINVAL);
	assert_int_equal(forget(MSIX, 1, 0), -EINVAL);
	assert_int_equal(forget(MSIX, 2047, 2), -EINVAL);
	assert_int_equal(set_irqs(&dev, IOVA | PREPARE, MSIX, 0, 1, one, 11), -EINVAL);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSIX, 0, 2, one, 1), -EINVAL);
	one[0] = 1;
	assert_int_equal(set_irqs(&dev, IOVA | PREPARE, MSIX, 0, 1, one, 12), -EINVAL);

	/* None of it has set anything: the window is still in force. */
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(msix_address(&dev, 0), WINDOW);
	assert_int_equal(forget(MSIX, 0, 0), 0);
	assert_int_equal(forget(MSIX, 0, 2048), 0);
}

/* An SMMU that translates no MSIs: nothing is stored. */
static void no_window_at_all(void **state)
{
	uint64_t iova = IPA;

	(void)state;
	one_device("sw-msi none\n", BELL);
	assert_int_equal(info(MSIX), 0);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), -EOPNOTSUPP);
	assert_int_equal(forget(MSIX, 0, 0), -EOPNOTSUPP);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), -EOPNOTSUPP);
}

static void stock_kernel(void **state)
{
	uint64_t iova = IPA;

	(void)state;
	start_nested("kernel stock", BELL);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), -EINVAL);
	assert_int_equal(forget(MSIX, 0, 0), -EINVAL);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSIX, 0, 1, &iova, 1), -EINVAL);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(msix_address(&dev, 0), WINDOW);
}

static void each_vector_its_own(void **state)
{
	uint64_t iova[3] = { IPA, IPA + 0x123, 0 };

	(void)state;
	map_doorbell(&dev, IPA);
	assert_int_equal(prepare(&dev, MSIX, 0, 3, iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 3, fds), 0);
	assert_int_equal(msix_address(&dev, 0), IPA + 0x40);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	/* 0 is an address, if one that leads nowhere here. */
	assert_int_equal(msix_address(&dev, 2), 0x40);
	assert_int_equal(msix_data(&dev, 2), 2);
	bar_set(&dev, 0, BELL_RINGS, 3);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 1);
	assert_int_equal(take(fds[2]), 0);
}

/* On an armed vector the message changes at once, and what came in between is delivered. */
static void live_update(void **state)
{
	uint64_t iova[2] = { IPA, IPA }, elsewhere = IPA + 0x10000;

	(void)state;
	map_doorbell(&dev, IPA);
	map_doorbell(&dev, elsewhere);
	assert_int_equal(prepare(&dev, MSIX, 0, 2, iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	ring(0);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &elsewhere), 0);
	assert_int_equal(msix_address(&dev, 0), elsewhere + 0x40);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	assert_false(msix_masked(&dev, 0));
	ring(0);
	assert_int_equal(take(fds[0]), 2);
	unmap(&f, IPA, 4096);
	bar_set(&dev, 0, BELL_RINGS, 2);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 0);
}

static void kept_over_everything(void **state)
{
	uint64_t iova = IPA;

	(void)state;
	map_doorbell(&dev, IPA);
	/* Before it is enabled, after, over reset, replace and re-enable. */
	assert_int_equal(prepare(&dev, MSIX, 1, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 1, 1, &fds[1]), 0);
	assert_int_equal(disarm_all(&dev, MSIX), 0);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(arm(&dev, MSIX, 1, 1, &fds[1]), 0);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	assert_int_equal(device_attach(&dev, f.ioas), 0);
	assert_int_equal(device_attach(&dev, nest.hwpt), 0);
	set_bus_master(&dev);
	ring(1);
	assert_int_equal(take(fds[1]), 1);
	/* Until the device is closed. */
	device_close(&dev);
	device_start(&f, BELL, &dev);
	assert_int_equal(arm(&dev, MSIX, 1, 1, &fds[1]), 0);
	assert_int_equal(msix_address(&dev, 1), WINDOW);
}

static void refused_without_address(void **state)
{
	uint64_t iova = IPA;

	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), -EDESTADDRREQ);
	map_doorbell(&dev, IPA);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), -EDESTADDRREQ);
	assert_int_equal(prepare(&dev, MSIX, 3, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 2, 1, fds), -EDESTADDRREQ);
	assert_int_equal(arm(&dev, MSIX, 2, 2, fds), -EDESTADDRREQ);
	assert_int_equal(arm(&dev, MSIX, 3, 1, fds), 0);
	/* Those before it are allocated, masked, and point where nothing can be mapped. */
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(msix_masked(&dev, i));
		assert_int_equal(msix_address(&dev, i), ~0xfffull | 0x40);
	}
	/* Refused before anything is touched: vector 3 stays armed. */
	assert_int_equal(arm(&dev, MSIX, 3, 2, fds), -EDESTADDRREQ);
	ring(3);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(prepare(&dev, MSIX, 2, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 2, 1, &fds[1]), 0);
	ring(2);
	assert_int_equal(take(fds[1]), 1);
	/* Vectors that are not armed need none. */
	assert_int_equal(arm(&dev, MSIX, 4, 1, &(int){ -1 }), 0);
	/* Nothing was mapped behind anybody's back: what the window had is free. */
	map_doorbell(&dev, WINDOW & ~0xfffull);
}

/* Where there is a window, a vector without an address uses it, whatever others were given. */
static void beside_the_window(void **state)
{
	uint64_t iova = IPA;

	(void)state;
	map_doorbell(&dev, IPA);
	assert_int_equal(prepare(&dev, MSIX, 1, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(msix_address(&dev, 0), WINDOW);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	bar_set(&dev, 0, BELL_RINGS, 2);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 1);
}

static void forgotten(void **state)
{
	uint64_t iova[4] = { IPA, IPA, IPA, IPA };

	(void)state;
	map_doorbell(&dev, IPA);
	assert_int_equal(prepare(&dev, MSIX, 0, 4, iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 3, fds), 0);
	assert_int_equal(forget(MSIX, 1, 1), 0);
	/* An armed vector keeps its message ... */
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	ring(1);
	assert_int_equal(take(fds[1]), 1);
	/* ... over a reset too; but it cannot be armed again. */
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	assert_int_equal(arm(&dev, MSIX, 1, 1, &fds[4]), -EDESTADDRREQ);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);

	assert_int_equal(forget(MSIX, 0, 0), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), -EDESTADDRREQ);
}

/* With a window: forgotten, a vector has a new message when it is armed anew. */
static void forgotten_for_the_window(void **state)
{
	uint64_t iova = IPA;

	(void)state;
	map_doorbell(&dev, IPA);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(forget(MSIX, 0, 0), 0);
	assert_int_equal(msix_address(&dev, 0), IPA + 0x40);
	assert_int_equal(arm(&dev, MSIX, 0, 1, &fds[1]), 0);
	assert_int_equal(msix_address(&dev, 0), WINDOW);
	ring(0);
	assert_int_equal(take(fds[1]), 1);
}

static void fall_through(void **state)
{
	uint8_t take_some[4] = { 0, 1, 0, 1 };
	void *table;

	(void)state;
	map_doorbell(&dev, IPA);
	/* The guest's addresses go into the table past the kernel. */
	assert_int_equal(
		f.sys->ops->mmap(f.sys, 4096, PROT_READ | PROT_WRITE, dev.fd, 2ull << 40, &table),
		0);
	for (unsigned int i = 0; i < 4; i++)
		f.sys->ops->mmio_write(f.sys, (char *)table + 16 * i, 8, IPA + 0x1000 * i + 0x40);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSIX, 0, 4, take_some, 4), 0);
	assert_int_equal(arm(&dev, MSIX, 1, 1, fds), 0);
	assert_int_equal(arm(&dev, MSIX, 3, 1, fds), 0);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x1040);
	assert_int_equal(msix_address(&dev, 3), IPA + 0x3040);
	assert_int_equal(arm(&dev, MSIX, 2, 1, fds), -EDESTADDRREQ);
	/* Asleep, or deaf, the device has nothing that could be taken. */
	set_power(&dev, 3);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSIX, 1, 1, &take_some[1], 1), -EIO);
	set_power(&dev, 0);
	config_set(&dev, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSIX, 1, 1, &take_some[1], 1), -EIO);
	config_set(&dev, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	for (unsigned int reg = 0; reg < 8; reg += 4)
		f.sys->ops->mmio_write(f.sys, (char *)table + reg, 4, UINT32_MAX);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSIX, 0, 1, &take_some[1], 1), -EIO);

	/* A live one: the guest writes, the kernel reads it back and puts its data beside. */
	f.sys->ops->mmio_write(f.sys, (char *)table + 16, 8, IPA + 0x40);
	f.sys->ops->mmio_write(f.sys, (char *)table + 16 + 8, 4, 0x1234);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSIX, 1, 1, &take_some[1], 1), 0);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	assert_int_equal(msix_data(&dev, 1), 1);
	ring(1);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(f.sys->ops->munmap(f.sys, table, 4096), 0);
}

static void plain_msi(void **state)
{
	unsigned int cap = find_cap(&dev, PCI_CAP_ID_MSI);
	unsigned int raw = pci_find_capability(dev.soft->pci, PCI_CAP_ID_MSI);
	uint64_t iova[2] = { IPA, IPA + 0x7000 };
	int none[4] = { -1, -1, -1, -1 };
	uint8_t yes[2] = { 0, 1 };

	(void)state;
	assert_int_equal(info(MSI), VFIO_IRQ_INFO_MSI_IOVA | VFIO_IRQ_INFO_MSI_IOVA_DEVICE);
	map_doorbell(&dev, IPA);
	assert_int_equal(arm(&dev, MSI, 0, 4, fds), -EDESTADDRREQ);
	/* Not even enabled: it has no mask bit that would hold the device back. */
	assert_int_equal(arm(&dev, MSI, 0, 4, none), -EDESTADDRREQ);
	/* There is one register. */
	assert_int_equal(prepare(&dev, MSI, 1, 1, iova), -EINVAL);
	assert_int_equal(prepare(&dev, MSI, 0, 2, iova), -EINVAL);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSI, 1, 1, &yes[1], 1), -EINVAL);
	assert_int_equal(arm(&dev, MSI, 1, 1, fds), -EDESTADDRREQ);
	iova[1] = IPA + 0x123;
	assert_int_equal(prepare(&dev, MSI, 0, 2, iova), 0);
	assert_int_equal(arm(&dev, MSI, 0, 4, fds), 0);
	assert_int_equal(pci_config_read(dev.soft->pci, raw + PCI_MSI_ADDRESS_LO, 4), IPA + 0x40);
	ring(3);
	assert_int_equal(take(fds[3]), 1);

	/* Live, through the capability that the user sees. */
	map_doorbell(&dev, IPA + 0x9000);
	config_set(&dev, cap + PCI_MSI_ADDRESS_LO, 4, IPA + 0x9000);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSI, 0, 1, yes, 1), 0);
	assert_int_equal(pci_config_read(dev.soft->pci, raw + PCI_MSI_ADDRESS_LO, 4), IPA + 0x40);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSI, 0, 2, yes, 2), 0);
	assert_int_equal(pci_config_read(dev.soft->pci, raw + PCI_MSI_ADDRESS_LO, 4), IPA + 0x9040);
	assert_int_equal(config_get(&dev, cap + PCI_MSI_ADDRESS_LO, 4), IPA + 0x9000);
	unmap(&f, IPA, 4096);
	ring(2);
	assert_int_equal(take(fds[2]), 1);

	/* Asleep it would not hear of another address. */
	set_power(&dev, 3);
	assert_int_equal(prepare(&dev, MSI, 0, 1, iova), -EIO);
	assert_int_equal(set_irqs(&dev, BOOL | PREPARE, MSI, 0, 2, yes, 2), -EIO);
	set_power(&dev, 0);
	ring(2);
	assert_int_equal(take(fds[2]), 1);
}

static void narrow_msi(void **state)
{
	uint64_t iova = 1ull << 32;

	(void)state;
	start_native("device 0000:03:00.0 bell msi=4 msi-bits=32\n", BELL_MSI);
	assert_int_equal(prepare(&dev, MSI, 0, 1, &iova), -EINVAL);
	iova -= 0x1000;
	assert_int_equal(prepare(&dev, MSI, 0, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSI, 0, 4, fds), 0);
}

/* In D3hot what would have to be written is refused, and what is only kept is kept. */
static void asleep(void **state)
{
	uint64_t iova[4] = { IPA, IPA, IPA, IPA }, elsewhere = IPA + 0x10000;

	(void)state;
	map_doorbell(&dev, IPA);
	map_doorbell(&dev, elsewhere);
	assert_int_equal(prepare(&dev, MSIX, 0, 2, iova), 0);
	assert_int_equal(arm(&dev, MSIX, 1, 1, &fds[1]), 0);
	set_power(&dev, 3);
	assert_int_equal(config_get(&dev, find_cap(&dev, PCI_CAP_ID_PM) + PCI_PM_CTRL, 1) & 3, 3);
	assert_int_equal(prepare(&dev, MSIX, 1, 1, &elsewhere), -EIO);
	/* All or nothing. */
	iova[0] = elsewhere;
	assert_int_equal(prepare(&dev, MSIX, 0, 4, iova), -EIO);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova[0]), 0);
	assert_int_equal(prepare(&dev, MSIX, 2, 2, &iova[2]), 0);
	assert_int_equal(forget(MSIX, 1, 1), 0);
	set_power(&dev, 0);
	assert_int_equal(msix_address(&dev, 1), IPA + 0x40);
	ring(1);
	assert_int_equal(take(fds[1]), 1);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(msix_address(&dev, 0), elsewhere + 0x40);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(arm(&dev, MSIX, 2, 1, &fds[2]), 0);
	ring(2);
	assert_int_equal(take(fds[2]), 1);
	assert_int_equal(arm(&dev, MSIX, 1, 1, &fds[1]), -EDESTADDRREQ);

	/* Nothing is enabled in D3hot; the addresses are for later. */
	assert_int_equal(disarm_all(&dev, MSIX), 0);
	set_power(&dev, 3);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &elsewhere), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), -EINVAL);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), 0);
	set_bus_master(&dev);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
}

/* A doorbell of another ITS than the device's own is the user's business. */
static void wrong_doorbell(void **state)
{
	struct fixture_device other;
	uint64_t iova = IPA;

	(void)state;
	start_nested("its its base=0x8080000\nits its base=0x80a0000\n"
		     "device 0000:02:00.0 bell\ndevice 0000:03:00.0 bell its=1",
		     BELL);
	device_start(&f, "0000:03:00.0", &other);
	map_doorbell(&other, IPA);
	map_doorbell(&dev, IPA + 0x1000);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	/* The write goes to the other ITS, which does not know the device. */
	ring(0);
	assert_int_equal(take(fds[0]), 0);
	iova = IPA + 0x1000;
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), 0);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
	device_close(&other);
}

/* A device reaches only its own interrupts, whatever data stands in its table. */
static void isolation(void **state)
{
	struct fixture_device other;
	uint64_t iova = IPA;
	void *table;

	(void)state;
	device_start(&f, "0000:01:00.0", &other);
	map_doorbell(&dev, IPA);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(arm(&other, MSIX, 0, 4, &fds[1]), 0);
	assert_int_equal(
		f.sys->ops->mmap(f.sys, 4096, PROT_READ | PROT_WRITE, dev.fd, 2ull << 40, &table),
		0);
	for (uint32_t data = 1; data < 5000; data++) {
		f.sys->ops->mmio_write(f.sys, (char *)table + 8, 4, data);
		ring(0);
	}
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(take(fds[i]), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, table, 4096), 0);
	device_close(&other);
}

/* The mapping is nobody's but the IOAS's. */
static void doorbell_outlives_devices(void **state)
{
	struct fixture_device other;
	uint64_t iova = IPA;

	(void)state;
	device_open(&f, BELL_MSI, &other);
	device_bind(&other);
	map_doorbell(&other, IPA);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &iova), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	device_close(&other);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
	device_close(&dev);
	device_open(&f, NVME, &other);
	device_bind(&other);
	assert_int_equal(try_map_doorbell(&other, IPA), -EEXIST);
	device_close(&other);
	unmap(&f, IPA, 4096);
}

static void many_doorbells(void **state)
{
	long before = soft_alloc_live();

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		map_doorbell(&dev, IPA);
		unmap(&f, IPA, 4096);
	}
	assert_int_equal(soft_alloc_live(), before);
}

static void fails_whole(void **state)
{
	uint8_t some[5] = { 1, 0, 1, 0, 1 };
	unsigned long n;
	int ret;

	(void)state;
	for (n = 1;; n++) {
		soft_alloc_fail_nth(n);
		ret = set_irqs(&dev, BOOL | PREPARE, MSIX, 0, 5, some, 5);
		soft_alloc_fail_nth(0);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		/* Nothing was set: the window is still in force. */
		assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
		assert_int_equal(disarm_all(&dev, MSIX), 0);
	}
	assert_true(n > 1);
	for (n = 1;; n++) {
		soft_alloc_fail_nth(n);
		ret = try_map_doorbell(&dev, IPA);
		soft_alloc_fail_nth(0);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
	}
	assert_true(n > 1);
}

/* Addresses change to and fro while the device rings: every ring is counted once. */
static void *ringer(void *arg)
{
	for (unsigned int i = 0; i < 3000; i++)
		ring(0);
	return arg;
}

static void nothing_lost_in_updates(void **state)
{
	uint64_t here = IPA, there = IPA + 0x10000, seen = 0;
	pthread_t thread;

	(void)state;
	map_doorbell(&dev, here);
	map_doorbell(&dev, there);
	assert_int_equal(prepare(&dev, MSIX, 0, 1, &here), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(pthread_create(&thread, NULL, ringer, NULL), 0);
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(prepare(&dev, MSIX, 0, 1, i % 2 ? &here : &there), 0);
		seen += take(fds[0]);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	seen += take(fds[0]);
	/* A vector that is masked remembers one interrupt, not how many. */
	assert_in_range(seen, 1, 3000);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rules, setup, teardown),
		cmocka_unit_test_teardown(stock_kernel, teardown),
		cmocka_unit_test_teardown(no_window_at_all, teardown_device),
		cmocka_unit_test_setup_teardown(each_vector_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(live_update, setup, teardown),
		cmocka_unit_test_setup_teardown(kept_over_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_without_address, setup_native, teardown),
		cmocka_unit_test_setup_teardown(beside_the_window, setup, teardown),
		cmocka_unit_test_setup_teardown(beside_the_window, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(forgotten, setup_native, teardown),
		cmocka_unit_test_setup_teardown(forgotten_for_the_window, setup, teardown),
		cmocka_unit_test_setup_teardown(fall_through, setup_native, teardown),
		cmocka_unit_test_setup_teardown(plain_msi, setup_native_msi, teardown),
		cmocka_unit_test_teardown(narrow_msi, teardown),
		cmocka_unit_test_setup_teardown(asleep, setup_native, teardown),
		cmocka_unit_test_teardown(wrong_doorbell, teardown),
		cmocka_unit_test_setup_teardown(isolation, setup, teardown),
		cmocka_unit_test_setup_teardown(doorbell_outlives_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(many_doorbells, setup, teardown),
		cmocka_unit_test_setup_teardown(fails_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_lost_in_updates, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
