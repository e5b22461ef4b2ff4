/* SPDX-License-Identifier: BSD-2-Clause */
/* What a host refuses or does not have, beyond the common cases: each with its errno, a sentence,
 * and nothing left behind. */
#include "rig.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"
#include "lib/viommu.h"

/* Linked with --wrap=eventfd. */
int __real_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags);

static bool no_eventfds;

int __wrap_eventfd(unsigned int count, int flags)
{
	if (!no_eventfds)
		return __real_eventfd(count, flags);
	errno = EMFILE;
	return -1;
}

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	(void)route;
	return rig_fd(ctx, index);
}

static const struct db_msi_guest_ops ops = { .size = sizeof(ops), .connect = connect_vector };

/* The @n-th call from now on. */
static void fail_in(struct rig *rig, unsigned int n, int error)
{
	rig->mock->fail_call = rig->mock->calls + n;
	rig->mock->fail_error = error;
}

/* --- Opening --- */

static void refuse_open(struct rig *rig, int error, const char *says)
{
	assert_int_equal(db_host_open(&rig->mock->sys, &rig->host), 0);
	assert_int_equal(db_device_open(rig->host, "0000:01:00.0", 0, &rig->dev), error);
	assert_message_has(says);
	rig->dev = NULL;
	rig_close(rig);
}

/* Each call of an open in turn has no permission: whichever it is, the sentence names the device or
 * a path. */
static void no_permission(void **state)
{
	unsigned int refused = 0;
	struct rig rig;
	int ret;

	(void)state;
	for (unsigned int n = 1; n < 40; n++) {
		rig_init(&rig);
		assert_int_equal(db_host_open(&rig.mock->sys, &rig.host), 0);
		fail_in(&rig, n, -EACCES);
		ret = db_device_open(rig.host, "0000:01:00.0", DB_OPEN_REBIND, &rig.dev);
		rig.mock->fail_call = 0;
		if (ret) {
			assert_true(strstr(db_error_message(), "0000:01:00.0") ||
				    strchr(db_error_message(), '/'));
			rig.dev = NULL;
			refused++;
		}
		rig_close(&rig);
	}
	assert_in_range(refused, 5, 39);
}

static void info_refused(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	mock_fail(rig.mock, VFIO_DEVICE_GET_INFO, -EIO, 0);
	refuse_open(&rig, -EIO, "cannot ask VFIO");
	rig_init(&rig);
	rig.hw->not_pci = true;
	refuse_open(&rig, -EOPNOTSUPP, "no PCI device");
}

/* --- Config space --- */

/* A table in BAR 6 or 7 (PCIe 7.7.2.3: reserved): there is no table to be mapped. */
static void msix_in_no_bar(void **state)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct rig rig;
	unsigned int cap;

	(void)state;
	rig_init(&rig);
	for (cap = rig.hw->config[0x34]; rig.hw->config[cap] != 0x11; cap = rig.hw->config[cap + 1])
		;
	rig.hw->config[cap + 4] |= 7;
	rig_open(&rig);
	assert_int_equal(db_device_caps(rig.dev, &caps), 0);
	assert_false(caps.msix_mappable);
	rig_close(&rig);
}

static void config_write_refused(void **state)
{
	uint8_t value = 0;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	fail_in(&rig, 1, -EIO);
	assert_int_equal(db_device_config_write(rig.dev, &value, 1, 0x3c), -EIO);
	assert_message_has("cannot write at 0x3c");
	rig_close(&rig);
}

/* --- Regions --- */

static void no_reserved_regions(void **state)
{
	struct db_reserved regions[4];
	struct db_caps caps = DB_SIZED(struct db_caps);
	struct rig rig;

	(void)state;
	/* A device without an IOMMU group's directory has no window; what fails is an error. */
	rig_init(&rig);
	rig.mock->native = false;
	rig_open(&rig);
	fail_in(&rig, 1, -EIO);
	assert_int_equal(db_device_reserved(rig.dev, regions, 4, sizeof(*regions)), -EIO);
	assert_message_has("reserved_regions");
	rig_close(&rig);

	/* Each call of db_device_caps() in turn. */
	for (unsigned int n = 1; n < 20; n++) {
		rig_init(&rig);
		rig.mock->native = false;
		rig_open(&rig);
		fail_in(&rig, n, -ENOMEM);
		if (db_device_caps(rig.dev, &caps))
			assert_true(db_error_message()[0]);
		rig.mock->fail_call = 0;
		rig_close(&rig);
	}
}

