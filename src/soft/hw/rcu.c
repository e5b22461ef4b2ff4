/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/hw/rcu.h"

#include <pthread.h>

__thread bool hw_rcu_registered __attribute__((tls_model("initial-exec")));

#ifdef HW_RCU_TSAN
char hw_rcu_order;
#endif

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

/* liburcu keeps a pointer into the thread's own storage, so a thread must not end registered. */
static void thread_ends(void *registered)
{
	(void)registered;
	hw_rcu_unregister();
}

static void make_key(void)
{
	pthread_key_create(&key, thread_ends);
}

void hw_rcu_register(void)
{
	pthread_once(&key_once, make_key);
	pthread_setspecific(key, &hw_rcu_registered);
	urcu_memb_register_thread();
	hw_rcu_registered = true;
}

void hw_rcu_unregister(void)
{
	if (!hw_rcu_registered)
		return;
	urcu_memb_unregister_thread();
	hw_rcu_registered = false;
}
