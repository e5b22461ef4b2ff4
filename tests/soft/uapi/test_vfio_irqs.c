/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET_IRQ_INFO and SET_IRQS: the rules of vfio_set_irqs_validate_and_prepare() and vfio-pci, and
 * the interrupts themselves.
 */
#include "soft/uapi/one_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <string.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/alloc.h"
#include "soft/endpoints/bell.h"

/* the first doorbell page in the SW_MSI window, and the register's offset */
#define WINDOW 0x8000040

#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

static uint16_t control(uint8_t cap)
{
	return (uint16_t)pci_config_read(dev.soft->pci, pci_find_capability(dev.soft->pci, cap) + 2,
					 2);
}

/* --- GET_IRQ_INFO --- */

static void irq_info(struct fixture_device *d, uint32_t index, uint32_t flags, uint32_t count)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	assert_int_equal(device_ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
	/* PREPARE has its own tests. */
	info.flags &= ~(uint32_t)(VFIO_IRQ_INFO_MSI_IOVA | VFIO_IRQ_INFO_MSI_IOVA_DEVICE);
	assert_int_equal(info.flags, flags);
	assert_int_equal(info.count, count);
}

static void info(void **state)
{
	struct vfio_irq_info info = { .argsz = sizeof(info) - 1 };
	struct fixture_device msi;

	(void)state;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_IRQ_INFO, NULL), -EFAULT);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL);
	info.argsz = sizeof(info);
	info.index = VFIO_PCI_NUM_IRQS;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL);

	irq_info(&dev, VFIO_PCI_INTX_IRQ_INDEX,
		 VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED, 0);
	irq_info(&dev, MSI, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, 0);
	irq_info(&dev, MSIX, VFIO_IRQ_INFO_EVENTFD, 2048);
	irq_info(&dev, VFIO_PCI_ERR_IRQ_INDEX, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, 1);
	irq_info(&dev, VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, 1);
	device_start(&f, BELL_MSI, &msi);
	irq_info(&msi, MSI, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, 32);
	irq_info(&msi, MSIX, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, 0);
	device_close(&msi);
}

/* --- The checks that come before everything else --- */

static void ranges_and_flags(void **state)
{
	struct vfio_irq_set set = { .argsz = sizeof(set) - 1,
				    .flags = NONE | TRIGGER,
				    .index = MSIX };
	uint8_t one = 1;

	(void)state;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_SET_IRQS, NULL), -EFAULT);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_SET_IRQS, &set), -EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, VFIO_PCI_NUM_IRQS, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, UINT32_MAX, 1, NULL, 0), -EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 1, UINT32_MAX - 1, NULL, 0), -EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER | 1 << 8, MSIX, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(
		set_irqs(&dev, NONE | TRIGGER | VFIO_IRQ_SET_DATA_MSI_IOVA, MSIX, 0, 1, NULL, 0),
		-EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 2048, 0, NULL, 0), -EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 2047, 2, NULL, 0), -EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 0, 2049, NULL, 0), -EINVAL);
	/* An index without vectors has no range at all; so INTx. */
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSI, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, VFIO_PCI_INTX_IRQ_INDEX, 0, 0, NULL, 0),
			 -EINVAL);
	assert_int_equal(set_irqs(&dev, EVENTFD | TRIGGER, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, fds, 4),
			 -EINVAL);

	assert_int_equal(set_irqs(&dev, TRIGGER, MSIX, 0, 1, fds, 4), -EINVAL);
	assert_int_equal(set_irqs(&dev, NONE | BOOL | TRIGGER, MSIX, 0, 1, &one, 1), -EINVAL);
	assert_int_equal(set_irqs(&dev, BOOL | TRIGGER, MSIX, 0, 2, &one, 1), -EINVAL);
	assert_int_equal(set_irqs(&dev, EVENTFD | TRIGGER, MSIX, 0, 2, fds, 7), -EINVAL);

	assert_int_equal(set_irqs(&dev, NONE, MSIX, 0, 1, NULL, 0), -ENOTTY);
	assert_int_equal(set_irqs(&dev, NONE | MASK, MSIX, 0, 1, NULL, 0), -ENOTTY);
	assert_int_equal(set_irqs(&dev, NONE | UNMASK, MSIX, 0, 1, NULL, 0), -ENOTTY);
	assert_int_equal(set_irqs(&dev, NONE | MASK | TRIGGER, MSIX, 0, 1, NULL, 0), -ENOTTY);
	assert_int_equal(set_irqs(&dev, NONE | MASK, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, NULL, 0),
			 -ENOTTY);
	/* Loopback and disable want it enabled. */
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(disarm_all(&dev, MSIX), -EINVAL);
}

