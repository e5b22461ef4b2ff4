/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions: config space, BARs, MSI-X and MSI with their masks, DMA through the SMMU, reset.
 */
#include <errno.h>
#include <sys/mman.h>

#include "hw_fixture.h"

#define BELL_ID_REGISTER ((uint32_t)BELL_DEVICE << 16 | BELL_VENDOR)

static int setup(void **state)
{
	*state = hw_create(DOORBELL_ITS);
	return 0;
}

static int teardown(void **state)
{
	hw_destroy(*state);
	return 0;
}

static uint64_t all_taken(struct hw *hw)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < HW_VECTORS; i++)
		sum += hw_taken(hw, i);
	return sum;
}

/* --- Config space and BARs --- */

static void test_config(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 5, 0);
	unsigned int msix = pci_find_capability(dev, PCI_CAP_ID_MSIX);
	unsigned int pm = pci_find_capability(dev, PCI_CAP_ID_PM);
	unsigned int exp = pci_find_capability(dev, PCI_CAP_ID_EXP);

	assert_int_equal(pci_config_read(dev, 0, 4), BELL_ID_REGISTER);
	assert_int_equal(pci_config_read(dev, 0, 2), BELL_VENDOR);
	assert_int_equal(pci_config_read(dev, 3, 1), BELL_DEVICE >> 8);
	assert_int_equal(pci_config_read(dev, PCI_CLASS_REVISION, 4) >> 8, 0x088000);
	assert_int_equal(pci_config_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST,
			 PCI_STATUS_CAP_LIST);
	assert_int_equal(pci_config_read(dev, 0x0e, 1), 0);
	assert_true(msix && pm && exp);
	assert_int_equal(pci_find_capability(dev, PCI_CAP_ID_MSI), 0);
	assert_int_equal(pci_find_capability(dev, 0x42), 0);
	assert_int_equal(pci_config_read(dev, msix + PCI_MSIX_FLAGS, 2), 4);
	assert_int_equal(pci_config_read(dev, msix + PCI_MSIX_TABLE, 4), 2);
	assert_int_equal(pci_config_read(dev, msix + PCI_MSIX_PBA, 4), 0x8002);
	assert_true(pci_config_read(dev, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);

	/* Read-only is read-only. */
	for (unsigned int off = 0; off < 256; off += 4) {
		if (off != (exp + PCI_EXP_DEVCTL))
			pci_config_write(dev, off, 4, ~0u);
	}
	assert_int_equal(pci_config_read(dev, 0, 4), BELL_ID_REGISTER);
	assert_int_equal(pci_config_read(dev, PCI_COMMAND, 4), 0x00100546);
	assert_int_equal(pci_config_read(dev, msix + PCI_MSIX_FLAGS, 2), 0xc004);
	assert_int_equal(pci_config_read(dev, pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET | 3);

	/* BAR sizes: 64-bit BAR0 of 4 KiB, BAR2 of 64 KiB. */
	assert_int_equal(pci_config_read(dev, PCI_CFG_BAR(0), 4), 0xfffff004);
	assert_int_equal(pci_config_read(dev, PCI_CFG_BAR(1), 4), 0xffffffff);
	assert_int_equal(pci_config_read(dev, PCI_CFG_BAR(2), 4), 0xffff0004);
	assert_int_equal(pci_config_read(dev, PCI_CFG_BAR(4), 4), 0);

	/* Accesses that are none. */
	assert_int_equal(pci_config_read(dev, 1, 2), ~0u);
	assert_int_equal(pci_config_read(dev, 0, 3), ~0u);
	assert_int_equal(pci_config_read(dev, 4096, 4), ~0u);
	assert_int_equal(pci_config_read(dev, 256, 4), 0);
	assert_int_equal(pci_config_read(dev, 4092, 4), 0);
	pci_config_write(dev, 4096, 4, 0);
	pci_config_write(dev, 256, 4, ~0u);
	pci_dev_destroy(dev);
}

static void test_bars(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 5, 0);

	assert_int_equal(pci_bar_read(dev, 0, BELL_ID, 4), 0x4c4c4542);
	assert_int_equal(pci_bar_read(dev, 0, BELL_VECTORS, 4), 5);
	assert_int_equal(pci_bar_read(dev, 0, BELL_ID, 8), 5ull << 32 | 0x4c4c4542);
	assert_int_equal(pci_bar_read(dev, 0, 4096, 4), ~0ull);
	assert_int_equal(pci_bar_read(dev, 1, 0, 4), ~0ull);
	assert_int_equal(pci_bar_read(dev, 6, 0, 4), ~0ull);
	assert_int_equal(pci_bar_read(dev, 0, 2, 4), ~0ull);
	assert_int_equal(pci_bar_read(dev, 0, 0, 3), ~0ull);
	assert_int_equal(pci_bar_read(dev, 0, UINT64_MAX - 7, 8), ~0ull);

	/* The table starts masked; dwords and quadwords write it, smaller do not. */
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(pci_bar_read(dev, 2, i * 16 + 12, 4), 1);
	pci_bar_write(dev, 2, 0, 8, 0x1122334455667788ull);
	assert_int_equal(pci_bar_read(dev, 2, 0, 4), 0x55667788);
	assert_int_equal(pci_bar_read(dev, 2, 4, 4), 0x11223344);
	pci_bar_write(dev, 2, 8, 8, 0xffffffff99aabbccull);
	assert_int_equal(pci_bar_read(dev, 2, 8, 4), 0x99aabbcc);
	/* Only the mask bit of Vector Control. */
	assert_int_equal(pci_bar_read(dev, 2, 12, 4), 1);
	pci_bar_write(dev, 2, 0, 2, 0);
	pci_bar_write(dev, 2, 3, 1, 0);
	assert_int_equal(pci_bar_read(dev, 2, 0, 8), 0x1122334455667788ull);
	assert_int_equal(pci_bar_read(dev, 2, 2, 2), 0x5566);
	assert_int_equal(pci_bar_read(dev, 2, 5, 1), 0x33);
	/* Behind the table there is nothing, and the PBA cannot be written. */
	pci_bar_write(dev, 2, 5 * 16, 4, 7);
	assert_int_equal(pci_bar_read(dev, 2, 5 * 16, 4), 0);
	pci_bar_write(dev, 2, 0x8000, 8, ~0ull);
	assert_int_equal(pci_bar_read(dev, 2, 0x8000, 8), 0);
	pci_dev_destroy(dev);
}

