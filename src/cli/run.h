/* SPDX-License-Identifier: BSD-2-Clause */
/* `doorbell run`: its results, and their two forms. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <jansson.h>

#include "cli/session.h"
#include "cli/term.h"

struct run_message {
	/* in the device, if the host shows it; else as the guest wrote it */
	uint64_t address;
	uint32_t data_guest;
	uint32_t data_host;
	bool shown;		/* the host shows what is in the device */
};

struct run_device {
	const struct vmm_device_info *host;
	const struct guest_device_info *guest;
	struct run_message *messages;	/* guest->vectors of them */
	struct guest_interrupts interrupts;
	struct guest_io io;		/* under way */
	struct sha256 *sha;
	uint64_t done, total;
	uint64_t bytes;
	char sha256[SHA256_HEX];
	bool verified;
	bool chosen, running;		/* in a transfer of all that were chosen */
	unsigned int steps;		/* that were disturbed */
};

struct run_result {
	struct run_device devices[VMM_DEVICES];
	unsigned int n;
	unsigned int surprises;		/* event records that nothing was to cause */
};

/* Reads and shows what stands in the device for each vector. 0, or -errno with s->why. */
int run_messages(struct session *s, struct term *term, struct run_device *d);

/*
 * Reads those of device @index that are not masked again: the host's data and the offset in the
 * page must be as they were, and the page the one of the guest's present gIOVA (in mode rmr: as it
 * was). -EIO, s->why.
 */
int run_messages_check(struct session *s, unsigned int index, struct run_device *d);

/* The whole report as JSON; @err and @why of a run that ended early (0: none). NULL: no memory. */
json_t *run_json(const struct session *s, const struct run_result *result, int err,
		 const char *why);

#endif
