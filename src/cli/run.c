/* SPDX-License-Identifier: BSD-2-Clause */
/* Passes devices through, does their I/O, and says whether all of it was right. */
#include "cli/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/smmu_text.h"
#include "cli/commands.h"
#include "cli/disturb.h"
#include "cli/json.h"
#include "cli/signals.h"
#include "cli/term.h"
#include "guest/disturb.h"

struct progress {
	struct term *term;
	struct run_result *result;
	struct run_device *device;
};

/* Of all devices together, as far as they have told how much there is. */
static void show_progress(struct term *term, const struct run_result *result)
{
	uint64_t done = 0, total = 0;
	unsigned int i;

	for (i = 0; i < result->n; i++) {
		done += result->devices[i].done;
		total += result->devices[i].total;
	}
	term_progress(term, "io", done, total);
}

static int take_data(void *ctx, const void *buf, size_t len, uint64_t done, uint64_t total)
{
	struct progress *p = ctx;

	p->device->done = done;
	p->device->total = total;
	show_progress(p->term, p->result);
	sha256_add(p->device->sha, buf, len);
	return 0;
}

/* One step of device @index, and what disturbs it. 1: there is more to do; 0; -errno, s->why. */
static int step(struct session *s, unsigned int index, struct run_device *d, bool disturb)
{
	int more, err;

	if (session_stopped(s))
		return -EINTR;
	more = guest_device_step(s->devices[index]);
	if (more < 0)
		return session_fail(s, more, "%s", guest_why(s->guest));
	err = more && disturb ? disturb_step(s, index, d) : 0;
	return err ? err : more;
}

/*
 * Runs the I/O of all chosen devices at the same time, with what was asked for to @disturb it or
 * without; the data's SHA-256 in @hex.
 * All go on after one has failed: what the others do is worth knowing.
 */
static int transfer(struct session *s, struct term *term, struct run_result *result,
		    bool disturb, char (*hex)[SHA256_HEX])
{
	struct progress progress[VMM_DEVICES];
	unsigned int running = 0, i;
	int err = 0, one;

	for (i = 0; i < s->n; i++) {
		struct run_device *d = &result->devices[i];

		if (!d->chosen)
			continue;
		progress[i] = (struct progress){ term, result, d };
		d->io = (struct guest_io){ .data = take_data, .ctx = &progress[i] };
		d->sha = sha256_new();
		one = d->sha ? guest_device_begin(s->devices[i], &d->io) : -ENOMEM;
		if (one)
			err = session_fail(s, one, "%s",
					   d->sha ? guest_why(s->guest) : "out of memory");
		d->running = !one;
		running += d->running;
	}
	while (running)
		for (i = 0; i < s->n; i++) {
			if (!result->devices[i].running)
				continue;
			one = step(s, i, &result->devices[i], disturb);
			if (one > 0)
				continue;
			result->devices[i].running = false;
			running--;
			if (one) {
				/* A signal ends all of them, and is said once. */
				if (one != err || one != -EINTR)
					term_error(term, "%s", s->why);
				err = one;
			}
		}
	for (i = 0; i < s->n; i++) {
		if (!result->devices[i].chosen)
			continue;
		guest_device_end(s->devices[i]);
		if (result->devices[i].sha)
			sha256_end(result->devices[i].sha, hex[i]);
	}
	return err;
}

/*
 * What must have been read from device @index, the @nth that is a disk, where it can be told without
 * the device: from the disk's image. -ENODATA: by a second reading only.
 */
static int expected_content(struct session *s, unsigned int index, unsigned int nth,
			    uint64_t *bytes, char hex[SHA256_HEX])
{
	const struct options *o = s->options;
	const char *address = s->addresses[index], *disk;
	int err;

	if (!o->linux_host) {
		err = cli_machine_disk(&s->machine, address, bytes, hex);
		return err ? session_fail(s, err, "%s: its disk's content cannot be told: %s",
					  address, strerror(-err))
			   : 0;
	}
	disk = o->disks[o->n_disks > 1 ? nth : 0];
	if (!disk)
		return -ENODATA;
	err = sha256_file(disk, 512, bytes, hex);
	return err ? session_fail(s, err, "%s: %s", disk, strerror(-err)) : 0;
}

