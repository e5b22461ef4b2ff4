/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers a guest sees: MSI-X table, PBA and Message Control, and the MSI capability. */
#include "rig.h"

#include <errno.h>
#include <string.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"

#define ENABLE 0x8000
#define FUNCTION_MASK 0x4000

/* A VMM with a vITS that delivers any message. */
struct vmm {
	struct rig rig;
	struct db_vmsix *vmsix;
	struct db_vmsi *vmsi;
	unsigned int connects, disconnects;
	uint64_t address[MOCK_VECTORS];
	uint32_t data[MOCK_VECTORS];
	int refuse;		/* this vector is not connected; -1: none */
	int other_fd;		/* eventfds are those of index + other_fd */
};

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct vmm *vmm = ctx;

	vmm->connects++;
	if ((int)index == vmm->refuse)
		return -ENODEV;
	vmm->address[index] = route->giova;
	vmm->data[index] = route->data;
	return rig_fd(&vmm->rig, index + vmm->other_fd);
}

static void disconnect_vector(void *ctx, unsigned int index)
{
	struct vmm *vmm = ctx;

	(void)index;
	vmm->disconnects++;
}

static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };
static const struct db_msi_guest_ops ops_both = { .size = sizeof(ops_both),
						  .connect = connect_vector,
						  .disconnect = disconnect_vector };

/* What a variant of the tests is like: the mode, and whether the device's table can be mapped. */
struct variant {
	enum db_mode mode;
	bool mappable, noresize;
};

static const struct variant variants[] = {
	{ DB_MODE_NATIVE, true, false }, { DB_MODE_NATIVE, false, false },
	{ DB_MODE_NATIVE, true, true },	 { DB_MODE_NATIVE, false, true },
	{ DB_MODE_STOCK, true, false },	 { DB_MODE_RMR, false, false },
};

#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

static void start(struct vmm *vmm, const struct variant *v,
		  const struct db_msi_guest_ops *guest_ops)
{
	memset(vmm, 0, sizeof(*vmm));
	vmm->refuse = -1;
	rig_init(&vmm->rig);
	vmm->rig.hw->mappable = v->mappable;
	vmm->rig.hw->noresize = v->noresize;
	vmm->rig.mock->native = v->mode == DB_MODE_NATIVE;
	rig_open(&vmm->rig);
	rig_msi(&vmm->rig, v->mode, DB_MSIX);
	if (v->mode != DB_MODE_RMR)
		vmm->rig.hw->expect = GIOVA;
	assert_int_equal(db_vmsix_create(vmm->rig.msi, guest_ops, vmm, &vmm->vmsix), 0);
}

static void stop(struct vmm *vmm)
{
	db_vmsix_destroy(vmm->vmsix);
	rig_close(&vmm->rig);
}

static int write4(struct vmm *vmm, unsigned int index, unsigned int field, uint32_t value)
{
	return db_vmsix_table_write(vmm->vmsix, index * 16 + field, 4, value);
}

static void program(struct vmm *vmm, unsigned int index, uint64_t address, uint32_t data)
{
	assert_int_equal(write4(vmm, index, 0, address), 0);
	assert_int_equal(write4(vmm, index, 4, address >> 32), 0);
	assert_int_equal(write4(vmm, index, 8, data), 0);
}

static int mask(struct vmm *vmm, unsigned int index, bool masked)
{
	return write4(vmm, index, 12, masked);
}

static void raise_vector(struct vmm *vmm, unsigned int index)
{
	mock_raise(vmm->rig.mock, vmm->rig.hw, index);
}

