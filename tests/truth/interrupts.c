/* SPDX-License-Identifier: BSD-2-Clause */
/* SET_IRQS and the MSI-X table under a guest's stage 1; what the device's accesses bring about there. */
#include "rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define NATIVE_IPA 0x0a090000ull
#define NATIVE_GIOVA 0xeeef0000ull

static struct rig rig;
static int wake[3];	/* eventfds */

int set_irqs(struct truth *t, uint32_t flags, uint32_t start, uint32_t count, const void *data, unsigned int size)
{
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + size);
	int ret;

	must(set ? 0 : -1, "memory");
	*set = (struct vfio_irq_set){
		.argsz = sizeof(*set) + size, .flags = flags, .index = VFIO_PCI_MSIX_IRQ_INDEX, .start = start, .count = count,
	};
	if (size)
		memcpy(set->data, data, size);
	ret = call(t, t->fd, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return ret;
}

static void ask_refusals(struct truth *t)
{
	const int bad[2] = { wake[0], t->iommufd };

	answer("irqs.none_enabled", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
	answer("irqs.no_flags", set_irqs(t, 0, 0, 1, wake, 4));
	answer("irqs.two_data", set_irqs(t, NONE | EVENTFD | TRIGGER, 0, 1, wake, 4));
	answer("irqs.two_actions", set_irqs(t, EVENTFD | TRIGGER | VFIO_IRQ_SET_ACTION_MASK, 0, 1, wake, 4));
	answer("irqs.short", set_irqs(t, EVENTFD | TRIGGER, 0, 2, wake, 4));
	answer("irqs.start_beyond", set_irqs(t, EVENTFD | TRIGGER, t->msix_count, 1, wake, 4));
	answer("irqs.count_beyond", set_irqs(t, EVENTFD | TRIGGER, t->msix_count - 1, 2, wake, 8));
	answer("irqs.not_an_eventfd", set_irqs(t, EVENTFD | TRIGGER, 0, 2, bad, 8));
	answer("irqs.mask", set_irqs(t, NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL, 0));
	answer("irqs.trigger_none_armed", set_irqs(t, NONE | TRIGGER, 0, 1, NULL, 0));
}

static void ask_trigger(struct truth *t)
{
	const uint8_t yes[2] = { 0, 1 };
	eventfd_t count = 0;

	answer("irqs.trigger_by_hand", set_irqs(t, BOOL | TRIGGER, 0, 2, yes, 2));
	if (eventfd_read(wake[1], &count))
		count = 0;
	say("irqs.trigger_by_hand.count", "%llu", (unsigned long long)count);
}

void ask_interrupts(struct truth *t)
{
	const int off = -1;
	unsigned int i;

	for (i = 0; i < 3; i++)
		must(wake[i] = eventfd(0, EFD_NONBLOCK), "eventfd");
	rig_attach(&rig, t);
	say_table(t, "table.before");
	ask_refusals(t);
	say_table(t, "table.refused");
	answer("irqs.arm_1", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	say_table(t, "table.armed_1");
	answer("irqs.arm_more", set_irqs(t, EVENTFD | TRIGGER, 1, 2, wake + 1, 8));
	say_table(t, "table.armed_3");
	ask_trigger(t);
	write_address(t, 0, MSI_GIOVA | 0x40);
	say_table(t, "table.rewritten");
	answer("irqs.disarm_1", set_irqs(t, EVENTFD | TRIGGER, 1, 1, &off, 4));
	say_table(t, "table.disarmed_1");
	answer("irqs.arm_again", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	say_table(t, "table.armed_again");
	write_address(t, 0, MSI_GIOVA | 0x40);
	answer("reset", call(t, t->fd, VFIO_DEVICE_RESET, NULL));
	say_table(t, "table.reset");
	answer("irqs.none", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
	answer("irqs.arm_after_none", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	say_table(t, "table.armed_after_none");
}

void ask_faults(struct truth *t)
{
	rig_identify(&rig, MEMORY_GIOVA, MEMORY_GIOVA + 0x2000, wake[0], "msi_unmapped");
	write_address(t, 0, MSI_GIOVA | 0x40);
	rig_identify(&rig, MEMORY_GIOVA, MEMORY_GIOVA + 0x2000, wake[0], "msi_giova_unmapped");
	rig_map(&rig, MSI_GIOVA, t->window, 4096, VMSA_READ | VMSA_WRITE | VMSA_DEVICE);
	rig_identify(&rig, MEMORY_GIOVA, MEMORY_GIOVA + 0x2000, wake[0], "msi_giova_mapped");
	rig_identify(&rig, MEMORY_GIOVA + 0x10000000, MEMORY_GIOVA + 0x2000, wake[0], "queue_unmapped");
	rig_map(&rig, 0x3000000, RAM_IPA + MEMORY_OFFSET + 0x2000, 4096, VMSA_READ);
	rig_identify(&rig, MEMORY_GIOVA, 0x3000000, wake[0], "data_read_only");
	rig_identify(&rig, MEMORY_GIOVA, 0x3001000, wake[0], "data_unmapped");
	rig_identify(&rig, MEMORY_GIOVA, 1ull << 40, wake[0], "data_beyond_stage_1");
	rig_map(&rig, 0x3002000, RAM_IPA * 8, 4096, VMSA_READ | VMSA_WRITE);
	rig_identify(&rig, MEMORY_GIOVA, 0x3002000, wake[0], "data_beyond_stage_2");
	answer("irqs.none_at_end", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
}

static void ask_window(struct truth *t)
{
	struct iommu_option get = {
		.size = sizeof(get), .option_id = IOMMU_OPTION_SW_MSI_START, .op = IOMMU_OPTION_OP_GET, .object_id = t->dev_id,
	};

	if (!answer("window.start", call(t, t->iommufd, IOMMU_OPTION, &get)))
		say("window.start.value", "%llu", (unsigned long long)get.val64);
	get.option_id = IOMMU_OPTION_SW_MSI_SIZE;
	if (!answer("window.size", call(t, t->iommufd, IOMMU_OPTION, &get)))
		say("window.size.value", "%llu", (unsigned long long)get.val64);
	get.op = IOMMU_OPTION_OP_SET;
	answer("window.set_attached", call(t, t->iommufd, IOMMU_OPTION, &get));
	get.object_id = NO_ID;
	answer("window.no_device", call(t, t->iommufd, IOMMU_OPTION, &get));
}

static void map_doorbell(struct truth *t, const char *key, int fd, uint32_t rights, uint64_t length)
{
	ASK_IOMMU(t, key, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = IOMMU_IOAS_MAP_FIXED_IOVA | rights,
		  .ioas_id = t->ioas, .fd = fd, .length = length, .iova = NATIVE_IPA);
}

/* The kernel programs what it is given, and keeps it. */
static void ask_prepared(struct truth *t, uint64_t register_offset)
{
	const uint64_t giovas[2] = { NATIVE_GIOVA, NATIVE_GIOVA };

	answer("prepare.arm_without", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	answer("prepare", set_irqs(t, VFIO_IRQ_SET_DATA_MSI_IOVA | VFIO_IRQ_SET_ACTION_PREPARE, 0, 2, giovas, 16));
	answer("prepare.arm", set_irqs(t, EVENTFD | TRIGGER, 0, 2, wake, 8));
	say_table(t, "table.prepared");
	rig_map(&rig, NATIVE_GIOVA, NATIVE_IPA + (register_offset & ~0xfffull), 4096, VMSA_READ | VMSA_WRITE | VMSA_DEVICE);
	rig_identify(&rig, MEMORY_GIOVA, MEMORY_GIOVA + 0x2000, wake[0], "prepared");
	answer("prepare.reset", call(t, t->fd, VFIO_DEVICE_RESET, NULL));
	say_table(t, "table.prepared_reset");
	answer("prepare.arm_third", set_irqs(t, EVENTFD | TRIGGER, 2, 1, wake + 2, 4));
	answer("prepare.armed_anew", set_irqs(t, VFIO_IRQ_SET_DATA_MSI_IOVA | VFIO_IRQ_SET_ACTION_PREPARE, 1, 1,
					      &(uint64_t){ MSI_GIOVA }, 8));
	say_table(t, "table.armed_anew");
	answer("prepare.disable", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
	answer("prepare.kept", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	say_table(t, "table.kept");
	answer("prepare.disable_again", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
	answer("prepare.forget", set_irqs(t, NONE | VFIO_IRQ_SET_ACTION_PREPARE, 0, 0, NULL, 0));
	answer("prepare.arm_forgotten", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
}

void ask_native(struct truth *t)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_msi_doorbell doorbell;
	} get = {
		.feature = { .argsz = sizeof(get), .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MSI_DOORBELL },
		.doorbell = { .open_flags = O_CLOEXEC },
	};
	const uint64_t giovas[2] = { NATIVE_GIOVA, NATIVE_GIOVA };
	int fd;

	ask_window(t);
	ASK_VFIO(t, "doorbell.probe", VFIO_DEVICE_FEATURE, vfio_device_feature,
		 .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MSI_DOORBELL);
	answer("prepare.data_none", set_irqs(t, NONE | VFIO_IRQ_SET_ACTION_PREPARE, 0, 0, NULL, 0));
	answer("prepare.with_trigger", set_irqs(t, VFIO_IRQ_SET_DATA_MSI_IOVA | VFIO_IRQ_SET_ACTION_PREPARE | TRIGGER, 0, 1, giovas, 8));
	answer("prepare.beyond", set_irqs(t, VFIO_IRQ_SET_DATA_MSI_IOVA | VFIO_IRQ_SET_ACTION_PREPARE, t->msix_count, 1, giovas, 8));
	answer("prepare.short", set_irqs(t, VFIO_IRQ_SET_DATA_MSI_IOVA | VFIO_IRQ_SET_ACTION_PREPARE, 0, 2, giovas, 8));
	answer("prepare.eventfds", set_irqs(t, EVENTFD | VFIO_IRQ_SET_ACTION_PREPARE, 0, 1, wake, 4));
	fd = call(t, t->fd, VFIO_DEVICE_FEATURE, &get);
	if (fd < 0) {
		answer("doorbell", fd);
		return;
	}
	say("doorbell", "flags 0x%x, size 0x%llx, offset 0x%llx, id %s", get.doorbell.flags, (unsigned long long)get.doorbell.size,
	    (unsigned long long)get.doorbell.offset, get.doorbell.id ? "set" : "0");
	map_doorbell(t, "doorbell.map_readable", fd, IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE, get.doorbell.size);
	map_doorbell(t, "doorbell.map_longer", fd, IOMMU_IOAS_MAP_WRITEABLE, 2 * get.doorbell.size);
	map_doorbell(t, "doorbell.map", fd, IOMMU_IOAS_MAP_WRITEABLE, get.doorbell.size);
	map_doorbell(t, "doorbell.map_again", fd, IOMMU_IOAS_MAP_WRITEABLE, get.doorbell.size);
	t->sys->ops->close(t->sys, fd);
	ask_prepared(t, get.doorbell.offset);
}
