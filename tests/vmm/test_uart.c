/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's 16550: what is written comes out, what is typed can be read, and its interrupt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <linux/serial_reg.h>

#include "vmm/uart.h"

struct rig {
	struct uart uart;
	char out[64];
	size_t n_out;
	bool level;
	unsigned int edges;
};

static void output(void *ctx, const char *data, size_t len)
{
	struct rig *rig = ctx;

	assert_true(rig->n_out + len <= sizeof(rig->out));
	memcpy(rig->out + rig->n_out, data, len);
	rig->n_out += len;
}

static void irq(void *ctx, bool level)
{
	struct rig *rig = ctx;

	assert_int_not_equal(level, rig->level);
	rig->level = level;
	rig->edges++;
}

static void begin(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	uart_init(&rig->uart);
	rig->uart.output = output;
	rig->uart.irq = irq;
	rig->uart.output_ctx = rig->uart.irq_ctx = rig;
}

static void test_output(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	uart_write(&rig.uart, UART_TX, 'a');
	/* Behind the divisor latch the same register is the baud rate. */
	uart_write(&rig.uart, UART_LCR, UART_LCR_DLAB);
	uart_write(&rig.uart, UART_DLL, 'x');
	uart_write(&rig.uart, UART_DLM, 'y');
	assert_int_equal(uart_read(&rig.uart, UART_DLL), 'x');
	assert_int_equal(uart_read(&rig.uart, UART_DLM), 'y');
	uart_write(&rig.uart, UART_LCR, UART_LCR_WLEN8);
	uart_write(&rig.uart, UART_TX, 'b');
	assert_memory_equal(rig.out, "ab", 2);
	assert_int_equal(rig.n_out, 2);
	assert_int_equal(uart_read(&rig.uart, UART_LSR), UART_LSR_TEMT | UART_LSR_THRE);
	assert_int_equal(rig.edges, 0);
	uart_destroy(&rig.uart);
}

static void test_transmit_interrupt(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	uart_write(&rig.uart, UART_IER, UART_IER_THRI);
	assert_true(rig.level);
	assert_int_equal(uart_read(&rig.uart, UART_IIR) & 0xf, UART_IIR_THRI);
	uart_write(&rig.uart, UART_IER, 0);
	assert_false(rig.level);
	assert_int_equal(uart_read(&rig.uart, UART_IIR) & 0xf, UART_IIR_NO_INT);
	uart_destroy(&rig.uart);
}

static void test_input(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	uart_input(&rig.uart, "hi", 2);
	assert_false(rig.level);
	uart_write(&rig.uart, UART_IER, UART_IER_RDI);
	assert_true(rig.level);
	assert_int_equal(uart_read(&rig.uart, UART_IIR) & 0xf, UART_IIR_RDI);
	assert_true(uart_read(&rig.uart, UART_LSR) & UART_LSR_DR);
	assert_int_equal(uart_read(&rig.uart, UART_RX), 'h');
	assert_true(rig.level);
	assert_int_equal(uart_read(&rig.uart, UART_RX), 'i');
	assert_false(rig.level);
	assert_int_equal(uart_read(&rig.uart, UART_RX), 0);
	uart_destroy(&rig.uart);
}

/* What nobody reads does not grow, and what was there first stays. */
static void test_input_overrun(void **state)
{
	struct rig rig;
	unsigned int i;

	(void)state;
	begin(&rig);
	for (i = 0; i < UART_INPUT + 10; i++)
		uart_input(&rig.uart, i < UART_INPUT ? "y" : "n", 1);
	for (i = 0; i < UART_INPUT; i++)
		assert_int_equal(uart_read(&rig.uart, UART_RX), 'y');
	assert_int_equal(uart_read(&rig.uart, UART_RX), 0);
	uart_destroy(&rig.uart);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_transmit_interrupt),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_input_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
