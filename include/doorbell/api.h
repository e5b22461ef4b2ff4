/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the interface of libdoorbell grows, so that a program and a library of different versions
 * understand each other.
 *
 * - A struct that a caller fills, or has filled, begins with `size_t size`, which the caller sets
 *   to its sizeof; DB_SIZED() does, in C++ db_sized<>(). Members are only ever added at the end,
 *   and zero in a new member means what was done before there was one. A smaller size is an older
 *   caller: what lies beyond is taken as zero, or not filled. A larger one is a newer caller: what
 *   this library does not know must be zero (-E2BIG if it is not) in a struct that is read, and is
 *   set to zero in one that is filled. A size that does not even hold itself (zero: forgotten) is
 *   -EINVAL.
 * - Structs within such a struct, and the elements of arrays that are read, keep their size; where
 *   an array is filled, the size of an element is a parameter.
 * - An array that is indexed by an enum has room for enumerators to come.
 * - Symbols have a version (DOORBELL_0.1, ...): the one in which they came.
 *
 * The headers can be used from C (C11 or later) and C++.
 */
#ifndef DOORBELL_API_H
#define DOORBELL_API_H

#include <stddef.h>

#ifdef __cplusplus
/* All zero but the size:
 *	auto config = db_sized<db_msi_config>();
 *	config.dev = dev;
 */
template <typename T> inline T db_sized()
{
	T sized = T();

	sized.size = sizeof(T);
	return sized;
}

/* Around the declarations of each header. */
#define DB_API_BEGIN _Pragma("GCC visibility push(default)") extern "C" {
#define DB_API_END } _Pragma("GCC visibility pop")
#else
/* An initialiser, with members after the size where they are wanted:
 *	struct db_caps caps = DB_SIZED(struct db_caps);
 *	struct db_msi_config config = DB_SIZED(struct db_msi_config, .dev = dev, .space = space);
 */
#define DB_SIZED(type, ...) { .size = sizeof(type), __VA_ARGS__ }

#define DB_API_BEGIN _Pragma("GCC visibility push(default)")
#define DB_API_END _Pragma("GCC visibility pop")
#endif

#endif