static void count_destroy(void *state)
{
	(*(unsigned int *)state)++;
}

static void count_reset(void *state)
{
	(void)state;
}

static void test_shapes(void **state)
{
	static const struct pci_model model = { .name = "none",
						.reset = count_reset,
						.destroy = count_destroy };
	const struct pci_shape good = {
		.bar_size = { 4096, 0, 65536 },
		.msix_vectors = 2048,
		.msix_bar = 2,
		.msix_pba_off = 0x8000,
	};
	struct pci_shape bad[8];
	struct pci_slot slot = hw_slot(*state);
	struct pci_dev *dev = NULL;
	unsigned int destroyed = 0, n = 0;

	for (unsigned int i = 0; i < 8; i++)
		bad[i] = good;
	bad[n++].bar_size[0] = 2048;
	bad[n++].bar_size[0] = 12288;
	bad[n++].msix_vectors = 2049;
	bad[n++].msix_bar = 6;
	bad[n++].msix_bar = 0;
	bad[n++].msix_pba_off = 0x7000;
	bad[n++].msix_table_off = 16;
	bad[n++].msi_vectors = 3;
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(pci_dev_create(&slot, &bad[i], &model, &destroyed, &dev), -EINVAL);
		assert_int_equal(destroyed, i + 1);
	}
	assert_int_equal(pci_dev_create(&slot, &good, &model, &destroyed, &dev), 0);
	assert_ptr_equal(pci_dev_model(dev), &model);
	assert_int_equal(pci_dev_slot(dev)->sid, HW_SID);
	assert_int_equal(pci_bar_read(dev, 0, 0, 4), 0);
	pci_bar_write(dev, 0, 0, 4, 1);
	pci_dev_destroy(dev);
	assert_int_equal(destroyed, n + 1);
}

