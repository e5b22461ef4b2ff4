/* SPDX-License-Identifier: BSD-2-Clause */
/* doorbell vm: a Linux guest on KVM with its devices passed through. */
#include "cli/vm.h"

#include <stdio.h>

#include "cli/options.h"

#ifndef DOORBELL_VM

int command_vm(int argc, char **argv)
{
	(void)argc, (void)argv;
	fprintf(stderr, "doorbell vm: its guests are arm64 Linux, which KVM runs on an Arm machine "
			"only; `make vm` emulates one\n");
	return EXIT_FAILED;
}

#else

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/json.h"
#include "cli/machine.h"
#include "vmm/vmm.h"

static const char help_text[] =
	"Usage: doorbell vm --kernel IMAGE --device ADDR [OPTION]...\n"
	"\n"
	"Boots an arm64 Linux guest on KVM, with a device tree, a virtual SMMUv3 whose stage 1\n"
	"the guest owns, a virtual ITS, and the devices passed through: their MSIs go to the\n"
	"addresses that the guest's own kernel chose, and there is no RMR. Exit status 0 when\n"
	"the guest powered itself off.\n"
	"\n"
	"  --kernel IMAGE      an arm64 Image, as Debian's vmlinuz is\n"
	"  --initrd FILE       its initramfs\n"
	"  --append WORDS      more of its command line\n"
	"  --device ADDR       pass this function through (again and again)\n"
	"  --rebind            take it away from the host's driver, and give it back at the end\n"
	"  --mode M            auto, native or stock\n"
	"  --cpus N            1 to 8 (default: 1)\n"
	"  --ram SIZE          MiB, even (default: 512)\n"
	"  --host soft|linux   the software host, in this process, or the running kernel\n"
	"                      (default: linux)\n"
	"  --machine FILE      the software host's machine\n"
	"  --trap-bars         do not map BARs into the guest\n"
	"  --json              the result as JSON on standard output, the console on standard\n"
	"                      error\n"
	"\n"
	"The guest's console is this terminal; Ctrl-A x ends the guest.\n";

struct vm_command {
	struct vm_options options;
	struct cli_machine machine;
	const char *machine_file;
	bool soft, json, help;
	json_t *vectors;
	unsigned int n_vectors, n_wrong;
};

static struct vm *the_vm;		/* for the signal handler */

static void stop(int signal)
{
	(void)signal;
	if (the_vm)
		vm_stop(the_vm);
}

/* --- options --- */

static int bad(const char *name, const char *value, const char *wanted)
{
	fprintf(stderr, "doorbell vm: --%s %s: %s\n", name, value, wanted);
	return EXIT_USAGE;
}

static bool number(const char *text, unsigned long from, unsigned long to, unsigned long *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoul(text, &end, 0);
	return !errno && !*end && *out >= from && *out <= to;
}

static int add_device(struct vm_command *command, const char *address)
{
	struct vm_options *o = &command->options;

	if (o->n_devices == VM_DEVICES)
		return bad("device", address, "8 devices at the most");
	o->devices[o->n_devices++] = address;
	return 0;
}

enum {
	KERNEL = 1, INITRD, APPEND, DEVICE, REBIND, MODE, CPUS, RAM, HOST, MACHINE, TRAP_BARS, JSON,
	HELP,
};

static const struct option long_options[] = {
	{ "kernel", required_argument, NULL, KERNEL },
	{ "initrd", required_argument, NULL, INITRD },
	{ "append", required_argument, NULL, APPEND },
	{ "device", required_argument, NULL, DEVICE },
	{ "rebind", no_argument, NULL, REBIND },
	{ "mode", required_argument, NULL, MODE },
	{ "cpus", required_argument, NULL, CPUS },
	{ "ram", required_argument, NULL, RAM },
	{ "host", required_argument, NULL, HOST },
	{ "machine", required_argument, NULL, MACHINE },
	{ "trap-bars", no_argument, NULL, TRAP_BARS },
	{ "json", no_argument, NULL, JSON },
	{ "help", no_argument, NULL, HELP },
	{ 0 },
};