static void test_registers(void **state)
{
	struct vmm vmm;

	(void)state;
	start(&vmm, &variants[0], &ops);
	assert_int_equal(db_vmsix_control_read(vmm.vmsix), 2047);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 12, 4), 1);
	program(&vmm, 5, 0x123456789abcdef3, 0xdeadbeef);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 80, 4), 0x9abcdef0);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 80, 8), 0x123456789abcdef0);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 88, 8), 0x1deadbeef);
	assert_int_equal(db_vmsix_table_write(vmm.vmsix, 80, 8, ~0ull), 0);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 80, 8), ~3ull);
	/* Vector Control: only the mask bit. */
	assert_int_equal(write4(&vmm, 5, 12, ~1u), 0);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 92, 4), 0);
	/* Hostile and odd accesses. */
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 2048 * 16, 4), ~0ull);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, ~7ull, 8), ~0ull);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 2, 4), ~0ull);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 4, 8), ~0ull);
	assert_int_equal(db_vmsix_table_read(vmm.vmsix, 0, 2), ~0ull);
	assert_int_equal(db_vmsix_table_write(vmm.vmsix, ~3ull, 4, 0), 0);
	assert_int_equal(db_vmsix_table_write(vmm.vmsix, 1, 1, 0), 0);
	assert_int_equal(db_vmsix_table_write(vmm.vmsix, 0, 16, 0), 0);
	assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 256, 8), ~0ull);
	assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 0, 1), ~0ull);
	assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 248, 8), 0);
	assert_int_equal(vmm.connects, 0);
	assert_int_equal(mock_ioctls(vmm.rig.mock), 0);
	stop(&vmm);
}

/* As Linux does it: enable with the function masked, program, unmask the function, then each vector
 * when its driver asks. */
static void test_linux_guest(void **state)
{
	unsigned int v, i;
	struct vmm vmm;

	(void)state;
	for (v = 0; v < VARIANTS; v++) {
		start(&vmm, &variants[v], &ops);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE | FUNCTION_MASK), 0);
		assert_int_equal(vmm.rig.hw->irq_type, VFIO_PCI_MSIX_IRQ_INDEX);
		for (i = 0; i < 4; i++)
			program(&vmm, i, GIOVA, i);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
		assert_int_equal(db_vmsix_control_read(vmm.vmsix), ENABLE | 2047);
		assert_int_equal(vmm.connects, 0);
		for (i = 0; i < 4; i++)
			assert_int_equal(mask(&vmm, i, false), 0);
		assert_int_equal(vmm.connects, 4);
		assert_int_equal(vmm.address[3], GIOVA);
		assert_int_equal(vmm.data[3], 3);
		for (i = 0; i < 4; i++) {
			raise_vector(&vmm, i);
			assert_int_equal(rig_take(&vmm.rig, i), 1);
		}
		assert_int_equal(vmm.rig.hw->lost, 0);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, 0), 0);
		assert_int_equal(vmm.rig.hw->irq_type, -1);
		stop(&vmm);
	}
}

/* While masked: not signalled, pending; unmasked: delivered, once. */
static void test_mask(void **state)
{
	unsigned int v, i, round;
	struct vmm vmm;

	(void)state;
	for (v = 0; v < VARIANTS; v++) {
		start(&vmm, &variants[v], &ops);
		for (i = 0; i < 70; i++) {
			program(&vmm, i, GIOVA, i);
			assert_int_equal(mask(&vmm, i, false), 0);
		}
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
		for (round = 0; round < 3; round++) {
			assert_int_equal(mask(&vmm, 65, true), 0);
			assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 8, 8), 0);
			raise_vector(&vmm, 65);
			raise_vector(&vmm, 65);
			raise_vector(&vmm, 66);
			assert_int_equal(rig_take(&vmm.rig, 65), 0);
			assert_int_equal(rig_take(&vmm.rig, 66), 1);
			assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 8, 8), 2);
			assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 8, 4), 2);
			assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 12, 4), 0);
			assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 0, 8), 0);
			assert_int_equal(mask(&vmm, 65, false), 0);
			assert_int_equal(rig_take(&vmm.rig, 65), 1);
			assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 8, 8), 0);
		}
		/* Without a disconnect op the VMM is asked once for each message. */
		assert_int_equal(vmm.connects, 70);
		/* The whole function. */
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE | FUNCTION_MASK), 0);
		raise_vector(&vmm, 0);
		raise_vector(&vmm, 69);
		assert_int_equal(rig_take(&vmm.rig, 0), 0);
		assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 0, 8), 1);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
		assert_int_equal(rig_take(&vmm.rig, 0), 1);
		assert_int_equal(rig_take(&vmm.rig, 69), 1);
		assert_int_equal(vmm.rig.hw->lost, 0);
		stop(&vmm);
	}
}

