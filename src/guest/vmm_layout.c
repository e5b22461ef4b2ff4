/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's physical space. What has to keep clear of each other: RAM, the vITSes, the regions
 * that the host reserves (the SW_MSI window among them), and in native mode the doorbells, which
 * lie in their vITSes.
 */
#include "guest/vmm_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESERVED_MAX 64
#define IPA_BITS 48
#define VITS_SIZE (2ull * VMM_ITS_FRAME)
/* away from the physical ITS's address of common machines, so that a mix-up shows */
#define VITS_DEFAULT 0x0a080000ull
#define VITS_LIMIT 0x40000000ull

struct layout {
	struct db_reserved reserved[RESERVED_MAX];
	unsigned int n_reserved;
	uint64_t vits_size;
};

static bool fits(uint64_t start, uint64_t size)
{
	return start < 1ull << IPA_BITS && size <= (1ull << IPA_BITS) - start;
}

static bool overlaps(uint64_t start, uint64_t last, uint64_t start2, uint64_t last2)
{
	return start <= last2 && start2 <= last;
}

/* Most devices have the same regions: each is kept once. False: there is no room for it. */
static bool add_reserved(struct layout *layout, const struct db_reserved *region)
{
	unsigned int i;

	for (i = 0; i < layout->n_reserved; i++)
		if (layout->reserved[i].start == region->start &&
		    layout->reserved[i].last == region->last &&
		    !strcmp(layout->reserved[i].type, region->type))
			return true;
	if (layout->n_reserved == RESERVED_MAX)
		return false;
	layout->reserved[layout->n_reserved++] = *region;
	return true;
}

/*
 * -ENOSPC when a host reserves more than we can look at: then nothing chosen could be said to be
 * free.
 */
static int collect_reserved(struct vmm *vmm, struct layout *layout)
{
	struct db_reserved regions[RESERVED_MAX];
	unsigned int i;
	int n, j;

	for (i = 0; i < vmm->n_devices; i++) {
		n = db_device_reserved(vmm->devices[i]->db, regions, RESERVED_MAX,
				       sizeof(regions[0]));
		if (n < 0)
			return vmm_fail_lib(vmm, n, vmm->devices[i]->info.address);
		for (j = 0; j < n; j++)
			if (j == RESERVED_MAX || !add_reserved(layout, &regions[j]))
				return vmm_fail(vmm, -ENOSPC,
						"the host reserves more than %u regions",
						RESERVED_MAX);
	}
	return 0;
}

static bool is_free(const struct layout *layout, uint64_t start, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < layout->n_reserved; i++)
		if (overlaps(start, start + size - 1, layout->reserved[i].start,
			     layout->reserved[i].last))
			return false;
	return true;
}

/*
 * Behind which vITS each device is: one for each doorbell, where the host tells doorbells apart and
 * the mode makes use of it.
 */
static void group_devices(struct vmm *vmm, struct layout *layout)
{
	unsigned int i, j;

	layout->vits_size = VITS_SIZE;
	for (i = 0; i < vmm->n_devices; i++) {
		struct vmm_device_info *info = &vmm->devices[i]->info;
		uint64_t id = 0;

		if (vmm->mode == DB_MODE_NATIVE) {
			uint64_t size =
				VMM_ITS_FRAME + ((info->caps.doorbell.size + VMM_ITS_FRAME - 1) &
						 ~(VMM_ITS_FRAME - 1ull));

			if (!vmm->config.one_vits)
				id = info->caps.doorbell.id;
			if (size > layout->vits_size)
				layout->vits_size = size;
		}
		for (j = 0; j < vmm->n_vitses; j++)
			if (vmm->vitses[j].doorbell_id == id)
				break;
		if (j == vmm->n_vitses)
			vmm->vitses[vmm->n_vitses++].doorbell_id = id;
		info->vits = j;
	}
}

static bool in_given_ram(const struct vmm *vmm, uint64_t start, uint64_t size)
{
	uint64_t base = vmm->config.ram_base;

	return base && overlaps(base, base + vmm->config.ram_size - 1, start, start + size - 1);
}

