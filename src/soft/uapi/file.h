/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files of the software host. A file's descriptor is a real one (an eventfd, so that it can be
 * polled where that means something), owned by the host from open to close; calls through the seam
 * find the file by it.
 */
#ifndef SOFT_UAPI_FILE_H
#define SOFT_UAPI_FILE_H

#include "soft/host.h"

struct soft_file;

struct soft_file_ops {
	int (*ioctl)(struct soft_file *file, unsigned long request, void *arg);
	ssize_t (*read)(struct soft_file *file, void *buf, size_t len);
	ssize_t (*pread)(struct soft_file *file, void *buf, size_t len, uint64_t offset);
	ssize_t (*pwrite)(struct soft_file *file, const void *buf, size_t len, uint64_t offset);
	int (*mmap)(struct soft_file *file, size_t len, int prot, uint64_t offset, void **out);
	void (*release)(struct soft_file *file);	/* last reference gone */
};

struct soft_file {
	const struct soft_file_ops *ops;
	struct soft_host *host;
	void *priv;
	int fd;			/* -1 once closed */
	pthread_mutex_t fd_lock;	/* innermost: keeps @fd this file's while it is used */
	/*
	 * of the descriptor, of calls under way, and of objects that hold the file; under
	 * host->lock
	 */
	unsigned int refs;
};

/*
 * A new file with one reference, held by its descriptor (close-on-exec); (*out)->fd is what the
 * caller of open gets. -ENOMEM, -EMFILE, ...; @priv is then still the caller's.
 */
int soft_file_new(struct soft_host *host, const struct soft_file_ops *ops, void *priv,
		  struct soft_file **out);

/* The file of @fd with a reference, or NULL if the descriptor is none of the host's. */
struct soft_file *soft_file_get(struct soft_host *host, int fd);
void soft_file_hold(struct soft_file *file);
void soft_file_put(struct soft_file *file);

/* close(2): the number is free again, and its reference given back. -EBADF. */
int soft_file_close(struct soft_host *host, int fd);

/*
 * Makes the descriptor poll readable, or not. Takes fd_lock only, so it may be called from an event
 * handler.
 */
void soft_file_set_readable(struct soft_file *file, bool readable);

#endif