static uint64_t read_pattern(void *state, unsigned int bar, uint64_t off, unsigned int size)
{
	(void)state, (void)bar, (void)off, (void)size;
	return 0x5a;
}

/* Table and PBA are as long as the vectors ask for, the latter in whole quadwords. */
static void test_table_ends(void **state)
{
	static const struct pci_model model = { .name = "pattern", .bar_read = read_pattern,
						.reset = count_reset, .destroy = count_destroy };
	static const unsigned int vectors[] = { 1, 63, 64, 65, 128, 129, 2048 };
	struct pci_slot slot = hw_slot(*state);
	unsigned int destroyed = 0;

	for (unsigned int i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct pci_shape shape = {
			.bar_size = { 4096, 0, 65536 }, .msix_vectors = vectors[i], .msix_bar = 2,
			.msix_pba_off = 0x8000,
		};
		uint64_t table = 16 * vectors[i], pba = 0x8000 + (vectors[i] + 63) / 64 * 8;
		struct pci_dev *dev = NULL;

		assert_int_equal(pci_dev_create(&slot, &shape, &model, &destroyed, &dev), 0);
		assert_int_equal(pci_bar_read(dev, 2, table - 4, 4), 1);
		if (table < 0x8000)
			assert_int_equal(pci_bar_read(dev, 2, table, 4), 0x5a);
		assert_int_equal(pci_bar_read(dev, 2, 0x7ffc, 4), table < 0x8000 ? 0x5a : 1);
		assert_int_equal(pci_bar_read(dev, 2, 0x8000, 8), 0);
		assert_int_equal(pci_bar_read(dev, 2, pba - 8, 8), 0);
		assert_int_equal(pci_bar_read(dev, 2, pba - 1, 1), 0);
		assert_int_equal(pci_bar_read(dev, 2, pba, 4), 0x5a);
		assert_int_equal(pci_bar_read(dev, 0, 0x800, 4), 0x5a);
		pci_dev_destroy(dev);
	}
}

/* --- MSI-X --- */

static void test_msix(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, HW_VECTORS, 0);

	hw_arm(hw, dev);
	for (unsigned int i = 0; i < HW_VECTORS; i++)
		hw_ring(dev, i);
	for (unsigned int i = 0; i < HW_VECTORS; i++)
		assert_int_equal(hw_taken(hw, i), 1);
	pci_bar_write(dev, 0, BELL_RINGS, 4, 10);
	assert_int_equal(all_taken(hw), HW_VECTORS + 10);
	pci_bar_write(dev, 0, BELL_RINGS, 4, UINT32_MAX);
	assert_int_equal(all_taken(hw), 2 * HW_VECTORS + 10);
	hw_ring(dev, HW_VECTORS);
	hw_ring(dev, UINT32_MAX);
	assert_int_equal(all_taken(hw), 2 * HW_VECTORS + 10);
	assert_int_equal(pci_bar_read(dev, 0, BELL_RUNG, 8), 2 * HW_VECTORS + 10);
	assert_int_equal(hw->events, 0);
	pci_dev_destroy(dev);
}

