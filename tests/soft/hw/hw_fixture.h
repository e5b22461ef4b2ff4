/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine of one SMMU, one doorbell frame and a guest's memory behind nested translation. The
 * guest's memory is at GUEST_RAM as IPA, and its stage 1 maps it at GUEST_IOVA; the doorbell page
 * is at DOORBELL_IPA, and the guest's stage 1 maps that at DOORBELL_IOVA.
 */
#ifndef TESTS_SOFT_HW_FIXTURE_H
#define TESTS_SOFT_HW_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arm/smmu_build.h"
#include "soft/endpoints/bell.h"
#include "soft/hw/pci_regs.h"
#include "soft/hw/rcu.h"

#define GUEST_RAM 0x40000000ull
#define GUEST_RAM_SIZE (8ull << 20)
#define GUEST_TABLES (GUEST_RAM + (6ull << 20))	/* for stage 1, up to the end */
#define GUEST_IOVA 0x10000000ull
#define DOORBELL_IPA 0x8090000ull
#define DOORBELL_IOVA 0xfffff0000ull
#define ITS_BASE 0x08080000ull
#define PRE_ITS_BASE 0x58000000ull
#define V2M_BASE 0x08020000ull

#define HW_SID 0x105u
#define HW_DEVICE_ID 0x1105u
#define HW_PROCESSORS 4
#define HW_VECTORS 64

struct hw {
	struct bus *bus;
	struct gic *gic;
	struct its_dev *its;
	struct smmu_dev *smmu;
	char *ram;
	uint64_t tables_next;		/* IPA of the next stage-1 table */
	struct vmsa_table s1, s2;
	uint64_t ste[8];
	uint64_t doorbell_pa;
	uint32_t intid;			/* first of HW_VECTORS */
	uint64_t taken[HW_VECTORS];	/* atomic: interrupts of each */
	struct hw_taker {
		struct hw *hw;
		unsigned int index;
	} takers[HW_VECTORS];
	uint64_t events;		/* atomic: records of the SMMU */
	struct smmu_event last_event;
};

/* --- Memory and tables --- */

static inline void *hw_ipa(struct hw *hw, uint64_t ipa)
{
	return hw->ram + (ipa - GUEST_RAM);
}

static inline int hw_guest_read(void *ctx, uint64_t ipa, uint64_t *value)
{
	*value = __atomic_load_n((uint64_t *)hw_ipa(ctx, ipa), __ATOMIC_ACQUIRE);
	return 0;
}

static inline int hw_guest_write(void *ctx, uint64_t ipa, uint64_t value)
{
	__atomic_store_n((uint64_t *)hw_ipa(ctx, ipa), value, __ATOMIC_RELEASE);
	return 0;
}

static inline int hw_guest_alloc(void *ctx, uint64_t size, uint64_t *ipa)
{
	struct hw *hw = ctx;

	hw->tables_next = (hw->tables_next + size - 1) & ~(size - 1);
	*ipa = hw->tables_next;
	hw->tables_next += size;
	return hw->tables_next > GUEST_RAM + GUEST_RAM_SIZE ? -1 : 0;
}

static inline void hw_guest_free(void *ctx, uint64_t ipa, uint64_t size)
{
	(void)ctx, (void)ipa, (void)size;
}

static inline int hw_host_alloc(void *ctx, uint64_t size, uint64_t *pa)
{
	return bus_alloc(((struct hw *)ctx)->bus, size, size, pa) ? 0 : -1;
}

static inline void hw_host_free(void *ctx, uint64_t pa, uint64_t size)
{
	bus_free(((struct hw *)ctx)->bus, pa, size);
}

static inline void hw_make_tables(struct hw *hw)
{
	hw->s2 = (struct vmsa_table){
		.mem = bus_arm_mem(hw->bus),
		.alloc = hw_host_alloc,
		.free = hw_host_free,
		.ctx = hw,
	};
	assert_int_equal(vmsa_format_init(&hw->s2.format, VMSA_S2, 12, 40, 48), 0);
	assert_int_equal(vmsa_table_init(&hw->s2), 0);
	assert_int_equal(vmsa_map(&hw->s2, GUEST_RAM, (uintptr_t)hw->ram, GUEST_RAM_SIZE,
				  VMSA_READ | VMSA_WRITE),
			 0);
	assert_int_equal(vmsa_map(&hw->s2, DOORBELL_IPA, hw->doorbell_pa & ~4095ull, 4096,
				  VMSA_WRITE | VMSA_DEVICE),
			 0);

	hw->tables_next = GUEST_TABLES;
	hw->s1 = (struct vmsa_table){
		.mem = { .read64 = hw_guest_read, .write64 = hw_guest_write, .ctx = hw },
		.alloc = hw_guest_alloc, .free = hw_guest_free, .ctx = hw,
	};
	assert_int_equal(vmsa_format_init(&hw->s1.format, VMSA_S1, 12, 39, 40), 0);
	assert_int_equal(vmsa_table_init(&hw->s1), 0);
	assert_int_equal(
		vmsa_map(&hw->s1, GUEST_IOVA, GUEST_RAM, GUEST_RAM_SIZE, VMSA_READ | VMSA_WRITE),
		0);
	assert_int_equal(
		vmsa_map(&hw->s1, DOORBELL_IOVA, DOORBELL_IPA, 4096, VMSA_WRITE | VMSA_DEVICE), 0);
}

