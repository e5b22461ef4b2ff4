/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "guest/disturb.h"

#define ALL (OPTIONS_RUN | OPTIONS_EXPLAIN | OPTIONS_PROBE)
#define PASS (OPTIONS_RUN | OPTIONS_EXPLAIN)
#define VECTORS_MAX 2048

static int bad(const char *name, const char *value, const char *wanted)
{
	fprintf(stderr, "doorbell: --%s %s: %s\n", name, value, wanted);
	return EXIT_USAGE;
}

/* A whole number, decimal or 0x...; nothing before or after it. */
static bool parse_number(const char *text, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 0);
	return !errno && !*end;
}

static int parse_host(struct options *o, const char *name, const char *value)
{
	o->linux_host = !strcmp(value, "linux");
	if (!o->linux_host && strcmp(value, "soft"))
		return bad(name, value,
			   "a host is \"soft\" (the software host, in this process) or \"linux\" "
			   "(the running kernel)");
	return 0;
}

static int parse_machine(struct options *o, const char *name, const char *value)
{
	(void)name;
	o->machine = value;
	return 0;
}

static int parse_device(struct options *o, const char *name, const char *value)
{
	unsigned int i;

	if (o->n_devices == VMM_DEVICES)
		return bad(name, value, "too many devices");
	for (i = 0; i < o->n_devices; i++)
		if (!strcmp(o->devices[i], value))
			return bad(name, value, "given twice");
	o->devices[o->n_devices++] = value;
	return 0;
}

static int parse_mode(struct options *o, const char *name, const char *value)
{
	if (db_mode_parse(value, &o->mode))
		return bad(name, value, "a mode is auto, native, stock or rmr");
	return 0;
}

static int parse_vectors(struct options *o, const char *name, const char *value)
{
	uint64_t n;

	if (!parse_number(value, &n) || !n || n > VECTORS_MAX)
		return bad(name, value, "a number from 1 to 2048 is wanted");
	o->vectors = n;
	return 0;
}

static int parse_disk(struct options *o, const char *name, const char *value)
{
	if (o->n_disks == VMM_DEVICES)
		return bad(name, value, "too many disks");
	o->disks[o->n_disks++] = value;
	return 0;
}

static int parse_vits(struct options *o, const char *name, const char *value)
{
	if (!parse_number(value, &o->vits) || o->vits % VMM_ITS_FRAME)
		return bad(name, value,
			   "the guest-physical address of an ITS is wanted: a multiple of 64 KiB, "
			   "such as 0x8080000");
	o->vits_given = true;
	return 0;
}

static int parse_ram(struct options *o, const char *name, const char *value)
{
	if (!parse_number(value, &o->ram_base) || !o->ram_base || o->ram_base % (2u << 20))
		return bad(name, value,
			   "a guest-physical address is wanted: a multiple of 2 MiB, such as "
			   "0x80000000");
	return 0;
}

static int parse_granule(struct options *o, const char *name, const char *value)
{
	static const struct {
		const char *name;
		unsigned int shift;
	} granules[] = { { "4k", 12 }, { "16k", 14 }, { "64k", 16 } };
	size_t i;

	for (i = 0; i < sizeof(granules) / sizeof(granules[0]); i++)
		if (!strcasecmp(value, granules[i].name)) {
			o->granule_shift = granules[i].shift;
			return 0;
		}
	return bad(name, value, "a granule of stage 1 is 4k, 16k or 64k");
}

/* The disturbances that @word, @len characters of it, stands for; 0: none. */
static unsigned int disturbances(const char *word, size_t len)
{
	unsigned int i;

	if (len == 3 && !strncmp(word, "all", len))
		return (1u << GUEST_DISTURB_COUNT) - 1;
	for (i = 0; i < GUEST_DISTURB_COUNT; i++)
		if (strlen(guest_disturbance_name(i)) == len &&
		    !strncmp(word, guest_disturbance_name(i), len))
			return 1u << i;
	return 0;
}

static int parse_disturb(struct options *o, const char *name, const char *value)
{
	unsigned int which, left_out = 0;
	const char *word = value;
	size_t len, minus;

	for (;; word += len + 1) {
		len = strcspn(word, ",");
		minus = *word == '-';
		which = disturbances(word + minus, len - minus);
		if (!which)
			return bad(name, value,
				   "all, or some of mask,remap,cd,abort,bypass,reset,fault, "
				   "separated by commas; -fault leaves one out");
		if (minus)
			left_out |= which;
		else
			o->disturb |= which;
		o->disturb_all |= which & (which - 1) && !minus;
		if (!word[len])
			break;
	}
	o->disturb &= ~left_out;
	return o->disturb ? 0 : bad(name, value, "nothing is left to be done");
}