static void test_msix_vector_mask(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, HW_VECTORS, 0);

	hw_arm(hw, dev);
	hw_msix_mask(dev, 40, true);
	hw_ring(dev, 40);
	hw_ring(dev, 40);
	hw_ring(dev, 41);
	assert_int_equal(hw_taken(hw, 40), 0);
	assert_int_equal(hw_taken(hw, 41), 1);
	assert_int_equal(pci_bar_read(dev, 2, 0x8000, 8), 1ull << 40);
	/* The message as it is when it is sent. */
	hw_msix_entry(dev, 40, hw_doorbell_iova(hw), 3, true);
	hw_msix_mask(dev, 40, false);
	assert_int_equal(hw_taken(hw, 40), 0);
	assert_int_equal(hw_taken(hw, 3), 1);
	assert_int_equal(pci_bar_read(dev, 2, 0x8000, 8), 0);
	hw_msix_mask(dev, 40, false);
	assert_int_equal(hw_taken(hw, 3), 1);
	pci_dev_destroy(dev);
}

static void test_msix_function_mask(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, HW_VECTORS, 0);

	hw_arm(hw, dev);
	hw_msix_mask(dev, 2, true);
	hw_msix_control(dev, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_bar_write(dev, 0, BELL_RINGS, 4, 4);
	assert_int_equal(all_taken(hw), 0);
	assert_int_equal(pci_bar_read(dev, 2, 0x8000, 8), 0xf);
	/* Unmasking a vector under the function mask sends nothing. */
	hw_msix_mask(dev, 1, false);
	assert_int_equal(all_taken(hw), 0);
	hw_msix_control(dev, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(all_taken(hw), 3);
	assert_int_equal(hw_taken(hw, 2), 0);
	assert_int_equal(pci_bar_read(dev, 2, 0x8000, 8), 0x4);
	hw_msix_mask(dev, 2, false);
	assert_int_equal(hw_taken(hw, 2), 1);
	pci_dev_destroy(dev);
}

static void test_msix_off(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, HW_VECTORS, 0);

	hw_arm(hw, dev);
	hw_msix_control(dev, 0);
	hw_ring(dev, 1);
	hw_msix_control(dev, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(all_taken(hw), 0);

	/* Neither without bus mastering, nor out of D0. */
	pci_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	hw_ring(dev, 1);
	hw_bus_master(dev);
	assert_int_equal(all_taken(hw), 0);
	pci_config_write(dev, pci_find_capability(dev, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2, 3);
	hw_ring(dev, 1);
	pci_config_write(dev, pci_find_capability(dev, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2, 0);
	assert_int_equal(all_taken(hw), 0);
	hw_ring(dev, 1);
	assert_int_equal(all_taken(hw), 1);

	/* What is pending when bus mastering goes off is sent when it comes back. */
	hw_msix_mask(dev, 1, true);
	hw_ring(dev, 1);
	pci_config_write(dev, PCI_COMMAND, 2, 0);
	hw_msix_mask(dev, 1, false);
	assert_int_equal(all_taken(hw), 1);
	hw_bus_master(dev);
	assert_int_equal(all_taken(hw), 2);
	pci_dev_destroy(dev);
}

/* Who maps the table changes it without a call; rescan makes up for what pended. */
static void test_msix_mapped(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, HW_VECTORS, 0);
	uint32_t *table;
	int fd;

	hw_arm(hw, dev);
	assert_int_equal(pci_bar_memfd(dev, 0, &fd), -EOPNOTSUPP);
	assert_int_equal(pci_bar_memfd(dev, 2, &fd), 0);
	table = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(table, MAP_FAILED);
	assert_int_equal(table[4 * 7 + 2], 7);
	table[4 * 7 + 3] = 1;
	hw_ring(dev, 7);
	assert_int_equal(all_taken(hw), 0);
	assert_int_equal(table[0x8000 / 4], 1 << 7);
	table[4 * 7 + 2] = 9;
	table[4 * 7 + 3] = 0;
	assert_int_equal(all_taken(hw), 0);
	pci_msix_rescan(dev);
	assert_int_equal(hw_taken(hw, 9), 1);
	assert_int_equal(all_taken(hw), 1);
	pci_msix_rescan(dev);
	assert_int_equal(all_taken(hw), 1);

	/* All ones, PBA too: its own vectors go where its own table says, and nothing else. */
	memset(table, 0xff, 65536);
	pci_msix_rescan(dev);
	hw_ring(dev, 7);
	assert_int_equal(all_taken(hw), 1);
	for (unsigned int i = 0; i < HW_VECTORS; i++)
		table[4 * i + 3] = 0;
	pci_msix_rescan(dev);
	assert_int_equal(all_taken(hw), 1);
	assert_int_equal(hw->events, HW_VECTORS);
	munmap(table, 65536);
	pci_dev_destroy(dev);
}

/* A message to a place where the device may not write: an event, and nothing else. */
static void test_msix_faults(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 4, 0);

	hw_arm(hw, dev);
	hw_msix_entry(dev, 0, 0x123456789000ull, 0, false);
	hw_ring(dev, 0);
	assert_int_equal(hw->events, 1);
	assert_int_equal(hw->last_event.dw[0] & 0xff, SMMU_EVT_F_TRANSLATION);
	assert_int_equal(hw->last_event.dw[0] >> 32, HW_SID);
	assert_int_equal(hw->last_event.dw[2], 0x123456789000ull);

	/* To memory: the data is written there, and no interrupt comes. */
	hw_msix_entry(dev, 0, GUEST_IOVA + 0x100, 0xabcd, false);
	hw_ring(dev, 0);
	assert_int_equal(*(uint32_t *)(hw->ram + 0x100), 0xabcd);
	assert_int_equal(hw->events, 1);

	/* Elsewhere on the doorbell page. */
	hw_msix_entry(dev, 0, DOORBELL_IOVA + 0x44, 0, false);
	hw_ring(dev, 0);
	/* Data out of range: discarded by the ITS. */
	hw_msix_entry(dev, 0, hw_doorbell_iova(hw), HW_VECTORS, false);
	hw_ring(dev, 0);
	assert_int_equal(its_dev_discarded(hw->its), 1);
	assert_int_equal(all_taken(hw), 0);

	/* The stream is closed. */
	uint64_t ste[8];

	smmu_ste_abort(ste);
	hw_set_ste(hw, HW_SID, ste);
	hw_msix_entry(dev, 0, hw_doorbell_iova(hw), 0, false);
	hw_ring(dev, 0);
	assert_int_equal(all_taken(hw), 0);
	hw_set_ste(hw, HW_SID, hw->ste);
	hw_ring(dev, 0);
	assert_int_equal(all_taken(hw), 1);
	pci_dev_destroy(dev);
}

/* --- MSI --- */

static void msi_arm(struct hw *hw, struct pci_dev *dev, unsigned int granted_bits)
{
	unsigned int cap = pci_find_capability(dev, PCI_CAP_ID_MSI);
	bool wide = pci_dev_shape(dev)->msi_64bit;

	hw_bus_master(dev);
	pci_config_write(dev, cap + PCI_MSI_ADDRESS_LO, 4, hw_doorbell_iova(hw));
	if (wide)
		pci_config_write(dev, cap + PCI_MSI_ADDRESS_HI, 4, hw_doorbell_iova(hw) >> 32);
	pci_config_write(dev, cap + PCI_MSI_DATA_32 + (wide ? 4 : 0), 2, 0);
	pci_config_write(dev, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | granted_bits << 4);
}

static void test_msi(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 0, 32);
	unsigned int cap = pci_find_capability(dev, PCI_CAP_ID_MSI);
	int fd;

	assert_int_equal(pci_find_capability(dev, PCI_CAP_ID_MSIX), 0);
	assert_int_equal(pci_bar_memfd(dev, 2, &fd), -EOPNOTSUPP);
	assert_int_equal(pci_config_read(dev, cap + PCI_MSI_FLAGS, 2),
			 5 << 1 | PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	hw_ring(dev, 0);
	msi_arm(hw, dev, 5);
	for (unsigned int i = 0; i < 32; i++)
		hw_ring(dev, i);
	hw_ring(dev, 32);
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(hw_taken(hw, i), 1);

	/* Low bits of the data are the vector's, whatever stands there. */
	pci_config_write(dev, cap + PCI_MSI_DATA_32 + 4, 2, 0x3f);
	hw_ring(dev, 1);
	assert_int_equal(hw_taken(hw, 33), 1);
	pci_config_write(dev, cap + PCI_MSI_DATA_32 + 4, 2, 0);

	/* Four granted: vectors share. More than capable is as capable. */
	pci_config_write(dev, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 2 << 4);
	hw_ring(dev, 7);
	assert_int_equal(hw_taken(hw, 3), 2);
	pci_config_write(dev, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 7 << 4);
	hw_ring(dev, 31);
	assert_int_equal(hw_taken(hw, 31), 2);
	pci_dev_destroy(dev);
}

static void test_msi_mask(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 0, 8);
	unsigned int cap = pci_find_capability(dev, PCI_CAP_ID_MSI);

	msi_arm(hw, dev, 3);
	pci_config_write(dev, cap + PCI_MSI_MASK_32 + 4, 4, ~0u);
	assert_int_equal(pci_config_read(dev, cap + PCI_MSI_MASK_32 + 4, 4), 0xff);
	for (unsigned int i = 0; i < 8; i++) {
		hw_ring(dev, i);
		hw_ring(dev, i);
	}
	assert_int_equal(all_taken(hw), 0);
	assert_int_equal(pci_config_read(dev, cap + PCI_MSI_PENDING_32 + 4, 4), 0xff);
	pci_config_write(dev, cap + PCI_MSI_MASK_32 + 4, 4, 0xf0);
	assert_int_equal(all_taken(hw), 4);
	assert_int_equal(pci_config_read(dev, cap + PCI_MSI_PENDING_32 + 4, 4), 0xf0);
	/* Off: pending stays, and is sent when it is on again and unmasked. */
	pci_config_write(dev, cap + PCI_MSI_FLAGS, 2, 3 << 4);
	pci_config_write(dev, cap + PCI_MSI_MASK_32 + 4, 4, 0);
	assert_int_equal(all_taken(hw), 4);
	pci_config_write(dev, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 3 << 4);
	assert_int_equal(all_taken(hw), 8);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(hw_taken(hw, i), 1);
	pci_dev_destroy(dev);
}

