/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/file.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "soft/alloc.h"

/* With host->lock. */
static int install(struct soft_host *host, struct soft_file *file)
{
	unsigned int want = (unsigned int)file->fd + 1;

	if (want > host->n_files) {
		unsigned int n = host->n_files ? host->n_files : 32;
		struct soft_file **files;

		while (n < want)
			n *= 2;
		files = soft_grow(host->files, host->n_files, n, sizeof(*files));
		if (!files)
			return -ENOMEM;
		host->files = files;
		host->n_files = n;
	}
	host->files[file->fd] = file;
	return 0;
}

int soft_file_new(struct soft_host *host, const struct soft_file_ops *ops, void *priv,
		  struct soft_file **out)
{
	struct soft_file *file = soft_calloc(1, sizeof(*file));
	int rc;

	if (!file)
		return -ENOMEM;
	file->fd = soft_alloc_fails() ? (errno = ENFILE, -1)
				      : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (file->fd < 0) {
		rc = -errno;
		goto free_file;
	}
	file->ops = ops;
	file->host = host;
	file->priv = priv;
	file->refs = 1;
	pthread_mutex_init(&file->fd_lock, NULL);
	pthread_mutex_lock(&host->lock);
	rc = install(host, file);
	pthread_mutex_unlock(&host->lock);
	if (rc)
		goto close_fd;
	*out = file;
	return 0;

close_fd:
	pthread_mutex_destroy(&file->fd_lock);
	close(file->fd);
free_file:
	soft_free(file);
	return rc;
}

struct soft_file *soft_file_get(struct soft_host *host, int fd)
{
	struct soft_file *file = NULL;

	pthread_mutex_lock(&host->lock);
	if (fd >= 0 && (unsigned int)fd < host->n_files)
		file = host->files[fd];
	if (file)
		file->refs++;
	pthread_mutex_unlock(&host->lock);
	return file;
}

void soft_file_hold(struct soft_file *file)
{
	pthread_mutex_lock(&file->host->lock);
	file->refs++;
	pthread_mutex_unlock(&file->host->lock);
}

void soft_file_put(struct soft_file *file)
{
	struct soft_host *host = file->host;
	unsigned int refs;

	pthread_mutex_lock(&host->lock);
	refs = --file->refs;
	pthread_mutex_unlock(&host->lock);
	if (refs)
		return;
	if (file->ops->release)
		file->ops->release(file);
	pthread_mutex_destroy(&file->fd_lock);
	soft_free(file);
}

int soft_file_close(struct soft_host *host, int fd)
{
	struct soft_file *file = NULL;

	pthread_mutex_lock(&host->lock);
	if (fd >= 0 && (unsigned int)fd < host->n_files)
		file = host->files[fd];
	if (file) {
		host->files[fd] = NULL;
		pthread_mutex_lock(&file->fd_lock);
		file->fd = -1;
		pthread_mutex_unlock(&file->fd_lock);
		/*
		 * Still under host->lock: the number may be another file's as soon as it is closed.
		 */
		close(fd);
	}
	pthread_mutex_unlock(&host->lock);
	if (!file)
		return -EBADF;
	soft_file_put(file);
	return 0;
}

void soft_file_set_readable(struct soft_file *file, bool readable)
{
	uint64_t count = 1;
	ssize_t done;

	pthread_mutex_lock(&file->fd_lock);
	if (file->fd >= 0) {
		/* An eventfd that does not block: reading clears it, whatever it counted. */
		done = read(file->fd, &count, sizeof(count));
		count = 1;
		if (readable)
			done = write(file->fd, &count, sizeof(count));
		(void)done;
	}
	pthread_mutex_unlock(&file->fd_lock);
}
