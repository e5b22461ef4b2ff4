/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Read-copy-update for the machine: a device access is one read-side section, from its translation
 * to its effect in memory or in an interrupt handler. Who takes something away (a translation, a
 * handler, an interrupt's route) waits for a grace period.
 *
 * liburcu's memb flavour, with threads registered on first use and forgotten when they end.
 */
#ifndef SOFT_HW_RCU_H
#define SOFT_HW_RCU_H

#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
#define HW_RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HW_RCU_TSAN 1
#endif
#endif

/*
 * Sections inline, as liburcu offers to code under a licence like ours; not where each access is to
 * be seen by a sanitizer.
 */
#ifndef HW_RCU_TSAN
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-memb.h>

#ifdef HW_RCU_TSAN
/*
 * ThreadSanitizer does not see through liburcu: tell it that a grace period comes after the
 * sections that it waited for.
 */
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char hw_rcu_order;
#define hw_rcu_published() __tsan_release(&hw_rcu_order)
#define hw_rcu_observed() __tsan_acquire(&hw_rcu_order)
#else
#define hw_rcu_published() ((void)0)
#define hw_rcu_observed() ((void)0)
#endif

extern __thread bool hw_rcu_registered __attribute__((tls_model("initial-exec")));

void hw_rcu_register(void);
void hw_rcu_unregister(void);

/* Sections nest. */
static inline void hw_read_lock(void)
{
	if (__builtin_expect(!hw_rcu_registered, 0))
		hw_rcu_register();
	urcu_memb_read_lock();
}

static inline void hw_read_unlock(void)
{
	hw_rcu_published();
	urcu_memb_read_unlock();
}

/* Returns when every section that was under way has ended. Not from inside one. */
static inline void hw_synchronize(void)
{
	urcu_memb_synchronize_rcu();
	hw_rcu_observed();
}

#endif