/* 32-bit, not maskable: the short capability */
static void test_msi_short(void **state)
{
	static const struct pci_model model = { .name = "none",
						.reset = count_reset,
						.destroy = count_destroy };
	const struct pci_shape shape = { .msi_vectors = 1 };
	struct hw *hw = *state;
	struct pci_slot slot = hw_slot(hw);
	unsigned int destroyed = 0, cap;
	struct pci_dev *dev;

	slot.smmu = NULL;
	assert_int_equal(pci_dev_create(&slot, &shape, &model, &destroyed, &dev), 0);
	cap = pci_find_capability(dev, PCI_CAP_ID_MSI);
	assert_int_equal(pci_config_read(dev, cap + PCI_MSI_FLAGS, 2), 0);
	hw_bus_master(dev);
	/* Untranslated: the PA itself. */
	pci_config_write(dev, cap + PCI_MSI_ADDRESS_LO, 4, hw->doorbell_pa | 3);
	pci_config_write(dev, cap + PCI_MSI_DATA_32, 2, 5);
	pci_config_write(dev, cap + PCI_MSI_MASK_32, 4, ~0u);
	pci_config_write(dev, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
	pci_raise(dev, 0);
	pci_raise(dev, 1);
	assert_int_equal(hw_taken(hw, 5), 1);
	assert_int_equal(all_taken(hw), 1);
	pci_dev_destroy(dev);
}

/* --- DMA --- */

static uint32_t bell_copy(struct pci_dev *dev, uint64_t src, uint64_t dst, uint32_t len,
			  uint32_t vector)
{
	pci_bar_write(dev, 0, BELL_SRC, 8, src);
	pci_bar_write(dev, 0, BELL_DST, 4, dst);
	pci_bar_write(dev, 0, BELL_DST + 4, 4, dst >> 32);
	pci_bar_write(dev, 0, BELL_LEN, 4, len);
	pci_bar_write(dev, 0, BELL_GO, 4, vector);
	return pci_bar_read(dev, 0, BELL_STATUS, 4);
}

static void test_dma(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 4, 0);

	assert_int_equal(bell_copy(dev, GUEST_IOVA, GUEST_IOVA, 8, ~0u), 1);
	hw_arm(hw, dev);
	for (unsigned int i = 0; i < 1u << 20; i++)
		hw->ram[i] = i * 13 + (i >> 8);
	assert_int_equal(bell_copy(dev, GUEST_IOVA, GUEST_IOVA + 0x200000, 1u << 20, 2), 0);
	assert_memory_equal(hw->ram + 0x200000, hw->ram, 1u << 20);
	assert_int_equal(hw_taken(hw, 2), 1);
	assert_int_equal(bell_copy(dev, GUEST_IOVA + 4093, GUEST_IOVA + 0x400ffb, 10000, ~0u), 0);
	assert_memory_equal(hw->ram + 0x400ffb, hw->ram + 4093, 10000);
	assert_int_equal(hw->ram[0x400ffb + 10000], 0);
	assert_int_equal(hw->ram[0x400ffa], 0);
	assert_int_equal(pci_bar_read(dev, 0, BELL_SRC, 8), GUEST_IOVA + 4093);
	assert_int_equal(pci_bar_read(dev, 0, BELL_DST, 8), GUEST_IOVA + 0x400ffb);
	assert_int_equal(bell_copy(dev, GUEST_IOVA, GUEST_IOVA, (1u << 20) + 1, 3), 3);
	assert_int_equal(hw_taken(hw, 3), 1);
	assert_int_equal(all_taken(hw), 2);
	assert_int_equal(hw->events, 0);
	pci_dev_destroy(dev);
}

