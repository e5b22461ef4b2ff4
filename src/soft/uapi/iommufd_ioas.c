/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests on an IOAS. */
#include <errno.h>
#include <stdlib.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

#define MAP_FLAGS (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)
#define MAP_RIGHTS (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)

int ioas_create(struct iommufd_ctx *ctx, struct iommufd_ioas **out)
{
	struct iommufd_ioas *ioas;
	int rc = object_alloc(ctx, OBJ_IOAS, sizeof(*ioas), &ioas);

	if (rc)
		return rc;
	ioas->iopt = iopt_create(ctx->host);
	if (!ioas->iopt) {
		object_abort(ctx, &ioas->obj);
		return -ENOMEM;
	}
	pthread_mutex_init(&ioas->mutex, NULL);
	*out = ioas;
	return 0;
}

int ioctl_ioas_alloc(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_alloc *arg = cmd->arg;
	struct iommufd_ioas *ioas;
	int rc;

	if (arg->flags)
		return -EOPNOTSUPP;
	rc = ioas_create(cmd->ctx, &ioas);
	if (rc)
		return rc;
	arg->out_ioas_id = ioas->obj.id;
	rc = iommufd_respond(cmd, sizeof(*arg));
	if (rc) {
		ioas_destroy(&ioas->obj);
		object_abort(cmd->ctx, &ioas->obj);
		return rc;
	}
	object_publish(cmd->ctx, &ioas->obj);
	return 0;
}

void ioas_destroy(struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = (struct iommufd_ioas *)obj;

	iopt_destroy(ioas->iopt);
	pthread_mutex_destroy(&ioas->mutex);
}

int ioctl_ioas_iova_ranges(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_iova_ranges *arg = cmd->arg;
	uint32_t room = arg->num_iovas, n = 0;
	struct iommu_iova_range range;
	struct iommufd_ioas *ioas;
	uint64_t from = 0;
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	rc = object_get(cmd->ctx, arg->ioas_id, OBJ_IOAS, &ioas);
	if (rc)
		return rc;
	pthread_mutex_lock(&ioas->iopt->lock);
	arg->out_iova_alignment = ioas->iopt->alignment;
	while (!rc && iopt_next_usable(ioas->iopt, from, (uint64_t *)&range.start,
				       (uint64_t *)&range.last)) {
		if (n < room)
			rc = user_write(arg->allowed_iovas + n * sizeof(range), &range,
					sizeof(range));
		n++;
		if (range.last == UINT64_MAX)
			break;
		from = range.last + 1;
	}
	pthread_mutex_unlock(&ioas->iopt->lock);
	object_put(cmd->ctx, &ioas->obj);
	if (rc)
		return rc;
	arg->num_iovas = n;
	rc = iommufd_respond(cmd, sizeof(*arg));
	return !rc && n > room ? -EMSGSIZE : rc;
}

static int by_start(const void *a, const void *b)
{
	const struct iommu_iova_range *l = a, *r = b;

	return (l->start > r->start) - (l->start < r->start);
}