static int take_option(struct vm_command *command, int option)
{
	struct vm_options *o = &command->options;
	unsigned long value;

	switch (option) {
	case KERNEL:
		o->kernel = optarg;
		return 0;
	case INITRD:
		o->initrd = optarg;
		return 0;
	case APPEND:
		o->append = optarg;
		return 0;
	case DEVICE:
		return add_device(command, optarg);
	case REBIND:
		o->rebind = true;
		return 0;
	case MODE:
		return db_mode_parse(optarg, &o->mode) < 0 ?
			       bad("mode", optarg, "a mode is auto, native or stock") : 0;
	case CPUS:
		if (!number(optarg, 1, VM_CPUS, &value))
			return bad("cpus", optarg, "a number from 1 to 8 is wanted");
		o->cpus = value;
		return 0;
	case RAM:
		if (!number(optarg, 128, 1 << 20, &value) || value % 2)
			return bad("ram", optarg, "an even number of MiB, 128 or more, is wanted");
		o->ram = (uint64_t)value << 20;
		return 0;
	case HOST:
		command->soft = !strcmp(optarg, "soft");
		return !command->soft && strcmp(optarg, "linux") ?
			       bad("host", optarg, "a host is \"soft\" or \"linux\"") : 0;
	case MACHINE:
		command->machine_file = optarg;
		return 0;
	case TRAP_BARS:
		o->map_bars = false;
		return 0;
	case JSON:
		command->json = true;
		return 0;
	case HELP:
		command->help = true;
		return 0;
	}
	return EXIT_USAGE;
}

