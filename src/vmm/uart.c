/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/uart.h"

#include <linux/serial_reg.h>

void uart_init(struct uart *uart)
{
	pthread_mutex_init(&uart->lock, NULL);
}

void uart_destroy(struct uart *uart)
{
	pthread_mutex_destroy(&uart->lock);
}

/* The line is level-triggered: data to read, or a transmitter that is empty. */
static uint8_t pending(const struct uart *uart)
{
	if (uart->count && (uart->ier & UART_IER_RDI))
		return UART_IIR_RDI;
	if (uart->ier & UART_IER_THRI)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

static void update(struct uart *uart)
{
	bool level = pending(uart) != UART_IIR_NO_INT;

	if (level == uart->level)
		return;
	uart->level = level;
	uart->irq(uart->irq_ctx, level);
}

static uint8_t take_input(struct uart *uart)
{
	uint8_t value;

	if (!uart->count)
		return 0;
	value = uart->input[uart->head];
	uart->head = (uart->head + 1) % UART_INPUT;
	uart->count--;
	update(uart);
	return value;
}

static uint8_t read_locked(struct uart *uart, unsigned int reg)
{
	bool divisor = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return divisor ? uart->dll : take_input(uart);
	case UART_IER:
		return divisor ? uart->dlm : uart->ier;
	case UART_IIR:
		return pending(uart) | 0xc0;	/* FIFOs are enabled */
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE | (uart->count ? UART_LSR_DR : 0);
	case UART_MSR:
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	case UART_SCR:
		return uart->scr;
	}
	return 0;
}

uint8_t uart_read(struct uart *uart, unsigned int reg)
{
	uint8_t value;

	pthread_mutex_lock(&uart->lock);
	value = read_locked(uart, reg);
	pthread_mutex_unlock(&uart->lock);
	return value;
}

static void write_locked(struct uart *uart, unsigned int reg, uint8_t value)
{
	bool divisor = uart->lcr & UART_LCR_DLAB;
	char byte = value;

	switch (reg) {
	case UART_TX:
		if (divisor)
			uart->dll = value;
		else
			uart->output(uart->output_ctx, &byte, 1);
		break;
	case UART_IER:
		if (divisor)
			uart->dlm = value;
		else
			uart->ier = value & 0xf;
		break;
	case UART_LCR:
		uart->lcr = value;
		break;
	case UART_MCR:
		uart->mcr = value;
		break;
	case UART_SCR:
		uart->scr = value;
		break;
	}
	update(uart);
}

void uart_write(struct uart *uart, unsigned int reg, uint8_t value)
{
	pthread_mutex_lock(&uart->lock);
	write_locked(uart, reg, value);
	pthread_mutex_unlock(&uart->lock);
}

void uart_input(struct uart *uart, const char *data, size_t len)
{
	pthread_mutex_lock(&uart->lock);
	for (; len && uart->count < UART_INPUT; len--, uart->count++)
		uart->input[(uart->head + uart->count) % UART_INPUT] = *data++;
	update(uart);
	pthread_mutex_unlock(&uart->lock);
}
