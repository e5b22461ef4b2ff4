/* SPDX-License-Identifier: BSD-2-Clause */
/* From options to a running guest: host, VMM, guest and its devices; and back. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/machine.h"
#include "cli/options.h"
#include "guest/guest.h"

struct session {
	const struct options *options;
	struct report report;
	struct cli_machine machine;	/* of the software host */
	struct db_sys *sys;
	char addresses[VMM_DEVICES][16];
	char drivers[VMM_DEVICES][64];	/* that were to be taken away; "": none */
	unsigned int n;
	struct vmm *vmm;
	struct guest *guest;
	struct guest_device *devices[VMM_DEVICES];
	char why[640];
};

/*
 * Makes the host and finds out which devices are meant. 0, or -errno with session->why;
 * session_close() in both cases.
 */
int session_host(struct session *s, const struct options *options, const struct report *report);

/*
 * Opens the devices for a VM and boots the guest with all of them. After session_host(); same
 * rules.
 */
int session_boot(struct session *s);

void session_close(struct session *s);

/* -EINTR and the sentence once a signal has come that is to end the command, else 0. */
int session_stopped(struct session *s);

/* Leaves the sentence and returns @err. */
int session_fail(struct session *s, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
