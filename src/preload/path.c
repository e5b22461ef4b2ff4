/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/preload.h"
#include "soft/uapi/sysfs.h"

#define LINKS_MAX 40	/* as the kernel */

/* What begins with one of these is the host's: a folder, or a name when it ends in '*'. */
static const char *const roots[] = {
	"/dev/iommu",
	"/dev/vfio",
	"/sys/bus/pci",
	"/sys/class/iommu",
	"/sys/class/vfio-dev",
	"/sys/devices/pci*",
	"/sys/devices/platform/arm-smmu-v3.*",
	"/sys/kernel/iommu_groups",
	"/sys/module/vfio_pci",
};

static bool is_ours(const char *path)
{
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		size_t len = strcspn(roots[i], "*");

		if (!strncmp(path, roots[i], len) &&
		    (roots[i][len] || !path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

static ssize_t host_readlink(const char *path, char target[PATH_SIZE])
{
	struct soft_host *host = gate_enter();
	ssize_t ret = host->sys.ops->readlink(&host->sys, path, target, PATH_SIZE);

	gate_leave();
	return ret;
}

/* The last name goes; of a link among ours, what it leads to. */
static void go_up(char *path)
{
	char *slash;

	if (is_ours(path))
		path_follow(path, true);
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
}

/* Adds @rest to the absolute @path, without "." and "..". false: too long. */
static bool append(char path[PATH_SIZE], const char *rest)
{
	size_t len, have;

	for (; *rest; rest += len) {
		rest += strspn(rest, "/");
		len = strcspn(rest, "/");
		if (len == 2 && !strncmp(rest, "..", 2)) {
			go_up(path);
			continue;
		}
		if (!len || (len == 1 && *rest == '.'))
			continue;
		have = strlen(path);
		if (have + 1 + len >= PATH_SIZE)
			return false;
		snprintf(path + have, PATH_SIZE - have, "/%.*s", (int)len, rest);
	}
	return true;
}

/* The path of a folder under preload_dir() that stands for one of ours; false: it is none. */
static bool folder_stands_for(const char *proc, char out[PATH_SIZE])
{
	const char *dir = preload_dir();
	char real[PATH_SIZE];
	size_t len = strlen(dir);
	ssize_t n = REAL(readlink)(proc, real, sizeof(real) - 1);

	if (n < 0)
		return false;
	real[n] = '\0';
	if (strncmp(real, dir, len) || real[len] != '/')
		return false;
	len++;
	len += strspn(real + len, "0123456789");
	snprintf(out, PATH_SIZE, "%s", real + len);
	return true;
}

bool path_is_ours(int dirfd, const char *path, char out[PATH_SIZE])
{
	char proc[40];

	if (preload_inside || !path || !*path)
		return false;
	out[0] = '\0';
	if (*path != '/') {
		/* The current folder cannot be one of ours: chdir() does not know them. */
		if (dirfd == AT_FDCWD || !fd_is_folder(dirfd))
			return false;
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dirfd);
		if (!folder_stands_for(proc, out))
			return false;
	} else if (strncmp(path + strspn(path, "/"), "dev", 3) &&
		   strncmp(path + strspn(path, "/"), "sys", 3)) {
		return false;
	}
	return append(out, path) && is_ours(out);
}

int path_follow(char path[PATH_SIZE], bool last_too)
{
	char done[PATH_SIZE] = "", target[PATH_SIZE], rest[PATH_SIZE];
	unsigned int links = 0;
	size_t len;

	snprintf(rest, sizeof(rest), "%s", path);
	for (char *at = rest; *at; at += len) {
		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (!len)
			break;
		snprintf(done + strlen(done), sizeof(done) - strlen(done), "/%.*s", (int)len, at);
		if ((!at[len] && !last_too) || !is_ours(done) ||
		    host_readlink(done, target) < 0)
			continue;
		if (++links > LINKS_MAX)
			return -ELOOP;
		/* From the folder that the link is in, or from the top; then what was left. */
		*strrchr(done, '/') = '\0';
		if (*target == '/')
			done[0] = '\0';
		if (!append(done, target) || strlen(done) + strlen(at + len) >= sizeof(done))
			return -ENAMETOOLONG;
		strcat(done, at + len);
		snprintf(rest, sizeof(rest), "%s", done);
		done[0] = '\0';
		at = rest;
		len = 0;
	}
	snprintf(path, PATH_SIZE, "%s", done);
	return 0;
}

int path_stat(const char *path, bool follow, struct stat *st)
{
	struct soft_host *host = gate_enter();
	int ret = soft_host_stat(host, path, follow, st);

	gate_leave();
	return ret;
}

/* --- Real folders --- */

struct mirror {
	const char *path, *folder;
};

static int mirror_name(void *arg, const char *name)
{
	const struct mirror *mirror = arg;
	char ours[PATH_SIZE], real[PATH_SIZE], target[PATH_SIZE];
	struct stat st;
	int fd;

	if (snprintf(ours, sizeof(ours), "%s/%s", mirror->path, name) >= (int)sizeof(ours) ||
	    snprintf(real, sizeof(real), "%s/%s", mirror->folder, name) >= (int)sizeof(real))
		return -ENAMETOOLONG;
	if (path_stat(ours, false, &st))
		return 0;	/* gone since */
	if (S_ISDIR(st.st_mode)) {
		mkdir(real, 0755);
	} else if (S_ISLNK(st.st_mode)) {
		if (host_readlink(ours, target) < 0 || symlink(target, real))
			return 0;
	} else {
		fd = open(real, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

/* What was there when it was looked at before; folders that have something in them stay. */
static void empty_folder(const char *folder)
{
	struct dirent *dirent;
	DIR *dir = opendir(folder);

	while (dir && (dirent = readdir(dir))) {
		if (unlinkat(dirfd(dir), dirent->d_name, 0))
			unlinkat(dirfd(dir), dirent->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
}

int path_mirror(const char *path, char out[PATH_SIZE])
{
	struct mirror mirror = { .folder = out };
	struct soft_host *host;
	char followed[PATH_SIZE];
	int ret;

	snprintf(followed, sizeof(followed), "%s", path);
	ret = path_follow(followed, true);
	if (ret)
		return ret;
	if (snprintf(out, PATH_SIZE, "%s/%d%s", preload_dir(), getpid(), followed) >= PATH_SIZE)
		return -ENAMETOOLONG;
	host = gate_enter();
	make_folders(out);
	empty_folder(out);
	mirror.path = followed;
	ret = host->sys.ops->list(&host->sys, followed, mirror_name, &mirror);
	gate_leave();
	return ret;
}
