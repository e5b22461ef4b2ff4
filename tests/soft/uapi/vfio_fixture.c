/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/vfio_fixture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <doorbell/error.h>

#define REGION(index) ((uint64_t)(index) << 40)

int fixture_ioctl(struct fixture *f, int fd, unsigned long request, void *arg)
{
	return f->sys->ops->ioctl(f->sys, fd, request, arg);
}

void fixture_create(struct fixture *f, const char *machine)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.iova = FIXTURE_IOVA,
		.length = FIXTURE_MEMORY,
	};

	memset(f, 0, sizeof(*f));
	if (db_soft_host_create(machine, machine ? strlen(machine) : 0, &f->sys))
		fail_msg("%s", db_error_message());
	f->host = (struct soft_host *)f->sys;
	f->iommufd = f->sys->ops->open(f->sys, "/dev/iommu", O_RDWR);
	assert_true(f->iommufd >= 0);
	assert_int_equal(fixture_ioctl(f, f->iommufd, IOMMU_IOAS_ALLOC, &alloc), 0);
	f->ioas = alloc.out_ioas_id;

	/* for all page sizes of the host */
	f->memory = aligned_alloc(FIXTURE_MEMORY, FIXTURE_MEMORY);
	assert_non_null(f->memory);
	memset(f->memory, 0, FIXTURE_MEMORY);
	map.ioas_id = f->ioas;
	map.user_va = (uintptr_t)f->memory;
	assert_int_equal(fixture_ioctl(f, f->iommufd, IOMMU_IOAS_MAP, &map), 0);
}

void fixture_destroy(struct fixture *f)
{
	f->sys->ops->close(f->sys, f->iommufd);
	f->sys->ops->release(f->sys);
	free(f->memory);
}

void device_open(struct fixture *f, const char *address, struct fixture_device *dev)
{
	char path[64];

	dev->f = f;
	dev->soft = soft_host_find(f->host, address);
	assert_non_null(dev->soft);
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", dev->soft->index);
	dev->fd = f->sys->ops->open(f->sys, path, O_RDWR);
	assert_true(dev->fd >= 0);
}

void device_bind(struct fixture_device *dev)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind),
						 .iommufd = dev->f->iommufd };

	assert_int_equal(device_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	dev->id = bind.out_devid;
	assert_int_not_equal(dev->id, 0);
}

int device_attach(struct fixture_device *dev, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = pt };

	return device_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

void device_close(struct fixture_device *dev)
{
	assert_int_equal(dev->f->sys->ops->close(dev->f->sys, dev->fd), 0);
	dev->fd = -1;
}

void device_start(struct fixture *f, const char *address, struct fixture_device *dev)
{
	device_open(f, address, dev);
	device_bind(dev);
	assert_int_equal(device_attach(dev, f->ioas), 0);
	set_bus_master(dev);
}

int device_ioctl(struct fixture_device *dev, unsigned long request, void *arg)
{
	return fixture_ioctl(dev->f, dev->fd, request, arg);
}

int set_irqs(struct fixture_device *dev, uint32_t flags, uint32_t index, uint32_t start,
	     uint32_t count, const void *data, size_t size)
{
	struct vfio_irq_set *set = calloc(1, offsetof(struct vfio_irq_set, data) + size);
	int ret;

	assert_non_null(set);
	set->argsz = (uint32_t)(offsetof(struct vfio_irq_set, data) + size);
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (size)
		memcpy(set->data, data, size);
	ret = device_ioctl(dev, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return ret;
}

int arm(struct fixture_device *dev, uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	return set_irqs(dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, start,
			count, fds, count * sizeof(*fds));
}

int disarm_all(struct fixture_device *dev, uint32_t index)
{
	return set_irqs(dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0,
			NULL, 0);
}

static uint32_t alloc_hwpt(struct fixture_device *dev, uint32_t pt, uint32_t flags,
			   struct iommu_hwpt_arm_smmuv3 *ste)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc), .flags = flags, .dev_id = dev->id, .pt_id = pt,
		.data_type = ste ? IOMMU_HWPT_DATA_ARM_SMMUV3 : IOMMU_HWPT_DATA_NONE,
		.data_len = ste ? sizeof(*ste) : 0, .data_uptr = (uintptr_t)ste,
	};

	assert_int_equal(fixture_ioctl(dev->f, dev->f->iommufd, IOMMU_HWPT_ALLOC, &alloc), 0);
	return alloc.out_hwpt_id;
}

