/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "soft/machine.h"

#define FILE_MAX (16u << 20)

/* The NVMe devices of the built-in machine, as statements. */
static int builtin_nvmes(char **text, size_t *len)
{
	struct machine machine;
	char why[128];
	FILE *out;
	unsigned int i;
	int err;

	err = machine_parse(NULL, 0, &machine, why, sizeof(why));
	if (err)
		return err;
	out = open_memstream(text, len);
	for (i = 0; out && i < machine.n_devices; i++)
		if (machine.devices[i].kind == MACHINE_NVME)
			fprintf(out, "device %s nvme io-queues=%u\n", machine.devices[i].address,
				machine.devices[i].nvme.io_queues);
	machine_free(&machine);
	return !out || fclose(out) ? -ENOMEM : 0;
}

/*
 * "device ADDRESS nvme ..."? Words are as in docs/machine-file.md; what is wrong otherwise, the
 * parser will say.
 */
static bool is_nvme_line(const char *line, size_t len)
{
	char words[3][32] = { "", "", "" }, copy[128];

	snprintf(copy, sizeof(copy), "%.*s", (int)(len < sizeof(copy) ? len : sizeof(copy) - 1),
		 line);
	return sscanf(copy, "%31s %31s %31s", words[0], words[1], words[2]) == 3 &&
	       !strcmp(words[0], "device") && !strcmp(words[2], "nvme");
}

/* Where a line's comment starts, or its end; '#' within quotes is none. */
static size_t without_comment(const char *line, size_t len)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < len; i++) {
		if (line[i] == '"')
			quoted = !quoted;
		else if (line[i] == '#' && !quoted &&
			 (!i || line[i - 1] == ' ' || line[i - 1] == '\t'))
			return i;
	}
	return len;
}

/*
 * Adds disk= to every NVMe device: the last one of a line counts. Read-only, since the guest only
 * reads and the file is the user's.
 */
static int put_disk(struct cli_machine *machine, const char *disk)
{
	const char *at = machine->text, *end = at + machine->len;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	while (at < end) {
		const char *newline = memchr(at, '\n', end - at);
		size_t n = (newline ? newline : end) - at;

		if (is_nvme_line(at, n)) {
			fwrite(at, 1, without_comment(at, n), out);
			fprintf(out, " read-only disk=\"%s\"\n", disk);
		} else {
			fwrite(at, 1, n, out);
			fputc('\n', out);
		}
		at += n + (newline != NULL);
	}
	if (fclose(out)) {
		free(text);
		return -ENOMEM;
	}
	free(machine->text);
	machine->text = text;
	machine->len = len;
	return 0;
}

static bool has_nvme(const struct cli_machine *machine)
{
	struct machine parsed;
	bool found = false;
	char why[128];
	unsigned int i;

	if (machine_parse(machine->text, machine->len, &parsed, why, sizeof(why)))
		return true;	/* the host will say what is wrong with it */
	for (i = 0; i < parsed.n_devices; i++)
		found |= parsed.devices[i].kind == MACHINE_NVME;
	machine_free(&parsed);
	return found;
}

int cli_machine_load(struct cli_machine *machine, const char *file, const char *disk, char *why,
		     size_t size)
{
	char reason[512];
	int err = 0;

	*machine = (struct cli_machine){ 0 };
	if (file)
		err = cli_read_file(file, FILE_MAX, &machine->text, &machine->len);
	if (err) {
		cli_file_error(err, file, reason, sizeof(reason));
		snprintf(why, size, "--machine %s", reason);
		return err;
	}
	if (!disk)
		return 0;
	if (strpbrk(disk, "\"\n")) {
		snprintf(why, size,
			 "--disk: a file whose name has quotes or line ends cannot stand in a "
			 "machine description");
		return -EINVAL;
	}
	if (!machine->text)
		err = builtin_nvmes(&machine->text, &machine->len);
	if (!err)
		err = put_disk(machine, disk);
	if (err) {
		snprintf(why, size, "--disk %s: %s", disk, strerror(-err));
		return err;
	}
	if (!has_nvme(machine)) {
		snprintf(why, size, "--disk: the machine has no NVMe device that could serve it");
		return -ENODEV;
	}
	return 0;
}

void cli_machine_free(struct cli_machine *machine)
{
	free(machine->text);
	machine->text = NULL;
}

/* A disk without a file: its content follows from the seed. */
static int hash_seed(const struct nvme_config *nvme, uint64_t *bytes, char hex[SHA256_HEX])
{
	uint8_t chunk[4096];
	struct sha256 *sha = sha256_new();
	uint64_t at;

	if (!sha)
		return -ENOMEM;
	for (at = 0; at < nvme->size; at += sizeof(chunk)) {
		uint64_t left = nvme->size - at;

		nvme_content(nvme->seed, at, chunk, sizeof(chunk));
		sha256_add(sha, chunk, left < sizeof(chunk) ? left : sizeof(chunk));
	}
	*bytes = nvme->size;
	sha256_end(sha, hex);
	return 0;
}

int cli_machine_disk(const struct cli_machine *machine, const char *address, uint64_t *bytes,
		     char hex[SHA256_HEX])
{
	struct machine parsed;
	int err = -ENOENT;
	char why[128];
	unsigned int i;

	if (machine_parse(machine->text, machine->len, &parsed, why, sizeof(why)))
		return -EINVAL;
	for (i = 0; i < parsed.n_devices; i++) {
		const struct machine_device *d = &parsed.devices[i];

		if (strcmp(d->address, address) || d->kind != MACHINE_NVME)
			continue;
		err = d->nvme.disk ? sha256_file(d->nvme.disk, 512, bytes, hex)
				   : hash_seed(&d->nvme, bytes, hex);
		break;
	}
	machine_free(&parsed);
	return err;
}