/* An interrupt of a vector that was never unmasked waits for it. */
static void test_pending_before_first_unmask(void **state)
{
	unsigned int v;
	struct vmm vmm;

	(void)state;
	for (v = 0; v < VARIANTS; v++) {
		start(&vmm, &variants[v], &ops);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
		program(&vmm, 3, GIOVA, 3);
		raise_vector(&vmm, 3);
		assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 0, 8), 8);
		assert_int_equal(mask(&vmm, 3, false), 0);
		assert_int_equal(rig_take(&vmm.rig, 3), 1);
		stop(&vmm);
	}
}

static void test_enable_all_at_once(void **state)
{
	struct vmm vmm;
	unsigned int i;

	(void)state;
	start(&vmm, &variants[0], &ops);
	for (i = 0; i < MOCK_VECTORS; i++) {
		program(&vmm, i, GIOVA, i);
		assert_int_equal(mask(&vmm, i, false), 0);
	}
	assert_int_equal(mock_ioctls(vmm.rig.mock), 0);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	assert_int_equal(mock_ioctls(vmm.rig.mock), 2);
	assert_int_equal(vmm.connects, MOCK_VECTORS);
	/* And the cost of one at a time: PREPARE and TRIGGER each, plus enabling. */
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, 0), 0);
	for (i = 0; i < MOCK_VECTORS; i++)
		assert_int_equal(mask(&vmm, i, true), 0);
	mock_forget(vmm.rig.mock);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	for (i = 0; i < MOCK_VECTORS; i++) {
		program(&vmm, i, GIOVA + 0x1000, i);
		assert_int_equal(mask(&vmm, i, false), 0);
	}
	assert_int_equal(mock_ioctls(vmm.rig.mock), 1 + 2 * MOCK_VECTORS);
	stop(&vmm);
}

static void test_message_changes(void **state)
{
	unsigned int v;
	struct vmm vmm;

	(void)state;
	for (v = 0; v < VARIANTS; v++) {
		start(&vmm, &variants[v], &ops_both);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
		program(&vmm, 0, GIOVA, 1);
		assert_int_equal(mask(&vmm, 0, false), 0);
		assert_int_equal(mask(&vmm, 0, true), 0);
		assert_int_equal(vmm.disconnects, 1);
		/* Another address and data, with an interrupt in between. */
		raise_vector(&vmm, 0);
		if (vmm.rig.hw->expect)
			vmm.rig.hw->expect = GIOVA + 0x1000;
		vmm.other_fd = 100;
		program(&vmm, 0, GIOVA + 0x1000, 2);
		assert_int_equal(mask(&vmm, 0, false), 0);
		assert_int_equal(vmm.connects, 2);
		assert_int_equal(vmm.data[0], 2);
		assert_int_equal(rig_take(&vmm.rig, 0), 0);
		assert_true(rig_take(&vmm.rig, 100) >= 1);
		/* While unmasked, in one piece. */
		if (vmm.rig.hw->expect)
			vmm.rig.hw->expect = GIOVA;
		assert_int_equal(db_vmsix_table_write(vmm.vmsix, 0, 8, GIOVA), 0);
		assert_int_equal(vmm.connects, 3);
		raise_vector(&vmm, 0);
		assert_int_equal(rig_take(&vmm.rig, 100), 1);
		stop(&vmm);
	}
}

/*
 * The guest may unmap an address as soon as it is no longer in its table: an interrupt raised then,
 * while the vector is masked, must wait, not go there.
 */
static void test_address_given_up_while_masked(void **state)
{
	unsigned int v, i;
	struct vmm vmm;

	(void)state;
	for (v = 0; v < VARIANTS; v++) {
		start(&vmm, &variants[v], &ops);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
		for (i = 0; i < 2; i++) {
			program(&vmm, i, GIOVA, i);
			assert_int_equal(mask(&vmm, i, false), 0);
			assert_int_equal(mask(&vmm, i, true), 0);
		}
		program(&vmm, 0, GIOVA + 0x1000, 0);
		if (vmm.rig.hw->expect)
			vmm.rig.hw->expect = GIOVA + 0x1000;
		raise_vector(&vmm, 0);
		assert_int_equal(vmm.rig.hw->lost, 0);
		assert_int_equal(rig_take(&vmm.rig, 0), 0);
		assert_true(db_vmsix_pba_read(vmm.vmsix, 0, 8) & 1);
		assert_int_equal(mask(&vmm, 0, false), 0);
		assert_int_equal(rig_take(&vmm.rig, 0), 1);
		raise_vector(&vmm, 0);
		assert_int_equal(rig_take(&vmm.rig, 0), 1);
		stop(&vmm);
	}
}

