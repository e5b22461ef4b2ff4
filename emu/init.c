/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Process 1 of the emulated host: mounts what a test needs, runs the one program that is named in
 * /emu/argv (NUL-separated; NAME=VALUE words before its path are its environment), says how it
 * ended, and powers off.
 *
 * The machine has two serial ports. The first is the kernel's console, and our own words go there
 * by /dev/kmsg, so each is a whole line of the kernel log with a time stamp. The second is the
 * test's alone: its output comes out byte for byte, with no kernel line in the midst of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define TEST_PORT "/dev/ttyAMA1"
/* The firmware writes to both ports; what stands before this line is not the test's. */
#define START_OF_OUTPUT "\nemu-start-of-output\n"

static int kmsg_fd = -1;

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	char line[256] = "emu-init: ";
	const size_t used = strlen(line);
	va_list args;

	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	strcat(line, "\n");	/* without it the kernel holds the line back for a continuation */
	if (write(kmsg_fd, line, strlen(line)) < 0)
		return;		/* nowhere left to complain; the watcher notices the silence */
}

static void __attribute__((noreturn)) power_off(void)
{
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void __attribute__((noreturn)) fail(const char *what)
{
	say("error: %s: %s", what, strerror(errno));
	power_off();
}

static void mount_all(void)
{
	static const struct {
		const char *type, *where;
	} table[] = {
		{ "devtmpfs", "/dev" },	/* first: /dev/kmsg is in it */
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "debugfs", "/sys/kernel/debug" },
		{ "tmpfs", "/tmp" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		mkdir(table[i].where, 0755);
		if (mount(table[i].type, table[i].where, table[i].type, 0, NULL) && i)
			fail(table[i].where);
		if (kmsg_fd < 0)
			kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	}
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

/*
 * What the 82576's driver does for its virtual functions, beside turning them on: a vector for each
 * interrupt cause (its datasheet, §7.3.2.11). It is a register of the physical function alone.
 */
static void igb_multiple_msix(const char *device)
{
	const off_t gpie = 0x1514, page = gpie & ~0xfff;
	char path[96];
	void *regs;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
	if (fd < 0 || regs == MAP_FAILED)
		fail(path);
	*(volatile uint32_t *)((char *)regs + (gpie - page)) = 1u << 4 | 1u << 30 | 1u << 31;
	munmap(regs, 4096);
	close(fd);
}

/* The virtual functions of a device that the topology names (see machine.sh); an igb so far. */
static void make_vfs(const char *device, const char *number)
{
	char path[96];

	/* pci-pf-stub does not enable the device, and nobody else may once it is bound. */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", device);
	write_file(path, "1");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
	write_file(path, "pci-pf-stub");
	write_file("/sys/bus/pci/drivers_probe", device);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", device);
	write_file(path, number);
	igb_multiple_msix(device);
}

static int open_test_port(void)
{
	struct termios raw;
	int fd = open(TEST_PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &raw))
		fail(TEST_PORT);
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw))
		fail(TEST_PORT);
	return fd;
}

/* The words of /emu/argv as an argument vector, without the environment. It lives as long as the process. */
static char **read_argv(void)
{
	static char text[65536];
	static char *argv[1024];
	size_t argc = 0;
	int fd = open("/emu/argv", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (len <= 0)
		fail("/emu/argv");
	close(fd);
	for (char *p = text; p < text + len && argc < sizeof(argv) / sizeof(argv[0]) - 1;
	     p += strlen(p) + 1)
		argv[argc++] = p;

	char **program = argv;

	while (*program && **program != '/')
		putenv(*program++);
	if (!*program)
		fail("/emu/argv");
	return program;
}

static pid_t start(char **argv, int port)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid)
		return pid;

	int null = open("/dev/null", O_RDONLY);

	setsid();
	if (dup2(null, 0) < 0 || dup2(port, 1) < 0 || dup2(port, 2) < 0)
		_exit(127);
	execv(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Orphans of the test are ours to reap while we wait for it. */
static int wait_for(pid_t test)
{
	int status;
	pid_t pid;

	while ((pid = wait(&status)) != test)
		if (pid < 0 && errno != EINTR)
			fail("wait");
	return status;
}

int main(void)
{
	mount_all();

	setenv("PATH", "/bin", 1);

	char **argv = read_argv();
	int port = open_test_port();

	if (getenv("EMU_VFS") && getenv("EMU_NUM_VFS"))
		make_vfs(getenv("EMU_VFS"), getenv("EMU_NUM_VFS"));
	if (write(port, START_OF_OUTPUT, strlen(START_OF_OUTPUT)) < 0)
		fail(TEST_PORT);
	say("start %s", argv[0]);

	int status = wait_for(start(argv, port));

	kill(-1, SIGKILL);
	tcdrain(port);
	if (WIFSIGNALED(status))
		say("killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	say("exit %d", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	power_off();
}
