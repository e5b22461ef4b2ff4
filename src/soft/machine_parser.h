/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine file while it is read: the machine so far, and on which lines its parts were said. */
#ifndef SOFT_MACHINE_PARSER_H
#define SOFT_MACHINE_PARSER_H

#include "soft/machine.h"
#include "soft/machine_lex.h"

#define MACHINE_STATEMENTS 10	/* kinds of them */

struct machine_parser {
	struct machine_lex lex;
	struct machine *m;
	unsigned int device_room;
	unsigned int smmu_lines[MACHINE_SMMUS], its_lines[MACHINE_ITSES],
		reserved_lines[MACHINE_RESERVED];
	unsigned int *device_lines;
	bool *own_group;
	unsigned int said[MACHINE_STATEMENTS];	/* line of the last of each kind; 0: none */
};

/*
 * Gives the devices without a group theirs, and checks all that no statement could check alone.
 * 0, -ENOMEM, or -EINVAL with the reason and the line told by @p's lexer.
 */
int machine_check(struct machine_parser *p);

#endif
