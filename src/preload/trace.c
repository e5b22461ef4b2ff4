/* SPDX-License-Identifier: BSD-2-Clause */
/* --trace and --count: calls as they were made, in words, and how many of each. */
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/iommufd.h"
#include "abi/native.h"
#include "abi/vfio.h"
#include "preload/env.h"
#include "preload/preload.h"
#include "soft/uapi/user.h"

bool trace_on;

static struct preload_counts *counts;	/* shared with the other processes; NULL: not wanted */

/* --- What requests carry --- */

#define FIELDS 8

struct field {
	const char *name;
	uint8_t offset, size;
};

#define F(type, member) \
	{ #member, offsetof(struct type, member), sizeof(((struct type *)NULL)->member) }
#define REQUEST(number, ...) { number, #number, { __VA_ARGS__ } }
#define REQUEST_OLD(name, nr) { _IO(VFIO_TYPE, VFIO_BASE + (nr)), #name, { { NULL, 0, 0 } } }

static const struct request {
	unsigned long number;
	const char *name;
	struct field fields[FIELDS];
} requests[] = {
	REQUEST(IOMMU_DESTROY, F(iommu_destroy, id)),
	REQUEST(IOMMU_IOAS_ALLOC, F(iommu_ioas_alloc, flags), F(iommu_ioas_alloc, out_ioas_id)),
	REQUEST(IOMMU_IOAS_ALLOW_IOVAS, F(iommu_ioas_allow_iovas, ioas_id),
		F(iommu_ioas_allow_iovas, num_iovas)),
	REQUEST(IOMMU_IOAS_COPY, F(iommu_ioas_copy, flags), F(iommu_ioas_copy, dst_ioas_id),
		F(iommu_ioas_copy, src_ioas_id), F(iommu_ioas_copy, length),
		F(iommu_ioas_copy, dst_iova), F(iommu_ioas_copy, src_iova)),
	REQUEST(IOMMU_IOAS_IOVA_RANGES, F(iommu_ioas_iova_ranges, ioas_id),
		F(iommu_ioas_iova_ranges, num_iovas),
		F(iommu_ioas_iova_ranges, out_iova_alignment)),
	REQUEST(IOMMU_IOAS_MAP, F(iommu_ioas_map, flags), F(iommu_ioas_map, ioas_id),
		F(iommu_ioas_map, user_va), F(iommu_ioas_map, length), F(iommu_ioas_map, iova)),
	REQUEST(IOMMU_IOAS_MAP_FILE, F(iommu_ioas_map_file, flags),
		F(iommu_ioas_map_file, ioas_id), F(iommu_ioas_map_file, fd),
		F(iommu_ioas_map_file, start), F(iommu_ioas_map_file, length),
		F(iommu_ioas_map_file, iova)),
	REQUEST(IOMMU_IOAS_UNMAP, F(iommu_ioas_unmap, ioas_id), F(iommu_ioas_unmap, iova),
		F(iommu_ioas_unmap, length)),
	REQUEST(IOMMU_IOAS_CHANGE_PROCESS),
	REQUEST(IOMMU_IOAS_NOIOMMU_GET_PA),
	REQUEST(IOMMU_OPTION, F(iommu_option, option_id), F(iommu_option, op),
		F(iommu_option, object_id), F(iommu_option, val64)),
	REQUEST(IOMMU_VFIO_IOAS, F(iommu_vfio_ioas, op), F(iommu_vfio_ioas, ioas_id)),
	REQUEST(IOMMU_HWPT_ALLOC, F(iommu_hwpt_alloc, flags), F(iommu_hwpt_alloc, dev_id),
		F(iommu_hwpt_alloc, pt_id), F(iommu_hwpt_alloc, data_type),
		F(iommu_hwpt_alloc, data_len), F(iommu_hwpt_alloc, out_hwpt_id)),
	REQUEST(IOMMU_GET_HW_INFO, F(iommu_hw_info, dev_id), F(iommu_hw_info, data_len),
		F(iommu_hw_info, out_data_type), F(iommu_hw_info, out_capabilities)),
	REQUEST(IOMMU_HWPT_SET_DIRTY_TRACKING),
	REQUEST(IOMMU_HWPT_GET_DIRTY_BITMAP),
	REQUEST(IOMMU_HWPT_INVALIDATE, F(iommu_hwpt_invalidate, hwpt_id),
		F(iommu_hwpt_invalidate, data_type), F(iommu_hwpt_invalidate, entry_len),
		F(iommu_hwpt_invalidate, entry_num)),
	REQUEST(IOMMU_FAULT_QUEUE_ALLOC),
	REQUEST(IOMMU_VIOMMU_ALLOC, F(iommu_viommu_alloc, type), F(iommu_viommu_alloc, dev_id),
		F(iommu_viommu_alloc, hwpt_id), F(iommu_viommu_alloc, out_viommu_id)),
	REQUEST(IOMMU_VDEVICE_ALLOC, F(iommu_vdevice_alloc, viommu_id),
		F(iommu_vdevice_alloc, dev_id), F(iommu_vdevice_alloc, virt_id),
		F(iommu_vdevice_alloc, out_vdevice_id)),
	REQUEST(IOMMU_VEVENTQ_ALLOC, F(iommu_veventq_alloc, viommu_id),
		F(iommu_veventq_alloc, type), F(iommu_veventq_alloc, veventq_depth),
		F(iommu_veventq_alloc, out_veventq_id), F(iommu_veventq_alloc, out_veventq_fd)),
	REQUEST(IOMMU_HW_QUEUE_ALLOC),
	REQUEST(VFIO_DEVICE_GET_INFO, F(vfio_device_info, argsz), F(vfio_device_info, flags),
		F(vfio_device_info, num_regions), F(vfio_device_info, num_irqs)),
	REQUEST(VFIO_DEVICE_GET_REGION_INFO, F(vfio_region_info, argsz),
		F(vfio_region_info, index), F(vfio_region_info, flags), F(vfio_region_info, size),
		F(vfio_region_info, offset), F(vfio_region_info, cap_offset)),
	REQUEST(VFIO_DEVICE_GET_IRQ_INFO, F(vfio_irq_info, index), F(vfio_irq_info, flags),
		F(vfio_irq_info, count)),
	REQUEST(VFIO_DEVICE_SET_IRQS, F(vfio_irq_set, argsz), F(vfio_irq_set, flags),
		F(vfio_irq_set, index), F(vfio_irq_set, start), F(vfio_irq_set, count)),
	REQUEST(VFIO_DEVICE_RESET),
	REQUEST(VFIO_DEVICE_FEATURE, F(vfio_device_feature, argsz),
		F(vfio_device_feature, flags)),
	REQUEST(VFIO_DEVICE_BIND_IOMMUFD, F(vfio_device_bind_iommufd, flags),
		F(vfio_device_bind_iommufd, iommufd), F(vfio_device_bind_iommufd, out_devid)),
	REQUEST(VFIO_DEVICE_ATTACH_IOMMUFD_PT, F(vfio_device_attach_iommufd_pt, flags),
		F(vfio_device_attach_iommufd_pt, pt_id)),
	REQUEST(VFIO_DEVICE_DETACH_IOMMUFD_PT, F(vfio_device_detach_iommufd_pt, flags)),
	REQUEST_OLD(VFIO_GET_API_VERSION, 0),
	REQUEST_OLD(VFIO_CHECK_EXTENSION, 1),
	REQUEST_OLD(VFIO_SET_IOMMU, 2),
	REQUEST_OLD(VFIO_GROUP_GET_STATUS, 3),
	REQUEST_OLD(VFIO_GROUP_SET_CONTAINER, 4),
	REQUEST_OLD(VFIO_GROUP_UNSET_CONTAINER, 5),
	REQUEST_OLD(VFIO_GROUP_GET_DEVICE_FD, 6),
	REQUEST_OLD(VFIO_DEVICE_IOEVENTFD, 16),
};

/* Numbers 12 to 14 are used twice: a descriptor of /dev/vfio/devices has the first meaning. */
static const struct request twice[] = {
	REQUEST_OLD(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO or VFIO_IOMMU_GET_INFO, 12),
	REQUEST_OLD(VFIO_DEVICE_PCI_HOT_RESET or VFIO_IOMMU_MAP_DMA, 13),
	REQUEST_OLD(VFIO_IOMMU_UNMAP_DMA, 14),
};

static const struct request *find_request(unsigned long number)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].number == (uint32_t)number)
			return &requests[i];
	}
	for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
		if (twice[i].number == (uint32_t)number)
			return &twice[i];
	}
	return NULL;
}

