/* SPDX-License-Identifier: BSD-2-Clause */
/* The doorbell command. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/vm.h"

static const struct command {
	const char *name;
	enum options_command options;
	int (*run)(int argc, char **argv);
	const char *summary;
	const char *text;
} commands[] = {
	{ "run", OPTIONS_RUN, command_run, "pass devices through and do real I/O with them",
	  "Passes PCI devices through to an in-process guest behind nested translation. The\n"
	  "guest owns stage 1, chooses the address of its MSIs itself, reads whole disks by\n"
	  "DMA and counts every interrupt. Exit status 0 only when every byte was verified and\n"
	  "every interrupt arrived exactly once, on the right vector.\n"
	  "\n"
	  "Without --device: the built-in machine's NVMe controller; with --machine, all\n"
	  "devices of it that no other driver uses; with --host linux, all devices bound to\n"
	  "vfio-pci.\n" },
	{ "explain", OPTIONS_EXPLAIN, command_explain, "show one translation, step by step",
	  "Boots the guest as `run` does and shows how one address of the device is\n"
	  "translated: stream table entry, context descriptor, each descriptor of both stages,\n"
	  "and the physical address or the event record at the end.\n" },
	{ "probe", OPTIONS_PROBE, command_probe,
	  "say what this host can do, and what it cannot and why",
	  "For each device: which modes are possible; for each that is not, the reason and\n"
	  "what would mend it; the SMMU, the MSI window, reserved regions, interrupt vectors.\n"
	  "Changes nothing that lasts.\n" },
	{ "host", 0, command_host,
	  "run a program that was written for VFIO or iommufd on the software host",
	  "doorbell host [--machine FILE] [--trace] [--count] -- PROGRAM [ARGUMENT]...\n"
	  "\n"
	  "Runs an unmodified program that uses /dev/iommu and /dev/vfio on the software host,\n"
	  "which stands in the program itself: no hardware, no privilege. The exit status is\n"
	  "the program's. What cannot be done is refused with a sentence.\n"
	  "\n"
	  "Options:\n"
	  "  --machine FILE         description of the machine (default: built in)\n"
	  "  --trace                show each call, its arguments in words\n"
	  "  --count                at the end, how often what was called\n"
	  "  --help                 this text\n" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

void command_help(const char *name)
{
	const struct command *command = find_command(name);

	printf("Usage: doorbell %s [OPTION]...\n\n%s\n", name, command->text);
	if (command->options)
		options_help(command->options);
}

static void help(void)
{
	size_t i;

	printf("Usage: doorbell COMMAND [OPTION]...\n\n"
	       "MSI passthrough for PCI devices behind nested SMMUv3 translation.\n\nCommands:\n");
	for (i = 0; i < N_COMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	printf("  %-8s %s\n", "vm", "boot a Linux guest on KVM with devices passed through (arm64)");
	printf("  %-8s %s\n", "bench", "measure against named limits, in the same run");
	printf("\n`doorbell COMMAND --help` tells more about one; doorbell(1) is the manual.\n");
}

/*
 * A descriptor that the shell closed would be taken by the next file that is opened, and what is
 * meant for a person would go there. Writing to the stand-in for stdout fails, as it should.
 */
static void keep_standard_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

/* What was not written is not there: whatever came of the command, its user did not get it all. */
static int check_output(int status)
{
	bool failed = ferror(stdout);

	if (fflush(stdout))
		fprintf(stderr, "doorbell: standard output: %s\n", strerror(errno));
	else if (failed)
		fprintf(stderr, "doorbell: standard output: it could not all be written\n");
	else
		return status;
	return status ? status : EXIT_FAILED;
}

/* It is a program of its own, beside this one: it counts allocations, which a command should not. */
static int run_bench(char **argv)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof("-bench"));

	if (len > 0) {
		strcpy(path + len, "-bench");
		argv[0] = path;
		execv(path, argv);
	}
	fprintf(stderr, "doorbell bench: cannot run doorbell-bench from where doorbell is: %s; "
			"it is not installed, `make` builds it\n", strerror(errno));
	return EXIT_FAILED;
}

static int run_command(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		fprintf(stderr, "doorbell: which command? `doorbell --help` lists them; "
				"`doorbell run` is a good start\n");
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		if (argc > 2 && find_command(argv[2]))
			command_help(argv[2]);
		else
			help();
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("doorbell %s\n", DOORBELL_VERSION);
		return 0;
	}
	if (!strcmp(argv[1], "bench"))
		return run_bench(argv + 1);
	if (!strcmp(argv[1], "vm"))
		return command_vm(argc - 1, argv + 1);
	command = find_command(argv[1]);
	if (!command) {
		fprintf(stderr, "doorbell: %s: no such command; `doorbell --help` lists them\n",
			argv[1]);
		return EXIT_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	keep_standard_streams();
	/* A reader that goes away is an error of writing, not the end before devices are back. */
	signal(SIGPIPE, SIG_IGN);
	return check_output(run_command(argc, argv));
}