static void eventfd_rules(void **state)
{
	int pipes[2], bad;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	bad = 99999;
	assert_int_equal(arm(&dev, MSIX, 0, 1, &bad), -EBADF);
	assert_int_equal(arm(&dev, MSIX, 0, 1, &pipes[0]), -EINVAL);
	assert_int_equal(arm(&dev, MSIX, 0, 1, &f.iommufd), -EINVAL);
	assert_int_equal(arm(&dev, MSIX, 0, 1, &dev.fd), -EINVAL);
	/* Each time it was disabled again. */
	assert_false(control(PCI_CAP_ID_MSIX) & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(disarm_all(&dev, MSIX), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
}

/* --- MSI-X --- */

static void msix(void **state)
{
	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 4, fds), 0);
	assert_int_equal(control(PCI_CAP_ID_MSIX) &
				 (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL),
			 PCI_MSIX_FLAGS_ENABLE);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(msix_address(&dev, i), WINDOW);
		assert_int_equal(msix_data(&dev, i), i);
		assert_false(msix_masked(&dev, i));
	}
	assert_true(msix_masked(&dev, 4));
	bar_set(&dev, 0, BELL_RINGS, 5);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(take(fds[i]), 1);
	ring(2);
	ring(2);
	assert_int_equal(take(fds[2]), 2);
	assert_int_equal(take(fds[1]), 0);

	assert_int_equal(disarm_all(&dev, MSIX), 0);
	assert_false(control(PCI_CAP_ID_MSIX) & PCI_MSIX_FLAGS_ENABLE);
	ring(2);
	assert_int_equal(take(fds[2]), 0);
	assert_int_equal(disarm_all(&dev, MSIX), -EINVAL);
	/* And again. */
	assert_int_equal(arm(&dev, MSIX, 0, 1, &fds[7]), 0);
	ring(0);
	assert_int_equal(take(fds[7]), 1);
}

static void all_vectors(void **state)
{
	int many[2048];

	(void)state;
	for (unsigned int i = 0; i < 2048; i++)
		many[i] = fds[i % 64];
	assert_int_equal(arm(&dev, MSIX, 0, 2048, many), 0);
	bar_set(&dev, 0, BELL_RINGS, 2048);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(take(fds[i]), 32);
	assert_int_equal(disarm_all(&dev, MSIX), 0);
}

/* Enabling from vector 3 on allocates those before it as well, masked. */
static void start_above_zero(void **state)
{
	(void)state;
	assert_int_equal(arm(&dev, MSIX, 3, 2, fds), 0);
	assert_int_equal(msix_address(&dev, 0), WINDOW);
	assert_true(msix_masked(&dev, 0));
	ring(3);
	ring(4);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 1);
	/* Armed now, vector 0 sends what it had pending. */
	assert_int_equal(arm(&dev, MSIX, 0, 1, &fds[2]), 0);
	assert_int_equal(take(fds[2]), 1);
}

