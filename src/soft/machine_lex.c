/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/machine_lex.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int lex_error(struct machine_lex *lex, unsigned int line, const char *fmt, ...)
{
	va_list args;
	int n;

	if (!lex->why || !lex->why_size)
		return -EINVAL;
	n = snprintf(lex->why, lex->why_size, "line %u: ", line ? line : lex->line);
	if (n > 0 && (size_t)n < lex->why_size) {
		va_start(args, fmt);
		vsnprintf(lex->why + n, lex->why_size - (size_t)n, fmt, args);
		va_end(args);
	}
	return -EINVAL;
}

bool lex_line(struct machine_lex *lex)
{
	if (lex->line)
		lex->p = lex->line_end < lex->end ? lex->line_end + 1 : lex->end;
	if (lex->p == lex->end)
		return false;
	lex->line_end = memchr(lex->p, '\n', (size_t)(lex->end - lex->p));
	if (!lex->line_end)
		lex->line_end = lex->end;
	lex->line++;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static int read_value(struct machine_lex *lex, struct slice *value)
{
	bool quoted = lex->p < lex->line_end && *lex->p == '"';

	if (quoted)
		lex->p++;
	value->p = lex->p;
	while (lex->p < lex->line_end && (quoted ? *lex->p != '"' : !is_blank(*lex->p))) {
		if ((unsigned char)*lex->p < ' ' && *lex->p != '\t')
			return lex_error(lex, 0, "a control character (0x%02x)",
					 (unsigned char)*lex->p);
		lex->p++;
	}
	value->len = (size_t)(lex->p - value->p);
	if (!quoted)
		return 0;
	if (lex->p == lex->line_end)
		return lex_error(lex, 0, "the closing quote is missing");
	lex->p++;
	if (lex->p < lex->line_end && !is_blank(*lex->p))
		return lex_error(lex, 0, "a blank is missing after a closing quote");
	return 0;
}

int lex_word(struct machine_lex *lex, struct word *word)
{
	int ret;

	while (lex->p < lex->line_end && is_blank(*lex->p))
		lex->p++;
	if (lex->p == lex->line_end || *lex->p == '#') {
		lex->p = lex->line_end;
		return 0;
	}
	memset(word, 0, sizeof(*word));
	word->key.p = lex->p;
	while (lex->p < lex->line_end && !is_blank(*lex->p) && *lex->p != '=') {
		if ((unsigned char)*lex->p < ' ')
			return lex_error(lex, 0, "a control character (0x%02x)",
					 (unsigned char)*lex->p);
		lex->p++;
	}
	word->key.len = (size_t)(lex->p - word->key.p);
	word->value = (struct slice){ lex->p, 0 };	/* none, but not NULL: memcmp() must not get that */
	if (lex->p == lex->line_end || *lex->p != '=')
		return 1;
	lex->p++;
	word->has_value = true;
	ret = read_value(lex, &word->value);
	return ret ? ret : 1;
}

bool slice_is(struct slice s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

bool slice_split(struct slice s, const char *separator, struct slice *a, struct slice *b)
{
	const char *at = memmem(s.p, s.len, separator, strlen(separator));

	if (!at)
		return false;
	*a = (struct slice){ s.p, (size_t)(at - s.p) };
	*b = (struct slice){ at + strlen(separator), s.len - a->len - strlen(separator) };
	return true;
}

static int digit(char c, unsigned int base)
{
	unsigned int value = base;

	if (c >= '0' && c <= '9')
		value = (unsigned int)(c - '0');
	else if (c >= 'a' && c <= 'f')
		value = (unsigned int)(c - 'a') + 10;
	else if (c >= 'A' && c <= 'F')
		value = (unsigned int)(c - 'A') + 10;
	return value < base ? (int)value : -1;
}

static unsigned int unit_shift(char c)
{
	static const char units[] = "kmgt";
	const char *at = strchr(units, c | 0x20);

	return c && at ? 10 * (unsigned int)(at - units + 1) : 0;
}

int slice_number(struct slice s, bool size, uint64_t min, uint64_t max, uint64_t *out)
{
	unsigned int base = 10, shift = 0;
	uint64_t value = 0;
	int d;

	if (s.len > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') {
		base = 16;
		s.p += 2;
		s.len -= 2;
	}
	if (size && s.len > 1) {
		shift = unit_shift(s.p[s.len - 1]);
		s.len -= !!shift;
	}
	if (!s.len)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		d = digit(s.p[i], base);
		if (d < 0 || value > (UINT64_MAX - (uint64_t)d) / base)
			return -EINVAL;
		value = value * base + (uint64_t)d;
	}
	if (value > UINT64_MAX >> shift)
		return -EINVAL;
	value <<= shift;
	if (value < min || value > max)
		return -EINVAL;
	*out = value;
	return 0;
}
