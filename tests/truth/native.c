/* SPDX-License-Identifier: BSD-2-Clause */
/* The native interface (abi/native.h): the window, doorbells, prepared addresses, the device asleep. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define PREPARE VFIO_IRQ_SET_ACTION_PREPARE
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define IOVA VFIO_IRQ_SET_DATA_MSI_IOVA
#define NATIVE_IPA 0x0a090000ull
#define NATIVE_GIOVA 0xeeef0000ull
#define D3HOT 3

static int option(struct truth *t, const char *key, uint32_t id, uint16_t op, uint32_t object, uint64_t *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd), .option_id = id, .op = op, .object_id = object, .val64 = *value,
	};
	int ret = answer(key, call(t, t->iommufd, IOMMU_OPTION, &cmd));

	*value = cmd.val64;
	return ret;
}

static void get_window(struct truth *t, const char *key, uint32_t id)
{
	uint64_t value = 0;
	char name[64];

	if (option(t, key, id, IOMMU_OPTION_OP_GET, t->dev_id, &value))
		return;
	snprintf(name, sizeof(name), "%s.value", key);
	say(name, "%llu", (unsigned long long)value);
}

static int set_window(struct truth *t, const char *key, uint32_t id, uint64_t mib)
{
	return option(t, key, id, IOMMU_OPTION_OP_SET, t->dev_id, &mib);
}

void ask_window(struct truth *t)
{
	uint64_t zero = 0;

	option(t, "window.no_device", IOMMU_OPTION_SW_MSI_START, IOMMU_OPTION_OP_GET, NO_ID, &zero);
	option(t, "window.op", IOMMU_OPTION_SW_MSI_START, 7, t->dev_id, &zero);
	get_window(t, "window.start", IOMMU_OPTION_SW_MSI_START);
	get_window(t, "window.size", IOMMU_OPTION_SW_MSI_SIZE);
	set_window(t, "window.size_first", IOMMU_OPTION_SW_MSI_SIZE, 1);
	set_window(t, "window.none", IOMMU_OPTION_SW_MSI_SIZE, 0);
	get_window(t, "window.none.start", IOMMU_OPTION_SW_MSI_START);
	get_window(t, "window.none.size", IOMMU_OPTION_SW_MSI_SIZE);
	set_window(t, "window.overflow", IOMMU_OPTION_SW_MSI_START, 1ull << 44);
	set_window(t, "window.last_start", IOMMU_OPTION_SW_MSI_START, (1ull << 44) - 1);
	set_window(t, "window.last_size", IOMMU_OPTION_SW_MSI_SIZE, 2);
	/* Beyond what the SMMU can address: refused now, or by whoever attaches. */
	set_window(t, "window.far_start", IOMMU_OPTION_SW_MSI_START, 1ull << 40);
	if (!set_window(t, "window.far_size", IOMMU_OPTION_SW_MSI_SIZE, 1))
		answer("window.far_attach", attach(t, t->ioas));
	set_window(t, "window.back_start", IOMMU_OPTION_SW_MSI_START, t->window >> 20);
	set_window(t, "window.back_size", IOMMU_OPTION_SW_MSI_SIZE, 1);
}

/* PREPARE of @count vectors with @size bytes of payload behind the reserved word. */
static int prepare(struct truth *t, uint32_t flags, uint32_t start, uint32_t count, const uint64_t *iova, unsigned int size,
		   uint32_t reserved)
{
	uint8_t data[4 + 4 * sizeof(*iova)];

	memcpy(data, &reserved, 4);
	memcpy(data + 4, iova, size);
	return set_irqs(t, flags | PREPARE, start, count, data, 4 + size);
}

static int prepare_one(struct truth *t, uint32_t vector, uint64_t iova)
{
	return prepare(t, IOVA, vector, 1, &iova, sizeof(iova), 0);
}

static void ask_prepare_refusals(struct truth *t, const int *wake)
{
	const uint64_t iova[2] = { NATIVE_GIOVA, NATIVE_GIOVA };

	answer("prepare.data_none", set_irqs(t, NONE | PREPARE, 0, 0, NULL, 0));
	answer("prepare.none_beyond", set_irqs(t, NONE | PREPARE, t->msix_count, 1, NULL, 0));
	answer("prepare.none_count_0", set_irqs(t, NONE | PREPARE, 1, 0, NULL, 0));
	answer("prepare.with_trigger", prepare(t, IOVA | TRIGGER, 0, 1, iova, 8, 0));
	answer("prepare.two_data", prepare(t, IOVA | BOOL, 0, 1, iova, 8, 0));
	answer("prepare.reserved", prepare(t, IOVA, 0, 1, iova, 8, 1));
	answer("prepare.beyond", prepare(t, IOVA, t->msix_count, 1, iova, 8, 0));
	answer("prepare.count_0", prepare(t, IOVA, 0, 0, iova, 8, 0));
	answer("prepare.short", prepare(t, IOVA, 0, 2, iova, 12, 0));
	answer("prepare.eventfds", set_irqs(t, EVENTFD | PREPARE, 0, 1, wake, 4));
	answer("prepare.no_action", set_irqs(t, IOVA, 0, 1, iova, 12));
}

