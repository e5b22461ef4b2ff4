/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions: GET_REGION_INFO with its capabilities, read, write and mmap of BARs. */
#include "soft/uapi/one_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/alloc.h"

#define BELL_TABLE 2	/* the BAR of bell's MSI-X table, which is at its start: 32 KiB */
#define TABLE_SIZE 0x8000

static int region(uint32_t index, uint32_t argsz, struct vfio_region_info *info)
{
	memset(info, 0xa5, sizeof(*info));
	info->argsz = argsz;
	info->index = index;
	return device_ioctl(&dev, VFIO_DEVICE_GET_REGION_INFO, info);
}

static ssize_t bar_read(unsigned int bar, uint64_t off, void *buf, size_t len)
{
	return f.sys->ops->pread(f.sys, dev.fd, buf, len, (uint64_t)bar << 40 | off);
}

static ssize_t bar_write(unsigned int bar, uint64_t off, const void *buf, size_t len)
{
	return f.sys->ops->pwrite(f.sys, dev.fd, buf, len, (uint64_t)bar << 40 | off);
}

static int map(unsigned int bar, uint64_t off, size_t len, int prot, void **out)
{
	return f.sys->ops->mmap(f.sys, len, prot, dev.fd, (uint64_t)bar << 40 | off, out);
}

static void info_of_each(void **state)
{
	struct vfio_region_info info;

	(void)state;
	assert_int_equal(device_ioctl(&dev, VFIO_DEVICE_GET_REGION_INFO, NULL), -EFAULT);
	assert_int_equal(region(0, sizeof(info) - 1, &info), -EINVAL);
	assert_int_equal(region(VFIO_PCI_VGA_REGION_INDEX, sizeof(info), &info), -EINVAL);
	assert_int_equal(region(VFIO_PCI_NUM_REGIONS, sizeof(info), &info), -EINVAL);
	assert_int_equal(region(UINT32_MAX, sizeof(info), &info), -EINVAL);

	assert_int_equal(region(VFIO_PCI_CONFIG_REGION_INDEX, sizeof(info), &info), 0);
	assert_int_equal(info.size, 4096);
	assert_int_equal(info.offset, 7ull << 40);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	assert_int_equal(info.cap_offset, 0);
	assert_int_equal(region(VFIO_PCI_ROM_REGION_INDEX, sizeof(info), &info), 0);
	assert_int_equal(info.size, 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(region(1, sizeof(info), &info), 0);
	assert_int_equal(info.size, 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(region(0, sizeof(info), &info), 0);
	assert_true(info.size >= 4096);
	assert_int_equal(info.offset, 0);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
					     VFIO_REGION_INFO_FLAG_MMAP);
}

static void mappable_table(void **state)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header cap;
	} reply;

	(void)state;
	/* Too short for the capability: how long it must be. */
	assert_int_equal(region(BELL_TABLE, sizeof(reply.info), &reply.info), 0);
	assert_int_equal(reply.info.argsz, sizeof(reply));
	assert_int_equal(reply.info.cap_offset, 0);
	assert_int_equal(reply.info.flags,
			 VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				 VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS);
	assert_int_equal(region(BELL_TABLE, sizeof(reply), &reply.info), 0);
	assert_int_equal(reply.info.argsz, sizeof(reply));
	assert_int_equal(reply.info.cap_offset, sizeof(reply.info));
	assert_int_equal(reply.cap.id, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	assert_int_equal(reply.cap.version, 1);
	assert_int_equal(reply.cap.next, 0);
}

