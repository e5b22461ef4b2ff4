/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dma-bufs of one physical range: registers of the machine that a user may let its devices write
 * to, until they are revoked.
 */
#include <errno.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

struct dmabuf {
	struct soft_file *file;
	struct iommufd_host *ih;
	uint64_t pa, size;
	bool revoked;			/* this and users: under ih->lock */
	struct dmabuf_user *users;
};

static void release(struct soft_file *file)
{
	soft_free(file->priv);
}

static const struct soft_file_ops dmabuf_ops = {
	.release = release,
};

int iommufd_dmabuf_create(struct soft_host *host, uint64_t pa, uint64_t size,
			  struct soft_file **out)
{
	struct dmabuf *d = soft_calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return -ENOMEM;
	*d = (struct dmabuf){ .ih = host->iommufd, .pa = pa, .size = size };
	rc = soft_file_new(host, &dmabuf_ops, d, &d->file);
	if (rc) {
		soft_free(d);
		return rc;
	}
	soft_file_install(d->file);
	*out = d->file;
	return 0;
}

struct dmabuf *dmabuf_get(struct soft_host *host, int fd)
{
	struct soft_file *file = soft_file_get(host, fd);

	if (!file)
		return NULL;
	if (file->ops == &dmabuf_ops)
		return file->priv;
	soft_file_put(file);
	return NULL;
}

void dmabuf_put(struct dmabuf *d)
{
	soft_file_put(d->file);
}

uint64_t dmabuf_size(const struct dmabuf *d)
{
	return d->size;
}

uint64_t dmabuf_pa(const struct dmabuf *d)
{
	return d->pa;
}

bool dmabuf_covers(const struct dmabuf *d, uint64_t pa)
{
	return pa >= d->pa && pa - d->pa < d->size;
}

bool dmabuf_revoked(struct dmabuf *d)
{
	bool revoked;

	pthread_mutex_lock(&d->ih->lock);
	revoked = d->revoked;
	pthread_mutex_unlock(&d->ih->lock);
	return revoked;
}

void dmabuf_add_user(struct dmabuf *d, struct dmabuf_user *user)
{
	pthread_mutex_lock(&d->ih->lock);
	user->next = d->users;
	d->users = user;
	pthread_mutex_unlock(&d->ih->lock);
}

void dmabuf_remove_user(struct dmabuf *d, struct dmabuf_user *user)
{
	struct dmabuf_user **at = &d->users;

	pthread_mutex_lock(&d->ih->lock);
	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	pthread_mutex_unlock(&d->ih->lock);
}

/* An IOAS that has not been told, with a reference of its table. With ih->lock. */
static struct iopt *next_to_tell(struct dmabuf *d)
{
	for (struct dmabuf_user *u = d->users; u; u = u->next)
		if (!u->told) {
			u->told = true;
			u->iopt->refs++;
			return u->iopt;
		}
	return NULL;
}

void iommufd_dmabuf_revoke(struct soft_file *file)
{
	struct dmabuf *d = file->priv;
	struct iopt *iopt;

	/*
	 * Who maps it from now on sees that it is revoked (both look with ih->lock); who saw
	 * otherwise is a user already, and holds its table's lock until the mapping stands, for
	 * iopt_revoke() to find.
	 */
	pthread_mutex_lock(&d->ih->lock);
	d->revoked = true;
	while ((iopt = next_to_tell(d))) {
		pthread_mutex_unlock(&d->ih->lock);
		iopt_revoke(iopt, d);
		iopt_put(iopt);
		pthread_mutex_lock(&d->ih->lock);
	}
	pthread_mutex_unlock(&d->ih->lock);
}
