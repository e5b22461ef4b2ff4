/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the library decides by itself, and what goes wrong where there is no caller to be told: for
 * the log of the program. Nothing is logged, or printed anywhere, unless asked for. What a call
 * returns an error for is not logged: the sentence is in db_error_message().
 */
#ifndef DOORBELL_LOG_H
#define DOORBELL_LOG_H

#include <doorbell/api.h>

DB_API_BEGIN

enum db_log_level {
	DB_LOG_NONE,
	DB_LOG_ERROR,	/* not as a caller must believe: a device that was not given back */
	DB_LOG_WARNING,	/* a guest may notice: vectors disarmed, events lost */
	DB_LOG_INFO,	/* a choice: the mode that "auto" took, a driver exchanged */
	DB_LOG_DEBUG,	/* how something is done: masking without the device's table, ... */
};

/*
 * @message is one sentence without a newline, valid during the call. Called in the thread of
 * whatever db_ call is under way, with locks of the library held, by several threads at once: it
 * must not call into the library (db_log_name() excepted).
 */
typedef void (*db_log_fn)(void *ctx, enum db_log_level level, const char *message);

/*
 * Has @fn called with @ctx for all that is as grave as @most, or graver, in the whole process, in
 * place of what was set before; NULL, or DB_LOG_NONE: nothing is logged. May be called at any time
 * from any thread, but not from @fn. When it returns the former function is not running any more,
 * and will not be called again.
 */
void db_log_set(db_log_fn fn, void *ctx, enum db_log_level most);

/* "error", "warning", "info", "debug". */
const char *db_log_name(enum db_log_level level);

DB_API_END

#endif
