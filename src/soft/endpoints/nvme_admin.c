/* SPDX-License-Identifier: BSD-2-Clause */
/* Admin commands (NVMe §5), but for Identify. All run under the admin queue's lock. */
#include <string.h>

#include "soft/endpoints/nvme_priv.h"

#define LOG_MAX 4096u

/* --- Queues, §5.3 to §5.6 --- */

static bool is_io_queue(const struct nvme *nvme, uint32_t id)
{
	return id && id <= nvme->io_queues;
}

/* What both Create commands have in common. */
static uint16_t check_create(const struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint32_t entries = (sqe->cdw10 >> 16) + 1;

	if (!is_io_queue(nvme, sqe->cdw10 & 0xffff))
		return NVME_QUEUE_ID_INVALID;
	if (entries < 2 || entries > NVME_QUEUE_ENTRIES || !nvme->queue_formats_valid)
		return NVME_QUEUE_SIZE_INVALID;
	if (!(sqe->cdw11 & NVME_QUEUE_CONTIGUOUS))
		return NVME_INVALID_FIELD;
	if (sqe->prp1 & ((1ull << nvme->page_bits) - 1))
		return NVME_PRP_OFFSET_INVALID;
	return NVME_SUCCESS;
}

static uint16_t create_cq(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint16_t vector = sqe->cdw11 >> 16;
	uint16_t status = check_create(nvme, sqe);
	struct nvme_cq *cq;

	if (status)
		return status;
	if (vector > nvme->io_queues)
		return NVME_VECTOR_INVALID;
	cq = &nvme->cq[sqe->cdw10 & 0xffff];
	pthread_mutex_lock(&cq->lock);
	if (cq->live)
		status = NVME_QUEUE_ID_INVALID;
	else
		nvme_cq_start(cq, sqe->prp1, (sqe->cdw10 >> 16) + 1, vector,
			      sqe->cdw11 & NVME_QUEUE_INTERRUPTS);
	pthread_mutex_unlock(&cq->lock);
	return status;
}

/* One more user of an I/O completion queue that is there. */
static uint16_t cq_use(struct nvme *nvme, uint32_t id)
{
	struct nvme_cq *cq;
	bool live;

	if (!is_io_queue(nvme, id))
		return NVME_QUEUE_ID_INVALID;
	cq = &nvme->cq[id];
	pthread_mutex_lock(&cq->lock);
	live = cq->live;
	if (live)
		cq->users++;
	pthread_mutex_unlock(&cq->lock);
	return live ? NVME_SUCCESS : NVME_CQ_INVALID;
}

static void cq_unuse(struct nvme_cq *cq)
{
	pthread_mutex_lock(&cq->lock);
	cq->users--;
	pthread_mutex_unlock(&cq->lock);
}

static uint16_t create_sq(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint16_t cq_id = sqe->cdw11 >> 16;
	uint16_t status = check_create(nvme, sqe);
	struct nvme_sq *sq;

	if (status)
		return status;
	status = cq_use(nvme, cq_id);
	if (status)
		return status;
	sq = &nvme->sq[sqe->cdw10 & 0xffff];
	pthread_mutex_lock(&sq->lock);
	if (sq->live)
		status = NVME_QUEUE_ID_INVALID;
	else
		nvme_sq_start(sq, sqe->prp1, (sqe->cdw10 >> 16) + 1, cq_id);
	pthread_mutex_unlock(&sq->lock);
	if (status)
		cq_unuse(&nvme->cq[cq_id]);
	return status;
}

static uint16_t delete_sq(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint32_t id = sqe->cdw10 & 0xffff;
	struct nvme_sq *sq;
	bool live;

	if (!is_io_queue(nvme, id))
		return NVME_QUEUE_ID_INVALID;
	sq = &nvme->sq[id];
	pthread_mutex_lock(&sq->lock);
	live = sq->live;
	sq->live = false;
	if (live)
		cq_unuse(&nvme->cq[sq->cq_id]);
	pthread_mutex_unlock(&sq->lock);
	return live ? NVME_SUCCESS : NVME_QUEUE_ID_INVALID;
}

