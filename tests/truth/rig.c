/* SPDX-License-Identifier: BSD-2-Clause */
#include "rig.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "arm/smmu_build.h"

#define IA_BITS 39
#define OA_BITS 44
#define PATIENCE_MS 10000
#define AFTER_EVENT_MS 1000
#define QUIET_MS 20
/* Never mapped: each page is for one event that is known to come. */
#define FENCE_GIOVA 0x20000000ull
#define FENCE_SIZE 0x1000000ull

#define NVME_CC 0x14
#define NVME_CSTS 0x1c
#define NVME_AQA 0x24
#define NVME_ASQ 0x28
#define NVME_ACQ 0x30
#define NVME_SQ0_TAIL 0x1000
#define NVME_ENABLE (6u << 16 | 4u << 20 | 1)
#define NVME_IDENTIFY 0x06
#define PAGE 4096u

static int ram_read(void *ctx, uint64_t ipa, uint64_t *value)
{
	struct truth *t = ctx;

	memcpy(value, t->ram + (ipa - RAM_IPA), 8);
	*value = le64toh(*value);
	return 0;
}

static int ram_write(void *ctx, uint64_t ipa, uint64_t value)
{
	struct truth *t = ctx;

	*(volatile uint64_t *)(t->ram + (ipa - RAM_IPA)) = htole64(value);
	return 0;
}

static int take_page(void *ctx, uint64_t size, uint64_t *addr)
{
	struct rig *rig = ctx;

	*addr = RAM_IPA + rig->next;
	rig->next += (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	return 0;
}

void rig_map(struct rig *rig, uint64_t giova, uint64_t ipa, uint64_t size, unsigned int prot)
{
	must(vmsa_map(&rig->s1, giova, ipa, size, prot), "mapping in stage 1");
}

void rig_attach(struct rig *rig, struct truth *t)
{
	uint64_t cd[SMMU_CD_DWORDS], ste[SMMU_STE_DWORDS];
	struct smmu_cd_table ttb0;
	struct smmu_cd config = { .ttb0 = &ttb0, .asid = 1 };
	struct smmu_ste_s1 s1 = { .cd_table = RAM_IPA };
	struct iommu_hwpt_arm_smmuv3 data;
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested), .dev_id = t->dev_id, .pt_id = t->viommu, .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data), .data_uptr = (uintptr_t)&data,
	};
	unsigned int i;

	*rig = (struct rig){ .t = t, .next = PAGE };
	rig->s1.mem = (struct arm_mem){ ram_read, ram_write, t };
	rig->s1.alloc = take_page;
	rig->s1.ctx = rig;
	must(vmsa_format_init(&rig->s1.format, VMSA_S1, 12, IA_BITS, OA_BITS), "stage 1");
	must(vmsa_table_init(&rig->s1), "stage 1");
	rig_map(rig, MEMORY_GIOVA, RAM_IPA + MEMORY_OFFSET, 1u << 20, VMSA_READ | VMSA_WRITE);

	ttb0 = (struct smmu_cd_table){ .format = rig->s1.format, .root = rig->s1.root };
	smmu_cd_build(cd, &config);
	for (i = 0; i < SMMU_CD_DWORDS; i++)
		ram_write(t, RAM_IPA + 8 * i, cd[i]);
	smmu_ste_s1(ste, &s1, 0);
	data.ste[0] = htole64(ste[0]);
	data.ste[1] = htole64(ste[1] & (SMMU_STE_1_S1CIR | SMMU_STE_1_S1COR | SMMU_STE_1_S1CSH));
	must(call(t, t->iommufd, IOMMU_HWPT_ALLOC, &nested), "nested HWPT");
	must(answer("attach.s1", attach(t, nested.out_hwpt_id)), "attaching");
}

static uint32_t get32(struct truth *t, unsigned int offset)
{
	return t->sys->ops->mmio_read(t->sys, t->bar0 + offset, 4);
}

static void put32(struct truth *t, unsigned int offset, uint32_t value)
{
	t->sys->ops->mmio_write(t->sys, t->bar0 + offset, 4, value);
}

static void put64(struct truth *t, unsigned int offset, uint64_t value)
{
	put32(t, offset, value);
	put32(t, offset + 4, value >> 32);
}

static void pause_ms(unsigned int ms)
{
	struct timespec time = { .tv_nsec = ms * 1000000L };

	nanosleep(&time, NULL);
}

static void wait_ready(struct truth *t, uint32_t ready)
{
	unsigned int i;

	for (i = 0; i < PATIENCE_MS && (get32(t, NVME_CSTS) & 1) != ready; i++)
		pause_ms(1);
}

static void stop(struct truth *t)
{
	put32(t, NVME_CC, 0);
	wait_ready(t, 0);
}

