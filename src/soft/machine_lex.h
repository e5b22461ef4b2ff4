/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of a machine file. A word is "name", or "key=value"; a value in double quotes may hold
 * blanks. Words are slices of the text, which is never copied and need not end in NUL.
 */
#ifndef SOFT_MACHINE_LEX_H
#define SOFT_MACHINE_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
	const char *p;
	size_t len;
};

struct word {
	struct slice key, value;
	bool has_value;
};

struct machine_lex {
	const char *p, *end;		/* what is left of the text */
	const char *line_end;		/* of the current line */
	unsigned int line;		/* its number, from 1 */
	char *why;			/* receives the first error */
	size_t why_size;
};

/* Goes to the next line; false at the end of the text. */
bool lex_line(struct machine_lex *lex);

/* The next word of the line: 1, 0 at its end, or -EINVAL (an open quote, a control character). */
int lex_word(struct machine_lex *lex, struct word *word);

/* -EINVAL, with "line N: ..." in lex->why; @line 0 means the current one. */
__attribute__((format(printf, 3, 4)))
int lex_error(struct machine_lex *lex, unsigned int line, const char *fmt, ...);

bool slice_is(struct slice s, const char *text);

/* For "%.*s": no more of it than a message needs. */
#define SLICE_ARG(s) (int)((s).len < 64 ? (s).len : 64), (s).p

/*
 * A number from @min to @max: decimal or 0x hexadecimal; where @size is true it may end in k, m, g
 * or t (binary). -EINVAL, without a message.
 */
int slice_number(struct slice s, bool size, uint64_t min, uint64_t max, uint64_t *out);

/* Splits "A<separator>B". */
bool slice_split(struct slice s, const char *separator, struct slice *a, struct slice *b);

#endif
