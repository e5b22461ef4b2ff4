/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GICv3 ITS: every command, and every error of each one by one. Error codes are written out, as the
 * architecture's documents give them.
 */
#include "its_fixture.h"

#define DEV 7u
#define ICID 3u

/* DEV with 32 events, collection ICID on processor 2, event 5 -> LPI 8197. */
static int setup_mapped(void **state)
{
	struct its_fixture *f;

	its_fixture_setup(state);
	f = *state;
	assert_int_equal(mapd(f, DEV, ITTS, 5), 0);
	assert_int_equal(mapc(f, ICID, 2), 0);
	assert_int_equal(mapti(f, DEV, 5, 8197, ICID), 0);
	return 0;
}

static void test_disabled(void **state)
{
	struct its_fixture *f = *state;

	its_enable(f->its, false);
	assert_int_equal(mapd(f, DEV, ITTS, 5), 0x010842);
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010342);
	assert_int_equal(f->calls, 0);
	its_enable(f->its, true);
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
}

static void test_basers(void **state)
{
	struct its_fixture *f = *state;
	uint64_t devices = its_get_baser(f->its, 0);

	assert_int_equal(devices >> 56 & 7, 1);
	assert_int_equal(devices >> 48 & 0x1f, 7);	/* 8 bytes */
	assert_int_equal(its_get_baser(f->its, 1) >> 56 & 7, 4);
	for (unsigned int n = 2; n < 9; n++)
		assert_int_equal(its_set_baser(f->its, n, ~0ull), 0);

	/* Enabled: ignored. */
	assert_int_equal(its_set_baser(f->its, 0, 0), devices);
	its_enable(f->its, false);
	/* Type and Entry_Size are read-only. */
	assert_int_equal(its_set_baser(f->its, 0, ~0ull),
			 (~0ull & ~(0x7ull << 56 | 0x1full << 48)) | 1ull << 56 | 7ull << 48);
	assert_int_equal(its_set_baser(f->its, 0, 0), 1ull << 56 | 7ull << 48);
	its_enable(f->its, true);
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010301);
}

static void test_translate(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(its_translate(f->its, DEV, 5), 0);
	assert_last_call(f, CALL_SET, 2, 0, 8197);
	/* Errors are those of INT. */
	assert_int_equal(its_translate(f->its, 512, 5), 0x010301);
	assert_int_equal(its_translate(f->its, 1u << DEVICE_BITS, 5), 0x010301);
	assert_int_equal(its_translate(f->its, DEV + 1, 5), 0x010304);
	assert_int_equal(its_translate(f->its, DEV, 32), 0x010305);
	assert_int_equal(its_translate(f->its, DEV, UINT32_MAX), 0x010305);
	assert_int_equal(its_translate(f->its, DEV, 6), 0x010307);
	assert_int_equal(f->calls, 1);
}

static void test_mapd(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(mapd(f, 1u << DEVICE_BITS, ITTS, 5), 0x010801);
	assert_int_equal(mapd(f, 512, ITTS, 5), 0x010801);
	assert_int_equal(mapd(f, 511, ITTS, 5), 0);
	assert_int_equal(mapd(f, DEV, ITTS, EVENT_BITS + 1), 0x010802);
	assert_int_equal(mapd(f, DEV, ITTS, 32), 0x010802);
	assert_int_equal(mapd(f, DEV + 1, ITTS + 0x10000, EVENT_BITS), 0);
	/* The errors left the mapping alone. */
	assert_int_equal(its_translate(f->its, DEV, 5), 0);

	/* Mapped again, with an ITT that has nothing. */
	assert_int_equal(mapd(f, DEV, ITTS + 0x1000, 5), 0);
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010307);
	/* And back: the ITT is memory, and still holds what was mapped. */
	assert_int_equal(mapd(f, DEV, ITTS, 5), 0);
	assert_int_equal(its_translate(f->its, DEV, 5), 0);

	assert_int_equal(unmapd(f, DEV), 0);
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010304);
	assert_int_equal(unmapd(f, DEV), 0);
	assert_int_equal(unmapd(f, 512), 0x010801);
	/* V=0 ignores the size. */
	assert_int_equal(its_do(f, GITS_CMD_0(GITS_CMD_MAPD, DEV), 31, 0, 0), 0);
}