/* After stop(). Has the controller fetch a command from the queue at gIOVA @queues; completions go a page above. */
static void start(struct truth *t, uint64_t queues)
{
	put32(t, NVME_AQA, 7u << 16 | 7);
	put64(t, NVME_ASQ, queues);
	put64(t, NVME_ACQ, queues + PAGE);
	put32(t, NVME_CC, NVME_ENABLE);
	wait_ready(t, 1);
	put32(t, NVME_SQ0_TAIL, 1);
}

/* Returns whether there is one in time; a record of lost events is none. */
static bool read_event(struct truth *t, struct iommu_vevent_arm_smmuv3 *event, int ms)
{
	struct {
		struct iommufd_vevent_header header;
		struct iommu_vevent_arm_smmuv3 event;
	} record;
	struct pollfd fd = { .fd = t->events, .events = POLLIN };

	if (poll(&fd, 1, ms) != 1 || t->sys->ops->read(t->sys, t->events, &record, sizeof(record)) != sizeof(record))
		return false;
	*event = record.event;
	return true;
}

/*
 * The first event; those that the device's further attempts made are of no interest. Events come when the kernel gets
 * to it, so the controller runs into one more fault, at an address of its own: what comes before that is of before.
 */
static bool first_event(struct rig *rig, struct iommu_vevent_arm_smmuv3 *first)
{
	const uint64_t fence = FENCE_GIOVA + rig->fences++ * PAGE;
	struct iommu_vevent_arm_smmuv3 event;
	bool found = false;
	uint64_t address;

	stop(rig->t);
	start(rig->t, fence);
	do {
		must(read_event(rig->t, &event, PATIENCE_MS) ? 0 : -ETIMEDOUT, "waiting for an event");
		address = le64toh(event.evt[2]);
		if (!found && address - FENCE_GIOVA >= FENCE_SIZE) {
			*first = event;
			found = true;
		}
	} while (address - fence >= PAGE);
	/* A device may try in several pieces. */
	while (read_event(rig->t, &event, QUIET_MS))
		;
	return found;
}

static bool completed(struct truth *t)
{
	uint16_t status = *(volatile uint16_t *)(t->ram + MEMORY_OFFSET + PAGE + 14);

	return le16toh(status) & 1;
}

/* For the completion, or an event instead. The one that comes beside it is not far behind. */
static void wait_completed(struct truth *t)
{
	struct pollfd fd = { .fd = t->events, .events = POLLIN };
	unsigned int i;

	for (i = 0; i < PATIENCE_MS && !completed(t) && !poll(&fd, 1, 1); i++)
		;
	for (i = 0; i < AFTER_EVENT_MS && !completed(t); i++)
		pause_ms(1);
}

void rig_identify(struct rig *rig, uint64_t queues, uint64_t data, int eventfd, const char *key)
{
	struct truth *t = rig->t;
	struct iommu_vevent_arm_smmuv3 event = { 0 };
	uint8_t *memory = t->ram + MEMORY_OFFSET;
	bool complete, faulted;
	eventfd_t count = 0;
	char name[64];

	stop(t);
	memset(memory, 0, 1u << 20);
	*(uint32_t *)memory = htole32(NVME_IDENTIFY | 1u << 16);
	memcpy(memory + 24, &(uint64_t){ htole64(data) }, 8);
	*(uint32_t *)(memory + 40) = htole32(1);
	start(t, queues);
	wait_completed(t);
	complete = completed(t);
	faulted = first_event(rig, &event);
	stop(t);
	if (eventfd_read(eventfd, &count))
		count = 0;
	snprintf(name, sizeof(name), "%s.interrupts", key);
	say(name, "%llu", (unsigned long long)count);
	snprintf(name, sizeof(name), "%s.completed", key);
	say(name, "%s", complete ? "yes" : "no");
	snprintf(name, sizeof(name), "%s.event", key);
	if (faulted)
		say(name, "0x%016llx 0x%016llx 0x%016llx 0x%016llx", (unsigned long long)le64toh(event.evt[0]),
		    (unsigned long long)le64toh(event.evt[1]), (unsigned long long)le64toh(event.evt[2]),
		    (unsigned long long)le64toh(event.evt[3]));
	else
		say(name, "none");
}

void say_table(struct truth *t, const char *key)
{
	char name[64];
	unsigned int i, at;

	for (i = 0; i < 3; i++) {
		at = t->msix_table + 16 * i;
		snprintf(name, sizeof(name), "%s.entry%u", key, i);
		say(name, "0x%08x%08x data 0x%x control 0x%x", get32(t, at + 4), get32(t, at), get32(t, at + 8), get32(t, at + 12));
	}
}

void write_address(struct truth *t, unsigned int index, uint64_t address)
{
	put32(t, t->msix_table + 16 * index, address);
	put32(t, t->msix_table + 16 * index + 4, address >> 32);
}
