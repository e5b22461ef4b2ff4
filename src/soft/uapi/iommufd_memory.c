/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that devices are let at: the process's own, parts of files, and doorbells; and the
 * process's memory as arguments of requests.
 *
 * Pinning is a model choice throughout. A page of the process has its address as PA
 * (soft/hw/bus.h), so nothing has to be done to find it. A kernel's pin keeps the page for the
 * device; here DMA to what the process has given up since goes to a page in its place (user.c), and
 * to a moved or replaced one, to what is there now. That the memory exists is checked whole, that it
 * may be written only at both ends, since more would populate it. Nothing is locked either, so RLIMIT_MEMLOCK, which the kernel charges to users
 * without CAP_IPC_LOCK, does not count: what may be pinned is bounded by the machine's "ram".
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"
#include "soft/uapi/user.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* End of what a process can have. */
#ifdef __x86_64__
#define PROCESS_TOP (1ull << 47)
#else
#define PROCESS_TOP (1ull << 48)
#endif

#define BLOCK (2ull << 20)

/* Whether all of it is mapped. msync(2) with MS_ASYNC does nothing but look. */
static bool is_mapped(uint64_t va, uint64_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), start = va & ~(page - 1), end;

	if (__builtin_add_overflow(va, len, &end) || end > PROCESS_TOP || va < page)
		return false;
	return !msync((void *)(uintptr_t)start, end - start, MS_ASYNC);
}

int user_read(void *dst, uint64_t uptr, size_t len)
{
	if (len && !is_mapped(uptr, len))
		return -EFAULT;
	return copy_from_user(dst, (const void *)(uintptr_t)uptr, len);
}

int user_write(uint64_t uptr, const void *src, size_t len)
{
	if (len && !is_mapped(uptr, len))
		return -EFAULT;
	return copy_to_user((void *)(uintptr_t)uptr, src, len);
}

int user_clear(uint64_t uptr, size_t len)
{
	if (len && !is_mapped(uptr, len))
		return -EFAULT;
	return clear_user((void *)(uintptr_t)uptr, len);
}

int user_copy_struct(void *dst, size_t ksize, uint64_t uptr, size_t usize)
{
	if (!is_mapped(uptr, usize))
		return -EFAULT;
	return copy_struct_from_user(dst, ksize, (const void *)(uintptr_t)uptr, usize);
}

/* --- files --- */

int source_create(struct soft_host *host, int fd, uint64_t start, uint64_t length, bool writable,
		  struct memory_source **out)
{
	uint64_t page = 1ull << host->machine.page_shift, last;
	struct memory_source *s;
	int rc = 0;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;
	s = soft_calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->refs = 1;
	s->fd = -1;
	s->start = start & ~(page - 1);
	s->size = last - s->start + 1;
	s->writable = writable;
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		rc = -errno;
	pthread_mutex_init(&s->lock, NULL);
	if (rc) {
		source_put(s);
		return rc;
	}
	*out = s;
	return 0;
}

int source_create_doorbell(uint64_t pa, struct memory_source **out)
{
	struct memory_source *s = soft_calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->refs = 1;
	s->fd = -1;
	s->is_doorbell = true;
	s->pa = pa;
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return 0;
}

void source_hold(struct memory_source *s)
{
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
}

void source_put(struct memory_source *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (s->va)
		munmap(s->va, s->size);
	if (s->fd >= 0)
		close(s->fd);
	pthread_mutex_destroy(&s->lock);
	soft_free(s);
}

/* Room for @size bytes at an address that is @offset modulo @align. */
static void *reserve_aligned(uint64_t size, uint64_t align, uint64_t offset)
{
	uint64_t whole = size + align, at, end;
	uint8_t *base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     -1, 0);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (base == MAP_FAILED)
		return NULL;
	at = (((uintptr_t)base - offset + align - 1) & ~(align - 1)) + offset;
	if (at > (uintptr_t)base)
		munmap(base, at - (uintptr_t)base);
	end = (at + size + page - 1) & ~(page - 1);
	if ((uintptr_t)base + whole > end)
		munmap((void *)(uintptr_t)end, (uintptr_t)base + whole - end);
	return (void *)(uintptr_t)at;
}

