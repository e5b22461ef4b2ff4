/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random guests against a model of PCIe's rules for MSI-X (6.1.4): every interrupt that the device
 * raises is delivered to the eventfd of the message that the vector has when it is live, once, or
 * is pending, as the PBA says. In each mode, with and without a table that can be mapped.
 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "abi/vfio.h"

#define VECTORS 66		/* two words of PBA */
#define STEPS 400
#define SEEDS 2

struct model_vector {
	bool masked, pending;
	unsigned int page;	/* its address is page(page) */
	uint32_t data;
	uint64_t due;		/* deliveries that were not yet taken */
};

struct model {
	struct rig rig;
	struct db_vmsix *vmsix;
	bool enabled, function_masked;
	struct model_vector vector[VECTORS];
	uint64_t random;
};

static const struct {
	enum db_mode mode;
	bool mappable, noresize, fall_through;
} variants[] = {
	{ DB_MODE_NATIVE, true },	{ DB_MODE_NATIVE, false },
	{ DB_MODE_NATIVE, true, true }, { DB_MODE_NATIVE, true, false, true },
	{ DB_MODE_STOCK, true },	{ DB_MODE_STOCK, true, true },
	{ DB_MODE_RMR, true },		{ DB_MODE_RMR, false },
};

#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

static unsigned int draw(struct model *m, unsigned int n)
{
	m->random = m->random * 6364136223846793005ull + 1442695040888963407ull;
	return (m->random >> 33) % n;
}

static uint64_t page_address(unsigned int page)
{
	return 0xffff000000ull + page * 0x1000ull + 0x40;
}

/* Data 0 and 1 of a vector have an eventfd each. */
static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct model *m = ctx;

	assert_int_equal(route->giova, page_address(m->vector[index].page));
	assert_int_equal(route->data, m->vector[index].data);
	return rig_fd(&m->rig, index * 2 + route->data);
}

static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };

/* The guest's stage 1: nothing but the vector's own address leads to the ITS. */
static bool guest_maps(void *ctx, unsigned int index, uint64_t address)
{
	struct model *m = ctx;

	return address == page_address(m->vector[index].page);
}

static bool live(const struct model *m, unsigned int index)
{
	return m->enabled && !m->function_masked && !m->vector[index].masked;
}

static void settle(struct model *m)
{
	unsigned int i;

	for (i = 0; i < VECTORS; i++) {
		if (live(m, i) && m->vector[i].pending) {
			m->vector[i].pending = false;
			m->vector[i].due++;
		}
	}
}

/* The model's state is the library's, to the last interrupt. */
static void compare(struct model *m)
{
	uint64_t pba[2] = { db_vmsix_pba_read(m->vmsix, 0, 8), db_vmsix_pba_read(m->vmsix, 8, 8) };
	unsigned int i;

	for (i = 0; i < VECTORS; i++) {
		struct model_vector *v = &m->vector[i];

		assert_int_equal(rig_take(&m->rig, i * 2 + v->data), v->due);
		assert_int_equal(rig_take(&m->rig, i * 2 + !v->data), 0);
		v->due = 0;
		assert_int_equal(pba[i / 64] >> i % 64 & 1, v->pending);
	}
}

static void raise_vector(struct model *m, unsigned int index)
{
	if (m->enabled && live(m, index))
		m->vector[index].due++;
	else if (m->enabled)
		m->vector[index].pending = true;
	mock_raise(m->rig.mock, m->rig.hw, index);
}

static void set_mask(struct model *m, unsigned int index, bool masked)
{
	m->vector[index].masked = masked;
	assert_int_equal(db_vmsix_table_write(m->vmsix, index * 16 + 12, 4, masked), 0);
}

/* As software must (PCIe 6.1.4.3): the entry is masked while it is changed. */
static void set_message(struct model *m, unsigned int index)
{
	bool masked = m->vector[index].masked;
	uint64_t address;

	set_mask(m, index, true);
	/* What was delivered so far was so under the old message. */
	compare(m);
	m->vector[index].page = draw(m, 3);
	m->vector[index].data = draw(m, 2);
	address = page_address(m->vector[index].page);
	if (draw(m, 2)) {
		assert_int_equal(db_vmsix_table_write(m->vmsix, index * 16, 8, address), 0);
	} else {
		assert_int_equal(db_vmsix_table_write(m->vmsix, index * 16, 4, (uint32_t)address),
				 0);
		assert_int_equal(db_vmsix_table_write(m->vmsix, index * 16 + 4, 4, address >> 32),
				 0);
	}
	assert_int_equal(db_vmsix_table_write(m->vmsix, index * 16 + 8, 4, m->vector[index].data),
			 0);
	set_mask(m, index, masked);
}

