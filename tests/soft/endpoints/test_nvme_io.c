/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NVMe: reads and writes over PRPs of every shape, full queues, wrap-around, interrupts of each
 * queue, files, several threads.
 */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "nvme_fixture.h"

#define MDTS_BLOCKS (512u << 10 >> 9)

static uint16_t io(struct nvme_test *t, struct nvme_sqe sqe)
{
	return command(t, 1, sqe, NULL);
}

/* --- Where data goes --- */

static void test_small(void **state)
{
	struct nvme_test *t = *state;

	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 1, iova(DATA), 0)), NVME_SUCCESS);
	assert_content(t, DATA, 0, 512);
	assert_int_equal(t->hw->ram[DATA + 512], 0);
	assert_int_equal(io(t, rw(NVME_IO_READ, 7, 8, iova(DATA), 0)), NVME_SUCCESS);
	assert_content(t, DATA, 7 * 512, 4096);
	assert_int_equal(io(t, rw(NVME_IO_READ, DISK_SIZE / 512 - 1, 1, iova(DATA), 0)),
			 NVME_SUCCESS);
	assert_content(t, DATA, DISK_SIZE - 512, 512);

	/* Within two pages: PRP2 is the second. */
	assert_int_equal(
		io(t, rw(NVME_IO_READ, 3, 2, iova(DATA + PAGE - 512), iova(DATA + 5 * PAGE))),
		NVME_SUCCESS);
	assert_content(t, DATA + PAGE - 512, 3 * 512, 512);
	assert_content(t, DATA + 5 * PAGE, 4 * 512, 512);
	assert_int_equal(io(t, rw(NVME_IO_READ, 16, 16, iova(DATA), iova(DATA + PAGE))),
			 NVME_SUCCESS);
	assert_content(t, DATA, 16 * 512, 8192);
	/* At a dword's alignment */
	assert_int_equal(io(t, rw(NVME_IO_READ, 9, 1, iova(DATA + 0x104), 0)), NVME_SUCCESS);
	assert_content(t, DATA + 0x104, 9 * 512, 512);
}

/*
 * @pages pages in reverse order from DATA, with the list at @list; what of it is in one page is
 * followed there, the rest at LISTS + 4 pages.
 */
static void put_list(struct nvme_test *t, uint32_t list, unsigned int pages)
{
	for (unsigned int i = 0; i < pages; i++) {
		if (list % PAGE == PAGE - 8 && i + 1 < pages) {
			put_prp(t, list, iova(LISTS + 4 * PAGE));
			list = LISTS + 4 * PAGE;
		}
		put_prp(t, list, iova(DATA + (pages - 1 - i) * PAGE));
		list += 8;
	}
}

/* The pages of such a list got @len bytes from @disk on. */
static void assert_list_content(struct nvme_test *t, unsigned int pages, uint64_t disk,
				uint32_t len)
{
	for (unsigned int i = 0; i < pages; i++, len -= PAGE)
		assert_content(t, DATA + (pages - 1 - i) * PAGE, disk + i * PAGE,
			       len < PAGE ? len : PAGE);
}

static void test_lists(void **state)
{
	static const uint32_t starts[] = { 0, 8, 2048, PAGE - 16 * 8, PAGE - 16, PAGE - 8 };
	static const unsigned int pages[] = { 2, 3, 16, 17, 64, 127 };
	struct nvme_test *t = *state;

	for (unsigned int s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (unsigned int p = 0; p < sizeof(pages) / sizeof(pages[0]); p++) {
			uint32_t first = DATA + 0x90000;

			put_list(t, LISTS + starts[s], pages[p]);
			memset(t->hw->ram + DATA, 0, 0xa0000);
			assert_int_equal(io(t, rw(NVME_IO_READ, 40, (pages[p] + 1) * 8, iova(first),
						  iova(LISTS + starts[s]))),
					 NVME_SUCCESS);
			assert_content(t, first, 40 * 512, PAGE);
			assert_list_content(t, pages[p], 40 * 512 + PAGE, pages[p] * PAGE);
		}
	}

	/* The first page in part: 128 pages of list. */
	put_list(t, LISTS + PAGE - 64, 128);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, MDTS_BLOCKS, iova(DATA + 0x90000 + PAGE - 512),
				  iova(LISTS + PAGE - 64))),
			 NVME_SUCCESS);
	assert_content(t, DATA + 0x90000 + PAGE - 512, 0, 512);
	assert_list_content(t, 128, 512, (512 << 10) - 512);
	assert_int_equal(t->hw->events, 0);
}

