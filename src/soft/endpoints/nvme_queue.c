/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues (NVMe §4.1): commands are fetched and executed in order; a completion needs a place,
 * promised before its command is fetched.
 */
#include <endian.h>

#include "soft/endpoints/nvme_priv.h"

void nvme_fail(struct nvme *nvme)
{
	__atomic_fetch_or(&nvme->csts, NVME_CSTS_CFS, __ATOMIC_SEQ_CST);
}

static bool has_failed(const struct nvme *nvme)
{
	return __atomic_load_n(&nvme->csts, __ATOMIC_ACQUIRE) & NVME_CSTS_CFS;
}

void nvme_sq_start(struct nvme_sq *sq, uint64_t base, uint32_t entries, uint16_t cq_id)
{
	sq->base = base;
	sq->entries = entries;
	sq->cq_id = cq_id;
	sq->head = sq->tail = 0;
	sq->live = true;
}

void nvme_cq_start(struct nvme_cq *cq, uint64_t base, uint32_t entries, uint16_t vector,
		   bool interrupts)
{
	cq->base = base;
	cq->entries = entries;
	cq->vector = vector;
	cq->interrupts = interrupts;
	cq->head = cq->tail = 0;
	cq->promised = cq->users = 0;
	cq->stalled = false;
	cq->phase = true;
	cq->live = true;
}

/* --- Completions --- */

/*
 * A place for one more completion. If there is none, the queue's head doorbell will start the
 * submission queues again.
 */
static bool cq_promise(struct nvme_cq *cq)
{
	uint32_t used;
	bool room;

	pthread_mutex_lock(&cq->lock);
	used = (cq->tail + cq->entries - cq->head) % cq->entries + cq->promised;
	room = used + 1 < cq->entries;
	if (room)
		cq->promised++;
	else
		cq->stalled = true;
	pthread_mutex_unlock(&cq->lock);
	return room;
}

static void cq_break_promise(struct nvme_cq *cq)
{
	pthread_mutex_lock(&cq->lock);
	cq->promised--;
	pthread_mutex_unlock(&cq->lock);
}

