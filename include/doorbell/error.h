/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors. Every function of the library that can fail returns a negative errno and leaves a
 * sentence that says what is wrong and what to do about it.
 */
#ifndef DOORBELL_ERROR_H
#define DOORBELL_ERROR_H

#include <doorbell/api.h>

DB_API_BEGIN

/*
 * The sentence of the calling thread's last failed db_ call. Never NULL; valid until that thread's
 * next db_ call that fails.
 *
 * The vocabulary of the codes:
 *   EINVAL         understood, but wrong: range, alignment, order of calls
 *   EOPNOTSUPP     the host (kernel, SMMU, device) cannot do this
 *   ENOENT         no such device, object or mapping
 *   EBUSY          in use by somebody else
 *   EADDRINUSE     the address range is taken
 *   EEXIST         there is one already
 *   EFAULT         not the process's memory
 *   EBADF          not a descriptor of the kind that is asked for
 *   E2BIG          a struct of a newer interface asks for what this library does not know
 *   EDESTADDRREQ   a vector was armed before it was given an address
 *   EXDEV          two devices share a vITS doorbell but not the physical one
 *   ENXIO          mode native: the device's doorbell is not mapped any more
 *   EIO            illegal vSTE, or the device is gone
 *   EPERM, EACCES  rights or limits (memlock) do not suffice
 *   ENOMEM, ENOSPC memory, ids or interrupts are used up
 */
const char *db_error_message(void);

DB_API_END

#endif
