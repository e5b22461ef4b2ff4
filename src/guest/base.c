/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/base.h"

#include <stdarg.h>
#include <stdio.h>

int guest_fail(struct guest_base *base, int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(base->why, sizeof(base->why), format, args);
	va_end(args);
	return ret;
}