static int parse_iova(struct options *o, const char *name, const char *value)
{
	if (!parse_number(value, &o->iova))
		return bad(name, value, "an address is wanted, such as 0xfffff040");
	o->iova_given = true;
	return 0;
}

static int parse_svg(struct options *o, const char *name, const char *value)
{
	(void)name;
	o->svg = value;
	return 0;
}

static int parse_iort(struct options *o, const char *name, const char *value)
{
	(void)name;
	o->iort = value;
	return 0;
}

static int parse_madt(struct options *o, const char *name, const char *value)
{
	(void)name;
	o->madt = value;
	return 0;
}

static int parse_case(struct options *o, const char *name, const char *value)
{
	(void)name;
	o->case_file = value;
	return 0;
}

static int set_json(struct options *o, const char *name, const char *value)
{
	(void)name;
	(void)value;
	o->json = true;
	return 0;
}

static int set_fall_through(struct options *o, const char *name, const char *value)
{
	(void)name;
	(void)value;
	o->fall_through = true;
	return 0;
}

static int set_one_vits(struct options *o, const char *name, const char *value)
{
	(void)name;
	(void)value;
	o->one_vits = true;
	return 0;
}

static int set_rebind(struct options *o, const char *name, const char *value)
{
	(void)name;
	(void)value;
	o->rebind = true;
	return 0;
}

static int set_write(struct options *o, const char *name, const char *value)
{
	(void)name;
	(void)value;
	o->write = true;
	return 0;
}

static int set_help(struct options *o, const char *name, const char *value)
{
	(void)name;
	(void)value;
	o->help = true;
	return 0;
}

static const struct option_def {
	const char *name, *argument;
	unsigned int commands;
	int (*parse)(struct options *o, const char *name, const char *value);
	const char *help;
	bool many;		/* more than one makes sense */
} defs[] = {
	{ "host", "soft|linux", ALL, parse_host,
	  "the software host (default), or the running kernel" },
	{ "machine", "FILE", ALL, parse_machine,
	  "description of the software host's machine (default: built in)" },
	{ "device", "ADDR", ALL, parse_device,
	  "PCI address, such as 0000:01:00.0; may be given several times", true },
	{ "rebind", NULL, ALL, set_rebind, "take a device away from the driver that uses it" },
	{ "mode", "MODE", PASS, parse_mode, "auto (default), native, stock or rmr" },
	{ "vectors", "N", PASS, parse_vectors,
	  "interrupt vectors to use (default: all of the device)" },
	{ "granule", "4k|16k|64k", PASS, parse_granule,
	  "granule of the guest's stage 1 (default: the smallest there is)" },
	{ "vits", "IPA", PASS, parse_vits, "where the guest's first ITS lies; others follow it" },
	{ "one-vits", NULL, PASS, set_one_vits,
	  "all devices behind one guest ITS, even if their real ones differ" },
	{ "ram", "IPA", PASS, parse_ram, "where the guest's RAM starts" },
	{ "fall-through", NULL, PASS, set_fall_through,
	  "native: the kernel reads the address back from the device's registers" },
	{ "disk", "FILE", PASS, parse_disk,
	  "the disk's content: served by the software host, compared on a real one", true },
	{ "disturb", "WHAT", OPTIONS_RUN, parse_disturb,
	  "disturb the I/O: all, or of mask,remap,cd,abort,bypass,reset,fault" },
	{ "iova", "ADDR", OPTIONS_EXPLAIN, parse_iova,
	  "address to translate (default: a write of the device's first MSI)" },
	{ "write", NULL, OPTIONS_EXPLAIN, set_write, "the access is a write" },
	{ "case", "FILE", OPTIONS_EXPLAIN, parse_case,
	  "explain the last access of a case file instead" },
	{ "svg", "FILE", OPTIONS_EXPLAIN, parse_svg, "draw the translation too" },
	{ "iort", "FILE", OPTIONS_PROBE, parse_iort,
	  "what a dump of another machine's IORT says, of all requesters or each --device" },
	{ "madt", "FILE", OPTIONS_PROBE, parse_madt, "... with its MADT: where its ITSes are" },
	{ "json", NULL, ALL, set_json, "machine-readable output" },
	{ "help", NULL, ALL, set_help, "this text" },
};

#define N_DEFS (sizeof(defs) / sizeof(defs[0]))

