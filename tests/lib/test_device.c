/* SPDX-License-Identifier: BSD-2-Clause */
/* Host, device discovery and binding, config space and BARs, reset, capabilities. */
#include "rig.h"

#include <errno.h>
#include <string.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"

static void test_modes(void **state)
{
	enum db_mode mode, parsed;

	(void)state;
	for (mode = 0; mode < DB_MODE_COUNT; mode++) {
		assert_int_equal(db_mode_parse(db_mode_name(mode), &parsed), 0);
		assert_int_equal(parsed, mode);
	}
	assert_string_equal(db_mode_name(99), "unknown");
	assert_int_equal(db_mode_parse("nested", &parsed), -EINVAL);
	assert_message_has("nested");
}

static void test_host(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.mock->no_iommufd = true;
	assert_int_equal(db_host_open(&rig.mock->sys, &rig.host), -ENOENT);
	assert_message_has("CONFIG_IOMMUFD");
	rig.mock->no_iommufd = false;
	rig.mock->fail_error = -EACCES;
	rig.mock->fail_call = rig.mock->calls + 1;
	assert_int_equal(db_host_open(&rig.mock->sys, &rig.host), -EACCES);
	assert_message_has("root");
	rig.mock->fail_error = -EMFILE;
	rig.mock->fail_call = rig.mock->calls + 1;
	assert_int_equal(db_host_open(&rig.mock->sys, &rig.host), -EMFILE);
	assert_int_equal(db_host_open(&rig.mock->sys, &rig.host), 0);
	assert_ptr_equal(db_host_sys(rig.host), &rig.mock->sys);
	rig_close(&rig);
}

static void open_host(struct rig *rig)
{
	rig_init(rig);
	assert_int_equal(db_host_open(&rig->mock->sys, &rig->host), 0);
}

static void test_open_address(void **state)
{
	static const char *const wrong[] = { "",
					     "01:00.0",
					     "0000:01:00.8",
					     "0000:01:00.00",
					     "0000:01:00,0",
					     "000g:01:00.0",
					     "0000:01:00.0/..",
					     "../../../etc/" };
	struct rig rig;
	unsigned int i;

	(void)state;
	open_host(&rig);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(db_device_open(rig.host, wrong[i], 0, &rig.dev), -EINVAL);
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0x80, &rig.dev), -EINVAL);
	assert_int_equal(db_device_open(rig.host, "0000:09:00.0", 0, &rig.dev), -ENOENT);
	assert_message_has("no PCI device 0000:09:00.0");
	rig.hw->no_group = true;
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &rig.dev), -ENOENT);
	assert_message_has("IOMMU group");
	rig_close(&rig);
}

static void test_open_driver(void **state)
{
	struct rig rig;

	(void)state;
	open_host(&rig);
	/* No driver: bound for as long as it is open. */
	rig.hw->driver[0] = '\0';
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &rig.dev), 0);
	assert_string_equal(rig.hw->driver, "vfio-pci");
	assert_string_equal(db_device_address(rig.dev), "0000:01:00.0");
	db_device_close(rig.dev);
	assert_string_equal(rig.hw->driver, "");
	assert_string_equal(rig.hw->override, "");
	/* In use: refused, with the driver's name, and nothing is changed. */
	strcpy(rig.hw->driver, "nvme");
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &rig.dev), -EBUSY);
	assert_message_has("nvme");
	assert_string_equal(rig.hw->override, "");
	/* Taken away when asked for, and given back. */
	strcpy(rig.hw->override, "nvme");
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", DB_OPEN_REBIND, &rig.dev), 0);
	assert_string_equal(rig.hw->driver, "vfio-pci");
	db_device_close(rig.dev);
	assert_string_equal(rig.hw->driver, "nvme");
	assert_string_equal(rig.hw->override, "nvme");
	rig.dev = NULL;
	rig_close(&rig);
}

static void test_open_no_node(void **state)
{
	struct rig rig;

	(void)state;
	open_host(&rig);
	strcpy(rig.hw->driver, "nvme");
	rig.hw->no_node = true;
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", DB_OPEN_REBIND, &rig.dev),
			 -EOPNOTSUPP);
	assert_message_has("CONFIG_VFIO_DEVICE_CDEV");
	assert_string_equal(rig.hw->driver, "nvme");
	rig_close(&rig);
}

