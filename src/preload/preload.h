/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `doorbell host` puts into a program: functions of the C library that send what concerns
 * /dev/iommu, /dev/vfio and their sysfs to a software host in the same process, and everything else
 * to the C library.
 *
 * The software host calls the C library too. While it does, `preload_inside` is set and every
 * function here lets the call through.
 */
#ifndef PRELOAD_PRELOAD_H
#define PRELOAD_PRELOAD_H

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "soft/host.h"

#define EXPORT __attribute__((visibility("default")))

/* The C library's own function of that name. */
#define REAL(name) \
	({ \
		static __typeof__(&name) real_; \
		if (!real_) \
			real_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
		real_; \
	})

/* --- start.c: the host of this process --- */

extern __thread int preload_inside __attribute__((tls_model("initial-exec")));

/*
 * Around whatever goes to the host. Between these, fork() waits. gate_enter() makes the host when
 * there is none yet; a machine that cannot be made ends the program with a sentence.
 */
struct soft_host *gate_enter(void);
void gate_leave(void);

/*
 * After vfork(), memory is the parent's: a child that closes what it does not want to pass on must
 * not close the parent's file.
 */
bool preload_is_vforked(void);

/* The folder of this run that the command made, for what must be real files. */
const char *preload_dir(void);

/* -errno from @ret into errno and -1, as system calls are seen by programs. */
static inline long give(long ret)
{
	if (ret >= 0)
		return ret;
	errno = (int)-ret;
	return -1;
}

/* A sentence to standard error, with the program's name for it: "doorbell host: ...". */
__attribute__((format(printf, 1, 2)))
void preload_say(const char *fmt, ...);

/* --- fd.c: descriptors --- */

/* Not for the host's own calls. */
bool fd_is_ours(int fd);

/*
 * After fork(), a child has a copy of the host, as of its memory: what it does with its parent's
 * descriptors happens in its own copy. Says so, once, when it uses one.
 */
void fd_note_use(int fd);

/* The first of ours from @fd on, or -1. */
int fd_next_ours(int fd);

/* A descriptor of a folder under preload_dir() that stands for one of the host's. */
void fd_set_folder(int fd, bool is);
bool fd_is_folder(int fd);

/* host->watch_fd */
void fd_watch(int fd, bool there);
/* after fork(), in the child */
void fd_forked(void);

/* --- path.c: which paths are the host's --- */

#define PATH_SIZE 4096

/*
 * Whether @path, as openat(2) and its kin take it, is one of the host's; its absolute form, without
 * "." and "..", then stands in @out. Links in it are not followed, but for those that ".." goes
 * back over.
 */
bool path_is_ours(int dirfd, const char *path, char out[PATH_SIZE]);

/* Follows the links in one of these: -ENOENT, -ENOTDIR, -ELOOP. */
int path_follow(char path[PATH_SIZE], bool last_too);

/* A real folder with the names of @path, one of the host's: its path in @out. */
int path_mirror(const char *path, char out[PATH_SIZE]);

/* stat(2) of one of the host's. */
int path_stat(const char *path, bool follow, struct stat *st);

/* --- map.c --- */

/* mmap(), munmap() and mprotect() are there for the rest of the room too. */
void map_start(struct soft_host *host);		/* once it stands */

/* --- trace.c --- */

extern bool trace_on;

/* The end of a call: counts it, and shows it. @ret as of the host: -errno. */
__attribute__((format(printf, 3, 4)))
void trace_call(const char *name, long ret, const char *fmt, ...);
void trace_ioctl(int fd, unsigned long request, const void *arg, long ret);
void trace_mmio(unsigned int bytes, bool write);
void trace_start(void);

#endif
