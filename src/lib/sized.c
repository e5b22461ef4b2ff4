/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/sized.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "sys/error.h"

static size_t size_of(const void *theirs)
{
	size_t size;

	memcpy(&size, theirs, sizeof(size));
	return size;
}

int sized_check(const void *theirs, const char *name)
{
	if (size_of(theirs) >= sizeof(size_t))
		return 0;
	db_error_set(-EINVAL, "struct %s has no size: begin with DB_SIZED()", name);
	return -EINVAL;
}

int sized_take(void *own, size_t own_size, const void *theirs, const char *name)
{
	const uint8_t *bytes = theirs;
	size_t i, size = size_of(theirs);
	int ret;

	ret = sized_check(theirs, name);
	if (ret)
		return ret;
	for (i = own_size; i < size; i++) {
		if (bytes[i]) {
			db_error_set(-E2BIG, "struct %s has %zu bytes, and asks for something that "
				     "this library, which knows %zu, cannot do", name, size,
				     own_size);
			return -E2BIG;
		}
	}
	memset(own, 0, own_size);
	memcpy(own, theirs, size < own_size ? size : own_size);
	return 0;
}

void sized_give_element(void *theirs, size_t size, const void *own, size_t own_size)
{
	memset(theirs, 0, size);
	memcpy(theirs, own, size < own_size ? size : own_size);
}

void sized_give(void *theirs, const void *own, size_t own_size)
{
	size_t size = size_of(theirs);

	sized_give_element(theirs, size, own, own_size);
	memcpy(theirs, &size, sizeof(size));
}