/* --- Vectors --- */

static void arming_refused(void **state)
{
	static const struct {
		int error;
		const char *says;
	} rows[] = {
		{ -ENOSPC, "no interrupts left" },
		{ -EDESTADDRREQ, "have no address" },
		{ -EBADF, "no eventfd" },
		{ -EIO, "cannot arm" },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig rig = { 0 };

		rig_open(&rig);
		rig_msi(&rig, DB_MODE_RMR, DB_MSIX);
		mock_fail(rig.mock, VFIO_DEVICE_SET_IRQS, rows[i].error, 0);
		assert_int_equal(rig_set(&rig, 0, 2, GIOVA), rows[i].error);
		assert_message_has(rows[i].says);
		assert_int_equal(rig_set(&rig, 0, 2, GIOVA), 0);
		rig_close(&rig);
	}
}

/* --- In the middle of a change --- */

static const struct db_sys_ops *mock_ops;
static struct rig *raising;

/* The device raises vector 0 after each request. */
static int raising_ioctl(struct db_sys *sys, int fd, unsigned long request, void *arg)
{
	int ret = mock_ops->ioctl(sys, fd, request, arg);

	if (raising)
		mock_raise(raising->mock, raising->hw, 0);
	return ret;
}

/* The old message goes to the old eventfd, the new one to the new. */
static bool goes_together(void *ctx, unsigned int index, uint64_t address)
{
	struct rig *rig = ctx;

	assert_int_equal(rig->hw->trigger[index], rig_fd(rig, address == GIOVA ? 0 : 1));
	return true;
}

static void message_and_eventfd_change_together(void **state)
{
	struct db_msi_vector vector = { .address = GIOVA };
	struct db_sys_ops ops_raising;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	vector.eventfd = rig_fd(&rig, 0);
	assert_int_equal(db_msi_set(rig.msi, 0, 1, &vector), 0);
	rig.hw->guest_maps = goes_together;
	rig.hw->ctx = &rig;
	mock_ops = rig.mock->sys.ops;
	ops_raising = *mock_ops;
	ops_raising.ioctl = raising_ioctl;
	rig.mock->sys.ops = &ops_raising;
	raising = &rig;
	vector = (struct db_msi_vector){ GIOVA + 0x1000, rig_fd(&rig, 1) };
	assert_int_equal(db_msi_set(rig.msi, 0, 1, &vector), 0);
	raising = NULL;
	rig.mock->sys.ops = mock_ops;
	assert_true(rig_take(&rig, 1) > 0);
	rig_close(&rig);
}

/* When not even putting back works, what was to change is disarmed, and the rest left alone. */
static void nothing_can_be_put_back(void **state)
{
	struct db_msi_vector vectors[3];
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_RMR, DB_MSIX);
	assert_int_equal(rig_set(&rig, 0, 3, GIOVA), 0);
	for (unsigned int v = 0; v < 3; v++)
		vectors[v] = (struct db_msi_vector){ GIOVA, rig_fd(&rig, v == 1 ? 9 : v) };
	mock_fail(rig.mock, VFIO_DEVICE_SET_IRQS, -EIO, 0);
	rig.mock->fail_request_stays = true;
	assert_int_equal(db_msi_set(rig.msi, 0, 3, vectors), -EIO);
	rig.mock->fail_request = 0;
	mock_raise(rig.mock, rig.hw, 0);
	mock_raise(rig.mock, rig.hw, 2);
	assert_int_equal(rig_take(&rig, 0), 1);
	assert_int_equal(rig_take(&rig, 2), 1);
	assert_int_equal(db_msi_set(rig.msi, 0, 3, vectors), 0);
	mock_raise(rig.mock, rig.hw, 1);
	assert_int_equal(rig_take(&rig, 9), 1);
	rig_close(&rig);
}

