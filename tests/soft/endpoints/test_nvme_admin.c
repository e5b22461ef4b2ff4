/* SPDX-License-Identifier: BSD-2-Clause */
/* NVMe: registers, enabling, admin commands good and bad, asynchronous events. */
#include "nvme_fixture.h"

#define QUEUE_FLAGS (NVME_QUEUE_CONTIGUOUS | NVME_QUEUE_INTERRUPTS)

/* --- Registers --- */

static void test_registers(void **state)
{
	struct nvme_test *t = *state;
	uint64_t cap = pci_bar_read(t->dev, 0, NVME_CAP, 8);

	assert_int_equal(pci_config_read(t->dev, PCI_CLASS_REVISION, 4) >> 8, 0x010802);
	assert_int_equal(cap & 0xffff, 1023);
	assert_int_equal(cap >> 16 & 1, 1);
	assert_int_equal(cap >> 32 & 0xf, 0);
	assert_int_equal(cap >> 37 & 1, 1);
	assert_int_equal(cap >> 48 & 0xf, 0);
	assert_int_equal(cap >> 52 & 0xf, 4);
	assert_int_equal(reg(t, NVME_CAP + 4), cap >> 32);
	assert_int_equal(reg(t, NVME_VS), 0x00010400);
	assert_int_equal(reg(t, NVME_CC), 0);
	assert_int_equal(reg(t, NVME_CSTS), 0);

	set_reg(t, NVME_AQA, 0x00ff00ff);
	assert_int_equal(reg(t, NVME_AQA), 0x00ff00ff);
	pci_bar_write(t->dev, 0, NVME_ASQ, 8, 0x1234567812345fffull);
	assert_int_equal(pci_bar_read(t->dev, 0, NVME_ASQ, 8), 0x1234567812345000ull);
	set_reg(t, NVME_ACQ, 0xabcde123);
	set_reg(t, NVME_ACQ + 4, 0x77);
	assert_int_equal(pci_bar_read(t->dev, 0, NVME_ACQ, 8), 0x77abcde000ull);
	assert_int_equal(pci_bar_read(t->dev, 0, NVME_ACQ + 4, 2), 0x77);
	/* Neither reserved registers, nor read-only ones, nor bytes. */
	set_reg(t, NVME_CAP, 0);
	set_reg(t, NVME_VS, 0);
	set_reg(t, 0x38, ~0u);
	pci_bar_write(t->dev, 0, NVME_AQA, 1, 0);
	assert_int_equal(pci_bar_read(t->dev, 0, NVME_CAP, 8), cap);
	assert_int_equal(reg(t, 0x38), 0);
	assert_int_equal(reg(t, NVME_AQA), 0x00ff00ff);
	/* Doorbells read as 0, and do nothing while disabled. */
	ring_sq(t, 0, 1);
	ring_cq(t, 0, 1);
	ring_sq(t, NVME_QUEUES + 1, 1);
	ring_sq(t, 511, 1);
	assert_int_equal(reg(t, NVME_DOORBELLS), 0);
}

static void test_enable(void **state)
{
	struct nvme_test *t = *state;

	enable_with(t, NVME_CC_GOOD);
	assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_RDY);
	set_reg(t, NVME_CC, NVME_CC_GOOD);
	assert_int_equal(reg(t, NVME_CSTS), 0);
	enable_with(t, NVME_CC_GOOD);
	assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_RDY);
	/* Shutdown is complete at once, and ends with a reset. */
	set_reg(t, NVME_CC, NVME_CC_GOOD | NVME_CC_EN | 1 << 14);
	assert_int_equal(reg(t, NVME_CSTS) & NVME_CSTS_SHST, NVME_CSTS_SHST_DONE);
	set_reg(t, NVME_CC, 0);
	assert_int_equal(reg(t, NVME_CSTS), 0);
}

