/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NVMe controller on the machine of hw_fixture.h, and what a driver does to it. Addresses are
 * offsets in the guest's memory.
 */
#ifndef TESTS_SOFT_NVME_FIXTURE_H
#define TESTS_SOFT_NVME_FIXTURE_H

#include <errno.h>

#include "../hw/hw_fixture.h"
#include "soft/endpoints/nvme.h"
#include "soft/endpoints/nvme_regs.h"

#define ADMIN_SQ 0x0000u
#define ADMIN_CQ 0x1000u
#define ADMIN_ENTRIES 8
#define IO_SQ(q) (0x10000u + (q) * 0x4000u)
#define IO_CQ(q) (0x12000u + (q) * 0x4000u)
#define IO_ENTRIES 32
#define DATA 0x100000u
#define LISTS 0x0f0000u
#define NVME_QUEUES 4
#define DISK_SIZE (4u << 20)
#define DISK_SEED 42
#define PAGE 4096u

struct nvme_queue {
	unsigned int id;
	uint32_t sq, cq, entries;
	uint32_t tail, head;
	bool phase;
	uint16_t cid;
};

struct nvme_test {
	struct hw *hw;
	struct pci_dev *dev;
	struct nvme_queue queue[NVME_QUEUES + 1];
};

static inline uint64_t iova(uint32_t offset)
{
	return GUEST_IOVA + offset;
}

static inline uint32_t reg(struct nvme_test *t, unsigned int off)
{
	return pci_bar_read(t->dev, 0, off, 4);
}

static inline void set_reg(struct nvme_test *t, unsigned int off, uint32_t value)
{
	pci_bar_write(t->dev, 0, off, 4, value);
}

static inline void ring_sq(struct nvme_test *t, unsigned int id, uint32_t tail)
{
	set_reg(t, NVME_DOORBELLS + 8 * id, tail);
}

static inline void ring_cq(struct nvme_test *t, unsigned int id, uint32_t head)
{
	set_reg(t, NVME_DOORBELLS + 8 * id + 4, head);
}

#define NVME_CC_GOOD (4u << 20 | 6u << 16)

static inline void queue_init(struct nvme_queue *q, unsigned int id, uint32_t sq, uint32_t cq,
			      uint32_t entries)
{
	*q = (struct nvme_queue){ .id = id, .sq = sq, .cq = cq, .entries = entries, .phase = true };
}

