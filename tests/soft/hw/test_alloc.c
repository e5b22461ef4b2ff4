/* SPDX-License-Identifier: BSD-2-Clause */
/* Every allocation of a machine's making fails once; what was made is taken down, nothing is left.
 */
#include <errno.h>

#include "hw_fixture.h"
#include "soft/alloc.h"
#include "soft/endpoints/nvme.h"

struct parts {
	struct bus *bus;
	struct gic *gic;
	struct its_dev *its, *v2m;
	struct smmu_dev *smmu;
	struct pci_dev *bell, *nvme;
};

static int make_hardware(struct parts *p)
{
	struct smmu_dev_config smmu = { .sid_bits = 16 };
	struct msi_frame_config its = hw_frame(DOORBELL_ITS), v2m = hw_frame(DOORBELL_V2M);
	int err;

	p->bus = bus_create();
	if (!p->bus)
		return -ENOMEM;
	p->gic = gic_create(p->bus, 3, 16);
	if (!p->gic)
		return -ENOMEM;
	err = gic_add_msi_frame(p->gic, &its, &p->its);
	if (!err)
		err = gic_add_msi_frame(p->gic, &v2m, &p->v2m);
	if (err)
		return err;
	hw_idr(smmu.idr);
	smmu.bus = p->bus;
	p->smmu = smmu_dev_create(&smmu);
	return p->smmu ? 0 : -ENOMEM;
}

static int use_hardware(struct parts *p)
{
	uint64_t ste[8];
	int err = its_dev_map_device(p->its, 0x8001, 100);

	if (!err)
		err = its_dev_map_events(p->its, 0x8001, 0, 100, 8192, 1);
	if (!err)
		err = smmu_dev_set_event_handler(p->smmu, hw_event, p);
	smmu_ste_bypass(ste);
	if (!err)
		err = smmu_dev_write_ste(p->smmu, 5, ste);
	/* An entry that aborts can always be written. */
	smmu_ste_abort(ste);
	assert_int_equal(smmu_dev_write_ste(p->smmu, 5, ste), 0);
	return err;
}

static int make_devices(struct parts *p)
{
	struct pci_slot slot = { .smmu = p->smmu, .its = p->its, .bus = p->bus };
	struct nvme_config nvme = { .io_queues = 3, .size = 4096 };
	int err = bell_create(&slot, &(struct bell_config){ .msix_vectors = 7 }, &p->bell);

	return err ? err : nvme_create(&slot, &nvme, &p->nvme);
}

static void take_down(struct parts *p)
{
	pci_dev_destroy(p->nvme);
	pci_dev_destroy(p->bell);
	smmu_dev_destroy(p->smmu);
	gic_destroy(p->gic);
	if (p->bus)
		assert_int_equal(bus_allocated(p->bus), 0);
	bus_destroy(p->bus);
}

static void test_each_fails(void **state)
{
	long live = soft_alloc_live();
	unsigned long nth = 0, left;

	(void)state;
	do {
		struct parts p = { 0 };
		int err;

		soft_alloc_fail_nth(++nth);
		err = make_hardware(&p);
		if (!err)
			err = use_hardware(&p);
		if (!err)
			err = make_devices(&p);
		left = soft_alloc_fail_left();
		soft_alloc_fail_nth(0);
		/* Reported if it happened, and the only thing that can go wrong. */
		assert_int_equal(err, left ? 0 : -ENOMEM);
		take_down(&p);
		assert_int_equal(soft_alloc_live(), live);
	} while (!left);
	assert_in_range(nth, 15, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_fails),
	};

	return cmocka_run_group_tests_name("soft/hw/alloc", tests, NULL, NULL);
}
