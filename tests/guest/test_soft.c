/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest and its VMM on the software host: what goes wrong reaches the guest as what it is, and
 * nothing else does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "arm/smmu_regs.h"
#include "guest/guest_priv.h"
#include "soft/endpoints/bell.h"

#define RAM_SIZE (64ull << 20)

static const char machine[] =
	"its its base=0x8080000\n"
	"its its base=0x80a0000\n"
	"device 0000:01:00.0 bell vectors=4\n"
	"device 0000:02:00.0 bell vectors=4 its=1\n"
	"device 0000:03:00.0 nvme size=1m io-queues=2\n";

struct rig {
	struct db_sys *sys;
	struct vmm *vmm;
	struct guest *guest;
	struct guest_device *bell, *other, *nvme;
};

static enum db_mode rig_mode = DB_MODE_NATIVE;

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct vmm_config vmm_config = { .mode = rig_mode, .ram_size = RAM_SIZE };
	struct guest_config guest_config = { .ram_size = RAM_SIZE };

	*state = rig;
	assert_int_equal(db_soft_host_create(machine, sizeof(machine) - 1, &rig->sys), 0);
	vmm_config.sys = rig->sys;
	assert_int_equal(vmm_create(&vmm_config, &rig->vmm), 0);
	assert_int_equal(vmm_add(rig->vmm, "0000:01:00.0", NULL), 0);
	assert_int_equal(vmm_add(rig->vmm, "0000:02:00.0", NULL), 0);
	assert_int_equal(vmm_add(rig->vmm, "0000:03:00.0", NULL), 0);
	assert_int_equal(vmm_realize(rig->vmm), 0);
	guest_config.vmm = rig->vmm;
	assert_int_equal(guest_create(&guest_config, &rig->guest), 0);
	assert_int_equal(guest_device_add(rig->guest, vmm_device(rig->vmm, 0), 0, &rig->bell), 0);
	assert_int_equal(guest_device_add(rig->guest, vmm_device(rig->vmm, 1), 0, &rig->other), 0);
	assert_int_equal(guest_device_add(rig->guest, vmm_device(rig->vmm, 2), 0, &rig->nvme), 0);
	rig->guest->patience_ms = 50;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	guest_destroy(rig->guest);
	vmm_destroy(rig->vmm);
	rig->sys->ops->release(rig->sys);
	free(rig);
	return 0;
}

static int ring(struct guest_device *gd, unsigned int vector)
{
	guest_irq_expect(gd, vector);
	guest_write32(gd, BELL_RING, vector);
	return guest_irq_wait(gd, vector);
}

static void expect_counts(struct guest_device *gd, uint64_t expected, uint64_t lost)
{
	struct guest_interrupts got;

	guest_device_interrupts(gd, &got);
	assert_int_equal(got.expected, expected);
	assert_int_equal(got.delivered, expected - lost);
	assert_int_equal(got.lost, lost);
	assert_int_equal(got.spurious, 0);
	assert_int_equal(got.misrouted, 0);
}

/* The only event so far is a translation fault of stage 1 at @address. */
static void expect_fault(struct rig *rig, struct guest_device *gd, uint64_t address, bool write)
{
	const uint64_t (*events)[4];
	uint64_t lost;

	guest_delay(rig->guest, 20);
	assert_int_equal(vmm_events(rig->vmm, &events, &lost), 1);
	assert_int_equal(lost, 0);
	assert_int_equal(FIELD_GET64(SMMU_EVT_0_ID, events[0][0]), SMMU_EVT_F_TRANSLATION);
	assert_int_equal(FIELD_GET64(SMMU_EVT_0_SID, events[0][0]),
			 vmm_device_info(gd->info.vmm)->stream_id);
	assert_int_equal(events[0][2], address);
	assert_int_equal(!(events[0][1] & SMMU_EVT_1_RNW), write);
	assert_false(events[0][1] & SMMU_EVT_1_S2);
}

/*
 * The guest takes the page of its doorbell away: the message faults in its own stage 1, visibly,
 * and comes again when it is back.
 */
static void doorbell_unmapped_by_the_guest(void **state)
{
	struct rig *rig = *state;
	struct guest_device *gd = rig->bell;
	uint64_t translater = vmm_device_info(gd->info.vmm)->doorbell_ipa + VMM_ITS_TRANSLATER,
		 giova;
	unsigned int i;

	assert_int_equal(ring(gd, 0), 0);
	for (i = 0; i < gd->info.vectors; i++)
		dma_msi_put(&gd->domain, translater);
	assert_int_equal(ring(gd, 1), -ETIMEDOUT);
	expect_fault(rig, gd, gd->info.giova, true);
	for (i = 0; i < gd->info.vectors; i++)
		assert_int_equal(dma_msi_get(&gd->domain, translater, &giova), 0);
	assert_int_equal(giova, gd->info.giova);
	assert_int_equal(ring(gd, 2), 0);
	expect_counts(gd, 3, 1);
	assert_int_equal(ring(rig->other, 0), 0);
	expect_counts(rig->other, 1, 0);
}

