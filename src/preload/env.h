/* SPDX-License-Identifier: BSD-2-Clause */
/* What the command and the library that it puts into a program tell each other. */
#ifndef PRELOAD_ENV_H
#define PRELOAD_ENV_H

#include <stdint.h>

#define PRELOAD_LIBRARY "libdoorbell-host.so"

/* Environment: the run's own folder, which the command removes at the end; ... */
#define PRELOAD_DIR "DOORBELL_HOST_DIR"
/* ... and, when set, calls are shown. */
#define PRELOAD_TRACE "DOORBELL_HOST_TRACE"

/* A file of the folder: the machine. Not there: the built-in one. */
#define PRELOAD_MACHINE "machine"

/* Exit status of a program whose software host cannot be made. */
#define PRELOAD_FAILED 125

/* A file of the folder, shared by all processes of the run, when calls are to be counted. */
#define PRELOAD_COUNTS "counts"
#define PRELOAD_NAMES 256

struct preload_counts {
	struct {
		char name[40];		/* "" from the first free one on */
		uint64_t calls, failed;
	} of[PRELOAD_NAMES];
	uint64_t loads, stores;		/* of BARs */
};

#endif
