/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading IORT and MADT: whole ones, and ones that firmware got wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/firmware.h"

/* A table under construction. */
struct table {
	uint8_t bytes[1024];
	size_t len;
};

static void put(struct table *t, uint64_t value, unsigned int bytes)
{
	for (; bytes; bytes--, value >>= 8)
		t->bytes[t->len++] = value;
}

static void set(struct table *t, size_t at, uint64_t value, unsigned int bytes)
{
	size_t len = t->len;

	t->len = at;
	put(t, value, bytes);
	t->len = len;
}

static void begin(struct table *t, const char *signature)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->bytes, signature, 4);
	t->len = 36;
}

static void end(struct table *t)
{
	set(t, 4, t->len, 4);
}

/* A node's header for @data bytes and @mappings, which end() of the node follows. */
static void node(struct table *t, unsigned int kind, size_t data, unsigned int mappings)
{
	put(t, kind, 1);
	put(t, 16 + data + 20 * mappings, 2);
	put(t, 0, 1);
	put(t, 0, 4);
	put(t, mappings, 4);
	put(t, 16 + data, 4);
}

static void mapping(struct table *t, uint32_t first, uint32_t count, uint32_t output, size_t to,
		    uint32_t flags)
{
	put(t, first, 4);
	put(t, count - 1, 4);
	put(t, output, 4);
	put(t, to, 4);
	put(t, flags, 4);
}

/* Where the nodes are. */
struct places {
	size_t group, smmu, complex;
};

/*
 * Segment 0: bus 0 to 0x7f through the SMMU (StreamID + 0x10000) to ITSes 3 and 5 (DeviceID +
 * 0x20000); bus 0x80 at once to them; bus 0xff nowhere.
 */
static struct places make_iort(struct table *t)
{
	struct places p;

	begin(t, "IORT");
	put(t, 3, 4);
	put(t, 48, 4);
	put(t, 0, 4);
	p.group = t->len;
	node(t, 0, 12, 0);
	put(t, 2, 4);
	put(t, 3, 4);
	put(t, 5, 4);
	p.smmu = t->len;
	node(t, 4, 52, 2);
	put(t, 0x9050000, 8);
	t->len += 44;
	mapping(t, 0, 1, 0x7777, p.group, 1);	/* its own MSIs: not of what comes in */
	mapping(t, 0x10000, 0x8000, 0x20000, p.group, 0);
	p.complex = t->len;
	node(t, 2, 20, 2);
	put(t, 1, 4);				/* coherent */
	put(t, 0, 3);
	put(t, 7, 1);				/* with CANWBS */
	put(t, 0, 4);
	put(t, 0, 4);				/* segment */
	put(t, 64, 4);
	mapping(t, 0, 0x8000, 0x10000, p.smmu, 0);
	mapping(t, 0x8000, 0x100, 0x500, p.group, 0);
	end(t);
	return p;
}

static void make_madt(struct table *t)
{
	unsigned int i;

	begin(t, "APIC");
	put(t, 0, 8);
	put(t, 0x0c, 1);	/* a GICD in between */
	put(t, 24, 1);
	t->len += 22;
	for (i = 3; i <= 5; i += 2) {
		put(t, 0x0f, 1);
		put(t, 20, 1);
		put(t, 0, 2);
		put(t, i, 4);
		put(t, 0x8080000 + i * 0x20000, 8);
		put(t, 0, 4);
	}
	end(t);
}

static void whole_tables(void **state)
{
	struct firmware_route r;
	struct table iort, madt;
	struct firmware fw;

	(void)state;
	make_iort(&iort);
	make_madt(&madt);
	firmware_parse(&fw, iort.bytes, iort.len, madt.bytes, madt.len);
	assert_int_equal(fw.n_itses, 2);
	assert_int_equal(firmware_its(&fw, 5)->base, 0x8120000);
	assert_null(firmware_its(&fw, 4));

	assert_true(firmware_route(&fw, 0, 0x0100, &r));
	assert_true(r.smmu && r.its && r.coherent && r.canwbs);
	assert_int_equal(r.smmu_base, 0x9050000);
	assert_int_equal(r.stream_id, 0x10100);
	assert_int_equal(r.device_id, 0x20100);
	assert_int_equal(r.n_itses, 2);
	assert_int_equal(r.its_ids[1], 5);

	assert_true(firmware_route(&fw, 0, 0x8008, &r));
	assert_true(!r.smmu && r.its);
	assert_int_equal(r.device_id, 0x508);
	assert_true(firmware_route(&fw, 0, 0xff00, &r));
	assert_true(!r.smmu && !r.its);
	assert_false(firmware_route(&fw, 1, 0x0100, &r));
	firmware_free(&fw);
}

static void no_tables(void **state)
{
	struct firmware_route r;
	struct firmware fw;

	(void)state;
	firmware_parse(&fw, NULL, 0, NULL, 0);
	assert_int_equal(fw.n_itses, 0);
	assert_false(firmware_route(&fw, 0, 0, &r));
	firmware_free(&fw);
}

/*
 * Cut off anywhere, and with each byte changed: something comes of it or nothing, within the table.
 */
static void damaged_tables(void **state)
{
	struct table iort, madt, bad;
	struct firmware_route r;
	struct firmware fw;
	uint8_t *exact;
	size_t i, len;

	(void)state;
	make_iort(&iort);
	make_madt(&madt);
	for (len = 0; len < iort.len; len++) {
		bad = iort;
		set(&bad, 4, len, 4);
		exact = malloc(len ? len : 1);
		memcpy(exact, bad.bytes, len);
		firmware_parse(&fw, exact, len, madt.bytes, len < madt.len ? len : madt.len);
		firmware_route(&fw, 0, 0x0100, &r);
		assert_true(r.n_itses <= FIRMWARE_GROUP);
		firmware_free(&fw);
		free(exact);
	}
	for (i = 0; i < iort.len; i++) {
		bad = iort;
		bad.bytes[i] = 0xff;
		firmware_parse(&fw, bad.bytes, bad.len, bad.bytes, bad.len);
		firmware_route(&fw, 0, 0x0100, &r);
		assert_true(r.n_itses <= FIRMWARE_GROUP);
		firmware_free(&fw);
	}
}

/* An SMMU that sends to itself, and lengths that would not let the reading advance. */
static void circles(void **state)
{
	struct firmware_route r;
	struct table iort, madt;
	struct firmware fw;
	struct places p;

	(void)state;
	p = make_iort(&iort);
	set(&iort, p.smmu + 16 + 52 + 20 + 12, p.smmu, 4);
	make_madt(&madt);
	madt.bytes[45] = 0;
	firmware_parse(&fw, iort.bytes, iort.len, madt.bytes, madt.len);
	assert_int_equal(fw.n_itses, 0);
	assert_true(firmware_route(&fw, 0, 0x0100, &r));
	assert_true(r.smmu && !r.its);
	firmware_free(&fw);
	set(&iort, p.group + 1, 0, 2);
	firmware_parse(&fw, iort.bytes, iort.len, NULL, 0);
	assert_false(firmware_route(&fw, 0, 0x0100, &r));
	firmware_free(&fw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_tables),
		cmocka_unit_test(no_tables),
		cmocka_unit_test(damaged_tables),
		cmocka_unit_test(circles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
