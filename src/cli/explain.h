/* SPDX-License-Identifier: BSD-2-Clause */
/* The forms in which `doorbell explain` shows a trace. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "cli/decode.h"
#include "cli/term.h"
#include "cli/trace.h"

/* The fields of @step's data, and its short name ("STE", "S1 level 2"). */
void explain_fields(const struct trace *trace, const struct smmu_step *step,
		    struct decode_fields *out);
const char *explain_name(const struct trace *trace, const struct smmu_step *step, char buf[24]);

/* "Write of 0x... by ..." into @buf, which is returned. */
const char *explain_title(const struct trace *trace, char *buf, size_t size);

void explain_text(const struct trace *trace, const struct term *term);
json_t *explain_json(const struct trace *trace);
void explain_svg(const struct trace *trace, FILE *out);

#endif
