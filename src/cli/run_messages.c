/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages: what the guest wrote, and what stands in the device. */
#include <errno.h>
#include <stdlib.h>

#include "cli/run.h"

#define MESSAGES_SHOWN 4	/* of each device, to a person */
/* The bits of an address below these are the doorbell's own, and stay what they are. */
#define PAGE_BITS 12

static void say(struct term *term, const struct run_device *d, unsigned int i)
{
	const struct run_message *m = &d->messages[i];
	unsigned int n = d->guest->vectors;

	if (i >= MESSAGES_SHOWN && i != n - 1)
		return;
	if (i == n - 1 && n > MESSAGES_SHOWN + 1)
		term_say(term, "msi", "%s: ...", d->host->address);
	if (m->shown)
		term_say(
			term, "msi",
			"%s: vector %u: guest wrote 0x%llx data 0x%x; in the device: 0x%llx "
			"data 0x%x",
			d->host->address, i, (unsigned long long)d->guest->giova, m->data_guest,
			(unsigned long long)m->address, m->data_host);
	else
		term_say(term, "msi",
			 "%s: vector %u: guest wrote 0x%llx data 0x%x; the host does not show the "
			 "device's own",
			 d->host->address, i, (unsigned long long)d->guest->giova, m->data_guest);
}

int run_messages(struct session *s, struct term *term, struct run_device *d)
{
	unsigned int i, n = d->guest->vectors;

	d->messages = calloc(n, sizeof(*d->messages));
	if (!d->messages)
		return session_fail(s, -ENOMEM, "out of memory");
	for (i = 0; i < n; i++) {
		struct run_message *m = &d->messages[i];

		m->data_guest = d->guest->first_event + i;
		m->shown = !vmm_device_message(d->guest->vmm, i, &m->address, &m->data_host);
		if (!m->shown)
			m->address = d->guest->giova;
		say(term, d, i);
	}
	return 0;
}

int run_messages_check(struct session *s, unsigned int index, struct run_device *d)
{
	unsigned int i;

	for (i = 0; i < d->guest->vectors; i++) {
		struct run_message *m = &d->messages[i];
		uint64_t wanted = m->address & ((1u << PAGE_BITS) - 1), address;
		uint32_t data;

		if (guest_device_masked(s->devices[index], i))
			continue;
		if (vmm_mode(s->vmm) == DB_MODE_RMR)
			wanted = m->address;
		else
			wanted |= d->guest->giova >> PAGE_BITS << PAGE_BITS;
		if (m->shown &&
		    (vmm_device_message(d->guest->vmm, i, &address, &data) || address != wanted ||
		     data != m->data_host))
			return session_fail(
				s, -EIO,
				"%s: vector %u has 0x%llx data 0x%x in the device, not 0x%llx "
				"data 0x%x",
				d->host->address, i, (unsigned long long)address, data,
				(unsigned long long)wanted, m->data_host);
		m->address = wanted;
	}
	return 0;
}
