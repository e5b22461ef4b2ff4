/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files of the software host. A file's descriptor is a real one, owned by the host from open to
 * close; calls through the seam find the file by it. What can be waited for is an eventfd; all else
 * is an empty memory file, which poll(2) finds always ready and epoll_ctl(2) refuses, as it does
 * with a device whose driver has no poll.
 */
#ifndef SOFT_UAPI_FILE_H
#define SOFT_UAPI_FILE_H

#include <stdbool.h>

#include "soft/host.h"

/* What /proc shows of a descriptor that is no eventfd. */
#define SOFT_FILE_NAME "doorbell"

struct soft_file;

struct soft_file_ops {
	bool can_seek;
	bool can_wait;		/* soft_file_set_readable() says when it is ready */
	int (*ioctl)(struct soft_file *file, unsigned long request, void *arg);
	ssize_t (*read)(struct soft_file *file, void *buf, size_t len);
	ssize_t (*pread)(struct soft_file *file, void *buf, size_t len, uint64_t offset);
	ssize_t (*pwrite)(struct soft_file *file, const void *buf, size_t len, uint64_t offset);
	/* @len is a multiple of the machine's pages; *out as soft_host_mmap()'s */
	int (*mmap)(struct soft_file *file, size_t len, int prot, uint64_t offset, void **out);
	void (*release)(struct soft_file *file);	/* last reference gone */
};

struct soft_file {
	const struct soft_file_ops *ops;
	struct soft_host *host;
	void *priv;
	int access;		/* O_RDONLY, O_WRONLY or O_RDWR */
	dev_t rdev;		/* of a character device; 0: it is none */
	int fd;			/* one of its descriptors; -1 once all are closed */
	pthread_mutex_t fd_lock;	/* innermost: keeps @fd this file's while it is used */
	/*
	 * of its descriptors, of calls under way, and of objects that hold the file; under
	 * host->lock
	 */
	unsigned int refs;
	unsigned int n_fds;	/* under host->lock */
	pthread_mutex_t pos_lock;	/* outermost: held over a read or write at @pos */
	uint64_t pos;
};

/*
 * A new file with one reference, held by its descriptor (close-on-exec); (*out)->fd is what the
 * caller of open gets. Nobody finds it by that number before soft_file_install(), which comes last:
 * another thread may guess the number, and close it. -ENOMEM, -EMFILE, ...; @priv is then still the
 * caller's. soft_file_abandon() is for one that was never installed: it does not call release().
 */
int soft_file_new(struct soft_host *host, const struct soft_file_ops *ops, void *priv,
		  struct soft_file **out);
int soft_file_install(struct soft_file *file);	/* the descriptor */
void soft_file_abandon(struct soft_file *file);

/* The file of @fd with a reference, or NULL if the descriptor is none of the host's. */
struct soft_file *soft_file_get(struct soft_host *host, int fd);
void soft_file_hold(struct soft_file *file);
void soft_file_put(struct soft_file *file);

/* close(2): the number is free again, and its reference given back. -EBADF. */
int soft_file_close(struct soft_host *host, int fd);

/*
 * @fd, a descriptor that dup(2) and its kin made of @old's, is one more of the file's. -EBADF: @old
 * is none of the host's; -ENOMEM. @fd stays open then.
 */
int soft_file_dup(struct soft_host *host, int old, int fd);

/*
 * Makes the descriptor poll readable, or not. Takes fd_lock only, so it may be called from an event
 * handler.
 */
void soft_file_set_readable(struct soft_file *file, bool readable);

#endif
