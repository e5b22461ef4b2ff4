/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/term.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESET "\033[0m"
#define GREEN "\033[1;32m"
#define RED "\033[1;31m"
#define BAR_CELLS 30

static const struct {
	const char *topic, *colour;
} topics[] = {
	{ "host", "\033[35m" },  { "layout", "\033[36m" }, { "S1", "\033[33m" },
	{ "S2", "\033[34m" },    { "msi", "\033[32m" },    { "event", "\033[31m" },
	{ "error", "\033[31m" },
};

/* A terminal that takes escape sequences. */
static bool is_terminal(void)
{
	const char *kind = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(kind && !strcmp(kind, "dumb"));
}

void term_init(struct term *term, bool quiet)
{
	*term = (struct term){ .quiet = quiet, .tty = is_terminal() };
	term->colour = term->tty && !getenv("NO_COLOR");
	if (!quiet)
		setvbuf(stdout, NULL, _IOLBF, 0);
}

static const char *colour_of(const struct term *term, const char *topic)
{
	size_t i;

	for (i = 0; term->colour && i < sizeof(topics) / sizeof(topics[0]); i++)
		if (!strcmp(topics[i].topic, topic))
			return topics[i].colour;
	return "";
}

static void end_progress(struct term *term)
{
	if (term->in_progress && term->tty)
		fputs("\r\033[K", stdout);
	term->in_progress = false;
	term->shown = 0;
}

static void line(void *ctx, const char *topic, const char *text)
{
	struct term *term = ctx;

	if (term->quiet)
		return;
	end_progress(term);
	printf("  %s%-7s%s %s\n", colour_of(term, topic), topic, term->colour ? RESET : "", text);
}

struct report term_report(struct term *term)
{
	return (struct report){ .line = line, .ctx = term };
}

void term_say(struct term *term, const char *topic, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	line(term, topic, text);
}

void term_progress(struct term *term, const char *topic, uint64_t done, uint64_t total)
{
	unsigned int percent = total ? 100 * done / total : 100, i;
	char a[16], b[16];

	if (term->quiet)
		return;
	if (!term->tty) {
		if (percent < term->shown + 25)
			return;
		printf("  %-7s %u%% of %s\n", topic, percent, term_bytes(total, b));
		term->shown = percent - percent % 25;
		return;
	}
	if (term->in_progress && percent == term->shown)
		return;
	printf("\r  %-7s [", topic);
	for (i = 0; i < BAR_CELLS; i++)
		putchar(i * 100 < percent * BAR_CELLS ? '#' : ' ');
	printf("] %3u%%  %s of %s\033[K", percent, term_bytes(done, a), term_bytes(total, b));
	fflush(stdout);
	term->in_progress = true;
	term->shown = percent;
}

void term_verdict(struct term *term, bool good, const char *format, ...)
{
	va_list args;

	if (term->quiet)
		return;
	end_progress(term);
	printf("%s%s%s ", term->colour ? (good ? GREEN : RED) : "", good ? "PASS" : "FAIL",
	       term->colour ? RESET : "");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

const char *term_bytes(uint64_t bytes, char *buf)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned int unit = 0;
	double value = bytes;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(buf, 16, value == (uint64_t)value ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return buf;
}

void term_error(struct term *term, const char *format, ...)
{
	va_list args;

	if (!term->quiet)
		end_progress(term);
	fflush(stdout);
	fprintf(stderr, "doorbell: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
