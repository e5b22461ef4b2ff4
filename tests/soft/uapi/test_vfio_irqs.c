/* SPDX-License-Identifier: BSD-2-Clause */
/* GET_IRQ_INFO and SET_IRQS: the rules of vfio_set_irqs_validate_and_prepare() and vfio-pci, and the interrupts themselves. */
#include "soft/uapi/vfio_fixture.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include "soft/uapi/user.h"

#define BELL "0000:02:00.0"
#define BELL_MSI "0000:03:00.0"

static void smoke(void **state)
{
	struct fixture f;
	struct fixture_device dev;
	int fds[4];

	(void)state;
	fixture_create(&f, NULL);
	device_start(&f, BELL, &dev);
	for (int i = 0; i < 4; i++)
		fds[i] = new_eventfd();
	assert_int_equal(arm(&dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 4, fds), 0);
	assert_int_equal(msix_address(&dev, 0), 0x8000040);
	for (int i = 0; i < 4; i++)
		assert_int_equal(take(fds[i]), 0);
	bar_set(&dev, 0, BELL_RINGS, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(take(fds[i]), 1);
	device_close(&dev);
	fixture_destroy(&f);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void native_smoke(void **state)
{
	struct fixture f;
	struct fixture_device dev;
	struct nest nest;
	uint64_t iova[2] = { 0x7fff5000, 0x7fff5fff };
	int fds[3];

	(void)state;
	fixture_create(&f, NULL);
	device_start(&f, BELL, &dev);
	device_nest(&dev, 5, &nest);
	map_doorbell(&dev, 0x7fff5000);
	for (int i = 0; i < 3; i++)
		fds[i] = new_eventfd();
	assert_int_equal(prepare(&dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 2, iova), 0);
	assert_int_equal(arm(&dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 3, fds), -EDESTADDRREQ);
	assert_int_equal(arm(&dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, 2, fds), 0);
	assert_int_equal(msix_address(&dev, 0), 0x7fff5040);
	assert_int_equal(msix_address(&dev, 1), 0x7fff5040);
	bar_set(&dev, 0, BELL_RINGS, 2);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 1);
	device_close(&dev);
	nest_end(&nest);
	fixture_destroy(&f);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smoke),
		cmocka_unit_test(native_smoke),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