static void test_refused_connection(void **state)
{
	struct vmm vmm;
	unsigned int i;

	(void)state;
	start(&vmm, &variants[0], &ops);
	vmm.refuse = 1;
	for (i = 0; i < 3; i++) {
		program(&vmm, i, GIOVA, i);
		mask(&vmm, i, false);
	}
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), -ENODEV);
	assert_message_has("does not connect vector 1");
	raise_vector(&vmm, 0);
	raise_vector(&vmm, 1);
	raise_vector(&vmm, 2);
	assert_int_equal(rig_take(&vmm.rig, 0), 1);
	assert_int_equal(rig_take(&vmm.rig, 1), 0);
	assert_int_equal(rig_take(&vmm.rig, 2), 1);
	assert_int_equal(mask(&vmm, 1, false), -ENODEV);
	vmm.refuse = -1;
	assert_int_equal(mask(&vmm, 1, false), 0);
	assert_int_equal(rig_take(&vmm.rig, 1), 1);
	/* It was connected once, and the next message is refused: the old one must not be delivered
	 * any more. */
	vmm.refuse = 1;
	assert_int_equal(write4(&vmm, 1, 8, 77), -ENODEV);
	raise_vector(&vmm, 1);
	assert_int_equal(rig_take(&vmm.rig, 1), 0);
	stop(&vmm);
}

static void test_failed_arming(void **state)
{
	struct vmm vmm;
	unsigned int i;

	(void)state;
	start(&vmm, &variants[0], &ops_both);
	for (i = 0; i < 3; i++) {
		program(&vmm, i, GIOVA, i);
		mask(&vmm, i, false);
	}
	vmm.rig.mock->fail_request_stays = true;
	mock_fail(vmm.rig.mock, VFIO_DEVICE_SET_IRQS, -ENOMEM, 0);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), -ENOMEM);
	assert_int_equal(mask(&vmm, 0, true), 0);
	assert_int_equal(mask(&vmm, 0, false), -ENOMEM);
	vmm.rig.mock->fail_request_error = 0;
	assert_int_equal(mask(&vmm, 0, true), 0);
	assert_int_equal(mask(&vmm, 0, false), 0);
	raise_vector(&vmm, 0);
	assert_int_equal(rig_take(&vmm.rig, 0), 1);
	/* The others, as soon as the function is masked and unmasked. */
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE | FUNCTION_MASK), 0);
	assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
	raise_vector(&vmm, 2);
	assert_int_equal(rig_take(&vmm.rig, 2), 1);
	stop(&vmm);
}

/* The device does not answer while the guest masks and unmasks. */
static void test_mask_fails(void **state)
{
	uint8_t d3[2] = { 3 }, d0[2] = { 0 }, off[2] = { 0 };
	unsigned int v;
	struct vmm vmm;

	(void)state;
	for (v = 0; v < 2; v++) {
		start(&vmm, &variants[v], &ops);
		program(&vmm, 0, GIOVA, 0);
		mask(&vmm, 0, false);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
		assert_int_equal(db_device_config_write(vmm.rig.dev, d3, 2, 0x44), 2);
		assert_int_equal(db_device_config_write(vmm.rig.dev, off, 2, 4), 2);
		if (!variants[v].mappable)
			mock_fail(vmm.rig.mock, VFIO_DEVICE_SET_IRQS, -EIO, 0);
		assert_int_equal(mask(&vmm, 0, true), -EIO);
		assert_int_equal(db_vmsix_pba_read(vmm.vmsix, 0, 8), 0);
		assert_int_equal(db_device_config_write(vmm.rig.dev, d0, 2, 0x44), 2);
		off[0] = 6;
		assert_int_equal(db_device_config_write(vmm.rig.dev, off, 2, 4), 2);
		assert_int_equal(mask(&vmm, 0, false), 0);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE | FUNCTION_MASK), 0);
		if (!variants[v].mappable)
			mock_fail(vmm.rig.mock, VFIO_DEVICE_SET_IRQS, -EIO, 0);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE),
				 variants[v].mappable ? 0 : -EIO);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, 0), 0);
		off[0] = 0;
		stop(&vmm);
	}
}

