/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's DMA layer: what it maps translates, what it unmaps is invalidated before it is used
 * again, and nothing else is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "arm/smmu_regs.h"
#include "fake_vmm.h"
#include "guest/guest_priv.h"

struct rig {
	struct vmm *vmm;
	struct guest *guest;
	struct dma_domain domain;
};

static void rig_open(struct rig *rig, unsigned int granule_shift, bool rmr, bool by_range)
{
	struct guest_config config = { .ram_size = FAKE_RAM_SIZE, .granule_shift = granule_shift };

	rig->vmm = fake_vmm_create();
	rig->vmm->rmr = rmr;
	if (!by_range)
		rig->vmm->smmu.idr[3] &= ~SMMU_IDR3_RIL;
	config.vmm = rig->vmm;
	assert_int_equal(guest_create(&config, &rig->guest), 0);
	assert_int_equal(dma_init(&rig->domain, &rig->guest->base, &rig->guest->smmus[0],
				  &rig->vmm->device, 0), 0);
	assert_int_equal(guest_smmu_attach(&rig->domain), 0);
	fake_vmm_forget(rig->vmm);
}

static void rig_close(struct rig *rig)
{
	guest_smmu_detach(&rig->domain);
	dma_fini(&rig->domain);
	guest_destroy(rig->guest);
	fake_vmm_destroy(rig->vmm);
}

static void assert_translates(struct rig *rig, uint64_t giova, uint64_t ipa)
{
	uint64_t got;

	assert_int_equal(fake_vmm_translate(rig->vmm, giova, true, &got), 0);
	assert_int_equal(got, ipa);
}

static void assert_faults(struct rig *rig, uint64_t giova)
{
	uint64_t got;

	assert_int_equal(fake_vmm_translate(rig->vmm, giova, false, &got), -EFAULT);
}

static void mapped_translates(void **state)
{
	static const unsigned int shifts[] = { 12, 14, 16 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		uint64_t granule = 1ull << shifts[i];
		struct dma_buffer a, b;
		struct rig rig;

		rig_open(&rig, shifts[i], false, true);
		assert_int_equal(dma_alloc(&rig.domain, 3 * granule, &a), 0);
		assert_int_equal(dma_alloc(&rig.domain, 1, &b), 0);
		assert_true(a.giova != a.ipa);
		assert_translates(&rig, a.giova, a.ipa);
		assert_translates(&rig, a.giova + 3 * granule - 8, a.ipa + 3 * granule - 8);
		assert_translates(&rig, b.giova + 8, b.ipa + 8);
		assert_faults(&rig, a.giova - granule);
		assert_faults(&rig, FAKE_RAM_BASE);
		dma_free(&rig.domain, &a);
		assert_faults(&rig, a.giova);
		assert_translates(&rig, b.giova, b.ipa);
		dma_free(&rig.domain, &b);
		rig_close(&rig);
	}
}

/*
 * Every page that was unmapped, whatever the sizes and with and without range commands; one batch
 * for many.
 */
static void unmapped_is_invalidated(void **state)
{
	static const uint64_t pages[] = { 1, 2, 31, 32, 33, 64, 100, 1023, 1 };
	enum { N = sizeof(pages) / sizeof(pages[0]) };
	unsigned int by_range, i;

	(void)state;
	for (by_range = 0; by_range < 2; by_range++) {
		uint64_t giova[N];
		struct rig rig;

		rig_open(&rig, 12, false, by_range);
		for (i = 0; i < N; i++)
			assert_int_equal(dma_map(&rig.domain, FAKE_RAM_BASE, pages[i] * 4096,
						 VMSA_READ | VMSA_WRITE, &giova[i]),
					 0);
		for (i = 0; i < N; i++)
			assert_int_equal(dma_unmap(&rig.domain, giova[i], pages[i] * 4096), 0);
		assert_int_equal(rig.vmm->batches, 0);
		assert_int_equal(dma_sync(&rig.domain), 0);
		assert_int_equal(rig.vmm->batches, 1);
		for (i = 0; i < N; i++) {
			assert_true(fake_vmm_invalidated(rig.vmm, giova[i], pages[i] * 4096, 4096));
			assert_faults(&rig, giova[i]);
		}
		assert_int_equal(FIELD_GET64(SMMU_CMD_0_OP,
					     rig.vmm->commands[rig.vmm->n_commands - 1][0]),
				 SMMU_CMD_OP_SYNC);
		fake_vmm_forget(rig.vmm);
		assert_int_equal(dma_sync(&rig.domain), 0);
		assert_int_equal(rig.vmm->batches, 0);
		rig_close(&rig);
	}
}

