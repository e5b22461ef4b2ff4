/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program as others write them for VFIO and iommufd, which knows nothing of Doorbell: run by
 * `doorbell host` on a machine with an NVMe controller at 0000:01:00.0 and a bell at 0000:02:00.0.
 * Expected is what Linux does. Prints TAP.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/iommufd.h"
#include "abi/vfio_container.h"

#define NVME "/sys/bus/pci/devices/0000:01:00.0"
#define CONFIG (7ull << 40)
#define NVME_VS 8	/* its version register: 1.4 */
#define VERSION 0x10400u

static int count, failed;

static void report(bool good, const char *what, const char *detail)
{
	printf("%sok %d - %s%s%s\n", good ? "" : "not ", ++count, what, good ? "" : ": ",
	       good ? "" : detail);
	failed += !good;
}

#define CHECK(what, condition) report(condition, what, #condition)
/* A call that must fail in this way. */
#define REFUSED(what, error, call) \
	do { \
		errno = 0; \
		long ret_ = (long)(call); \
		report(ret_ == -1 && errno == (error), what, strerror(errno)); \
	} while (0)

static int dev, iommu;
static uint32_t ioas;

/* --- Signals --- */

static sigjmp_buf jump;
static volatile sig_atomic_t signal_got;

static void on_signal(int sig)
{
	signal_got = sig;
	siglongjmp(jump, 1);
}

static int signal_of_load(const volatile void *addr)
{
	signal_got = 0;
	if (!sigsetjmp(jump, 1))
		(void)*(const volatile uint32_t *)addr;
	return signal_got;
}

static int signal_of_store(volatile void *addr)
{
	signal_got = 0;
	if (!sigsetjmp(jump, 1))
		*(volatile uint32_t *)addr = 0;
	return signal_got;
}

/* --- Descriptors --- */

static void descriptors(void)
{
	struct pollfd both = { .fd = dev, .events = POLLIN | POLLOUT };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct epoll_event event = { .events = EPOLLIN };
	int copy, read_only, epoll = epoll_create1(0);
	struct stat st;
	uint32_t word;

	CHECK("fstat: a character device", !fstat(dev, &st) && S_ISCHR(st.st_mode));
	CHECK("stat: the same one", !stat("/dev/vfio/devices/vfio0", &st) &&
	      S_ISCHR(st.st_mode) && minor(st.st_rdev) == 0 &&
	      !stat("/dev/iommu", &st) && S_ISCHR(st.st_mode));
	CHECK("poll: always ready", poll(&both, 1, 0) == 1 && both.revents == both.events);
	REFUSED("epoll", EPERM, epoll_ctl(epoll, EPOLL_CTL_ADD, dev, &event));
	REFUSED("lseek", ESPIPE, lseek(dev, 0, SEEK_SET));
	REFUSED("mmap of /dev/iommu", ENXIO,
		mmap(NULL, 4096, PROT_READ, MAP_SHARED, iommu, 0));
	CHECK("read goes on where it was", read(dev, &word, 4) == 4 && read(dev, &word, 4) == 4);

	copy = dup(dev);
	CHECK("dup", copy >= 0 && !ioctl(copy, VFIO_DEVICE_GET_INFO, &info));
	CHECK("dup2 over it", dup2(iommu, copy) == copy &&
	      ioctl(copy, VFIO_DEVICE_GET_INFO, &info) == -1 && !close(copy));
	copy = fcntl(dev, F_DUPFD_CLOEXEC, 200);
	CHECK("F_DUPFD", copy >= 200 && !ioctl(copy, VFIO_DEVICE_GET_INFO, &info) &&
	      !close(copy) && !ioctl(dev, VFIO_DEVICE_GET_INFO, &info));
	REFUSED("a closed copy", EBADF, ioctl(copy, VFIO_DEVICE_GET_INFO, &info));
	CHECK("a request in an int", !ioctl(dev, (int)VFIO_DEVICE_GET_INFO | ~0ul << 32, &info));

	read_only = open("/dev/vfio/devices/vfio0", O_RDONLY);
	REFUSED("write to a file open for reading", EBADF, pwrite(read_only, &word, 4, CONFIG));
	REFUSED("mmap for writing of one", EACCES,
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0));
	close(read_only);
	close(epoll);
}