void device_nest(struct fixture_device *dev, uint64_t virt_sid, struct nest *nest)
{
	/* V, Config = bypass */
	struct iommu_hwpt_arm_smmuv3 bypass = { .ste = { htole64(1 | 4 << 1) } };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu),
					     .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
					     .dev_id = dev->id };
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice),
					       .dev_id = dev->id,
					       .virt_id = virt_sid };

	nest->f = dev->f;
	nest->parent = alloc_hwpt(dev, dev->f->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, NULL);
	viommu.hwpt_id = nest->parent;
	assert_int_equal(fixture_ioctl(dev->f, dev->f->iommufd, IOMMU_VIOMMU_ALLOC, &viommu), 0);
	nest->viommu = viommu.out_viommu_id;
	vdevice.viommu_id = nest->viommu;
	assert_int_equal(fixture_ioctl(dev->f, dev->f->iommufd, IOMMU_VDEVICE_ALLOC, &vdevice), 0);
	nest->vdevice = vdevice.out_vdevice_id;
	nest->hwpt = alloc_hwpt(dev, nest->viommu, 0, &bypass);
	assert_int_equal(device_attach(dev, nest->hwpt), 0);
}

/* A vDEVICE may have gone with its device. */
static void destroy(struct fixture *f, uint32_t id, bool may_be_gone)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };
	int ret = fixture_ioctl(f, f->iommufd, IOMMU_DESTROY, &destroy);

	assert_true(!ret || (may_be_gone && ret == -ENOENT));
}

void nest_end(struct nest *nest)
{
	destroy(nest->f, nest->hwpt, false);
	destroy(nest->f, nest->vdevice, true);
	destroy(nest->f, nest->viommu, false);
	destroy(nest->f, nest->parent, false);
}

int get_doorbell(struct fixture_device *dev, struct iommu_get_msi_info *doorbell)
{
	*doorbell = (struct iommu_get_msi_info){ .size = sizeof(*doorbell), .dev_id = dev->id };
	return fixture_ioctl(dev->f, dev->f->iommufd, IOMMU_GET_MSI_INFO, doorbell);
}

int try_map_doorbell(struct fixture_device *dev, uint64_t ipa)
{
	struct iommu_ioas_map_msi map = {
		.size = sizeof(map), .ioas_id = dev->f->ioas, .dev_id = dev->id, .iova = ipa
	};
	int ret = fixture_ioctl(dev->f, dev->f->iommufd, IOMMU_IOAS_MAP_MSI, &map);

	if (!ret)
		assert_int_equal(map.out_length, soft_host_page_size(dev->f->host));
	return ret;
}

void map_doorbell(struct fixture_device *dev, uint64_t ipa)
{
	assert_int_equal(try_map_doorbell(dev, ipa), 0);
}

int set_window(struct fixture_device *dev, uint32_t option, uint64_t mib)
{
	struct iommu_option set = { .size = sizeof(set),
				    .option_id = option,
				    .op = IOMMU_OPTION_OP_SET,
				    .object_id = dev->id,
				    .val64 = mib };

	return fixture_ioctl(dev->f, dev->f->iommufd, IOMMU_OPTION, &set);
}

void drop_window(struct fixture_device *dev)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	assert_int_equal(device_ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	assert_int_equal(set_window(dev, IOMMU_OPTION_SW_MSI_SIZE, 0), 0);
	assert_int_equal(device_attach(dev, dev->f->ioas), 0);
}