/* A gIOVA comes back only after the invalidation. */
static void no_reuse_before_sync(void **state)
{
	uint64_t first, second, third;
	struct rig rig;

	(void)state;
	rig_open(&rig, 12, false, true);
	assert_int_equal(dma_map(&rig.domain, FAKE_RAM_BASE, 4096, VMSA_READ, &first), 0);
	assert_int_equal(dma_unmap(&rig.domain, first, 4096), 0);
	assert_int_equal(dma_map(&rig.domain, FAKE_RAM_BASE, 4096, VMSA_READ, &second), 0);
	assert_true(second != first);
	assert_int_equal(dma_sync(&rig.domain), 0);
	assert_int_equal(dma_map(&rig.domain, FAKE_RAM_BASE, 4096, VMSA_READ, &third), 0);
	assert_int_equal(third, first);
	rig_close(&rig);
}

static void msi_page_is_mapped_once(void **state)
{
	const uint64_t translater = 0x0a090040, other = 0x0b090040;
	uint64_t a, b, c;
	struct rig rig;

	(void)state;
	rig_open(&rig, 14, false, true);
	assert_int_equal(dma_msi_get(&rig.domain, translater, &a), 0);
	assert_int_equal(dma_msi_get(&rig.domain, translater, &b), 0);
	assert_int_equal(dma_msi_get(&rig.domain, other, &c), 0);
	assert_int_equal(a, b);
	assert_true(c != a);
	assert_int_equal(a & 0x3fff, 0x40);
	assert_translates(&rig, a, translater);
	assert_translates(&rig, c, other);
	dma_msi_put(&rig.domain, translater);
	assert_translates(&rig, a, translater);
	fake_vmm_forget(rig.vmm);
	dma_msi_put(&rig.domain, translater);
	assert_faults(&rig, a);
	assert_true(fake_vmm_invalidated(rig.vmm, a & ~0x3fffull, 0x4000, 0x4000));
	assert_translates(&rig, c, other);
	dma_msi_put(&rig.domain, other);
	rig_close(&rig);
}

static void rmr_window_is_itself(void **state)
{
	static const unsigned int shifts[] = { 12, 14, 16 };
	unsigned int i;
	uint64_t giova;
	struct rig rig;

	(void)state;
	for (i = 0; i < 3; i++) {
		rig_open(&rig, shifts[i], true, true);
		assert_translates(&rig, 0x8000040, 0x8000040);
		assert_translates(&rig, 0x80ffffc, 0x80ffffc);
		assert_faults(&rig, 0x8100000);
		assert_faults(&rig, 0x7ffffff);
		assert_int_equal(iova_reserve(&rig.domain.iova, 0x8000000, 0x10000), -EADDRINUSE);
		assert_int_equal(dma_msi_get(&rig.domain, 0x0a090040, &giova), 0);
		assert_translates(&rig, giova, 0x0a090040);
		dma_msi_put(&rig.domain, 0x0a090040);
		rig_close(&rig);
	}
}

/* Table pages and gIOVAs of thousands of mappings come back. */
static void nothing_leaks(void **state)
{
	struct dma_buffer keep, buffer;
	unsigned int i, before, after;
	struct rig rig;

	(void)state;
	rig_open(&rig, 12, false, true);
	assert_int_equal(dma_alloc(&rig.domain, 4096, &keep), 0);
	for (before = 0, i = 0; i < rig.guest->base.mem.pages; i++)
		before += rig.guest->base.mem.used[i];
	for (i = 0; i < 3000; i++) {
		assert_int_equal(dma_alloc(&rig.domain, 4096 * (1 + i % 70), &buffer), 0);
		dma_free(&rig.domain, &buffer);
	}
	for (after = 0, i = 0; i < rig.guest->base.mem.pages; i++)
		after += rig.guest->base.mem.used[i];
	/* A table that became empty may be kept, but only so many as there are levels. */
	assert_in_range(after, before, before + 4);
	assert_int_equal(rig.domain.iova.n, 1);
	assert_translates(&rig, keep.giova, keep.ipa);
	rig_close(&rig);
}

static void used_up_is_an_error(void **state)
{
	struct dma_buffer buffer;
	struct rig rig;

	(void)state;
	rig_open(&rig, 12, false, true);
	assert_int_equal(dma_alloc(&rig.domain, FAKE_RAM_SIZE, &buffer), -ENOMEM);
	assert_int_equal(buffer.size, 0);
	dma_free(&rig.domain, &buffer);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_translates),
		cmocka_unit_test(unmapped_is_invalidated),
		cmocka_unit_test(no_reuse_before_sync),
		cmocka_unit_test(msi_page_is_mapped_once),
		cmocka_unit_test(rmr_window_is_itself),
		cmocka_unit_test(nothing_leaks),
		cmocka_unit_test(used_up_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