/* --- SMMU --- */

static inline void hw_idr(uint32_t idr[6])
{
	memset(idr, 0, 6 * sizeof(idr[0]));
	idr[0] = SMMU_IDR0_S1P | SMMU_IDR0_S2P |
		 FIELD_PREP64(SMMU_IDR0_TTF, SMMU_IDR0_TTF_AARCH64) | SMMU_IDR0_ASID16 |
		 SMMU_IDR0_VMID16 | SMMU_IDR0_CD2L |
		 FIELD_PREP64(SMMU_IDR0_TTENDIAN, SMMU_IDR0_TTENDIAN_LITTLE) |
		 FIELD_PREP64(SMMU_IDR0_STALL_MODEL, SMMU_IDR0_STALL_MODEL_NONE) |
		 FIELD_PREP64(SMMU_IDR0_ST_LEVEL, SMMU_IDR0_ST_LEVEL_TWO);
	idr[1] = FIELD_PREP64(SMMU_IDR1_SIDSIZE, 16);
	idr[3] = SMMU_IDR3_HAD | SMMU_IDR3_XNX | SMMU_IDR3_RIL;
	idr[5] = FIELD_PREP64(SMMU_IDR5_OAS, SMMU_IDR5_OAS_48) | SMMU_IDR5_GRAN4K;
}

static inline int hw_commands(struct hw *hw, const uint64_t (*cmds)[2], size_t count)
{
	return smmu_dev_commands(hw->smmu, cmds, count, NULL);
}

static inline void hw_set_ste(struct hw *hw, uint32_t sid, const uint64_t ste[8])
{
	const uint64_t cmds[2][2] = {
		{ SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid), 1 },
		{ SMMU_CMD_OP_SYNC, 0 },
	};

	assert_int_equal(smmu_dev_write_ste(hw->smmu, sid, ste), 0);
	assert_int_equal(hw_commands(hw, cmds, 2), 0);
}

static inline void hw_invalidate_all(struct hw *hw)
{
	const uint64_t cmds[2][2] = { { SMMU_CMD_OP_TLBI_NSNH_ALL, 0 }, { SMMU_CMD_OP_SYNC, 0 } };

	assert_int_equal(hw_commands(hw, cmds, 2), 0);
}

static inline void hw_event(void *ctx, const struct smmu_event *event)
{
	struct hw *hw = ctx;

	hw->last_event = *event;
	__atomic_fetch_add(&hw->events, 1, __ATOMIC_RELAXED);
}

static inline void hw_make_smmu(struct hw *hw)
{
	struct smmu_dev_config config = { .bus = hw->bus, .sid_bits = 16 };
	struct smmu_cd_table ttb0 = { hw->s1.format, hw->s1.root };
	uint64_t cd[8], cd_ipa;

	hw_idr(config.idr);
	hw->smmu = smmu_dev_create(&config);
	assert_non_null(hw->smmu);
	assert_int_equal(smmu_dev_set_event_handler(hw->smmu, hw_event, hw), 0);
	assert_int_equal(hw_guest_alloc(hw, 64, &cd_ipa), 0);
	smmu_cd_build(cd, &(struct smmu_cd){ .ttb0 = &ttb0, .asid = 1 });
	memcpy(hw_ipa(hw, cd_ipa), cd, sizeof(cd));
	smmu_ste_nested(
		hw->ste, &(struct smmu_ste_s1){ .cd_table = cd_ipa },
		&(struct smmu_ste_s2){ .format = hw->s2.format, .root = hw->s2.root, .vmid = 1 });
	hw_set_ste(hw, HW_SID, hw->ste);
}

/* --- Interrupts --- */

static inline void hw_take(void *ctx)
{
	struct hw_taker *taker = ctx;

	__atomic_fetch_add(&taker->hw->taken[taker->index], 1, __ATOMIC_RELAXED);
}

static inline uint64_t hw_taken(struct hw *hw, unsigned int index)
{
	return __atomic_load_n(&hw->taken[index], __ATOMIC_RELAXED);
}

static inline void hw_make_interrupts(struct hw *hw, unsigned int vectors)
{
	assert_int_equal(gic_alloc_interrupts(hw->gic, hw->its, vectors, &hw->intid), 0);
	for (unsigned int i = 0; i < vectors; i++) {
		hw->takers[i] = (struct hw_taker){ hw, i };
		assert_int_equal(gic_set_handler(hw->gic, hw->intid + i, hw_take, &hw->takers[i]),
				 0);
		gic_set_enabled(hw->gic, hw->intid + i, true);
	}
	assert_int_equal(its_dev_map_device(hw->its, HW_DEVICE_ID, vectors), 0);
	assert_int_equal(its_dev_map_events(hw->its, HW_DEVICE_ID, 0, vectors, hw->intid, 1), 0);
}

/* --- The whole --- */

