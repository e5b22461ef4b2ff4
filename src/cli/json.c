/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"	/* U+FFFD in UTF-8 */

/*
 * jansson leaves out what it has no memory for, and what is left is valid JSON all the same: so
 * that a part is not taken for the whole, it is remembered that memory was refused.
 */
static bool starved;

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		starved = true;
	return memory;
}

void json_begin(void)
{
	starved = false;
	json_set_alloc_funcs(allocate, free);
}

json_t *json_hex(uint64_t value)
{
	return json_sprintf("0x%llx", (unsigned long long)value);
}

/* Length of the UTF-8 sequence at the start of @at (Unicode, table 3-7), 0 when it is none. */
static size_t sequence(const unsigned char *at)
{
	size_t len = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3
		     : *at < 0xf5 ? 4 : 0, i;

	for (i = 1; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] >= 0xa0) ||
	    (*at == 0xf0 && at[1] < 0x90) || (*at == 0xf4 && at[1] >= 0x90))
		return 0;
	return len;
}

json_t *json_text(const char *text)
{
	size_t n = 0, len;
	json_t *out;
	char *utf8;

	utf8 = allocate(strlen(text) * (sizeof(REPLACEMENT) - 1) + 1);
	if (!utf8)
		return NULL;
	for (; *text; text += len ? len : 1) {
		len = sequence((const unsigned char *)text);
		memcpy(utf8 + n, len ? text : REPLACEMENT, len ? len : sizeof(REPLACEMENT) - 1);
		n += len ? len : sizeof(REPLACEMENT) - 1;
	}
	out = json_stringn(utf8, n);
	free(utf8);
	return out;
}

int json_print(json_t *root)
{
	char *text = root && !starved ? json_dumps(root, JSON_INDENT(2)) : NULL;

	json_decref(root);
	/* Written out it may have lost something, too. */
	if (!text || starved) {
		free(text);
		fprintf(stderr, "doorbell: out of memory for the JSON\n");
		puts("{\"error\": {\"code\": \"ENOMEM\", \"message\": \"out of memory\"}}");
		return -ENOMEM;
	}
	puts(text);
	free(text);
	return 0;
}

const char *json_errno_name(int err)
{
	const char *name = strerrorname_np(err < 0 ? -err : err);

	return name ? name : "?";
}

json_t *json_error(int err, const char *why)
{
	return json_pack("{s:s, s:o}", "code", json_errno_name(err), "message", json_text(why));
}
