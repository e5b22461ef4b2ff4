/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way back: what the host signals by eventfds becomes the guest's interrupts and event records.
 * A VMM with KVM gives these eventfds to the kernel (irqfd) and the vITS is KVM's; here the vITS is
 * a table from EventID to LPI for each device.
 */
#include "guest/vmm_priv.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>


/* epoll data: an SMMU's event queue (number below); else device << 32 | vector */
#define SOURCE_EVENTS (1ull << 63)

/*
 * Every vector takes a descriptor: with thousands of them the usual soft limit of 1,024 is not
 * enough.
 */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int vmm_irq_init(struct vmm *vmm)
{
	raise_file_limit();
	vmm->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (vmm->epoll < 0)
		return vmm_fail(vmm, -errno, "epoll: %s", strerror(errno));
	return 0;
}

void vmm_irq_fini(struct vmm *vmm)
{
	if (vmm->epoll >= 0)
		close(vmm->epoll);
}

static int watch(struct vmm *vmm, int fd, uint64_t source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = source };

	return epoll_ctl(vmm->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int vmm_irq_add_smmu(struct vmm *vmm, unsigned int smmu)
{
	int err = watch(vmm, db_vsmmu_event_fd(vmm->smmus[smmu].vsmmu), SOURCE_EVENTS | smmu);

	return err ? vmm_fail(vmm, err, "watching the event queue: %s", strerror(-err)) : 0;
}

/*
 * db_msi_guest_ops.connect: the vector's message is @route->data for the guest's vITS. Its eventfd
 * is made once and kept.
 */
int vmm_irq_connect(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct vmm_device *dev = ctx;
	struct vmm_vector *vector = &dev->vectors[index];
	int err;

	/* A device has one vITS: there is no other that the address could mean. */
	vector->event = route->data;
	if (vector->eventfd >= 0)
		return vector->eventfd;
	vector->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vector->eventfd < 0)
		return -errno;
	err = watch(dev->vmm, vector->eventfd, (uint64_t)dev->index << 32 | index);
	if (err) {
		close(vector->eventfd);
		vector->eventfd = -1;
		return err;
	}
	return vector->eventfd;
}

void vmm_irq_close(struct vmm_device *dev)
{
	unsigned int i;

	for (i = 0; dev->vectors && i < dev->info.vectors; i++)
		if (dev->vectors[i].eventfd >= 0)
			close(dev->vectors[i].eventfd);
}

int vmm_its_map(struct vmm_device *dev, uint32_t event, uint32_t lpi)
{
	if (event >= VMM_ITS_EVENTS)
		return -EINVAL;
	dev->lpis[event] = lpi;
	return 0;
}

void vmm_set_cpu(struct vmm *vmm, const struct vmm_cpu_ops *ops, void *ctx)
{
	vmm->cpu = ops;
	vmm->cpu_ctx = ctx;
}

static int deliver_vector(struct vmm_device *dev, unsigned int index)
{
	struct vmm_vector *vector = &dev->vectors[index];
	uint64_t times;
	uint32_t lpi;

	if (read(vector->eventfd, &times, sizeof(times)) != sizeof(times))
		return 0;
	lpi = vector->event < VMM_ITS_EVENTS ? dev->lpis[vector->event] : 0;
	if (dev->vmm->cpu)
		dev->vmm->cpu->interrupt(dev->vmm->cpu_ctx, lpi, times);
	return 1;
}

/*
 * The answer to a read comes behind the messages that the device has sent (PCIe 2.4.1). So they are
 * pending at their CPUs now, and a CPU takes what is pending before it runs us.
 */
void vmm_drain(struct vmm_device *dev)
{
	cpu_set_t allowed, one;

	vmm_config_read(dev, PCI_STATUS, 2);
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	sched_setaffinity(0, sizeof(allowed), &allowed);
}

int vmm_wait(struct vmm *vmm, int timeout_ms)
{
	struct epoll_event events[64];
	int i, n, delivered = 0;

	n = epoll_wait(vmm->epoll, events, sizeof(events) / sizeof(events[0]), timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n; i++) {
		uint64_t source = events[i].data.u64;

		if (source & SOURCE_EVENTS)
			delivered += vmm_smmu_deliver(vmm, source & ~SOURCE_EVENTS);
		else
			delivered += deliver_vector(vmm->devices[source >> 32], (uint32_t)source);
	}
	return delivered;
}