static void holes(void **state)
{
	int some[4] = { fds[0], -1, fds[2], -1 }, none[4] = { -1, -1, -1, -1 };

	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 4, some), 0);
	assert_true(msix_masked(&dev, 1));
	bar_set(&dev, 0, BELL_RINGS, 4);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[2]), 1);
	/* All away, but still enabled. */
	assert_int_equal(arm(&dev, MSIX, 0, 4, none), 0);
	assert_true(msix_masked(&dev, 0));
	assert_true(control(PCI_CAP_ID_MSIX) & PCI_MSIX_FLAGS_ENABLE);
	bar_set(&dev, 0, BELL_RINGS, 1);
	assert_int_equal(take(fds[0]), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, &fds[5]), 0);
	assert_int_equal(take(fds[5]), 1);
}

static void growth(void **state)
{
	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(arm(&dev, MSIX, 100, 3, &fds[1]), 0);
	assert_int_equal(msix_address(&dev, 101), WINDOW);
	for (unsigned int i = 100; i < 103; i++)
		ring(i);
	ring(0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(take(fds[i]), 1);
	/* Not allocated, and not asked for. */
	assert_int_equal(arm(&dev, MSIX, 50, 1, &(int){ -1 }), 0);
	assert_true(msix_masked(&dev, 50));
}

static void no_growth(void **state)
{
	(void)state;
	one_device("device 0000:02:00.0 bell noresize", BELL);
	irq_info(&dev, MSIX, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, 2048);
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(arm(&dev, MSIX, 2, 1, &fds[2]), -EINVAL);
	assert_int_equal(arm(&dev, MSIX, 1, 2, &fds[1]), -EINVAL);
	/* As in Linux: what the failed call had armed is disarmed. */
	ring(0);
	ring(1);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 0);
}

static void another_eventfd(void **state)
{
	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(arm(&dev, MSIX, 1, 1, &fds[9]), 0);
	bar_set(&dev, 0, BELL_RINGS, 2);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 0);
	assert_int_equal(take(fds[9]), 1);
}

/* The user may close his eventfd: the vector has one of its own. */
static void closed_eventfd(void **state)
{
	int fd = new_eventfd(), kept = dup(fd);

	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 1, &fd), 0);
	close(fd);
	ring(0);
	assert_int_equal(take(kept), 1);
	close(kept);
}

/* An eventfd at its limit must not stop the device, be it blocking or not. */
static void full_eventfd(void **state)
{
	uint64_t most = UINT64_MAX - 1, count;
	int flags[] = { EFD_CLOEXEC, EFD_CLOEXEC | EFD_NONBLOCK };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		int fd = eventfd(0, flags[i]);

		assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
		assert_int_equal(arm(&dev, MSIX, 0, 1, &fd), 0);
		ring(0);
		assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 0, 1, NULL, 0), 0);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_true(count == most);
		ring(0);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, 1);
		close(fd);
	}
}

static void loopback(void **state)
{
	uint8_t bools[4] = { 1, 0, 2, 0 };

	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 3, fds), 0);
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 1, 2, NULL, 0), 0);
	assert_int_equal(take(fds[0]), 0);
	assert_int_equal(take(fds[1]), 1);
	assert_int_equal(take(fds[2]), 1);
	assert_int_equal(set_irqs(&dev, BOOL | TRIGGER, MSIX, 0, 4, bools, 4), 0);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 0);
	assert_int_equal(take(fds[2]), 1);
	/* Vectors that do not exist yet are nobody's. */
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 0, 2048, NULL, 0), 0);
	assert_int_equal(take(fds[0]), 1);
}