static void test_mapc(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(mapc(f, ICID, PROCESSORS), 0x010902);
	assert_int_equal(mapc(f, ICID, 0x7ffffffffull), 0x010902);
	assert_int_equal(mapc(f, 512, 0), 0x010903);
	assert_int_equal(unmapc(f, 0xffff), 0x010903);
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
	assert_last_call(f, CALL_SET, 2, 0, 8197);

	assert_int_equal(mapc(f, ICID, 1), 0);
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
	assert_last_call(f, CALL_SET, 1, 0, 8197);

	assert_int_equal(unmapc(f, ICID), 0);
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010307);
}

static void test_mapti(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(mapti(f, 512, 6, 8200, ICID), 0x010a01);
	assert_int_equal(mapti(f, DEV, 6, 8200, 512), 0x010a03);
	assert_int_equal(mapti(f, DEV + 1, 6, 8200, ICID), 0x010a04);
	assert_int_equal(mapti(f, DEV, 32, 8200, ICID), 0x010a05);
	assert_int_equal(mapti(f, DEV, 6, 8191, ICID), 0x010a06);
	assert_int_equal(mapti(f, DEV, 6, 0, ICID), 0x010a06);
	assert_int_equal(mapti(f, DEV, 6, 1023, ICID), 0x010a06);
	assert_int_equal(mapti(f, DEV, 6, 1u << LPI_BITS, ICID), 0x010a06);
	assert_int_equal(its_translate(f->its, DEV, 6), 0x010307);

	assert_int_equal(mapti(f, DEV, 6, (1u << LPI_BITS) - 1, ICID), 0);
	assert_int_equal(its_translate(f->its, DEV, 6), 0);
	assert_last_call(f, CALL_SET, 2, 0, (1u << LPI_BITS) - 1);
	/* Again: the new mapping, at once. */
	assert_int_equal(mapti(f, DEV, 6, 9000, ICID), 0);
	assert_int_equal(its_translate(f->its, DEV, 6), 0);
	assert_last_call(f, CALL_SET, 2, 0, 9000);

	/* The collection may be mapped later. */
	assert_int_equal(mapti(f, DEV, 7, 9001, 9), 0);
	assert_int_equal(its_translate(f->its, DEV, 7), 0x010307);
	assert_int_equal(mapc(f, 9, 0), 0);
	assert_int_equal(its_translate(f->its, DEV, 7), 0);
	assert_last_call(f, CALL_SET, 0, 0, 9001);
}

static void test_mapi(void **state)
{
	struct its_fixture *f = *state;

	/* EventID is the INTID, so the ITT must reach 8192. */
	assert_int_equal(mapi(f, DEV, 5, ICID), 0x010b06);
	assert_int_equal(mapi(f, DEV, 8192, ICID), 0x010b05);
	assert_int_equal(mapi(f, 512, 8192, ICID), 0x010b01);
	assert_int_equal(mapi(f, DEV + 1, 8192, ICID), 0x010b04);
	assert_int_equal(mapi(f, DEV, 8192, 512), 0x010b03);
}

static void test_mapi_wide(void **state)
{
	struct its_fixture *f = calloc(1, sizeof(*f));
	struct its_config config = fixture_config(f);

	(void)state;
	config.event_bits = 14;
	fixture_start(f, &config);
	fixture_flat_tables(f);
	its_enable(f->its, true);
	assert_int_equal(mapd(f, DEV, ITTS, 14), 0);
	assert_int_equal(mapc(f, ICID, 1), 0);
	assert_int_equal(mapi(f, DEV, 8200, ICID), 0);
	assert_int_equal(its_translate(f->its, DEV, 8200), 0);
	assert_last_call(f, CALL_SET, 1, 0, 8200);
	free(f->its);
	free(f);
}