static void test_bad_prps(void **state)
{
	struct nvme_test *t = *state;

	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 1, iova(DATA + 1), 0)), NVME_PRP_OFFSET_INVALID);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 16, iova(DATA), iova(DATA + PAGE + 4))),
			 NVME_PRP_OFFSET_INVALID);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 24, iova(DATA), iova(LISTS + 4))),
			 NVME_PRP_OFFSET_INVALID);
	put_list(t, LISTS, 2);
	put_prp(t, LISTS + 8, iova(DATA + 512));
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 24, iova(DATA), iova(LISTS))),
			 NVME_PRP_OFFSET_INVALID);
	/* A chain to the middle of a page, and one to itself. */
	put_prp(t, LISTS + PAGE - 8, iova(LISTS + 16));
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 24, iova(DATA), iova(LISTS + PAGE - 8))),
			 NVME_PRP_OFFSET_INVALID);
	put_prp(t, LISTS + PAGE - 8, iova(LISTS + PAGE - 8));
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 24, iova(DATA), iova(LISTS + PAGE - 8))),
			 NVME_PRP_OFFSET_INVALID);
	put_prp(t, LISTS + PAGE - 8, iova(LISTS));
	for (unsigned int i = 0; i < PAGE / 8; i++)
		put_prp(t, LISTS + i * 8, iova(LISTS));
	assert_int_equal(
		io(t, rw(NVME_IO_WRITE, 0, MDTS_BLOCKS, iova(DATA), iova(LISTS + PAGE - 8))),
		NVME_SUCCESS);
	assert_int_equal(t->hw->events, 0);

	/* Nowhere: the data, the list, the next list. */
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 1, 0x1000, 0)), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(io(t, rw(NVME_IO_WRITE, 0, 1, 0x1000, 0)), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 24, iova(DATA), 0x1000)),
			 NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 24, iova(DATA), 0x1ff8)),
			 NVME_DATA_TRANSFER_ERROR);
	put_prp(t, LISTS + PAGE - 8, 0x1000);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 24, iova(DATA), iova(LISTS + PAGE - 8))),
			 NVME_DATA_TRANSFER_ERROR);
	/* The doorbell takes no data. */
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 1, DOORBELL_IOVA, 0)), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(t->hw->events, 5);
	assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_RDY);
}

static void test_big_pages(void **state)
{
	struct nvme_test *t = *state;

	/* 64 KiB pages: 512 KiB are eight. */
	set_reg(t, NVME_CC, 0);
	enable_with(t, NVME_CC_GOOD | 4 << 7);
	t->queue[1].id = 1;
	assert_int_equal(create_cq(t, 1, 16, 1, NVME_QUEUE_CONTIGUOUS), NVME_PRP_OFFSET_INVALID);
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_CREATE_CQ,
						     .prp1 = iova(0x20000),
						     .cdw10 = 15 << 16 | 1,
						     .cdw11 = NVME_QUEUE_CONTIGUOUS }),
			 NVME_SUCCESS);
	assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_CREATE_SQ,
						     .prp1 = iova(0x30000),
						     .cdw10 = 15 << 16 | 1,
						     .cdw11 = 1 << 16 | NVME_QUEUE_CONTIGUOUS }),
			 NVME_SUCCESS);
	queue_init(&t->queue[1], 1, 0x30000, 0x20000, 16);
	for (unsigned int i = 0; i < 7; i++)
		put_prp(t, LISTS + i * 8, iova(DATA + (i + 1) * 65536));
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, MDTS_BLOCKS, iova(DATA), iova(LISTS))),
			 NVME_SUCCESS);
	assert_content(t, DATA, 0, 512 << 10);
	assert_int_equal(io(t, rw(NVME_IO_READ, 1, 128, iova(DATA + 0x8000), iova(DATA + 0x20000))),
			 NVME_SUCCESS);
	assert_content(t, DATA + 0x8000, 512, 0x8000);
	assert_content(t, DATA + 0x20000, 512 + 0x8000, 0x8000);
}

