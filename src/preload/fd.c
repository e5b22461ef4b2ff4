/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdatomic.h>
#include <unistd.h>

#include "preload/preload.h"

/* Higher ones are not the host's: no system lets a process have so many by default. */
#define FDS (1 << 20)

enum {
	FOREIGN,
	OURS,
	INHERITED,	/* ours, of the process that this one was forked from */
	FOLDER,
};

/* Pages that are never touched cost nothing. */
static _Atomic uint8_t kinds[FDS];

static int kind_of(int fd)
{
	return fd >= 0 && fd < FDS ? kinds[fd] : FOREIGN;
}

bool fd_is_ours(int fd)
{
	return !preload_inside && (kind_of(fd) == OURS || kind_of(fd) == INHERITED);
}

void fd_note_use(int fd)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	if (preload_inside || kind_of(fd) != INHERITED || atomic_flag_test_and_set(&said))
		return;
	preload_say("doorbell host: process %d uses descriptor %d, which its parent opened: it has "
		    "a copy of the software host as it was at the fork; neither sees what the "
		    "other does with devices from then on", getpid(), fd);
}

void fd_watch(int fd, bool there)
{
	if (fd < FDS)
		kinds[fd] = there ? OURS : FOREIGN;
}

int fd_next_ours(int fd)
{
	for (int last = (int)sysconf(_SC_OPEN_MAX); fd < last && fd < FDS; fd++) {
		if (kinds[fd] == OURS || kinds[fd] == INHERITED)
			return fd;
	}
	return -1;
}

void fd_set_folder(int fd, bool is)
{
	if (fd >= 0 && fd < FDS)
		kinds[fd] = is ? FOLDER : FOREIGN;
}

bool fd_is_folder(int fd)
{
	return kind_of(fd) == FOLDER;
}

void fd_forked(void)
{
	for (int fd = fd_next_ours(0); fd >= 0; fd = fd_next_ours(fd + 1))
		kinds[fd] = INHERITED;
}
