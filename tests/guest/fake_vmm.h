/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VMM without a host, for tests of the guest: RAM, one device with MSI-X, an SMMU that remembers
 * what it was told to invalidate, and interrupts that the test delivers.
 */
#ifndef TESTS_GUEST_FAKE_VMM_H
#define TESTS_GUEST_FAKE_VMM_H

#include "guest/vmm.h"

#define FAKE_RAM_BASE 0x40000000ull
#define FAKE_RAM_SIZE (32ull << 20)
#define FAKE_VECTORS 8
#define FAKE_COMMANDS 4096

struct vmm_device {
	struct vmm *vmm;
	struct vmm_device_info info;
	uint32_t lpis[VMM_ITS_EVENTS];
	uint8_t config[256];
	uint32_t table[FAKE_VECTORS][4];
	uint16_t control;		/* MSI-X */
	/* entries written or unmasked while a message could have been sent half-written */
	unsigned int unmasked_early;
};

struct vmm {
	struct vmm_device device;
	void *ram;
	struct db_smmu_info smmu;
	uint64_t strtab;
	unsigned int strtab_log2;
	uint64_t cmdq;			/* CMDQ_BASE */
	uint32_t cr0, cons;
	uint64_t commands[FAKE_COMMANDS][2];
	unsigned int n_commands, batches;
	bool rmr;
	/* Interrupts to deliver at the next vmm_wait(). */
	struct {
		uint32_t event;
		uint64_t times;
	} pending[64];
	unsigned int n_pending;
	const struct vmm_cpu_ops *cpu;
	void *cpu_ctx;
};

struct vmm *fake_vmm_create(void);
void fake_vmm_destroy(struct vmm *vmm);

/* A message with @event as its data arrives at the vITS @times. */
void fake_vmm_signal(struct vmm *vmm, uint32_t event, uint64_t times);

/*
 * What the SMMU would translate @giova of the device to, from the guest's memory alone: 0 and *ipa,
 * or -EFAULT.
 */
int fake_vmm_translate(struct vmm *vmm, uint64_t giova, bool write, uint64_t *ipa);

/*
 * Is every page of [giova, giova + size) covered by a TLBI among the commands since the last
 * fake_vmm_forget()?
 */
bool fake_vmm_invalidated(struct vmm *vmm, uint64_t giova, uint64_t size, uint64_t granule);
void fake_vmm_forget(struct vmm *vmm);

#endif
