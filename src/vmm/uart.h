/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550 whose transmitter is always ready: the guest's console. Calls from several threads. */
#ifndef VMM_UART_H
#define VMM_UART_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_INPUT 4096

struct uart {
	pthread_mutex_t lock;
	uint8_t ier, lcr, mcr, scr, dll, dlm;
	bool level;
	char input[UART_INPUT];		/* a ring of what the guest has not read yet */
	size_t head, count;
	void (*output)(void *ctx, const char *data, size_t len);
	void (*irq)(void *ctx, bool level);
	void *output_ctx, *irq_ctx;
};

void uart_init(struct uart *uart);
void uart_destroy(struct uart *uart);
uint8_t uart_read(struct uart *uart, unsigned int reg);
void uart_write(struct uart *uart, unsigned int reg, uint8_t value);
/* What the person typed; what does not fit is dropped, as a line without flow control does. */
void uart_input(struct uart *uart, const char *data, size_t len);

#endif