static void test_reset(void **state)
{
	unsigned int v;
	struct vmm vmm;

	(void)state;
	for (v = 0; v < VARIANTS; v++) {
		start(&vmm, &variants[v], &ops_both);
		program(&vmm, 0, GIOVA, 0);
		program(&vmm, 1, GIOVA, 1);
		mask(&vmm, 0, false);
		mask(&vmm, 1, false);
		assert_int_equal(db_vmsix_control_write(vmm.vmsix, ENABLE), 0);
		assert_int_equal(mask(&vmm, 1, true), 0);
		/* By the VMM, behind the guest's back: all stays, also the mask. */
		assert_int_equal(db_device_reset(vmm.rig.dev), 0);
		assert_int_equal(db_msi_restore(vmm.rig.msi), 0);
		raise_vector(&vmm, 0);
		raise_vector(&vmm, 1);
		assert_int_equal(rig_take(&vmm.rig, 0), 1);
		assert_int_equal(rig_take(&vmm.rig, 1), 0);
		assert_int_equal(mask(&vmm, 1, false), 0);
		assert_int_equal(rig_take(&vmm.rig, 1), 1);
		assert_int_equal(vmm.rig.hw->lost, 0);
		/* By the guest: it finds its registers as after power-on. */
		assert_int_equal(db_device_reset(vmm.rig.dev), 0);
		db_vmsix_reset(vmm.vmsix);
		assert_int_equal(db_vmsix_control_read(vmm.vmsix), 2047);
		assert_int_equal(db_vmsix_table_read(vmm.vmsix, 0, 8), 0);
		assert_int_equal(db_vmsix_table_read(vmm.vmsix, 8, 8), 1ull << 32);
		assert_int_equal(vmm.rig.hw->irq_type, -1);
		assert_int_equal(vmm.disconnects, 3);
		stop(&vmm);
	}
}

static void test_wrong_kind(void **state)
{
	struct rig rig = { 0 };
	struct db_vmsix *vmsix;
	struct db_vmsi *vmsi;

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSI);
	assert_int_equal(db_vmsix_create(rig.msi, &ops, NULL, &vmsix), -EINVAL);
	db_msi_destroy(rig.msi);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(db_vmsi_create(rig.msi, &ops, NULL, &vmsi), -EINVAL);
	rig_close(&rig);
}

static void start_msi(struct vmm *vmm, bool wide, bool maskable,
		      const struct db_msi_guest_ops *guest_ops)
{
	memset(vmm, 0, sizeof(*vmm));
	vmm->refuse = -1;
	rig_init(&vmm->rig);
	vmm->rig.hw->msi_64bit = wide;
	vmm->rig.hw->msi_maskable = maskable;
	mock_device_reset(vmm->rig.hw);
	rig_open(&vmm->rig);
	rig_msi(&vmm->rig, DB_MODE_NATIVE, DB_MSI);
	assert_int_equal(db_vmsi_create(vmm->rig.msi, guest_ops, vmm, &vmm->vmsi), 0);
}

static void stop_msi(struct vmm *vmm)
{
	db_vmsi_destroy(vmm->vmsi);
	rig_close(&vmm->rig);
}

