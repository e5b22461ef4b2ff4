/* SPDX-License-Identifier: BSD-2-Clause */
/* What every command's JSON has in common. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

/* Before a command makes any JSON. */
void json_begin(void);

json_t *json_hex(uint64_t value);	/* "0x..." */

/*
 * A text that somebody else wrote, such as a file's name: JSON is UTF-8, and what is not becomes
 * U+FFFD.
 */
json_t *json_text(const char *text);

/*
 * On stdout, with a newline; drops it. -ENOMEM: there was no memory for all of it; then an error
 * is printed in its place, and said on stderr.
 */
int json_print(json_t *root);
const char *json_errno_name(int err);	/* "EXDEV" for EXDEV and -EXDEV */
json_t *json_error(int err, const char *why);	/* {"code", "message"} */

#endif
