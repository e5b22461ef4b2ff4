/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stops our command in the middle of its I/O, as a person or a service manager does:
 *
 *     stop SIGNAL ADDRESS PROGRAM ARGUMENTS...
 *
 * ADDRESS must then have the driver again that it had before, and PROGRAM's status be 128 + SIGNAL.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *driver_of(const char *address, char *buf, size_t size)
{
	char path[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	n = readlink(path, buf, size - 1);
	buf[n < 0 ? 0 : n] = 0;
	return buf;
}

/* Shows what it says, and sends the signal when its I/O is under way. */
static int watch(int output, pid_t pid, int number)
{
	char line[1024];
	FILE *file = fdopen(output, "r");
	int status = 0;

	while (file && fgets(line, sizeof(line), file)) {
		fputs(line, stdout);
		if (number && strstr(line, "% of ")) {
			kill(pid, number);
			number = 0;
		}
	}
	if (number)
		fprintf(stderr, "stop: it was over before the signal\n");
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(int argc, char **argv)
{
	char before[256], after[256];
	int pipes[2], number, status;
	pid_t pid;

	if (argc < 4 || pipe(pipes))
		return 2;
	number = atoi(argv[1]);
	driver_of(argv[2], before, sizeof(before));
	pid = fork();
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	close(pipes[1]);
	status = watch(pipes[0], pid, number);
	driver_of(argv[2], after, sizeof(after));
	printf("stopped: status %d, driver %s\n", status, strcmp(before, after) ? "another" : "as before");
	return status != 128 + number || strcmp(before, after);
}
