/* SPDX-License-Identifier: BSD-2-Clause */
/* The bus: frames and holes, sizes of accesses, memory that is counted. */
#include <errno.h>

#include "hw_fixture.h"

struct frame_log {
	uint64_t off, value;
	unsigned int size;
	uint32_t device_id;
	int ret;
};

static int log_write(void *ctx, uint64_t off, unsigned int size, uint64_t value, uint32_t device_id,
		     struct bus_effect *effect)
{
	struct frame_log *log = ctx;
	int ret = log->ret;

	(void)effect;
	*log = (struct frame_log){ off, value, size, device_id, ret };
	return ret;
}

static int log_read(void *ctx, uint64_t off, unsigned int size, uint64_t *value)
{
	(void)ctx, (void)size;
	*value = 0x1122334455667788ull + off;
	return 0;
}

static int add(struct bus *bus, uint64_t base, uint64_t size, struct frame_log *log)
{
	struct bus_frame frame = {
		.base = base, .size = size, .write = log_write, .read = log_read, .ctx = log
	};

	return bus_add_frame(bus, &frame);
}

struct written {
	void *addr;
	size_t len;
	unsigned int count;
};

static void note_written(void *ctx, void *addr, size_t len)
{
	*(struct written *)ctx = (struct written){ addr, len, ((struct written *)ctx)->count + 1 };
}

/* Each write to memory is told of, when it is done; frames, reads and failures are not. */
static void test_written(void **state)
{
	struct bus *bus = bus_create();
	struct frame_log frame = { 0 };
	struct written told = { 0 };
	char memory[64], data[16] = { 1 };

	(void)state;
	assert_int_equal(add(bus, 0x1000, 0x1000, &frame), 0);
	assert_int_equal(bus_write(bus, (uintptr_t)memory, data, sizeof(data), 0), 0);
	assert_int_equal(told.count, 0);
	bus_on_write(bus, note_written, &told);
	assert_int_equal(bus_write(bus, (uintptr_t)memory + 3, data, sizeof(data), 0), 0);
	assert_ptr_equal(told.addr, memory + 3);
	assert_int_equal(told.len, sizeof(data));
	assert_int_equal(bus_read(bus, (uintptr_t)memory, data, sizeof(data)), 0);
	assert_int_equal(bus_write(bus, 0x1040, data, 4, 0), 0);
	assert_int_equal(bus_write(bus, 0x3000, data, 4, 0), -EFAULT);
	assert_int_equal(told.count, 1);
	bus_on_write(bus, NULL, NULL);
	assert_int_equal(bus_write(bus, (uintptr_t)memory, data, sizeof(data), 0), 0);
	assert_int_equal(told.count, 1);
	bus_destroy(bus);
}

static void test_frames(void **state)
{
	struct bus *bus = bus_create();
	struct frame_log a = { 0 }, b = { 0 }, c = { 0 };
	uint32_t v = 0x89abcdef;

	(void)state;
	assert_int_equal(add(bus, 0x2000, 0x1000, &a), 0);
	assert_int_equal(add(bus, 0x1000, 0x1000, &b), 0);
	assert_int_equal(add(bus, BUS_MMIO_TOP - 0x1000, 0x1000, &c), 0);
	assert_int_equal(add(bus, 0x1000, 0x2000, &c), -EADDRINUSE);
	assert_int_equal(add(bus, 0x0, 0x2000, &c), -EADDRINUSE);
	assert_int_equal(add(bus, 0x2000, 0x1000, &c), -EADDRINUSE);
	assert_int_equal(add(bus, 0x3000, 0, &c), -EINVAL);
	assert_int_equal(add(bus, 0x3800, 0x1000, &c), -EINVAL);
	assert_int_equal(add(bus, 0x3000, 0x800, &c), -EINVAL);
	assert_int_equal(add(bus, BUS_MMIO_TOP, 0x1000, &c), -EINVAL);
	assert_int_equal(add(bus, 0x3000, UINT64_MAX & ~0xfffull, &c), -EINVAL);

	assert_int_equal(bus_write(bus, 0x2040, &v, 4, 77), 0);
	assert_int_equal(a.off, 0x40);
	assert_int_equal(a.value, 0x89abcdef);
	assert_int_equal(a.size, 4);
	assert_int_equal(a.device_id, 77);
	assert_int_equal(bus_write(bus, 0x1fff, &v, 1, 1), 0);
	assert_int_equal(b.off, 0xfff);
	assert_int_equal(b.value, 0xef);
	a.ret = -EFAULT;
	assert_int_equal(bus_write(bus, 0x2000, &v, 4, 0), -EFAULT);

	/* Holes, odd sizes, misaligned, across the end. */
	assert_int_equal(bus_write(bus, 0x3000, &v, 4, 0), -EFAULT);
	assert_int_equal(bus_write(bus, 0, &v, 4, 0), -EFAULT);
	assert_int_equal(bus_write(bus, 0x1000, &v, 3, 0), -EFAULT);
	assert_int_equal(bus_write(bus, 0x1002, &v, 4, 0), -EFAULT);
	assert_int_equal(bus_read(bus, 0x3000, &v, 4), -EFAULT);
	assert_int_equal(bus_write(bus, UINT64_MAX - 3, &v, 4, 0), -EFAULT);
	assert_int_equal(bus_write(bus, 1ull << 52, &v, 4, 0), -EFAULT);

	assert_int_equal(bus_read(bus, 0x1004, &v, 4), 0);
	assert_int_equal(v, 0x5566778c);
	bus_destroy(bus);
}