static int map_doorbell(struct truth *t, const char *key, uint32_t flags, uint32_t ioas, uint32_t dev_id, uint64_t iova)
{
	struct iommu_ioas_map_msi map = {
		.size = sizeof(map), .flags = flags, .ioas_id = ioas, .dev_id = dev_id, .iova = iova,
	};

	return answer(key, call(t, t->iommufd, IOMMU_IOAS_MAP_MSI, &map));
}

static void copy_doorbell(struct truth *t, const char *key, uint32_t rights, uint64_t length)
{
	ASK_IOMMU(t, key, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = IOMMU_IOAS_MAP_FIXED_IOVA | rights, .dst_ioas_id = t->ioas,
		  .src_ioas_id = t->ioas, .length = length, .dst_iova = NATIVE_IPA + 0x100000, .src_iova = NATIVE_IPA);
}

/* Returns whether there is such a thing as doorbells. */
static bool ask_doorbell(struct truth *t, struct iommu_get_msi_info *info)
{
	*info = (struct iommu_get_msi_info){ .size = sizeof(*info), .dev_id = t->dev_id };
	ASK(t, "doorbell.short", t->iommufd, IOMMU_GET_MSI_INFO, iommu_get_msi_info, .size = 16, .dev_id = t->dev_id);
	ASK_IOMMU(t, "doorbell.flags", IOMMU_GET_MSI_INFO, iommu_get_msi_info, .flags = 1, .dev_id = t->dev_id);
	ASK_IOMMU(t, "doorbell.reserved", IOMMU_GET_MSI_INFO, iommu_get_msi_info, .dev_id = t->dev_id, .__reserved = 1);
	ASK_IOMMU(t, "doorbell.no_device", IOMMU_GET_MSI_INFO, iommu_get_msi_info, .dev_id = NO_ID);
	ASK_IOMMU(t, "doorbell.not_a_device", IOMMU_GET_MSI_INFO, iommu_get_msi_info, .dev_id = t->ioas);
	if (answer("doorbell", call(t, t->iommufd, IOMMU_GET_MSI_INFO, info)))
		return false;
	say("doorbell.info", "length 0x%llx, offset 0x%llx, id %s", (unsigned long long)info->out_length,
	    (unsigned long long)info->out_offset, info->out_id ? "set" : "0");
	return true;
}

static void ask_map_doorbell(struct truth *t, uint64_t length)
{
	ASK(t, "doorbell.map_short", t->iommufd, IOMMU_IOAS_MAP_MSI, iommu_ioas_map_msi, .size = 16, .ioas_id = t->ioas,
	    .dev_id = t->dev_id);
	map_doorbell(t, "doorbell.map_flags", 1, t->ioas, t->dev_id, NATIVE_IPA);
	map_doorbell(t, "doorbell.map_no_ioas", 0, NO_ID, t->dev_id, NATIVE_IPA);
	map_doorbell(t, "doorbell.map_no_device", 0, t->ioas, NO_ID, NATIVE_IPA);
	map_doorbell(t, "doorbell.map_unaligned", 0, t->ioas, t->dev_id, NATIVE_IPA + 0x40);
	map_doorbell(t, "doorbell.map_window", 0, t->ioas, t->dev_id, t->window);
	map_doorbell(t, "doorbell.map_over_ram", 0, t->ioas, t->dev_id, RAM_IPA);
	map_doorbell(t, "doorbell.map_far", 0, t->ioas, t->dev_id, 1ull << 60);
	map_doorbell(t, "doorbell.map_last", 0, t->ioas, t->dev_id, ~0ull);
	map_doorbell(t, "doorbell.map", 0, t->ioas, t->dev_id, NATIVE_IPA);
	map_doorbell(t, "doorbell.map_again", 0, t->ioas, t->dev_id, NATIVE_IPA);
	copy_doorbell(t, "doorbell.copy_readable", IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE, length);
	copy_doorbell(t, "doorbell.copy", IOMMU_IOAS_MAP_WRITEABLE, length);
	ASK_IOMMU(t, "doorbell.copy_unmap", IOMMU_IOAS_UNMAP, iommu_ioas_unmap, .ioas_id = t->ioas, .iova = NATIVE_IPA + 0x100000,
		  .length = length);
}