void options_help(enum options_command command)
{
	char left[40];
	size_t i;

	printf("Options:\n");
	for (i = 0; i < N_DEFS; i++) {
		if (!(defs[i].commands & command))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", defs[i].name, defs[i].argument ? " " : "",
			 defs[i].argument ? defs[i].argument : "");
		printf("  %-22s %s\n", left, defs[i].help);
	}
}

static int check_together(enum options_command command, const struct options *o)
{
	if (o->linux_host && o->machine) {
		fprintf(stderr, "doorbell: --machine describes the software host's machine: leave "
				"it out with --host linux\n");
		return EXIT_USAGE;
	}
	if (o->madt && !o->iort) {
		fprintf(stderr, "doorbell: --madt goes with --iort\n");
		return EXIT_USAGE;
	}
	if (o->iort && (o->linux_host || o->machine || o->rebind)) {
		fprintf(stderr, "doorbell: --iort is about a machine that is not at hand: leave out "
				"--host, --machine and --rebind\n");
		return EXIT_USAGE;
	}
	if (o->n_disks > 1 && !o->linux_host) {
		fprintf(stderr, "doorbell: on the software host --disk is for all NVMe "
				"controllers: give it once, or each its own in a machine file "
				"(disk=FILE)\n");
		return EXIT_USAGE;
	}
	if (o->n_disks > 1 && o->n_disks > o->n_devices) {
		fprintf(stderr, "doorbell: there are more --disk than --device: give one for each "
				"NVMe controller, in their order, or one for all\n");
		return EXIT_USAGE;
	}
	if (o->write && !o->iova_given) {
		fprintf(stderr, "doorbell: --write belongs to an address: give it with --iova\n");
		return EXIT_USAGE;
	}
	if (o->fall_through && o->mode != DB_MODE_AUTO && o->mode != DB_MODE_NATIVE) {
		fprintf(stderr, "doorbell: --fall-through is a form of mode native: leave it out, "
				"or use --mode native\n");
		return EXIT_USAGE;
	}
	if (command == OPTIONS_EXPLAIN && o->n_devices > 1) {
		fprintf(stderr,
			"doorbell: one translation is explained at a time: give one --device\n");
		return EXIT_USAGE;
	}
	return 0;
}

int options_parse(enum options_command command, int argc, char **argv, struct options *out)
{
	const char *given[N_DEFS] = { 0 };
	struct option longs[N_DEFS + 1] = { 0 };
	int which, c, err;
	size_t i, n = 0;

	*out = (struct options){
		.mode = DB_MODE_AUTO,
		.first_only = command == OPTIONS_EXPLAIN,
	};
	for (i = 0; i < N_DEFS; i++)
		if (defs[i].commands & command)
			longs[n++] = (struct option){
				.name = defs[i].name,
				.has_arg = defs[i].argument ? required_argument : no_argument,
				.val = i + 1,
			};
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, ":", longs, &which)) != -1) {
		const char *word = argv[optind - 1];

		if (c == ':') {
			fprintf(stderr,
				"doorbell: %s needs a value; `doorbell %s --help` lists the "
				"options\n",
				word, argv[0]);
			return EXIT_USAGE;
		}
		if (c == '?') {
			fprintf(stderr,
				"doorbell: %s: no such option of %s; `doorbell %s --help` lists "
				"them\n",
				word, argv[0], argv[0]);
			return EXIT_USAGE;
		}
		if (given[c - 1] && !defs[c - 1].many && strcmp(given[c - 1], optarg)) {
			fprintf(stderr, "doorbell: --%s is given twice: %s and %s\n",
				defs[c - 1].name, given[c - 1], optarg);
			return EXIT_USAGE;
		}
		given[c - 1] = optarg;
		err = defs[c - 1].parse(out, defs[c - 1].name, optarg);
		if (err)
			return err;
	}
	if (optind < argc) {
		fprintf(stderr,
			"doorbell: %s: options start with --; `doorbell %s --help` lists them\n",
			argv[optind], argv[0]);
		return EXIT_USAGE;
	}
	return out->help ? 0 : check_together(command, out);
}

int options_end(enum options_command command, int err, const struct options *options)
{
	static const char *const names[] = {
		[OPTIONS_RUN] = "run", [OPTIONS_EXPLAIN] = "explain", [OPTIONS_PROBE] = "probe",
	};

	if (err)
		return err;
	if (options->help) {
		command_help(names[command]);
		return 0;
	}
	fprintf(stderr, "doorbell: out of memory\n");
	if (options->json) {
		json_begin();
		json_print(json_pack("{s:o}", "error", json_error(-ENOMEM, "out of memory")));
	}
	return EXIT_FAILED;
}