static void test_open_busy(void **state)
{
	struct db_device *second;
	struct rig rig;

	(void)state;
	rig.mock = NULL;
	rig_open(&rig);
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &second), -EBUSY);
	mock_fail(rig.mock, VFIO_DEVICE_BIND_IOMMUFD, -EBUSY, 0);
	assert_int_equal(db_device_open(rig.host, "0000:02:00.0", 0, &second), -EBUSY);
	assert_message_has("another has it already");
	/* Linux's word for a device that is open. */
	mock_fail(rig.mock, VFIO_DEVICE_BIND_IOMMUFD, -EINVAL, 0);
	assert_int_equal(db_device_open(rig.host, "0000:02:00.0", 0, &second), -EBUSY);
	assert_message_has("another has it already");
	/* Firmware wants a 1:1 mapping. */
	rig.mock->reserved_start = 0x40000000;
	rig.mock->reserved_last = 0x400fffff;
	rig.mock->reserved_type = "direct";
	mock_fail(rig.mock, VFIO_DEVICE_BIND_IOMMUFD, -EINVAL, 0);
	assert_int_equal(db_device_open(rig.host, "0000:02:00.0", 0, &second), -EINVAL);
	assert_message_has("1:1 mapping of [0x40000000, 0x400fffff]");
	mock_fail(rig.mock, VFIO_DEVICE_BIND_IOMMUFD, -ENOMEM, 0);
	assert_int_equal(db_device_open(rig.host, "0000:02:00.0", 0, &second), -ENOMEM);
	rig_close(&rig);
}

static void refuse_eperm(struct rig *rig, const char *says)
{
	struct db_device *dev;

	mock_fail(rig->mock, VFIO_DEVICE_BIND_IOMMUFD, -EPERM, 0);
	assert_int_equal(db_device_open(rig->host, "0000:02:00.0", 0, &dev), -EPERM);
	assert_message_has("0000:02:00.0 cannot be taken");
	assert_message_has(says);
}

/* The kernel has one errno for three reasons. */
static void test_open_not_permitted(void **state)
{
	struct mock_device *mate;
	struct rig rig;

	(void)state;
	open_host(&rig);
	refuse_eperm(&rig, "another program has a device of IOMMU group 11");
	rig.mock->unsafe_interrupts = "Y";
	refuse_eperm(&rig, "another program has a device of IOMMU group 11");
	rig.mock->unsafe_interrupts = "N";
	refuse_eperm(&rig, "iommufd.allow_unsafe_interrupts=1");
	/* Others of its group: what counts is who does DMA. */
	mate = &rig.mock->device[2];
	mate->group = 11;
	strcpy(mate->driver, "pcieport");
	refuse_eperm(&rig, "iommufd.allow_unsafe_interrupts=1");
	mate->driver[0] = '\0';
	refuse_eperm(&rig, "iommufd.allow_unsafe_interrupts=1");
	strcpy(mate->driver, "nvme");
	refuse_eperm(&rig, "the host's driver nvme uses 0000:03:00.0");
	assert_message_has("/sys/kernel/iommu_groups/11/devices");
	rig_close(&rig);
}

