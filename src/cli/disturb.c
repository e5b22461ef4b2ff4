/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/disturb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest/disturb.h"

static int disturb(struct session *s, unsigned int index, struct run_device *d,
		   enum guest_disturbance what)
{
	int err = guest_disturb(s->devices[index], what);

	if (err == -EOPNOTSUPP && s->options->disturb_all)
		return 0;
	if (err)
		return session_fail(s, err, "disturbed by \"%s\": %s", guest_disturbance_name(what),
				    guest_why(s->guest));
	return run_messages_check(s, index, d);
}

/* The chosen heavy one whose turn it is; GUEST_DISTURB_COUNT: none was chosen. */
static enum guest_disturbance heavy_turn(unsigned int chosen, unsigned int turn)
{
	unsigned int kinds[GUEST_DISTURB_COUNT], n = 0, i;

	for (i = 0; i < GUEST_DISTURB_COUNT; i++)
		if (chosen & 1u << i && guest_disturbance_is_heavy(i))
			kinds[n++] = i;
	return n ? kinds[turn % n] : GUEST_DISTURB_COUNT;
}

int disturb_step(struct session *s, unsigned int index, struct run_device *d)
{
	unsigned int chosen = s->options->disturb, step = d->steps++, i;
	enum guest_disturbance heavy;
	int err = 0;

	for (i = 0; !err && i < GUEST_DISTURB_COUNT; i++)
		if (chosen & 1u << i && !guest_disturbance_is_heavy(i))
			err = disturb(s, index, d, i);
	if (err || step % DISTURB_HEAVY_STEPS)
		return err;
	heavy = heavy_turn(chosen, step / DISTURB_HEAVY_STEPS);
	return heavy == GUEST_DISTURB_COUNT ? 0 : disturb(s, index, d, heavy);
}

uint64_t disturb_count(const struct session *s, unsigned int index)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < GUEST_DISTURB_COUNT; i++)
		n += guest_disturbed(s->devices[index], i);
	return n;
}

const char *disturb_describe(const struct session *s, unsigned int index, char *buf, size_t size)
{
	unsigned int i;
	size_t len = 0;

	buf[0] = 0;
	for (i = 0; i < GUEST_DISTURB_COUNT; i++)
		if (s->options->disturb & 1u << i && len < size)
			len += snprintf(buf + len, size - len, "%s%s %llu", len ? ", " : "",
					guest_disturbance_name(i),
					(unsigned long long)guest_disturbed(s->devices[index], i));
	return buf;
}

json_t *disturb_json(const struct session *s, unsigned int index)
{
	json_t *out = json_object();
	unsigned int i;

	for (i = 0; i < GUEST_DISTURB_COUNT; i++)
		if (s->options->disturb & 1u << i)
			json_object_set_new(
				out, guest_disturbance_name(i),
				json_integer(guest_disturbed(s->devices[index], i)));
	return out;
}
