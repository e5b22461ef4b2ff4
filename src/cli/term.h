/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output for a person: steps as they happen, progress, a verdict. Colours only where a terminal
 * shows them.
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/report.h"

struct term {
	bool quiet;		/* stdout belongs to JSON: nothing is shown */
	bool tty, colour;
	bool in_progress;	/* the cursor stands in a progress line */
	unsigned int shown;	/* percent, where there is no terminal to draw on */
};

void term_init(struct term *term, bool quiet);

/* A report whose lines go here. */
struct report term_report(struct term *term);

void term_say(struct term *term, const char *topic, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void term_progress(struct term *term, const char *topic, uint64_t done, uint64_t total);
void term_verdict(struct term *term, bool good, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "12.3 MiB" into @buf (>= 16 bytes), which is returned. */
const char *term_bytes(uint64_t bytes, char *buf);

/* A failure, on stderr: "doorbell: ...". */
void term_error(struct term *term, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