static void sparse(void **state)
{
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap cap;
		struct vfio_region_sparse_mmap_area areas[2];
	} reply;
	void *addr;

	(void)state;
	fixture_create(
		&f,
		"device 0000:01:00.0 nvme io-queues=3 not-mappable\ndevice 0000:02:00.0 bell not-mappable");
	device_start(&f, NVME, &dev);
	memset(&reply, 0, sizeof(reply));
	assert_int_equal(region(0, sizeof(reply), &reply.info), 0);
	assert_true(reply.info.flags & VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(reply.info.cap_offset, sizeof(reply.info));
	assert_int_equal(reply.cap.header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	assert_int_equal(reply.cap.nr_areas, 2);
	assert_int_equal(reply.areas[0].offset, 0);
	assert_int_equal(reply.areas[0].size, 0x2000);
	assert_int_equal(reply.areas[1].offset, 0x3000);
	assert_int_equal(reply.areas[1].offset + reply.areas[1].size, reply.info.size);

	assert_int_equal(map(0, 0x2000, 4096, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(0, 0x1000, 8192, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(0, 0, reply.info.size, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(0, 0x3000, 4096, PROT_READ, &addr), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 4096), 0);
	assert_int_equal(map(0, 0, 0x2000, PROT_READ, &addr), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 0x2000), 0);
	device_close(&dev);

	/* bell's PBA lies behind its table. */
	device_start(&f, BELL, &dev);
	assert_int_equal(region(BELL_TABLE, sizeof(reply), &reply.info), 0);
	assert_int_equal(reply.cap.nr_areas, 1);
	assert_int_equal(reply.areas[0].offset, TABLE_SIZE);
}

static void access_rules(void **state)
{
	uint8_t buf[16];
	uint32_t id;

	(void)state;
	assert_int_equal(bar_read(0, BELL_ID, &id, 4), 4);
	assert_int_equal(id, 0x4c4c4542);
	assert_int_equal(bar_read(0, BELL_ID, NULL, 4), -EFAULT);
	assert_int_equal(bar_read(0, BELL_ID, buf, 0), 0);
	assert_int_equal(bar_read(1, 0, buf, 4), -EINVAL);
	assert_int_equal(bar_read(VFIO_PCI_ROM_REGION_INDEX, 0, buf, 4), -EINVAL);
	assert_int_equal(bar_write(VFIO_PCI_ROM_REGION_INDEX, 0, buf, 4), -EINVAL);
	assert_int_equal(bar_read(VFIO_PCI_VGA_REGION_INDEX, 0, buf, 4), -EINVAL);
	assert_int_equal(bar_read(VFIO_PCI_NUM_REGIONS, 0, buf, 4), -EINVAL);
	assert_int_equal(bar_read(0xffffff, 0, buf, 4), -EINVAL);

	/* Cut off at the end; refused beyond. */
	assert_int_equal(bar_read(0, pci_dev_shape(dev.soft->pci)->bar_size[0] - 4, buf, 16), 4);
	assert_int_equal(bar_read(0, pci_dev_shape(dev.soft->pci)->bar_size[0], buf, 4), -EINVAL);

	/* Any length and alignment, in pieces. */
	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(bar_write(0, BELL_SRC, "\x11\x22\x33\x44\x55\x66\x77\x88", 8), 8);
	assert_int_equal(bar_read(0, BELL_SRC, buf, 8), 8);
	assert_memory_equal(buf, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
}

static void table_is_hidden(void **state)
{
	uint8_t buf[24];

	(void)state;
	memset(buf, 0, sizeof(buf));
	assert_int_equal(bar_write(BELL_TABLE, 0, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 16),
			 16);
	assert_int_equal(msix_address(&dev, 0), 0);
	assert_int_equal(bar_read(BELL_TABLE, 0, buf, 16), 16);
	for (int i = 0; i < 16; i++)
		assert_int_equal(buf[i], 0xff);
	/* Over its end, into the PBA. */
	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(bar_read(BELL_TABLE, TABLE_SIZE - 8, buf, 16), 16);
	for (int i = 0; i < 16; i++)
		assert_int_equal(buf[i], i < 8 ? 0xff : 0);
}

static void memory_decoding_off(void **state)
{
	uint32_t command = config_get(&dev, PCI_COMMAND, 2), id;
	void *addr;

	(void)state;
	assert_true(command & PCI_COMMAND_MEMORY);
	assert_int_equal(map(0, 0, 4096, PROT_READ | PROT_WRITE, &addr), 0);
	config_set(&dev, PCI_COMMAND, 2, command & ~PCI_COMMAND_MEMORY);
	assert_int_equal(bar_read(0, BELL_ID, &id, 4), -EIO);
	assert_int_equal(bar_write(0, BELL_SRC, &id, 4), -EIO);
	assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)addr + BELL_ID, 4), 0xffffffff);
	f.sys->ops->mmio_write(f.sys, (char *)addr + BELL_SRC, 4, 77);
	config_set(&dev, PCI_COMMAND, 2, command);
	assert_int_equal(bar_read(0, BELL_ID, &id, 4), 4);
	assert_int_equal(bar_get(&dev, 0, BELL_SRC), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 4096), 0);
}