static uint16_t delete_cq(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint32_t id = sqe->cdw10 & 0xffff;
	uint16_t status = NVME_SUCCESS;
	struct nvme_cq *cq;

	if (!is_io_queue(nvme, id))
		return NVME_QUEUE_ID_INVALID;
	cq = &nvme->cq[id];
	pthread_mutex_lock(&cq->lock);
	if (!cq->live)
		status = NVME_QUEUE_ID_INVALID;
	else if (cq->users)
		status = NVME_QUEUE_DELETION_INVALID;
	else
		cq->live = false;
	pthread_mutex_unlock(&cq->lock);
	return status;
}

/* --- Features, §5.14, §5.21 --- */

static bool is_feature(uint32_t id)
{
	/* No LBA ranges, no volatile write cache. */
	return id && id < NVME_FEATURES && id != 0x03 && id != 0x06;
}

/* The highest number of queues, of either kind, as number - 1. */
static uint32_t queues_granted(const struct nvme *nvme)
{
	return (nvme->io_queues - 1) << 16 | (nvme->io_queues - 1);
}

static uint16_t set_features(struct nvme *nvme, struct nvme_command *cmd)
{
	uint32_t id = cmd->sqe.cdw10 & 0xff, value = cmd->sqe.cdw11;

	if (!is_feature(id))
		return NVME_INVALID_FIELD;
	if (cmd->sqe.cdw10 & NVME_FEATURE_SAVE)
		return NVME_FEATURE_NOT_SAVEABLE;
	if (id == NVME_FEATURE_QUEUES) {
		if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff)
			return NVME_INVALID_FIELD;
		cmd->result = queues_granted(nvme);
		return NVME_SUCCESS;
	}
	if (id == NVME_FEATURE_VECTOR && (value & 0xffff) > nvme->io_queues)
		return NVME_INVALID_FIELD;
	nvme->features[id] = value;
	return NVME_SUCCESS;
}

static uint16_t get_features(struct nvme *nvme, struct nvme_command *cmd)
{
	uint32_t id = cmd->sqe.cdw10 & 0xff, select = cmd->sqe.cdw10 >> 8 & 7;

	if (!is_feature(id) || select > 3)
		return NVME_INVALID_FIELD;
	if (select == 3)
		cmd->result = 1u << 2;	/* changeable; neither saveable nor of a namespace */
	else if (id == NVME_FEATURE_QUEUES)
		cmd->result = queues_granted(nvme);
	else if (select == 0)
		cmd->result = nvme->features[id];
	return NVME_SUCCESS;
}

/* --- Log pages, §5.13 --- */

static uint16_t get_log_page(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	char log[LOG_MAX] = { 0 };
	uint64_t len = (((uint64_t)(sqe->cdw11 & 0xffff) << 16 | sqe->cdw10 >> 16) + 1) * 4;
	uint32_t id = sqe->cdw10 & 0xff;

	if (id != NVME_LOG_ERRORS && id != NVME_LOG_HEALTH && id != NVME_LOG_FIRMWARE)
		return NVME_LOG_PAGE_INVALID;
	/* No offsets (Identify's LPA says so). No log is longer than a page. */
	if (sqe->cdw12 || sqe->cdw13 || len > LOG_MAX)
		return NVME_INVALID_FIELD;
	if (id == NVME_LOG_HEALTH) {
		log[1] = 300 & 0xff;	/* kelvin */
		log[2] = 300 >> 8;
		log[3] = 100;		/* spare: per cent */
	} else if (id == NVME_LOG_FIRMWARE) {
		log[0] = 1;		/* slot 1 is active, and has: */
		memcpy(&log[8], "1.0     ", 8);
	}
	return nvme_prp_write(nvme, sqe, log, len);
}