static void test_enable_errors(void **state)
{
	static const uint32_t bad[] = {
		NVME_CC_GOOD | 5 << 7,	/* page size */
		NVME_CC_GOOD | 1 << 4,	/* command set */
		NVME_CC_GOOD | 1 << 11,	/* arbitration */
	};
	struct nvme_test *t = *state;

	for (unsigned int i = 0; i < 3; i++) {
		enable_with(t, bad[i]);
		assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_CFS);
		ring_sq(t, 0, 1);
		set_reg(t, NVME_CC, 0);
		assert_int_equal(reg(t, NVME_CSTS), 0);
	}
	/* Queues of one entry */
	for (unsigned int i = 0; i < 2; i++) {
		set_reg(t, NVME_AQA, i ? 7 : 7 << 16);
		set_reg(t, NVME_CC, NVME_CC_GOOD | NVME_CC_EN);
		assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_CFS);
		set_reg(t, NVME_CC, 0);
	}
}

/* --- Identify --- */

static uint16_t identify(struct nvme_test *t, uint32_t cns, uint32_t nsid, uint64_t prp1,
			 uint64_t prp2)
{
	memset(t->hw->ram + DATA, 0x5a, 3 * PAGE);
	return admin(t, (struct nvme_sqe){
		.cdw0 = NVME_ADMIN_IDENTIFY, .nsid = nsid, .prp1 = prp1, .prp2 = prp2, .cdw10 = cns,
	});
}

static uint64_t data64(struct nvme_test *t, uint32_t off)
{
	uint64_t value;

	memcpy(&value, t->hw->ram + DATA + off, sizeof(value));
	return value;
}

static void test_identify(void **state)
{
	struct nvme_test *t = *state;
	char *data = t->hw->ram + DATA;

	assert_int_equal(identify(t, NVME_CNS_CONTROLLER, 0, iova(DATA), 0), NVME_SUCCESS);
	assert_int_equal(data64(t, 0) & 0xffff, 0x1d1d);
	assert_memory_equal(data + 4, "0000:01:00.0        ", 20);
	assert_memory_equal(data + 24, "Doorbell NVMe   ", 16);
	assert_int_equal(data[77], 7);
	assert_int_equal(data64(t, 80) & UINT32_MAX, 0x00010400);
	assert_int_equal(data[512], 0x66);
	assert_int_equal(data[513], 0x44);
	assert_int_equal(data64(t, 516) & UINT32_MAX, 1);
	assert_int_equal(data[PAGE], 0x5a);

	assert_int_equal(identify(t, NVME_CNS_NAMESPACE, 1, iova(DATA), 0), NVME_SUCCESS);
	assert_int_equal(data64(t, 0), DISK_SIZE / 512);
	assert_int_equal(data64(t, 8), DISK_SIZE / 512);
	assert_int_equal(data[130], 9);
	assert_int_equal(data[99], 0);

	assert_int_equal(identify(t, NVME_CNS_ACTIVE_NAMESPACES, 0, iova(DATA), 0), NVME_SUCCESS);
	assert_int_equal(data64(t, 0), 1);
	assert_int_equal(identify(t, NVME_CNS_ACTIVE_NAMESPACES, 1, iova(DATA), 0), NVME_SUCCESS);
	assert_int_equal(data64(t, 0), 0);
	assert_int_equal(identify(t, NVME_CNS_NAMESPACE_DESCRIPTORS, 1, iova(DATA), 0),
			 NVME_SUCCESS);
	assert_int_equal(data[0], 1);
	assert_int_equal(data[1], 8);

	assert_int_equal(identify(t, NVME_CNS_NAMESPACE, 2, iova(DATA), 0), NVME_INVALID_NAMESPACE);
	assert_int_equal(identify(t, NVME_CNS_NAMESPACE_DESCRIPTORS, 0, iova(DATA), 0),
			 NVME_INVALID_NAMESPACE);
	assert_int_equal(identify(t, NVME_CNS_ACTIVE_NAMESPACES, UINT32_MAX, iova(DATA), 0),
			 NVME_INVALID_NAMESPACE);
	assert_int_equal(identify(t, 0x42, 1, iova(DATA), 0), NVME_INVALID_FIELD);

	/* Over two pages; and wrong PRPs */
	assert_int_equal(
		identify(t, NVME_CNS_NAMESPACE, 1, iova(DATA + PAGE - 8), iova(DATA + 2 * PAGE)),
		NVME_SUCCESS);
	assert_int_equal(data64(t, PAGE - 8), DISK_SIZE / 512);
	assert_int_equal(data64(t, 2 * PAGE), DISK_SIZE / 512);
	assert_int_equal(identify(t, NVME_CNS_NAMESPACE, 1, iova(DATA + 2), iova(DATA)),
			 NVME_PRP_OFFSET_INVALID);
	assert_int_equal(identify(t, NVME_CNS_NAMESPACE, 1, iova(DATA + 8), iova(DATA + 8)),
			 NVME_PRP_OFFSET_INVALID);
	assert_int_equal(identify(t, NVME_CNS_NAMESPACE, 1, 0x1000, 0), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(t->hw->events, 1);
	assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_RDY);
}

