/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any descriptor of the host, closed at any point of a VMM's life: before each system call that the
 * library makes from the first open to the last close, each of the files that are open then. What
 * the library makes of it is its own affair, as long as it ends: with an error or without, nothing
 * crashes, and nothing is left behind.
 *
 * A number that was closed may be given out again, so that the library goes on with another file
 * than it thinks: that, too, is met here.
 */
#include "live.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Stands before the software host, and closes a file of its at the right moment. */
struct saboteur {
	struct db_sys sys;
	struct db_sys *host;
	unsigned long calls, at; /* so far; the call to strike before */
	unsigned int which; /* of the open files */
	bool struck;
};

static struct db_sys *strike(struct db_sys *sys)
{
	struct saboteur *s = (struct saboteur *)sys;
	const struct soft_host *host = (const struct soft_host *)s->host;
	unsigned int which = s->which;

	if (++s->calls != s->at)
		return s->host;
	for (unsigned int fd = 0; fd < host->n_files; fd++) {
		if (!host->files[fd] || which--)
			continue;
		assert_int_equal(s->host->ops->close(s->host, fd), 0);
		s->struck = true;
		break;
	}
	return s->host;
}

static int sabotaged_open(struct db_sys *sys, const char *path, int flags)
{
	struct db_sys *host = strike(sys);

	return host->ops->open(host, path, flags);
}

static int sabotaged_close(struct db_sys *sys, int fd)
{
	struct db_sys *host = strike(sys);

	return host->ops->close(host, fd);
}

static int sabotaged_ioctl(struct db_sys *sys, int fd, unsigned long request, void *arg)
{
	struct db_sys *host = strike(sys);

	return host->ops->ioctl(host, fd, request, arg);
}

static ssize_t sabotaged_read(struct db_sys *sys, int fd, void *buf, size_t len)
{
	struct db_sys *host = strike(sys);

	return host->ops->read(host, fd, buf, len);
}

static ssize_t sabotaged_pread(struct db_sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	struct db_sys *host = strike(sys);

	return host->ops->pread(host, fd, buf, len, offset);
}

static ssize_t sabotaged_pwrite(struct db_sys *sys, int fd, const void *buf, size_t len,
				uint64_t offset)
{
	struct db_sys *host = strike(sys);

	return host->ops->pwrite(host, fd, buf, len, offset);
}

static int sabotaged_mmap(struct db_sys *sys, size_t len, int prot, int fd, uint64_t offset,
			  void **out)
{
	struct db_sys *host = strike(sys);

	return host->ops->mmap(host, len, prot, fd, offset, out);
}

static int sabotaged_munmap(struct db_sys *sys, void *addr, size_t len)
{
	struct db_sys *host = strike(sys);

	return host->ops->munmap(host, addr, len);
}

static uint64_t sabotaged_mmio_read(struct db_sys *sys, const volatile void *addr,
				    unsigned int size)
{
	struct db_sys *host = strike(sys);

	return host->ops->mmio_read(host, addr, size);
}

static void sabotaged_mmio_write(struct db_sys *sys, volatile void *addr, unsigned int size,
				 uint64_t value)
{
	struct db_sys *host = strike(sys);

	host->ops->mmio_write(host, addr, size, value);
}

static ssize_t sabotaged_readlink(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	struct db_sys *host = strike(sys);

	return host->ops->readlink(host, path, buf, size);
}

static int sabotaged_list(struct db_sys *sys, const char *path,
			  int (*entry)(void *arg, const char *name), void *arg)
{
	struct db_sys *host = strike(sys);

	return host->ops->list(host, path, entry, arg);
}