/* In whatever order frames come, each is found by its own addresses alone. */
static void test_frame_order(void **state)
{
	static const unsigned int order[] = { 4, 0, 6, 2, 7, 1, 5, 3 };
	struct bus *bus = bus_create();
	struct frame_log logs[8] = { 0 };
	uint32_t v = 1;

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		unsigned int n = order[i];

		assert_int_equal(add(bus, 0x10000 + n * 0x2000, 0x1000, &logs[n]), 0);
		for (unsigned int j = 0; j <= i; j++) {
			uint64_t base = 0x10000 + order[j] * 0x2000;

			v = 100 * i + j;
			assert_int_equal(bus_write(bus, base + 4, &v, 4, 0), 0);
			assert_int_equal(logs[order[j]].value, v);
			assert_int_equal(bus_write(bus, base + 0xffc, &v, 4, 0), 0);
			assert_int_equal(logs[order[j]].off, 0xffc);
			assert_int_equal(bus_write(bus, base + 0x1000, &v, 4, 0), -EFAULT);
			assert_int_equal(bus_write(bus, base - 4, &v, 4, 0), -EFAULT);
		}
	}
	/* over the end of one and the start of the next, and exactly between two */
	assert_int_equal(add(bus, 0x10000, 0x3000, &logs[0]), -EADDRINUSE);
	assert_int_equal(add(bus, 0x11000, 0x2000, &logs[0]), -EADDRINUSE);
	assert_int_equal(add(bus, 0x11000, 0x1000, &logs[0]), 0);
	bus_destroy(bus);
}

static void test_memory(void **state)
{
	struct bus *bus = bus_create();
	struct arm_mem mem = bus_arm_mem(bus);
	char data[200], back[200];
	uint64_t pa, big, value;
	char *memory = bus_alloc(bus, 256, 64, &pa);

	(void)state;
	assert_non_null(memory);
	assert_ptr_equal(memory, (char *)(uintptr_t)pa);
	assert_int_equal(pa % 64, 0);
	for (unsigned int i = 0; i < 256; i++)
		assert_int_equal(memory[i], 0);
	assert_non_null(bus_alloc(bus, 70000, 65536, &big));
	assert_int_equal(big % 65536, 0);
	assert_int_equal(bus_allocated(bus), 70256);
	assert_null(bus_alloc(bus, 0, 8, &value));
	assert_null(bus_alloc(bus, 64, 48, &value));

	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = i * 7;
	for (unsigned int off = 0; off < 10; off++) {
		for (unsigned int len = 0; len <= sizeof(data); len += len < 80 ? 1 : 40) {
			memset(memory, 0x5a, 256);
			assert_int_equal(bus_write(bus, pa + off, data, len, 0), 0);
			assert_memory_equal(memory + off, data, len);
			assert_int_equal(memory[off + len], 0x5a);
			memset(back, 0, sizeof(back));
			assert_int_equal(bus_read(bus, pa + off, back, len), 0);
			assert_memory_equal(back, data, len);
		}
	}

	assert_int_equal(mem.write64(mem.ctx, pa, 0x0123456789abcdefull), 0);
	assert_int_equal((unsigned char)memory[0], 0xef);
	assert_int_equal(mem.read64(mem.ctx, pa, &value), 0);
	assert_int_equal(value, 0x0123456789abcdefull);
	assert_int_equal(mem.read64(mem.ctx, pa + 4, &value), -EFAULT);
	assert_int_equal(mem.read64(mem.ctx, 0x1000, &value), -EFAULT);
	assert_int_equal(mem.write64(mem.ctx, ~7ull, 0), -EFAULT);

	bus_free(bus, pa, 256);
	bus_free(bus, big, 70000);
	bus_free(bus, 0, 70000);
	assert_int_equal(bus_allocated(bus), 0);
	bus_destroy(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_frame_order),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("soft/hw/bus", tests, NULL, NULL);
}
