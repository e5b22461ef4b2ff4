/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that take a path. */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "preload/preload.h"

#define TEXT_MAX 8192	/* of a file in sysfs */

/* --- open --- */

static int open_folder(const char *path, int flags)
{
	char real[PATH_SIZE];
	int fd, ret = path_mirror(path, real);

	if (ret)
		return ret;
	fd = REAL(open)(real, flags);
	if (fd < 0)
		return -errno;
	fd_set_folder(fd, true);
	return fd;
}

/*
 * What a file in sysfs says, as a file that the C library can read without asking: stdio, for one,
 * does not come through read().
 */
static int snapshot(struct soft_host *host, int from, int flags)
{
	char text[TEXT_MAX];
	ssize_t n, size = 0;
	int fd = memfd_create("sysfs", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);

	if (fd < 0)
		return -errno;
	while ((n = soft_host_read(host, from, text, sizeof(text))) > 0)
		size = pwrite(fd, text, (size_t)n, size) == n ? size + n : size;
	if (n < 0) {
		close(fd);
		return (int)n;
	}
	return fd;
}

static int open_file(const char *path, int flags)
{
	struct soft_host *host = gate_enter();
	int fd = host->sys.ops->open(&host->sys, path, flags), text = fd;

	if (fd >= 0 && !strncmp(path, "/sys/", 5) && (flags & O_ACCMODE) == O_RDONLY) {
		text = snapshot(host, fd, flags);
		host->sys.ops->close(&host->sys, fd);
	} else if (fd >= 0 && !(flags & O_CLOEXEC)) {
		fcntl(fd, F_SETFD, 0);
	}
	gate_leave();
	return text;
}

static int open_ours(const char *path, int flags)
{
	struct stat st;
	int ret = path_stat(path, !(flags & O_NOFOLLOW), &st);

	if (!ret && S_ISLNK(st.st_mode))
		ret = -ELOOP;
	else if (!ret && S_ISDIR(st.st_mode))
		ret = (flags & O_ACCMODE) == O_RDONLY ? open_folder(path, flags) : -EISDIR;
	else if (!ret && flags & O_DIRECTORY)
		ret = -ENOTDIR;
	else if (!ret && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		ret = -EEXIST;
	else if (!ret)
		ret = open_file(path, flags);
	else if (ret == -ENOENT && flags & O_CREAT)
		ret = -EACCES;
	trace_call("open", ret, "\"%s\", %#x", path, flags);
	return (int)give(ret);
}

#define OPEN_MODE(flags, mode) \
	mode_t mode = 0; \
	if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
		va_list args; \
		va_start(args, flags); \
		mode = va_arg(args, mode_t); \
		va_end(args); \
	}