static void mmap_rules(void **state)
{
	uint64_t size = pci_dev_shape(dev.soft->pci)->bar_size[0];
	void *addr, *table;

	(void)state;
	assert_int_equal(map(0, 0, 0, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(0, 12, 4096, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(0, 0, size + 1, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(0, size, 4096, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(1, 0, 4096, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(VFIO_PCI_CONFIG_REGION_INDEX, 0, 4096, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(VFIO_PCI_ROM_REGION_INDEX, 0, 4096, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(0, 0, SIZE_MAX, PROT_READ, &addr), -EINVAL);

	assert_int_equal(map(0, 0, 1, PROT_READ | PROT_WRITE, &addr), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 0), -EINVAL);
	assert_int_equal(f.sys->ops->munmap(f.sys, (char *)addr + 4096, 4096), -EINVAL);
	f.sys->ops->mmio_write(f.sys, (char *)addr + BELL_DST, 8, 0x123456789abcdef0);
	assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)addr + BELL_DST, 8),
			 0x123456789abcdef0);
	assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)addr + BELL_DST, 4), 0x9abcdef0);
	assert_int_equal(bar_get(&dev, 0, BELL_DST + 4), 0x12345678);
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 1), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 1), -EINVAL);
	/* Nobody is there any more. */
	assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)addr + BELL_ID, 4), 0xffffffff);
	f.sys->ops->mmio_write(f.sys, (char *)addr + BELL_DST, 8, 0);
	assert_int_equal(bar_get(&dev, 0, BELL_DST + 4), 0x12345678);

	/* Parts of a mapping go one by one; what is around them is no mistake. */
	assert_int_equal(map(BELL_TABLE, 0, 0x3000, PROT_READ | PROT_WRITE, &table), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, (char *)table + 0x1000, 0x1000), 0);
	f.sys->ops->mmio_write(f.sys, table, 4, 0x11110000);
	f.sys->ops->mmio_write(f.sys, (char *)table + 0x1000, 4, 0x22220000);
	f.sys->ops->mmio_write(f.sys, (char *)table + 0x2000, 4, 0x33330000);
	assert_int_equal(msix_address(&dev, 0), 0x11110000);
	assert_int_equal(msix_address(&dev, 0x1000 / 16), 0);
	assert_int_equal(msix_address(&dev, 0x2000 / 16), 0x33330000);
	assert_int_equal(f.sys->ops->munmap(f.sys, (char *)table + 1, 0x1000), -EINVAL);
	assert_int_equal(f.sys->ops->munmap(f.sys, table, 0x3000), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, table, 0x3000), -EINVAL);

	/* The MSI-X table by mmap is the function's own. */
	assert_int_equal(map(BELL_TABLE, 0, 4096, PROT_READ | PROT_WRITE, &table), 0);
	f.sys->ops->mmio_write(f.sys, table, 4, 0xabcd0000);
	assert_int_equal(msix_address(&dev, 0), 0xabcd0000);
	assert_int_equal(*(volatile uint32_t *)table, 0xabcd0000);
	assert_int_equal(f.sys->ops->munmap(f.sys, table, 4096), 0);
}