static unsigned int set_irqs, set_irqs_fail;	/* a bit for each that fails */

static int failing_ioctl(struct db_sys *sys, int fd, unsigned long request, void *arg)
{
	if (request == VFIO_DEVICE_SET_IRQS && set_irqs_fail >> set_irqs++ & 1)
		return -EIO;
	return mock_ops->ioctl(sys, fd, request, arg);
}

static int set_with_failures(struct rig *rig, unsigned int count,
			     const struct db_msi_vector *vectors, unsigned int fail)
{
	struct db_sys_ops ops_failing;
	int ret;

	mock_ops = rig->mock->sys.ops;
	ops_failing = *mock_ops;
	ops_failing.ioctl = failing_ioctl;
	rig->mock->sys.ops = &ops_failing;
	set_irqs = 0;
	set_irqs_fail = fail;
	ret = db_msi_set(rig->msi, 0, count, vectors);
	rig->mock->sys.ops = mock_ops;
	return ret;
}

/* A vector has its new address when another cannot be armed, and the old address is refused: it is
 * not left armed with an address that the caller was told it does not have. */
static void address_not_put_back(void **state)
{
	struct db_msi_vector vectors[2];
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA), 0);
	vectors[0] = (struct db_msi_vector){ GIOVA + 0x1000, rig_fd(&rig, 0) };
	vectors[1] = (struct db_msi_vector){ GIOVA + 0x1000, rig_fd(&rig, 1) };
	/* Of address, arming, and the address of before, the last two. */
	assert_int_equal(set_with_failures(&rig, 2, vectors, 0x6), -EIO);
	assert_int_equal(rig.hw->trigger[0], -1);
	assert_int_equal(rig.hw->trigger[1], -1);
	assert_int_equal(db_msi_set(rig.msi, 0, 2, vectors), 0);
	rig.hw->expect = GIOVA + 0x1000;
	mock_raise(rig.mock, rig.hw, 0);
	mock_raise(rig.mock, rig.hw, 1);
	assert_int_equal(rig_take(&rig, 0), 1);
	assert_int_equal(rig_take(&rig, 1), 1);
	rig_close(&rig);
}

/* The address stands in the device's own table when the kernel refuses to take it from there. */
static void table_put_back(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_NATIVE,
					.kind = DB_MSIX,
					.doorbell_ipa = 0x20090000,
					.fall_through = true };
	struct db_msi_vector vector;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	config.dev = rig.dev;
	config.space = rig.space;
	assert_int_equal(db_msi_create(&config, &rig.msi), 0);
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA), 0);
	vector = (struct db_msi_vector){ GIOVA + 0x1000, rig_fd(&rig, 0) };
	assert_int_equal(set_with_failures(&rig, 1, &vector, 0x1), -EIO);
	rig.hw->expect = GIOVA;
	mock_raise(rig.mock, rig.hw, 0);
	assert_int_equal(rig_take(&rig, 0), 1);
	rig_close(&rig);
}

static void one_of_a_capability(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_NATIVE,
					.kind = DB_MSIX,
					.doorbell_ipa = 0x20090000 };
	struct db_msi *second;
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	rig.hw->msi = 4;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	config.dev = rig.dev;
	config.space = rig.space;
	assert_int_equal(db_msi_create(&config, &second), -EBUSY);
	assert_message_has("a db_msi for the MSI-X of 0000:01:00.0");
	config.kind = DB_MSI;
	assert_int_equal(db_msi_create(&config, &second), 0);
	db_msi_destroy(second);
	config.kind = 2;
	assert_int_equal(db_msi_create(&config, &second), -EINVAL);
	config.kind = DB_MSIX;
	db_msi_destroy(rig.msi);
	rig.msi = NULL;
	/* The doorbell is mapped somewhere in mode native only. */
	config.space = NULL;
	assert_int_equal(db_msi_create(&config, &second), -EINVAL);
	assert_message_has("db_space_adopt()");
	config.mode = DB_MODE_AUTO;
	config.doorbell_ipa = MOCK_WINDOW;
	assert_int_equal(db_msi_create(&config, &second), 0);
	assert_int_equal(db_msi_mode(second), DB_MODE_STOCK);
	db_msi_destroy(second);
	config.mode = DB_MODE_NATIVE;
	config.space = rig.space;
	config.doorbell_ipa = 0x20090000;
	assert_int_equal(db_msi_create(&config, &rig.msi), 0);
	rig_close(&rig);
}