/*
 * Maps the file, where blocks can map it if it is large. Only memory files can be pinned for as
 * long as one likes; others are refused, as is what lies beyond the end (EINVAL).
 */
static int map_file(struct memory_source *s, uint64_t machine_page)
{
	uint64_t align = s->size >= BLOCK && machine_page < BLOCK ? BLOCK : machine_page;
	int prot = PROT_READ | (s->writable ? PROT_WRITE : 0);
	struct stat st;
	void *at;

	if (fcntl(s->fd, F_GET_SEALS) < 0 || fstat(s->fd, &st) ||
	    (uint64_t)st.st_size < s->start + s->size)
		return -EINVAL;
	if (soft_alloc_fails())
		return -ENOMEM;
	at = reserve_aligned(s->size, align, s->start & (align - 1));
	if (!at)
		return -ENOMEM;
	if (mmap(at, s->size, prot, MAP_SHARED | MAP_FIXED, s->fd, (off_t)s->start) == MAP_FAILED) {
		int rc = errno == EACCES ? -EPERM : -errno;

		munmap(at, s->size);
		return rc;
	}
	s->va = at;
	return 0;
}

static int pin_source(struct iommufd_host *ih, struct memory_source *s)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (!s->va)
		rc = map_file(s, ih->page_size);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/*
 * Whether the page is there and may be accessed in that way. EINVAL says no, or comes from a kernel
 * that does not know the advice, which says so of a page of ours too: then only presence is
 * checked.
 */
static bool may_access(uint64_t va, uint64_t page, int how)
{
	uintptr_t ours = (uintptr_t)&page & ~(uintptr_t)(page - 1);

	if (!madvise((void *)(uintptr_t)va, page, how))
		return true;
	return errno == EINVAL && madvise((void *)ours, page, MADV_POPULATE_READ) &&
	       is_mapped(va, page);
}

static int pin_process(const struct iova_area *area)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), len = area->last - area->start + 1;
	uint64_t first = area->addr & ~(page - 1), last = (area->addr + len - 1) & ~(page - 1);
	int how = area->may_write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	if (last >= PROCESS_TOP || !bus_pa((const void *)(uintptr_t)area->addr) ||
	    (area->addr < BUS_MMIO_TOP && last >= BUS_MMIO_TOP))
		return -EFAULT;
	if (!may_access(first, page, how) || (last != first && !may_access(last, page, how)))
		return -EFAULT;
	return last - first <= page || is_mapped(area->addr, len) ? 0 : -EFAULT;
}

/* Counts against the machine's memory, of which its tables take a part. */
static int charge(struct iommufd_host *ih, uint64_t bytes)
{
	uint64_t pinned = __atomic_add_fetch(&ih->pinned, bytes, __ATOMIC_RELAXED);

	if (!ih->ram || pinned + bus_allocated(ih->bus) <= ih->ram)
		return 0;
	__atomic_fetch_sub(&ih->pinned, bytes, __ATOMIC_RELAXED);
	return -ENOMEM;
}

static bool is_memory(const struct iova_area *area)
{
	return !area->source || !area->source->is_doorbell;
}

int area_pin(struct iommufd_host *ih, const struct iova_area *area)
{
	uint64_t len = area->last - area->start + 1;
	int rc;

	if (!is_memory(area))
		return 0;
	rc = charge(ih, len);
	if (rc)
		return rc;
	rc = area->source ? pin_source(ih, area->source) : pin_process(area);
	if (rc)
		area_unpin(ih, area);
	return rc;
}

/* A file stays mapped as long as an area refers to it. */
void area_unpin(struct iommufd_host *ih, const struct iova_area *area)
{
	if (is_memory(area))
		__atomic_fetch_sub(&ih->pinned, area->last - area->start + 1, __ATOMIC_RELAXED);
}

uint64_t area_pa(const struct iova_area *area)
{
	const struct memory_source *s = area->source;

	if (!s)
		return bus_pa((const void *)(uintptr_t)area->addr);
	return area->addr + (s->is_doorbell ? s->pa : (uintptr_t)s->va);
}