static void test_vmsi(void **state)
{
	struct vmm vmm;
	unsigned int i;

	(void)state;
	start_msi(&vmm, true, true, &ops);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 0, 4), 0x05 | (0x100 | 0x80 | 3 << 1) << 16);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 4, 4, (uint32_t)GIOVA | 3), 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 8, 4, GIOVA >> 32), 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 12, 2, 0x21), 0);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 4, 4), (uint32_t)GIOVA);
	assert_int_equal(mock_ioctls(vmm.rig.mock), 0);
	/* Four messages; one is masked from the beginning. */
	assert_int_equal(db_vmsi_write(vmm.vmsi, 16, 4, 1 << 2), 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 2, 2, 1 | 2 << 4 | 0x380), 0);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 2, 2), 0x100 | 0x80 | 2 << 4 | 3 << 1 | 1);
	assert_int_equal(vmm.rig.hw->allocated, 4);
	assert_int_equal(vmm.data[3], 0x23);
	assert_int_equal(vmm.address[3], GIOVA);
	for (i = 0; i < 4; i++)
		mock_raise(vmm.rig.mock, vmm.rig.hw, i);
	assert_int_equal(rig_take(&vmm.rig, 0), 1);
	assert_int_equal(rig_take(&vmm.rig, 2), 0);
	assert_int_equal(rig_take(&vmm.rig, 3), 1);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 20, 4), 1 << 2);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 16, 1, 1), 0);
	assert_int_equal(rig_take(&vmm.rig, 2), 1);
	assert_int_equal(rig_take(&vmm.rig, 1), 1);
	mock_raise(vmm.rig.mock, vmm.rig.hw, 0);
	assert_int_equal(rig_take(&vmm.rig, 0), 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 16, 4, 0), 0);
	assert_int_equal(rig_take(&vmm.rig, 0), 1);
	/* Another address while enabled. */
	assert_int_equal(db_vmsi_write(vmm.vmsi, 4, 4, 0x5000), 0);
	assert_int_equal(vmm.rig.hw->table[1].low, 0x5040);
	/* Pending bits and capability bits are read-only. */
	assert_int_equal(db_vmsi_write(vmm.vmsi, 20, 4, ~0u), 0);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 20, 4), 0);
	/* Odd accesses. */
	assert_int_equal(db_vmsi_read(vmm.vmsi, 24, 4), ~0u);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 1, 2), ~0u);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 0, 3), ~0u);
	assert_int_equal(db_vmsi_write(vmm.vmsi, ~0u, 1, 0), 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 2, 2, 0), 0);
	assert_int_equal(vmm.rig.hw->irq_type, -1);
	stop_msi(&vmm);
}

static void test_vmsi_32(void **state)
{
	struct vmm vmm;

	(void)state;
	start_msi(&vmm, false, false, &ops_both);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 0, 4), 0x05 | (3 << 1) << 16);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 12, 4), ~0u);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 4, 4, 0xfff00040), 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 8, 4, 0xffff0010), 0);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 8, 4), 0x10);
	/* More than there are: all. */
	assert_int_equal(db_vmsi_write(vmm.vmsi, 2, 2, 1 | 7 << 4), 0);
	assert_int_equal(vmm.rig.hw->allocated, 8);
	mock_raise(vmm.rig.mock, vmm.rig.hw, 7);
	assert_int_equal(rig_take(&vmm.rig, 7), 1);
	db_vmsi_reset(vmm.vmsi);
	assert_int_equal(vmm.disconnects, 8);
	assert_int_equal(db_vmsi_read(vmm.vmsi, 4, 4), 0);
	stop_msi(&vmm);
}

static void test_vmsi_fails(void **state)
{
	struct vmm vmm;

	(void)state;
	start_msi(&vmm, true, true, &ops_both);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 4, 4, 0x5000), 0);
	mock_fail(vmm.rig.mock, VFIO_DEVICE_SET_IRQS, -ENOMEM, 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 2, 2, 1 | 1 << 4), -ENOMEM);
	/* Tried again when the guest next writes. */
	vmm.refuse = 1;
	assert_int_equal(db_vmsi_write(vmm.vmsi, 2, 2, 1 | 1 << 4), -ENODEV);
	mock_raise(vmm.rig.mock, vmm.rig.hw, 0);
	assert_int_equal(rig_take(&vmm.rig, 0), 1);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 16, 4, 2), 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 16, 4, 0), -ENODEV);
	vmm.refuse = -1;
	assert_int_equal(db_vmsi_write(vmm.vmsi, 16, 4, 2), 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 16, 4, 0), 0);
	mock_raise(vmm.rig.mock, vmm.rig.hw, 1);
	assert_int_equal(rig_take(&vmm.rig, 1), 1);
	mock_fail(vmm.rig.mock, VFIO_DEVICE_SET_IRQS, -EIO, 0);
	assert_int_equal(db_vmsi_write(vmm.vmsi, 16, 4, 1), -EIO);
	stop_msi(&vmm);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_linux_guest),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_pending_before_first_unmask),
		cmocka_unit_test(test_enable_all_at_once),
		cmocka_unit_test(test_message_changes),
		cmocka_unit_test(test_address_given_up_while_masked),
		cmocka_unit_test(test_refused_connection),
		cmocka_unit_test(test_failed_arming),
		cmocka_unit_test(test_mask_fails),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_wrong_kind),
		cmocka_unit_test(test_vmsi),
		cmocka_unit_test(test_vmsi_32),
		cmocka_unit_test(test_vmsi_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