/* --- Commands --- */

static void test_write(void **state)
{
	struct nvme_test *t = *state;

	for (unsigned int i = 0; i < 8192; i++)
		t->hw->ram[DATA + i] = i * 31 + (i >> 8);
	assert_int_equal(io(t, rw(NVME_IO_WRITE, 100, 16, iova(DATA), iova(DATA + PAGE))),
			 NVME_SUCCESS);
	assert_int_equal(
		io(t, rw(NVME_IO_READ, 100, 16, iova(DATA + 0x10000), iova(DATA + 0x11000))),
		NVME_SUCCESS);
	assert_memory_equal(t->hw->ram + DATA, t->hw->ram + DATA + 0x10000, 8192);
	assert_int_equal(io(t, rw(NVME_IO_READ, 99, 1, iova(DATA), 0)), NVME_SUCCESS);
	assert_content(t, DATA, 99 * 512, 512);
	assert_int_equal(io(t, rw(NVME_IO_READ, 116, 1, iova(DATA), 0)), NVME_SUCCESS);
	assert_content(t, DATA, 116 * 512, 512);
	assert_int_equal(io(t, (struct nvme_sqe){ .cdw0 = NVME_IO_FLUSH, .nsid = 1 }),
			 NVME_SUCCESS);
	assert_int_equal(io(t, (struct nvme_sqe){ .cdw0 = NVME_IO_FLUSH, .nsid = UINT32_MAX }),
			 NVME_SUCCESS);
}

static void test_bad_commands(void **state)
{
	struct nvme_test *t = *state;
	struct nvme_sqe sqe = rw(NVME_IO_READ, 0, 1, iova(DATA), 0);
	uint64_t blocks = DISK_SIZE / 512;

	assert_int_equal(io(t, rw(NVME_IO_READ, blocks, 1, iova(DATA), 0)), NVME_LBA_RANGE);
	assert_int_equal(io(t, rw(NVME_IO_READ, blocks - 1, 2, iova(DATA), 0)), NVME_LBA_RANGE);
	assert_int_equal(io(t, rw(NVME_IO_WRITE, UINT64_MAX, 1, iova(DATA), 0)), NVME_LBA_RANGE);
	assert_int_equal(io(t, rw(NVME_IO_WRITE, UINT64_MAX, 2, iova(DATA), 0)), NVME_LBA_RANGE);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, MDTS_BLOCKS + 1, iova(DATA), 0)),
			 NVME_INVALID_FIELD);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 65536, iova(DATA), 0)), NVME_INVALID_FIELD);
	sqe.nsid = 0;
	assert_int_equal(io(t, sqe), NVME_INVALID_NAMESPACE);
	sqe.nsid = UINT32_MAX;
	assert_int_equal(io(t, sqe), NVME_INVALID_NAMESPACE);
	assert_int_equal(io(t, (struct nvme_sqe){ .cdw0 = NVME_IO_FLUSH, .nsid = 2 }),
			 NVME_INVALID_NAMESPACE);
	for (unsigned int opcode = 3; opcode < 256; opcode++)
		assert_int_equal(io(t, (struct nvme_sqe){ .cdw0 = opcode, .nsid = 1 }),
				 NVME_INVALID_OPCODE);
	assert_int_equal(io(t, rw(NVME_IO_READ | 1 << 9, 0, 1, iova(DATA), 0)), NVME_INVALID_FIELD);
	assert_int_equal(io(t, rw(NVME_IO_READ | 2 << 14, 0, 1, iova(DATA), 0)),
			 NVME_INVALID_FIELD);
}

/* --- Queues --- */