/*
 * Base of the first vITS, for a mode in which the VMM may choose: the first place from the default
 * up where all fit.
 */
static int choose_vits(struct vmm *vmm, const struct layout *layout, uint64_t *base)
{
	uint64_t size = vmm->n_vitses * layout->vits_size;
	uint64_t at;

	for (at = VITS_DEFAULT; at + size <= VITS_LIMIT; at += VMM_ITS_FRAME)
		if (is_free(layout, at, size) && !in_given_ram(vmm, at, size)) {
			*base = at;
			return 0;
		}
	return vmm_fail(vmm, -ENOSPC,
			"no room for %u vITSes between 0x%llx and 0x%llx: give a place with --vits",
			vmm->n_vitses, VITS_DEFAULT, VITS_LIMIT);
}

static int place_vitses(struct vmm *vmm, const struct layout *layout)
{
	uint64_t base = 0, ipa;
	unsigned int i;
	bool fixed;
	int err;

	err = db_msi_doorbell_ipa(vmm->devices[0]->db, vmm->mode, &fixed, &ipa);
	if (err)
		return vmm_fail_lib(vmm, err, vmm->devices[0]->info.address);
	if (vmm->config.vits_given) {
		base = vmm->config.vits_base;
		if (base % VMM_ITS_FRAME)
			return vmm_fail(vmm, -EINVAL,
					"--vits 0x%llx: an ITS lies at a multiple of 64 KiB",
					(unsigned long long)base);
		if (!fits(base, vmm->n_vitses * layout->vits_size))
			return vmm_fail(vmm, -EINVAL,
					"--vits 0x%llx: %u ITSes from there on do not fit into %u bits",
					(unsigned long long)base, vmm->n_vitses, IPA_BITS);
	} else if (fixed && vmm->mode == DB_MODE_STOCK) {
		base = ipa - VMM_ITS_FRAME;
	} else {
		err = choose_vits(vmm, layout, &base);
		if (err)
			return err;
	}
	for (i = 0; i < vmm->n_vitses; i++) {
		vmm->vitses[i].base = base + i * layout->vits_size;
		vmm->vitses[i].size = layout->vits_size;
	}
	for (i = 0; i < vmm->n_devices; i++) {
		struct vmm_device_info *info = &vmm->devices[i]->info;

		info->vits_base = vmm->vitses[info->vits].base;
		info->doorbell_ipa = info->vits_base + VMM_ITS_FRAME;
	}
	return 0;
}

/*
 * Where RAM is given, what stands in its way for good: there is no window in native mode, and the
 * kernel takes no notice of a relaxable region once the device is passed through.
 */
static const struct db_reserved *in_the_way(const struct vmm *vmm, const struct layout *layout)
{
	unsigned int i;

	for (i = 0; i < layout->n_reserved; i++) {
		const struct db_reserved *r = &layout->reserved[i];

		if (in_given_ram(vmm, r->start, r->last - r->start + 1) &&
		    strcmp(r->type, "direct-relaxable") &&
		    (vmm->mode != DB_MODE_NATIVE || strcmp(r->type, "msi")))
			return r;
	}
	return NULL;
}

