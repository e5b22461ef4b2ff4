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

/* A root complex of segment 0 with these mappings; the nodes they go to come before it. */
static void complex(struct table *t, unsigned int mappings)
{
	node(t, 2, 20, mappings);
	put(t, 1, 4);
	put(t, 0, 4);
	put(t, 0, 4);
	put(t, 0, 4);
	put(t, 64, 4);
}

static size_t its_group(struct table *t, uint32_t id)
{
	size_t at = t->len;

	node(t, 0, 8, 0);
	put(t, 1, 4);
	put(t, id, 4);
	return at;
}

static size_t smmu_to(struct table *t, uint64_t base, size_t group, uint32_t output)
{
	size_t at = t->len;

	node(t, 4, 52, 2);
	put(t, base, 8);
	t->len += 44;
	mapping(t, output, 0x101, output + 0x10000, group, 0);
	mapping(t, 0, 1, 0x7777, group, 1);
	return at;
}

static void begin_iort(struct table *t, unsigned int nodes)
{
	begin(t, "IORT");
	put(t, nodes, 4);
	put(t, 48, 4);
	put(t, 0, 4);
}

static void check(const struct table *iort, uint16_t id, int32_t stream, int32_t device,
		  uint32_t its)
{
	struct firmware_route r;
	struct firmware fw;

	assert_int_equal(firmware_parse(&fw, iort->bytes, iort->len, NULL, 0), 0);
	assert_true(firmware_route(&fw, 0, id, &r));
	assert_int_equal(r.smmu ? (int32_t)r.stream_id : -1, stream);
	assert_int_equal(r.its ? (int32_t)r.device_id : -1, device);
	if (r.its)
		assert_int_equal(r.its_ids[0], its);
	firmware_free(&fw);
}

/*
 * Counts written as N where N - 1 is meant: an ID is that of the range that starts at it, in
 * whatever order they stand; the last range's has the ID beyond its end all the same.
 */
static void counts_off_by_one(void **state)
{
	unsigned int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		size_t group[2], smmu[2];
		struct table t;

		begin_iort(&t, 5);
		group[0] = its_group(&t, 0);
		group[1] = its_group(&t, 1);
		smmu[0] = smmu_to(&t, 0x1000000, group[0], 0x300);
		smmu[1] = smmu_to(&t, 0x2000000, group[1], 0x400);
		complex(&t, 4);
		/* mapping() takes the count as it should be, so each is one more */
		mapping(&t, order ? 0x1100 : 0x1000, 0x101, order ? 0x400 : 0x300,
			smmu[order], 0);
		mapping(&t, order ? 0x1000 : 0x1100, 0x101, order ? 0x300 : 0x400,
			smmu[!order], 0);
		mapping(&t, 0x2000, 0x101, 0x5000, group[0], 0);
		mapping(&t, 0x2100, 1, 0x6000, group[1], 0);
		end(&t);
		check(&t, 0x1000, 0x300, 0x10300, 0);
		check(&t, 0x10ff, 0x3ff, 0x103ff, 0);
		check(&t, 0x1100, 0x400, 0x10400, 1);
		check(&t, 0x1200, 0x500, 0x10500, 1);
		check(&t, 0x1201, -1, -1, 0);
		check(&t, 0x20ff, -1, 0x50ff, 0);
		check(&t, 0x2100, -1, 0x6000, 1);
	}
}

/* The same one level further on: two ranges of an SMMU that adjoin. */
static void counts_off_by_one_behind_an_smmu(void **state)
{
	size_t group[2], smmu;
	struct table t;

	(void)state;
	begin_iort(&t, 4);
	group[0] = its_group(&t, 0);
	group[1] = its_group(&t, 1);
	smmu = t.len;
	node(&t, 4, 52, 2);
	put(&t, 0x1000000, 8);
	t.len += 44;
	mapping(&t, 0, 0x101, 0x1000, group[0], 0);
	mapping(&t, 0x100, 0x101, 0x2000, group[1], 0);
	complex(&t, 1);
	mapping(&t, 0, 0x10000, 0, smmu, 0);
	end(&t);
	check(&t, 0xff, 0xff, 0x10ff, 0);
	check(&t, 0x100, 0x100, 0x2000, 1);
	check(&t, 0x200, 0x200, 0x2100, 1);
	check(&t, 0x201, 0x201, -1, 0);
}

/* Ranges that overlap otherwise: the first one that has the ID. */
static void ranges_that_overlap(void **state)
{
	size_t group[2];
	struct table t;

	(void)state;
	begin_iort(&t, 3);
	group[0] = its_group(&t, 0);
	group[1] = its_group(&t, 1);
	complex(&t, 2);
	mapping(&t, 0, 0x200, 0x1000, group[0], 0);
	mapping(&t, 0x100, 0x200, 0x2000, group[1], 0);
	end(&t);
	check(&t, 0x100, -1, 0x1100, 0);
	check(&t, 0x1ff, -1, 0x11ff, 0);	/* its end, and no start of another */
	check(&t, 0x200, -1, 0x2100, 1);
}

