/* SPDX-License-Identifier: BSD-2-Clause */
/* Does what a test should not do, so that emu/check can see what emu/run makes of it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

static int warn(void)
{
	static const char line[] = "<4>WARNING: said by a test\n";
	int fd = open("/dev/kmsg", O_WRONLY);

	return fd < 0 || write(fd, line, strlen(line)) < 0;
}

/* Every byte value, newlines and control characters among them. */
static int bytes(void)
{
	for (int i = 0; i < 256; i++)
		putchar(i);
	return fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (!strcmp(how, "exit"))
		return argc > 2 ? atoi(argv[2]) : 0;
	if (!strcmp(how, "crash"))
		raise(SIGSEGV);
	if (!strcmp(how, "stop"))
		reboot(RB_POWER_OFF);
	if (!strcmp(how, "warn"))
		return warn();
	if (!strcmp(how, "bytes"))
		return bytes();
	for (;;)	/* "hang" */
		pause();
}