static void count_zero(void **state)
{
	(void)state;
	/* No vectors at all cannot be enabled; but "up to 5, and none of them armed" can. */
	assert_int_equal(arm(&dev, MSIX, 0, 0, NULL), -ERANGE);
	assert_int_equal(arm(&dev, MSIX, 5, 0, NULL), 0);
	assert_true(control(PCI_CAP_ID_MSIX) & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(arm(&dev, MSIX, 0, 0, NULL), 0);
	assert_int_equal(set_irqs(&dev, BOOL | TRIGGER, MSIX, 0, 0, NULL, 0), 0);
	/* Disable, wherever start is. */
	assert_int_equal(set_irqs(&dev, NONE | TRIGGER, MSIX, 7, 0, NULL, 0), 0);
	assert_false(control(PCI_CAP_ID_MSIX) & PCI_MSIX_FLAGS_ENABLE);
}

static void mapped_table_is_rewritten(void **state)
{
	void *table;

	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(
		f.sys->ops->mmap(f.sys, 4096, PROT_READ | PROT_WRITE, dev.fd, 2ull << 40, &table),
		0);
	f.sys->ops->mmio_write(f.sys, table, 8, 0xdead0000);
	ring(0);
	assert_int_equal(take(fds[0]), 0);
	/* Arming puts the remembered message back. */
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	assert_int_equal(msix_address(&dev, 0), WINDOW);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(f.sys->ops->munmap(f.sys, table, 4096), 0);
}

static void reset_keeps_interrupts(void **state)
{
	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 3, fds), 0);
	assert_int_equal(arm(&dev, MSIX, 1, 1, &(int){ -1 }), 0);
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(msix_address(&dev, 2), WINDOW);
	assert_int_equal(msix_data(&dev, 2), 2);
	assert_true(msix_masked(&dev, 1));
	bar_set(&dev, 0, BELL_RINGS, 3);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 0);
	assert_int_equal(take(fds[2]), 1);
}

/* --- MSI --- */

static void msi(void **state)
{
	unsigned int cap = pci_find_capability(dev.soft->pci, PCI_CAP_ID_MSI);

	(void)state;
	assert_int_equal(arm(&dev, MSI, 0, 5, fds), 0);
	assert_true(control(PCI_CAP_ID_MSI) & PCI_MSI_FLAGS_ENABLE);
	assert_int_equal((control(PCI_CAP_ID_MSI) & PCI_MSI_FLAGS_QSIZE) >> 4, 3);
	assert_int_equal(pci_config_read(dev.soft->pci, cap + PCI_MSI_ADDRESS_LO, 4), WINDOW);
	for (unsigned int i = 0; i < 5; i++) {
		ring(i);
		for (unsigned int j = 0; j < 5; j++)
			assert_int_equal(take(fds[j]), j == i);
	}
	/* MSI does not grow. */
	assert_int_equal(arm(&dev, MSI, 5, 1, &fds[5]), -EINVAL);
	assert_int_equal(arm(&dev, MSI, 2, 1, &(int){ -1 }), 0);
	ring(2);
	assert_int_equal(take(fds[2]), 0);
	assert_int_equal(arm(&dev, MSI, 2, 1, &fds[8]), 0);
	assert_int_equal(take(fds[8]), 1);

	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), 0);
	ring(4);
	assert_int_equal(take(fds[4]), 1);
	assert_int_equal(disarm_all(&dev, MSI), 0);
	assert_false(control(PCI_CAP_ID_MSI) & PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(arm(&dev, MSI, 0, 32, fds), 0);
	bar_set(&dev, 0, BELL_RINGS, 32);
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(take(fds[i]), 1);
}

/* --- Errors and requests --- */