/* Writes the entry that was promised, and interrupts. */
static void cq_post(struct nvme *nvme, struct nvme_cq *cq, struct nvme_cqe *cqe, uint16_t status)
{
	uint32_t at;
	bool phase;

	pthread_mutex_lock(&cq->lock);
	at = cq->tail;
	phase = cq->phase;
	cq->promised--;
	cq->tail++;
	if (cq->tail == cq->entries) {
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
	/*
	 * The queue's lock is held, so that entries appear in order. The last dword of an entry has
	 * the phase bit; the bus writes it last.
	 */
	cqe->status = htole16(status << 1 | phase);
	if (pci_dma_write(nvme->dev, cq->base + ((uint64_t)at << NVME_CQE_BITS), cqe, sizeof(*cqe)))
		nvme_fail(nvme);
	pthread_mutex_unlock(&cq->lock);

	if (cq->interrupts)
		pci_raise(nvme->dev, cq->vector);
}

static void complete(struct nvme *nvme, const struct nvme_sq *sq, uint16_t cid, uint32_t result,
		     uint16_t status)
{
	struct nvme_cqe cqe = {
		.dw0 = htole32(result),
		.sq_head = htole16(sq->head),
		.sq_id = htole16(sq->id),
		.cid = htole16(cid),
	};

	cq_post(nvme, &nvme->cq[sq->cq_id], &cqe, status);
}

bool nvme_admin_complete(struct nvme *nvme, uint16_t cid, uint32_t result, uint16_t status)
{
	if (!cq_promise(&nvme->cq[0]))
		return false;
	complete(nvme, &nvme->sq[0], cid, result, status);
	return true;
}

/* --- Commands --- */

static void sqe_to_host(struct nvme_sqe *sqe)
{
	sqe->cdw0 = le32toh(sqe->cdw0);
	sqe->nsid = le32toh(sqe->nsid);
	sqe->prp1 = le64toh(sqe->prp1);
	sqe->prp2 = le64toh(sqe->prp2);
	sqe->cdw10 = le32toh(sqe->cdw10);
	sqe->cdw11 = le32toh(sqe->cdw11);
	sqe->cdw12 = le32toh(sqe->cdw12);
	sqe->cdw13 = le32toh(sqe->cdw13);
	sqe->cdw14 = le32toh(sqe->cdw14);
	sqe->cdw15 = le32toh(sqe->cdw15);
}

static uint16_t execute(struct nvme *nvme, const struct nvme_sq *sq, struct nvme_command *cmd)
{
	/* Neither fused operations nor SGLs */
	if (NVME_CDW0_FUSED(cmd->sqe.cdw0) || NVME_CDW0_PSDT(cmd->sqe.cdw0))
		return NVME_INVALID_FIELD;
	return sq->id ? nvme_io_command(nvme, cmd) : nvme_admin_command(nvme, cmd);
}

/*
 * Executes what is between head and tail, as far as there is room for completions. Under the
 * queue's lock.
 */
static void sq_run(struct nvme *nvme, struct nvme_sq *sq)
{
	while (sq->live && sq->head != sq->tail && !has_failed(nvme)) {
		struct nvme_cq *cq = &nvme->cq[sq->cq_id];
		struct nvme_command cmd = { .sq_id = sq->id, .bounce = sq->bounce };
		uint16_t status;

		if (!cq_promise(cq))
			return;
		if (pci_dma_read(nvme->dev, sq->base + ((uint64_t)sq->head << NVME_SQE_BITS),
				 &cmd.sqe, sizeof(cmd.sqe))) {
			cq_break_promise(cq);
			nvme_fail(nvme);
			return;
		}
		sqe_to_host(&cmd.sqe);
		sq->head = (sq->head + 1) % sq->entries;
		status = execute(nvme, sq, &cmd);
		if (cmd.no_completion)
			cq_break_promise(cq);
		else
			complete(nvme, sq, NVME_CDW0_CID(cmd.sqe.cdw0), cmd.result, status);
	}
}

/* --- Doorbells --- */

void nvme_sq_tail(struct nvme *nvme, unsigned int id, uint32_t tail)
{
	struct nvme_sq *sq = id <= nvme->io_queues ? &nvme->sq[id] : NULL;
	uint32_t event = NVME_EVENT_DOORBELL_REGISTER;
	bool bad = true;

	if (sq) {
		pthread_mutex_lock(&sq->lock);
		if (sq->live) {
			event = NVME_EVENT_DOORBELL_VALUE;
			bad = tail >= sq->entries;
		}
		if (!bad) {
			sq->tail = tail;
			sq_run(nvme, sq);
		}
		pthread_mutex_unlock(&sq->lock);
	}
	if (bad)
		nvme_async_event(nvme, event);
}

/* True: consumed as the host says. *resume: submission queues wait for the room. */
static bool cq_consume(struct nvme_cq *cq, uint32_t head, uint32_t *event, bool *resume)
{
	bool good = false;

	pthread_mutex_lock(&cq->lock);
	if (cq->live) {
		*event = NVME_EVENT_DOORBELL_VALUE;
		/* Not beyond the tail: only what has been posted can be consumed. */
		good = head < cq->entries &&
		       (head + cq->entries - cq->head) % cq->entries <=
			       (cq->tail + cq->entries - cq->head) % cq->entries;
	}
	if (good) {
		cq->head = head;
		*resume = cq->stalled;
		cq->stalled = false;
	}
	pthread_mutex_unlock(&cq->lock);
	return good;
}

void nvme_cq_head(struct nvme *nvme, unsigned int id, uint32_t head)
{
	uint32_t event = NVME_EVENT_DOORBELL_REGISTER;
	bool resume = false;

	if (id > nvme->io_queues || !cq_consume(&nvme->cq[id], head, &event, &resume)) {
		nvme_async_event(nvme, event);
		return;
	}
	for (unsigned int i = 0; resume && i <= nvme->io_queues; i++) {
		struct nvme_sq *sq = &nvme->sq[i];

		pthread_mutex_lock(&sq->lock);
		if (sq->live && sq->cq_id == id)
			sq_run(nvme, sq);
		pthread_mutex_unlock(&sq->lock);
	}
}
