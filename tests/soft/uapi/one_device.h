/* SPDX-License-Identifier: BSD-2-Clause */
/* The set-up of tests that are about one device of a software host: each test gets its own. */
#ifndef TESTS_SOFT_UAPI_ONE_DEVICE_H
#define TESTS_SOFT_UAPI_ONE_DEVICE_H

#include "soft/uapi/vfio_fixture.h"

#define ONE_DEVICE_EVENTFDS 64

extern struct fixture f;
extern struct fixture_device dev;
extern int fds[ONE_DEVICE_EVENTFDS];	/* eventfds at hand */

/* @machine (NULL: the built-in one) and its device at @address, attached to the fixture's IOAS. */
void one_device(const char *machine, const char *address);

int setup_bell(void **state);
int setup_bell_msi(void **state);
/* A test may have closed the device itself. */
int teardown_device(void **state);

void ring(unsigned int vector);

#endif