static void single(void **state)
{
	uint8_t one = 1, zero = 0;
	int minus_two = -2;

	(void)state;
	for (uint32_t index = VFIO_PCI_ERR_IRQ_INDEX; index <= VFIO_PCI_REQ_IRQ_INDEX; index++) {
		assert_int_equal(set_irqs(&dev, NONE | TRIGGER, index, 0, 1, NULL, 0), -EINVAL);
		assert_int_equal(set_irqs(&dev, NONE | TRIGGER, index, 0, 0, NULL, 0), -EINVAL);
		assert_int_equal(set_irqs(&dev, BOOL | TRIGGER, index, 0, 1, &one, 1), 0);
		assert_int_equal(set_irqs(&dev, BOOL | TRIGGER, index, 0, 0, &one, 1), -EINVAL);
		assert_int_equal(set_irqs(&dev, EVENTFD | TRIGGER, index, 0, 0, fds, 4), -EINVAL);
		assert_int_equal(set_irqs(&dev, EVENTFD | TRIGGER, index, 0, 1, &minus_two, 4),
				 -EINVAL);
		assert_int_equal(set_irqs(&dev, EVENTFD | TRIGGER, index, 1, 1, fds, 4), -EINVAL);

		assert_int_equal(set_irqs(&dev, EVENTFD | TRIGGER, index, 0, 1, &fds[index], 4), 0);
		assert_int_equal(set_irqs(&dev, NONE | TRIGGER, index, 0, 1, NULL, 0), 0);
		assert_int_equal(set_irqs(&dev, BOOL | TRIGGER, index, 0, 1, &one, 1), 0);
		assert_int_equal(set_irqs(&dev, BOOL | TRIGGER, index, 0, 1, &zero, 1), 0);
		assert_int_equal(take(fds[index]), 2);
		assert_int_equal(set_irqs(&dev, NONE | TRIGGER, index, 0, 0, NULL, 0), 0);
		assert_int_equal(set_irqs(&dev, NONE | TRIGGER, index, 0, 1, NULL, 0), -EINVAL);
		assert_int_equal(set_irqs(&dev, EVENTFD | TRIGGER, index, 0, 1, &fds[index], 4), 0);
		assert_int_equal(set_irqs(&dev, EVENTFD | TRIGGER, index, 0, 1, &(int){ -1 }, 4),
				 0);
		assert_int_equal(set_irqs(&dev, NONE | TRIGGER, index, 0, 1, NULL, 0), -EINVAL);
	}
}

/* --- Resources --- */

