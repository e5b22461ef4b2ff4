/* SPDX-License-Identifier: BSD-2-Clause */
/* How the VMM and the guest tell a person what they do, line by line, as it happens. */
#ifndef GUEST_REPORT_H
#define GUEST_REPORT_H

struct report {
	void (*line)(void *ctx, const char *topic, const char *text);	/* NULL: nobody listens */
	void *ctx;
};

/*
 * One line without its newline, about @topic: a short word ("host", "layout", "S1", "S2", "msi",
 * "io").
 */
void report_say(const struct report *report, const char *topic, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