static void test_dma_scattered(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 4, 0);
	uint64_t iova = 0x700000000ull;

	hw_arm(hw, dev);
	/* Eight pages in reverse order, and a hole after them. */
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(vmsa_map(&hw->s1, iova + i * 4096,
					  GUEST_RAM + 0x100000 + (7 - i) * 4096, 4096,
					  VMSA_READ | VMSA_WRITE),
				 0);
	for (unsigned int i = 0; i < 8 * 4096; i++)
		hw->ram[i] = i * 7 + (i >> 6);
	assert_int_equal(bell_copy(dev, GUEST_IOVA, iova, 8 * 4096, ~0u), 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_memory_equal(hw->ram + 0x100000 + (7 - i) * 4096, hw->ram + i * 4096, 4096);
	assert_int_equal(bell_copy(dev, iova + 100, GUEST_IOVA + 0x300000, 8 * 4096 - 100, ~0u), 0);
	assert_memory_equal(hw->ram + 0x300000, hw->ram + 100, 8 * 4096 - 100);

	assert_int_equal(bell_copy(dev, iova + 100, GUEST_IOVA, 8 * 4096, ~0u), 1);
	assert_int_equal(bell_copy(dev, GUEST_IOVA, iova + 100, 8 * 4096, ~0u), 2);
	assert_int_equal(hw->events, 2);
	assert_int_equal(hw->last_event.dw[2], iova + 8 * 4096);
	/* A doorbell is not memory: it does not take a page, nor is it read by these. */
	assert_int_equal(bell_copy(dev, GUEST_IOVA, DOORBELL_IOVA, 4096, ~0u), 2);
	assert_int_equal(bell_copy(dev, DOORBELL_IOVA, GUEST_IOVA, 64, ~0u), 1);
	/* But a dword of data is as good as a message: the bus sees no difference. */
	memset(hw->ram, 0, 4);
	hw->ram[0] = 9;
	assert_int_equal(bell_copy(dev, GUEST_IOVA, hw_doorbell_iova(hw), 4, ~0u), 0);
	assert_int_equal(hw_taken(hw, 9), 1);
	pci_dev_destroy(dev);
}

