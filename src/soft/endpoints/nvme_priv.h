/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the NVMe controller: nvme.c (life, registers, doorbells), nvme_queue.c (fetching and
 * completing), nvme_prp.c (where data goes), nvme_admin.c, nvme_identify.c, nvme_io.c (commands),
 * nvme_disk.c.
 *
 * Commands are executed in the thread of the doorbell's write, to the end. Lock order: nvme.lock,
 * queue 0's sq.lock, another sq.lock, a cq.lock. Nothing is shared between two queue pairs that
 * work, so that they do not disturb each other.
 */
#ifndef SOFT_ENDPOINTS_NVME_PRIV_H
#define SOFT_ENDPOINTS_NVME_PRIV_H

#include <pthread.h>

#include "soft/endpoints/nvme.h"
#include "soft/endpoints/nvme_regs.h"

#define NVME_BLOCK_BITS 9
#define NVME_QUEUE_ENTRIES 1024		/* at most */
#define NVME_PAGE_BITS 12		/* smallest page; CAP.MPSMIN */
#define NVME_PAGE_BITS_MAX 16
#define NVME_MDTS 7			/* the most that a command transfers: 4 KiB << 7 */
#define NVME_TRANSFER_MAX (1u << (NVME_PAGE_BITS + NVME_MDTS))
#define NVME_SEGMENTS ((1u << NVME_MDTS) + 1)
#define NVME_ASYNC_EVENTS 4
#define NVME_FEATURES 0x0c

struct nvme_disk {
	uint64_t blocks;
	bool read_only;
	int fd;			/* -1: memory */
	char *memory;
};

struct nvme_sq {
	pthread_mutex_t lock;
	bool live;
	uint16_t id, cq_id;
	uint32_t entries, head, tail;
	uint64_t base;
	char *bounce;		/* NVME_TRANSFER_MAX bytes, when the disk is a file */
} __attribute__((aligned(64)));

struct nvme_cq {
	pthread_mutex_t lock;
	bool live, phase, interrupts;
	uint16_t vector;
	uint32_t entries, head, tail;
	uint32_t promised;	/* entries that commands under way will fill */
	uint32_t users;		/* submission queues */
	bool stalled;		/* a submission queue waits for room */
	uint64_t base;
} __attribute__((aligned(64)));

struct nvme {
	struct pci_dev *dev;
	unsigned int io_queues;
	struct nvme_disk disk;
	uint32_t csts;			/* atomic: any thread may set CFS */

	/* Covers the registers. */
	pthread_mutex_t lock;
	uint32_t cc, aqa;
	uint64_t asq, acq;

	/* What the controller works with while it is ready. */
	unsigned int page_bits;
	bool queue_formats_valid;	/* CC.IOSQES, IOCQES */

	struct nvme_sq *sq;		/* io_queues + 1 each; 0 is the admin queue */
	struct nvme_cq *cq;

	/* Covered by the admin queue's lock. */
	uint32_t features[NVME_FEATURES];
	unsigned int n_async;
	uint16_t async[NVME_ASYNC_EVENTS];	/* command identifiers of the requests that wait */
	bool event_waits;			/* that no request was there for */
	uint32_t event;
};

/* A piece of device address space, within one page. */
struct nvme_segment {
	uint64_t addr;
	uint32_t len;
};

/* --- nvme_queue.c --- */

/* Entries are in host byte order. */
struct nvme_command {
	struct nvme_sqe sqe;
	uint16_t sq_id;
	char *bounce;
	uint32_t result;	/* DW0 of the completion */
	bool no_completion;	/* a request that is answered later */
};

void nvme_sq_tail(struct nvme *nvme, unsigned int id, uint32_t tail);
void nvme_cq_head(struct nvme *nvme, unsigned int id, uint32_t head);

/* Under the queue's lock */
void nvme_sq_start(struct nvme_sq *sq, uint64_t base, uint32_t entries, uint16_t cq_id);
void nvme_cq_start(struct nvme_cq *cq, uint64_t base, uint32_t entries, uint16_t vector,
		   bool interrupts);

/*
 * Posts a completion on the admin queue for a command fetched earlier, such as a request for
 * events. Under the admin queue's lock. False: the queue is full.
 */
bool nvme_admin_complete(struct nvme *nvme, uint16_t cid, uint32_t result, uint16_t status);

/* The controller cannot go on (§9.5): CSTS.CFS until it is reset. */
void nvme_fail(struct nvme *nvme);

/* --- nvme_prp.c --- */

/* The segments of @len bytes (1..NVME_TRANSFER_MAX); @segments has NVME_SEGMENTS. Status. */
uint16_t nvme_prp_map(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t len,
		      struct nvme_segment *segments, unsigned int *count);

/* @len bytes of @data to where the command's PRPs say. Status. */
uint16_t nvme_prp_write(struct nvme *nvme, const struct nvme_sqe *sqe, const void *data,
			uint32_t len);

/* --- commands: the status --- */

uint16_t nvme_admin_command(struct nvme *nvme, struct nvme_command *cmd);
uint16_t nvme_identify(struct nvme *nvme, const struct nvme_sqe *sqe);
uint16_t nvme_io_command(struct nvme *nvme, struct nvme_command *cmd);

/* Reports an asynchronous event; without a queue's lock. */
void nvme_async_event(struct nvme *nvme, uint32_t event);
void nvme_admin_start(struct nvme *nvme);	/* under the admin queue's lock */

/* --- nvme_disk.c --- */

int nvme_disk_open(struct nvme_disk *disk, const struct nvme_config *config);
void nvme_disk_close(struct nvme_disk *disk);
int nvme_disk_flush(struct nvme_disk *disk);

#endif
