/* SPDX-License-Identifier: BSD-2-Clause */
#include "subjects.h"

#include <doorbell/doorbell.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_RUNS 7
#define MOST_RUNS 101

static const struct bench *const subjects[] = { bench_arm,   bench_vsmmu, bench_msi,  bench_vmsix, bench_vpci,
						 bench_memory, bench_space, bench_fleet };

struct outcome {
	double median, spread, limit, ratio;
};

struct options {
	bool json, growth;
	unsigned int runs;
	char **names;
	int n_names;
};

/* The ratio is taken in each run and then its median, so that a machine that changes speed between runs does not matter. */
static int measure(const struct bench *b, unsigned int runs, struct outcome *out)
{
	double value[MOST_RUNS], limit[MOST_RUNS], ratio[MOST_RUNS];
	struct bench_sample sample;
	void *state = NULL;
	int ret = b->setup ? b->setup(&state) : 0;

	if (ret)
		return ret;
	/* One run to warm up, not counted. */
	ret = b->run(state, &sample);
	for (unsigned int i = 0; i < runs && !ret; i++) {
		ret = b->run(state, &sample);
		value[i] = sample.value;
		limit[i] = sample.limit;
		ratio[i] = sample.limit > 0 ? sample.value / sample.limit : 0;
	}
	if (b->teardown)
		b->teardown(state);
	if (ret)
		return ret;
	out->median = bench_median(value, runs);
	out->spread = value[runs - 1] - value[0];
	out->limit = bench_median(limit, runs);
	out->ratio = bench_median(ratio, runs);
	return 0;
}

static bool wanted(const struct options *options, const struct bench *b)
{
	for (int i = 0; i < options->n_names; i++)
		if (!strcmp(options->names[i], b->name))
			return true;
	return options->n_names == 0;
}

static const char *verdict(const struct bench *b, const struct outcome *o)
{
	if (!b->target_ratio)
		return "";
	return o->ratio <= b->target_ratio ? "ok" : "MISSED";
}

static void print_row(const struct bench *b, const struct outcome *o)
{
	char target[16] = "-";

	if (b->target_ratio)
		snprintf(target, sizeof(target), "%.2f", b->target_ratio);
	printf("%-22s %12.2f %-10s +-%4.0f%%  %12.2f  %7.2f %7s  %-6s %s\n", b->name, o->median, b->unit,
	       o->median ? 50 * o->spread / o->median : 0, o->limit, o->ratio, target, verdict(b, o), b->limit_name);
	fflush(stdout);
}

static json_t *json_row(const struct bench *b, const struct outcome *o)
{
	return json_pack("{s:s, s:s, s:f, s:f, s:s, s:f, s:f, s:f}", "name", b->name, "unit", b->unit, "median", o->median,
			 "spread", o->spread, "limit_name", b->limit_name, "limit", o->limit, "ratio", o->ratio,
			 "target_ratio", b->target_ratio);
}

static int run_all(const struct options *options)
{
	json_t *rows = json_array();
	int status = 0;

	if (!options->json)
		printf("%-22s %12s %-10s %7s  %12s  %7s %7s  %-6s %s\n", "bench", "median", "unit", "spread", "limit", "ratio", "target",
		       "", "limit is");
	for (unsigned int s = 0; s < sizeof(subjects) / sizeof(*subjects); s++) {
		for (const struct bench *b = subjects[s]; b->name; b++) {
			struct outcome o;
			int ret;

			if (!wanted(options, b))
				continue;
			if (options->json)
				fprintf(stderr, "%s\n", b->name);
			ret = measure(b, options->runs, &o);
			if (ret) {
				fprintf(stderr, "doorbell-bench: %s could not run: %s\n", b->name, strerror(-ret));
				status = 1;
				continue;
			}
			if (options->json)
				json_array_append_new(rows, json_row(b, &o));
			else
				print_row(b, &o);
		}
	}
	if (options->json) {
		json_t *all = json_pack("{s:o}", "benches", rows);

		json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
		printf("\n");
		json_decref(all);
	} else {
		json_decref(rows);
	}
	return status;
}

static int run_growth(const struct options *options)
{
	json_t *curves = json_array(), *all = json_pack("{s:o}", "growth", curves);
	int ret = bench_growth(curves, options->names, options->n_names);

	if (ret)
		fprintf(stderr, "doorbell-bench: growth could not be measured: %s (%s)\n", strerror(-ret), db_error_message());
	else
		json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(all);
	return ret ? 1 : 0;
}

/* For callgrind, which looks at counted_translations() alone: see tools/bench. */
static int run_instructions(const char *what)
{
	unsigned int count = 0;
	int ret = bench_instructions(what, &count);

	if (ret)
		fprintf(stderr, "doorbell-bench: --instructions %s: %s\n", what, strerror(-ret));
	else
		printf("%u\n", count);
	return ret ? 1 : 0;
}

static bool known(const char *name)
{
	for (unsigned int s = 0; s < sizeof(subjects) / sizeof(*subjects); s++)
		for (const struct bench *b = subjects[s]; b->name; b++)
			if (!strcmp(b->name, name))
				return true;
	return false;
}

static void list(void)
{
	for (unsigned int s = 0; s < sizeof(subjects) / sizeof(*subjects); s++)
		for (const struct bench *b = subjects[s]; b->name; b++)
			printf("%-22s %s, against %s\n", b->name, b->unit, b->limit_name);
}

static void usage(FILE *f)
{
	fprintf(f, "usage: doorbell-bench [--json] [--runs N] [NAME...]\n"
		   "       doorbell-bench --list\n"
		   "       doorbell-bench --growth [vectors|devices|ranges|pages|blocks|mappings...]\n"
		   "       doorbell-bench --instructions tlb_hit|tlb_miss|walk_warm\n"
		   "Measures each subject beside its limit in the same run; medians of N runs (%d).\n"
		   "--growth: what one operation costs over the number of vectors, devices, mappings, as JSON.\n"
		   "--instructions: runs so many of them for callgrind to count (tools/bench --instructions).\n", DEFAULT_RUNS);
}

static int run(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "runs", required_argument, NULL, 'r' },
		{ "list", no_argument, NULL, 'l' },
		{ "growth", no_argument, NULL, 'g' },
		{ "instructions", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct options options = { .runs = DEFAULT_RUNS };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			options.json = true;
			break;
		case 'r':
			options.runs = strtoul(optarg, NULL, 10);
			if (options.runs < 1 || options.runs > MOST_RUNS) {
				fprintf(stderr, "doorbell-bench: --runs takes 1 to %d\n", MOST_RUNS);
				return 2;
			}
			break;
		case 'l':
			list();
			return 0;
		case 'g':
			options.growth = true;
			break;
		case 'i':
			return run_instructions(optarg);
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	options.names = argv + optind;
	options.n_names = argc - optind;
	for (int i = 0; i < options.n_names; i++) {
		const char *name = options.names[i];

		if (options.growth ? !bench_growth_knows(name) : !known(name)) {
			fprintf(stderr, "doorbell-bench: no %s \"%s\"; `doorbell-bench %s` names them\n", options.growth ? "axis" : "bench",
				name, options.growth ? "--help" : "--list");
			return 2;
		}
	}
	return options.growth ? run_growth(&options) : run_all(&options);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	if (fclose(stdout)) {
		fprintf(stderr, "doorbell-bench: standard output: %s\n", strerror(errno));
		return 1;
	}
	return status;
}
