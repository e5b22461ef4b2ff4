/* SPDX-License-Identifier: BSD-2-Clause */
/* A stage 1 of the guest's, and an NVMe controller that uses it. */
#ifndef TESTS_TRUTH_RIG_H
#define TESTS_TRUTH_RIG_H

#include "arm/vmsa.h"
#include "truth.h"

#define MEMORY_GIOVA 0x1000000ull	/* 1 MiB, mapped to the second MiB of RAM */
#define MEMORY_OFFSET (1u << 20)
#define MSI_GIOVA 0xeeee0000ull		/* the page for the doorbell */

struct rig {
	struct truth *t;
	struct vmsa_table s1;
	uint64_t next;		/* free RAM for tables, as an offset */
	unsigned int fences;	/* faults that were brought about to wait for their events */
};

/* Builds CD and tables, makes the nested HWPT and attaches it. Nothing but the memory is mapped. */
void rig_attach(struct rig *rig, struct truth *t);
void rig_map(struct rig *rig, uint64_t giova, uint64_t ipa, uint64_t size, unsigned int prot);

/*
 * Resets the controller, and has it do one Identify: the command is at gIOVA @queues, completions a page above, the data goes to
 * @data. Whatever comes of it, the controller is off when this returns.
 */
void rig_identify(struct rig *rig, uint64_t queues, uint64_t data, int eventfd, const char *key);

/* MSI-X table entries 0 to 2 as the device has them. */
void say_table(struct truth *t, const char *key);
void write_address(struct truth *t, unsigned int index, uint64_t address);

#endif
