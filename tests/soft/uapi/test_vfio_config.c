/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space as vfio-pci shows it. */
#include "soft/uapi/one_device.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#define REGION ((uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)

static uint32_t raw(unsigned int off, unsigned int size)
{
	return pci_config_read(dev.soft->pci, off, size);
}

static void header(void **state)
{
	(void)state;
	assert_int_equal(config_get(&dev, PCI_VENDOR_ID, 2), BELL_VENDOR);
	assert_int_equal(config_get(&dev, PCI_DEVICE_ID, 2), BELL_DEVICE);
	assert_int_equal(config_get(&dev, PCI_VENDOR_ID, 4),
			 (uint32_t)BELL_DEVICE << 16 | BELL_VENDOR);
	config_set(&dev, PCI_VENDOR_ID, 4, 0);
	assert_int_equal(config_get(&dev, PCI_VENDOR_ID, 2), BELL_VENDOR);
	assert_int_equal(config_get(&dev, PCI_INTERRUPT_PIN, 1), 0);
	config_set(&dev, PCI_INTERRUPT_LINE, 1, 11);
	assert_int_equal(config_get(&dev, PCI_INTERRUPT_LINE, 1), 11);
	assert_int_equal(config_get(&dev, PCI_ROM_ADDRESS, 4), 0);
	config_set(&dev, PCI_ROM_ADDRESS, 4, UINT32_MAX);
	assert_int_equal(config_get(&dev, PCI_ROM_ADDRESS, 4), 0);
	assert_true(config_get(&dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
}

static void command(void **state)
{
	(void)state;
	/* Memory is decoded from the start; bus mastering was asked for by the fixture. */
	assert_int_equal(config_get(&dev, PCI_COMMAND, 2) &
				 (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(raw(PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	config_set(&dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_false(raw(PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	/* INTx disable is the user's own; there is no INTx. */
	config_set(&dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(config_get(&dev, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	/* By bytes. */
	config_set(&dev, PCI_COMMAND, 1, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(config_get(&dev, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}

static void bars(void **state)
{
	const struct pci_shape *shape = pci_dev_shape(dev.soft->pci);

	(void)state;
	for (unsigned int bar = 0; bar < PCI_BARS; bar++) {
		unsigned int off = PCI_BASE_ADDRESS_0 + 4 * bar;
		uint32_t real = raw(off, 4);

		config_set(&dev, off, 4, UINT32_MAX);
		/* Sizing works, and the device's own BAR is not touched. */
		assert_int_equal(raw(off, 4), real);
		if (shape->bar_size[bar]) {
			uint32_t value = config_get(&dev, off, 4);

			assert_int_equal(-(value & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK),
					 shape->bar_size[bar]);
			assert_int_equal(value & ~PCI_BASE_ADDRESS_MEM_MASK,
					 real & ~PCI_BASE_ADDRESS_MEM_MASK);
			config_set(&dev, off, 4, 0x12345678);
			assert_int_equal(config_get(&dev, off, 4) & PCI_BASE_ADDRESS_MEM_MASK,
					 0x12345678 & ~(shape->bar_size[bar] - 1));
		} else if (!bar || !(raw(off - 4, 4) & PCI_BASE_ADDRESS_MEM_TYPE_64)) {
			assert_int_equal(config_get(&dev, off, 4), 0);
		}
	}
	/* And the device answers as before. */
	assert_int_equal(bar_get(&dev, 0, BELL_ID), 0x4c4c4542);
}

static void capability_list(void **state)
{
	(void)state;
	assert_int_not_equal(find_cap(&dev, PCI_CAP_ID_MSIX), 0);
	assert_int_not_equal(find_cap(&dev, PCI_CAP_ID_EXP), 0);
	assert_int_equal(find_cap(&dev, PCI_CAP_ID_MSI), 0);
	/* No extended ones. */
	assert_int_equal(config_get(&dev, 0x100, 4), 0);
	config_set(&dev, 0x100, 4, UINT32_MAX);
	assert_int_equal(config_get(&dev, 0x100, 4), 0);
}

static void msix_is_the_kernels(void **state)
{
	unsigned int cap = find_cap(&dev, PCI_CAP_ID_MSIX);
	int fd = new_eventfd();

	(void)state;
	config_set(&dev, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(config_get(&dev, cap + PCI_MSIX_FLAGS, 2), 2047);
	assert_int_equal(arm(&dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd), 0);
	assert_int_equal(config_get(&dev, cap + PCI_MSIX_FLAGS, 2), 2047 | PCI_MSIX_FLAGS_ENABLE);
	config_set(&dev, cap + PCI_MSIX_FLAGS, 2, 0);
	bar_set(&dev, 0, BELL_RING, 0);
	assert_int_equal(take(fd), 1);
	assert_int_equal(config_get(&dev, cap + PCI_MSIX_TABLE, 4), 2);
	close(fd);
}

static void msi_is_virtual(void **state)
{
	unsigned int cap = find_cap(&dev, PCI_CAP_ID_MSI),
		     hw = pci_find_capability(dev.soft->pci, PCI_CAP_ID_MSI);
	uint32_t flags = config_get(&dev, cap + PCI_MSI_FLAGS, 2);
	bool wide = flags & PCI_MSI_FLAGS_64BIT;
	unsigned int data = cap + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32);
	int fds[4];

	(void)state;
	assert_int_equal(cap, hw);
	assert_int_equal((flags & PCI_MSI_FLAGS_QMASK) >> 1, 5);
	/* What the user writes he reads, but the device does not get it. */
	config_set(&dev, cap + PCI_MSI_ADDRESS_LO, 4, 0x12345678);
	config_set(&dev, data, 2, 0xabcd);
	assert_int_equal(config_get(&dev, cap + PCI_MSI_ADDRESS_LO, 4), 0x12345678);
	assert_int_equal(config_get(&dev, data, 2), 0xabcd);
	assert_int_equal(raw(cap + PCI_MSI_ADDRESS_LO, 4), 0);
	/* Enabled only by SET_IRQS, and with no more vectors than that. */
	config_set(&dev, cap + PCI_MSI_FLAGS, 2, flags | PCI_MSI_FLAGS_ENABLE | 5 << 4);
	assert_int_equal(config_get(&dev, cap + PCI_MSI_FLAGS, 2), flags);
	assert_false(raw(cap + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	for (unsigned int i = 0; i < 4; i++)
		fds[i] = new_eventfd();
	assert_int_equal(arm(&dev, VFIO_PCI_MSI_IRQ_INDEX, 0, 4, fds), 0);
	config_set(&dev, cap + PCI_MSI_FLAGS, 2, flags | PCI_MSI_FLAGS_ENABLE | 5 << 4);
	assert_int_equal(config_get(&dev, cap + PCI_MSI_FLAGS, 2),
			 flags | PCI_MSI_FLAGS_ENABLE | 2 << 4);
	assert_int_equal(raw(cap + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_QSIZE, 2 << 4);
	bar_set(&dev, 0, BELL_RING, 3);
	assert_int_equal(take(fds[3]), 1);
	/* The guest may turn it off, and on. */
	config_set(&dev, cap + PCI_MSI_FLAGS, 2, flags | 2 << 4);
	bar_set(&dev, 0, BELL_RING, 3);
	assert_int_equal(take(fds[3]), 0);
	config_set(&dev, cap + PCI_MSI_FLAGS, 2, flags | PCI_MSI_FLAGS_ENABLE | 2 << 4);
	bar_set(&dev, 0, BELL_RING, 3);
	assert_int_equal(take(fds[3]), 1);
	assert_int_equal(config_get(&dev, cap + PCI_MSI_ADDRESS_LO, 4), 0x12345678);
	for (unsigned int i = 0; i < 4; i++)
		close(fds[i]);
}

static void function_level_reset(void **state)
{
	unsigned int cap = find_cap(&dev, PCI_CAP_ID_EXP);
	int fd = new_eventfd();

	(void)state;
	assert_true(config_get(&dev, cap + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	assert_int_equal(arm(&dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd), 0);
	bar_set(&dev, 0, BELL_SRC, 0x77);
	config_set(&dev, cap + PCI_EXP_DEVCTL, 2,
		   config_get(&dev, cap + PCI_EXP_DEVCTL, 2) | PCI_EXP_DEVCTL_BCR_FLR);
	assert_false(config_get(&dev, cap + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR);
	/* The device forgot, the kernel did not. */
	assert_int_equal(bar_get(&dev, 0, BELL_SRC), 0);
	assert_true(raw(PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	bar_set(&dev, 0, BELL_RING, 0);
	assert_int_equal(take(fd), 1);
	close(fd);
}

static void no_function_level_reset(void **state)
{
	unsigned int cap;

	(void)state;
	one_device("device 0000:02:00.0 bell no-reset", BELL);
	cap = find_cap(&dev, PCI_CAP_ID_EXP);
	assert_false(config_get(&dev, cap + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	assert_false(config_get(&dev, cap + PCI_EXP_DEVCAP + 3, 1) & (PCI_EXP_DEVCAP_FLR >> 24));
	bar_set(&dev, 0, BELL_SRC, 0x77);
	config_set(&dev, cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(bar_get(&dev, 0, BELL_SRC), 0x77);
}

static void ranges(void **state)
{
	uint8_t whole[PCI_CONFIG_SIZE + 1];

	(void)state;
	assert_int_equal(f.sys->ops->pread(f.sys, dev.fd, whole, PCI_CONFIG_SIZE, REGION),
			 PCI_CONFIG_SIZE);
	assert_int_equal(whole[0] | whole[1] << 8, BELL_VENDOR);
	assert_int_equal(f.sys->ops->pread(f.sys, dev.fd, whole, PCI_CONFIG_SIZE + 1, REGION),
			 -EFAULT);
	assert_int_equal(f.sys->ops->pread(f.sys, dev.fd, whole, 1, REGION + PCI_CONFIG_SIZE),
			 -EFAULT);
	assert_int_equal(f.sys->ops->pread(f.sys, dev.fd, whole, 4, REGION + PCI_CONFIG_SIZE - 2),
			 -EFAULT);
	assert_int_equal(f.sys->ops->pread(f.sys, dev.fd, NULL, 4, REGION), -EFAULT);
	/* Any length and alignment. */
	assert_int_equal(f.sys->ops->pread(f.sys, dev.fd, whole, 3, REGION + 1), 3);
	assert_int_equal(whole[0], BELL_VENDOR >> 8);
	assert_int_equal(whole[1] | whole[2] << 8, BELL_DEVICE);
}

/*
 * Whatever a guest writes wherever: the device's BARs stay, and nothing else of the host suffers.
 */
static void garbage(void **state)
{
	uint32_t seed = 1, before = raw(PCI_BASE_ADDRESS_0, 4);

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		uint32_t off, value, size;

		seed = seed * 1664525 + 1013904223;
		off = seed >> 8;
		seed = seed * 1664525 + 1013904223;
		value = seed;
		size = 1u << (off >> 20 & 3) % 3;
		off = off & 1 ? off % PCI_CONFIG_SIZE : off % 0x100;
		off &= ~(size - 1);
		f.sys->ops->pwrite(f.sys, dev.fd, &value, size, REGION + off);
	}
	assert_int_equal(raw(PCI_BASE_ADDRESS_0, 4), before);
	config_set(&dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(bar_get(&dev, 0, BELL_ID), 0x4c4c4542);
}

/* What one user leaves in the device the next does not find. */
static void closed_and_opened(void **state)
{
	(void)state;
	bar_set(&dev, 0, BELL_SRC, 0x77);
	config_set(&dev, PCI_INTERRUPT_LINE, 1, 11);
	device_close(&dev);
	assert_false(raw(PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	device_open(&f, BELL, &dev);
	device_bind(&dev);
	assert_int_equal(bar_get(&dev, 0, BELL_SRC), 0);
	assert_int_not_equal(config_get(&dev, PCI_INTERRUPT_LINE, 1), 11);
	assert_false(config_get(&dev, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(header, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(command, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(bars, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(capability_list, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(msix_is_the_kernels, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(msi_is_virtual, setup_bell_msi, teardown_device),
		cmocka_unit_test_setup_teardown(function_level_reset, setup_bell, teardown_device),
		cmocka_unit_test_teardown(no_function_level_reset, teardown_device),
		cmocka_unit_test_setup_teardown(ranges, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(garbage, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(closed_and_opened, setup_bell, teardown_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
