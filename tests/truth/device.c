/* SPDX-License-Identifier: BSD-2-Clause */
/* The device before and after it is bound, and what it says of itself. */
#include "truth.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define COMMAND 0x04
#define COMMAND_MASTER 4
#define COMMAND_MEMORY_MASTER 6
#define CAP_POINTER 0x34
#define CAP_PM 0x01
#define CAP_MSIX 0x11
#define PM_CONTROL 4

static void read_config(struct truth *t, unsigned int offset, void *buf, unsigned int len)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX };

	must(call(t, t->fd, VFIO_DEVICE_GET_REGION_INFO, &info), "config space");
	must(t->sys->ops->pread(t->sys, t->fd, buf, len, info.offset + offset), "config space");
}

static void write_config(struct truth *t, unsigned int offset, const void *buf, unsigned int len)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX };

	must(call(t, t->fd, VFIO_DEVICE_GET_REGION_INFO, &info), "config space");
	must(t->sys->ops->pwrite(t->sys, t->fd, buf, len, info.offset + offset), "config space");
}

/* Where a capability is; @cap receives its first 12 bytes. */
static unsigned int find_cap(struct truth *t, uint8_t id, uint8_t cap[12])
{
	uint8_t pos;

	read_config(t, CAP_POINTER, &pos, 1);
	while (pos) {
		read_config(t, pos, cap, 12);
		if (cap[0] == id)
			break;
		pos = cap[1];
	}
	must(pos ? 0 : -1, "finding a capability");
	return pos;
}

void set_power(struct truth *t, unsigned int state)
{
	uint8_t cap[12];
	unsigned int pos = find_cap(t, CAP_PM, cap);
	uint16_t control = (cap[PM_CONTROL] & ~3u) | state | cap[PM_CONTROL + 1] << 8;

	write_config(t, pos + PM_CONTROL, &control, sizeof(control));
}

void set_memory(struct truth *t, bool on)
{
	uint16_t command = on ? COMMAND_MEMORY_MASTER : COMMAND_MASTER;

	write_config(t, COMMAND, &command, sizeof(command));
}

static int bind_device(struct truth *t)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = t->iommufd };
	int ret = call(t, t->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	t->dev_id = bind.out_devid;
	return ret;
}

void ask_unbound(struct truth *t)
{
	ASK_VFIO(t, "unbound.info", VFIO_DEVICE_GET_INFO, vfio_device_info, .flags = 0);
	ASK_VFIO(t, "unbound.region", VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, .index = 0);
	ASK_VFIO(t, "unbound.attach", VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, .pt_id = NO_ID);
	ASK_VFIO(t, "unbound.feature", VFIO_DEVICE_FEATURE, vfio_device_feature, .flags = VFIO_DEVICE_FEATURE_GET);
	ASK(t, "bind.short", t->fd, VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, .argsz = 8, .iommufd = t->iommufd);
	ASK_VFIO(t, "bind.flags", VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, .flags = 1u << 31, .iommufd = t->iommufd);
	ASK_VFIO(t, "bind.no_fd", VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, .iommufd = -1);
	ASK_VFIO(t, "bind.other_file", VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, .iommufd = t->fd);
	must(answer("bind", bind_device(t)), "binding");
	ASK_VFIO(t, "bind.again", VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, .iommufd = t->iommufd);
}

static void ask_irqs(struct truth *t)
{
	struct vfio_irq_info info;
	char key[32];
	unsigned int i;
	int ret;

	for (i = 0; i <= VFIO_PCI_NUM_IRQS; i++) {
		info = (struct vfio_irq_info){ .argsz = sizeof(info), .index = i };
		snprintf(key, sizeof(key), "irq.%u", i);
		ret = call(t, t->fd, VFIO_DEVICE_GET_IRQ_INFO, &info);
		if (ret)
			answer(key, ret);
		else if (i == VFIO_PCI_MSI_IRQ_INDEX || i == VFIO_PCI_MSIX_IRQ_INDEX)
			say(key, "flags 0x%x, count %u", info.flags, info.count);
	}
}

static void ask_msix(struct truth *t)
{
	uint8_t cap[12];
	uint32_t table;

	find_cap(t, CAP_MSIX, cap);
	memcpy(&table, cap + 4, 4);
	t->msix_count = ((cap[2] | cap[3] << 8) & 0x7ff) + 1;
	t->msix_table = table & ~7u;
	say("msix", "%u vectors, table in BAR %u at 0x%x", t->msix_count, table & 7, t->msix_table);
}