static const struct db_sys_ops sabotaged_ops = {
	.size = sizeof(sabotaged_ops),
	.open = sabotaged_open,
	.close = sabotaged_close,
	.ioctl = sabotaged_ioctl,
	.read = sabotaged_read,
	.pread = sabotaged_pread,
	.pwrite = sabotaged_pwrite,
	.mmap = sabotaged_mmap,
	.munmap = sabotaged_munmap,
	.mmio_read = sabotaged_mmio_read,
	.mmio_write = sabotaged_mmio_write,
	.readlink = sabotaged_readlink,
	.list = sabotaged_list,
};

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	const struct vm_device *d = ctx;

	(void)route;
	return d->eventfds[index];
}

static const struct db_msi_guest_ops guest_ops = {
	.size = sizeof(guest_ops),
	.connect = connect_vector,
};

/* A guest's life in short: whatever fails, it goes on. */
static void use(struct vm *vm)
{
	const uint64_t cmds[2][2] = { { 0x30, 0 }, { 0x46, 0 } }; /* TLBI_NSNH_ALL, SYNC */
	static const char *const address[] = { LIVE_FIRST };
	uint64_t event[4], lost, ste[8] = { 1 | 4 << 1 }; /* bypass */
	struct vm_device *d;
	struct db_vmsix *vmsix = NULL;

	if (vm_open(vm, vm->sys, address, 1, 0))
		return;
	d = &vm->devices[0];
	db_vmsix_create(d->msi, &guest_ops, d, &vmsix);
	db_vmsix_control_write(vmsix, 0x8000);
	for (unsigned int v = 0; v < 2; v++) {
		db_vmsix_table_write(vmsix, v * 16, 8, VM_GIOVA);
		db_vmsix_table_write(vmsix, v * 16 + 8, 8, v);
		vm_bell_write(d, BELL_RING, v, 4);
	}
	db_viommu_invalidate(vm->viommu, cmds, 2, NULL);
	db_viommu_install_ste(vm->viommu, d->dev, ste);
	db_viommu_install_ste(vm->viommu, d->dev, vm->s1.ste);
	db_vmsix_table_write(vmsix, 12, 4, 1);
	db_viommu_events(vm->viommu, &event, 1, &lost);
	db_device_reset(d->dev);
	db_msi_restore(d->msi);
	db_vmsix_table_write(vmsix, 12, 4, 0);
	db_vmsix_destroy(vmsix);
	vm_close(vm);
}

/* One life. False: it ended before call @at, or with fewer than @which + 1 files open there. */
static bool live_with(const char *kernel, enum db_mode mode, uint64_t doorbell_ipa,
		      unsigned long at, unsigned int which, unsigned long *calls)
{
	struct saboteur saboteur = { .sys = { &sabotaged_ops }, .at = at, .which = which };
	struct vm vm = { .mode = mode, .doorbell_ipa = doorbell_ipa, .sys = &saboteur.sys };
	struct live_host host;

	live_host_begin(&host, kernel);
	saboteur.host = host.sys;
	use(&vm);
	live_host_end(&host);
	*calls = saboteur.calls;
	return saboteur.struck;
}

static void every_file_before_every_call(const char *kernel, enum db_mode mode,
					 uint64_t doorbell_ipa)
{
	unsigned long calls, undisturbed, lives = 0;

	live_with(kernel, mode, doorbell_ipa, 0, 0, &undisturbed);
	assert_true(undisturbed > 50);
	for (unsigned long at = 1; at <= undisturbed; at++)
		for (unsigned int which = 0;
		     live_with(kernel, mode, doorbell_ipa, at, which, &calls); which++)
			lives++;
	print_message("# %lu calls, %lu closes\n", undisturbed, lives);
	assert_true(lives > undisturbed);
}

static void native(void **state)
{
	(void)state;
	every_file_before_every_call("", DB_MODE_NATIVE, 0);
}

static void stock(void **state)
{
	(void)state;
	every_file_before_every_call("kernel stock\n", DB_MODE_STOCK, 0x8000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(native), cmocka_unit_test(stock) };

	return cmocka_run_group_tests_name("close any", tests, NULL, NULL);
}
