/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line: every command takes the options that make sense for it, under the same names.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <doorbell/doorbell.h>

#include "guest/vmm.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2	/* bad options */

struct options {
	bool linux_host;		/* --host linux */
	const char *machine;		/* --machine FILE */
	const char *devices[VMM_DEVICES];	/* --device ADDR */
	unsigned int n_devices;
	enum db_mode mode;
	unsigned int vectors;		/* 0: all of the device */
	const char *disks[VMM_DEVICES];	/* --disk FILE; one is for all */
	unsigned int n_disks;
	bool vits_given;
	uint64_t vits;
	uint64_t ram_base;		/* 0: chosen */
	unsigned int granule_shift;	/* 0: the SMMU's smallest */
	bool json, fall_through, one_vits, rebind;
	/* run */
	unsigned int disturb;		/* 1 << enum guest_disturbance, or'ed */
	bool disturb_all;		/* whatever each device can bear */
	/* probe */
	const char *iort, *madt;	/* dumps of another machine's tables */
	/* explain */
	bool first_only;		/* of the devices there are without --device */
	bool iova_given, write;
	uint64_t iova;
	const char *svg, *case_file;
	bool help;
};

enum options_command {
	OPTIONS_RUN = 1 << 0,
	OPTIONS_EXPLAIN = 1 << 1,
	OPTIONS_PROBE = 1 << 2,
};

/* Parses argv[1..]. 0, or EXIT_USAGE after a message on stderr that says what to do. */
int options_parse(enum options_command command, int argc, char **argv, struct options *out);

/* Prints the options of @command, a line or two each. */
void options_help(enum options_command command);

/*
 * Ends a command that does not begin: after @err of options_parse(), with --help, or because there
 * was no memory for it. Its exit status.
 */
int options_end(enum options_command command, int err, const struct options *options);

#endif