static void test_interrupts(void **state)
{
	struct nvme_test *t = *state;
	uint64_t admin_before = hw_taken(t->hw, 0);

	for (unsigned int id = 1; id <= NVME_QUEUES; id++) {
		for (unsigned int n = 0; n < 3 * id; n++)
			assert_int_equal(
				command(t, id, rw(NVME_IO_READ, n, 1, iova(DATA), 0), NULL),
				NVME_SUCCESS);
	}
	for (unsigned int id = 1; id <= NVME_QUEUES; id++)
		assert_int_equal(hw_taken(t->hw, id), 3 * id);
	assert_int_equal(hw_taken(t->hw, 0), admin_before);

	/* A completion queue without interrupts */
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_SQ, 2), NVME_SUCCESS);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_CQ, 2), NVME_SUCCESS);
	memset(t->hw->ram + IO_CQ(2), 0, 0x2000);
	assert_int_equal(create_cq(t, 2, IO_ENTRIES, 2, NVME_QUEUE_CONTIGUOUS), NVME_SUCCESS);
	assert_int_equal(create_sq(t, 2, IO_ENTRIES, 2), NVME_SUCCESS);
	queue_init(&t->queue[2], 2, IO_SQ(2), IO_CQ(2), IO_ENTRIES);
	assert_int_equal(command(t, 2, rw(NVME_IO_READ, 0, 1, iova(DATA), 0), NULL), NVME_SUCCESS);
	assert_int_equal(hw_taken(t->hw, 2), 6);
}

/* Many commands with one doorbell, several times around the queue. */
static void test_batches(void **state)
{
	struct nvme_test *t = *state;
	struct nvme_queue *q = &t->queue[1];
	uint64_t block = 0;

	for (unsigned int round = 0; round < 20; round++) {
		unsigned int n = 1 + round * 7 % (IO_ENTRIES - 1);

		for (unsigned int i = 0; i < n; i++)
			put_command(t, q, rw(NVME_IO_READ, block + i, 1, iova(DATA + i * 512), 0));
		ring_sq(t, 1, q->tail);
		for (unsigned int i = 0; i < n; i++) {
			struct nvme_cqe cqe;

			assert_true(take_completion(t, q, &cqe));
			assert_int_equal(cqe.status >> 1, NVME_SUCCESS);
			assert_content(t, DATA + i * 512, (block + i) * 512, 512);
		}
		block += n;
	}
	assert_int_equal(hw_taken(t->hw, 1), block);
}

/*
 * Two submission queues on a small completion queue: what finds no room waits, and nothing is lost.
 */
static void test_full_cq(void **state)
{
	struct nvme_test *t = *state;
	struct nvme_queue cq;
	unsigned int done = 0;

	for (unsigned int id = 1; id <= 2; id++) {
		assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_SQ, id), NVME_SUCCESS);
		queue_init(&t->queue[id], id, IO_SQ(id), IO_CQ(id), IO_ENTRIES);
	}
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_CQ, 1), NVME_SUCCESS);
	assert_int_equal(create_cq(t, 1, 4, 1, NVME_QUEUE_CONTIGUOUS | NVME_QUEUE_INTERRUPTS),
			 NVME_SUCCESS);
	queue_init(&cq, 1, 0, IO_CQ(1), 4);
	for (unsigned int id = 1; id <= 2; id++) {
		assert_int_equal(create_sq(t, id, IO_ENTRIES, 1), NVME_SUCCESS);
		for (unsigned int i = 0; i < IO_ENTRIES - 1; i++)
			put_command(t, &t->queue[id], rw(NVME_IO_READ, i, 1, iova(DATA), 0));
		ring_sq(t, id, t->queue[id].tail);
	}
	/* Three places of four */
	assert_int_equal(hw_taken(t->hw, 1), 3);
	for (;;) {
		struct nvme_cqe cqe;

		if (!take_completion(t, &cq, &cqe))
			break;
		assert_int_equal(cqe.status >> 1, NVME_SUCCESS);
		done++;
		assert_in_range(hw_taken(t->hw, 1) - done, 0, 3);
	}
	assert_int_equal(done, 2 * (IO_ENTRIES - 1));
	assert_int_equal(hw_taken(t->hw, 1), 2 * (IO_ENTRIES - 1));
}