/* --- Queues --- */

static void test_create_errors(void **state)
{
	struct nvme_test *t = *state;

	assert_int_equal(create_cq(t, 0, 16, 1, QUEUE_FLAGS), NVME_QUEUE_ID_INVALID);
	assert_int_equal(create_cq(t, NVME_QUEUES + 1, 16, 1, QUEUE_FLAGS), NVME_QUEUE_ID_INVALID);
	assert_int_equal(create_cq(t, 1, 1, 1, QUEUE_FLAGS), NVME_QUEUE_SIZE_INVALID);
	assert_int_equal(create_cq(t, 1, 1025, 1, QUEUE_FLAGS), NVME_QUEUE_SIZE_INVALID);
	assert_int_equal(create_cq(t, 1, 16, 1, NVME_QUEUE_INTERRUPTS), NVME_INVALID_FIELD);
	assert_int_equal(create_cq(t, 1, 16, NVME_QUEUES + 1, QUEUE_FLAGS), NVME_VECTOR_INVALID);
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_CREATE_CQ,
						     .prp1 = iova(DATA + 8),
						     .cdw10 = 15 << 16 | 1,
						     .cdw11 = QUEUE_FLAGS }),
			 NVME_PRP_OFFSET_INVALID);
	assert_int_equal(create_sq(t, 1, 16, 1), NVME_CQ_INVALID);
	assert_int_equal(create_sq(t, 1, 16, 0), NVME_QUEUE_ID_INVALID);
	assert_int_equal(create_sq(t, 1, 16, NVME_QUEUES + 1), NVME_QUEUE_ID_INVALID);

	assert_int_equal(create_cq(t, 1, 1024, 1, QUEUE_FLAGS), NVME_SUCCESS);
	assert_int_equal(create_cq(t, 1, 16, 1, QUEUE_FLAGS), NVME_QUEUE_ID_INVALID);
	assert_int_equal(create_sq(t, 1, 1024, 1), NVME_SUCCESS);
	assert_int_equal(create_sq(t, 1, 16, 1), NVME_QUEUE_ID_INVALID);
	assert_int_equal(create_sq(t, 2, 16, 1), NVME_SUCCESS);

	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_CQ, 1), NVME_QUEUE_DELETION_INVALID);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_SQ, 0), NVME_QUEUE_ID_INVALID);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_SQ, 3), NVME_QUEUE_ID_INVALID);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_CQ, 0), NVME_QUEUE_ID_INVALID);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_CQ, 2), NVME_QUEUE_ID_INVALID);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_SQ, 1), NVME_SUCCESS);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_SQ, 1), NVME_QUEUE_ID_INVALID);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_CQ, 1), NVME_QUEUE_DELETION_INVALID);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_SQ, 2), NVME_SUCCESS);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_CQ, 1), NVME_SUCCESS);
	assert_int_equal(create_cq(t, 1, 16, 1, QUEUE_FLAGS), NVME_SUCCESS);

	/* Without entry sizes in CC there are no I/O queues. */
	set_reg(t, NVME_CC, 0);
	enable_with(t, 0);
	assert_int_equal(create_cq(t, 1, 16, 1, QUEUE_FLAGS), NVME_QUEUE_SIZE_INVALID);
}