void unmap(struct fixture *f, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = f->ioas, .iova = iova, .length = length
	};

	assert_int_equal(fixture_ioctl(f, f->iommufd, IOMMU_IOAS_UNMAP, &unmap), 0);
}

int prepare(struct fixture_device *dev, uint32_t index, uint32_t start, uint32_t count,
	    const uint64_t *iova)
{
	const size_t head = offsetof(struct vfio_irq_set_msi_iova, iova) -
			    offsetof(struct vfio_irq_set, data);
	size_t size = head + count * sizeof(*iova);
	uint8_t *data = calloc(1, size);
	int ret;

	assert_non_null(data);
	memcpy(data + head, iova, count * sizeof(*iova));
	ret = set_irqs(dev, VFIO_IRQ_SET_DATA_MSI_IOVA | VFIO_IRQ_SET_ACTION_PREPARE, index, start,
		       count, data, size);
	free(data);
	return ret;
}

void set_power(struct fixture_device *dev, unsigned int state)
{
	config_set(dev, find_cap(dev, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2, state);
}

uint32_t config_get(struct fixture_device *dev, unsigned int off, unsigned int size)
{
	uint32_t value = 0;

	assert_int_equal(dev->f->sys->ops->pread(dev->f->sys, dev->fd, &value, size,
						 REGION(VFIO_PCI_CONFIG_REGION_INDEX) + off),
			 size);
	return value;
}

void config_set(struct fixture_device *dev, unsigned int off, unsigned int size, uint32_t value)
{
	assert_int_equal(dev->f->sys->ops->pwrite(dev->f->sys, dev->fd, &value, size,
						  REGION(VFIO_PCI_CONFIG_REGION_INDEX) + off),
			 size);
}

uint32_t bar_get(struct fixture_device *dev, unsigned int bar, uint64_t off)
{
	uint32_t value = 0;

	assert_int_equal(dev->f->sys->ops->pread(dev->f->sys, dev->fd, &value, sizeof(value),
						 REGION(bar) + off),
			 sizeof(value));
	return value;
}

void bar_set(struct fixture_device *dev, unsigned int bar, uint64_t off, uint32_t value)
{
	assert_int_equal(dev->f->sys->ops->pwrite(dev->f->sys, dev->fd, &value, sizeof(value),
						  REGION(bar) + off),
			 sizeof(value));
}

void set_bus_master(struct fixture_device *dev)
{
	config_set(dev, PCI_COMMAND, 2, config_get(dev, PCI_COMMAND, 2) | PCI_COMMAND_MASTER);
}

unsigned int find_cap(struct fixture_device *dev, uint8_t id)
{
	unsigned int cap = config_get(dev, PCI_CAPABILITY_LIST, 1);

	for (unsigned int bound = 0; cap && bound < 48; bound++) {
		if (config_get(dev, cap, 1) == id)
			return cap;
		cap = config_get(dev, cap + PCI_CAP_LIST_NEXT, 1);
	}
	return 0;
}

static uint32_t msix_entry(struct fixture_device *dev, unsigned int vector, unsigned int reg)
{
	const struct pci_shape *shape = pci_dev_shape(dev->soft->pci);

	return (uint32_t)pci_bar_read(dev->soft->pci, shape->msix_bar,
				      shape->msix_table_off + vector * PCI_MSIX_ENTRY_SIZE + reg,
				      4);
}

uint64_t msix_address(struct fixture_device *dev, unsigned int vector)
{
	return msix_entry(dev, vector, PCI_MSIX_ENTRY_LOWER_ADDR) |
	       (uint64_t)msix_entry(dev, vector, PCI_MSIX_ENTRY_UPPER_ADDR) << 32;
}

uint32_t msix_data(struct fixture_device *dev, unsigned int vector)
{
	return msix_entry(dev, vector, PCI_MSIX_ENTRY_DATA);
}

bool msix_masked(struct fixture_device *dev, unsigned int vector)
{
	return msix_entry(dev, vector, PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

int new_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

uint64_t take(int eventfd)
{
	uint64_t count = 0;

	if (read(eventfd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}