static void test_deleted_while_waiting(void **state)
{
	struct nvme_test *t = *state;
	struct nvme_queue *q = &t->queue[1];
	struct nvme_cqe cqe;

	/* Nobody takes completions: the queue stands still with work left, and is deleted. */
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int n = 0; n < IO_ENTRIES - 1; n++)
			put_command(t, q, rw(NVME_IO_READ, n, 1, iova(DATA), 0));
		ring_sq(t, 1, q->tail);
	}
	assert_int_equal(hw_taken(t->hw, 1), IO_ENTRIES - 1);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_SQ, 1), NVME_SUCCESS);
	while (take_completion(t, q, &cqe))
		;
	assert_int_equal(hw_taken(t->hw, 1), IO_ENTRIES - 1);
	assert_int_equal(delete_queue(t, NVME_ADMIN_DELETE_CQ, 1), NVME_SUCCESS);
}

/* --- Disks --- */

static void test_file(void **state)
{
	char path[] = "/tmp/doorbell-nvme-XXXXXX";
	int fd = mkstemp(path);
	struct nvme_config config = { .io_queues = 1, .disk = path };
	char block[512], back[512];
	struct nvme_test *t;

	(void)state;
	assert_true(fd >= 0);
	memset(block, 7, sizeof(block));
	assert_int_equal(ftruncate(fd, 10 * 512), 0);
	assert_int_equal(pwrite(fd, block, 512, 9 * 512), 512);

	t = nvme_test_create(&config);
	enable_with(t, NVME_CC_GOOD);
	assert_int_equal(
		create_cq(t, 1, IO_ENTRIES, 1, NVME_QUEUE_CONTIGUOUS | NVME_QUEUE_INTERRUPTS), 0);
	assert_int_equal(create_sq(t, 1, IO_ENTRIES, 1), 0);
	queue_init(&t->queue[1], 1, IO_SQ(1), IO_CQ(1), IO_ENTRIES);

	assert_int_equal(io(t, rw(NVME_IO_READ, 9, 1, iova(DATA), 0)), NVME_SUCCESS);
	assert_memory_equal(t->hw->ram + DATA, block, 512);
	assert_int_equal(io(t, rw(NVME_IO_READ, 10, 1, iova(DATA), 0)), NVME_LBA_RANGE);
	memset(t->hw->ram + DATA, 9, 1024);
	assert_int_equal(io(t, rw(NVME_IO_WRITE, 3, 2, iova(DATA), 0)), NVME_SUCCESS);
	assert_int_equal(io(t, (struct nvme_sqe){ .cdw0 = NVME_IO_FLUSH, .nsid = 1 }),
			 NVME_SUCCESS);
	assert_int_equal(pread(fd, back, 512, 4 * 512), 512);
	assert_memory_equal(back, t->hw->ram + DATA, 512);
	/* A write whose data cannot be read changes nothing. */
	assert_int_equal(io(t, rw(NVME_IO_WRITE, 9, 1, 0x1000, 0)), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(pread(fd, back, 512, 9 * 512), 512);
	assert_memory_equal(back, block, 512);
	/* The file gets shorter. */
	assert_int_equal(ftruncate(fd, 5 * 512), 0);
	assert_int_equal(io(t, rw(NVME_IO_READ, 4, 2, iova(DATA), 0)), NVME_READ_ERROR);
	nvme_test_destroy(t);
	close(fd);
	unlink(path);
}

static void test_read_only(void **state)
{
	struct nvme_config config = nvme_memory_config;
	struct nvme_test *t;

	(void)state;
	config.read_only = true;
	t = nvme_test_create(&config);
	enable_with(t, NVME_CC_GOOD);
	create_io_queues(t);
	assert_int_equal(io(t, rw(NVME_IO_WRITE, 0, 1, iova(DATA), 0)), NVME_WRITE_PROTECTED);
	assert_int_equal(io(t, rw(NVME_IO_READ, 0, 1, iova(DATA), 0)), NVME_SUCCESS);
	assert_content(t, DATA, 0, 512);
	nvme_test_destroy(t);
}

static void test_content(void **state)
{
	char whole[100], part[100];

	(void)state;
	nvme_content(1, 1000, whole, sizeof(whole));
	for (unsigned int at = 0; at < sizeof(whole); at += 7) {
		unsigned int n = sizeof(whole) - at < 7 ? sizeof(whole) - at : 7;

		nvme_content(1, 1000 + at, part + at, n);
	}
	assert_memory_equal(whole, part, sizeof(whole));
	nvme_content(2, 1000, part, sizeof(part));
	assert_memory_not_equal(whole, part, sizeof(whole));
}

/* --- Threads --- */

struct worker {
	struct nvme_test *t;
	unsigned int id;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	uint32_t data = DATA + w->id * 0x10000;

	for (unsigned int i = 0; i < 500; i++) {
		uint64_t block = (i * 37 + w->id * 1000) % (DISK_SIZE / 512 - 8);

		if (command(w->t, w->id, rw(NVME_IO_READ, block, 8, iova(data), 0), NULL) !=
		    NVME_SUCCESS)
			return w;
		assert_content(w->t, data, block * 512, 4096);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct nvme_test *t = *state;
	struct worker workers[NVME_QUEUES];
	pthread_t threads[NVME_QUEUES];

	for (unsigned int i = 0; i < NVME_QUEUES; i++) {
		workers[i] = (struct worker){ t, i + 1 };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(admin(t, (struct nvme_sqe){ .cdw0 = NVME_ADMIN_IDENTIFY,
							     .nsid = 1,
							     .prp1 = iova(0x80000) }),
				 0);
	for (unsigned int i = 0; i < NVME_QUEUES; i++) {
		void *error;

		pthread_join(threads[i], &error);
		assert_null(error);
		assert_int_equal(hw_taken(t->hw, i + 1), 500);
	}
}

/* The controller is reset under threads that ring its doorbells. */
static void *ring_on(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = 0; i < 3000; i++) {
		ring_sq(w->t, w->id, i % IO_ENTRIES);
		ring_cq(w->t, w->id, i % IO_ENTRIES);
	}
	return NULL;
}

static void test_reset_under_load(void **state)
{
	struct nvme_test *t = *state;
	struct worker workers[NVME_QUEUES];
	pthread_t threads[NVME_QUEUES];

	for (unsigned int i = 0; i < NVME_QUEUES; i++) {
		workers[i] = (struct worker){ t, i + 1 };
		assert_int_equal(pthread_create(&threads[i], NULL, ring_on, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < 20; i++) {
		if (i % 4 == 3) {
			pci_dev_reset(t->dev);
			hw_arm(t->hw, t->dev);
		} else {
			set_reg(t, NVME_CC, 0);
		}
		assert_int_equal(reg(t, NVME_CSTS) & NVME_CSTS_RDY, 0);
		set_reg(t, NVME_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
		pci_bar_write(t->dev, 0, NVME_ASQ, 8, iova(ADMIN_SQ));
		pci_bar_write(t->dev, 0, NVME_ACQ, 8, iova(ADMIN_CQ));
		set_reg(t, NVME_CC, NVME_CC_GOOD | NVME_CC_EN);
		assert_int_equal(reg(t, NVME_CSTS), NVME_CSTS_RDY);
	}
	for (unsigned int i = 0; i < NVME_QUEUES; i++)
		pthread_join(threads[i], NULL);
}

#define with_io(test) cmocka_unit_test_setup_teardown(test, setup_io, nvme_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_io(test_small),
		with_io(test_lists),
		with_io(test_bad_prps),
		with_io(test_big_pages),
		with_io(test_write),
		with_io(test_bad_commands),
		with_io(test_interrupts),
		with_io(test_batches),
		with_io(test_full_cq),
		with_io(test_deleted_while_waiting),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_content),
		with_io(test_threads),
		with_io(test_reset_under_load),
	};

	return cmocka_run_group_tests_name("soft/nvme_io", tests, NULL, NULL);
}
