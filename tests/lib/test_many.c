/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of many vectors at once, what is connected to where, and what is left alone in the table.
 */
#include "rig.h"

#include <errno.h>

#include <doorbell/kvm.h>

#include "abi/vfio.h"

#define ENABLE 0x8000
#define FUNCTION_MASK 0x4000
#define ALL 2048
#define DOORBELL 0x20090000ull	/* where rig_msi() puts it */

struct vmm {
	struct rig rig;
	struct db_vmsix *vmsix;
	struct db_msi_route route[ALL];
	unsigned int connects, commits, uncommitted;
	int commit_error;
};

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct vmm *vmm = ctx;

	vmm->connects++;
	vmm->uncommitted++;
	vmm->route[index] = *route;
	return rig_fd(&vmm->rig, index);
}

static int commit(void *ctx)
{
	struct vmm *vmm = ctx;

	vmm->commits++;
	vmm->uncommitted = 0;
	return vmm->commit_error;
}

static const struct db_msi_guest_ops ops = {
	.size = sizeof(ops),
	.connect = connect_vector,
	.commit = commit,
};

static void start(struct vmm *vmm, bool mappable)
{
	*vmm = (struct vmm){ 0 };
	rig_init(&vmm->rig);
	vmm->rig.hw->mappable = mappable;
	vmm->rig.hw->expect = GIOVA;
	rig_open(&vmm->rig);
	rig_msi(&vmm->rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(db_vmsix_create(vmm->rig.msi, &ops, vmm, &vmm->vmsix), 0);
}

static void stop(struct vmm *vmm)
{
	db_vmsix_destroy(vmm->vmsix);
	rig_close(&vmm->rig);
}

/* Whether entry @index is masked or not. */
static int mask(struct vmm *vmm, unsigned int index, bool masked)
{
	return db_vmsix_table_write(vmm->vmsix, index * 16 + 12, 4, masked);
}

static void program(struct vmm *vmm, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		assert_int_equal(db_vmsix_table_write(vmm->vmsix, i * 16, 8, GIOVA), 0);
		assert_int_equal(db_vmsix_table_write(vmm->vmsix, i * 16 + 8, 4, i), 0);
	}
}

/* However the masked entries lie between the others. */
static void test_function_mask_is_few_ioctls(void **state)
{
	struct vmm vmm;
	unsigned int i;

	(void)state;
	start(&vmm, false);
	program(&vmm, ALL);
	for (i = 0; i < ALL; i++)
		assert_int_equal(mask(&vmm, i, false), 0);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	for (i = 1; i < ALL; i += 2)
		assert_int_equal(mask(&vmm, i, true), 0);
	mock_raise(vmm.rig.mock, vmm.rig.hw, 7);
	mock_forget(vmm.rig.mock);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE | FUNCTION_MASK), 0);
	assert_int_equal(mock_ioctls(vmm.rig.mock), 1);
	mock_raise(vmm.rig.mock, vmm.rig.hw, 6);
	assert_int_equal(rig_take(&vmm.rig, 6), 0);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	assert_in_range(mock_ioctls(vmm.rig.mock), 2, 3);
	assert_int_equal(rig_take(&vmm.rig, 6), 1);
	assert_int_equal(rig_take(&vmm.rig, 7), 0);
	assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 0, 8), 1 << 7);
	assert_int_equal(mask(&vmm, 7, false), 0);
	assert_int_equal(rig_take(&vmm.rig, 7), 1);
	assert_int_equal(vmm.rig.hw->lost, 0);
	stop(&vmm);
}

/* What failed for all is tried again by the next write: of the entry, or of Message Control. */
static void test_failed_change_of_all_is_tried_again(void **state)
{
	struct vmm vmm;
	unsigned int i;

	(void)state;
	start(&vmm, true);
	program(&vmm, 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(mask(&vmm, i, false), 0);
	vmm.rig.mock->fail_request_stays = true;
	mock_fail(vmm.rig.mock, VFIO_DEVICE_SET_IRQS, -ENOMEM, 0);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), -ENOMEM);
	vmm.rig.mock->fail_request_error = 0;
	assert_int_equal(db_vmsix_table_write(vmm.vmsix, 1 * 16 + 12, 4, 0), 0);
	mock_raise(vmm.rig.mock, vmm.rig.hw, 1);
	assert_int_equal(rig_take(&vmm.rig, 1), 1);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	for (i = 0; i < 3; i++) {
		mock_raise(vmm.rig.mock, vmm.rig.hw, i);
		assert_int_equal(rig_take(&vmm.rig, i), 1);
	}
	/* And then no more. */
	mock_forget(vmm.rig.mock);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	assert_int_equal(mock_ioctls(vmm.rig.mock), 0);
	stop(&vmm);
}

