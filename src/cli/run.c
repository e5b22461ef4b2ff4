/* SPDX-License-Identifier: BSD-2-Clause */
/* Passes devices through, does their I/O, and says whether all of it was right. */
#include "cli/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/smmu_text.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/term.h"

#define MESSAGES_SHOWN 4	/* of each device, to a person */

struct run_io {
	struct term *term;
	struct sha256 *sha;
};

static int take_data(void *ctx, const void *buf, size_t len, uint64_t done, uint64_t total)
{
	struct run_io *io = ctx;

	term_progress(io->term, "io", done, total);
	return sha256_add(io->sha, buf, len);
}

/* Runs the driver's I/O once; the data's SHA-256 in @hex. */
static int transfer(struct session *s, struct term *term, unsigned int index, struct guest_io *io,
		    char hex[SHA256_HEX])
{
	struct run_io run = { .term = term, .sha = sha256_new() };
	int err, end;

	if (!run.sha)
		return session_fail(s, -ENOMEM, "out of memory");
	io->data = take_data;
	io->ctx = &run;
	err = guest_device_run(s->devices[index], io);
	end = sha256_end(run.sha, hex);
	if (err)
		return session_fail(s, err, "%s", guest_why(s->guest));
	return end ? session_fail(s, end, "SHA-256 failed") : 0;
}

/*
 * What must have been read: from the disk's image where there is one, else by reading a second
 * time.
 */
static int expected_content(struct session *s, struct term *term, unsigned int index,
			    uint64_t *bytes, char hex[SHA256_HEX])
{
	const struct options *o = s->options;
	const char *address = s->addresses[index];
	struct guest_io io = { 0 };
	int err;

	if (!o->linux_host) {
		err = cli_machine_disk(&s->machine, address, bytes, hex);
		return err ? session_fail(s, err, "%s: its disk's content cannot be told: %s",
					  address, strerror(-err))
			   : 0;
	}
	if (o->disk) {
		err = sha256_file(o->disk, 512, bytes, hex);
		return err ? session_fail(s, err, "%s: %s", o->disk, strerror(-err)) : 0;
	}
	term_say(term, "io", "%s: no --disk to compare with: reading a second time", address);
	err = transfer(s, term, index, &io, hex);
	*bytes = io.bytes;
	return err;
}

static int do_io(struct session *s, struct term *term, unsigned int index, struct run_device *out)
{
	const char *address = s->addresses[index];
	char hex[SHA256_HEX], size[16];
	struct guest_io io = { 0 };
	uint64_t bytes;
	int err;

	err = transfer(s, term, index, &io, out->sha256);
	out->bytes = io.bytes;
	if (err)
		return err;
	if (!io.is_disk) {
		/* the driver compared every byte with the pattern it wrote */
		out->verified = true;
		if (io.bytes)
			term_say(term, "io", "%s: %s copied by DMA and compared", address,
				 term_bytes(io.bytes, size));
		else
			term_say(term, "io", "%s: this driver moves no data", address);
		return 0;
	}
	err = expected_content(s, term, index, &bytes, hex);
	if (err)
		return err;
	out->verified = bytes == io.bytes && !strcmp(hex, out->sha256);
	term_say(term, "io", "%s: %s read, sha256 %s", address, term_bytes(io.bytes, size),
		 out->sha256);
	if (!out->verified)
		term_say(term, "error", "%s: the disk's content is %llu bytes with sha256 %s",
			 address, (unsigned long long)bytes, hex);
	return 0;
}

static int read_messages(struct session *s, struct term *term, struct run_device *out)
{
	unsigned int i, n = out->guest->vectors;

	out->messages = calloc(n, sizeof(*out->messages));
	if (!out->messages)
		return session_fail(s, -ENOMEM, "out of memory");
	for (i = 0; i < n; i++) {
		struct run_message *m = &out->messages[i];

		m->data_guest = out->guest->first_event + i;
		m->shown = !vmm_device_message(out->guest->vmm, i, &m->address, &m->data_host);
		if (!m->shown)
			m->address = out->guest->giova;
		if (i >= MESSAGES_SHOWN && i != n - 1)
			continue;
		if (i == n - 1 && n > MESSAGES_SHOWN + 1)
			term_say(term, "msi", "%s: ...", out->host->address);
		if (m->shown)
			term_say(term, "msi",
				 "%s: vector %u: guest wrote 0x%llx data 0x%x; in the device: "
				 "0x%llx data 0x%x",
				 out->host->address, i, (unsigned long long)out->guest->giova,
				 m->data_guest, (unsigned long long)m->address, m->data_host);
		else
			term_say(term, "msi",
				 "%s: vector %u: guest wrote 0x%llx data 0x%x; the host does not "
				 "show the device's own",
				 out->host->address, i, (unsigned long long)out->guest->giova,
				 m->data_guest);
	}
	return 0;
}

