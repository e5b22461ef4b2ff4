/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands; argv[0] is the command's name. They return the exit status: 0 good, 1 failed, 2 bad
 * options.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int command_run(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_probe(int argc, char **argv);
int command_host(int argc, char **argv);

/* What `doorbell NAME --help` prints. */
void command_help(const char *name);

#endif
