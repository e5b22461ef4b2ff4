/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The software host's machine description as the command uses it: its text, and what its disks must
 * contain.
 */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include <doorbell/doorbell.h>

#include "cli/sha256.h"

struct cli_machine {
	char *text;	/* NULL: the built-in one */
	size_t len;
	char *directory;	/* of its file, where the disks that it names are; NULL: here */
};

/*
 * Reads @file (NULL: the built-in machine); with @disk every NVMe device of it serves that file.
 * -errno and a sentence in @why.
 */
int cli_machine_load(struct cli_machine *machine, const char *file, const char *disk, char *why,
		     size_t size);
/*
 * The software host of it; -errno, db_error_message().
 */
int cli_machine_host(const struct cli_machine *machine, struct db_sys **out);
void cli_machine_free(struct cli_machine *machine);

/*
 * The SHA-256 of the content of @address's disk, and its size. -ENOENT: it is no NVMe device of
 * this machine.
 */
int cli_machine_disk(const struct cli_machine *machine, const char *address, uint64_t *bytes,
		     char hex[SHA256_HEX]);

#endif
