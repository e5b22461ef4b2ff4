/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIGINT, SIGTERM and SIGHUP end a command in its own time: devices go back to their drivers first.
 * A second one of them ends it at once.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* From here on. What was ignored (nohup) stays so. */
void signals_catch(void);

/* The signal that came, or 0. */
int signals_caught(void);

/* "it was stopped by SIGINT" into @buf (>= 48 bytes), which is returned. */
const char *signals_reason(char *buf);

/* The exit status: 128 + the signal that came, or @status. */
int signals_status(int status);

#endif
