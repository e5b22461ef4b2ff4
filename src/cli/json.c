/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/json.h"

#include <stdio.h>
#include <string.h>

json_t *json_hex(uint64_t value)
{
	return json_sprintf("0x%llx", (unsigned long long)value);
}

void json_print(json_t *root)
{
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

const char *json_errno_name(int err)
{
	const char *name = strerrorname_np(err < 0 ? -err : err);

	return name ? name : "?";
}

json_t *json_error(int err, const char *why)
{
	return json_pack("{s:s, s:s}", "code", json_errno_name(err), "message", why);
}
