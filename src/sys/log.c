/* SPDX-License-Identifier: BSD-2-Clause */
#include "sys/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#define MESSAGE_SIZE 512

/*
 * One log for the process, since what is logged need not belong to an object. The lock is held
 * shared while the function runs, so that db_log_set() waits for it. @most is read without it, to
 * spare those who log nothing.
 */
static struct {
	pthread_rwlock_t lock;
	_Atomic int most;
	db_log_fn fn;
	void *ctx;
} log_to = { .lock = PTHREAD_RWLOCK_INITIALIZER };

static const char *const level_names[] = {
	[DB_LOG_NONE] = "none",
	[DB_LOG_ERROR] = "error",
	[DB_LOG_WARNING] = "warning",
	[DB_LOG_INFO] = "info",
	[DB_LOG_DEBUG] = "debug",
};

const char *db_log_name(enum db_log_level level)
{
	return (unsigned int)level < sizeof(level_names) / sizeof(level_names[0]) ?
		       level_names[level] : "unknown";
}

void db_log_set(db_log_fn fn, void *ctx, enum db_log_level most)
{
	pthread_rwlock_wrlock(&log_to.lock);
	log_to.fn = fn;
	log_to.ctx = ctx;
	atomic_store_explicit(&log_to.most, fn ? (int)most : DB_LOG_NONE, memory_order_relaxed);
	pthread_rwlock_unlock(&log_to.lock);
}

void log_say(enum db_log_level level, const char *fmt, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;

	if ((int)level > atomic_load_explicit(&log_to.most, memory_order_relaxed))
		return;
	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	pthread_rwlock_rdlock(&log_to.lock);
	if (log_to.fn && (int)level <= atomic_load_explicit(&log_to.most, memory_order_relaxed))
		log_to.fn(log_to.ctx, level, message);
	pthread_rwlock_unlock(&log_to.lock);
}