EXPORT int open(const char *path, int flags, ...)
{
	char ours[PATH_SIZE];
	OPEN_MODE(flags, mode)

	return path_is_ours(AT_FDCWD, path, ours) ? open_ours(ours, flags)
						  : REAL(open)(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
	char ours[PATH_SIZE];
	OPEN_MODE(flags, mode)

	return path_is_ours(AT_FDCWD, path, ours) ? open_ours(ours, flags)
						  : REAL(open64)(path, flags, mode);
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	char ours[PATH_SIZE];
	OPEN_MODE(flags, mode)

	return path_is_ours(dir, path, ours) ? open_ours(ours, flags)
					     : REAL(openat)(dir, path, flags, mode);
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
{
	char ours[PATH_SIZE];
	OPEN_MODE(flags, mode)

	return path_is_ours(dir, path, ours) ? open_ours(ours, flags)
					     : REAL(openat64)(dir, path, flags, mode);
}

/* What open() and its kin become with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

EXPORT int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

EXPORT int __open64_2(const char *path, int flags)
{
	return open64(path, flags);
}

EXPORT int __openat_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags);
}

EXPORT int __openat64_2(int dir, const char *path, int flags)
{
	return openat64(dir, path, flags);
}

/* --- stdio --- */

static ssize_t cookie_write(void *cookie, const char *buf, size_t size)
{
	return write((int)(intptr_t)cookie, buf, size);
}

static ssize_t cookie_read(void *cookie, char *buf, size_t size)
{
	return read((int)(intptr_t)cookie, buf, size);
}

static int cookie_close(void *cookie)
{
	return close((int)(intptr_t)cookie);
}

static FILE *fopen_ours(const char *path, const char *mode)
{
	static const cookie_io_functions_t functions = {
		.read = cookie_read,
		.write = cookie_write,
		.close = cookie_close,
	};
	bool plus = strchr(mode, '+');
	int flags = plus ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY, fd;
	FILE *file;

	fd = open_ours(path, flags | (strchr(mode, 'e') ? O_CLOEXEC : 0));
	if (fd < 0)
		return NULL;
	file = fd_is_ours(fd) ? fopencookie((void *)(intptr_t)fd, mode, functions)
			      : fdopen(fd, mode);
	if (!file)
		close(fd);
	return file;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
	char ours[PATH_SIZE];

	return path_is_ours(AT_FDCWD, path, ours) ? fopen_ours(ours, mode)
						  : REAL(fopen)(path, mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
	char ours[PATH_SIZE];

	return path_is_ours(AT_FDCWD, path, ours) ? fopen_ours(ours, mode)
						  : REAL(fopen64)(path, mode);
}

/* --- Folders --- */

EXPORT DIR *opendir(const char *path)
{
	char ours[PATH_SIZE];
	DIR *dir;
	int fd;

	if (!path_is_ours(AT_FDCWD, path, ours))
		return REAL(opendir)(path);
	fd = open_ours(ours, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

EXPORT int closedir(DIR *dir)
{
	if (fd_is_folder(dirfd(dir)))
		fd_set_folder(dirfd(dir), false);
	return REAL(closedir)(dir);
}

EXPORT int scandir(const char *path, struct dirent ***names, int (*wanted)(const struct dirent *),
		   int (*compare)(const struct dirent **, const struct dirent **))
{
	char ours[PATH_SIZE], real[PATH_SIZE];
	int ret;

	if (!path_is_ours(AT_FDCWD, path, ours))
		return REAL(scandir)(path, names, wanted, compare);
	ret = path_mirror(ours, real);
	return ret ? (int)give(ret) : REAL(scandir)(real, names, wanted, compare);
}

EXPORT int scandir64(const char *path, struct dirent64 ***names,
		     int (*wanted)(const struct dirent64 *),
		     int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
	char ours[PATH_SIZE], real[PATH_SIZE];
	int ret;

	if (!path_is_ours(AT_FDCWD, path, ours))
		return REAL(scandir64)(path, names, wanted, compare);
	ret = path_mirror(ours, real);
	return ret ? (int)give(ret) : REAL(scandir64)(real, names, wanted, compare);
}

/* --- Links --- */

static ssize_t readlink_ours(const char *path, char *buf, size_t size)
{
	struct soft_host *host = gate_enter();
	char target[PATH_SIZE];
	ssize_t ret = host->sys.ops->readlink(&host->sys, path, target, sizeof(target));

	gate_leave();
	if (ret > 0 && (size_t)ret > size)
		ret = (ssize_t)size;
	if (ret > 0)
		memcpy(buf, target, (size_t)ret);
	trace_call("readlink", ret, "\"%s\"", path);
	return give(ret);
}

EXPORT ssize_t readlink(const char *path, char *buf, size_t size)
{
	char ours[PATH_SIZE];

	return path_is_ours(AT_FDCWD, path, ours) ? readlink_ours(ours, buf, size)
						  : REAL(readlink)(path, buf, size);
}

EXPORT ssize_t readlinkat(int dir, const char *path, char *buf, size_t size)
{
	char ours[PATH_SIZE];

	return path_is_ours(dir, path, ours) ? readlink_ours(ours, buf, size)
					     : REAL(readlinkat)(dir, path, buf, size);
}

ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t size, size_t room);
char *__realpath_chk(const char *path, char *resolved, size_t room);

EXPORT ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room)
{
	if (size > room)
		abort();
	return readlink(path, buf, size);
}

EXPORT ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t size, size_t room)
{
	if (size > room)
		abort();
	return readlinkat(dir, path, buf, size);
}

EXPORT char *realpath(const char *path, char *resolved)
{
	char ours[PATH_SIZE];
	struct stat st;
	int ret;

	if (!path_is_ours(AT_FDCWD, path, ours))
		return REAL(realpath)(path, resolved);
	ret = path_follow(ours, true);
	ret = ret ? ret : path_stat(ours, true, &st);
	if (give(ret) < 0)
		return NULL;
	return resolved ? strcpy(resolved, ours) : strdup(ours);
}

EXPORT char *__realpath_chk(const char *path, char *resolved, size_t room)
{
	(void)room;	/* PATH_MAX at least, as realpath() wants it */
	return realpath(path, resolved);
}

EXPORT char *canonicalize_file_name(const char *path)
{
	return realpath(path, NULL);
}

/* --- stat and access --- */

static int stat_ours(const char *path, bool follow, struct stat *st)
{
	int ret = path_stat(path, follow, st);

	trace_call("stat", ret, "\"%s\"", path);
	return (int)give(ret);
}

EXPORT int stat(const char *path, struct stat *st)
{
	char ours[PATH_SIZE];

	return path_is_ours(AT_FDCWD, path, ours) ? stat_ours(ours, true, st)
						  : REAL(stat)(path, st);
}

EXPORT int lstat(const char *path, struct stat *st)
{
	char ours[PATH_SIZE];

	return path_is_ours(AT_FDCWD, path, ours) ? stat_ours(ours, false, st)
						  : REAL(lstat)(path, st);
}

EXPORT int fstatat(int dir, const char *path, struct stat *st, int flags)
{
	char ours[PATH_SIZE];

	if (path && !*path && flags & AT_EMPTY_PATH)
		return fstat(dir, st);
	return path_is_ours(dir, path, ours) ? stat_ours(ours, !(flags & AT_SYMLINK_NOFOLLOW), st)
					     : REAL(fstatat)(dir, path, st, flags);
}

/* On 64-bit machines the struct is the same. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "struct stat64");

EXPORT int stat64(const char *path, struct stat64 *st)
{
	return stat(path, (struct stat *)st);
}

EXPORT int lstat64(const char *path, struct stat64 *st)
{
	return lstat(path, (struct stat *)st);
}

EXPORT int fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	return fstatat(dir, path, (struct stat *)st, flags);
}

/* As programs were linked that are older than glibc 2.33. */
int __xstat(int version, const char *path, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat64(int version, const char *path, struct stat64 *st);

EXPORT int __xstat(int version, const char *path, struct stat *st)
{
	(void)version;
	return stat(path, st);
}

EXPORT int __lxstat(int version, const char *path, struct stat *st)
{
	(void)version;
	return lstat(path, st);
}

EXPORT int __xstat64(int version, const char *path, struct stat64 *st)
{
	(void)version;
	return stat64(path, st);
}

EXPORT int __lxstat64(int version, const char *path, struct stat64 *st)
{
	(void)version;
	return lstat64(path, st);
}

static void to_statx(const struct stat *st, struct statx *out)
{
	*out = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = 4096,
		.stx_nlink = (uint32_t)st->st_nlink,
		.stx_mode = (uint16_t)st->st_mode,
		.stx_ino = st->st_ino,
		.stx_size = (uint64_t)st->st_size,
		.stx_rdev_major = major(st->st_rdev),
		.stx_rdev_minor = minor(st->st_rdev),
		.stx_dev_major = major(st->st_dev),
		.stx_dev_minor = minor(st->st_dev),
	};
}

EXPORT int statx(int dir, const char *restrict path, int flags, unsigned int mask,
		 struct statx *restrict out)
{
	char ours[PATH_SIZE];
	struct stat st;

	if (path && !*path && flags & AT_EMPTY_PATH && fd_is_ours(dir)) {
		if (fstat(dir, &st))
			return -1;
	} else if (!path_is_ours(dir, path, ours)) {
		return REAL(statx)(dir, path, flags, mask, out);
	} else if (stat_ours(ours, !(flags & AT_SYMLINK_NOFOLLOW), &st)) {
		return -1;
	}
	to_statx(&st, out);
	return 0;
}

/* Whoever runs it may do what root may. */
static int access_ours(const char *path)
{
	struct stat st;
	int ret = path_stat(path, true, &st);

	trace_call("access", ret, "\"%s\"", path);
	return (int)give(ret);
}

EXPORT int access(const char *path, int mode)
{
	char ours[PATH_SIZE];

	return path_is_ours(AT_FDCWD, path, ours) ? access_ours(ours) : REAL(access)(path, mode);
}

EXPORT int euidaccess(const char *path, int mode)
{
	char ours[PATH_SIZE];

	return path_is_ours(AT_FDCWD, path, ours) ? access_ours(ours)
						  : REAL(euidaccess)(path, mode);
}

EXPORT int faccessat(int dir, const char *path, int mode, int flags)
{
	char ours[PATH_SIZE];

	return path_is_ours(dir, path, ours) ? access_ours(ours)
					     : REAL(faccessat)(dir, path, mode, flags);
}
