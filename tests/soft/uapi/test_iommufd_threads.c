/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything at once: accesses, mappings, attachments, invalidations, events, doorbells, objects
 * that come and go.
 */
#include "guest.h"

#include <pthread.h>
#include <stdatomic.h>

#define PAGE 4096ull
#define MIB (1ull << 20)
#define GIOVA 0x7000000000ull
#define ROUNDS 300
#define MSIX 2

static struct fx fx;
static struct guest g;
static atomic_bool stop;
static atomic_ulong reached, faulted, events;

/* The device: what it reaches is what the guest's page is mapped to, whatever else goes on. */
static void *accesses(void *arg)
{
	uint64_t pa;

	(void)arg;
	while (!stop) {
		if (!fx_translate(&fx, 1, GIOVA + 0x40, true, &pa)) {
			assert_int_equal(pa, (uintptr_t)g.memory + MIB + 0x40);
			reached++;
		} else {
			faulted++;
		}
		/* One that always faults, for the events. */
		assert_int_equal(fx_translate(&fx, 1, GIOVA + 64 * MIB, true, &pa), -EFAULT);
	}
	return NULL;
}

static void *readers(void *arg)
{
	struct iommu_veventq_alloc q = { .size = sizeof(q),
					 .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
					 .veventq_depth = 8 };
	struct { struct iommufd_vevent_header header; struct iommu_vevent_arm_smmuv3 data; } e[4];

	(void)arg;
	q.viommu_id = g.viommu;
	while (!stop) {
		assert_int_equal(fx_ioctl(&fx, IOMMU_VEVENTQ_ALLOC, &q), 0);
		for (int i = 0; i < 20; i++) {
			ssize_t n = fx.sys->ops->read(fx.sys, (int)q.out_veventq_fd, e, sizeof(e));

			assert_true(n >= 0);
			if (n >= (ssize_t)sizeof(e[0])) {
				events++;
				assert_int_equal(
					FIELD_GET64(SMMU_EVT_0_SID, le64toh(e[0].data.evt[0])),
					GUEST_VSID);
			}
		}
		assert_int_equal(fx.sys->ops->close(fx.sys, (int)q.out_veventq_fd), 0);
		assert_int_equal(fx_destroy(&fx, q.out_veventq_id), 0);
	}
	return NULL;
}

/* Mappings of its own corner come and go; after an unmap nothing is reached there. */
static void *mappings(void *arg)
{
	uint8_t *mem = fx_memory(MIB);
	uint64_t pa;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(fx_map(&fx, g.ioas, mem, MIB, 0x100000000), 0);
		assert_int_equal(fx_unmap(&fx, g.ioas, 0x100000000, MIB, NULL), 0);
		if (!fx_translate(&fx, 0, 0x100000000, true, &pa))
			fail_msg("reached %#lx after unmap", (unsigned long)pa);
	}
	return NULL;
}

static void *attachments(void *arg)
{
	uint32_t nested;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(fx_nested(&fx, 1, g.viommu, guest_ste0(&g), 0, &nested), 0);
		assert_int_equal(fx_attach(&fx, 1, nested), 0);
		assert_int_equal(fx_attach(&fx, 1, g.nested), 0);
		/* Another thread may be trying ids. */
		while (fx_destroy(&fx, nested) == -EBUSY)
			;
	}
	return NULL;
}

static void *invalidations(void *arg)
{
	const uint64_t cmds[2][2] = {
		{ FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_CFGI_CD) |
			  FIELD_PREP64(SMMU_CMD_CFGI_0_SID, GUEST_VSID),
		  1 },
		{ FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_TLBI_NH_VA) |
			  FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, 1),
		  GIOVA },
	};

	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		assert_int_equal(guest_invalidate(&g, &fx, cmds, 2, NULL), 0);
	return NULL;
}

static void *doorbells(void *arg)
{
	const uint64_t iova = GIOVA, ipa = 0x90000000;
	uint64_t at;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(fx_map_doorbell(&fx, 1, g.ioas, ipa), 0);
		assert_int_equal(iommufd_prepare_msi(fx.idev[1], MSIX, i % 8, 1, &iova), 0);
		assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, i % 8, 0x08090040, &at), 0);
		assert_int_equal(at, GIOVA + 0x40);
		assert_int_equal(fx_unmap(&fx, g.ioas, ipa, PAGE, NULL), 0);
	}
	return NULL;
}

/*
 * Binding and unbinding of another device, with a vDEVICE that is destroyed under it by one or by
 * the other.
 */
static void *comers(void *arg)
{
	uint32_t vdevice;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		fx_bind_ok(&fx, 3);
		assert_int_equal(fx_vdevice(&fx, 3, g.viommu, 0x77, &vdevice), 0);
		if (i % 2)
			(void)fx_destroy(&fx, vdevice);
		fx_unbind(&fx, 3);
	}
	return NULL;
}

/* Somebody who destroys what he has no business with. */
static void *vandal(void *arg)
{
	(void)arg;
	while (!stop)
		for (uint32_t id = 30; id < 60; id++)
			(void)fx_destroy(&fx, id);
	return NULL;
}

static void all_at_once(void **state)
{
	void *(*const endless[])(void *) = { accesses, accesses, readers, vandal };
	void *(*const bounded[])(void *) = { mappings, attachments, invalidations, doorbells,
					     comers };
	pthread_t e[4], b[5];

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	fx_bind_ok(&fx, 0);
	guest_start(&g, &fx, 1);
	guest_map(&g, GIOVA, GUEST_BASE + MIB, PAGE);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&e[i], NULL, endless[i], NULL), 0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(pthread_create(&b[i], NULL, bounded[i], NULL), 0);
	for (size_t i = 0; i < 5; i++)
		pthread_join(b[i], NULL);
	stop = true;
	for (size_t i = 0; i < 4; i++)
		pthread_join(e[i], NULL);
	print_message("%lu accesses, %lu faults, %lu reads with events\n", reached, faulted,
		      events);
	assert_true(reached > 0);
	fx_stop(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
