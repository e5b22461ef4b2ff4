/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/case.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"

#define MOST_MEMORY (256ull << 20)
#define MOST_WORDS 7
#define MOST_TEXT (64u << 20)

struct replay {
	uint64_t base, size;
	uint64_t *memory;
	struct smmu_config config;
	uint64_t strtab_base;
	uint32_t strtab_cfg;
	void *smmu_memory;
	struct smmu *smmu;	/* from the first command or access on */
	struct smmu_txn txn;	/* the last access */
	bool have_access;
	const char *path;
	unsigned int line;
	char *why;
	size_t why_size;
};

static int fail(struct replay *r, int code, const char *format, ...)
{
	va_list args;
	int used = snprintf(r->why, r->why_size, "%s:%u: ", r->path, r->line);

	if (used < 0 || (size_t)used >= r->why_size)
		return code;
	va_start(args, format);
	vsnprintf(r->why + used, r->why_size - used, format, args);
	va_end(args);
	return code;
}

static uint64_t *word_at(struct replay *r, uint64_t pa)
{
	if (pa < r->base || pa - r->base >= r->size || pa & 7)
		return NULL;
	return &r->memory[(pa - r->base) / 8];
}

static int memory_read(void *ctx, uint64_t pa, uint64_t *value)
{
	uint64_t *word = word_at(ctx, pa);

	if (!word)
		return -EFAULT;
	*value = *word;
	return 0;
}

static int memory_write(void *ctx, uint64_t pa, uint64_t value)
{
	uint64_t *word = word_at(ctx, pa);

	if (!word)
		return -EFAULT;
	*word = value;
	return 0;
}

static bool number(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return !errno && end != text && !*end;
}

static int numbers(struct replay *r, char **words, int count, uint64_t *values)
{
	for (int i = 0; i < count; i++)
		if (!number(words[i], &values[i]))
			return fail(r, -EINVAL, "\"%s\" is not a number", words[i]);
	return 0;
}

static int start_engine(struct replay *r)
{
	if (r->smmu)
		return 0;
	r->config.mem = (struct arm_mem){ memory_read, memory_write, r };
	r->smmu_memory = aligned_alloc(64, (smmu_footprint(&r->config) + 63) & ~63ull);
	if (!r->smmu_memory)
		return fail(r, -ENOMEM, "no memory for the SMMU");
	r->smmu = smmu_init(r->smmu_memory, &r->config);
	smmu_set_stream_table(r->smmu, r->strtab_base, r->strtab_cfg);
	return 0;
}

static int do_idr(struct replay *r, unsigned int n, char **words)
{
	uint64_t value;
	int ret = numbers(r, words, 1, &value);

	if (!ret)
		r->config.idr[n] = value;
	return ret;
}

static int do_strtab(struct replay *r, char **words)
{
	uint64_t v[2];
	int ret = numbers(r, words, 2, v);

	if (ret)
		return ret;
	r->strtab_base = v[0];
	r->strtab_cfg = v[1];
	return 0;
}

static int do_memory(struct replay *r, char **words)
{
	uint64_t v[2];
	int ret = numbers(r, words, 2, v);

	if (ret)
		return ret;
	if (r->memory || v[1] > MOST_MEMORY || v[0] + v[1] < v[0] || (v[0] | v[1]) & 7)
		return fail(r, -EINVAL, "one memory of at most %llu MiB, aligned to 8",
			    MOST_MEMORY >> 20);
	r->memory = calloc(1, v[1] ? v[1] : 8);
	if (!r->memory)
		return fail(r, -ENOMEM, "no memory for the case");
	r->base = v[0];
	r->size = v[1];
	return 0;
}

static int do_store(struct replay *r, char **words)
{
	uint64_t v[2];
	int ret = numbers(r, words, 2, v);

	if (ret)
		return ret;
	return memory_write(r, v[0], v[1])
		       ? fail(r, -EINVAL, "%s is not a dword of the memory", words[0])
		       : 0;
}

