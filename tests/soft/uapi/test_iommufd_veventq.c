/* SPDX-License-Identifier: BSD-2-Clause */
/* Event queues of a vIOMMU: which events a guest hears of, and how they are read. */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>

#define GIOVA 0x7000000000ull
#define HEADER sizeof(struct iommufd_vevent_header)
#define FULL (HEADER + sizeof(struct iommu_vevent_arm_smmuv3))

struct event {
	struct iommufd_vevent_header header;
	struct iommu_vevent_arm_smmuv3 data;
};

static int veventq(struct fx *fx, uint32_t viommu, uint32_t depth, uint32_t *id, int *fd)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = depth,
	};
	int rc = fx_ioctl(fx, IOMMU_VEVENTQ_ALLOC, &arg);

	*id = arg.out_veventq_id;
	*fd = (int)arg.out_veventq_fd;
	return rc;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

static ssize_t get(struct fx *fx, int fd, void *buf, size_t len)
{
	return fx->sys->ops->read(fx->sys, fd, buf, len);
}

static void requests(void **state)
{
	struct iommu_veventq_alloc arg;
	uint32_t id, again;
	struct guest g;
	struct fx fx;
	int fd, fd2;

	(void)state;
	guest_boot(&g, &fx);
	arg = (struct iommu_veventq_alloc){ .size = sizeof(arg),
					    .viommu_id = g.viommu,
					    .veventq_depth = 4 };
	assert_int_equal(fx_ioctl(&fx, IOMMU_VEVENTQ_ALLOC, &arg), -EOPNOTSUPP);
	arg.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3;
	arg.flags = 1;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VEVENTQ_ALLOC, &arg), -EOPNOTSUPP);
	arg.flags = 0;
	arg.__reserved = 1;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VEVENTQ_ALLOC, &arg), -EOPNOTSUPP);
	assert_int_equal(veventq(&fx, g.viommu, 0, &id, &fd), -EINVAL);
	assert_int_equal(veventq(&fx, g.viommu, (1 << 19) + 1, &id, &fd), -EINVAL);
	assert_int_equal(veventq(&fx, 999, 4, &id, &fd), -ENOENT);
	assert_int_equal(veventq(&fx, g.viommu, 4, &id, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(veventq(&fx, g.viommu, 4, &again, &fd2), -EEXIST);
	/* The open file keeps it, it keeps the vIOMMU. */
	assert_int_equal(fx_destroy(&fx, id), -EBUSY);
	assert_int_equal(fx_destroy(&fx, g.viommu), -EBUSY);
	assert_int_equal(fx.sys->ops->close(fx.sys, fd), 0);
	assert_int_equal(fx_destroy(&fx, id), 0);
	assert_int_equal(veventq(&fx, g.viommu, 4, &id, &fd), 0);
	/* The other way round: the iommufd first. */
	fx_unbind(&fx, 1);
	assert_int_equal(fx.sys->ops->close(fx.sys, fx.fd), 0);
	fx.fd = -1;
	assert_int_equal(get(&fx, fd, &arg, sizeof(arg)), 0);
	assert_int_equal(fx.sys->ops->close(fx.sys, fd), 0);
	fx_stop(&fx);
}

static void reports(void **state)
{
	struct event e[3];
	uint32_t id;
	struct guest g;
	struct fx fx;
	int fd;

	(void)state;
	guest_boot(&g, &fx);
	assert_int_equal(veventq(&fx, g.viommu, 16, &id, &fd), 0);
	assert_false(readable(fd));
	assert_int_equal(get(&fx, fd, e, sizeof(e)), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + 0x123, true, NULL), -EFAULT);
	assert_true(readable(fd));
	assert_int_equal(get(&fx, fd, e, HEADER - 1), -EINVAL);
	assert_int_equal(get(&fx, fd, e, FULL - 1), -EINVAL);
	assert_int_equal(get(&fx, fd, e, sizeof(e)), FULL);
	assert_int_equal(e[0].header.flags, 0);
	assert_int_equal(e[0].header.sequence, 0);
	assert_int_equal(FIELD_GET64(SMMU_EVT_0_ID, le64toh(e[0].data.evt[0])),
			 SMMU_EVT_F_TRANSLATION);
	assert_int_equal(FIELD_GET64(SMMU_EVT_0_SID, le64toh(e[0].data.evt[0])), GUEST_VSID);
	assert_false(le64toh(e[0].data.evt[1]) & SMMU_EVT_1_RNW);
	assert_int_equal(le64toh(e[0].data.evt[2]), GIOVA + 0x123);
	assert_false(readable(fd));
	assert_int_equal(get(&fx, fd, e, sizeof(e)), 0);
	/* Stage 2 is the host's own affair. */
	guest_map(&g, GIOVA, 0x123000, 0x1000);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, NULL), -EFAULT);
	assert_int_equal(get(&fx, fd, e, sizeof(e)), 0);
	/* And so is a device that is not this guest's any more. */
	assert_int_equal(fx_attach(&fx, 1, g.parent), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, NULL), -EFAULT);
	assert_int_equal(get(&fx, fd, e, sizeof(e)), 0);
	assert_int_equal(fx_attach(&fx, 1, g.nested), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x5000, false, NULL), -EFAULT);
	assert_int_equal(get(&fx, fd, e, sizeof(e)), FULL);
	assert_int_equal(e[0].header.sequence, 1);
	assert_true(le64toh(e[0].data.evt[1]) & SMMU_EVT_1_RNW);
	/* As many whole ones as fit. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(fx_translate(&fx, 1, 0x5000 + 0x1000 * i, false, NULL), -EFAULT);
	assert_int_equal(get(&fx, fd, e, 2 * FULL + 17), 2 * FULL);
	assert_int_equal(e[1].header.sequence, 3);
	assert_true(readable(fd));
	assert_int_equal(get(&fx, fd, e, sizeof(e)), 3 * FULL);
	assert_false(readable(fd));
	assert_int_equal(fx.sys->ops->close(fx.sys, fd), 0);
	fx_stop(&fx);
}

/* Configuration that is wrong, in the guest's own memory. */
static void configuration_events(void **state)
{
	struct event e;
	uint32_t id;
	struct guest g;
	struct fx fx;
	int fd;

	(void)state;
	guest_boot(&g, &fx);
	assert_int_equal(veventq(&fx, g.viommu, 16, &id, &fd), 0);
	memset(stage1_at(&g.s1, g.s1.cd), 0, 64);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, NULL), -EFAULT);
	assert_int_equal(get(&fx, fd, &e, sizeof(e)), FULL);
	assert_int_equal(FIELD_GET64(SMMU_EVT_0_ID, le64toh(e.data.evt[0])), SMMU_EVT_C_BAD_CD);
	assert_int_equal(FIELD_GET64(SMMU_EVT_0_SID, le64toh(e.data.evt[0])), GUEST_VSID);
	assert_int_equal(fx.sys->ops->close(fx.sys, fd), 0);
	fx_stop(&fx);
}