static void test_movi(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(mapc(f, 4, 1), 0);
	assert_int_equal(movi(f, 512, 5, 4), 0x010101);
	assert_int_equal(movi(f, DEV, 5, 512), 0x010103);
	assert_int_equal(movi(f, DEV + 1, 5, 4), 0x010104);
	assert_int_equal(movi(f, DEV, 32, 4), 0x010105);
	assert_int_equal(movi(f, DEV, 6, 4), 0x010107);
	assert_int_equal(movi(f, DEV, 5, 8), 0x010109);
	assert_int_equal(f->calls, 0);
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
	assert_last_call(f, CALL_SET, 2, 0, 8197);

	assert_int_equal(movi(f, DEV, 5, 4), 0);
	assert_last_call(f, CALL_MOVE, 2, 1, 8197);
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
	assert_last_call(f, CALL_SET, 1, 0, 8197);

	/* To another collection on the same processor: nothing moves. */
	assert_int_equal(mapc(f, 5, 1), 0);
	f->calls = 0;
	assert_int_equal(movi(f, DEV, 5, 5), 0);
	assert_int_equal(f->calls, 0);

	/* From a collection that is not mapped any more. */
	assert_int_equal(unmapc(f, 5), 0);
	assert_int_equal(movi(f, DEV, 5, 4), 0x010109);
}

static void test_movall(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(movall(f, PROCESSORS, 0), 0x010e01);
	assert_int_equal(movall(f, 0, PROCESSORS), 0x010e01);
	assert_int_equal(movall(f, 2, 2), 0);
	assert_int_equal(f->calls, 0);
	assert_int_equal(movall(f, 2, 3), 0);
	assert_last_call(f, CALL_MOVE, 2, 3, 0);
	/* Mappings stay. */
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
	assert_last_call(f, CALL_SET, 2, 0, 8197);
}

static void test_discard(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, 512, 5), 0x010f01);
	assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, DEV + 1, 5), 0x010f04);
	assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, DEV, 32), 0x010f05);
	assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, DEV, 6), 0x010f07);
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
	assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, DEV, 5), 0);
	assert_last_call(f, CALL_CLEAR, 2, 0, 8197);
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010307);
	assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, DEV, 5), 0x010f07);
}

/* INT, CLEAR, INV: the same errors, each under its own number. */
static void test_event_commands(void **state)
{
	static const struct {
		unsigned int opcode;
		int error;
		enum lpi_call_kind kind;
	} each[] = {
		{ GITS_CMD_INT, 0x010300, CALL_SET },
		{ GITS_CMD_CLEAR, 0x010500, CALL_CLEAR },
		{ GITS_CMD_INV, 0x010c00, CALL_INVALIDATE },
	};
	struct its_fixture *f = *state;

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		assert_int_equal(its_event_command(f, each[i].opcode, 512, 5),
				 each[i].error | 0x01);
		assert_int_equal(its_event_command(f, each[i].opcode, DEV + 1, 5),
				 each[i].error | 0x04);
		assert_int_equal(its_event_command(f, each[i].opcode, DEV, 32),
				 each[i].error | 0x05);
		assert_int_equal(its_event_command(f, each[i].opcode, DEV, 6),
				 each[i].error | 0x07);
		assert_int_equal(f->calls, i);
		assert_int_equal(its_event_command(f, each[i].opcode, DEV, 5), 0);
		assert_last_call(f, each[i].kind, 2, 0, 8197);
	}
}

static void test_invall(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(invall(f, 512), 0x010d03);
	assert_int_equal(invall(f, 9), 0x010d09);
	assert_int_equal(f->calls, 0);
	assert_int_equal(invall(f, ICID), 0);
	assert_last_call(f, CALL_INVALIDATE, 2, 0, 0);
}

static void test_sync(void **state)
{
	struct its_fixture *f = *state;

	assert_int_equal(its_do(f, GITS_CMD_SYNC, 0, GITS_CMD_RD(3), 0), 0);
	assert_int_equal(its_do(f, GITS_CMD_SYNC, 0, GITS_CMD_RD(PROCESSORS), 0), 0x010540);
	assert_int_equal(f->calls, 0);
}

