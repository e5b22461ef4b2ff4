/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine file: what each statement sets, what is refused and how it is said, and that no
 * garbage does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "soft/alloc.h"
#include "soft/machine.h"

static char why[256];

static int parse(const char *text, struct machine *m)
{
	return machine_parse(text, text ? strlen(text) : 0, m, why, sizeof(why));
}

static void parse_ok(const char *text, struct machine *m)
{
	if (parse(text, m))
		fail_msg("%s: %s", text ? text : "built in", why);
}

static void parse_fails(const char *text, const char *message)
{
	struct machine m;

	assert_int_equal(parse(text, &m), -EINVAL);
	if (!strstr(why, message))
		fail_msg("\"%s\" says \"%s\", not \"%s\"", text, why, message);
}

static void built_in(void **state)
{
	struct machine m;

	(void)state;
	parse_ok(NULL, &m);
	assert_int_equal(m.kernel, KERNEL_DOORBELL);
	assert_int_equal(m.page_shift, 12);
	assert_int_equal(m.sw_msi_start, 0x8000000);
	assert_int_equal(m.sw_msi_size, 0x100000);
	assert_int_equal(m.n_smmus, 1);
	assert_true(m.smmus[0].nesting_coherent);
	assert_int_equal(m.smmus[0].idr[1] & 0x3f, 16);
	assert_int_equal(m.n_itses, 1);
	assert_int_equal(m.itses[0].kind, DOORBELL_ITS);
	assert_int_equal(m.itses[0].base, 0x08080000);
	assert_int_equal(m.n_devices, 3);
	assert_string_equal(m.devices[0].address, "0000:01:00.0");
	assert_int_equal(m.devices[0].kind, MACHINE_NVME);
	assert_int_equal(m.devices[0].nvme.io_queues, 64);
	assert_int_equal(m.devices[0].sid, 0x100);
	assert_int_equal(m.devices[0].device_id, 0x100);
	assert_int_equal(m.devices[1].bell.msix_vectors, 2048);
	assert_int_equal(m.devices[2].bell.msi_vectors, 32);
	assert_int_equal(m.devices[2].bell.msix_vectors, 0);
	assert_int_not_equal(m.devices[0].group, m.devices[1].group);
	assert_true(m.devices[0].msix_mappable && m.devices[0].resettable &&
		    !m.devices[0].msix_noresize && !m.devices[0].bound);
	machine_free(&m);
}

static void empty_is_built_in(void **state)
{
	static const char *const texts[] = { "", "\n\n", "# nothing\n   \t # at all",
					     "kernel doorbell" };
	struct machine m;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		parse_ok(texts[i], &m);
		assert_int_equal(m.n_devices, 3);
		assert_int_equal(m.n_smmus, 1);
		machine_free(&m);
	}
}

static void kernel_statements(void **state)
{
	struct machine m;

	(void)state;
	parse_ok(
		"kernel stock\npage-size 64k\nram 3g\nprocessors 7\nlpi-bits 20\nsw-msi 0x10000000 2m",
		&m);
	assert_int_equal(m.kernel, KERNEL_STOCK);
	assert_int_equal(m.page_shift, 16);
	assert_int_equal(m.ram, 3ull << 30);
	assert_int_equal(m.processors, 7);
	assert_int_equal(m.lpi_bits, 20);
	assert_int_equal(m.sw_msi_start, 0x10000000);
	assert_int_equal(m.sw_msi_size, 2 << 20);
	machine_free(&m);
	parse_ok("page-size 16k", &m);
	assert_int_equal(m.page_shift, 14);
	machine_free(&m);
}

