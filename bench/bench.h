/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measuring against a limit: a bench measures its subject and, in the same run, something that bounds what could be expected of it. What
 * counts is the ratio of the two, as the median of several runs; smaller is better throughout.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdint.h>

/* One run: the subject's cost and the limit's, in the bench's unit. */
struct bench_sample {
	double value;
	double limit;
};

struct bench {
	const char *name;
	const char *unit;
	const char *limit_name;
	double target_ratio;	/* value / limit should not exceed it; 0: reported without a target */
	/* setup may fill *state; run is called several times on it. 0 or -errno. */
	int (*setup)(void **state);
	int (*run)(void *state, struct bench_sample *sample);
	void (*teardown)(void *state);
};

/* Monotonic time, and the time that this thread had a processor: what others do on the machine then counts less. */
uint64_t bench_now_ns(void);
uint64_t bench_cpu_ns(void);

/* Bytes of memory that the process has now. */
uint64_t bench_resident(void);

/* Sorts @values. */
double bench_median(double *values, unsigned int count);

/* Keeps the compiler from removing what computes @value. */
static inline void bench_use(uint64_t value)
{
	__asm__ volatile("" : : "r"(value));
}

/* A cheap, reproducible sequence. */
static inline uint64_t bench_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
