/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/user.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "soft/hw/rcu.h"

/*
 * Copies @len bytes; non-zero: a fault, and nothing is known of what was copied. It uses no stack,
 * so a handler of the fault can send it to user_copy_fault. Nothing between the two faults but the
 * loads and stores of the caller's memory.
 */
extern int user_copy(void *to, const void *from, size_t len)
	__attribute__((visibility("hidden")));
extern const char user_copy_end[] __attribute__((visibility("hidden")));
extern const char user_copy_fault[] __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
	".p2align 4\n"
	".globl user_copy\n.hidden user_copy\n.type user_copy, @function\n"
	"user_copy:\n"
	"	mov %rdx, %rcx\n"
	"	shr $3, %rcx\n"
	"	jz 2f\n"
	"	cmp $64, %rcx\n"
	"	ja 4f\n"
	"1:	mov (%rsi), %rax\n"
	"	mov %rax, (%rdi)\n"
	"	add $8, %rsi\n"
	"	add $8, %rdi\n"
	"	dec %rcx\n"
	"	jnz 1b\n"
	"2:	and $7, %edx\n"
	"	jz 3f\n"
	"5:	movzbl (%rsi), %eax\n"
	"	mov %al, (%rdi)\n"
	"	inc %rsi\n"
	"	inc %rdi\n"
	"	dec %edx\n"
	"	jnz 5b\n"
	"3:	xor %eax, %eax\n"
	"	ret\n"
	"4:	mov %rdx, %rcx\n"
	"	rep movsb\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	".globl user_copy_end\n.hidden user_copy_end\n"
	"user_copy_end:\n"
	".globl user_copy_fault\n.hidden user_copy_fault\n"
	"user_copy_fault:\n"
	"	mov $1, %eax\n"
	"	ret\n"
	".size user_copy, . - user_copy\n"
	".popsection\n");
#define PROGRAM_COUNTER(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
	".p2align 4\n"
	".globl user_copy\n.hidden user_copy\n.type user_copy, @function\n"
	"user_copy:\n"
	"	lsr x4, x2, #3\n"
	"	cbz x4, 2f\n"
	"1:	ldr x3, [x1], #8\n"
	"	str x3, [x0], #8\n"
	"	subs x4, x4, #1\n"
	"	b.ne 1b\n"
	"2:	ands x2, x2, #7\n"
	"	b.eq 3f\n"
	"4:	ldrb w3, [x1], #1\n"
	"	strb w3, [x0], #1\n"
	"	subs x2, x2, #1\n"
	"	b.ne 4b\n"
	"3:	mov w0, #0\n"
	"	ret\n"
	".globl user_copy_end\n.hidden user_copy_end\n"
	"user_copy_end:\n"
	".globl user_copy_fault\n.hidden user_copy_fault\n"
	"user_copy_fault:\n"
	"	mov w0, #1\n"
	"	ret\n"
	".size user_copy, . - user_copy\n"
	".popsection\n");
#define PROGRAM_COUNTER(uc) ((uc)->uc_mcontext.pc)
#else
#error "user_copy() has to be written for this architecture"
#endif

/*
 * A device accesses memory that was mapped for it, and that the process has given up or protected
 * since. Linux has it pinned, and DMA goes on: here to a page in its place, which nobody will see,
 * or to the page, which can be accessed again from then on (model choice). A file that is shared
 * and may not be written is left alone.
 */
static bool replace_page(const siginfo_t *info)
{
	uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
	void *page = (void *)((uintptr_t)info->si_addr & ~(size - 1));
	int where = info->si_signo == SIGBUS ? MAP_FIXED : MAP_FIXED_NOREPLACE;

	if (info->si_code <= 0 || !urcu_memb_read_ongoing())
		return false;
	if (info->si_signo == SIGSEGV && !mprotect(page, size, PROT_READ | PROT_WRITE))
		return true;
	return mmap(page, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | where, -1,
		    0) == page;
}

bool user_fault(const siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;
	uintptr_t pc = (uintptr_t)PROGRAM_COUNTER(uc);
	int was = errno;
	bool done;

	if (pc < (uintptr_t)user_copy || pc >= (uintptr_t)user_copy_end) {
		done = replace_page(info);
		errno = was;
		return done;
	}
	PROGRAM_COUNTER(uc) = (__typeof__(PROGRAM_COUNTER(uc)))(uintptr_t)user_copy_fault;
	return true;
}

/* --- The handler --- */

static struct sigaction before_segv, before_bus;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *before = sig == SIGBUS ? &before_bus : &before_segv;

	if (user_fault(info, context))
		return;
	if (before->sa_flags & SA_SIGINFO && before->sa_sigaction) {
		before->sa_sigaction(sig, info, context);
	} else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
		before->sa_handler(sig);
	} else {
		/* It comes again, and ends the process; one that was sent has to be sent again. */
		sigaction(sig, before, NULL);
		if (info->si_code <= 0)
			raise(sig);
	}
}

static void install(int sig, struct sigaction *before)
{
	struct sigaction sa = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	}, now;

	if (sigaction(sig, NULL, &now) || now.sa_sigaction == on_fault)
		return;
	*before = now;
	sigaction(sig, &sa, NULL);
}

void user_start(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	install(SIGSEGV, &before_segv);
	install(SIGBUS, &before_bus);
	pthread_mutex_unlock(&lock);
}

/* --- Copies --- */

/* No caller has memory in the first page, nor in the upper half, which is a kernel's. */
static bool is_user(const void *addr, size_t len)
{
	return (uintptr_t)addr >= 4096 && (uintptr_t)addr <= INTPTR_MAX &&
	       len <= INTPTR_MAX - (uintptr_t)addr;
}

int copy_from_user(void *to, const void *from, size_t len)
{
	return !len || (is_user(from, len) && !user_copy(to, from, len)) ? 0 : -EFAULT;
}

int copy_to_user(void *to, const void *from, size_t len)
{
	return !len || (is_user(to, len) && !user_copy(to, from, len)) ? 0 : -EFAULT;
}

int clear_user(void *to, size_t len)
{
	static const uint8_t zeros[256];
	uint8_t *at = to;

	for (size_t n; len; len -= n, at += n) {
		n = len < sizeof(zeros) ? len : sizeof(zeros);
		if (copy_to_user(at, zeros, n))
			return -EFAULT;
	}
	return 0;
}

/* -E2BIG unless all of it is zero. */
static int check_zeros(const uint8_t *from, size_t len)
{
	uint8_t bytes[64];

	for (size_t n; len; len -= n, from += n) {
		n = len < sizeof(bytes) ? len : sizeof(bytes);
		if (copy_from_user(bytes, from, n))
			return -EFAULT;
		for (size_t i = 0; i < n; i++) {
			if (bytes[i])
				return -E2BIG;
		}
	}
	return 0;
}

int copy_struct_from_user(void *to, size_t size, const void *from, size_t user_size)
{
	size_t n = user_size < size ? user_size : size;
	int ret = check_zeros((const uint8_t *)from + n, user_size - n);

	ret = ret ? ret : copy_from_user(to, from, n);
	memset((uint8_t *)to + n, 0, size - n);
	return ret;
}
