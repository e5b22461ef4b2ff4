/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const int ending[] = { SIGINT, SIGTERM, SIGHUP };

static volatile sig_atomic_t caught;

static void take(int number)
{
	caught = number;
}

void signals_catch(void)
{
	struct sigaction action = { .sa_handler = take, .sa_flags = SA_RESTART | SA_RESETHAND }, old;
	size_t i;

	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (!sigaction(ending[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(ending[i], &action, NULL);
}

int signals_caught(void)
{
	return caught;
}

const char *signals_reason(char *buf)
{
	snprintf(buf, 48, "it was stopped by SIG%s", sigabbrev_np(caught));
	return buf;
}

int signals_status(int status)
{
	return caught ? 128 + caught : status;
}
