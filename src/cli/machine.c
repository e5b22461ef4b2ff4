/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "soft/machine.h"
#include "soft/machine_lex.h"

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

static bool is_own(const struct word *word)
{
	static const char *const options[] = { "disk", "size", "seed", "read-only" };
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (slice_is(word->key, options[i]))
			return true;
	return false;
}

/* A line as it is; of an NVMe device with this disk in place of its own. */
static int copy_line(struct machine_lex *lex, const char *disk, FILE *out)
{
	const char *line = lex->p;
	struct word word = { 0 };
	bool nvme = true;
	unsigned int n;
	int ret;

	for (n = 0; (ret = lex_word(lex, &word)) > 0; n++) {
		nvme &= (n || slice_is(word.key, "device")) && (n != 2 || slice_is(word.key, "nvme"));
		if (n < 3 || !nvme || !is_own(&word))
			fprintf(out, "%.*s ", (int)(lex->p - word.key.p), word.key.p);
	}
	/* What is wrong with a line, the host will say of the line itself. */
	if (ret < 0)
		fprintf(out, "%.*s", (int)(lex->line_end - line), line);
	else if (nvme && n > 2)
		fprintf(out, "read-only disk=\"%s\"", disk);
	fputc('\n', out);
	return ret;
}

/*
 * Every NVMe device serves the file @disk. Read-only, since the guest only reads and the file is
 * the user's.
 */
static int put_disk(struct cli_machine *machine, const char *disk)
{
	struct machine_lex lex = { .p = machine->text, .end = machine->text + machine->len };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	while (lex_line(&lex) && copy_line(&lex, disk, out) >= 0)
		;
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
	char reason[512], *path;
	int err = 0;

	*machine = (struct cli_machine){ 0 };
	if (file)
		err = cli_read_file(file, FILE_MAX, &machine->text, &machine->len);
	if (!err && file && machine->len >= 3 && !memcmp(machine->text, "\xef\xbb\xbf", 3))
		memmove(machine->text, machine->text + 3, machine->len -= 3);
	if (err) {
		cli_file_error(err, file, reason, sizeof(reason));
		snprintf(why, size, "--machine %s", reason);
		return err;
	}
	if (file && strchr(file, '/')) {
		machine->directory = strndup(file, strrchr(file, '/') - file + 1);
		if (!machine->directory) {
			snprintf(why, size, "out of memory");
			return -ENOMEM;
		}
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
	/* The user's file, named from where the user is. */
	path = err ? NULL : realpath(disk, NULL);
	if (!err && !path)
		err = -errno;
	if (!err)
		err = put_disk(machine, path);
	free(path);
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

int cli_machine_host(const struct cli_machine *machine, struct db_sys **out)
{
	return db_soft_host_create_in(machine->directory, machine->text, machine->len, out);
}

void cli_machine_free(struct cli_machine *machine)
{
	free(machine->text);
	free(machine->directory);
	*machine = (struct cli_machine){ 0 };
}

/* As the host will see it. */
static int parse(const struct cli_machine *machine, struct machine *out)
{
	char why[128];
	int err = machine_parse(machine->text, machine->len, out, why, sizeof(why));

	if (err || !machine->directory)
		return err;
	err = machine_resolve(out, machine->directory);
	if (err)
		machine_free(out);
	return err;
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
	int err = parse(machine, &parsed);
	unsigned int i;

	if (err)
		return err;
	err = -ENOENT;
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