/* Where masks are kept by an eventfd of the library's: without one no vector is armed. */
static void no_collector(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.hw->mappable = false;
	rig_open(&rig);
	rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
	rig_fd(&rig, 0);
	no_eventfds = true;
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA), -EMFILE);
	no_eventfds = false;
	assert_message_has("masked state of vector 0");
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA), 0);
	rig_close(&rig);
}

static void no_probe(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_STOCK,
					.kind = DB_MSIX,
					.doorbell_ipa = MOCK_WINDOW };
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.mock->native = false;
	rig_open(&rig);
	config.dev = rig.dev;
	config.space = rig.space;
	no_eventfds = true;
	assert_int_equal(db_msi_create(&config, &rig.msi), -EMFILE);
	no_eventfds = false;
	assert_message_has("eventfd");
	rig_close(&rig);
}

/* A masked vector gets another message, and the device has gone in between: an error, and the
 * vectors as they were or disarmed. */
static void gone_while_masked(void **state)
{
	unsigned int errors = 0;

	(void)state;
	for (unsigned int n = 1; n < 30; n++) {
		struct db_vmsix *vmsix;
		struct rig rig = { 0 };

		rig_open(&rig);
		rig_msi(&rig, DB_MODE_NATIVE, DB_MSIX);
		assert_int_equal(db_vmsix_create(rig.msi, &ops, &rig, &vmsix), 0);
		assert_int_equal(db_vmsix_control_write(vmsix, 0x8000), 0);
		assert_int_equal(db_vmsix_table_write(vmsix, 0, 8, GIOVA), 0);
		assert_int_equal(db_vmsix_table_write(vmsix, 8, 8, 1), 0);
		assert_int_equal(db_vmsix_table_write(vmsix, 12, 4, 1), 0);
		assert_int_equal(db_vmsix_table_write(vmsix, 0, 8, GIOVA + 0x1000), 0);
		fail_in(&rig, n, -EIO);
		errors += db_vmsix_table_write(vmsix, 12, 4, 0) != 0;
		rig.mock->fail_call = 0;
		db_vmsix_destroy(vmsix);
		rig_close(&rig);
	}
	assert_true(errors);
}

/* Fall-through writes the address into the MSI capability, which the device may not take. */
static void capability_not_written(void **state)
{
	struct db_msi_config config = {
		.size = sizeof(config),
		.mode = DB_MODE_NATIVE,
		.kind = DB_MSI,
		.doorbell_ipa = VITS_IPA,
		.fall_through = true,
	};
	struct db_msi_vector vector = { .address = 0xfffff040 };
	unsigned int errors = 0;

	(void)state;
	for (unsigned int n = 1; n < 12; n++) {
		struct rig rig;

		rig_init(&rig);
		rig.hw->msi = 4;
		rig_open(&rig);
		config.dev = rig.dev;
		config.space = rig.space;
		assert_int_equal(db_msi_create(&config, &rig.msi), 0);
		vector.eventfd = rig_fd(&rig, 0);
		fail_in(&rig, n, -EIO);
		errors += db_msi_set(rig.msi, 0, 1, &vector) != 0;
		rig.mock->fail_call = 0;
		rig_close(&rig);
	}
	assert_true(errors);
}

/* --- Spaces and vIOMMUs --- */

static char memory[4096] __attribute__((aligned(4096)));

static void say_memlock(struct rig *rig, uint64_t len, const char *says)
{
	mock_fail(rig->mock, IOMMU_IOAS_MAP, -ENOMEM, 0);
	assert_int_equal(db_space_map(rig->space, 0x40000000, memory, len, DB_READ), -ENOMEM);
	assert_message_has(says);
}