static void overflow(void **state)
{
	struct event e[8];
	uint32_t id;
	struct guest g;
	struct fx fx;
	int fd;

	(void)state;
	guest_boot(&g, &fx);
	assert_int_equal(veventq(&fx, g.viommu, 3, &id, &fd), 0);
	for (int i = 0; i < 7; i++)
		assert_int_equal(fx_translate(&fx, 1, 0x5000, false, NULL), -EFAULT);
	/* Three, then word that the newest, number 6, was lost. */
	assert_int_equal(get(&fx, fd, e, sizeof(e)), 3 * FULL + HEADER);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(e[i].header.flags, 0);
		assert_int_equal(e[i].header.sequence, i);
	}
	assert_int_equal(e[3].header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(e[3].header.sequence, 6);
	assert_false(readable(fd));
	/* Lost between: the sequence tells, and no header stands for it. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(fx_translate(&fx, 1, 0x5000, false, NULL), -EFAULT);
	assert_int_equal(get(&fx, fd, e, FULL), FULL);
	assert_int_equal(e[0].header.sequence, 7);
	assert_int_equal(fx_translate(&fx, 1, 0x5000, false, NULL), -EFAULT);
	assert_int_equal(get(&fx, fd, e, sizeof(e)), 3 * FULL);
	assert_int_equal(e[0].header.sequence, 8);
	assert_int_equal(e[1].header.sequence, 9);
	assert_int_equal(e[2].header.sequence, 12);
	assert_int_equal(e[2].header.flags, 0);
	/* The header alone fits into what is left. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(fx_translate(&fx, 1, 0x5000, false, NULL), -EFAULT);
	assert_int_equal(get(&fx, fd, e, 3 * FULL), 3 * FULL);
	assert_true(readable(fd));
	assert_int_equal(get(&fx, fd, e, HEADER), HEADER);
	assert_int_equal(e[0].header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(e[0].header.sequence, 16);
	assert_int_equal(get(&fx, fd, e, sizeof(e)), 0);
	assert_int_equal(fx.sys->ops->close(fx.sys, fd), 0);
	fx_stop(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(reports),
		cmocka_unit_test(configuration_events),
		cmocka_unit_test(overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
