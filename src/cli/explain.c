/* SPDX-License-Identifier: BSD-2-Clause */
/* One translation, step by step. */
#include "cli/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/case.h"
#include "cli/commands.h"
#include "cli/file.h"
#include "cli/json.h"
#include "cli/signals.h"

void explain_fields(const struct trace *trace, const struct smmu_step *step,
		    struct decode_fields *out)
{
	out->n = 0;
	switch (step->kind) {
	case SMMU_STEP_STE:
		decode_ste(step->data, out);
		break;
	case SMMU_STEP_CD:
		decode_cd(step->data, out);
		break;
	case SMMU_STEP_S1:
		decode_descriptor(1, step->level, trace_granule(trace, 1), step->data[0], out);
		break;
	case SMMU_STEP_S2:
		decode_descriptor(2, step->level, trace_granule(trace, 2), step->data[0], out);
		break;
	case SMMU_STEP_EVENT:
		decode_event(step->data, out);
		break;
	case SMMU_STEP_PTR:
	case SMMU_STEP_PA:
		break;
	}
}

const char *explain_name(const struct trace *trace, const struct smmu_step *step, char buf[24])
{
	static const char *const names[] = {
		[SMMU_STEP_STE] = "STE", [SMMU_STEP_CD] = "CD",       [SMMU_STEP_PTR] = "pointer",
		[SMMU_STEP_PA] = "PA",   [SMMU_STEP_EVENT] = "event",
	};

	if (step->kind == SMMU_STEP_S1 || step->kind == SMMU_STEP_S2)
		snprintf(buf, 24, "S%u level %u", step->kind == SMMU_STEP_S1 ? 1 : 2, step->level);
	else if (step->kind == SMMU_STEP_PA && trace->source == TRACE_REPLICA)
		snprintf(buf, 24, "IPA");
	else
		snprintf(buf, 24, "%s", names[step->kind]);
	return buf;
}

const char *explain_title(const struct trace *trace, char *buf, size_t size)
{
	const char *kind = trace->write ? "Write" : trace->access.instruction ? "Fetch" : "Read";
	char substream[32] = "";

	if (trace->access.ssid_valid)
		snprintf(substream, sizeof(substream), ", SubstreamID 0x%x", trace->access.ssid);
	if (trace->source == TRACE_CASE)
		snprintf(buf, size, "%s of 0x%llx, %s, by StreamID 0x%x%s (the last access of %s)",
			 kind, (unsigned long long)trace->iova,
			 trace->access.privileged ? "privileged" : "unprivileged",
			 trace->stream_id, substream, trace->device);
	else
		snprintf(buf, size, "%s of 0x%llx by %s (StreamID 0x%x)", kind,
			 (unsigned long long)trace->iova, trace->device, trace->stream_id);
	return buf;
}

static const char *source_name(enum trace_source source)
{
	static const char *const names[] = { "host", "replica", "case" };

	return names[source];
}

static void text_step(const struct trace *trace, const struct smmu_step *step,
		      const struct term *term)
{
	const char *colour = !term->colour                   ? ""
			     : step->kind == SMMU_STEP_S1    ? "\033[33m"
			     : step->kind == SMMU_STEP_S2    ? "\033[34m"
			     : step->kind == SMMU_STEP_EVENT ? "\033[31m"
			     : step->kind == SMMU_STEP_PA    ? "\033[32m"
							     : "\033[1m";
	const char *indent = step->depth ? "      " : "  ";
	struct decode_fields fields;
	char name[24], text[640];

	explain_name(trace, step, name);
	explain_fields(trace, step, &fields);
	decode_join(&fields, text, sizeof(text));
	printf("%s%s%-11s%s", indent, colour, name, term->colour ? "\033[0m" : "");
	switch (step->kind) {
	case SMMU_STEP_S1:
	case SMMU_STEP_S2:
		printf(" [%4u] at 0x%-12llx = 0x%016llx  %s\n", step->index,
		       (unsigned long long)step->addr, (unsigned long long)step->data[0], text);
		break;
	case SMMU_STEP_PTR:
		printf(" [%4u] at 0x%-12llx = 0x%016llx\n", step->index,
		       (unsigned long long)step->addr, (unsigned long long)step->data[0]);
		break;
	case SMMU_STEP_PA:
		printf(" 0x%llx  %s\n", (unsigned long long)step->pa, trace->end_note);
		break;
	case SMMU_STEP_EVENT:
		printf(" %s\n", text);
		break;
	default:
		printf(" at 0x%llx  %s\n", (unsigned long long)step->addr, text);
		break;
	}
}

void explain_text(const struct trace *trace, const struct term *term)
{
	char title[512];
	unsigned int i;

	printf("\n%s\n", explain_title(trace, title, sizeof(title)));
	if (trace->source == TRACE_REPLICA)
		printf("(This host does not show its own tables: what follows is the guest's stage "
		       "1, walked as the SMMU walks it.)\n");
	printf("\n");
	for (i = 0; i < trace->n; i++)
		text_step(trace, &trace->steps[i], term);
}