/* Of this thread. */
static void lock_freely(bool may)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	assert_int_equal(syscall(SYS_capget, &head, caps), 0);
	if (may)
		caps[0].effective |= caps[0].permitted & (1u << CAP_IPC_LOCK);
	else
		caps[0].effective &= ~(1u << CAP_IPC_LOCK);
	assert_int_equal(syscall(SYS_capset, &head, caps), 0);
}

static bool locks_freely(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	assert_int_equal(syscall(SYS_capget, &head, caps), 0);
	return caps[0].effective >> CAP_IPC_LOCK & 1;
}

/* The limit is to blame where it is one for this process, and this is more. */
static void memlock_told(void **state)
{
	struct rlimit before, limit;
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	limit = (struct rlimit){ 1 << 20, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	lock_freely(false);
	say_memlock(&rig, 2 << 20, "2 MiB: the limit of locked memory is 1 MiB");
	say_memlock(&rig, 4096, "the host is out of memory, or what else");
	lock_freely(true);
	if (locks_freely())
		say_memlock(&rig, 2 << 20, "2 MiB: the host is out of memory");
	/* Without the right to raise it the limit stays as it is. */
	lock_freely(false);
	limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
	if (!setrlimit(RLIMIT_MEMLOCK, &limit))
		say_memlock(&rig, 2 << 20, "2 MiB: the host is out of memory");
	lock_freely(true);
	setrlimit(RLIMIT_MEMLOCK, &before);
	rig_close(&rig);
}

static void vdevice_refused(void **state)
{
	static const struct {
		int error;
		const char *says;
	} rows[] = { { -EINVAL, "behind another SMMU" },
		     { -EEXIST, "has a vIOMMU" },
		     { -EIO, "cannot add" } };

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rig rig = { 0 };

		rig_open(&rig);
		db_viommu_remove(rig.viommu, rig.dev);
		mock_fail(rig.mock, IOMMU_VDEVICE_ALLOC, rows[i].error, 0);
		assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x10), rows[i].error);
		assert_message_has(rows[i].says);
		assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x10), 0);
		rig_close(&rig);
	}
}

/* StreamIDs that share a bucket of the table are told apart. */
static void stream_ids_collide(void **state)
{
	const uint64_t bypass[8] = { 1 | 4 << 1 };
	struct db_device *second;
	struct rig rig = { 0 };
	uint32_t sid;

	(void)state;
	rig_open(&rig);
	assert_int_equal(db_device_open(rig.host, "0000:02:00.0", 0, &second), 0);
	for (sid = 0x11; bucket(sid) != bucket(0x10); sid++)
		;
	assert_int_equal(db_viommu_add(rig.viommu, second, sid), 0);
	assert_int_equal(db_viommu_install_ste(rig.viommu, rig.dev, bypass), 0);
	assert_int_not_equal(rig.mock->device[0].attached, rig.mock->device[1].attached);
	db_viommu_remove(rig.viommu, rig.dev);
	assert_int_equal(db_viommu_install_ste(rig.viommu, second, bypass), 0);
	db_viommu_remove(rig.viommu, second);
	db_device_close(second);
	assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x10), 0);
	rig_close(&rig);
}

/* A second vIOMMU on a nest parent that is there: its own refusal is told, too. */
static void second_viommu_refused(void **state)
{
	struct rig rig = { 0 };
	struct db_viommu *second;

	(void)state;
	rig_open(&rig);
	mock_fail(rig.mock, IOMMU_VIOMMU_ALLOC, -ENOSPC, 0);
	assert_int_equal(db_viommu_create(rig.space, rig.dev, &second), -ENOSPC);
	assert_message_has("cannot make a vIOMMU");
	rig_close(&rig);
}

