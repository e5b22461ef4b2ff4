/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/alloc.h"

/* Room for the descriptor in the table. With host->lock. */
static int make_room(struct soft_host *host, int fd)
{
	unsigned int want = (unsigned int)fd + 1;
	unsigned int n = host->n_files ? host->n_files : 32;
	struct soft_file **files;

	if (want <= host->n_files)
		return 0;
	while (n < want)
		n *= 2;
	files = soft_grow(host->files, host->n_files, n, sizeof(*files));
	if (!files)
		return -ENOMEM;
	host->files = files;
	host->n_files = n;
	return 0;
}

static int make_descriptor(const struct soft_file_ops *ops)
{
	int fd;

	if (soft_alloc_fails())
		return -ENFILE;
	fd = ops->can_wait ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
			   : memfd_create(SOFT_FILE_NAME, MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int soft_file_new(struct soft_host *host, const struct soft_file_ops *ops, void *priv,
		  struct soft_file **out)
{
	struct soft_file *file = soft_calloc(1, sizeof(*file));
	int rc;

	if (!file)
		return -ENOMEM;
	rc = make_descriptor(ops);
	if (rc < 0)
		goto free_file;
	file->fd = rc;
	file->ops = ops;
	file->host = host;
	file->priv = priv;
	file->access = O_RDWR;
	file->refs = 1;
	file->n_fds = 1;
	pthread_mutex_lock(&host->lock);
	rc = make_room(host, file->fd);
	pthread_mutex_unlock(&host->lock);
	if (rc)
		goto close_fd;
	pthread_mutex_init(&file->fd_lock, NULL);
	pthread_mutex_init(&file->pos_lock, NULL);
	*out = file;
	return 0;

close_fd:
	close(file->fd);
free_file:
	soft_free(file);
	return rc;
}

static void free_file(struct soft_file *file)
{
	pthread_mutex_destroy(&file->pos_lock);
	pthread_mutex_destroy(&file->fd_lock);
	soft_free(file);
}

/* With host->lock: @fd is now the file's, or nobody's. */
static void set_file(struct soft_host *host, int fd, struct soft_file *file)
{
	host->files[fd] = file;
	if (host->watch_fd)
		host->watch_fd(fd, file != NULL);
}

int soft_file_install(struct soft_file *file)
{
	struct soft_host *host = file->host;
	int fd = file->fd;

	pthread_mutex_lock(&host->lock);
	set_file(host, fd, file);
	pthread_mutex_unlock(&host->lock);
	return fd;
}

void soft_file_abandon(struct soft_file *file)
{
	close(file->fd);
	free_file(file);
}

int soft_file_dup(struct soft_host *host, int old, int fd)
{
	struct soft_file *file = NULL;
	int ret;

	pthread_mutex_lock(&host->lock);
	if (old >= 0 && (unsigned int)old < host->n_files)
		file = host->files[old];
	ret = file ? make_room(host, fd) : -EBADF;
	if (!ret) {
		file->refs++;
		file->n_fds++;
		set_file(host, fd, file);
	}
	pthread_mutex_unlock(&host->lock);
	return ret;
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
	free_file(file);
}

/* Another descriptor of the file, or -1. With host->lock. */
static int other_descriptor(const struct soft_host *host, const struct soft_file *file)
{
	for (unsigned int fd = 0; file->n_fds && fd < host->n_files; fd++) {
		if (host->files[fd] == file)
			return (int)fd;
	}
	return -1;
}

int soft_file_close(struct soft_host *host, int fd)
{
	struct soft_file *file = NULL;

	pthread_mutex_lock(&host->lock);
	if (fd >= 0 && (unsigned int)fd < host->n_files)
		file = host->files[fd];
	if (file) {
		set_file(host, fd, NULL);
		file->n_fds--;
		pthread_mutex_lock(&file->fd_lock);
		if (file->fd == fd)
			file->fd = other_descriptor(host, file);
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