static void sockets(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int pair[2], fd = -1;

	CHECK("socketpair", !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	control.head = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), &dev, sizeof(dev));
	CHECK("sent", sendmsg(pair[0], &msg, 0) == 1);
	CHECK("received", recvmsg(pair[1], &msg, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	CHECK("and still the device", fd != dev && !ioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void child(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(ioctl(dev, VFIO_DEVICE_GET_INFO, &info) || close(dev));
	waitpid(pid, &status, 0);
	CHECK("a child has its copy", !status);
	CHECK("whose end its parent does not see", !ioctl(dev, VFIO_DEVICE_GET_INFO, &info));
}

/* --- Pointers --- */

static void pointers(void)
{
	char *none = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *readable = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_iova_ranges ranges = {
		.size = sizeof(ranges), .ioas_id = ioas, .num_iovas = 4,
		.allowed_iovas = (uintptr_t)none,
	};

	REFUSED("VFIO_DEVICE_GET_INFO", EFAULT, ioctl(dev, VFIO_DEVICE_GET_INFO, none));
	REFUSED("VFIO_DEVICE_SET_IRQS", EFAULT, ioctl(dev, VFIO_DEVICE_SET_IRQS, none));
	REFUSED("IOMMU_IOAS_ALLOC", EFAULT, ioctl(iommu, IOMMU_IOAS_ALLOC, none));
	REFUSED("NULL", EFAULT, ioctl(iommu, IOMMU_IOAS_ALLOC, NULL));
	REFUSED("the kernel's half", EFAULT, ioctl(iommu, IOMMU_IOAS_ALLOC, (void *)(1ull << 63)));
	REFUSED("IOMMU_IOAS_IOVA_RANGES", EFAULT, ioctl(iommu, IOMMU_IOAS_IOVA_RANGES, &ranges));
	REFUSED("read of configuration space", EFAULT, pread(dev, none, 4, CONFIG));
	REFUSED("read of a BAR", EFAULT, pread(dev, none, 4, 0));
	REFUSED("read into memory that may be read", EFAULT, pread(dev, readable, 4, CONFIG));
	REFUSED("write from nowhere", EFAULT, pwrite(dev, none, 4, CONFIG));
	munmap(none, 8192);
	munmap(readable, 4096);
}

/* --- BARs --- */

static void widths(volatile uint8_t *bar)
{
	volatile uint32_t *word = (volatile uint32_t *)(bar + NVME_VS);

	CHECK("load of 32 bits", *word == VERSION);
	CHECK("of 16", *(volatile uint16_t *)(bar + NVME_VS) == (VERSION & 0xffff));
	CHECK("of 8", bar[NVME_VS + 1] == (VERSION >> 8 & 0xff));
	CHECK("of 8, with sign", *(volatile int8_t *)(bar + NVME_VS + 1) == 4);
	CHECK("of 64", *(volatile uint64_t *)bar != UINT64_MAX);
	CHECK("compared", !(*word != VERSION) && *word > 0x10000 && *word < 0x20000);
	CHECK("tested for bits", (*word & 0x400) && !(*word & 0x800));
#ifdef __x86_64__
	{
		uint8_t bytes[16], by_string[16];
		const void *from = (const void *)bar;
		void *to = by_string;
		size_t n = sizeof(by_string);
		uint32_t version;

		__asm__ volatile("movups (%1), %%xmm3\n movups %%xmm3, (%0)"
				 : : "r"(bytes), "r"(bar) : "xmm3", "memory");
		memcpy(&version, bytes + NVME_VS, 4);
		CHECK("of an SSE register", version == VERSION);
		__asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
		CHECK("by rep movs", !memcmp(bytes, by_string, sizeof(bytes)));
		if (__builtin_cpu_supports("avx")) {
			uint8_t wide[32];

			__asm__ volatile("vmovdqu (%1), %%ymm4\n vmovdqu %%ymm4, (%0)\n vzeroupper"
					 : : "r"(wide), "r"(bar) : "xmm4", "memory");
			CHECK("of an AVX register", !memcmp(bytes, wide, sizeof(bytes)));
		}
		__asm__ volatile("xor %0, %0\n or (%1), %0" : "=&r"(version) : "r"(word) : "cc");
		CHECK("with an operation", version == VERSION);
	}
#endif
}

static void bars(void)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	struct iommu_ioas_map map = {
		.size = sizeof(map), .flags = IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas, .length = 4096,
	};
	uint16_t command, off;
	volatile uint8_t *bar, *readable;
	uint8_t *room;

	REFUSED("private", EINVAL, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, dev, 0));
	CHECK("region info", !ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &info) && info.size);
	bar = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0);
	CHECK("mmap", bar != MAP_FAILED);
	widths(bar);

	map.user_va = (uintptr_t)bar;
	REFUSED("a BAR is no memory for DMA", EFAULT, ioctl(iommu, IOMMU_IOAS_MAP, &map));
	CHECK("munmap of a part", !munmap((void *)(bar + 0x2000), 0x2000));
	CHECK("the rest is there", *(volatile uint32_t *)(bar + NVME_VS) == VERSION);
	CHECK("that part is not", signal_of_load(bar + 0x2000) == SIGSEGV);

	readable = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, dev, 0);
	CHECK("store to what may be read", signal_of_store(readable + 0x14) == SIGSEGV);
	CHECK("until mprotect", !mprotect((void *)readable, 0x1000, PROT_READ | PROT_WRITE) &&
	      !signal_of_store(readable + 0x14));

	pread(dev, &command, 2, CONFIG + PCI_COMMAND);
	off = command & (uint16_t)~PCI_COMMAND_MEMORY;
	pwrite(dev, &off, 2, CONFIG + PCI_COMMAND);
	CHECK("load without memory decoding", signal_of_load(bar + NVME_VS) == SIGBUS);
	pwrite(dev, &command, 2, CONFIG + PCI_COMMAND);
	CHECK("and with it", *(volatile uint32_t *)(bar + NVME_VS) == VERSION);

	/* As QEMU does it: room is reserved, and the BAR put into it. */
	room = mmap(NULL, 0x10000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK("at an address", mmap(room + 0x4000, 0x2000, PROT_READ, MAP_SHARED | MAP_FIXED, dev,
				    0) == room + 0x4000 &&
	      *(volatile uint32_t *)(room + 0x4000 + NVME_VS) == VERSION);
	CHECK("memory over a BAR", mmap(room + 0x4000, 0x1000, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      room + 0x4000 && !*(volatile uint32_t *)(room + 0x4000 + NVME_VS));
	CHECK("munmap of both", !munmap(room, 0x10000));
	munmap((void *)bar, 0x2000);
	munmap((void *)readable, 0x1000);
}

/* --- Memory that devices write to --- */

#define BELL_ID 0x4c4c4542u

static volatile uint8_t *bell;

/* The bell copies @len bytes by DMA. */
static void bell_copy(uint64_t from, uint64_t to, uint32_t len)
{
	*(volatile uint64_t *)(bell + 0x10) = from;
	*(volatile uint64_t *)(bell + 0x18) = to;
	*(volatile uint32_t *)(bell + 0x20) = len;
	*(volatile uint32_t *)(bell + 0x24) = ~0u;
	__asm__ volatile("" : : : "memory");
}

static char low[8192] __attribute__((aligned(4096)));

static void memory(void)
{
	int fd = open("/dev/vfio/devices/vfio1", O_RDWR | O_CLOEXEC);
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = ioas };
	struct iommu_ioas_map map = {
		.size = sizeof(map), .ioas_id = ioas, .length = 0x10000, .iova = 0x40000000,
		.flags = IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_FIXED_IOVA,
	};
	char *ram = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint16_t command;
#ifdef MAP_32BIT
	char *small = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
#else
	char *small = low + 4096;
#endif

	CHECK("bell", !ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) &&
	      !ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	pread(fd, &command, 2, CONFIG + PCI_COMMAND);
	command |= PCI_COMMAND_MASTER;
	pwrite(fd, &command, 2, CONFIG + PCI_COMMAND);
	bell = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK("its registers", *(volatile uint32_t *)bell == BELL_ID);

	map.user_va = (uintptr_t)ram;
	CHECK("IOAS_MAP", !ioctl(iommu, IOMMU_IOAS_MAP, &map));
	strcpy(ram, "by DMA");
	bell_copy(0x40000000, 0x40001000, 16);
	CHECK("DMA", !strcmp(ram + 0x1000, "by DMA"));
	mprotect(ram + 0x2000, 0x1000, PROT_READ);
	bell_copy(0x40000000, 0x40002000, 16);
	CHECK("to what the process may only read by now", !strcmp(ram + 0x2000, "by DMA"));
	munmap(ram + 0x3000, 0x1000);
	bell_copy(0x40000000, 0x40003000, 16);
	bell_copy(0x40003000, 0x40004000, 16);
	CHECK("to and from what it gave up", !strcmp(ram + 0x4000, "by DMA"));

	map.length = 4096;
	map.iova = 0x50000000;
	map.user_va = (uintptr_t)low;
	CHECK("IOAS_MAP of the program's own", !ioctl(iommu, IOMMU_IOAS_MAP, &map));
	bell_copy(0x40000000, 0x50000000, 16);
	CHECK("DMA to it", !strcmp(low, "by DMA"));
	map.iova = 0x60000000;
	map.user_va = (uintptr_t)small;
	CHECK("IOAS_MAP below 4 GiB", !ioctl(iommu, IOMMU_IOAS_MAP, &map));
	bell_copy(0x50000000, 0x60000000, 16);
	CHECK("DMA there", !strcmp(small, "by DMA"));
	munmap((void *)bell, 4096);
	close(fd);
}