static inline struct msi_frame_config hw_frame(enum doorbell_kind kind)
{
	switch (kind) {
	case DOORBELL_PRE_ITS:
		return (struct msi_frame_config){
			.kind = kind,
			.base = ITS_BASE,
			.pre_its_base = PRE_ITS_BASE,
			.pre_its_size = 0x200000,
			.device_bits = 16,
			.event_bits = 11,
		};
	case DOORBELL_V2M:
		return (struct msi_frame_config){
			.kind = kind, .base = V2M_BASE, .spi_base = 64, .spi_count = 128
		};
	default:
		return (struct msi_frame_config){
			.kind = kind, .base = ITS_BASE, .device_bits = 16, .event_bits = 11
		};
	}
}

static inline struct hw *hw_create(enum doorbell_kind kind)
{
	struct hw *hw = calloc(1, sizeof(*hw));
	struct msi_frame_config frame = hw_frame(kind);

	hw->bus = bus_create();
	hw->gic = gic_create(hw->bus, HW_PROCESSORS, 16);
	assert_non_null(hw->gic);
	assert_int_equal(gic_add_msi_frame(hw->gic, &frame, &hw->its), 0);
	hw->doorbell_pa = its_dev_doorbell(hw->its, HW_DEVICE_ID);
	hw->ram = aligned_alloc(2 << 20, GUEST_RAM_SIZE);
	memset(hw->ram, 0, GUEST_RAM_SIZE);
	hw_make_tables(hw);
	hw_make_smmu(hw);
	hw_make_interrupts(hw, HW_VECTORS);
	return hw;
}

static inline void hw_destroy(struct hw *hw)
{
	its_dev_unmap_device(hw->its, HW_DEVICE_ID);
	gic_clear_handlers(hw->gic, hw->intid, HW_VECTORS);
	gic_free_interrupts(hw->gic, hw->its, hw->intid, HW_VECTORS);
	smmu_dev_destroy(hw->smmu);
	gic_destroy(hw->gic);
	vmsa_table_fini(&hw->s2);
	/* Nothing that was taken from the machine's memory is left. */
	assert_int_equal(bus_allocated(hw->bus), 0);
	bus_destroy(hw->bus);
	free(hw->ram);
	free(hw);
}

static inline struct pci_slot hw_slot(struct hw *hw)
{
	return (struct pci_slot){
		.address = "0000:01:00.0", .requester_id = 0x100, .smmu = hw->smmu, .sid = HW_SID,
		.its = hw->its, .device_id = HW_DEVICE_ID, .bus = hw->bus,
	};
}

/* --- What a kernel does to a function --- */

static inline void hw_bus_master(struct pci_dev *dev)
{
	pci_config_write(dev, PCI_COMMAND, 2,
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline void hw_msix_control(struct pci_dev *dev, uint16_t bits)
{
	unsigned int cap = pci_find_capability(dev, PCI_CAP_ID_MSIX);

	pci_config_write(dev, cap + PCI_MSIX_FLAGS, 2, bits);
}

static inline void hw_msix_entry(struct pci_dev *dev, unsigned int vector, uint64_t address,
				 uint32_t data, bool masked)
{
	const struct pci_shape *shape = pci_dev_shape(dev);
	uint64_t at = shape->msix_table_off + vector * PCI_MSIX_ENTRY_SIZE;

	pci_bar_write(dev, shape->msix_bar, at + 12, 4, 1);
	pci_bar_write(dev, shape->msix_bar, at, 8, address);
	pci_bar_write(dev, shape->msix_bar, at + 8, 4, data);
	pci_bar_write(dev, shape->msix_bar, at + 12, 4, masked);
}

static inline void hw_msix_mask(struct pci_dev *dev, unsigned int vector, bool masked)
{
	const struct pci_shape *shape = pci_dev_shape(dev);

	pci_bar_write(dev, shape->msix_bar,
		      shape->msix_table_off + vector * PCI_MSIX_ENTRY_SIZE + 12, 4, masked);
}

static inline uint64_t hw_doorbell_iova(struct hw *hw)
{
	return DOORBELL_IOVA + (hw->doorbell_pa & 4095);
}

/* All vectors of @dev: message @n is interrupt @n of the machine. */
static inline void hw_arm(struct hw *hw, struct pci_dev *dev)
{
	hw_bus_master(dev);
	for (unsigned int i = 0; i < pci_dev_shape(dev)->msix_vectors; i++)
		hw_msix_entry(dev, i, hw_doorbell_iova(hw),
			      its_dev_message_data(hw->its, i, hw->intid + i), false);
	hw_msix_control(dev, PCI_MSIX_FLAGS_ENABLE);
}

static inline void hw_ring(struct pci_dev *dev, unsigned int vector)
{
	pci_bar_write(dev, 0, BELL_RING, 4, vector);
}

static inline struct pci_dev *hw_bell(struct hw *hw, unsigned int msix, unsigned int msi)
{
	struct pci_slot slot = hw_slot(hw);
	struct pci_dev *dev;

	assert_int_equal(
		bell_create(&slot,
			    &(struct bell_config){ .msix_vectors = msix, .msi_vectors = msi },
			    &dev),
		0);
	return dev;
}

#endif