static void say_interrupts(struct term *term, const struct run_device *d)
{
	const struct guest_interrupts *i = &d->interrupts;

	term_say(term, "msi",
		 "%s: %llu interrupts raised, %llu delivered, %llu lost, %llu spurious, %llu "
		 "misrouted",
		 d->host->address, (unsigned long long)i->expected,
		 (unsigned long long)i->delivered, (unsigned long long)i->lost,
		 (unsigned long long)i->spurious, (unsigned long long)i->misrouted);
}

static bool is_good(const struct run_device *d)
{
	const struct guest_interrupts *i = &d->interrupts;

	return d->verified && i->expected && i->delivered == i->expected && !i->lost &&
	       !i->spurious && !i->misrouted;
}

static void say_events(struct session *s, struct term *term)
{
	const uint64_t (*events)[4];
	struct smmu_event event;
	char text[256];
	uint64_t lost;
	unsigned int i, n = vmm_events(s->vmm, &events, &lost);

	for (i = 0; i < n; i++) {
		memcpy(event.dw, events[i], sizeof(event.dw));
		smmu_event_describe(&event, text, sizeof(text));
		term_say(term, "event", "%s", text);
	}
	if (lost)
		term_say(term, "event", "and %llu more", (unsigned long long)lost);
}

/* All devices, also after one failed: what the others did is worth knowing. */
static int run_devices(struct session *s, struct term *term, struct run_result *result)
{
	int err = 0, one;
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		struct run_device *d = &result->devices[i];

		d->guest = guest_device_info(s->devices[i]);
		d->host = vmm_device_info(d->guest->vmm);
		one = read_messages(s, term, d);
		if (one)
			return one;
		result->n = i + 1;
	}
	for (i = 0; i < s->n; i++) {
		one = do_io(s, term, i, &result->devices[i]);
		if (one) {
			term_error(term, "%s", s->why);
			err = one;
		}
	}
	for (i = 0; i < s->n; i++) {
		guest_device_interrupts(s->devices[i], &result->devices[i].interrupts);
		say_interrupts(term, &result->devices[i]);
	}
	return err;
}

static bool verdict(struct session *s, struct term *term, const struct run_result *result, int err)
{
	uint64_t bytes = 0, interrupts = 0;
	unsigned int i, bad = 0;
	char size[16];

	for (i = 0; i < result->n; i++) {
		bytes += result->devices[i].bytes;
		interrupts += result->devices[i].interrupts.delivered;
		bad += !is_good(&result->devices[i]);
	}
	if (!err && !bad) {
		term_verdict(term, true,
			     "%s: %u device%s, %s verified, %llu interrupts, each once and on its "
			     "own vector",
			     db_mode_name(vmm_mode(s->vmm)), result->n, result->n == 1 ? "" : "s",
			     term_bytes(bytes, size), (unsigned long long)interrupts);
		return true;
	}
	if (bad)
		term_verdict(term, false,
			     "%u of %u devices: data or interrupts were not as they must be", bad,
			     result->n);
	else
		term_verdict(term, false, "%s", s->why);
	return false;
}

int command_run(int argc, char **argv)
{
	struct run_result *result = calloc(1, sizeof(*result));
	struct session *s = calloc(1, sizeof(*s));
	struct options options;
	struct report report;
	struct term term;
	bool good = false;
	unsigned int i;
	int err;

	err = options_parse(OPTIONS_RUN, argc, argv, &options);
	if (err || options.help || !s || !result) {
		if (!err && options.help)
			command_help("run");
		free(s);
		free(result);
		return err;
	}
	term_init(&term, options.json);
	report = term_report(&term);
	err = session_host(s, &options, &report);
	if (!err)
		err = session_boot(s);
	if (err) {
		term_error(&term, "%s", s->why);
		term_verdict(&term, false, "nothing was passed through");
	} else {
		err = run_devices(s, &term, result);
		say_events(s, &term);
		good = verdict(s, &term, result, err);
	}
	if (options.json)
		json_print(run_json(s, result, err, s->why));
	session_close(s);
	for (i = 0; i < result->n; i++)
		free(result->devices[i].messages);
	free(result);
	free(s);
	return good ? 0 : 1;
}