/* The kernel has one stage 1 for a group: the second device would get the first one's STE. */
static void group_refused(void **state)
{
	struct db_device *second;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.mock->device[1].group = rig.mock->device[0].group;
	rig_open(&rig);
	assert_int_equal(db_device_open(rig.host, "0000:02:00.0", 0, &second), 0);
	assert_int_equal(db_viommu_add(rig.viommu, second, 0x20), -EOPNOTSUPP);
	assert_message_has("0000:02:00.0 shares IOMMU group 10 with 0000:01:00.0");
	db_viommu_remove(rig.viommu, rig.dev);
	assert_int_equal(db_viommu_add(rig.viommu, second, 0x20), 0);
	assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x10), -EOPNOTSUPP);
	db_viommu_remove(rig.viommu, second);
	db_device_close(second);
	assert_int_equal(db_viommu_add(rig.viommu, rig.dev, 0x10), 0);
	rig_close(&rig);
}

/* --- Mode auto --- */

/*
 * Native first; stock where something stands in native's way; an answer for each when neither fits.
 */
static void auto_tries_stock(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_AUTO, .kind = DB_MSIX };
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	config.dev = rig.dev;
	config.space = rig.space;

	/* The window cannot be mapped to, and is where stock wants it. */
	config.doorbell_ipa = MOCK_WINDOW;
	mock_fail(rig.mock, IOMMU_IOAS_MAP_MSI, -EADDRINUSE, 0);
	assert_int_equal(db_msi_create(&config, &rig.msi), 0);
	assert_int_equal(db_msi_mode(rig.msi), DB_MODE_STOCK);
	assert_int_equal(rig_set(&rig, 0, 1, GIOVA), 0);
	db_msi_destroy(rig.msi);
	rig.msi = NULL;

	/* Neither. Not rmr either: nobody told the guest. */
	config.doorbell_ipa = 0x20090000;
	mock_fail(rig.mock, IOMMU_IOAS_MAP_MSI, -EADDRINUSE, 0);
	assert_int_equal(db_msi_create(&config, &rig.msi), -EADDRINUSE);
	assert_message_has("no mode fits 0000:01:00.0: native: ");
	assert_message_has("stock: ");
	assert_message_has("vITS base 0x7ff0000");
	config.kind = DB_MSI;
	mock_fail(rig.mock, IOMMU_IOAS_MAP_MSI, -EADDRINUSE, 0);
	assert_int_equal(db_msi_create(&config, &rig.msi), -EADDRINUSE);
	assert_message_has("stock: is for MSI-X only");
	config.kind = DB_MSIX;

	/* Mapped already where this is to go, and there is no table for stock to write to. */
	rig_close(&rig);
	rig = (struct rig){ 0 };
	rig_init(&rig);
	rig.hw->mappable = false;
	rig_open(&rig);
	config.dev = rig.dev;
	config.space = rig.space;
	mock_fail(rig.mock, IOMMU_IOAS_MAP_MSI, -EADDRINUSE, 0);
	assert_int_equal(db_msi_create(&config, &rig.msi), -EADDRINUSE);
	assert_message_has("stock: BAR 0");

	/* What is wrong with the host is not about the layout. */
	mock_fail(rig.mock, IOMMU_IOAS_MAP_MSI, -ENOMEM, 0);
	assert_int_equal(db_msi_create(&config, &rig.msi), -ENOMEM);
	rig.msi = NULL;
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_permission),
		cmocka_unit_test(info_refused),
		cmocka_unit_test(msix_in_no_bar),
		cmocka_unit_test(config_write_refused),
		cmocka_unit_test(no_reserved_regions),
		cmocka_unit_test(arming_refused),
		cmocka_unit_test(message_and_eventfd_change_together),
		cmocka_unit_test(nothing_can_be_put_back),
		cmocka_unit_test(address_not_put_back),
		cmocka_unit_test(table_put_back),
		cmocka_unit_test(one_of_a_capability),
		cmocka_unit_test(no_collector),
		cmocka_unit_test(no_probe),
		cmocka_unit_test(gone_while_masked),
		cmocka_unit_test(capability_not_written),
		cmocka_unit_test(memlock_told),
		cmocka_unit_test(vdevice_refused),
		cmocka_unit_test(stream_ids_collide),
		cmocka_unit_test(second_viommu_refused),
		cmocka_unit_test(group_refused),
		cmocka_unit_test(auto_tries_stock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