static void say_io(struct term *term, const struct run_device *d)
{
	const char *address = d->host->address;
	char size[16];

	if (d->io.is_disk)
		term_say(term, "io", "%s: %s read, sha256 %s", address, term_bytes(d->bytes, size),
			 d->sha256);
	else if (d->bytes)
		term_say(term, "io", "%s: %s copied by DMA and compared", address,
			 term_bytes(d->bytes, size));
	else
		term_say(term, "io", "%s: its driver moves no data, only interrupts", address);
}

static void compare(struct term *term, struct run_device *d, uint64_t bytes, const char *hex)
{
	d->verified = bytes == d->bytes && !strcmp(hex, d->sha256);
	if (!d->verified)
		term_say(term, "error", "%s: the disk's content is %llu bytes with sha256 %s",
			 d->host->address, (unsigned long long)bytes, hex);
}

static int do_io(struct session *s, struct term *term, struct run_result *result)
{
	char hex[VMM_DEVICES][SHA256_HEX] = { 0 };
	unsigned int again = 0, disks = 0, i;
	uint64_t bytes;
	int err;

	for (i = 0; i < s->n; i++)
		result->devices[i].chosen = true;
	err = transfer(s, term, result, true, hex);
	for (i = 0; i < s->n; i++) {
		struct run_device *d = &result->devices[i];

		d->bytes = d->io.bytes;
		memcpy(d->sha256, hex[i], sizeof(hex[i]));
	}
	if (err)
		return err;
	for (i = 0; !err && i < s->n; i++) {
		struct run_device *d = &result->devices[i];

		say_io(term, d);
		d->chosen = false;
		/* a driver without a disk compared every byte with the pattern it wrote */
		d->verified = !d->io.is_disk;
		if (d->verified)
			continue;
		err = expected_content(s, i, disks++, &bytes, hex[i]);
		if (!err) {
			compare(term, d, bytes, hex[i]);
		} else if (err == -ENODATA) {
			d->chosen = true;
			again++;
			err = 0;
		}
	}
	if (err || !again)
		return err;
	term_say(term, "io", "no --disk to compare with: reading a second time");
	err = transfer(s, term, result, false, hex);
	for (i = 0; !err && i < s->n; i++)
		if (result->devices[i].chosen)
			compare(term, &result->devices[i], result->devices[i].io.bytes, hex[i]);
	return err;
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

static void say_disturbances(struct session *s, struct term *term, unsigned int index,
			     const struct run_device *d)
{
	char text[128];

	if (s->options->disturb)
		term_say(term, "disturb", "%s: %s; commands cut short and repeated: %llu",
			 d->host->address, disturb_describe(s, index, text, sizeof(text)),
			 (unsigned long long)d->interrupts.cancelled);
}

static bool is_good(const struct run_device *d)
{
	const struct guest_interrupts *i = &d->interrupts;

	return d->verified && i->expected && i->delivered == i->expected && !i->lost &&
	       !i->spurious && !i->misrouted;
}

#define EVENTS_SHOWN 12	/* of faults that were brought about, to a person */

static void say_events(struct session *s, struct term *term, struct run_result *result)
{
	const uint64_t (*events)[4];
	struct smmu_event event;
	char text[256];
	uint64_t lost;
	unsigned int i, n = vmm_events(s->vmm, &events, &lost), expected = 0;

	for (i = 0; i < n; i++) {
		memcpy(event.dw, events[i], sizeof(event.dw));
		smmu_event_describe(&event, text, sizeof(text));
		if (!guest_event_expected(s->guest, events[i])) {
			result->surprises++;
			term_say(term, "event", "%s: nothing was to cause this", text);
		} else if (expected++ < EVENTS_SHOWN) {
			term_say(term, "event", "%s", text);
		}
	}
	if (expected > EVENTS_SHOWN)
		term_say(term, "event", "and %u more of faults that were brought about",
			 expected - EVENTS_SHOWN);
	if (!lost)
		return;
	term_say(term, "event", "and %llu that the queue had no room for",
		 (unsigned long long)lost);
	/* Where faults are brought about there may be more of them than are kept. */
	if (!(s->options->disturb & 1u << GUEST_DISTURB_FAULT))
		result->surprises += lost;
}

static int run_devices(struct session *s, struct term *term, struct run_result *result)
{
	unsigned int i;
	int err, one;

	for (i = 0; i < s->n; i++) {
		struct run_device *d = &result->devices[i];

		d->guest = guest_device_info(s->devices[i]);
		d->host = vmm_device_info(d->guest->vmm);
		err = run_messages(s, term, d);
		if (err)
			return err;
		result->n = i + 1;
	}
	err = do_io(s, term, result);
	for (i = 0; i < s->n; i++) {
		guest_device_interrupts(s->devices[i], &result->devices[i].interrupts);
		one = run_messages_check(s, i, &result->devices[i]);
		if (one && !err)
			err = one;
		say_interrupts(term, &result->devices[i]);
		say_disturbances(s, term, i, &result->devices[i]);
	}
	return err;
}

/* ", 12 disturbances", or "". */
static const char *with_disturbances(const struct session *s, char *buf, size_t size)
{
	unsigned long long n = 0;
	unsigned int i;

	for (i = 0; i < s->n; i++)
		n += disturb_count(s, i);
	buf[0] = 0;
	if (s->options->disturb)
		snprintf(buf, size, ", %llu disturbances", n);
	return buf;
}

static bool verdict(struct session *s, struct term *term, const struct run_result *result, int err)
{
	uint64_t bytes = 0, interrupts = 0;
	char size[16], data[40] = "no data to move", disturbances[40];
	unsigned int i, bad = 0;

	for (i = 0; i < result->n; i++) {
		bytes += result->devices[i].bytes;
		interrupts += result->devices[i].interrupts.delivered;
		bad += !is_good(&result->devices[i]);
	}
	if (bytes)
		snprintf(data, sizeof(data), "%s verified", term_bytes(bytes, size));
	if (err)
		term_verdict(term, false, "%s", s->why);
	else if (bad)
		term_verdict(term, false,
			     "%u of %u devices: data or interrupts were not as they must be", bad,
			     result->n);
	else if (result->surprises)
		term_verdict(term, false, "%u fault record%s that nothing was to cause",
			     result->surprises, result->surprises == 1 ? "" : "s");
	else
		term_verdict(
			term, true,
			"%s: %u device%s, %s, %llu interrupts, each once and on its own vector%s",
			db_mode_name(vmm_mode(s->vmm)), result->n, result->n == 1 ? "" : "s", data,
			(unsigned long long)interrupts,
			with_disturbances(s, disturbances, sizeof(disturbances)));
	return !err && !bad && !result->surprises;
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
		free(s);
		free(result);
		return options_end(OPTIONS_RUN, err, &options);
	}
	term_init(&term, options.json);
	json_begin();
	signals_catch();
	report = term_report(&term);
	err = session_host(s, &options, &report);
	if (!err)
		err = session_boot(s);
	if (err) {
		term_error(&term, "%s", s->why);
		term_verdict(&term, false, "nothing was passed through");
	} else {
		err = run_devices(s, &term, result);
		say_events(s, &term, result);
		good = verdict(s, &term, result, err);
	}
	if (options.json && json_print(run_json(s, result, err, s->why)))
		good = false;
	session_close(s);
	for (i = 0; i < result->n; i++)
		free(result->devices[i].messages);
	free(result);
	free(s);
	return signals_status(good ? 0 : EXIT_FAILED);
}