/* --- Groups and containers --- */

static void groups(void)
{
	int container = open("/dev/vfio/vfio", O_RDWR), group, fd;
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)low, .iova = 0x10000000, .size = 4096,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = 0x10000000, .size = 4096,
	};
	char path[PATH_MAX], target[PATH_MAX] = "";

	CHECK("VFIO_GET_API_VERSION", ioctl(container, VFIO_GET_API_VERSION) == VFIO_API_VERSION);
	CHECK("VFIO_CHECK_EXTENSION",
	      ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1);
	REFUSED("no group yet", ENODEV, ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	readlink("/sys/bus/pci/devices/0000:02:00.0/iommu_group", target, sizeof(target) - 1);
	snprintf(path, sizeof(path), "/dev/vfio/%.100s", strrchr(target, '/') + 1);
	group = open(path, O_RDWR);
	CHECK("group", group >= 0 && !ioctl(group, VFIO_GROUP_GET_STATUS, &status) &&
	      status.flags == VFIO_GROUP_FLAGS_VIABLE);
	REFUSED("a device before there is a container", EINVAL,
		ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:02:00.0"));
	CHECK("container", !ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) &&
	      !ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	REFUSED("no device of it", ENODEV, ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"));
	fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:02:00.0");
	CHECK("its device", fd >= 0);
	REFUSED("which keeps the container", EBUSY, ioctl(group, VFIO_GROUP_UNSET_CONTAINER));
	CHECK("VFIO_IOMMU_GET_INFO", !ioctl(container, VFIO_IOMMU_GET_INFO, &info) &&
	      info.iova_pgsizes & 4096 && info.argsz > sizeof(info) && !info.cap_offset);
	CHECK("VFIO_IOMMU_MAP_DMA", !ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	REFUSED("twice", EEXIST, ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	CHECK("VFIO_IOMMU_UNMAP_DMA", !ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) &&
	      unmap.size == 4096);
	CHECK("closed", !close(fd) && !ioctl(group, VFIO_GROUP_UNSET_CONTAINER) &&
	      !close(group) && !close(container));
}

/* --- sysfs --- */

static int is_nvme(const struct dirent *dirent)
{
	return !strcmp(dirent->d_name, "0000:01:00.0");
}

static void sysfs(void)
{
	char text[PATH_MAX], again[PATH_MAX];
	struct dirent *dirent, **names;
	unsigned int devices = 0, value;
	DIR *dir = opendir("/sys/bus/pci/devices");
	struct stat st;
	ssize_t len;
	FILE *file;
	int fd;

	while (dir && (dirent = readdir(dir)))
		devices += dirent->d_name[0] != '.';
	CHECK("opendir", dir && devices == 2);
	CHECK("openat of its descriptor",
	      (fd = openat(dirfd(dir), "0000:01:00.0/vendor", O_RDONLY)) >= 0 &&
	      read(fd, text, sizeof(text)) == 7 && !memcmp(text, "0x", 2) && !close(fd));
	CHECK("fstatat of it", !fstatat(dirfd(dir), "0000:02:00.0", &st, 0) &&
	      S_ISDIR(st.st_mode));
	closedir(dir);
	CHECK("scandir", scandir("/sys/bus/pci/devices", &names, is_nvme, alphasort) == 1);
	free(names[0]);
	free(names);

	file = fopen(NVME "/class", "r");
	CHECK("fopen", file && fscanf(file, "%x", &value) == 1 && value == 0x010802);
	fclose(file);
	len = readlink(NVME "/driver", text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	CHECK("readlink", !strcmp(strrchr(text, '/') ? strrchr(text, '/') : "", "/vfio-pci"));
	CHECK("realpath", realpath(NVME "/driver", text) &&
	      !strcmp(text, "/sys/bus/pci/drivers/vfio-pci"));
	CHECK("realpath of the device and back",
	      realpath(NVME "/iommu_group/devices/0000:01:00.0", text) && realpath(NVME, again) &&
	      !strcmp(text, again));
	CHECK("lstat: a link", !lstat(NVME "/iommu_group", &st) && S_ISLNK(st.st_mode));
	CHECK("access", !access(NVME, F_OK) && access(NVME "/nothing", F_OK) == -1);
	REFUSED("a real device is not there", ENOENT, open("/sys/bus/pci/devices/0000:00:00.0/class",
							   O_RDONLY));

	file = fopen("/sys/bus/pci/devices/0000:02:00.0/driver_override", "w");
	CHECK("written by stdio", file && fputs("vfio-pci\n", file) > 0 && !fclose(file));
	fd = open("/sys/bus/pci/drivers/vfio-pci/unbind", O_WRONLY);
	CHECK("unbind", write(fd, "0000:02:00.0", 12) == 12 && !close(fd));
	REFUSED("its node is gone", ENOENT, open("/dev/vfio/devices/vfio1", O_RDWR));
	fd = open("/sys/bus/pci/drivers_probe", O_WRONLY);
	CHECK("and bound again", write(fd, "0000:02:00.0", 12) == 12 && !close(fd) &&
	      !access("/dev/vfio/devices/vfio1", F_OK));
}

int main(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	printf("TAP version 13\n");
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	dev = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	bind.iommufd = iommu;
	CHECK("open", dev >= 0 && iommu >= 0);
	CHECK("bind", !ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	CHECK("IOAS", !ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc));
	ioas = attach.pt_id = alloc.out_ioas_id;
	CHECK("attach", !ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));

	descriptors();
	sockets();
	child();
	pointers();
	bars();
	memory();
	groups();
	sysfs();
	CHECK("close", !close(dev) && !close(iommu));
	printf("1..%d\n", count);
	return failed != 0;
}
