/* SPDX-License-Identifier: BSD-2-Clause */
/* `doorbell run`: its results, and their two forms. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <jansson.h>

#include "cli/session.h"

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
	uint64_t bytes;
	char sha256[SHA256_HEX];
	bool verified;
};

struct run_result {
	struct run_device devices[VMM_DEVICES];
	unsigned int n;
};

/* The whole report as JSON; @err and @why of a run that ended early (0: none). NULL: no memory. */
json_t *run_json(const struct session *s, const struct run_result *result, int err,
		 const char *why);

#endif