/* After dma_sync() no DMA goes through what was unmapped. */
static void dma_after_unmap(void **state)
{
	struct rig *rig = *state;
	struct guest_device *gd = rig->bell;
	struct dma_buffer src, dst;
	void *memory;
	int round;

	assert_int_equal(dma_alloc(&gd->domain, 4096, &src), 0);
	assert_int_equal(dma_alloc(&gd->domain, 4096, &dst), 0);
	memset(src.cpu, 0x5a, 4096);
	memory = dst.cpu;
	for (round = 0; round < 2; round++) {
		memset(memory, 0, 4096);
		guest_write64(gd, BELL_SRC, src.giova);
		guest_write64(gd, BELL_DST, dst.giova);
		guest_write32(gd, BELL_LEN, 4096);
		guest_irq_expect(gd, 3);
		guest_write32(gd, BELL_GO, 3);
		assert_int_equal(guest_irq_wait(gd, 3), 0);
		if (round == 0) {
			assert_int_equal(guest_read32(gd, BELL_STATUS), 0);
			assert_memory_equal(memory, src.cpu, 4096);
			dma_free(&gd->domain, &dst);
		} else {
			assert_int_equal(guest_read32(gd, BELL_STATUS), 2);
			assert_int_equal(*(uint8_t *)memory, 0);
		}
	}
	expect_fault(rig, gd, dst.giova, true);
	dma_free(&gd->domain, &src);
}

/*
 * A guest writes the address of another device's vITS, or none at all: only its own interrupt is
 * lost.
 */
static void message_to_elsewhere(void **state)
{
	struct rig *rig = *state;
	struct guest_device *gd = rig->bell;
	const struct vmm_device_info *other = vmm_device_info(rig->other->info.vmm);
	uint64_t giova;

	assert_int_equal(dma_msi_get(&gd->domain, other->doorbell_ipa + VMM_ITS_TRANSLATER, &giova),
			 0);
	guest_pci_irqs_off(gd);
	gd->info.giova = giova;
	assert_int_equal(guest_pci_irqs_on(gd), 0);
	/*
	 * The other ITS knows nothing of this DeviceID: the write is discarded, and nobody is
	 * disturbed.
	 */
	assert_int_equal(ring(gd, 0), -ETIMEDOUT);
	assert_int_equal(ring(rig->other, 0), 0);
	expect_counts(gd, 1, 1);
	expect_counts(rig->other, 1, 0);
	dma_msi_put(&gd->domain, other->doorbell_ipa + VMM_ITS_TRANSLATER);
}

static void boots_again(void **state)
{
	struct rig *rig = *state;
	struct vmm_device *dev = rig->bell->info.vmm;
	int i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(ring(rig->bell, i % 2), 0);
		expect_counts(rig->bell, 1, 0);
		guest_device_remove(rig->bell);
		assert_int_equal(guest_device_add(rig->guest, dev, 4 - i, &rig->bell), 0);
	}
	assert_int_equal(guest_device_info(rig->bell)->vectors, 2);
}

static int count(void *ctx, const void *buf, size_t len, uint64_t done, uint64_t total)
{
	(void)buf;
	(void)total;
	*(uint64_t *)ctx += len;
	assert_true(done >= len);
	return 0;
}

static void all_drivers_run(void **state)
{
	struct rig *rig = *state;
	struct guest_device *devices[] = { rig->bell, rig->other, rig->nvme };
	struct guest_interrupts got;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		uint64_t bytes = 0;
		struct guest_io io = { .data = count, .ctx = &bytes };

		assert_int_equal(guest_device_run(devices[i], &io), 0);
		assert_int_equal(bytes, io.bytes);
		assert_int_equal(io.is_disk, devices[i] == rig->nvme);
		guest_device_interrupts(devices[i], &got);
		expect_counts(devices[i], got.expected, 0);
		assert_true(got.expected >= 4);
	}
	assert_int_equal(rig->nvme->domain.n_unmapped, 0);
}

/* What a driver's caller says stops the I/O, and everything is given back. */
static int stop(void *ctx, const void *buf, size_t len, uint64_t done, uint64_t total)
{
	(void)ctx;
	(void)buf;
	(void)len;
	(void)total;
	return done > 300000 ? -ECANCELED : 0;
}

static void stopped_in_the_middle(void **state)
{
	struct rig *rig = *state;
	struct guest_io io = { .data = stop };

	assert_int_equal(guest_device_run(rig->nvme, &io), -ECANCELED);
	all_drivers_run(state);
}

static int setup_rmr(void **state)
{
	rig_mode = DB_MODE_RMR;
	return setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(doorbell_unmapped_by_the_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(dma_after_unmap, setup, teardown),
		cmocka_unit_test_setup_teardown(message_to_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(boots_again, setup, teardown),
		cmocka_unit_test_setup_teardown(all_drivers_run, setup, teardown),
		cmocka_unit_test_setup_teardown(stopped_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(boots_again, setup_rmr, teardown),
		cmocka_unit_test_setup_teardown(all_drivers_run, setup_rmr, teardown),
		cmocka_unit_test_setup_teardown(dma_after_unmap, setup_rmr, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
