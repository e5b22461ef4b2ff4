/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings of BARs: pages that nobody may access, so that each load and store faults and goes to
 * the device by mmio.h. And the signals that this takes.
 */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/mmio.h"
#include "preload/preload.h"
#include "soft/mappings.h"
#include "soft/uapi/user.h"

/* Whether there ever was one: until then, nothing here costs anything. */
static bool mapped;

static struct soft_host *the_host;	/* once it stands: for the handler */

static bool has_maps(void)
{
	return !preload_inside && __atomic_load_n(&mapped, __ATOMIC_RELAXED);
}

static size_t whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) & ~(page - 1);
}

/* Are any of a BAR's pages there? */
static bool is_bar(const void *addr, size_t len)
{
	struct soft_host *host;
	bool overlap;

	if (!has_maps() || !len)
		return false;
	host = gate_enter();
	overlap = mappings_overlap(host->mappings, (uintptr_t)addr, whole_pages(len));
	gate_leave();
	return overlap;
}

static int unmap_bars(void *addr, size_t len)
{
	struct soft_host *host = gate_enter();
	int ret = host->sys.ops->munmap(&host->sys, addr, len);

	gate_leave();
	return ret;
}

static void *map_ours(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	void *out = fixed ? addr : NULL;
	struct soft_host *host;
	int ret;

	fd_note_use(fd);
	/* As vfio-pci's mmap says. */
	if (!(flags & MAP_SHARED)) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (fixed && is_bar(addr, len))
		unmap_bars(addr, len);
	host = gate_enter();
	ret = soft_host_mmap(host, len, prot, fd, (uint64_t)offset, &out);
	if (!ret) {
		mprotect(out, whole_pages(len), PROT_NONE);
		__atomic_store_n(&mapped, true, __ATOMIC_RELAXED);
	}
	gate_leave();
	trace_call("mmap", ret, "%p, %#zx, %d, %#x, %d, %#llx", addr, len, prot, flags, fd,
		   (unsigned long long)offset);
	return give(ret) < 0 ? MAP_FAILED : out;
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (!(flags & MAP_ANONYMOUS) && fd_is_ours(fd))
		return map_ours(addr, len, prot, flags, fd, offset);
	if (flags & MAP_FIXED && is_bar(addr, len))
		unmap_bars(addr, len);
	return REAL(mmap)(addr, len, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	return mmap(addr, len, prot, flags, fd, offset);
}

EXPORT int munmap(void *addr, size_t len)
{
	int ret;

	if (is_bar(addr, len)) {
		ret = unmap_bars(addr, len);
		trace_call("munmap", ret, "%p, %#zx", addr, len);
		if (ret)
			return (int)give(ret);
	}
	return REAL(munmap)(addr, len);
}

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	struct soft_host *host;
	int ret;

	if (!is_bar(addr, len))
		return REAL(mprotect)(addr, len, prot);
	host = gate_enter();
	ret = mappings_protect(host->mappings, (uintptr_t)addr, whole_pages(len), prot);
	gate_leave();
	trace_call("mprotect", ret, "%p, %#zx, %d", addr, len, prot);
	return (int)give(ret);
}

EXPORT void *mremap(void *addr, size_t old_len, size_t len, int flags, ...)
{
	va_list args;
	void *to;

	va_start(args, flags);
	to = va_arg(args, void *);
	va_end(args);
	if (is_bar(addr, old_len)) {
		preload_say("doorbell host: mremap() of a BAR at %p is not possible here: unmap "
			    "and map it again", addr);
		errno = EFAULT;
		return MAP_FAILED;
	}
	if (flags & MREMAP_FIXED && is_bar(to, len))
		unmap_bars(to, len);
	return REAL(mremap)(addr, old_len, len, flags, to);
}

/* --- Accesses --- */

static uint64_t bar_load(void *ctx, uintptr_t addr, unsigned int size)
{
	struct soft_host *host = ctx;

	trace_mmio(size, false);
	return mappings_read(host->mappings, addr, size);
}

static void bar_store(void *ctx, uintptr_t addr, unsigned int size, uint64_t value)
{
	struct soft_host *host = ctx;

	trace_mmio(size, true);
	mappings_write(host->mappings, addr, size, value);
}