static void protection(void **state)
{
	void *readable, *writable;

	(void)state;
	assert_int_equal(map(0, 0, 4096, PROT_READ, &readable), 0);
	assert_int_equal(map(0, 0, 4096, PROT_WRITE, &writable), 0);
	f.sys->ops->mmio_write(f.sys, (char *)readable + BELL_SRC, 8, 1);
	assert_int_equal(bar_get(&dev, 0, BELL_SRC), 0);
	f.sys->ops->mmio_write(f.sys, (char *)writable + BELL_SRC, 8, 1);
	assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)readable + BELL_SRC, 8), 1);
	assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)writable + BELL_SRC, 8), UINT64_MAX);
	assert_int_equal(f.sys->ops->munmap(f.sys, writable, 4096), 0);
	assert_int_equal(f.sys->ops->munmap(f.sys, readable, 4096), 0);
}

static void large_pages(void **state)
{
	void *addr;

	(void)state;
	fixture_create(&f, "page-size 64k\ndevice 0000:02:00.0 bell");
	device_start(&f, BELL, &dev);
	assert_int_equal(map(BELL_TABLE, 4096, 4096, PROT_READ, &addr), -EINVAL);
	assert_int_equal(map(0, 0, 4096, PROT_READ, &addr), 0);
	assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)addr + BELL_ID, 4), 0x4c4c4542);
	/* The page is mapped as a whole, what of it lies beyond the BAR answers nothing. */
	assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)addr + 0xfff8, 8), UINT64_MAX);
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 65536), 0);
}

static void mmap_fails_whole(void **state)
{
	unsigned long n;
	long before;
	void *addr;
	int ret;

	(void)state;
	before = soft_alloc_live();
	for (n = 1;; n++) {
		soft_alloc_fail_nth(n);
		ret = map(0, 0, 4096, PROT_READ, &addr);
		soft_alloc_fail_nth(0);
		if (!ret)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(soft_alloc_live(), before);
	}
	assert_true(n > 1);
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 4096), 0);
}

/* Many mappings come and go while others are in use. */
static void *churn(void *arg)
{
	void *maps[20];

	(void)arg;
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 20; i++) {
			if (map(i % 2 ? BELL_TABLE : 0, 0, 4096, PROT_READ | PROT_WRITE, &maps[i]))
				return (void *)1;
		}
		for (int i = 0; i < 20; i++) {
			if (f.sys->ops->munmap(f.sys, maps[(i * 7) % 20], 4096))
				return (void *)1;
		}
	}
	return NULL;
}

static void mappings_of_threads(void **state)
{
	pthread_t threads[2];
	void *addr, *result;

	(void)state;
	assert_int_equal(map(0, 0, 4096, PROT_READ | PROT_WRITE, &addr), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
	for (uint64_t i = 0; i < 2000; i++) {
		f.sys->ops->mmio_write(f.sys, (char *)addr + BELL_SRC, 8, i);
		assert_int_equal(f.sys->ops->mmio_read(f.sys, (char *)addr + BELL_SRC, 8), i);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_null(result);
	}
	assert_int_equal(f.sys->ops->munmap(f.sys, addr, 4096), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(info_of_each, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(mappable_table, setup_bell, teardown_device),
		cmocka_unit_test_teardown(sparse, teardown_device),
		cmocka_unit_test_setup_teardown(access_rules, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(table_is_hidden, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(memory_decoding_off, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(mmap_rules, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(protection, setup_bell, teardown_device),
		cmocka_unit_test_teardown(large_pages, teardown_device),
		cmocka_unit_test_setup_teardown(mmap_fails_whole, setup_bell, teardown_device),
		cmocka_unit_test_setup_teardown(mappings_of_threads, setup_bell, teardown_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