/* --- Reset --- */

static void test_reset(void **state)
{
	struct hw *hw = *state;
	struct pci_dev *dev = hw_bell(hw, 4, 0);
	unsigned int exp = pci_find_capability(dev, PCI_CAP_ID_EXP);

	for (unsigned int how = 0; how < 3; how++) {
		hw_arm(hw, dev);
		hw_msix_mask(dev, 1, true);
		hw_ring(dev, 1);
		pci_config_write(dev, PCI_CFG_BAR(0), 4, 0x12340000);
		pci_bar_write(dev, 0, BELL_SRC, 8, 42);
		if (how == 0)
			pci_dev_reset(dev);
		else if (how == 1)
			pci_config_write(dev, exp + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
		else
			pci_config_write(dev, exp + PCI_EXP_DEVCTL + 1, 1,
					 PCI_EXP_DEVCTL_BCR_FLR >> 8);

		assert_int_equal(pci_config_read(dev, PCI_COMMAND, 2), 0);
		assert_int_equal(pci_config_read(dev, PCI_CFG_BAR(0), 4), 4);
		assert_int_equal(
			pci_config_read(dev, pci_find_capability(dev, PCI_CAP_ID_MSIX) + 2, 2),
			3);
		assert_int_equal(pci_bar_read(dev, 0, BELL_SRC, 8), 0);
		assert_int_equal(pci_bar_read(dev, 0, BELL_RUNG, 8), 0);
		assert_int_equal(pci_bar_read(dev, 2, 0, 8), 0);
		assert_int_equal(pci_bar_read(dev, 2, 8, 8), 1ull << 32);
		assert_int_equal(pci_bar_read(dev, 2, 0x8000, 8), 0);
		hw_ring(dev, 0);
	}
	assert_int_equal(all_taken(hw), 0);
	/* Without the bit nothing is reset. */
	hw_bus_master(dev);
	pci_config_write(dev, exp + PCI_EXP_DEVCTL, 4, 0x7fff);
	assert_int_equal(pci_config_read(dev, PCI_COMMAND, 2) & PCI_COMMAND_MASTER,
			 PCI_COMMAND_MASTER);
	pci_dev_destroy(dev);
}

static void test_bell_config(void **state)
{
	struct pci_slot slot = hw_slot(*state);
	struct pci_dev *dev;

	assert_int_equal(bell_create(&slot, &(struct bell_config){ 0 }, &dev), -EINVAL);
	assert_int_equal(bell_create(&slot,
				     &(struct bell_config){ .msix_vectors = 1, .msi_vectors = 1 },
				     &dev),
			 -EINVAL);
	assert_int_equal(bell_create(&slot, &(struct bell_config){ .msix_vectors = 2049 }, &dev),
			 -EINVAL);
	assert_int_equal(bell_create(&slot, &(struct bell_config){ .msi_vectors = 64 }, &dev),
			 -EINVAL);
	assert_int_equal(bell_create(&slot, &(struct bell_config){ .msi_vectors = 5 }, &dev),
			 -EINVAL);
	assert_int_equal(bell_create(&slot, &(struct bell_config){ .msix_vectors = 2048 }, &dev),
			 0);
	pci_dev_destroy(dev);
}

#define with_hw(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_hw(test_config),
		with_hw(test_bars),
		with_hw(test_shapes), with_hw(test_table_ends),
		with_hw(test_msix),
		with_hw(test_msix_vector_mask),
		with_hw(test_msix_function_mask),
		with_hw(test_msix_off),
		with_hw(test_msix_mapped),
		with_hw(test_msix_faults),
		with_hw(test_msi),
		with_hw(test_msi_mask),
		with_hw(test_msi_short),
		with_hw(test_dma),
		with_hw(test_dma_scattered),
		with_hw(test_reset),
		with_hw(test_bell_config),
	};

	return cmocka_run_group_tests_name("soft/hw/pci", tests, NULL, NULL);
}
