/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that take a descriptor. */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/vfio.h"
#include "preload/preload.h"
#include "soft/uapi/file.h"

/* --- read and write --- */

static ssize_t read_ours(int fd, void *buf, size_t len, const uint64_t *offset)
{
	struct soft_host *host = gate_enter();
	ssize_t ret = offset ? host->sys.ops->pread(&host->sys, fd, buf, len, *offset)
			     : soft_host_read(host, fd, buf, len);

	gate_leave();
	trace_call(offset ? "pread" : "read", ret, "%d, %zu, %#llx", fd, len,
		   offset ? (unsigned long long)*offset : 0);
	return ret;
}

static ssize_t write_ours(int fd, const void *buf, size_t len, const uint64_t *offset)
{
	struct soft_host *host = gate_enter();
	ssize_t ret = offset ? host->sys.ops->pwrite(&host->sys, fd, buf, len, *offset)
			     : soft_host_write(host, fd, buf, len);

	gate_leave();
	trace_call(offset ? "pwrite" : "write", ret, "%d, %zu, %#llx", fd, len,
		   offset ? (unsigned long long)*offset : 0);
	return ret;
}

/* One after the other, as for a file whose driver knows no vectors. */
static ssize_t each(ssize_t (*one)(int fd, void *buf, size_t len, const uint64_t *offset), int fd,
		    const struct iovec *iov, int n, const uint64_t *offset)
{
	uint64_t at = offset ? *offset : 0;
	ssize_t ret, done = 0;

	if (n < 0 || n > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		ret = one(fd, iov[i].iov_base, iov[i].iov_len, offset ? &at : NULL);
		if (ret < 0)
			return done ? done : ret;
		done += ret;
		at += (uint64_t)ret;
		if ((size_t)ret < iov[i].iov_len)
			break;
	}
	return done;
}

static ssize_t write_one(int fd, void *buf, size_t len, const uint64_t *offset)
{
	return write_ours(fd, buf, len, offset);
}

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	fd_note_use(fd);
	return fd_is_ours(fd) ? give(read_ours(fd, buf, len, NULL)) : REAL(read)(fd, buf, len);
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	fd_note_use(fd);
	return fd_is_ours(fd) ? give(write_ours(fd, buf, len, NULL)) : REAL(write)(fd, buf, len);
}

EXPORT ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
	uint64_t at = (uint64_t)offset;

	fd_note_use(fd);
	return fd_is_ours(fd) ? give(read_ours(fd, buf, len, &at))
			      : REAL(pread)(fd, buf, len, offset);
}

EXPORT ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	uint64_t at = (uint64_t)offset;

	fd_note_use(fd);
	return fd_is_ours(fd) ? give(write_ours(fd, buf, len, &at))
			      : REAL(pwrite)(fd, buf, len, offset);
}

EXPORT ssize_t pread64(int fd, void *buf, size_t len, off64_t offset)
{
	return pread(fd, buf, len, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
	return pwrite(fd, buf, len, offset);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	return fd_is_ours(fd) ? give(each(read_ours, fd, iov, n, NULL)) : REAL(readv)(fd, iov, n);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return fd_is_ours(fd) ? give(each(write_one, fd, iov, n, NULL)) : REAL(writev)(fd, iov, n);
}

EXPORT ssize_t preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
	uint64_t at = (uint64_t)offset;

	return fd_is_ours(fd) ? give(each(read_ours, fd, iov, n, &at))
			      : REAL(preadv)(fd, iov, n, offset);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	uint64_t at = (uint64_t)offset;

	return fd_is_ours(fd) ? give(each(write_one, fd, iov, n, &at))
			      : REAL(pwritev)(fd, iov, n, offset);
}

EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	return preadv(fd, iov, n, offset);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	return pwritev(fd, iov, n, offset);
}

/* What these become with _FORTIFY_SOURCE. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t offset, size_t room);

EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	if (len > room)
		abort();
	return read(fd, buf, len);
}

EXPORT ssize_t __pread_chk(int fd, void *buf, size_t len, off_t offset, size_t room)
{
	if (len > room)
		abort();
	return pread(fd, buf, len, offset);
}

EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t len, off64_t offset, size_t room)
{
	return __pread_chk(fd, buf, len, offset, room);
}

/* Registers have no position to seek; a file of sysfs starts anew. */
EXPORT off_t lseek(int fd, off_t offset, int whence)
{
	struct soft_host *host;
	int ret;

	if (!fd_is_ours(fd))
		return REAL(lseek)(fd, offset, whence);
	host = gate_enter();
	ret = soft_host_rewind(host, fd, whence == SEEK_SET ? offset : -1);
	gate_leave();
	return give(ret ? ret : offset);
}

EXPORT off64_t lseek64(int fd, off64_t offset, int whence)
{
	return lseek(fd, offset, whence);
}

/* --- ioctl --- */

/*
 * A descriptor of a software host, which this process does not know: it was opened by another one,
 * and came by exec or over a socket.
 */
static bool is_anothers(int fd)
{
	static const char prefix[] = "/memfd:" SOFT_FILE_NAME " ";
	char proc[40], name[sizeof(prefix)];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = REAL(readlink)(proc, name, sizeof(name));
	return n >= (ssize_t)sizeof(prefix) - 1 && !memcmp(name, prefix, sizeof(prefix) - 1);
}