/* The caller's list, sorted; NULL for none. */
static int load_ranges(uint64_t uptr, uint32_t n, struct iommu_iova_range **out)
{
	struct iommu_iova_range *ranges, probe;
	int rc;

	*out = NULL;
	if (!n)
		return 0;
	/* Both ends, before memory is spent on a list that is not there. */
	rc = user_read(&probe, uptr, sizeof(probe));
	if (!rc)
		rc = user_read(&probe, uptr + (n - 1ull) * sizeof(probe), sizeof(probe));
	if (rc)
		return rc;
	ranges = soft_calloc(n, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	rc = user_read(ranges, uptr, n * sizeof(*ranges));
	if (!rc)
		qsort(ranges, n, sizeof(*ranges), by_start);
	for (uint32_t i = 0; i < n && !rc; i++)
		if (ranges[i].start >= ranges[i].last ||
		    (i && ranges[i].start <= ranges[i - 1].last))
			rc = -EINVAL;
	if (rc) {
		soft_free(ranges);
		return rc;
	}
	*out = ranges;
	return 0;
}

int ioctl_ioas_allow_iovas(struct iommufd_cmd *cmd)
{
	const struct iommu_ioas_allow_iovas *arg = cmd->arg;
	struct iommu_iova_range *ranges;
	struct iommufd_ioas *ioas;
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	rc = object_get(cmd->ctx, arg->ioas_id, OBJ_IOAS, &ioas);
	if (rc)
		return rc;
	rc = load_ranges(arg->allowed_iovas, arg->num_iovas, &ranges);
	if (!rc)
		rc = iopt_allow(ioas->iopt, ranges, arg->num_iovas);
	object_put(cmd->ctx, &ioas->obj);
	return rc;
}

/* What map, map_file and copy have in common. */
static int check_map(uint32_t flags, uint64_t iova, uint64_t length)
{
	if (flags & ~MAP_FLAGS)
		return -EOPNOTSUPP;
	if (iova == UINT64_MAX || length == UINT64_MAX)
		return -EOVERFLOW;
	return flags & MAP_RIGHTS ? 0 : -EINVAL;
}

int ioctl_ioas_map(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_map *arg = cmd->arg;
	struct iopt_slice slice = { .addr = arg->user_va,
				    .length = arg->length,
				    .may_write = arg->flags & IOMMU_IOAS_MAP_WRITEABLE };
	struct iommufd_ioas *ioas;
	uint64_t end;
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	rc = check_map(arg->flags, arg->iova, arg->length);
	if (rc)
		return rc;
	rc = object_get(cmd->ctx, arg->ioas_id, OBJ_IOAS, &ioas);
	if (rc)
		return rc;
	if (__builtin_add_overflow(arg->user_va, arg->length, &end))
		rc = -EOVERFLOW;
	else if (!arg->length)
		rc = -EINVAL;
	else if (end >> IOVA_AREA_ADDR_BITS)
		/* Linux finds out when it pins: nothing is mapped up there. */
		rc = -EFAULT;
	else
		rc = iopt_map(ioas->iopt, &slice, 1, arg->length, (uint64_t *)&arg->iova,
			      arg->flags);
	object_put(cmd->ctx, &ioas->obj);
	return rc ? rc : iommufd_respond(cmd, sizeof(*arg));
}

int ioctl_ioas_map_file(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_map_file *arg = cmd->arg;
	struct iopt_slice slice = { .length = arg->length,
				    .may_write = arg->flags & IOMMU_IOAS_MAP_WRITEABLE };
	struct iommufd_ioas *ioas;
	int rc;

	rc = check_map(arg->flags, arg->iova, arg->length);
	if (rc)
		return rc;
	rc = object_get(cmd->ctx, arg->ioas_id, OBJ_IOAS, &ioas);
	if (rc)
		return rc;
	rc = source_create(cmd->ctx->host, arg->fd, arg->start, arg->length, slice.may_write,
			   &slice.source);
	if (!rc) {
		slice.addr = arg->start - slice.source->start;
		rc = iopt_map(ioas->iopt, &slice, 1, arg->length, (uint64_t *)&arg->iova,
			      arg->flags);
		source_put(slice.source);
	}
	object_put(cmd->ctx, &ioas->obj);
	return rc ? rc : iommufd_respond(cmd, sizeof(*arg));
}

int ioctl_ioas_copy(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_copy *arg = cmd->arg;
	struct iopt_slice *slices;
	struct iommufd_ioas *ioas;
	size_t n;
	int rc;

	if (arg->src_iova == UINT64_MAX && !(arg->flags & ~MAP_FLAGS))
		return -EOVERFLOW;
	rc = check_map(arg->flags, arg->dst_iova, arg->length);
	if (rc)
		return rc;
	rc = object_get(cmd->ctx, arg->src_ioas_id, OBJ_IOAS, &ioas);
	if (rc)
		return rc;
	rc = iopt_get_slices(ioas->iopt, arg->src_iova, arg->length, &slices, &n);
	object_put(cmd->ctx, &ioas->obj);
	if (rc)
		return rc;
	rc = object_get(cmd->ctx, arg->dst_ioas_id, OBJ_IOAS, &ioas);
	if (!rc) {
		rc = iopt_map(ioas->iopt, slices, n, arg->length, (uint64_t *)&arg->dst_iova,
			      arg->flags);
		object_put(cmd->ctx, &ioas->obj);
	}
	iopt_put_slices(slices, n);
	return rc ? rc : iommufd_respond(cmd, sizeof(*arg));
}

int ioctl_ioas_unmap(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_unmap *arg = cmd->arg;
	bool all = !arg->iova && arg->length == UINT64_MAX;
	struct iommufd_ioas *ioas;
	uint64_t last, unmapped = 0;
	int rc;

	rc = object_get(cmd->ctx, arg->ioas_id, OBJ_IOAS, &ioas);
	if (rc)
		return rc;
	if (all)
		rc = iopt_unmap(ioas->iopt, 0, UINT64_MAX, &unmapped);
	else if (arg->iova == UINT64_MAX || arg->length == UINT64_MAX)
		rc = -EOVERFLOW;
	else if (!arg->length)
		rc = -EINVAL;
	else if (__builtin_add_overflow(arg->iova, arg->length - 1, &last))
		rc = -EOVERFLOW;
	else
		rc = iopt_unmap(ioas->iopt, arg->iova, last, &unmapped);
	object_put(cmd->ctx, &ioas->obj);
	if (!rc && !all && !unmapped)
		rc = -ENOENT;
	if (rc)
		return rc;
	arg->length = unmapped;
	return iommufd_respond(cmd, sizeof(*arg));
}

/*
 * Pinned memory is to be accounted to another process. There is only one here; what Linux refuses
 * is refused: anything but files.
 */
int ioctl_ioas_change_process(struct iommufd_cmd *cmd)
{
	const struct iommu_ioas_change_process *arg = cmd->arg;
	struct iommufd_ctx *ctx = cmd->ctx;
	int rc = 0;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	for (uint32_t id = 1; !rc; id++) {
		struct iommufd_ioas *ioas;

		pthread_mutex_lock(&ctx->lock);
		if (id >= ctx->n_objects)
			rc = 1;
		pthread_mutex_unlock(&ctx->lock);
		if (rc || object_get(ctx, id, OBJ_IOAS, &ioas))
			continue;
		pthread_mutex_lock(&ioas->iopt->lock);
		if (ioas->iopt->other_areas)
			rc = -EINVAL;
		pthread_mutex_unlock(&ioas->iopt->lock);
		object_put(ctx, &ioas->obj);
	}
	return rc < 0 ? rc : 0;
}

int option_huge_pages(struct iommufd_ctx *ctx, struct iommu_option *opt)
{
	struct iommufd_ioas *ioas;
	int rc;

	rc = object_get(ctx, opt->object_id, OBJ_IOAS, &ioas);
	if (rc)
		return rc;
	switch (opt->op) {
	case IOMMU_OPTION_OP_GET:
		pthread_mutex_lock(&ioas->iopt->lock);
		opt->val64 = !ioas->iopt->small_pages;
		pthread_mutex_unlock(&ioas->iopt->lock);
		break;
	case IOMMU_OPTION_OP_SET:
		rc = opt->val64 > 1 ? -EINVAL : iopt_set_small_pages(ioas->iopt, !opt->val64);
		break;
	default:
		rc = -EOPNOTSUPP;
	}
	object_put(ctx, &ioas->obj);
	return rc;
}
