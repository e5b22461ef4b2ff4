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
 * Errors: -EINVAL (the description is wrong; db_error_message() names line and reason), -ENOMEM.
 */
int db_soft_host_create(const char *text, size_t len, struct db_sys **out);

DB_API_END

#endif
