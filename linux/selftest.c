/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs Linux's own tests on the emulated host, one after the other:
 *
 *	selftest [BDF...] -- PROGRAM[,BDF...]...
 *
 * Binds the devices to vfio-pci, then runs each PROGRAM (a file in /bin) with the devices that stand
 * behind its name, and prints a line with its exit status. At the end the kernel is asked for leaks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KMEMLEAK "/sys/kernel/debug/kmemleak"
/* An object that is younger than 5 s is not looked at. */
#define KMEMLEAK_AGE 6

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static void bind_device(const char *bdf)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	ret = write_file(path, "vfio-pci");
	if (!ret)
		ret = write_file("/sys/bus/pci/drivers_probe", bdf);
	if (ret) {
		printf("== cannot bind %s: %s\n", bdf, strerror(-ret));
		exit(2);
	}
}

/* Return: the exit status, or 128 and the signal */
static int run(char *words)
{
	char path[128], *argv[16], *save = NULL;
	int n = 0, status;
	pid_t pid;

	for (char *w = strtok_r(words, ",", &save); w && n < 15; w = strtok_r(NULL, ",", &save))
		argv[n++] = w;
	argv[n] = NULL;
	snprintf(path, sizeof(path), "/bin/%s", argv[0]);
	pid = fork();
	if (!pid) {
		execv(path, argv);
		perror(path);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Return: the number of reports, which are printed, or -1 without kmemleak */
static int leaks(void)
{
	char line[512];
	int n = 0;
	FILE *f;

	/* Twice, since what is just being freed looks like a leak. */
	for (int i = 0; i < 2; i++) {
		sleep(KMEMLEAK_AGE);
		if (write_file(KMEMLEAK, "scan"))
			return -1;
	}
	f = fopen(KMEMLEAK, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		n += !strncmp(line, "unreferenced", 12);
		printf("# %s", line);
	}
	fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		bind_device(argv[i]);
	for (i++; i < argc; i++) {
		char *name = strdup(argv[i]);

		printf("== run %s\n", argv[i]);
		printf("== exit %s %d\n", argv[i], run(name));
		free(name);
	}
	printf("== leaks %d\n", leaks());
	return 0;
}
