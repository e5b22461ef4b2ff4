/* SPDX-License-Identifier: BSD-2-Clause */
/* What every command's JSON has in common. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

json_t *json_hex(uint64_t value);	/* "0x..." */
void json_print(json_t *root);		/* with a newline on stdout; drops it */
const char *json_errno_name(int err);	/* "EXDEV" for EXDEV and -EXDEV */
json_t *json_error(int err, const char *why);	/* {"code", "message"} */

#endif
