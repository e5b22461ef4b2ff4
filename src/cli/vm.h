/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLI_VM_H
#define CLI_VM_H

/* `doorbell vm`; its own options, since none of them has to do with the in-process guest. */
int command_vm(int argc, char **argv);

#endif
