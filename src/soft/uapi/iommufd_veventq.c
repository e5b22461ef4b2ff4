/* SPDX-License-Identifier: BSD-2-Clause */
/* Events of a vIOMMU, read from a file of their own. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"
#include "soft/uapi/user.h"

#define DEPTH_MAX (1u << 19)
#define RING_MIN 16u

struct vevent {
	uint32_t sequence;
	uint64_t evt[4];
};

/*
 * Locks: viommu->events_lock covers the queue's place in the vIOMMU; lock, the ring. Both are held
 * only for as long as it takes to copy one event, so the device's thread does not block on a
 * reader.
 */
struct iommufd_veventq {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	/* has a use of the object, and one of the context's file; NULL once closed (under lock) */
	struct soft_file *file;
	pthread_mutex_t lock;
	struct vevent *ring;		/* grows to depth */
	uint32_t size, first, count;
	uint32_t depth;
	uint32_t sequence;		/* of the next event, lost ones included */
	bool lost_last;			/* the newest was lost: a header says so after the others */
	uint32_t lost_sequence;
};

/* Makes room for one more, up to the depth; false: it is lost. */
static bool make_room(struct iommufd_veventq *q)
{
	uint32_t size = q->size ? 2 * q->size : RING_MIN;
	struct vevent *ring;

	if (q->count < q->size)
		return q->count < q->depth;
	if (q->count >= q->depth)
		return false;
	ring = soft_calloc(size, sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < q->count; i++)
		ring[i] = q->ring[(q->first + i) % q->size];
	soft_free(q->ring);
	q->ring = ring;
	q->size = size;
	q->first = 0;
	return true;
}

void iommufd_viommu_report(struct iommufd_viommu *viommu, const uint64_t evt[4])
{
	struct iommufd_veventq *q;
	bool was_empty;

	pthread_mutex_lock(&viommu->events_lock);
	q = viommu->veventq;
	if (!q) {
		pthread_mutex_unlock(&viommu->events_lock);
		return;
	}
	pthread_mutex_lock(&q->lock);
	was_empty = !q->count && !q->lost_last;
	q->lost_last = !make_room(q);
	if (q->lost_last) {
		q->lost_sequence = q->sequence;
	} else {
		struct vevent *e = &q->ring[(q->first + q->count++) % q->size];

		e->sequence = q->sequence;
		memcpy(e->evt, evt, sizeof(e->evt));
	}
	q->sequence = (q->sequence + 1) & INT_MAX;
	if (was_empty && q->file)
		soft_file_set_readable(q->file, true);
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_unlock(&viommu->events_lock);
}

static ssize_t veventq_read(struct soft_file *file, void *buf, size_t len)
{
	struct iommufd_veventq *q = file->priv;
	const size_t full = sizeof(struct iommufd_vevent_header) +
			    sizeof(struct iommu_vevent_arm_smmuv3);
	struct iommufd_vevent_header header = { 0 };
	uint8_t *out = buf;
	size_t done = 0;
	ssize_t rc = 0;

	if (len < sizeof(header))
		return -EINVAL;
	pthread_mutex_lock(&q->lock);
	while (q->count && len - done >= full) {
		const struct vevent *e = &q->ring[q->first];
		struct iommu_vevent_arm_smmuv3 data;

		header.sequence = e->sequence;
		for (int i = 0; i < 4; i++)
			data.evt[i] = htole64(e->evt[i]);
		/* An event that cannot be handed over stays. */
		rc = copy_to_user(out + done, &header, sizeof(header));
		rc = rc ? rc : copy_to_user(out + done + sizeof(header), &data, sizeof(data));
		if (rc)
			break;
		done += full;
		q->first = (q->first + 1) % q->size;
		q->count--;
	}
	/* A buffer too short for the one event at hand. */
	if (q->count && !done && !rc)
		rc = -EINVAL;
	if (!q->count && q->lost_last && len - done >= sizeof(header)) {
		header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		header.sequence = q->lost_sequence;
		rc = copy_to_user(out + done, &header, sizeof(header));
		if (!rc) {
			done += sizeof(header);
			q->lost_last = false;
		}
	}
	if (!q->count && !q->lost_last)
		soft_file_set_readable(q->file, false);
	pthread_mutex_unlock(&q->lock);
	return done ? (ssize_t)done : rc;
}

static void veventq_release(struct soft_file *file)
{
	struct iommufd_veventq *q = file->priv;
	struct iommufd_ctx *ctx = q->viommu->ctx;

	/* Events go on being counted, with nobody to be told. */
	pthread_mutex_lock(&q->lock);
	q->file = NULL;
	pthread_mutex_unlock(&q->lock);
	object_release(ctx, &q->obj);
	iommufd_ctx_put(ctx);
}

static const struct soft_file_ops veventq_ops = {
	.can_wait = true,
	.read = veventq_read,
	.release = veventq_release,
};

static void veventq_free(struct iommufd_veventq *q)
{
	soft_free(q->ring);
	pthread_mutex_destroy(&q->lock);
}

/* With viommu->alloc_lock: one queue at a time is made. */
static int veventq_create(struct iommufd_cmd *cmd, struct iommufd_viommu *viommu)
{
	struct iommu_veventq_alloc *arg = cmd->arg;
	struct iommufd_veventq *q;
	int rc;

	if (viommu->veventq)
		return -EEXIST;
	rc = object_alloc(cmd->ctx, OBJ_VEVENTQ, sizeof(*q), &q);
	if (rc)
		return rc;
	q->viommu = viommu;
	q->depth = arg->veventq_depth;
	pthread_mutex_init(&q->lock, NULL);
	rc = soft_file_new(cmd->ctx->host, &veventq_ops, q, &q->file);
	if (!rc) {
		arg->out_veventq_id = q->obj.id;
		arg->out_veventq_fd = (uint32_t)q->file->fd;
		rc = iommufd_respond(cmd, sizeof(*arg));
		if (rc)
			soft_file_abandon(q->file);
	}
	if (rc) {
		veventq_free(q);
		object_abort(cmd->ctx, &q->obj);
		return rc;
	}
	soft_file_hold(cmd->ctx->file);
	q->obj.users++;
	object_hold(cmd->ctx, &viommu->obj);
	pthread_mutex_lock(&viommu->events_lock);
	viommu->veventq = q;
	pthread_mutex_unlock(&viommu->events_lock);
	object_publish(cmd->ctx, &q->obj);
	soft_file_install(q->file);
	return 0;
}

int ioctl_veventq_alloc(struct iommufd_cmd *cmd)
{
	const struct iommu_veventq_alloc *arg = cmd->arg;
	struct iommufd_viommu *viommu;
	int rc;

	if (arg->flags || arg->__reserved || arg->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!arg->veventq_depth || arg->veventq_depth > DEPTH_MAX)
		return -EINVAL;
	rc = object_get(cmd->ctx, arg->viommu_id, OBJ_VIOMMU, &viommu);
	if (rc)
		return rc;
	pthread_mutex_lock(&viommu->alloc_lock);
	rc = veventq_create(cmd, viommu);
	pthread_mutex_unlock(&viommu->alloc_lock);
	object_put(cmd->ctx, &viommu->obj);
	return rc;
}

void veventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_veventq *q = (struct iommufd_veventq *)obj;
	struct iommufd_viommu *viommu = q->viommu;

	pthread_mutex_lock(&viommu->events_lock);
	viommu->veventq = NULL;
	pthread_mutex_unlock(&viommu->events_lock);
	veventq_free(q);
	object_release(viommu->ctx, &viommu->obj);
}