static int parse(struct vm_command *command, int argc, char **argv)
{
	int option, ret = 0;

	while (!ret && (option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		ret = take_option(command, option);
	if (ret || command->help)
		return ret;
	if (optind < argc) {
		fprintf(stderr, "doorbell vm: %s: not an option; --append has words for the guest\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	if (!command->options.kernel || !command->options.n_devices) {
		fprintf(stderr, "doorbell vm: --kernel and --device are needed; "
				"`doorbell vm --help` tells more\n");
		return EXIT_USAGE;
	}
	if (command->machine_file && !command->soft)
		return bad("machine", command->machine_file, "only with --host soft");
	return 0;
}

/* --- what the guest says and has --- */

static void console(void *ctx, const char *data, size_t len)
{
	struct vm_command *command = ctx;

	fwrite(data, 1, len, command->json ? stderr : stdout);
	if (data[len - 1] == '\n')
		fflush(command->json ? stderr : stdout);
}

static void vector(void *ctx, const char *device, unsigned int index, uint64_t giova, bool shown,
		   uint64_t address, uint32_t data)
{
	struct vm_command *command = ctx;

	command->n_vectors++;
	command->n_wrong += shown && address != giova;
	if (command->json) {
		json_array_append_new(command->vectors,
				      json_pack("{s:o, s:i, s:o, s:o, s:i}", "device",
						json_text(device), "index", index, "guest",
						json_hex(giova), "address",
						shown ? json_hex(address) : json_null(), "data_host",
						(int)data));
		return;
	}
	if (shown)
		fprintf(stderr, "  msi     %s: vector %u: guest wrote 0x%llx; in the device: "
			"0x%llx data 0x%x\r\n", device, index, (unsigned long long)giova,
			(unsigned long long)address, data);
	else
		fprintf(stderr, "  msi     %s: vector %u: guest wrote 0x%llx\r\n", device, index,
			(unsigned long long)giova);
}

/* --- the terminal --- */

static struct termios cooked;
static bool raw;

static void make_raw(void)
{
	struct termios settings;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &cooked))
		return;
	settings = cooked;
	cfmakeraw(&settings);
	settings.c_oflag |= OPOST;
	raw = !tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

static void make_cooked(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

/* --- running --- */

static int show(struct vm_command *command, const struct vm_report *report, const char *why)
{
	static const char *const ends[] = {
		[VM_OFF] = "powered off", [VM_RESET] = "asked for a reset", [VM_STOPPED] = "stopped",
		[VM_REQUESTED] = "ended for the host", [VM_BROKEN] = "broken",
	};
	bool pass = report->end == VM_OFF && !command->n_wrong;

	if (command->json) {
		json_t *root = json_pack("{s:b, s:s, s:s, s:o, s:{s:I, s:I, s:I, s:I, s:I}, s:I, s:I, s:I}",
					 "pass", pass, "end", ends[report->end], "error", why,
					 "msi", json_incref(command->vectors), "exits", "uart",
					 (json_int_t)report->exits_uart, "smmu",
					 (json_int_t)report->exits_smmu, "config",
					 (json_int_t)report->exits_config, "bar",
					 (json_int_t)report->exits_bar, "none",
					 (json_int_t)report->exits_none, "gsi_routings",
					 (json_int_t)report->routings, "irqfds",
					 (json_int_t)report->irqfds, "ram_ns",
					 (json_int_t)report->ram_ns);

		if (json_print(root))
			return EXIT_FAILED;
	} else {
		fprintf(stderr, "%s: guest %s; %u vectors under the guest's own addresses, %u not; "
			"exits: console %llu, SMMU %llu, config %llu, BARs %llu%s%s\n",
			pass ? "PASS" : "FAIL", ends[report->end],
			command->n_vectors - command->n_wrong, command->n_wrong,
			(unsigned long long)report->exits_uart,
			(unsigned long long)report->exits_smmu,
			(unsigned long long)report->exits_config,
			(unsigned long long)report->exits_bar, *why ? ": " : "", why);
	}
	return pass ? 0 : EXIT_FAILED;
}

static int run(struct vm_command *command)
{
	struct vm_report report;
	char why[VM_WHY];
	int ret = vm_create(&command->options, &the_vm, why);

	if (!ret) {
		signal(SIGINT, stop);
		signal(SIGTERM, stop);
		signal(SIGHUP, stop);
		make_raw();
		ret = vm_run(the_vm, &report, why);
		make_cooked();
		vm_destroy(the_vm);
		the_vm = NULL;
	}
	if (ret) {
		fprintf(stderr, "doorbell vm: %s\n", why);
		if (command->json)
			json_print(json_pack("{s:b, s:o}", "pass", 0, "error",
					     json_error(ret, why)));
		return EXIT_FAILED;
	}
	return show(command, &report, why);
}

static int make_host(struct vm_command *command)
{
	char why[VM_WHY];
	int ret;

	command->options.sys = db_sys_linux();
	if (!command->soft)
		return 0;
	/* Its BARs are no memory that a guest could be given. */
	command->options.map_bars = false;
	ret = cli_machine_load(&command->machine, command->machine_file, NULL, why, sizeof(why));
	if (ret) {
		fprintf(stderr, "doorbell vm: %s\n", why);
		return EXIT_FAILED;
	}
	ret = db_soft_host_create(command->machine.text, command->machine.len,
				  &command->options.sys);
	if (ret < 0) {
		fprintf(stderr, "doorbell vm: %s\n", db_error_message());
		return EXIT_FAILED;
	}
	return 0;
}

int command_vm(int argc, char **argv)
{
	struct vm_command command = {
		.options = {
			.cpus = 1,
			.ram = 512ull << 20,
			.map_bars = true,
			.stdin_fd = STDIN_FILENO,
			.console = console,
			.vector = vector,
		},
	};
	int ret = parse(&command, argc, argv);

	command.options.ctx = &command;
	if (ret)
		return ret;
	if (command.help) {
		fputs(help_text, stdout);
		return 0;
	}
	json_begin();
	command.vectors = json_array();
	ret = make_host(&command);
	if (!ret)
		ret = run(&command);
	json_decref(command.vectors);
	if (command.soft && command.options.sys && command.options.sys != db_sys_linux())
		command.options.sys->ops->release(command.options.sys);
	cli_machine_free(&command.machine);
	return ret;
}

#endif