static void few_spis(void **state)
{
	(void)state;
	one_device("its v2m base=0x8020000 spis=64+6\ndevice 0000:02:00.0 bell\ndevice 0000:03:00.0 bell msi=4\n",
	      BELL);
	irq_info(&dev, MSIX, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, 2048);
	/* How many there would have been; and then none is enabled. */
	assert_int_equal(arm(&dev, MSIX, 0, 8, fds), 6);
	assert_false(control(PCI_CAP_ID_MSIX) & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(arm(&dev, MSIX, 0, 6, fds), 0);
	assert_int_equal(msix_data(&dev, 0), 64);
	assert_int_equal(msix_data(&dev, 5), 69);
	assert_int_equal(msix_address(&dev, 0), WINDOW);
	bar_set(&dev, 0, BELL_RINGS, 6);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(take(fds[i]), 1);
	{
		struct fixture_device msi;

		device_start(&f, "0000:03:00.0", &msi);
		assert_int_equal(arm(&msi, MSI, 0, 1, &fds[9]), -ENOSPC);
		assert_int_equal(arm(&dev, MSIX, 5, 1, &(int){ -1 }), 0);
		assert_int_equal(arm(&msi, MSI, 0, 1, &fds[9]), -ENOSPC);
		assert_int_equal(disarm_all(&dev, MSIX), 0);
		assert_int_equal(arm(&dev, MSIX, 0, 5, fds), 0);
		/* A block of 4 is not there; one is. */
		assert_int_equal(arm(&msi, MSI, 0, 4, &fds[9]), 1);
		assert_int_equal(arm(&msi, MSI, 0, 1, &fds[9]), 0);
		bar_set(&msi, 0, BELL_RING, 0);
		assert_int_equal(take(fds[9]), 1);
		device_close(&msi);
	}
}

/* An ITS with few EventIDs, as Linux sees it: vectors beyond them cannot be allocated. */
static void few_events(void **state)
{
	(void)state;
	one_device("its its base=0x8080000 event-bits=3\ndevice 0000:02:00.0 bell", BELL);
	assert_int_equal(arm(&dev, MSIX, 0, 9, fds), 8);
	assert_int_equal(arm(&dev, MSIX, 0, 8, fds), 0);
	assert_int_equal(arm(&dev, MSIX, 8, 1, &fds[8]), -ENOSPC);
	ring(7);
	assert_int_equal(take(fds[7]), 1);
}

/* A machine with 8,192 LPIs, for five devices with 2,048 vectors each. */
static void few_lpis(void **state)
{
	struct fixture_device devs[5];
	char address[] = "0000:02:00.0";

	(void)state;
	one_device("lpi-bits 14\ndevice 0000:02:00.0 bell count=5", BELL);
	device_close(&dev);
	for (unsigned int i = 0; i < 5; i++) {
		address[9] = (char)('0' + i);
		device_start(&f, address, &devs[i]);
		assert_int_equal(arm(&devs[i], MSIX, 0, 1, &fds[i]), i < 4 ? 0 : -ENODEV);
	}
	bar_set(&devs[3], 0, BELL_RING, 0);
	assert_int_equal(take(fds[3]), 1);
	/* The LPIs are the device's until it is closed. */
	assert_int_equal(disarm_all(&devs[0], MSIX), 0);
	assert_int_equal(arm(&devs[4], MSIX, 0, 1, &fds[4]), -ENODEV);
	device_close(&devs[0]);
	assert_int_equal(arm(&devs[4], MSIX, 0, 1, &fds[4]), 0);
	bar_set(&devs[4], 0, BELL_RING, 0);
	assert_int_equal(take(fds[4]), 1);
	for (unsigned int i = 1; i < 5; i++)
		device_close(&devs[i]);
}

static void pre_its(void **state)
{
	struct fixture_device other;

	(void)state;
	one_device("its pre-its base=0x8080000 window=0x58000000\n"
	      "device 0000:02:00.0 bell device-id=0x21\ndevice 0000:03:00.0 bell device-id=0x400",
	      BELL);
	device_start(&f, "0000:03:00.0", &other);
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(arm(&other, MSIX, 0, 2, &fds[2]), 0);
	/* Each has its own address; these two are in different pages of the window. */
	assert_int_equal(msix_address(&dev, 0), 0x8000084);
	assert_int_equal(msix_address(&other, 0), 0x8001000);
	ring(1);
	bar_set(&other, 0, BELL_RING, 0);
	assert_int_equal(take(fds[1]), 1);
	assert_int_equal(take(fds[2]), 1);
	assert_int_equal(take(fds[0]), 0);
	device_close(&other);
}

/*
 * Not attached, a device gets the doorbell itself, which does it no good: the SMMU lets nothing
 * through.
 */
static void detached(void **state)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = 8 };

	(void)state;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	/* DMA is blocked: there is no address for a message, and nothing is left of the attempt. */
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), -ENOSPC);
	assert_int_equal(device_attach(&dev, f.ioas), 0);
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
	/* Attached again elsewhere, the window goes with it. */
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	assert_int_equal(device_attach(&dev, f.ioas), 0);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
}