static void test_config_and_bars(void **state)
{
	uint8_t buf[256];
	struct rig rig;
	uint64_t size;

	(void)state;
	rig.mock = NULL;
	rig_open(&rig);
	assert_int_equal(db_device_config_read(rig.dev, buf, 256, 0), 256);
	assert_int_equal(buf[0x34], 0x40);
	assert_int_equal(db_device_config_read(rig.dev, buf, 4, 253), -EINVAL);
	assert_int_equal(db_device_config_read(rig.dev, buf, 4, ~0ull), -EINVAL);
	assert_int_equal(db_device_config_write(rig.dev, buf, 2, 255), -EINVAL);
	buf[0] = 0x42;
	assert_int_equal(db_device_config_write(rig.dev, buf, 1, 0x3c), 1);
	assert_int_equal(rig.hw->config[0x3c], 0x42);
	assert_int_equal(db_device_bar_size(rig.dev, 0, &size), 0);
	assert_int_equal(size, 0x20000);
	assert_int_equal(db_device_bar_size(rig.dev, 1, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(db_device_bar_size(rig.dev, 6, &size), -EINVAL);
	assert_int_equal(db_device_bar_read(rig.dev, 0, buf, 8, 0x10000), 8);
	assert_int_equal(db_device_bar_read(rig.dev, 0, buf, 8, 0x1fffc), -EINVAL);
	assert_int_equal(db_device_bar_read(rig.dev, 7, buf, 8, 0), -EINVAL);
	assert_int_equal(db_device_bar_write(rig.dev, 0, buf, 4, 0x1000), 4);
	assert_int_equal(db_device_bar_write(rig.dev, 9, buf, 4, 0x1000), -EINVAL);
	assert_int_equal(db_device_bar_write(rig.dev, 1, buf, 4, 0), -EINVAL);
	rig_close(&rig);
}

static void test_reset(void **state)
{
	struct rig rig;

	(void)state;
	rig.mock = NULL;
	rig_open(&rig);
	assert_int_equal(db_device_reset(rig.dev), 0);
	mock_fail(rig.mock, VFIO_DEVICE_RESET, -EIO, 0);
	assert_int_equal(db_device_reset(rig.dev), -EIO);
	rig_close(&rig);
	rig_init(&rig);
	rig.hw->no_reset = true;
	rig_open(&rig);
	assert_int_equal(db_device_reset(rig.dev), -EOPNOTSUPP);
	rig_close(&rig);
}

static void test_caps_all(void **state)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	unsigned int before;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.mock->page = 65536;
	rig_open(&rig);
	assert_int_equal(db_device_caps(rig.dev, &caps), 0);
	assert_true(caps.mode[DB_MODE_AUTO] && caps.mode[DB_MODE_NATIVE] &&
		    caps.mode[DB_MODE_STOCK] && caps.mode[DB_MODE_RMR]);
	assert_true(caps.nesting);
	assert_int_equal(caps.msix_vectors, MOCK_VECTORS);
	assert_int_equal(caps.msi_vectors, 8);
	assert_true(caps.msix_mappable);
	assert_false(caps.msix_noresize);
	assert_int_equal(caps.doorbell.id, 100);
	assert_int_equal(caps.doorbell.offset, 0x40);
	assert_int_equal(caps.doorbell.size, 65536);
	assert_int_equal(caps.sw_msi_start, MOCK_WINDOW);
	assert_int_equal(caps.sw_msi_size, 1 << 20);
	assert_int_equal(caps.page_size, 65536);
	assert_int_equal(caps.smmu.idr[1], 10 << 6);
	/* Asked once. */
	before = rig.mock->calls;
	assert_int_equal(db_device_caps(rig.dev, &caps), 0);
	assert_int_equal(rig.mock->calls, before);
	rig_close(&rig);
}

struct refusal {
	void (*change)(struct rig *rig);
	bool native, stock, rmr;
	enum db_mode of;
	const char *why;
};

static void no_native(struct rig *rig)
{
	rig->mock->native = false;
}

static void no_window(struct rig *rig)
{
	rig->mock->no_window = true;
}

static void not_mappable(struct rig *rig)
{
	rig->hw->mappable = false;
}

static void no_msix(struct rig *rig)
{
	rig->hw->msix = 0;
	mock_device_reset(rig->hw);
}

static void no_msi_at_all(struct rig *rig)
{
	rig->hw->msi = 0;
	no_msix(rig);
}

static void no_canwbs(struct rig *rig)
{
	rig->mock->nesting = false;
	rig->mock->fwb = false;
}

static void nesting_for_another_reason(struct rig *rig)
{
	rig->mock->nesting = false;
}

static void old_kernel(struct rig *rig)
{
	rig->mock->no_eventq = true;
}

static void other_iommu(struct rig *rig)
{
	rig->mock->other_iommu = true;
}

static void no_second_stage(struct rig *rig)
{
	mock_fail(rig->mock, IOMMU_HWPT_ALLOC, -EOPNOTSUPP, 0);
}

static void no_doorbell(struct rig *rig)
{
	mock_fail(rig->mock, IOMMU_GET_MSI_INFO, -EOPNOTSUPP, 0);
}

static void odd_doorbell(struct rig *rig)
{
	mock_fail(rig->mock, IOMMU_GET_MSI_INFO, -EPERM, 0);
}

static void no_prepare(struct rig *rig)
{
	rig->hw->no_prepare = true;
}

static void test_caps_refused(void **state)
{
	static const struct refusal refusals[] = {
		{ no_native, false, true, true, DB_MODE_NATIVE, "IOMMU_GET_MSI_INFO" },
		{ no_prepare, false, true, true, DB_MODE_NATIVE, "VFIO_IRQ_INFO_MSI_IOVA" },
		{ no_window, true, false, false, DB_MODE_STOCK, "no SW_MSI window" },
		{ no_window, true, false, false, DB_MODE_RMR, "no SW_MSI window" },
		{ not_mappable, true, false, true, DB_MODE_STOCK, "cannot be mapped" },
		{ no_msix, true, false, true, DB_MODE_STOCK, "no MSI-X" },
		{ no_msi_at_all, false, false, false, DB_MODE_NATIVE, "neither MSI nor MSI-X" },
		{ no_canwbs, false, false, false, DB_MODE_NATIVE, "CANWBS" },
		{ nesting_for_another_reason, false, false, false, DB_MODE_RMR,
		  "IOMMU_VIOMMU_ALLOC" },
		{ old_kernel, false, false, false, DB_MODE_AUTO, "6.15" },
		{ other_iommu, false, false, false, DB_MODE_STOCK, "SMMUv3" },
		{ no_second_stage, false, false, false, DB_MODE_STOCK, "both stages" },
		{ no_doorbell, false, true, true, DB_MODE_NATIVE, "irqchip" },
		{ odd_doorbell, false, true, true, DB_MODE_NATIVE, "EPERM" },
	};
	struct db_caps caps = DB_SIZED(struct db_caps);
	unsigned int i;
	struct rig rig;

	(void)state;
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];

		open_host(&rig);
		r->change(&rig);
		assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &rig.dev), 0);
		assert_int_equal(db_device_caps(rig.dev, &caps), 0);
		assert_int_equal(caps.mode[DB_MODE_NATIVE], r->native);
		assert_int_equal(caps.mode[DB_MODE_STOCK], r->stock);
		assert_int_equal(caps.mode[DB_MODE_RMR], r->rmr);
		assert_int_equal(caps.mode[DB_MODE_AUTO], r->native || r->stock || r->rmr);
		if (!strstr(caps.why_not[r->of], r->why))
			fail_msg("\"%s\" does not say \"%s\"", caps.why_not[r->of], r->why);
		rig_close(&rig);
	}
}