static int place_ram(struct vmm *vmm, const struct layout *layout)
{
	static const uint64_t candidates[] = { 0x40000000, 0x80000000, 0x100000000, 0x800000000,
					       0x1000000000 };
	uint64_t size = vmm->config.ram_size, first, last;
	const struct db_reserved *reserved;
	unsigned int i;

	first = vmm->vitses[0].base;
	last = first + vmm->n_vitses * layout->vits_size - 1;
	if (vmm->config.ram_base) {
		vmm->ram_base = vmm->config.ram_base;
		if (!fits(vmm->ram_base, size))
			return vmm_fail(vmm, -EINVAL,
					"--ram 0x%llx: %llu MiB from there on do not fit into %u bits",
					(unsigned long long)vmm->ram_base,
					(unsigned long long)size >> 20, IPA_BITS);
		if (in_given_ram(vmm, first, last - first + 1))
			return vmm_fail(
				vmm, -EADDRINUSE,
				"RAM at 0x%llx lies over the vITS at 0x%llx: choose another --ram or --vits",
				(unsigned long long)vmm->ram_base, (unsigned long long)first);
		reserved = in_the_way(vmm, layout);
		if (reserved)
			return vmm_fail(
				vmm, -EADDRINUSE,
				"RAM at 0x%llx lies over 0x%llx..0x%llx, which the host reserves "
				"(%s): choose another --ram",
				(unsigned long long)vmm->ram_base,
				(unsigned long long)reserved->start,
				(unsigned long long)reserved->last, reserved->type);
		return 0;
	}
	for (i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
		if (is_free(layout, candidates[i], size) &&
		    !overlaps(candidates[i], candidates[i] + size - 1, first, last)) {
			vmm->ram_base = candidates[i];
			return 0;
		}
	return vmm_fail(vmm, -ENOSPC,
			"the host's reserved regions leave no place for the guest's RAM");
}

/*
 * In native mode nothing uses the kernel's window, yet its addresses would be reserved: the device
 * does without.
 */
static int drop_window(struct vmm *vmm, struct vmm_device *dev)
{
	int err;

	if (vmm->mode != DB_MODE_NATIVE || !dev->info.caps.sw_msi_size)
		return 0;
	err = db_device_set_window(dev->db, 0, 0);
	if (err)
		return vmm_fail_lib(vmm, err, dev->info.address);
	dev->info.caps.sw_msi_start = 0;
	dev->info.caps.sw_msi_size = 0;
	return 0;
}

/*
 * The doorbell's register keeps its place in the host's page, and only the low 12 bits of the
 * guest's address are replaced by the host's: with larger pages it must lie where GITS_TRANSLATER
 * does, in the first 4 KiB.
 */
static int check_offset(struct vmm *vmm, const struct vmm_device *dev)
{
	const struct db_doorbell *doorbell = &dev->info.caps.doorbell;

	if (vmm->mode != DB_MODE_NATIVE || doorbell->offset < 0x1000)
		return 0;
	return vmm_fail(
		vmm, -EOPNOTSUPP,
		"%s: its doorbell is 0x%llx into a page of %lluK, where a guest's ITS cannot have "
		"one: use --mode rmr, or a host with smaller pages",
		dev->info.address, (unsigned long long)doorbell->offset,
		(unsigned long long)(dev->info.caps.page_size >> 10));
}

int vmm_layout(struct vmm *vmm)
{
	const struct report *report = &vmm->config.report;
	struct layout *layout = calloc(1, sizeof(*layout));
	unsigned int i;
	int err;

	if (!layout)
		return vmm_fail(vmm, -ENOMEM, "out of memory");
	err = collect_reserved(vmm, layout);
	if (err)
		goto out;
	group_devices(vmm, layout);
	err = place_vitses(vmm, layout);
	if (err)
		goto out;
	err = place_ram(vmm, layout);
	for (i = 0; !err && i < vmm->n_devices; i++) {
		err = check_offset(vmm, vmm->devices[i]);
		if (!err)
			err = drop_window(vmm, vmm->devices[i]);
	}
	if (err)
		goto out;
	report_say(report, "layout", "RAM at 0x%llx, %llu MiB", (unsigned long long)vmm->ram_base,
		   (unsigned long long)(vmm->config.ram_size >> 20));
	for (i = 0; i < vmm->n_devices; i++) {
		const struct vmm_device_info *info = &vmm->devices[i]->info;

		report_say(report, "layout",
			   "%s: guest StreamID and DeviceID 0x%x, vITS %u at 0x%llx, doorbell page "
			   "0x%llx",
			   info->address, info->stream_id, info->vits,
			   (unsigned long long)info->vits_base,
			   (unsigned long long)info->doorbell_ipa);
	}
out:
	free(layout);
	return err;
}