static void set_control(struct model *m, bool enabled, bool function_masked)
{
	unsigned int i;

	m->enabled = enabled;
	m->function_masked = function_masked;
	assert_int_equal(db_vmsix_control_write(m->vmsix, (enabled ? 0x8000 : 0) |
								  (function_masked ? 0x4000 : 0)),
			 0);
	assert_int_equal(db_vmsix_control_read(m->vmsix),
			 (enabled ? 0x8000 : 0) | (function_masked ? 0x4000 : 0) | (VECTORS - 1));
	/* A function whose MSI-X is disabled forgets what was pending: ours does. */
	if (!enabled) {
		memset(m->rig.hw->pba, 0, sizeof(m->rig.hw->pba));
		for (i = 0; i < VECTORS; i++)
			m->vector[i].pending = false;
	}
}

static void reset(struct model *m)
{
	unsigned int i;

	assert_int_equal(db_device_reset(m->rig.dev), 0);
	assert_int_equal(db_msi_restore(m->rig.msi), 0);
	for (i = 0; i < VECTORS; i++)
		m->vector[i].pending = m->vector[i].pending && !m->rig.hw->mappable && m->enabled;
}

static void step(struct model *m)
{
	unsigned int index = draw(m, VECTORS), what = draw(m, 100);

	if (what < 40)
		raise_vector(m, index);
	else if (what < 60)
		set_mask(m, index, true);
	else if (what < 85)
		set_mask(m, index, false);
	else if (what < 92)
		set_message(m, index);
	else if (what < 96)
		set_control(m, true, !m->function_masked);
	else if (what < 98)
		set_control(m, !m->enabled, draw(m, 2));
	else if (what < 99 && m->rig.hw->mappable)
		reset(m);
	settle(m);
}

static void run(unsigned int variant, unsigned int seed)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = variants[variant].mode,
					.kind = DB_MSIX,
					.fall_through = variants[variant].fall_through };
	struct model *m = calloc(1, sizeof(*m));
	unsigned int i;

	assert_non_null(m);
	m->random = seed;
	rig_init(&m->rig);
	m->rig.hw->msix = VECTORS;
	m->rig.hw->mappable = variants[variant].mappable;
	m->rig.hw->noresize = variants[variant].noresize;
	if (config.mode != DB_MODE_RMR) {
		m->rig.hw->guest_maps = guest_maps;
		m->rig.hw->ctx = m;
	}
	m->rig.mock->native = config.mode == DB_MODE_NATIVE;
	mock_device_reset(m->rig.hw);
	rig_open(&m->rig);
	config.dev = m->rig.dev;
	config.space = m->rig.space;
	config.doorbell_ipa = config.mode == DB_MODE_STOCK ? MOCK_WINDOW : 0x20090000;
	assert_int_equal(db_msi_create(&config, &m->rig.msi), 0);
	assert_int_equal(db_vmsix_create(m->rig.msi, &ops, m, &m->vmsix), 0);
	for (i = 0; i < VECTORS; i++) {
		m->vector[i].masked = true;
		set_message(m, i);
	}
	for (i = 0; i < STEPS; i++) {
		step(m);
		compare(m);
	}
	db_vmsix_destroy(m->vmsix);
	rig_close(&m->rig);
	free(m);
}

static void test_model(void **state)
{
	unsigned int variant, seed;

	(void)state;
	for (variant = 0; variant < VARIANTS; variant++) {
		for (seed = 1; seed <= SEEDS; seed++) {
			print_message("mode %s, mappable %d, noresize %d, fall_through %d, seed "
				      "%u\n", db_mode_name(variants[variant].mode),
				      variants[variant].mappable, variants[variant].noresize,
				      variants[variant].fall_through, seed);
			run(variant, seed);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
