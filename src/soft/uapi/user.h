/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a caller of the uAPI hands over. It is read once: the caller may change it meanwhile. Memory
 * of this process is taken to be there; only NULL is a fault.
 */
#ifndef SOFT_UAPI_USER_H
#define SOFT_UAPI_USER_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

static inline int copy_from_user(void *to, const void *from, size_t len)
{
	if (!from)
		return -EFAULT;
	memcpy(to, from, len);
	return 0;
}

static inline int copy_to_user(void *to, const void *from, size_t len)
{
	if (!to)
		return -EFAULT;
	memcpy(to, from, len);
	return 0;
}

/* Bytes of a struct up to and including @member. */
#define sizeof_through(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

#endif