static void without_bus_master(void **state)
{
	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 1, fds), 0);
	config_set(&dev, PCI_COMMAND, 2, config_get(&dev, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
	ring(0);
	assert_int_equal(take(fds[0]), 0);
}

static void fails_whole(void **state)
{
	int three[3] = { fds[0], fds[1], fds[2] };
	unsigned long n;
	long before;
	int ret;

	(void)state;
	/* Once, so that the caches and the iommufd's own state are there. */
	assert_int_equal(arm(&dev, MSIX, 0, 3, three), 0);
	assert_int_equal(disarm_all(&dev, MSIX), 0);
	before = soft_alloc_live();
	for (n = 1;; n++) {
		soft_alloc_fail_nth(n);
		ret = arm(&dev, MSIX, 0, 3, three);
		soft_alloc_fail_nth(0);
		if (!ret)
			break;
		assert_true(ret == -ENOMEM || ret == -EMFILE);
		assert_false(control(PCI_CAP_ID_MSIX) & PCI_MSIX_FLAGS_ENABLE);
		assert_int_equal(soft_alloc_live(), before);
	}
	assert_true(n > 6);
	assert_int_equal(disarm_all(&dev, MSIX), 0);
	assert_int_equal(soft_alloc_live(), before);
}

/*
 * Interrupts in a storm while their vectors are armed, changed and disarmed: none to the wrong
 * eventfd, none after the end.
 */
static void *storm(void *arg)
{
	const volatile bool *stop = arg;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		ring(1);
	return NULL;
}

static void changes_in_a_storm(void **state)
{
	pthread_t thread;
	bool stop = false;

	(void)state;
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(pthread_create(&thread, NULL, storm, &stop), 0);
	for (unsigned int i = 0; i < 200; i++) {
		assert_int_equal(arm(&dev, MSIX, 1, 1, &fds[2 + i % 2]), 0);
		if (i % 20 == 19) {
			assert_int_equal(disarm_all(&dev, MSIX), 0);
			take(fds[2]);
			take(fds[3]);
			sched_yield();
			assert_int_equal(take(fds[2]), 0);
			assert_int_equal(take(fds[3]), 0);
			assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
		}
		if (i % 50 == 49)
			assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_RESET, NULL), 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(take(fds[0]), 0);
}

/*
 * Two functions behind a PCIe-to-PCI bridge have one StreamID and one DeviceID: each has interrupts
 * and DMA of its own nevertheless, whichever comes and goes first.
 */
static void behind_a_bridge(void **state)
{
	struct fixture_device other;

	(void)state;
	one_device("device 0008:02:00.0 bell sid=0x200 device-id=0x200 vectors=2 group=1\n"
		   "device 0008:02:02.0 bell sid=0x200 device-id=0x200 vectors=40 group=1\n",
		   "0008:02:00.0");
	device_start(&f, "0008:02:02.0", &other);
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	assert_int_equal(arm(&other, MSIX, 0, 40, &fds[2]), 0);
	assert_int_equal(msix_address(&dev, 1), msix_address(&other, 1));
	for (unsigned int i = 0; i < 40; i++) {
		bar_set(&other, 0, BELL_RING, i);
		for (unsigned int j = 0; j < 42; j++)
			assert_int_equal(take(fds[j]), j == i + 2);
	}
	ring(1);
	assert_int_equal(take(fds[1]), 1);
	/* what one gives back, the other keeps */
	device_close(&dev);
	bar_set(&other, 0, BELL_RING, 39);
	assert_int_equal(take(fds[41]), 1);
	device_start(&f, "0008:02:00.0", &dev);
	assert_int_equal(arm(&dev, MSIX, 0, 2, fds), 0);
	device_close(&other);
	ring(0);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(disarm_all(&dev, MSIX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(info, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(ranges_and_flags, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(eventfd_rules, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(msix, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(all_vectors, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(start_above_zero, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(holes, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(growth, setup_bell, teardown_device),
		cmocka_unit_test_teardown(no_growth, teardown_device),
		cmocka_unit_test_setup_teardown(another_eventfd, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(closed_eventfd, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(full_eventfd, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(loopback, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(count_zero, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(mapped_table_is_rewritten, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(reset_keeps_interrupts, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(msi, setup_bell_msi, teardown_device),
		cmocka_unit_test_setup_teardown(single, setup_bell, teardown_device),
		cmocka_unit_test_teardown(few_spis, teardown_device),
		cmocka_unit_test_teardown(few_events, teardown_device),
		cmocka_unit_test_teardown(few_lpis, teardown_device),
		cmocka_unit_test_teardown(pre_its, teardown_device),
		cmocka_unit_test_teardown(behind_a_bridge, teardown_device),
		cmocka_unit_test_setup_teardown(detached, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(without_bus_master, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(fails_whole, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(changes_in_a_storm, setup_bell, teardown_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
