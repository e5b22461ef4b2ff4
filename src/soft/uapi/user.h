/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a caller of the uAPI hands over: memory that may not be there, or not for that, and that the
 * caller may change meanwhile, so that it is read once. What is not there is -EFAULT, and no
 * SIGSEGV.
 */
#ifndef SOFT_UAPI_USER_H
#define SOFT_UAPI_USER_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* -EFAULT; part of @to may have been written then. */
int copy_from_user(void *to, const void *from, size_t len);
int copy_to_user(void *to, const void *from, size_t len);
int clear_user(void *to, size_t len);

/*
 * copy_struct_from_user(): a shorter struct than ours ends in zeros; a longer one must, else
 * -E2BIG.
 */
int copy_struct_from_user(void *to, size_t size, const void *from, size_t user_size);

/*
 * From now on faults in the above are seen: by a handler of SIGSEGV and SIGBUS that hands what does
 * not concern it to the one that was there before. A program that takes the handler away has
 * pointers that are good.
 */
void user_start(void);

/*
 * For a program's own handler of these: whether the fault was one of the above's, which goes on
 * with -EFAULT when the handler returns; or a device's, whose memory the process has given up since
 * it was mapped for it: that goes on, too. The handler's arguments.
 */
bool user_fault(const siginfo_t *info, void *ucontext);

/* Bytes of a struct up to and including @member. */
#define sizeof_through(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

#endif
