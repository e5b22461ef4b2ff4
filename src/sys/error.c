/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[ERROR_SIZE];

const char *db_error_message(void)
{
	return message;
}

void db_error_set(int code, const char *fmt, ...)
{
	const char *name = strerrorname_np(-code);
	char text[sizeof(message)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/*
	 * The sentence may quote the last message, hence the copy; the code comes first so that
	 * cutting off spares it.
	 */
	snprintf(message, sizeof(message), "%s: %.*s", name ? name : "error",
		 (int)sizeof(message) - 64, text);
}

void error_save(struct error_saved *saved)
{
	memcpy(saved->message, message, sizeof(message));
}

void error_restore(const struct error_saved *saved)
{
	memcpy(message, saved->message, sizeof(message));
}
