/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that a user named. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stddef.h>
#include <stdio.h>

/*
 * The whole of a file of at most @max bytes, malloc'ed. A FIFO without a writer is refused
 * (-EPIPE), one with a writer has some seconds (-ETIMEDOUT). -errno.
 */
int cli_read_file(const char *path, size_t max, char **out, size_t *len);

/* Returns @err, with "PATH: REASON" in @why. */
int cli_file_error(int err, const char *path, char *why, size_t size);

/* A file to write to, without waiting for a FIFO's reader. NULL and errno. */
FILE *cli_create_file(const char *path);

#endif