static void smmu_statements(void **state)
{
	struct machine m;

	(void)state;
	parse_ok(
		"smmu\nsmmu not-coherent no-range-invalidation no-substreams linear-streams sid-bits=20 output-bits=44\n"
		"smmu granules=4k,64k stages=2\nsmmu idr0=0x1234 idr5=0x11 # raw",
		&m);
	assert_int_equal(m.n_smmus, 4);
	assert_false(m.smmus[1].nesting_coherent);
	assert_int_equal(m.smmus[1].sid_bits, 20);
	assert_int_equal(m.smmus[1].idr[1] & 0x7ff, 20);
	assert_int_equal(m.smmus[0].idr[1] >> 6 & 0x1f, 16);
	assert_int_equal(m.smmus[0].idr[0] >> 27 & 3, 1);
	assert_int_equal(m.smmus[1].idr[0] >> 27 & 3, 0);
	assert_int_equal(m.smmus[0].idr[3] >> 10 & 1, 1);
	assert_int_equal(m.smmus[1].idr[3] >> 10 & 1, 0);
	assert_int_equal(m.smmus[0].idr[5] & 7, 5);
	assert_int_equal(m.smmus[1].idr[5] & 7, 4);
	assert_int_equal(m.smmus[0].idr[5] >> 4 & 7, 7);
	assert_int_equal(m.smmus[2].idr[5] >> 4 & 7, 5);
	assert_int_equal(m.smmus[2].idr[0] & 3, 1);
	assert_int_equal(m.smmus[3].idr[0], 0x1234);
	assert_int_equal(m.smmus[3].idr[5], 0x11);
	machine_free(&m);
}

static void its_statements(void **state)
{
	struct machine m;

	(void)state;
	parse_ok(
		"its its base=0x8080000 event-bits=5\nits pre-its base=0x9000000 window=0x58000000 device-bits=17\n"
		"its v2m base=0x8020000 spis=80+64\ndevice 0000:01:00.0 bell its=2",
		&m);
	assert_int_equal(m.n_itses, 3);
	assert_int_equal(m.itses[0].event_bits, 5);
	assert_int_equal(m.itses[1].kind, DOORBELL_PRE_ITS);
	assert_int_equal(m.itses[1].pre_its_base, 0x58000000);
	assert_int_equal(m.itses[1].pre_its_size, 4 << 17);
	assert_int_equal(m.itses[1].device_bits, 17);
	assert_int_equal(m.itses[2].kind, DOORBELL_V2M);
	assert_int_equal(m.itses[2].spi_base, 80);
	assert_int_equal(m.itses[2].spi_count, 64);
	assert_int_equal(m.devices[0].its, 2);
	machine_free(&m);
}

static void device_statements(void **state)
{
	struct machine m;

	(void)state;
	parse_ok(
		"smmu\nsmmu\ndevice 0000:0a:1f.7 nvme io-queues=8 disk=\"a b.img\" read-only\r\n"
		"device 0000:03:00.0 bell vectors=5 smmu=1 sid=7 device-id=9 group=40 noresize not-mappable no-reset in-use\n"
		"device 0000:04:00.0 bell msi=4\n"
		"device 0000:05:00.0 bell vectors=3\ndevice 0000:06:00.0 nvme size=4m seed=0x10",
		&m);
	assert_int_equal(m.n_devices, 5);
	assert_string_equal(m.devices[0].nvme.disk, "a b.img");
	assert_int_equal(m.devices[0].requester_id, 0x0aff);
	assert_int_equal(m.devices[0].sid, 0x0aff);
	assert_int_equal(m.devices[4].nvme.size, 4 << 20);
	assert_int_equal(m.devices[4].nvme.seed, 16);
	assert_true(m.devices[0].nvme.read_only);
	assert_int_equal(m.devices[1].bell.msix_vectors, 5);
	assert_int_equal(m.devices[1].smmu, 1);
	assert_int_equal(m.devices[1].sid, 7);
	assert_int_equal(m.devices[1].device_id, 9);
	assert_int_equal(m.devices[1].group, 40);
	assert_true(m.devices[1].msix_noresize && m.devices[1].bound);
	assert_false(m.devices[1].msix_mappable || m.devices[1].resettable);
	assert_int_equal(m.devices[0].group, 41);
	assert_int_equal(m.devices[2].group, 42);
	assert_int_equal(m.devices[3].bell.msix_vectors, 3);
	assert_int_equal(m.devices[3].bell.msi_vectors, 0);
	machine_free(&m);
}

