/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536
#define WAIT_MS 5000	/* for a pipe's other end */

int cli_file_error(int err, const char *path, char *why, size_t size)
{
	const char *reason = strerror(-err);

	if (err == -EPIPE)
		reason = "it is a FIFO, and nobody writes to it";
	else if (err == -ETIMEDOUT)
		reason = "nothing came from it within 5 seconds";
	else if (err == -EFBIG)
		reason = "it is larger than such a file can be";
	snprintf(why, size, "%s: %s", path, reason);
	return err;
}

/* read() of a descriptor that does not block: up to a while for what is on its way. */
static ssize_t read_some(int fd, char *buf, size_t size)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while ((n = read(fd, buf, size)) < 0 && (errno == EINTR || errno == EAGAIN)) {
		if (errno == EAGAIN && !poll(&poller, 1, WAIT_MS))
			return -ETIMEDOUT;
	}
	return n < 0 ? -errno : n;
}

static int read_all(int fd, size_t max, char **out, size_t *len)
{
	char *buf = NULL, *grown;
	size_t room = 0;
	ssize_t n;

	*len = 0;
	do {
		if (*len == room) {
			room = room ? 2 * room : CHUNK;
			grown = realloc(buf, room);
			if (!grown) {
				free(buf);
				return -ENOMEM;
			}
			buf = grown;
		}
		n = read_some(fd, buf + *len, room - *len);
		if (n > 0)
			*len += n;
	} while (n > 0 && *len <= max);
	if (n < 0 || *len > max) {
		free(buf);
		return n < 0 ? n : -EFBIG;
	}
	*out = buf;
	return 0;
}

int cli_read_file(const char *path, size_t max, char **out, size_t *len)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), err;
	struct stat st;

	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) ? -errno : read_all(fd, max, out, len);
	/* A FIFO that nobody holds open for writing is at its end at once. */
	if (!err && !*len && S_ISFIFO(st.st_mode)) {
		free(*out);
		*out = NULL;
		err = -EPIPE;
	}
	close(fd);
	return err;
}

FILE *cli_create_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0666), flags;
	FILE *file;

	if (fd < 0)
		return NULL;
	flags = fcntl(fd, F_GETFL);
	file = flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) ? NULL : fdopen(fd, "w");
	if (!file)
		close(fd);
	return file;
}
