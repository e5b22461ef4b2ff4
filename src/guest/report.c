/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/report.h"

#include <stdarg.h>
#include <stdio.h>

void report_say(const struct report *report, const char *topic, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!report->line)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	report->line(report->ctx, topic, text);
}
