/* SPDX-License-Identifier: BSD-2-Clause */
/* Says something to whoever has called db_log_set(). */
#ifndef SYS_LOG_H
#define SYS_LOG_H

#include <doorbell/log.h>

/* One sentence, without a newline; cut off when too long. The thread's db_error_message() stays. */
__attribute__((format(printf, 2, 3)))
void log_say(enum db_log_level level, const char *fmt, ...);

#endif