/* --- Asynchronous events and Abort, §5.2, §5.1 --- */

/* Answers a waiting request with the event, if both are there. */
static void async_deliver(struct nvme *nvme)
{
	if (!nvme->event_waits || !nvme->n_async)
		return;
	if (!nvme_admin_complete(nvme, nvme->async[nvme->n_async - 1], nvme->event, NVME_SUCCESS))
		return;
	nvme->n_async--;
	nvme->event_waits = false;
}

void nvme_async_event(struct nvme *nvme, uint32_t event)
{
	struct nvme_sq *admin = &nvme->sq[0];

	pthread_mutex_lock(&admin->lock);
	/*
	 * At most one event waits for a request, so a host that causes many cannot make them pile
	 * up.
	 */
	if (admin->live && !nvme->event_waits) {
		nvme->event = NVME_EVENT_DW0(event);
		nvme->event_waits = true;
		async_deliver(nvme);
	}
	pthread_mutex_unlock(&admin->lock);
}

static uint16_t async_event_request(struct nvme *nvme, struct nvme_command *cmd)
{
	if (nvme->n_async == NVME_ASYNC_EVENTS)
		return NVME_ASYNC_EVENT_LIMIT;
	if (nvme->event_waits) {
		cmd->result = nvme->event;
		nvme->event_waits = false;
		return NVME_SUCCESS;
	}
	nvme->async[nvme->n_async++] = NVME_CDW0_CID(cmd->sqe.cdw0);
	cmd->no_completion = true;
	return NVME_SUCCESS;
}

/*
 * Commands are executed to the end before the next, so only requests for events can be there to be
 * aborted.
 */
static uint16_t abort_command(struct nvme *nvme, struct nvme_command *cmd)
{
	uint16_t sq_id = cmd->sqe.cdw10 & 0xffff, cid = cmd->sqe.cdw10 >> 16;

	cmd->result = 1;	/* not aborted */
	for (unsigned int i = 0; !sq_id && i < nvme->n_async; i++) {
		if (nvme->async[i] != cid)
			continue;
		if (nvme_admin_complete(nvme, cid, 0, NVME_ABORT_REQUESTED)) {
			nvme->async[i] = nvme->async[--nvme->n_async];
			cmd->result = 0;
		}
		break;
	}
	return NVME_SUCCESS;
}

void nvme_admin_start(struct nvme *nvme)
{
	memset(nvme->features, 0, sizeof(nvme->features));
	nvme->n_async = 0;
	nvme->event_waits = false;
}

uint16_t nvme_admin_command(struct nvme *nvme, struct nvme_command *cmd)
{
	switch (NVME_CDW0_OPCODE(cmd->sqe.cdw0)) {
	case NVME_ADMIN_DELETE_SQ:
		return delete_sq(nvme, &cmd->sqe);
	case NVME_ADMIN_CREATE_SQ:
		return create_sq(nvme, &cmd->sqe);
	case NVME_ADMIN_GET_LOG_PAGE:
		return get_log_page(nvme, &cmd->sqe);
	case NVME_ADMIN_DELETE_CQ:
		return delete_cq(nvme, &cmd->sqe);
	case NVME_ADMIN_CREATE_CQ:
		return create_cq(nvme, &cmd->sqe);
	case NVME_ADMIN_IDENTIFY:
		return nvme_identify(nvme, &cmd->sqe);
	case NVME_ADMIN_ABORT:
		return abort_command(nvme, cmd);
	case NVME_ADMIN_SET_FEATURES:
		return set_features(nvme, cmd);
	case NVME_ADMIN_GET_FEATURES:
		return get_features(nvme, cmd);
	case NVME_ADMIN_ASYNC_EVENT:
		return async_event_request(nvme, cmd);
	default:
		return NVME_INVALID_OPCODE;
	}
}