static void window_is(struct rig *rig, uint64_t start, uint64_t size)
{
	assert_int_equal(rig->mock->window_start, start);
	assert_int_equal(rig->hw->windowless ? 0 : rig->mock->window_size, size);
}

static void test_window(void **state)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct rig rig;
	unsigned int i;

	(void)state;
	open_host(&rig);
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &rig.dev), 0);
	assert_int_equal(db_device_caps(rig.dev, &caps), 0);
	assert_int_equal(db_device_set_window(rig.dev, 0x40000000, 0x200000), 0);
	assert_int_equal(db_device_caps(rig.dev, &caps), 0);
	assert_int_equal(caps.sw_msi_start, 0x40000000);
	assert_int_equal(caps.sw_msi_size, 0x200000);
	assert_int_equal(db_device_set_window(rig.dev, 0x40001000, 0x200000), -EINVAL);
	assert_int_equal(db_device_set_window(rig.dev, 0x40000000, 0x1000), -EINVAL);
	assert_int_equal(db_device_set_window(rig.dev, ~0xfffffull, 0x200000), -EINVAL);
	/* It moves whole or not at all: asked for, both; set, what there was; start; size. */
	for (i = 0; i < 5; i++) {
		mock_fail(rig.mock, IOMMU_OPTION, -EADDRINUSE, i);
		assert_int_equal(db_device_set_window(rig.dev, 0x50000000, 0x400000), -EADDRINUSE);
		assert_message_has("reserved region");
		window_is(&rig, 0x40000000, 0x200000);
	}
	/* None, which leaves native. */
	assert_int_equal(db_device_set_window(rig.dev, 0, 0), 0);
	assert_true(rig.hw->windowless);
	assert_int_equal(db_device_caps(rig.dev, &caps), 0);
	assert_int_equal(caps.sw_msi_size, 0);
	assert_true(caps.mode[DB_MODE_NATIVE]);
	assert_false(caps.mode[DB_MODE_STOCK]);
	assert_false(caps.mode[DB_MODE_RMR]);
	assert_non_null(strstr(caps.why_not[DB_MODE_STOCK], "db_device_set_window"));
	assert_non_null(strstr(caps.why_not[DB_MODE_RMR], "db_device_set_window"));
	assert_int_equal(db_device_set_window(rig.dev, 0x40000000, 0x200000), 0);
	assert_int_equal(db_device_caps(rig.dev, &caps), 0);
	assert_true(caps.mode[DB_MODE_STOCK]);
	mock_fail(rig.mock, IOMMU_OPTION, -EOVERFLOW, 0);
	assert_int_equal(db_device_set_window(rig.dev, 0x50000000, 0x200000), -EOVERFLOW);
	rig.mock->native = false;
	assert_int_equal(db_device_set_window(rig.dev, 0x50000000, 0x200000), -EOPNOTSUPP);
	assert_message_has("linux/");
	rig_close(&rig);
	rig.mock = NULL;
	rig_open(&rig);
	assert_int_equal(db_device_set_window(rig.dev, 0x40000000, 0x200000), -EBUSY);
	rig_close(&rig);
}

