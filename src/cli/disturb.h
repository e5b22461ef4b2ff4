/* SPDX-License-Identifier: BSD-2-Clause */
/* `doorbell run --disturb`: which disturbance comes when, and whether the device bore it. */
#ifndef CLI_DISTURB_H
#define CLI_DISTURB_H

#include "cli/run.h"

/*
 * After a step of the device's I/O: all chosen disturbances that leave it going, and at every
 * DISTURB_HEAVY_STEPS-th step one of those that cut it short, in turn. 0, or -errno with s->why.
 */
#define DISTURB_HEAVY_STEPS 6
int disturb_step(struct session *s, unsigned int index, struct run_device *d);

/* How many there were, of all kinds. */
uint64_t disturb_count(const struct session *s, unsigned int index);

/* "remap 73, cd 73, ...": 0 of what this device cannot be put to. */
const char *disturb_describe(const struct session *s, unsigned int index, char *buf, size_t size);
json_t *disturb_json(const struct session *s, unsigned int index);

#endif