static json_t *json_step(const struct trace *trace, const struct smmu_step *step)
{
	unsigned int words = step->kind == SMMU_STEP_STE || step->kind == SMMU_STEP_CD ? 8
			     : step->kind == SMMU_STEP_EVENT                           ? 4
										       : 1,
		     i;
	json_t *data = json_array(), *named = json_object(), *out;
	struct decode_fields fields;
	char name[24];

	explain_fields(trace, step, &fields);
	for (i = 0; i < fields.n; i++)
		json_object_set_new(named, fields.field[i].name,
				    json_string(fields.field[i].value));
	for (i = 0; step->kind != SMMU_STEP_PA && i < words; i++)
		json_array_append_new(data, json_hex(step->data[i]));
	out = json_pack("{s:s, s:i, s:o, s:o}", "step", explain_name(trace, step, name), "depth",
			(int)step->depth, "data", data, "fields", named);
	if (step->kind == SMMU_STEP_S1 || step->kind == SMMU_STEP_S2) {
		json_object_set_new(out, "stage", json_integer(step->kind == SMMU_STEP_S1 ? 1 : 2));
		json_object_set_new(out, "level", json_integer(step->level));
		json_object_set_new(out, "index", json_integer(step->index));
		json_object_set_new(out, "input", json_hex(step->input));
	}
	if (step->kind != SMMU_STEP_PA && step->kind != SMMU_STEP_EVENT)
		json_object_set_new(out, "address", json_hex(step->addr));
	if (step->kind != SMMU_STEP_EVENT && trace->source != TRACE_REPLICA)
		json_object_set_new(out, "pa", json_hex(step->pa));
	return out;
}

json_t *explain_json(const struct trace *trace)
{
	const struct smmu_step *end = trace_end(trace);
	json_t *steps = json_array(), *root;
	unsigned int i;

	for (i = 0; i < trace->n; i++)
		json_array_append_new(steps, json_step(trace, &trace->steps[i]));
	root = json_pack("{s:o, s:I, s:o, s:b, s:s, s:o}", "device", json_text(trace->device), "stream_id",
			 (json_int_t)trace->stream_id, "iova", json_hex(trace->iova), "write",
			 trace->write, "source", source_name(trace->source), "steps", steps);
	if (end && end->kind == SMMU_STEP_EVENT)
		json_object_set_new(root, "event", decode_event_json(end->data));
	else if (end)
		json_object_set_new(root, trace->source == TRACE_REPLICA ? "ipa" : "pa",
				    json_hex(end->pa));
	if (trace->end_note[0])
		json_object_set_new(root, "target", json_text(trace->end_note));
	return root;
}

static int explain_case(struct trace *trace, struct session *s, const char *path, struct term *term)
{
	struct smmu_tracer tracer = trace_tracer(trace);
	struct smmu_result result;
	int err;

	trace->source = TRACE_CASE;
	trace->device = path;
	err = case_replay(path, &tracer, &trace->access, &result, s->why, sizeof(s->why));
	if (err && err != -EFAULT) {
		term_error(term, "%s", s->why);
		return err;
	}
	trace->access.tracer = NULL;
	trace->stream_id = trace->access.sid;
	trace->iova = trace->access.addr;
	trace->write = trace->access.access == SMMU_WRITE;
	return 0;
}

static int explain_device(struct trace *trace, struct session *s, const struct options *options,
			  struct term *term)
{
	struct report report = term_report(term);
	int err;

	err = session_host(s, options, &report);
	if (!err)
		err = session_boot(s);
	if (!err) {
		const struct guest_device_info *info = guest_device_info(s->devices[0]);

		trace->device = s->addresses[0];
		trace->stream_id = vmm_device_info(info->vmm)->stream_id;
		trace->iova = options->iova_given ? options->iova : info->giova;
		trace->write = options->write || !options->iova_given;
		err = trace_session(trace, s);
	}
	if (err)
		term_error(term, "%s", s->why);
	return err;
}

static int draw(const struct trace *trace, const char *path, struct term *term)
{
	FILE *file = cli_create_file(path);
	int err = 0;

	if (!file) {
		err = -errno;
		term_error(term, "--svg %s: %s", path, strerror(-err));
		return err;
	}
	explain_svg(trace, file);
	if (ferror(file))
		err = -EIO;
	if (fclose(file))
		err = -errno;
	if (err)
		term_error(term, "--svg %s: writing failed", path);
	else
		term_say(term, "svg", "drawn in %s", path);
	return err;
}

int command_explain(int argc, char **argv)
{
	struct session *s = calloc(1, sizeof(*s));
	struct trace *trace = calloc(1, sizeof(*trace));
	struct options options;
	struct term term;
	int err;

	err = options_parse(OPTIONS_EXPLAIN, argc, argv, &options);
	if (err || options.help || !s || !trace) {
		free(trace);
		free(s);
		return options_end(OPTIONS_EXPLAIN, err, &options);
	}
	term_init(&term, options.json);
	json_begin();
	signals_catch();
	if (options.case_file)
		err = explain_case(trace, s, options.case_file, &term);
	else
		err = explain_device(trace, s, &options, &term);
	if (!err) {
		if (options.json)
			err = json_print(explain_json(trace));
		else
			explain_text(trace, &term);
		if (!err && options.svg)
			err = draw(trace, options.svg, &term);
	} else if (options.json)
		json_print(json_pack("{s:o}", "error", json_error(err, s->why)));
	session_close(s);
	free(trace);
	free(s);
	return signals_status(err ? EXIT_FAILED : 0);
}