static void say_anothers(int fd)
{
	preload_say("doorbell host: descriptor %d came from another process: the software host "
		    "lives in the process that opened it, so each has to open /dev/iommu and "
		    "devices for itself", fd);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	struct soft_host *host;
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	fd_note_use(fd);
	/* What the kernel does for every descriptor, close-on-exec for one, is none of a driver's. */
	if (!fd_is_ours(fd) || request == FIOCLEX || request == FIONCLEX || request == FIONBIO) {
		if (!preload_inside && _IOC_TYPE(request) == VFIO_TYPE && is_anothers(fd))
			say_anothers(fd);
		return REAL(ioctl)(fd, request, arg);
	}
	host = gate_enter();
	ret = host->sys.ops->ioctl(&host->sys, fd, request, arg);
	gate_leave();
	trace_ioctl(fd, request, arg, ret);
	return (int)give(ret);
}

/* --- close and dup --- */

EXPORT int close(int fd)
{
	struct soft_host *host;
	int ret;

	if (fd_is_folder(fd))
		fd_set_folder(fd, false);
	if (!fd_is_ours(fd) || preload_is_vforked())
		return REAL(close)(fd);
	host = gate_enter();
	ret = host->sys.ops->close(&host->sys, fd);
	gate_leave();
	trace_call("close", ret, "%d", fd);
	return (int)give(ret);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	int top = (int)sysconf(_SC_OPEN_MAX);

	if (!preload_inside && !(flags & CLOSE_RANGE_CLOEXEC) && !preload_is_vforked()) {
		for (unsigned int fd = first; fd <= last && fd < (unsigned int)top; fd++) {
			if (fd_is_ours((int)fd))
				close((int)fd);
		}
	}
	return REAL(close_range)(first, last, flags);
}

EXPORT void closefrom(int first)
{
	close_range((unsigned int)first, UINT_MAX, 0);
}

/* @fd was made of @old, if it was made. */
static int made(int old, int fd, bool ours)
{
	struct soft_host *host;

	if (fd < 0 || fd == old)
		return fd;
	if (fd_is_folder(old))
		fd_set_folder(fd, true);
	if (!ours)
		return fd;
	host = gate_enter();
	if (soft_file_dup(host, old, fd)) {
		REAL(close)(fd);
		fd = -ENOMEM;
	}
	gate_leave();
	trace_call("dup", fd, "%d", old);
	return (int)give(fd);
}

EXPORT int dup(int old)
{
	fd_note_use(old);
	return made(old, REAL(dup)(old), fd_is_ours(old));
}

EXPORT int dup3(int old, int fd, int flags)
{
	bool ours = fd_is_ours(old);

	fd_note_use(old);
	/* What @fd was is closed. A child of vfork() does that for itself only. */
	if (old != fd && (fd_is_ours(fd) || fd_is_folder(fd)) && !preload_is_vforked())
		close(fd);
	return made(old, REAL(dup3)(old, fd, flags), ours && !preload_is_vforked());
}

EXPORT int dup2(int old, int fd)
{
	if (preload_inside || old == fd ||
	    !(fd_is_ours(old) || fd_is_ours(fd) || fd_is_folder(old) || fd_is_folder(fd)))
		return REAL(dup2)(old, fd);
	return dup3(old, fd, 0);
}

static int fcntl_any(int (*real)(int fd, int command, ...), int fd, int command, void *arg)
{
	bool dups = command == F_DUPFD || command == F_DUPFD_CLOEXEC;

	if (!dups)
		return real(fd, command, arg);
	fd_note_use(fd);
	return made(fd, real(fd, command, arg), fd_is_ours(fd));
}

#define FCNTL(name) \
	EXPORT int name(int fd, int command, ...) \
	{ \
		va_list args; \
		void *arg; \
		va_start(args, command); \
		arg = va_arg(args, void *); \
		va_end(args); \
		return fcntl_any(REAL(name), fd, command, arg); \
	}

FCNTL(fcntl)
FCNTL(fcntl64)

/* --- fstat --- */

EXPORT int fstat(int fd, struct stat *st)
{
	int ret = REAL(fstat)(fd, st);
	struct soft_host *host;

	if (ret || !fd_is_ours(fd))
		return ret;
	host = gate_enter();
	ret = soft_host_fstat(host, fd, st);
	gate_leave();
	return (int)give(ret);
}

EXPORT int fstat64(int fd, struct stat64 *st)
{
	return fstat(fd, (struct stat *)st);
}

int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);

EXPORT int __fxstat(int version, int fd, struct stat *st)
{
	(void)version;
	return fstat(fd, st);
}

EXPORT int __fxstat64(int version, int fd, struct stat64 *st)
{
	(void)version;
	return fstat64(fd, st);
}

/* --- Descriptors over sockets --- */

/* One of ours that is the same file as @fd; -1: none. */
static int same_file(int fd)
{
	struct stat st, other;

	if (!is_anothers(fd) || REAL(fstat)(fd, &st))
		return -1;
	for (int ours = fd_next_ours(0); ours >= 0; ours = fd_next_ours(ours + 1)) {
		if (!REAL(fstat)(ours, &other) && other.st_ino == st.st_ino &&
		    other.st_dev == st.st_dev)
			return ours;
	}
	return -1;
}

static void received(int fd)
{
	int ours = same_file(fd);

	if (ours >= 0)
		made(ours, fd, true);
	else if (is_anothers(fd))
		say_anothers(fd);
}

EXPORT ssize_t recvmsg(int socket, struct msghdr *msg, int flags)
{
	ssize_t ret = REAL(recvmsg)(socket, msg, flags);
	int fd;

	if (preload_inside || ret < 0 || !msg->msg_controllen)
		return ret;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(fd) <= c->cmsg_len - CMSG_LEN(0);
		     at += sizeof(fd)) {
			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			received(fd);
		}
	}
	return ret;
}