/* The kernel programs what it is given, and keeps it; beside it the window serves those that were given nothing. */
static void ask_prepared(struct truth *t, uint64_t register_offset, const int *wake)
{
	const uint64_t giovas[2] = { NATIVE_GIOVA, NATIVE_GIOVA };

	answer("prepare", prepare(t, IOVA, 0, 2, giovas, 16, 0));
	answer("prepare.arm", set_irqs(t, EVENTFD | TRIGGER, 0, 2, wake, 8));
	say_table(t, "table.prepared");
	rig_map(t->rig, NATIVE_GIOVA, NATIVE_IPA + (register_offset & ~0xfffull), 4096, VMSA_READ | VMSA_WRITE | VMSA_DEVICE);
	rig_identify(t->rig, MEMORY_GIOVA, MEMORY_GIOVA + 0x2000, wake[0], "prepared");
	answer("prepare.reset", call(t, t->fd, VFIO_DEVICE_RESET, NULL));
	say_table(t, "table.prepared_reset");
	answer("prepare.arm_third", set_irqs(t, EVENTFD | TRIGGER, 2, 1, wake + 2, 4));
	answer("prepare.armed_anew", prepare_one(t, 1, MSI_GIOVA));
	say_table(t, "table.armed_anew");
	answer("prepare.disable", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
	answer("prepare.kept", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	say_table(t, "table.kept");
	/* What stands in the device is taken, where that is asked for. */
	write_address(t, 0, MSI_GIOVA | 0xfff);
	answer("prepare.from_device", set_irqs(t, BOOL | PREPARE, 0, 1, &(uint8_t){ 1 }, 1));
	say_table(t, "table.from_device");
	answer("prepare.forget", set_irqs(t, NONE | PREPARE, 0, 0, NULL, 0));
	say_table(t, "table.forgotten");
	answer("prepare.arm_forgotten", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	say_table(t, "table.armed_forgotten");
	answer("prepare.disable_again", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
}

/* In D3hot nothing can be written: what would have to be is refused, what is only kept is kept. */
static void ask_asleep(struct truth *t, const int *wake)
{
	const uint64_t both[2] = { MSI_GIOVA, MSI_GIOVA };

	must(prepare_one(t, 1, NATIVE_GIOVA), "preparing");
	answer("asleep.arm", set_irqs(t, EVENTFD | TRIGGER, 1, 1, wake, 4));
	set_power(t, D3HOT);
	answer("asleep.prepare_armed", prepare_one(t, 1, MSI_GIOVA));
	answer("asleep.prepare_both", prepare(t, IOVA, 0, 2, both, 16, 0));
	answer("asleep.prepare_unarmed", prepare_one(t, 0, MSI_GIOVA));
	answer("asleep.from_device", set_irqs(t, BOOL | PREPARE, 2, 1, &(uint8_t){ 1 }, 1));
	set_power(t, 0);
	say_table(t, "table.awake");
	answer("awake.arm", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	say_table(t, "table.awake_armed");
	answer("awake.disable", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
	set_power(t, D3HOT);
	answer("asleep.enable", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	set_power(t, 0);
	answer("awake.forget", set_irqs(t, NONE | PREPARE, 0, 0, NULL, 0));
}

/* With memory decoding off there is no table to take anything from; the kernel's own writes find their way. */
static void ask_deaf(struct truth *t, const int *wake)
{
	must(prepare_one(t, 0, NATIVE_GIOVA), "preparing");
	answer("deaf.arm", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	set_memory(t, false);
	answer("deaf.prepare_armed", prepare_one(t, 0, MSI_GIOVA));
	answer("deaf.from_device", set_irqs(t, BOOL | PREPARE, 0, 1, &(uint8_t){ 1 }, 1));
	set_memory(t, true);
	say_table(t, "table.deaf");
	answer("deaf.disable", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
	answer("deaf.forget", set_irqs(t, NONE | PREPARE, 0, 0, NULL, 0));
}

/* A device that was opened anew, with no window: what has no address is refused, and nothing is mapped by itself. */
static void ask_no_window(struct truth *t, const int *wake)
{
	reopen_device(t);
	set_window(t, "no_window", IOMMU_OPTION_SW_MSI_SIZE, 0);
	answer("no_window.arm_detached", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	answer("no_window.attach", attach(t, t->ioas));
	set_window(t, "no_window.set_attached", IOMMU_OPTION_SW_MSI_SIZE, 0);
	answer("no_window.arm", set_irqs(t, EVENTFD | TRIGGER, 0, 1, wake, 4));
	answer("no_window.prepare", prepare_one(t, 1, NATIVE_IPA));
	answer("no_window.arm_prepared", set_irqs(t, EVENTFD | TRIGGER, 1, 1, wake, 4));
	say_table(t, "table.no_window");
	answer("no_window.arm_both", set_irqs(t, EVENTFD | TRIGGER, 0, 2, wake, 8));
	say_table(t, "table.no_window_refused");
	answer("no_window.disable", set_irqs(t, NONE | TRIGGER, 0, 0, NULL, 0));
}

void ask_native(struct truth *t)
{
	struct iommu_get_msi_info info;
	unsigned int i;
	int wake[3];

	for (i = 0; i < 3; i++)
		must(wake[i] = eventfd(0, EFD_NONBLOCK), "eventfd");
	set_window(t, "window.set_attached", IOMMU_OPTION_SW_MSI_SIZE, 1);
	ask_prepare_refusals(t, wake);
	if (!ask_doorbell(t, &info))
		return;
	ask_map_doorbell(t, info.out_length);
	ask_prepared(t, info.out_offset, wake);
	ask_asleep(t, wake);
	ask_deaf(t, wake);
	ask_no_window(t, wake);
}