static void test_bad_commands(void **state)
{
	struct nvme_test *t = *state;

	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = 0x7f }), NVME_INVALID_OPCODE);
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_IDENTIFY | 1 << 8 }),
			 NVME_INVALID_FIELD);
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_IDENTIFY | 1 << 14 }),
			 NVME_INVALID_FIELD);
	for (unsigned int opcode = 0x0d; opcode < 256; opcode++)
		assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = opcode }),
				 NVME_INVALID_OPCODE);
}

/* --- Features and logs --- */

static void test_features(void **state)
{
	struct nvme_test *t = *state;
	uint32_t result;

	assert_int_equal(command(t, 0,
				 (struct nvme_sqe){ .cdw0 = NVME_ADMIN_SET_FEATURES,
						    .cdw10 = NVME_FEATURE_QUEUES,
						    .cdw11 = 100 << 16 | 100 },
				 &result),
			 NVME_SUCCESS);
	assert_int_equal(result, (NVME_QUEUES - 1) << 16 | (NVME_QUEUES - 1));
	assert_int_equal(command(t, 0,
				 (struct nvme_sqe){ .cdw0 = NVME_ADMIN_GET_FEATURES,
						    .cdw10 = NVME_FEATURE_QUEUES },
				 &result),
			 NVME_SUCCESS);
	assert_int_equal(result, (NVME_QUEUES - 1) << 16 | (NVME_QUEUES - 1));
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_SET_FEATURES,
						     .cdw10 = NVME_FEATURE_QUEUES,
						     .cdw11 = 0xffff }),
			 NVME_INVALID_FIELD);
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_SET_FEATURES,
						     .cdw10 = NVME_FEATURE_QUEUES,
						     .cdw11 = 0xffff0000 }),
			 NVME_INVALID_FIELD);

	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_SET_FEATURES,
						     .cdw10 = NVME_FEATURE_ASYNC_EVENTS,
						     .cdw11 = 0x1f }),
			 NVME_SUCCESS);
	for (uint32_t select = 0; select < 8; select++) {
		static const uint32_t expected[] = { 0x1f, 0, 0, 4 };
		uint16_t status = command(
			t, 0,
			(struct nvme_sqe){ .cdw0 = NVME_ADMIN_GET_FEATURES,
					   .cdw10 = NVME_FEATURE_ASYNC_EVENTS | select << 8 },
			&result);

		assert_int_equal(status, select < 4 ? NVME_SUCCESS : NVME_INVALID_FIELD);
		if (select < 4)
			assert_int_equal(result, expected[select]);
	}
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_SET_FEATURES,
						     .cdw10 = NVME_FEATURE_ASYNC_EVENTS |
							      NVME_FEATURE_SAVE }),
			 NVME_FEATURE_NOT_SAVEABLE);
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_SET_FEATURES,
						     .cdw10 = NVME_FEATURE_VECTOR,
						     .cdw11 = NVME_QUEUES + 1 }),
			 NVME_INVALID_FIELD);
	for (uint32_t id = 0; id < 256; id++) {
		bool known = (id >= 1 && id <= 0x0b) && id != 3 && id != 6;

		assert_int_equal(
			admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_GET_FEATURES, .cdw10 = id }),
			known ? NVME_SUCCESS : NVME_INVALID_FIELD);
	}
}

static uint16_t get_log(struct nvme_test *t, uint32_t id, uint32_t bytes, uint32_t offset)
{
	return admin(t, (struct nvme_sqe){
				.cdw0 = NVME_ADMIN_GET_LOG_PAGE,
				.nsid = UINT32_MAX,
				.prp1 = iova(DATA),
				.cdw10 = (bytes / 4 - 1) << 16 | id,
				.cdw11 = (bytes / 4 - 1) >> 16,
				.cdw12 = offset,
			});
}

