/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The software host: a machine with SMMUs, ITSes and PCI devices, and the kernel that runs on it,
 * inside this process.
 */
#ifndef DOORBELL_SOFT_H
#define DOORBELL_SOFT_H

#include <stddef.h>
#include <doorbell/api.h>
#include <doorbell/sys.h>

DB_API_BEGIN

/*
 * Builds the machine that @text describes (@len bytes, not necessarily NUL-terminated; see
 * docs/machine-file.md; NULL for the built-in default) and returns its seam in *out. The caller
 * owns it and ends it by out->ops->release().
 *
 * Errors: -EINVAL (the description is wrong; db_error_message() names line and reason), -ENOMEM;
 * those of a disk's file (-ENOENT, -EACCES, -EISDIR, ...; -EINVAL when it cannot be a disk), which
 * db_error_message() names.
 */
int db_soft_host_create(const char *text, size_t len, struct db_sys **out);

/* The same; relative names of files in @text are below @directory (NULL: where the process is). */
int db_soft_host_create_in(const char *directory, const char *text, size_t len,
			   struct db_sys **out);

/*
 * @fn is called after each write of the machine's devices to memory that was mapped for them: @len
 * bytes at @addr of this process have changed. An emulator that keeps translated code of its
 * guest's memory drops what it has of them. Called in the threads of the devices, several at once,
 * and must not call into the library. Call it before any device is opened. NULL: nobody is told.
 * Errors: -EINVAL (@sys is no software host).
 */
int db_soft_host_on_dma_write(struct db_sys *sys, void (*fn)(void *ctx, void *addr, size_t len),
			      void *ctx);

DB_API_END

#endif
