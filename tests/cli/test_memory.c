/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that runs out: each of the first allocations of run, explain and probe fails in turn. The
 * command then fails too, or does without; it never ends with 0 and a part of its output, and its
 * JSON is valid, with an error in it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/commands.h"

/* The command's own allocations, and those of all that is linked to it, on this thread. */
static _Thread_local unsigned int fail_at;	/* the n-th one from here; 0: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool fails(void)
{
	return fail_at && !--fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

/* Of main.c, which is not here. */
void command_help(const char *name)
{
	(void)name;
}

static char machine[] = "/tmp/doorbell-memory-XXXXXX";

static json_t *run(int (*command)(int argc, char **argv), const char *name, unsigned int nth,
		   int *status, bool *failed, json_error_t *error)
{
	char *argv[] = { (char *)name, (char *)"--json", (char *)"--machine", machine, NULL };
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	int nowhere = open("/dev/null", O_WRONLY);
	FILE *file = tmpfile();
	json_t *report;

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	dup2(nowhere, STDERR_FILENO);
	fail_at = nth;
	*status = command(4, argv);
	*failed = !fail_at;
	fail_at = 0;
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	close(nowhere);
	rewind(file);
	report = json_loadf(file, 0, error);
	fclose(file);
	return report;
}

static void check_command(int (*command)(int argc, char **argv), const char *name)
{
	unsigned int nth, most = 400;
	json_t *report, *devices;
	json_error_t error;
	bool failed = true;
	int status;

	for (nth = 1; failed && nth < most; nth++) {
		report = run(command, name, nth, &status, &failed, &error);
		if (!report)
			fail_msg("%s, allocation %u: no JSON: %s", name, nth, error.text);
		devices = json_object_get(report, "devices");
		if (status) {
			assert_int_equal(status, 1);
			if (!json_object_get(report, "error") &&
			    !json_object_get(json_array_get(devices, 0), "error"))
				fail_msg("%s, allocation %u: no error in the JSON", name, nth);
		} else if (devices) {
			assert_int_equal(json_array_size(devices), 1);
		}
		json_decref(report);
	}
	assert_true(nth > 20);
}

static void run_command(void **state)
{
	(void)state;
	check_command(command_run, "run");
}

static void explain_command(void **state)
{
	(void)state;
	check_command(command_explain, "explain");
}

static void probe_command(void **state)
{
	(void)state;
	check_command(command_probe, "probe");
}

static int setup(void **state)
{
	static const char text[] = "device 0000:01:00.0 bell vectors=2\n";
	int fd = mkstemp(machine);

	(void)state;
	return fd < 0 || write(fd, text, sizeof(text) - 1) < 0 || close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_command),
		cmocka_unit_test(explain_command),
		cmocka_unit_test(probe_command),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
