/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets what db_error_message() of the calling thread says. */
#ifndef SYS_ERROR_H
#define SYS_ERROR_H

#include <doorbell/error.h>

/*
 * @code is a negative errno, whose name stands before the sentence: @fmt says only what is wrong.
 * Cut off when too long.
 */
__attribute__((format(printf, 2, 3)))
void db_error_set(int code, const char *fmt, ...);

#define ERROR_SIZE 512

/* A message that is to outlive those of the clearing up after it. */
struct error_saved {
	char message[ERROR_SIZE];
};

void error_save(struct error_saved *saved);
void error_restore(const struct error_saved *saved);

#endif
