/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/decode.h"
#include "cli/disturb.h"
#include "cli/json.h"
#include "cli/run.h"

static json_t *messages(const struct run_device *d)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < d->guest->vectors; i++) {
		const struct run_message *m = &d->messages[i];

		json_array_append_new(list, json_pack("{s:i, s:o, s:I, s:o}", "index", (int)i,
						      "address", json_hex(m->address), "data_guest",
						      (json_int_t)m->data_guest, "data_host",
						      m->shown ? json_integer(m->data_host)
							       : json_null()));
	}
	return list;
}

static json_t *device(const struct run_device *d)
{
	const struct guest_interrupts *i = &d->interrupts;

	return json_pack("{s:o, s:I, s:I, s:I, s:o, s:o, s:i, s:o, "
			 "s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:s, s:b}}",
			 "address", json_text(d->host->address), "stream_id",
			 (json_int_t)d->host->stream_id, "device_id",
			 (json_int_t)d->host->device_id, "doorbell_id",
			 (json_int_t)d->host->caps.doorbell.id, "doorbell_ipa",
			 json_hex(d->host->doorbell_ipa), "giova", json_hex(d->guest->giova),
			 "vectors", (int)d->guest->vectors, "msi", messages(d), "interrupts",
			 "expected", (json_int_t)i->expected, "delivered", (json_int_t)i->delivered,
			 "lost", (json_int_t)i->lost, "spurious", (json_int_t)i->spurious,
			 "misrouted", (json_int_t)i->misrouted, "cancelled",
			 (json_int_t)i->cancelled, "io", "bytes", (json_int_t)d->bytes,
			 "sha256", d->sha256, "verified", d->verified);
}

static json_t *events(const struct session *s, uint64_t *lost)
{
	json_t *list = json_array();
	const uint64_t (*records)[4];
	unsigned int i, n;

	*lost = 0;
	if (!s->guest)
		return list;
	n = vmm_events(s->vmm, &records, lost);
	for (i = 0; i < n; i++) {
		json_t *event = decode_event_json(records[i]);

		json_object_set_new(event, "expected",
				    json_boolean(guest_event_expected(s->guest, records[i])));
		json_array_append_new(list, event);
	}
	return list;
}

json_t *run_json(const struct session *s, const struct run_result *result, int err, const char *why)
{
	enum db_mode mode = s->vmm && result->n ? vmm_mode(s->vmm) : s->options->mode;
	json_t *devices = json_array(), *root;
	unsigned int i;
	uint64_t lost;

	for (i = 0; i < result->n; i++) {
		json_t *one = device(&result->devices[i]);

		if (s->options->disturb)
			json_object_set_new(one, "disturbances", disturb_json(s, i));
		json_array_append_new(devices, one);
	}
	root = json_pack("{s:s, s:s, s:b, s:o, s:o}", "mode", db_mode_name(mode), "host",
			 s->options->linux_host ? "linux" : "soft", "rmr", mode == DB_MODE_RMR,
			 "devices", devices, "events", events(s, &lost));
	if (lost)	/* the queue had no room for */
		json_object_set_new(root, "events_lost", json_integer(lost));
	if (err)
		json_object_set_new(root, "error", json_error(err, why));
	return root;
}