/* Mode native does without the window, when it may still be taken away; the others get it back. */
static void test_window_of_modes(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_NATIVE,
					.kind = DB_MSIX,
					.doorbell_ipa = 0x20090000 };
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct rig rig;
	struct db_msi *msi;

	(void)state;
	open_host(&rig);
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", 0, &rig.dev), 0);
	assert_int_equal(db_space_create(rig.host, &rig.space), 0);
	config.dev = rig.dev;
	config.space = rig.space;
	assert_int_equal(db_msi_create(&config, &rig.msi), 0);
	window_is(&rig, MOCK_WINDOW, 0);
	assert_int_equal(db_device_caps(rig.dev, &caps), 0);
	assert_int_equal(caps.sw_msi_size, 0x100000);
	assert_true(caps.mode[DB_MODE_STOCK]);
	/* Beside it there is none for others. */
	config.mode = DB_MODE_RMR;
	config.kind = DB_MSI;
	assert_int_equal(db_msi_create(&config, &msi), -EBUSY);
	assert_message_has("mode native");
	/* It goes on over the join, and is back for the next. */
	assert_int_equal(db_viommu_create(rig.space, rig.dev, &rig.viommu), 0);
	assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x10), 0);
	window_is(&rig, MOCK_WINDOW, 0);
	db_msi_destroy(rig.msi);
	rig.msi = NULL;
	assert_int_equal(db_msi_create(&config, &msi), -EBUSY);
	config.kind = DB_MSIX;
	config.mode = DB_MODE_STOCK;
	config.doorbell_ipa = MOCK_WINDOW;
	assert_int_equal(db_msi_create(&config, &msi), -EBUSY);
	db_viommu_remove(rig.viommu, rig.dev);
	assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x10), 0);
	window_is(&rig, MOCK_WINDOW, 0x100000);
	assert_int_equal(db_msi_create(&config, &rig.msi), 0);
	db_msi_destroy(rig.msi);
	/* Native on a device that has joined with its window leaves it alone. */
	config.mode = DB_MODE_NATIVE;
	config.doorbell_ipa = 0x20090000;
	assert_int_equal(db_msi_create(&config, &rig.msi), 0);
	window_is(&rig, MOCK_WINDOW, 0x100000);
	rig_close(&rig);
}

static void test_reserved(void **state)
{
	struct db_reserved regions[4];
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.mock->reserved_start = 0xfee00000;
	rig.mock->reserved_last = 0xfeefffff;
	rig_open(&rig);
	assert_int_equal(db_device_reserved(rig.dev, regions, 1, sizeof(*regions)), 2);
	assert_int_equal(regions[0].start, MOCK_WINDOW);
	assert_int_equal(regions[0].last, MOCK_WINDOW + 0xfffff);
	assert_string_equal(regions[0].type, "msi");
	assert_int_equal(db_device_reserved(rig.dev, regions, 4, sizeof(*regions)), 2);
	assert_string_equal(regions[1].type, "reserved");
	/* The longest that Linux has. */
	rig.mock->reserved_type = "direct-relaxable";
	assert_int_equal(db_device_reserved(rig.dev, regions, 4, sizeof(*regions)), 2);
	assert_string_equal(regions[1].type, "direct-relaxable");
	assert_int_equal(regions[1].last, 0xfeefffff);
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_open_address),
		cmocka_unit_test(test_open_driver),
		cmocka_unit_test(test_open_no_node),
		cmocka_unit_test(test_open_busy),
		cmocka_unit_test(test_open_not_permitted),
		cmocka_unit_test(test_config_and_bars),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_caps_all),
		cmocka_unit_test(test_caps_refused),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_window_of_modes),
		cmocka_unit_test(test_reserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
