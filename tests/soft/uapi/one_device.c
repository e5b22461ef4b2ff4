/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/one_device.h"

#include <unistd.h>

#include "soft/endpoints/bell.h"

struct fixture f;
struct fixture_device dev;
int fds[ONE_DEVICE_EVENTFDS];

void one_device(const char *machine, const char *address)
{
	fixture_create(&f, machine);
	device_start(&f, address, &dev);
	for (unsigned int i = 0; i < ONE_DEVICE_EVENTFDS; i++)
		fds[i] = new_eventfd();
}

int setup_bell(void **state)
{
	(void)state;
	one_device(NULL, BELL);
	return 0;
}

int setup_bell_msi(void **state)
{
	(void)state;
	one_device(NULL, BELL_MSI);
	return 0;
}

int teardown_device(void **state)
{
	(void)state;
	if (dev.fd >= 0)
		device_close(&dev);
	fixture_destroy(&f);
	for (unsigned int i = 0; i < ONE_DEVICE_EVENTFDS; i++)
		close(fds[i]);
	return 0;
}

void ring(unsigned int vector)
{
	bar_set(&dev, 0, BELL_RING, vector);
}