static void one_id_for_all(void **state)
{
	struct firmware_route r;
	struct firmware fw;
	uint16_t last;
	struct table t;
	size_t group, smmu;

	(void)state;
	begin_iort(&t, 3);
	group = its_group(&t, 9);
	smmu = smmu_to(&t, 0x1000000, group, 0x42);
	complex(&t, 1);
	mapping(&t, 0, 1, 0x42, smmu, 1);
	end(&t);
	check(&t, 0, 0x42, 0x10042, 9);
	check(&t, 0xffff, 0x42, 0x10042, 9);
	assert_int_equal(firmware_parse(&fw, t.bytes, t.len, NULL, 0), 0);
	assert_true(firmware_range(&fw, 0, 3, &last, &r));
	assert_int_equal(last, 0xffff);
	assert_true(r.single);
	firmware_free(&fw);
}

/* An SMMU in front of an SMMU: the first translates, and messages go through both. */
static void levels(void **state)
{
	size_t group, second, first;
	struct table t;

	(void)state;
	begin_iort(&t, 4);
	group = its_group(&t, 4);
	second = smmu_to(&t, 0x2000000, group, 0x80);
	first = smmu_to(&t, 0x1000000, second, 0x40);
	set(&t, first + 16 + 52 + 8, 0x80, 4);
	complex(&t, 1);
	mapping(&t, 0, 0x10, 0x40, first, 0);
	end(&t);
	check(&t, 1, 0x41, 0x10081, 4);
}

/* All IDs asked one by one give what the ranges give. */
static void ranges_are_routes(void **state)
{
	struct firmware_route of_range, of_one;
	struct firmware fw;
	struct table t;
	uint16_t last;
	uint32_t id, first;

	(void)state;
	make_iort(&t);
	assert_int_equal(firmware_parse(&fw, t.bytes, t.len, NULL, 0), 0);
	for (first = 0; first <= 0xffff; first = last + 1u) {
		assert_true(firmware_range(&fw, 0, first, &last, &of_range));
		assert_true(last >= first);
		for (id = first; id <= last; id++) {
			assert_true(firmware_route(&fw, 0, id, &of_one));
			assert_int_equal(of_one.smmu, of_range.smmu);
			assert_int_equal(of_one.its, of_range.its);
			if (of_one.smmu)
				assert_int_equal(of_one.stream_id - (id - first),
						 of_range.stream_id);
			if (of_one.its)
				assert_int_equal(of_one.device_id - (id - first),
						 of_range.device_id);
		}
	}
	firmware_free(&fw);
}

/* Root complexes in the order of the table; a mapping without a target spoils all, as in Linux. */
static void segments_and_missing_targets(void **state)
{
	struct firmware fw;
	uint32_t segment;
	size_t group;
	struct table t;

	(void)state;
	begin_iort(&t, 2);
	group = its_group(&t, 0);
	complex(&t, 2);
	mapping(&t, 0, 0x10, 0, 0, 0);
	mapping(&t, 0x10, 0x10, 0, group, 0);
	end(&t);
	check(&t, 0x18, -1, -1, 0);
	assert_int_equal(firmware_parse(&fw, t.bytes, t.len, NULL, 0), 0);
	assert_true(firmware_segment(&fw, 0, &segment));
	assert_int_equal(segment, 0);
	assert_false(firmware_segment(&fw, 1, &segment));
	firmware_free(&fw);
}

static void addresses(void **state)
{
	static const char *const bad[] = { "", "0000:01:00", "0000:01:20.0", "0000:01:00.8", "x",
					   "0000:01:00.0 ", " 0000:01:00.0", "0000:01:00.00" };
	unsigned int segment, i;
	uint16_t id;

	(void)state;
	assert_true(firmware_parse_address("0008:02:1f.7", &segment, &id));
	assert_int_equal(segment, 8);
	assert_int_equal(id, 0x2ff);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(firmware_parse_address(bad[i], &segment, &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_tables),
		cmocka_unit_test(no_tables),
		cmocka_unit_test(damaged_tables),
		cmocka_unit_test(circles),
		cmocka_unit_test(counts_off_by_one),
		cmocka_unit_test(counts_off_by_one_behind_an_smmu),
		cmocka_unit_test(ranges_that_overlap),
		cmocka_unit_test(one_id_for_all),
		cmocka_unit_test(levels),
		cmocka_unit_test(ranges_are_routes),
		cmocka_unit_test(segments_and_missing_targets),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