static void fleet(void **state)
{
	struct machine m;

	(void)state;
	parse_ok("device 0000:01:00.0 bell count=2000 vectors=4\ndevice 0000:00:01.0 nvme", &m);
	assert_int_equal(m.n_devices, 2001);
	assert_string_equal(m.devices[0].address, "0000:01:00.0");
	assert_string_equal(m.devices[31].address, "0000:01:1f.0");
	assert_string_equal(m.devices[32].address, "0000:02:00.0");
	assert_string_equal(m.devices[1999].address, "0000:3f:0f.0");
	assert_int_equal(m.devices[1999].sid, 0x3f78);
	assert_int_equal(m.devices[1999].group, 1999);
	machine_free(&m);

	parse_ok("device 0000:01:00.0 bell count=3 sid=100 device-id=200 group=5", &m);
	assert_int_equal(m.devices[2].sid, 102);
	assert_int_equal(m.devices[2].device_id, 202);
	assert_int_equal(m.devices[2].group, 5);
	machine_free(&m);
}

static void reserved_statements(void **state)
{
	struct machine m;

	(void)state;
	parse_ok(
		"device 0000:01:00.0 bell group=3\nreserved 3 0x1000..0x1fff direct\nreserved 3 0xfee00000..0xfeefffff msi",
		&m);
	assert_int_equal(m.n_reserved, 2);
	assert_int_equal(m.reserved[0].group, 3);
	assert_int_equal(m.reserved[0].start, 0x1000);
	assert_int_equal(m.reserved[0].last, 0x1fff);
	assert_string_equal(m.reserved[0].type, "direct");
	machine_free(&m);
}

