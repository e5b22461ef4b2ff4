/* SPDX-License-Identifier: BSD-2-Clause */
/* The software host of this process: made when it is first wanted. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/env.h"
#include "preload/preload.h"
#include "sys/error.h"

#define MACHINE_MAX (16u << 20)

__thread int preload_inside __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct soft_host *host;
static pid_t owner;		/* the process */

/*
 * Read: a call is in the host, whose locks are then held; write: fork(). The kind that a thread may
 * take twice, since a load from a BAR may come in the middle of a call.
 */
static pthread_rwlock_t gate = PTHREAD_RWLOCK_INITIALIZER;

void preload_say(const char *fmt, ...)
{
	char text[512];
	va_list args;
	ssize_t done;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text) - 1, fmt, args);
	va_end(args);
	if (len > (int)sizeof(text) - 2)
		len = (int)sizeof(text) - 2;
	text[len++] = '\n';
	/* Not through the program's own stderr: it may be in the middle of something. */
	done = syscall(SYS_write, STDERR_FILENO, text, (size_t)len);
	(void)done;
}

__attribute__((noreturn, format(printf, 1, 2)))
static void stop(const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	preload_say("doorbell host: %s", text);
	_exit(PRELOAD_FAILED);
}

const char *preload_dir(void)
{
	const char *dir = getenv(PRELOAD_DIR);

	if (!dir)
		stop("the environment of `doorbell host` is gone (" PRELOAD_DIR ")");
	return dir;
}

/* The machine's description, or NULL for the built-in machine. */
static char *read_machine(size_t *len)
{
	char path[PATH_SIZE], *text;
	FILE *file;

	*len = 0;
	snprintf(path, sizeof(path), "%s/" PRELOAD_MACHINE, preload_dir());
	file = fopen(path, "r");
	if (!file && errno == ENOENT)
		return NULL;
	text = malloc(MACHINE_MAX);
	if (!file || !text)
		stop("cannot read %s: %s", path, strerror(errno));
	*len = fread(text, 1, MACHINE_MAX, file);
	fclose(file);
	return text;
}

bool preload_is_vforked(void)
{
	return host && getpid() != owner;
}

static void before_fork(void)
{
	if (!preload_inside)
		pthread_rwlock_wrlock(&gate);
}

static void after_fork(void)
{
	if (!preload_inside)
		pthread_rwlock_unlock(&gate);
}

static void after_fork_in_child(void)
{
	pthread_rwlock_init(&gate, NULL);
	owner = getpid();
	fd_forked();
}

static void start(void)
{
	struct db_sys *sys;
	size_t len;
	char *text;

	trace_start();
	text = read_machine(&len);
	if (db_soft_host_create(text, len, &sys))
		stop("%s", db_error_message());
	free(text);
	host = (struct soft_host *)sys;
	host->watch_fd = fd_watch;
	owner = getpid();
	map_start(host);
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

struct soft_host *gate_enter(void)
{
	preload_inside++;
	pthread_once(&once, start);
	pthread_rwlock_rdlock(&gate);
	return host;
}

void gate_leave(void)
{
	pthread_rwlock_unlock(&gate);
	preload_inside--;
}
