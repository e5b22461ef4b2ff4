/* SPDX-License-Identifier: BSD-2-Clause */
#include "iommufd_fixture.h"

#include <sys/mman.h>

#include "arm/smmu.h"
#include "soft/alloc.h"
#include "soft/hw/rcu.h"
#include "soft/hw/smmu_dev.h"
#include "soft/uapi/iommufd_private.h"

const char fx_machine[] =
	"kernel doorbell\n"
	"smmu\n"
	"smmu\n"
	"its its base=0x08080000\n"
	"its its base=0x080a0000\n"
	"device 0000:01:00.0 bell vectors=64 group=7\n"
	"device 0000:02:00.0 bell vectors=64\n"
	"device 0000:03:00.0 bell vectors=64 smmu=1 its=1\n"
	"device 0000:01:00.1 bell vectors=64 group=7\n";

static long live_before;

void fx_start(struct fx *fx, const char *text)
{
	const char *machine = text ? text : fx_machine;

	*fx = (struct fx){ 0 };
	live_before = soft_alloc_live();
	assert_int_equal(db_soft_host_create(machine, strlen(machine), &fx->sys), 0);
	fx->host = (struct soft_host *)fx->sys;
	fx->fd = fx->sys->ops->open(fx->sys, "/dev/iommu", 2);
	assert_true(fx->fd >= 0);
}

void fx_stop(struct fx *fx)
{
	for (unsigned int i = 0; i < FX_DEVICES; i++)
		if (fx->idev[i])
			fx_unbind(fx, i);
	if (fx->fd >= 0)
		assert_int_equal(fx->sys->ops->close(fx->sys, fx->fd), 0);
	for (unsigned int i = 0; i < fx->host->iommufd->n_smmus; i++)
		assert_int_equal(fx->host->iommufd->smmus[i].command_errors, 0);
	assert_int_equal(fx->host->iommufd->pinned, 0);
	fx->sys->ops->release(fx->sys);
	assert_int_equal(soft_alloc_live(), live_before);
}

int fx_bind(struct fx *fx, unsigned int device)
{
	struct iommufd_ctx *ctx;
	int rc = iommufd_ctx_from_fd(fx->host, fx->fd, &ctx);

	assert_int_equal(rc, 0);
	rc = iommufd_device_bind(ctx, &fx->host->devices[device], &fx->idev[device],
				 &fx->dev_id[device]);
	if (rc)
		fx->idev[device] = NULL;
	iommufd_ctx_put(ctx);
	return rc;
}

void fx_bind_ok(struct fx *fx, unsigned int device)
{
	assert_int_equal(fx_bind(fx, device), 0);
}

void fx_unbind(struct fx *fx, unsigned int device)
{
	iommufd_device_unbind(fx->idev[device]);
	fx->idev[device] = NULL;
}

int fx_ioctl(struct fx *fx, unsigned long request, void *arg)
{
	return fx->sys->ops->ioctl(fx->sys, fx->fd, request, arg);
}

int fx_destroy(struct fx *fx, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return fx_ioctl(fx, IOMMU_DESTROY, &arg);
}

uint32_t fx_ioas_ok(struct fx *fx)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };

	assert_int_equal(fx_ioctl(fx, IOMMU_IOAS_ALLOC, &arg), 0);
	assert_int_not_equal(arg.out_ioas_id, 0);
	return arg.out_ioas_id;
}

int fx_map(struct fx *fx, uint32_t ioas, void *va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return fx_ioctl(fx, IOMMU_IOAS_MAP, &arg);
}

int fx_unmap(struct fx *fx, uint32_t ioas, uint64_t iova, uint64_t length, uint64_t *unmapped)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg), .ioas_id = ioas, .iova = iova, .length = length
	};
	int rc = fx_ioctl(fx, IOMMU_IOAS_UNMAP, &arg);

	if (unmapped)
		*unmapped = arg.length;
	return rc;
}

int fx_map_doorbell(struct fx *fx, unsigned int device, uint32_t ioas, uint64_t iova)
{
	struct iommu_ioas_map_msi arg = {
		.size = sizeof(arg), .ioas_id = ioas, .dev_id = fx->dev_id[device], .iova = iova
	};

	return fx_ioctl(fx, IOMMU_IOAS_MAP_MSI, &arg);
}

int fx_hwpt(struct fx *fx, unsigned int device, uint32_t pt, uint32_t flags, uint32_t *out)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg), .flags = flags, .dev_id = fx->dev_id[device], .pt_id = pt
	};
	int rc = fx_ioctl(fx, IOMMU_HWPT_ALLOC, &arg);

	*out = arg.out_hwpt_id;
	return rc;
}

int fx_viommu(struct fx *fx, unsigned int device, uint32_t hwpt, uint32_t *out)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = fx->dev_id[device],
		.hwpt_id = hwpt,
	};
	int rc = fx_ioctl(fx, IOMMU_VIOMMU_ALLOC, &arg);

	*out = arg.out_viommu_id;
	return rc;
}

int fx_vdevice(struct fx *fx, unsigned int device, uint32_t viommu, uint64_t virt_id, uint32_t *out)
{
	struct iommu_vdevice_alloc arg = { .size = sizeof(arg),
					   .viommu_id = viommu,
					   .dev_id = fx->dev_id[device],
					   .virt_id = virt_id };
	int rc = fx_ioctl(fx, IOMMU_VDEVICE_ALLOC, &arg);

	*out = arg.out_vdevice_id;
	return rc;
}

int fx_nested(struct fx *fx, unsigned int device, uint32_t viommu, uint64_t ste0, uint64_t ste1,
	      uint32_t *out)
{
	struct iommu_hwpt_arm_smmuv3 data = { .ste = { htole64(ste0), htole64(ste1) } };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.dev_id = fx->dev_id[device],
		.pt_id = viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = fx_ioctl(fx, IOMMU_HWPT_ALLOC, &arg);

	*out = arg.out_hwpt_id;
	return rc;
}

int fx_attach(struct fx *fx, unsigned int device, uint32_t pt)
{
	return iommufd_device_attach(fx->idev[device], &pt);
}

int fx_translate(struct fx *fx, unsigned int device, uint64_t addr, bool write, uint64_t *pa)
{
	const struct machine_device *desc = fx->host->devices[device].desc;
	const struct smmu_txn txn = { .sid = desc->sid,
				      .access = write ? SMMU_WRITE : SMMU_READ,
				      .addr = addr };
	struct smmu_result res;
	int rc;

	hw_read_lock();
	rc = smmu_dev_translate(fx->host->smmus[desc->smmu], &txn, &res);
	hw_read_unlock();
	if (!rc && pa)
		*pa = res.pa;
	return rc;
}

void *fx_memory(size_t size)
{
	/* Aligned, so that blocks can map it. */
	size_t align = 2ul << 20;
	uint8_t *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(p != MAP_FAILED);
	return (void *)(((uintptr_t)p + align - 1) & ~(align - 1));
}