static void mistakes_are_named(void **state)
{
	static const char *const cases[][2] = {
		{ "nonsense", "line 1: unknown statement \"nonsense\"" },
		{ "\n\nkernel", "line 3: kernel: an argument is missing" },
		{ "kernel minix", "stock or doorbell, not \"minix\"" },
		{ "kernel stock stock", "is too much" },
		{ "kernel=stock", "unknown statement" },
		{ "page-size 8k", "4k, 16k or 64k" },
		{ "ram 1", "at least 1m" },
		{ "ram 99999999999999999999", "at least 1m" },
		{ "processors 0", "from 1 to 512" },
		{ "processors x", "from 1 to 512" },
		{ "lpi-bits 13", "from 14 to 24" },
		{ "sw-msi 0x8000000", "an argument is missing" },
		{ "sw-msi 0x8000001 1m", "multiples of the page size" },
		{ "sw-msi 0x8000000 0", "a size" },
		{ "smmu granules=8k", "a list of 4k, 16k and 64k" },
		{ "smmu granules=", "a list of 4k, 16k and 64k" },
		{ "smmu granules=16k,64k", "no granule of at most the host's page size (4 KiB)" },
		{ "smmu output-bits=39", "32, 36, 40, 42, 44 or 48" },
		{ "smmu stages=3", "1, 2 or both" },
		{ "smmu stages", "1, 2 or both" },
		{ "its v2m base=0x8020000 spis", "FIRST+COUNT" },
		{ "smmu idr6=1", "unknown option \"idr6\"" },
		{ "smmu not-coherent=1", "unknown option" },
		{ "smmu sid-bits=33", "from 1 to 24" },
		{ "its", "an argument is missing" },
		{ "its plic base=0", "its, pre-its or v2m" },
		{ "its its", "base= is missing" },
		{ "its its base=0x100000000", "base must be a number" },
		{ "its its base=0x8080100", "not aligned" },
		{ "its its base=0xffff0000", "below 4 GiB" },
		{ "its pre-its base=0x8080000", "window= is missing" },
		{ "its its base=0x8080000 window=0", "unknown option \"window\"" },
		{ "its v2m base=0x8020000", "spis= is missing" },
		{ "its v2m base=0x8020000 spis=31+1", "within 32 to 1019" },
		{ "its v2m base=0x8020000 spis=1000+30", "within 32 to 1019" },
		{ "its v2m base=0x8020000 spis=64", "FIRST+COUNT" },
		{ "its its base=0x8080000\nits its base=0x8090000",
		  "line 2: its: it overlaps that of line 1" },
		{ "device", "an argument is missing" },
		{ "device 01:00.0 bell", "an address like" },
		{ "device 0000:01:20.0 bell", "an address like" },
		{ "device 0000:01:00.8 bell", "an address like" },
		{ "device 0000:01:0g.0 bell", "an address like" },
		{ "device 0000:01:00.0", "an argument is missing" },
		{ "device 0000:01:00.0 e1000", "bell or nvme" },
		{ "device 0000:01:00.0 bell vectors=0", "from 1 to 2048" },
		{ "device 0000:01:00.0 bell vectors=2049", "from 1 to 2048" },
		{ "device 0000:01:00.0 bell msi=3", "a power of two" },
		{ "device 0000:01:00.0 bell io-queues=3", "unknown option" },
		{ "device 0000:01:00.0 bell msi=1 vectors=1", "exclude each other" },
		{ "device 0000:01:00.0 bell vectors=1 msi=1", "exclude each other" },
		{ "device 0000:01:00.0 bell vectors=1 smmu=0 vectors=1", "vectors is given twice" },
		{ "its its base=0x8080000 base=0x80a0000", "base is given twice" },
		{ "device 0000:01:00.0 nvme disk=a size=1m", "without size= and seed=" },
		{ "device 0000:01:00.0 nvme seed=1 disk=a", "without size= and seed=" },
		{ "kernel stock\npage-size 4k\nkernel doorbell", "line 3: kernel: line 1 says it" },
		{ "sw-msi 0 1m\nsw-msi 0 1m", "line 2: sw-msi: line 1 says it already" },
		{ "device 0000:01:00.0 nvme io-queues=256", "from 1 to 255" },
		{ "device 0000:01:00.0 nvme size=1000", "512-byte blocks" },
		{ "device 0000:01:00.0 nvme disk=", "unknown option \"disk\"" },
		{ "device 0000:01:00.0 nvme disk=\"x", "closing quote" },
		{ "device 0000:01:00.0 nvme disk=\"x\"y", "a blank is missing" },
		{ "device 0000:01:00.0 nvme noresize=yes", "takes no value" },
		{ "device 0000:01:00.0 bell intx=1", "takes no value" },
		{ "device 0000:01:00.0 bell count=4097", "from 1 to 4096" },
		{ "device 0000:01:00.0 bell count=4096\ndevice 0001:00:00.0 bell sid=1 device-id=1",
		  "line 2: more than 4096 devices" },
		{ "device 0000:ff:1f.0 bell count=2", "do not fit into the segment" },
		{ "device 0000:01:00.0 bell smmu=1", "there is no smmu 1" },
		{ "device 0000:01:00.0 bell its=1", "there is no its 1" },
		{ "device 0001:01:00.0 bell", "StreamID 0x10100 has more than the SMMU's 16 bits" },
		{ "device 0001:01:00.0 bell sid=1",
		  "DeviceID 0x10100 has more than the ITS's 16 bits" },
		{ "device 0000:01:00.0 bell\ndevice 0000:01:00.0 nvme",
		  "line 2: device 0000:01:00.0: the address is taken by" },
		{ "device 0000:01:00.0 bell sid=1\ndevice 0000:02:00.0 bell sid=1",
		  "the StreamID is taken by 0000:01:00.0 (line 1); only one group= can share it" },
		{ "device 0000:01:00.0 bell sid=1 group=1\ndevice 0000:02:00.0 bell sid=1 group=2",
		  "the StreamID is taken by" },
		{ "device 0000:01:00.0 bell device-id=1 group=1\n"
		  "device 0000:02:00.0 bell device-id=1 group=2",
		  "the DeviceID is taken by" },
		{ "device 0000:01:00.0 bell device-id=1\ndevice 0000:02:00.0 bell device-id=1",
		  "the DeviceID is taken" },
		{ "smmu\nsmmu\ndevice 0000:01:00.0 bell group=1\ndevice 0000:02:00.0 bell group=1 smmu=1",
		  "line 4: device 0000:02:00.0: 0000:01:00.0 of the same group is behind another SMMU" },
		{ "reserved", "an argument is missing" },
		{ "reserved 0 5..4 direct", "FIRST..LAST" },
		{ "reserved 0 0x1000 direct", "FIRST..LAST" },
		{ "reserved 0 0..1 strange", "direct, direct-relaxable, reserved or msi" },
		{ "reserved 77 0..1 direct", "there is no group 77" },
		{ "kernel \x01", "a control character (0x01)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		parse_fails(cases[i][0], cases[i][1]);
}

static void too_many(void **state)
{
	char text[8192], *at = text;

	(void)state;
	for (unsigned int i = 0; i < MACHINE_SMMUS + 1; i++)
		at += sprintf(at, "smmu\n");
	parse_fails(text, "line 17: more than 16 SMMUs");
	at = text;
	for (unsigned int i = 0; i < MACHINE_ITSES + 1; i++)
		at += sprintf(at, "its its base=%#x\n", 0x1000000 + i * 0x20000);
	parse_fails(text, "line 17: more than 16 ITSes");
	at = text;
	for (unsigned int i = 0; i < MACHINE_RESERVED + 1; i++)
		at += sprintf(at, "reserved 0 0..1 msi\n");
	parse_fails(text, "line 65: more than 64 reserved");
}

/* The text need not end in NUL, and the message is cut to its buffer. */
static void text_ends_where_it_ends(void **state)
{
	static const char text[] = "kernel stockXXXX";
	struct machine m;
	char small[8];

	(void)state;
	assert_int_equal(machine_parse(text, 12, &m, why, sizeof(why)), 0);
	assert_int_equal(m.kernel, KERNEL_STOCK);
	machine_free(&m);
	assert_int_equal(machine_parse(text, 11, &m, why, sizeof(why)), -EINVAL);
	assert_int_equal(machine_parse(text, 16, &m, small, sizeof(small)), -EINVAL);
	assert_string_equal(small, "line 1:");
	assert_int_equal(machine_parse(text, 16, &m, NULL, 0), -EINVAL);
	assert_int_equal(machine_parse("kernel stock\0", 13, &m, why, sizeof(why)), -EINVAL);
}

static void every_allocation_may_fail(void **state)
{
	static const char text[] =
		"device 0000:01:00.0 nvme disk=a\ndevice 0000:02:00.0 nvme disk=b count=20\nreserved 0 0..1 msi";
	long before = soft_alloc_live();
	struct machine m;
	unsigned long n;
	int ret;

	(void)state;
	for (n = 1;; n++) {
		soft_alloc_fail_nth(n);
		ret = machine_parse(text, sizeof(text) - 1, &m, why, sizeof(why));
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(soft_alloc_live(), before);
	}
	soft_alloc_fail_nth(0);
	assert_true(n > 20);
	machine_free(&m);
	assert_int_equal(soft_alloc_live(), before);
}

/* A valid file with bytes changed at random: parsed or refused, nothing else. */
static void garbage(void **state)
{
	static const char good[] =
		"kernel stock\npage-size 16k\nram 2g\nsw-msi 0x8000000 1m\nsmmu granules=4k,16k stages=both idr3=0x1414\n"
		"its pre-its base=0x8080000 window=0x58000000\nits v2m base=0x8020000 spis=64+32\n"
		"device 0000:01:00.0 nvme io-queues=3 disk=\"x y\" count=4\ndevice 0000:09:00.0 bell its=1 msi=4 group=9\n"
		"reserved 9 0x1000..0x1fff direct\n";
	char text[sizeof(good)];
	struct machine m;
	unsigned int seed = 1, ok = 0, refused = 0;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		memcpy(text, good, sizeof(good));
		for (unsigned int k = rand_r(&seed) % 4 + 1; k; k--)
			text[rand_r(&seed) % (sizeof(good) - 1)] = (char)rand_r(&seed);
		if (machine_parse(text, rand_r(&seed) % sizeof(good), &m, why, sizeof(why))) {
			assert_memory_equal(why, "line ", 5);
			refused++;
		} else {
			machine_free(&m);
			ok++;
		}
	}
	assert_true(ok && refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(built_in),
		cmocka_unit_test(empty_is_built_in),
		cmocka_unit_test(kernel_statements),
		cmocka_unit_test(smmu_statements),
		cmocka_unit_test(its_statements),
		cmocka_unit_test(device_statements),
		cmocka_unit_test(fleet),
		cmocka_unit_test(reserved_statements),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(too_many),
		cmocka_unit_test(text_ends_where_it_ends),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