static inline void enable_with(struct nvme_test *t, uint32_t cc)
{
	memset(t->hw->ram, 0, 0x100000);
	set_reg(t, NVME_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
	pci_bar_write(t->dev, 0, NVME_ASQ, 8, iova(ADMIN_SQ));
	pci_bar_write(t->dev, 0, NVME_ACQ, 8, iova(ADMIN_CQ));
	set_reg(t, NVME_CC, cc | NVME_CC_EN);
	queue_init(&t->queue[0], 0, ADMIN_SQ, ADMIN_CQ, ADMIN_ENTRIES);
}

/* --- Commands --- */

/* Puts the command into the queue, without ringing. */
static inline uint16_t put_command(struct nvme_test *t, struct nvme_queue *q, struct nvme_sqe sqe)
{
	uint16_t cid = q->cid++;

	sqe.cdw0 |= (uint32_t)cid << 16;
	memcpy(t->hw->ram + q->sq + q->tail * sizeof(sqe), &sqe, sizeof(sqe));
	q->tail = (q->tail + 1) % q->entries;
	return cid;
}

static inline bool peek_completion(struct nvme_test *t, struct nvme_queue *q, struct nvme_cqe *cqe)
{
	memcpy(cqe, t->hw->ram + q->cq + q->head * sizeof(*cqe), sizeof(*cqe));
	return (cqe->status & 1) == q->phase;
}

static inline bool take_completion(struct nvme_test *t, struct nvme_queue *q, struct nvme_cqe *cqe)
{
	if (!peek_completion(t, q, cqe))
		return false;
	q->head++;
	if (q->head == q->entries) {
		q->head = 0;
		q->phase = !q->phase;
	}
	ring_cq(t, q->id, q->head);
	return true;
}

/* One command, to its end: the status. */
static inline uint16_t command(struct nvme_test *t, unsigned int id, struct nvme_sqe sqe,
			       uint32_t *result)
{
	struct nvme_queue *q = &t->queue[id];
	uint16_t cid = put_command(t, q, sqe);
	struct nvme_cqe cqe;

	ring_sq(t, id, q->tail);
	assert_true(take_completion(t, q, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.sq_id, id);
	assert_int_equal(cqe.sq_head, q->tail);
	if (result)
		*result = cqe.dw0;
	return cqe.status >> 1;
}

static inline uint16_t admin(struct nvme_test *t, struct nvme_sqe sqe)
{
	return command(t, 0, sqe, NULL);
}

static inline uint16_t create_cq(struct nvme_test *t, unsigned int id, uint32_t entries,
				 unsigned int vector, uint32_t flags)
{
	return admin(t, (struct nvme_sqe){
				.cdw0 = NVME_ADMIN_CREATE_CQ,
				.prp1 = iova(IO_CQ(id)),
				.cdw10 = (entries - 1) << 16 | id,
				.cdw11 = vector << 16 | flags,
			});
}

static inline uint16_t create_sq(struct nvme_test *t, unsigned int id, uint32_t entries,
				 unsigned int cq)
{
	return admin(t, (struct nvme_sqe){
				.cdw0 = NVME_ADMIN_CREATE_SQ,
				.prp1 = iova(IO_SQ(id)),
				.cdw10 = (entries - 1) << 16 | id,
				.cdw11 = cq << 16 | NVME_QUEUE_CONTIGUOUS,
			});
}

static inline uint16_t delete_queue(struct nvme_test *t, unsigned int opcode, unsigned int id)
{
	return admin(t, (struct nvme_sqe){ .cdw0 = opcode, .cdw10 = id });
}

static inline void create_io_queues(struct nvme_test *t)
{
	for (unsigned int id = 1; id <= NVME_QUEUES; id++) {
		assert_int_equal(create_cq(t, id, IO_ENTRIES, id,
					   NVME_QUEUE_CONTIGUOUS | NVME_QUEUE_INTERRUPTS),
				 0);
		assert_int_equal(create_sq(t, id, IO_ENTRIES, id), 0);
		queue_init(&t->queue[id], id, IO_SQ(id), IO_CQ(id), IO_ENTRIES);
	}
}

static inline struct nvme_sqe rw(unsigned int opcode, uint64_t block, uint32_t blocks,
				 uint64_t prp1, uint64_t prp2)
{
	return (struct nvme_sqe){
		.cdw0 = opcode, .nsid = 1, .prp1 = prp1, .prp2 = prp2,
		.cdw10 = (uint32_t)block, .cdw11 = block >> 32, .cdw12 = blocks - 1,
	};
}

/* A list entry */
static inline void put_prp(struct nvme_test *t, uint32_t at, uint64_t value)
{
	memcpy(t->hw->ram + at, &value, sizeof(value));
}

static inline void assert_content(struct nvme_test *t, uint32_t data, uint64_t disk_offset,
				  uint32_t len)
{
	char *expected = malloc(len);

	nvme_content(DISK_SEED, disk_offset, expected, len);
	assert_memory_equal(t->hw->ram + data, expected, len);
	free(expected);
}

/* --- The whole --- */

static inline struct nvme_test *nvme_test_create(const struct nvme_config *config)
{
	struct nvme_test *t = calloc(1, sizeof(*t));
	struct pci_slot slot;

	t->hw = hw_create(DOORBELL_ITS);
	slot = hw_slot(t->hw);
	assert_int_equal(nvme_create(&slot, config, &t->dev), 0);
	hw_arm(t->hw, t->dev);
	return t;
}

static inline void nvme_test_destroy(struct nvme_test *t)
{
	pci_dev_destroy(t->dev);
	hw_destroy(t->hw);
	free(t);
}

static const struct nvme_config nvme_memory_config = {
	.io_queues = NVME_QUEUES, .size = DISK_SIZE, .seed = DISK_SEED,
};

/* Just created */
static inline int setup_cold(void **state)
{
	*state = nvme_test_create(&nvme_memory_config);
	return 0;
}

/* Enabled, with the admin queue */
static inline int setup_admin(void **state)
{
	setup_cold(state);
	enable_with(*state, NVME_CC_GOOD);
	return 0;
}

static inline int setup_io(void **state)
{
	setup_admin(state);
	create_io_queues(*state);
	return 0;
}

static inline int nvme_teardown(void **state)
{
	nvme_test_destroy(*state);
	return 0;
}

#endif