/* 0: done; else which signal Linux would send. */
static int access_bar(struct soft_host *host, ucontext_t *uc, uintptr_t addr)
{
	struct mmio mmio = { .ctx = host, .load = bar_load, .store = bar_store };
	const uint8_t *pc = mmio_pc(uc);
	struct mmio_insn insn;
	const char *why;
	int ret;

	if (!mmio_decode(uc, addr, &insn, &why)) {
		preload_say("doorbell host: %s at %p accesses a BAR (%02x %02x %02x %02x %02x "
			    "%02x %02x %02x): only loads, stores and comparisons can", why,
			    (const void *)pc, pc[0], pc[1], pc[2], pc[3], pc[4], pc[5], pc[6],
			    pc[7]);
		return SIGSEGV;
	}
	ret = insn.load ? mappings_check(host->mappings, addr, insn.size, false) : 0;
	if (!ret && insn.store)
		ret = mappings_check(host->mappings, addr, insn.size, true);
	if (ret)
		return ret == -EIO ? SIGBUS : SIGSEGV;
	mmio_execute(uc, addr, &insn, &mmio);
	return 0;
}

/* --- Signals --- */

/* What the program wants done upon SIGSEGV and SIGBUS. */
static struct sigaction theirs_segv, theirs_bus;

static void to_program(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *sa = sig == SIGBUS ? &theirs_bus : &theirs_segv;
	struct sigaction by_default = { .sa_handler = SIG_DFL };

	if (sa->sa_flags & SA_SIGINFO && sa->sa_sigaction) {
		sa->sa_sigaction(sig, info, context);
	} else if (sa->sa_handler != SIG_DFL && sa->sa_handler != SIG_IGN) {
		sa->sa_handler(sig);
	} else {
		/* Comes again, or now, and ends the process as it would have been. */
		REAL(sigaction)(sig, &by_default, NULL);
		raise(sig);
	}
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct soft_host *host = __atomic_load_n(&the_host, __ATOMIC_ACQUIRE);
	uintptr_t addr = (uintptr_t)info->si_addr;
	int was = errno, turned = sig;

	if (user_fault(info, context))
		return;
	if (host && sig == SIGSEGV && info->si_code > 0 &&
	    mappings_overlap(host->mappings, addr, 1)) {
		gate_enter();
		turned = access_bar(host, context, addr);
		gate_leave();
	}
	errno = was;
	if (turned == SIGBUS && sig != SIGBUS)
		info->si_code = BUS_ADRERR;
	if (turned)
		to_program(info->si_signo = turned, info, context);
}

void map_start(struct soft_host *host)
{
	struct sigaction sa = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	};

	__atomic_store_n(&the_host, host, __ATOMIC_RELEASE);
	REAL(sigaction)(SIGSEGV, &sa, &theirs_segv);
	REAL(sigaction)(SIGBUS, &sa, &theirs_bus);
}

static struct sigaction *theirs(int sig)
{
	if (preload_inside || !__atomic_load_n(&the_host, __ATOMIC_ACQUIRE))
		return NULL;
	return sig == SIGSEGV ? &theirs_segv : sig == SIGBUS ? &theirs_bus : NULL;
}

EXPORT int sigaction(int sig, const struct sigaction *restrict sa, struct sigaction *restrict old)
{
	struct sigaction *ours = theirs(sig), new;

	if (!ours)
		return REAL(sigaction)(sig, sa, old);
	if (sa)
		new = *sa;
	if (old)
		*old = *ours;
	if (sa)
		*ours = new;
	return 0;
}

EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	struct sigaction *ours = theirs(sig);
	sighandler_t old;

	if (!ours)
		return REAL(signal)(sig, handler);
	old = ours->sa_handler;
	*ours = (struct sigaction){ .sa_handler = handler };
	return old;
}

/* A fault whose signal is blocked ends the process. */
static const sigset_t *without_faults(int how, const sigset_t *set, sigset_t *copy)
{
	if (!set || how == SIG_UNBLOCK || preload_inside)
		return set;
	*copy = *set;
	sigdelset(copy, SIGSEGV);
	sigdelset(copy, SIGBUS);
	return copy;
}

EXPORT int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	sigset_t copy;

	return REAL(sigprocmask)(how, without_faults(how, set, &copy), old);
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	return REAL(pthread_sigmask)(how, without_faults(how, set, &copy), old);
}
