/* SPDX-License-Identifier: BSD-2-Clause */
/* The objects of an iommufd: ids, users, destruction. */
#include <errno.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

#define MIN_OBJECTS 16
#define MAX_ID INT32_MAX

/*
 * What stands for an id that is taken, without an object to be found: one under construction, or
 * one that must never come back.
 */
static struct iommufd_object reserved;

static void (*const destroy[OBJ_TYPES])(struct iommufd_object *obj) = {
	[OBJ_DEVICE] = device_destroy,
	[OBJ_IOAS] = ioas_destroy,
	[OBJ_HWPT_PAGING] = hwpt_paging_destroy,
	[OBJ_HWPT_NESTED] = hwpt_nested_destroy,
	[OBJ_VIOMMU] = viommu_destroy,
	[OBJ_VDEVICE] = vdevice_destroy,
	[OBJ_VEVENTQ] = veventq_destroy,
};

/* The lowest free id. With ctx->lock. */
static int take_id(struct iommufd_ctx *ctx, uint32_t *id)
{
	uint32_t i = ctx->first_free ? ctx->first_free : 1;

	while (i < ctx->n_objects && ctx->objects[i])
		i++;
	if (i >= MAX_ID)
		return -EBUSY;
	if (i >= ctx->n_objects) {
		uint32_t n = ctx->n_objects ? 2 * ctx->n_objects : MIN_OBJECTS;
		struct iommufd_object **objects = soft_grow(ctx->objects, ctx->n_objects, n,
							    sizeof(*objects));

		if (!objects)
			return -ENOMEM;
		ctx->objects = objects;
		ctx->n_objects = n;
	}
	ctx->objects[i] = &reserved;
	ctx->first_free = i + 1;
	ctx->n_live++;
	*id = i;
	return 0;
}

static void give_id(struct iommufd_ctx *ctx, uint32_t id)
{
	if (ctx->vfio_ioas == id)
		ctx->vfio_ioas = 0;
	ctx->objects[id] = NULL;
	ctx->n_live--;
	if (id < ctx->first_free)
		ctx->first_free = id;
}

int object_alloc(struct iommufd_ctx *ctx, enum iommufd_type type, size_t size, void *out)
{
	struct iommufd_object *obj = soft_calloc(1, size);
	int rc;

	if (!obj)
		return -ENOMEM;
	obj->type = type;
	obj->users = 1;
	pthread_mutex_lock(&ctx->lock);
	rc = take_id(ctx, &obj->id);
	pthread_mutex_unlock(&ctx->lock);
	if (rc) {
		soft_free(obj);
		return rc;
	}
	*(void **)out = obj;
	return 0;
}

void object_publish(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	pthread_mutex_lock(&ctx->lock);
	ctx->objects[obj->id] = obj;
	pthread_mutex_unlock(&ctx->lock);
}

void object_abort(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	pthread_mutex_lock(&ctx->lock);
	give_id(ctx, obj->id);
	pthread_mutex_unlock(&ctx->lock);
	soft_free(obj);
}

/* With ctx->lock. */
static struct iommufd_object *find(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj = id < ctx->n_objects ? ctx->objects[id] : NULL;

	return obj == &reserved ? NULL : obj;
}

int object_get(struct iommufd_ctx *ctx, uint32_t id, enum iommufd_type type, void *out)
{
	struct iommufd_object *obj;

	pthread_mutex_lock(&ctx->lock);
	obj = find(ctx, id);
	if (obj && type != OBJ_ANY && obj->type != type)
		obj = NULL;
	if (obj) {
		obj->users++;
		obj->calls++;
	}
	pthread_mutex_unlock(&ctx->lock);
	if (!obj)
		return -ENOENT;
	*(void **)out = obj;
	return 0;
}

void object_put(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	pthread_mutex_lock(&ctx->lock);
	obj->users--;
	if (!--obj->calls)
		pthread_cond_broadcast(&ctx->idle);
	pthread_mutex_unlock(&ctx->lock);
}

void object_hold(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	pthread_mutex_lock(&ctx->lock);
	obj->users++;
	pthread_mutex_unlock(&ctx->lock);
}

void object_release(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	pthread_mutex_lock(&ctx->lock);
	obj->users--;
	pthread_mutex_unlock(&ctx->lock);
}

bool object_try_hold(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	bool alive;

	pthread_mutex_lock(&ctx->lock);
	alive = find(ctx, obj->id) == obj;
	if (alive)
		obj->users++;
	pthread_mutex_unlock(&ctx->lock);
	return alive;
}

/* Takes the object out of the table if nobody else uses it. With ctx->lock. */
static bool unpublish(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	if (obj->users != 1)
		return false;
	give_id(ctx, obj->id);
	return true;
}

static void finish(struct iommufd_object *obj)
{
	destroy[obj->type](obj);
	soft_free(obj);
}

int object_destroy_id(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommufd_object *obj;
	int rc = 0;

	pthread_mutex_lock(&ctx->lock);
	obj = find(ctx, id);
	if (!obj)
		rc = -ENOENT;
	else if (!unpublish(ctx, obj))
		rc = -EBUSY;
	pthread_mutex_unlock(&ctx->lock);
	if (!rc)
		finish(obj);
	return rc;
}

void object_release_and_try_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj)
{
	bool gone;

	pthread_mutex_lock(&ctx->lock);
	obj->users--;
	gone = unpublish(ctx, obj);
	pthread_mutex_unlock(&ctx->lock);
	if (gone)
		finish(obj);
}

void object_destroy_wait(struct iommufd_ctx *ctx, struct iommufd_object *obj, bool tombstone)
{
	pthread_mutex_lock(&ctx->lock);
	/* Nobody finds it from now on; who has it already will let go. */
	ctx->objects[obj->id] = &reserved;
	while (obj->calls)
		pthread_cond_wait(&ctx->idle, &ctx->lock);
	if (!tombstone)
		give_id(ctx, obj->id);
	pthread_mutex_unlock(&ctx->lock);
	finish(obj);
}

/*
 * One that only the table uses, taken out; NULL: none. *left: whether any object is in the table.
 */
static struct iommufd_object *take_leaf(struct iommufd_ctx *ctx, uint32_t *from, bool *left)
{
	struct iommufd_object *leaf = NULL;

	*left = false;
	pthread_mutex_lock(&ctx->lock);
	for (; *from < ctx->n_objects && !leaf; (*from)++) {
		struct iommufd_object *obj = find(ctx, *from);

		if (obj && unpublish(ctx, obj))
			leaf = obj;
		else if (obj)
			*left = true;
	}
	pthread_mutex_unlock(&ctx->lock);
	return leaf;
}

/*
 * Users form a graph without cycles, so there is always a leaf: round after round until the table
 * is empty. A round that destroys nothing would be a lost reference; it ends rather than hangs, and
 * a leak checker shows it.
 */
void objects_destroy_all(struct iommufd_ctx *ctx)
{
	bool any = true, destroyed = true;

	while (any && destroyed) {
		uint32_t from = 1;
		struct iommufd_object *leaf;
		bool left;

		any = false;
		destroyed = false;
		while ((leaf = take_leaf(ctx, &from, &left))) {
			any |= left;
			destroyed = true;
			finish(leaf);
		}
		any |= left;
	}
	soft_free(ctx->objects);
}