static int map_bar0(struct truth *t, uint64_t offset)
{
	void *map = NULL;
	int ret = t->sys->ops->mmap(t->sys, t->bar0_size, PROT_READ | PROT_WRITE, t->fd, offset, &map);

	t->bar0 = map;
	return ret;
}

void reopen_device(struct truth *t)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };

	t->sys->ops->munmap(t->sys, (void *)t->bar0, t->bar0_size);
	t->sys->ops->close(t->sys, t->fd);
	open_device(t);
	must(bind_device(t), "binding again");
	set_memory(t, true);
	must(call(t, t->fd, VFIO_DEVICE_GET_REGION_INFO, &info), "BAR 0");
	must(map_bar0(t, info.offset), "mapping BAR 0 again");
}

static void ask_bar(struct truth *t)
{
	union {
		struct vfio_region_info info;
		uint8_t bytes[256];
	} u = { .info = { .argsz = sizeof(u) } };
	const struct vfio_info_cap_header *cap;
	uint32_t at, word;
	uint8_t bytes[8];

	must(call(t, t->fd, VFIO_DEVICE_GET_REGION_INFO, &u), "BAR 0");
	say("bar0.flags", "0x%x", u.info.flags);
	for (at = u.info.cap_offset; at; at = cap->next) {
		cap = (const void *)(u.bytes + at);
		say("bar0.cap", "%u", cap->id);
	}
	/* The MSI-X table is not reached by read and write. */
	memset(bytes, 0, sizeof(bytes));
	answer("bar0.read_table", t->sys->ops->pread(t->sys, t->fd, bytes, 8, u.info.offset + t->msix_table));
	memcpy(&word, bytes, 4);
	say("bar0.table_reads", "0x%x", word);
	answer("bar0.write_table", t->sys->ops->pwrite(t->sys, t->fd, bytes, 8, u.info.offset + t->msix_table));
	answer("bar0.read_beyond", t->sys->ops->pread(t->sys, t->fd, bytes, 8, u.info.offset + u.info.size));
	t->bar0_size = u.info.size;
	must(answer("bar0.mmap", map_bar0(t, u.info.offset)), "mapping BAR 0");
}

static void ask_smmu(struct truth *t)
{
	struct iommu_hw_info_arm_smmuv3 smmu = { 0 };
	struct iommu_hw_info info = {
		.size = sizeof(info), .dev_id = t->dev_id, .data_len = sizeof(smmu), .data_uptr = (uintptr_t)&smmu,
	};

	answer("hw_info", call(t, t->iommufd, IOMMU_GET_HW_INFO, &info));
	say("hw_info.type", "%u, %u bytes", info.out_data_type, info.data_len);
	say("hw_info.capabilities", "0x%llx, PASIDs 2^%u", (unsigned long long)info.out_capabilities, info.out_max_pasid_log2);
	say("hw_info.idr", "0x%08x 0x%08x 0x%08x 0x%08x 0x%08x 0x%08x", smmu.idr[0], smmu.idr[1], smmu.idr[2], smmu.idr[3],
	    smmu.idr[4], smmu.idr[5]);
	say("hw_info.iidr", "0x%x, aidr 0x%x", smmu.iidr, smmu.aidr);
	ASK_IOMMU(t, "hw_info.no_device", IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = NO_ID);
	ASK_IOMMU(t, "hw_info.flags", IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = t->dev_id, .flags = 1u << 31);
	ASK_IOMMU(t, "hw_info.bad_pointer", IOMMU_GET_HW_INFO, iommu_hw_info, .dev_id = t->dev_id, .data_len = 8, .data_uptr = 1);
}

void ask_bound(struct truth *t)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	must(call(t, t->fd, VFIO_DEVICE_GET_INFO, &info), "GET_INFO");
	say("info", "flags 0x%x, %u regions, %u interrupts", info.flags & (VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI),
	    info.num_regions, info.num_irqs);
	ASK(t, "info.short", t->fd, VFIO_DEVICE_GET_INFO, vfio_device_info, .argsz = 8);
	ASK_VFIO(t, "region.beyond", VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, .index = 64);
	ask_irqs(t);
	set_memory(t, true);
	ask_msix(t);
	ask_bar(t);
	ask_smmu(t);
	ASK_VFIO(t, "feature.unknown", VFIO_DEVICE_FEATURE, vfio_device_feature, .flags = VFIO_DEVICE_FEATURE_GET | 999);
	ASK(t, "vfio.unknown_request", t->fd, _IO(VFIO_TYPE, VFIO_BASE + 60), vfio_device_info, .argsz = 8);
}