static int do_command(struct replay *r, char **words)
{
	uint64_t v[2];
	int ret = numbers(r, words, 2, v);

	ret = ret ? ret : start_engine(r);
	/* A command that the engine refuses is part of the case. */
	if (!ret)
		smmu_command(r->smmu, v);
	return ret;
}

static int do_access(struct replay *r, char **words)
{
	struct smmu_result ignored;
	uint64_t sid, ssid = 0, addr;
	bool with_ssid = strcmp(words[1], "-");
	int ret = start_engine(r);

	if (ret)
		return ret;
	if (!number(words[0], &sid) || (with_ssid && !number(words[1], &ssid)) ||
	    !number(words[2], &addr))
		return fail(r, -EINVAL,
			    "access takes: SID SSID|- ADDR read|write|fetch "
			    "privileged|unprivileged");
	/* Earlier accesses fill the caches. */
	if (r->have_access)
		smmu_translate(r->smmu, &r->txn, &ignored);
	r->txn = (struct smmu_txn){
		.sid = sid,
		.ssid = ssid,
		.ssid_valid = with_ssid,
		.addr = addr,
		.access = !strcmp(words[3], "write") ? SMMU_WRITE : SMMU_READ,
		.instruction = !strcmp(words[3], "fetch"),
		.privileged = !strcmp(words[4], "privileged"),
	};
	r->have_access = true;
	return 0;
}

static int do_line(struct replay *r, char **words, int count)
{
	static const struct {
		const char *name;
		int arguments;
		int (*run)(struct replay *r, char **words);
	} verbs[] = {
		{ "strtab", 2, do_strtab }, { "memory", 2, do_memory },	  { "store", 2, do_store },
		{ "command", 2, do_command }, { "access", 5, do_access },
	};

	if (!strncmp(words[0], "idr", 3) && words[0][3] >= '0' && words[0][3] <= '5' &&
	    !words[0][4] && count == 2)
		return do_idr(r, words[0][3] - '0', words + 1);
	for (unsigned int i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(words[0], verbs[i].name))
			continue;
		if (count != verbs[i].arguments + 1)
			return fail(r, -EINVAL, "\"%s\" takes %d arguments", words[0],
				    verbs[i].arguments);
		return verbs[i].run(r, words + 1);
	}
	return fail(r, -EINVAL, "\"%s\" is not an operation of a case file", words[0]);
}

static int read_case(struct replay *r, FILE *f)
{
	char line[512];
	int ret = 0;

	while (!ret && fgets(line, sizeof(line), f)) {
		char *words[MOST_WORDS], *save, *word;
		int count = 0;

		r->line++;
		line[strcspn(line, "#\n")] = 0;
		for (word = strtok_r(line, " \t", &save); word && count < MOST_WORDS;
		     word = strtok_r(NULL, " \t", &save))
			words[count++] = word;
		if (count)
			ret = do_line(r, words, count);
	}
	if (!ret && !r->have_access)
		ret = fail(r, -EINVAL, "no access to explain");
	return ret;
}

int case_replay(const char *path, const struct smmu_tracer *tracer, struct smmu_txn *txn,
		struct smmu_result *res, char *why, size_t size)
{
	struct replay r = { .path = path, .why = why, .why_size = size };
	char *text;
	size_t len;
	FILE *f;
	int ret;

	ret = cli_read_file(path, MOST_TEXT, &text, &len);
	if (ret)
		return cli_file_error(ret, path, why, size);
	f = fmemopen(text, len, "r");
	if (!f)
		ret = fail(&r, len ? -ENOMEM : -EINVAL, len ? "out of memory" : "it is empty");
	else
		ret = read_case(&r, f);
	if (f)
		fclose(f);
	free(text);
	if (!ret) {
		r.txn.tracer = tracer;
		ret = smmu_translate(r.smmu, &r.txn, res);
		*txn = r.txn;
	}
	free(r.smmu_memory);
	free(r.memory);
	return ret;
}