static void test_logs(void **state)
{
	struct nvme_test *t = *state;

	memset(t->hw->ram + DATA, 0x5a, PAGE);
	assert_int_equal(get_log(t, NVME_LOG_HEALTH, 512, 0), NVME_SUCCESS);
	assert_int_equal(data64(t, 1) & 0xffff, 300);
	assert_int_equal(t->hw->ram[DATA + 511], 0);
	assert_int_equal(t->hw->ram[DATA + 512], 0x5a);
	assert_int_equal(get_log(t, NVME_LOG_FIRMWARE, 512, 0), NVME_SUCCESS);
	assert_memory_equal(t->hw->ram + DATA + 8, "1.0     ", 8);
	assert_int_equal(get_log(t, NVME_LOG_ERRORS, 4096, 0), NVME_SUCCESS);
	assert_int_equal(get_log(t, NVME_LOG_ERRORS, 4, 0), NVME_SUCCESS);
	assert_int_equal(get_log(t, NVME_LOG_ERRORS, 4100, 0), NVME_INVALID_FIELD);
	assert_int_equal(get_log(t, NVME_LOG_ERRORS, 1u << 30, 0), NVME_INVALID_FIELD);
	assert_int_equal(get_log(t, NVME_LOG_ERRORS, 64, 4), NVME_INVALID_FIELD);
	assert_int_equal(get_log(t, 0x77, 64, 0), NVME_LOG_PAGE_INVALID);
}

/* --- Asynchronous events and Abort --- */

static uint16_t async_request(struct nvme_test *t)
{
	uint16_t cid =
		put_command(t, &t->queue[0], (struct nvme_sqe){ .cdw0 = NVME_ADMIN_ASYNC_EVENT });

	ring_sq(t, 0, t->queue[0].tail);
	return cid;
}

static void test_async_events(void **state)
{
	struct nvme_test *t = *state;
	struct nvme_cqe cqe;
	uint16_t cid = async_request(t);

	assert_false(peek_completion(t, &t->queue[0], &cqe));
	/* A doorbell of a queue that is not there */
	ring_sq(t, 2, 1);
	assert_true(take_completion(t, &t->queue[0], &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.dw0, NVME_LOG_ERRORS << 16 | NVME_EVENT_DOORBELL_REGISTER << 8);
	assert_int_equal(cqe.status >> 1, NVME_SUCCESS);

	/* Of many without a request, one waits for the next. */
	for (unsigned int i = 0; i < 100; i++) {
		ring_sq(t, 0, ADMIN_ENTRIES);
		ring_cq(t, 0, ADMIN_ENTRIES);
		ring_cq(t, 0, 0xffff);
		ring_cq(t, 77, 0);
	}
	assert_false(peek_completion(t, &t->queue[0], &cqe));
	cid = async_request(t);
	assert_true(take_completion(t, &t->queue[0], &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.dw0, NVME_LOG_ERRORS << 16 | NVME_EVENT_DOORBELL_VALUE << 8);
	async_request(t);
	assert_false(peek_completion(t, &t->queue[0], &cqe));
	/* The head must not pass the tail. */
	ring_cq(t, 0, (t->queue[0].head + 1) % ADMIN_ENTRIES);
	assert_true(take_completion(t, &t->queue[0], &cqe));
}

static uint16_t abort_command(struct nvme_test *t, uint16_t sq, uint16_t cid, uint32_t *result)
{
	return command(
		t, 0,
		(struct nvme_sqe){ .cdw0 = NVME_ADMIN_ABORT, .cdw10 = (uint32_t)cid << 16 | sq },
		result);
}

static void test_async_limit_and_abort(void **state)
{
	struct nvme_test *t = *state;
	struct nvme_cqe cqe;
	uint16_t cid[4];
	uint32_t result;

	for (unsigned int i = 0; i < 4; i++)
		cid[i] = async_request(t);
	assert_false(peek_completion(t, &t->queue[0], &cqe));
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_ASYNC_EVENT }),
			 NVME_ASYNC_EVENT_LIMIT);

	assert_int_equal(abort_command(t, 0, 0x1234, &result), NVME_SUCCESS);
	assert_int_equal(result, 1);
	assert_int_equal(abort_command(t, 1, cid[1], &result), NVME_SUCCESS);
	assert_int_equal(result, 1);

	/* The request's own completion comes before Abort's. */
	put_command(t, &t->queue[0],
		    (struct nvme_sqe){ .cdw0 = NVME_ADMIN_ABORT, .cdw10 = (uint32_t)cid[1] << 16 });
	ring_sq(t, 0, t->queue[0].tail);
	assert_true(take_completion(t, &t->queue[0], &cqe));
	assert_int_equal(cqe.cid, cid[1]);
	assert_int_equal(cqe.status >> 1, NVME_ABORT_REQUESTED);
	assert_true(take_completion(t, &t->queue[0], &cqe));
	assert_int_equal(cqe.dw0, 0);
	assert_int_equal(abort_command(t, 0, cid[1], &result), NVME_SUCCESS);
	assert_int_equal(result, 1);
	async_request(t);
	assert_false(peek_completion(t, &t->queue[0], &cqe));
}