/* "name value, name value": as it stands after the call. */
static void show_fields(const struct request *request, const void *arg, char *text, size_t size)
{
	size_t len = 0;
	uint64_t value;

	*text = '\0';
	for (size_t i = 0; i < FIELDS && request->fields[i].name; i++) {
		const struct field *f = &request->fields[i];

		value = 0;
		if (copy_from_user(&value, (const char *)arg + f->offset, f->size)) {
			snprintf(text, size, "%p", arg);
			return;
		}
		len += (size_t)snprintf(text + len, size - len, "%s%s %#llx", len ? ", " : "",
					f->name, (unsigned long long)value);
		if (len >= size)
			return;
	}
}

/* --- Counting --- */

static void count(const char *name, bool failed)
{
	if (!counts)
		return;
	for (size_t i = 0; i < PRELOAD_NAMES; i++) {
		char *slot = counts->of[i].name;
		char none = '\0';

		/* Who comes first to a free one takes it by its first letter. */
		if (!slot[0] && __atomic_compare_exchange_n(slot, &none, name[0], false,
							    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			snprintf(slot + 1, sizeof(counts->of[i].name) - 1, "%s", name + 1);
		if (strncmp(slot, name, sizeof(counts->of[i].name) - 1))
			continue;
		__atomic_fetch_add(&counts->of[i].calls, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&counts->of[i].failed, failed, __ATOMIC_RELAXED);
		return;
	}
}

void trace_mmio(unsigned int bytes, bool write)
{
	(void)bytes;
	if (counts)
		__atomic_fetch_add(write ? &counts->stores : &counts->loads, 1, __ATOMIC_RELAXED);
}

/* --- Showing --- */

static void show(const char *name, long ret, const char *arguments)
{
	const char *error = ret < 0 ? strerrorname_np((int)-ret) : NULL;

	if (error)
		preload_say("%s(%s) = %s", name, arguments, error);
	else
		preload_say("%s(%s) = %ld", name, arguments, ret);
}

void trace_call(const char *name, long ret, const char *fmt, ...)
{
	char arguments[400];
	va_list args;
	int was = errno;

	count(name, ret < 0);
	if (trace_on) {
		va_start(args, fmt);
		vsnprintf(arguments, sizeof(arguments), fmt, args);
		va_end(args);
		show(name, ret, arguments);
	}
	errno = was;
}

void trace_ioctl(int fd, unsigned long request, const void *arg, long ret)
{
	const struct request *r = find_request(request);
	char arguments[400], name[40];
	int was = errno, len;

	if (!trace_on && !counts)
		return;
	snprintf(name, sizeof(name), "ioctl %#lx", request);
	count(r ? r->name : name, ret < 0);
	if (trace_on) {
		len = snprintf(arguments, sizeof(arguments), "%d, %s", fd,
			       r ? r->fields[0].name ? "{ " : "" : "?");
		if (r && r->fields[0].name) {
			show_fields(r, arg, arguments + len, sizeof(arguments) - (size_t)len - 3);
			strcat(arguments, " }");
		} else {
			snprintf(arguments + len, sizeof(arguments) - (size_t)len, "%p", arg);
		}
		show(r ? r->name : name, ret, arguments);
	}
	errno = was;
}

void trace_start(void)
{
	char path[PATH_SIZE];
	int fd;

	trace_on = getenv(PRELOAD_TRACE);
	snprintf(path, sizeof(path), "%s/" PRELOAD_COUNTS, preload_dir());
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		counts = NULL;
	close(fd);
}