/* One commit for many vectors, before they are armed. */
static void test_commit(void **state)
{
	struct vmm vmm;
	unsigned int i;

	(void)state;
	start(&vmm, true);
	program(&vmm, 100);
	for (i = 0; i < 100; i++)
		assert_int_equal(mask(&vmm, i, false), 0);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	assert_int_equal(vmm.connects, 100);
	assert_int_equal(vmm.commits, 1);
	assert_int_equal(vmm.uncommitted, 0);
	/* The VMM could not: nothing is delivered for the new message, and it is asked again. */
	vmm.commit_error = -ENOSPC;
	assert_int_equal(db_vmsix_table_write(vmm.vmsix, 8, 4, 55), -ENOSPC);
	mock_raise(vmm.rig.mock, vmm.rig.hw, 0);
	assert_int_equal(rig_take(&vmm.rig, 0), 0);
	vmm.commit_error = 0;
	assert_int_equal(mask(&vmm, 0, false), 0);
	assert_int_equal(rig_take(&vmm.rig, 0), 1);
	assert_int_equal(vmm.route[0].data, 55);
	stop(&vmm);
}

static void test_route(void **state)
{
	struct kvm_irq_routing_entry entry;
	struct vmm vmm;

	(void)state;
	start(&vmm, true);
	program(&vmm, 2);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	assert_int_equal(mask(&vmm, 1, false), 0);
	assert_int_equal(vmm.route[1].size, sizeof(vmm.route[1]));
	assert_int_equal(vmm.route[1].giova, GIOVA);
	assert_int_equal(vmm.route[1].doorbell, DOORBELL + 0x40);
	assert_int_equal(vmm.route[1].data, 1);
	memset(&entry, 0xff, sizeof(entry));
	vmm.route[1].doorbell |= 1ull << 40;
	db_kvm_msi_route(&entry, 77, 0x108, &vmm.route[1]);
	assert_int_equal(entry.gsi, 77);
	assert_int_equal(entry.type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(entry.flags, KVM_MSI_VALID_DEVID);
	assert_int_equal(entry.u.msi.address_lo, DOORBELL + 0x40);
	assert_int_equal(entry.u.msi.address_hi, 1 << 8);
	assert_int_equal(entry.u.msi.data, 1);
	assert_int_equal(entry.u.msi.devid, 0x108);
	stop(&vmm);
}

/* Ops of a caller that is older or newer than the library, or forgot something. */
static void test_ops(void **state)
{
	struct {
		struct db_msi_guest_ops ops;
		long more;
	} newer = { .ops = ops };
	struct db_msi_guest_ops other = ops;
	struct db_vmsix *vmsix;
	struct vmm vmm;

	(void)state;
	start(&vmm, true);
	other.size = 0;
	assert_int_equal(db_vmsix_create(vmm.rig.msi, &other, &vmm, &vmsix), -EINVAL);
	assert_message_has("size");
	other.size = sizeof(other);
	other.connect = NULL;
	assert_int_equal(db_vmsix_create(vmm.rig.msi, &other, &vmm, &vmsix), -EINVAL);
	newer.ops.size = sizeof(newer);
	assert_int_equal(db_vmsix_create(vmm.rig.msi, &newer.ops, &vmm, &vmsix), 0);
	db_vmsix_destroy(vmsix);
	newer.more = 1;
	assert_int_equal(db_vmsix_create(vmm.rig.msi, &newer.ops, &vmm, &vmsix), -E2BIG);
	other = ops;
	other.size = offsetof(struct db_msi_guest_ops, commit);
	assert_int_equal(db_vmsix_create(vmm.rig.msi, &other, &vmm, &vmsix), 0);
	db_vmsix_destroy(vmsix);
	stop(&vmm);
}

/* Steering tags, or whatever the other bits of Vector Control are, stay. */
static void test_vector_control_is_kept(void **state)
{
	struct vmm vmm;

	(void)state;
	start(&vmm, true);
	program(&vmm, 1);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	assert_int_equal(mask(&vmm, 0, false), 0);
	vmm.rig.hw->table[0].control |= 0x00ab0000;
	assert_int_equal(mask(&vmm, 0, true), 0);
	assert_int_equal(vmm.rig.hw->table[0].control, 0x00ab0001);
	assert_int_equal(mask(&vmm, 0, false), 0);
	assert_int_equal(vmm.rig.hw->table[0].control, 0x00ab0000);
	stop(&vmm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_function_mask_is_few_ioctls),
		cmocka_unit_test(test_failed_change_of_all_is_tried_again),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_ops),
		cmocka_unit_test(test_vector_control_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