/* --- Trouble --- */

/* Queues that cannot be reached: a fatal status, no work any more, and a reset mends it. */
static void test_fatal(void **state)
{
	struct nvme_test *t = *state;

	for (unsigned int i = 0; i < 2; i++) {
		set_reg(t, NVME_CC, 0);
		set_reg(t, NVME_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
		pci_bar_write(t->dev, 0, NVME_ASQ, 8, i ? iova(ADMIN_SQ) : 0x5000);
		pci_bar_write(t->dev, 0, NVME_ACQ, 8, i ? 0x5000 : iova(ADMIN_CQ));
		set_reg(t, NVME_CC, NVME_CC_GOOD | NVME_CC_EN);
		assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_RDY);
		ring_sq(t, 0, 5);
		assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
		assert_int_equal(t->hw->events, i + 1);
		ring_sq(t, 0, 1);
		assert_int_equal(t->hw->events, i + 1);
	}
	set_reg(t, NVME_CC, 0);
	enable_with(t, NVME_CC_GOOD);
	assert_int_equal(identify(t, NVME_CNS_NAMESPACE, 1, iova(DATA), 0), NVME_SUCCESS);
}

static void test_flr(void **state)
{
	struct nvme_test *t = *state;

	create_io_queues(t);
	pci_dev_reset(t->dev);
	assert_int_equal(reg(t, NVME_CSTS), 0);
	assert_int_equal(reg(t, NVME_CC), 0);
	assert_int_equal(pci_bar_read(t->dev, 0, NVME_ASQ, 8), 0);
	ring_sq(t, 1, 1);
	hw_arm(t->hw, t->dev);
	enable_with(t, NVME_CC_GOOD);
	create_io_queues(t);
}

static void test_config_errors(void **state)
{
	struct nvme_test *t = *state;
	struct pci_slot slot = hw_slot(t->hw);
	struct nvme_config config = nvme_memory_config;
	struct pci_dev *dev;

	config.io_queues = 0;
	assert_int_equal(nvme_create(&slot, &config, &dev), -EINVAL);
	config.io_queues = 256;
	assert_int_equal(nvme_create(&slot, &config, &dev), -EINVAL);
	config.io_queues = 255;
	config.size = 511;
	assert_int_equal(nvme_create(&slot, &config, &dev), -EINVAL);
	config.size = 512;
	assert_int_equal(nvme_create(&slot, &config, &dev), 0);
	pci_dev_destroy(dev);
	config.disk = "/nonexistent/disk";
	assert_int_equal(nvme_create(&slot, &config, &dev), -ENOENT);
	config.disk = "/dev/null";
	assert_int_equal(nvme_create(&slot, &config, &dev), -EINVAL);
}

#define with(setup, test) cmocka_unit_test_setup_teardown(test, setup, nvme_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with(setup_cold, test_registers),
		with(setup_cold, test_enable),
		with(setup_cold, test_enable_errors),
		with(setup_admin, test_identify),
		with(setup_admin, test_create_errors),
		with(setup_admin, test_bad_commands),
		with(setup_admin, test_features),
		with(setup_admin, test_logs),
		with(setup_admin, test_async_events),
		with(setup_admin, test_async_limit_and_abort),
		with(setup_admin, test_fatal),
		with(setup_admin, test_flr),
		with(setup_cold, test_config_errors),
	};

	return cmocka_run_group_tests_name("soft/nvme_admin", tests, NULL, NULL);
}