/* GICv4's VMAPP, VMAPTI, VMOVI, VMOVP, VSGI, VSYNC, VINVALL, INVDB, and what nobody has defined. */
static void test_unknown(void **state)
{
	struct its_fixture *f = *state;

	for (unsigned int opcode = 0; opcode < 256; opcode++) {
		bool known = opcode == 1 || (opcode >= 3 && opcode <= 5) ||
			     (opcode >= 8 && opcode <= 15);

		if (!known)
			assert_int_equal(
				its_do(f, GITS_CMD_0(opcode, DEV), 5, GITS_CMD_VALID_2 | ICID, 0),
				0x010043 | (int)opcode << 8);
	}
	assert_int_equal(f->calls, 0);
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
}

/* What is in memory is not believed. */
static void test_corrupt_tables(void **state)
{
	struct its_fixture *f = *state;
	uint64_t *ite = fixture_dword(f, ITTS + 5 * 8), good = *ite;

	*ite = ITS_ITE(8191u, ICID);
	assert_int_equal(its_event_command(f, GITS_CMD_INT, DEV, 5), 0x010310);
	*ite = ITS_ITE(UINT32_MAX, ICID);
	assert_int_equal(its_event_command(f, GITS_CMD_CLEAR, DEV, 5), 0x010510);
	*ite = ITS_ITE(8197u, 600);
	assert_int_equal(its_event_command(f, GITS_CMD_DISCARD, DEV, 5), 0x010f10);
	assert_int_equal(movi(f, DEV, 5, ICID), 0x010110);
	*ite = good;

	/* A collection on a processor that there is not. */
	*fixture_dword(f, COLLECTION_TABLE + ICID * 8) = ITS_CTE(PROCESSORS);
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010307);
	assert_int_equal(invall(f, ICID), 0x010d09);

	/* A device entry with all bits set: the ITT is nowhere. */
	*fixture_dword(f, DEVICE_TABLE + DEV * 8) = ~0ull;
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010341);
	assert_int_equal(its_translate(f->its, DEV, 1u << EVENT_BITS), 0x010305);
	assert_int_equal(f->calls, 0);
}

static void test_aborts(void **state)
{
	struct its_fixture *f = *state;

	f->broken = DEVICE_TABLE + DEV * 8;
	assert_int_equal(mapd(f, DEV, ITTS, 5), 0x010841);
	assert_int_equal(mapti(f, DEV, 5, 8197, ICID), 0x010a41);
	f->broken = COLLECTION_TABLE + ICID * 8;
	assert_int_equal(mapc(f, ICID, 0), 0x010941);
	assert_int_equal(mapti(f, DEV, 5, 8197, ICID), 0x010a41);
	assert_int_equal(invall(f, ICID), 0x010d41);
	f->broken = ITTS + 5 * 8;
	assert_int_equal(mapti(f, DEV, 5, 8197, ICID), 0x010a41);
	assert_int_equal(its_translate(f->its, DEV, 5), 0x010341);
	f->broken = 0;
	assert_int_equal(its_translate(f->its, DEV, 5), 0);
}

#define with_mapped(test) cmocka_unit_test_setup_teardown(test, setup_mapped, its_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_mapped(test_disabled),
		with_mapped(test_basers),
		with_mapped(test_translate),
		with_mapped(test_mapd),
		with_mapped(test_mapc),
		with_mapped(test_mapti),
		with_mapped(test_mapi),
		cmocka_unit_test(test_mapi_wide),
		with_mapped(test_movi),
		with_mapped(test_movall),
		with_mapped(test_discard),
		with_mapped(test_event_commands),
		with_mapped(test_invall),
		with_mapped(test_sync),
		with_mapped(test_unknown),
		with_mapped(test_corrupt_tables),
		with_mapped(test_aborts),
	};

	return cmocka_run_group_tests_name("arm/its", tests, NULL, NULL);
}
