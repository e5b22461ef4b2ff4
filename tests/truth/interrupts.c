/* SPDX-License-Identifier: BSD-2-Clause */
/* SET_IRQS and the MSI-X table under a guest's stage 1; what the device's accesses bring about there. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL

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
	t->rig = &rig;
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
