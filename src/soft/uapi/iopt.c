/* SPDX-License-Identifier: BSD-2-Clause */
/* The I/O page table of an IOAS: areas, and their copies in every domain made from it. */
#include <errno.h>
#include <search.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

struct iopt *iopt_create(struct soft_host *host)
{
	struct iopt *iopt = soft_calloc(1, sizeof(*iopt));

	if (!iopt)
		return NULL;
	iopt->host = host;
	/* Until a domain asks for more, any byte may be mapped anywhere. */
	iopt->alignment = 1;
	pthread_mutex_init(&iopt->lock, NULL);
	iova_tree_init(&iopt->areas);
	return iopt;
}

void iopt_destroy(struct iopt *iopt)
{
	uint64_t unmapped;

	iopt_unmap(iopt, 0, UINT64_MAX, &unmapped);
	soft_free(iopt->allowed);
	iova_tree_fini(&iopt->areas);
	pthread_mutex_destroy(&iopt->lock);
	soft_free(iopt);
}

/* --- reserved and allowed ranges --- */

static const struct reserved_iova *first_reserved(const struct iopt *iopt, uint64_t start,
						  uint64_t last)
{
	const struct reserved_iova *r = iopt->reserved;

	while (r && !(r->start <= last && r->last >= start))
		r = r->next;
	return r;
}

static bool meets_allowed(const struct iopt *iopt, uint64_t start, uint64_t last)
{
	for (uint32_t i = 0; i < iopt->n_allowed; i++)
		if (iopt->allowed[i].start <= last && iopt->allowed[i].last >= start)
			return true;
	return false;
}

static int by_owner(const void *a, const void *b)
{
	const struct reservation *x = a, *y = b;

	return x->owner < y->owner ? -1 : x->owner > y->owner;
}

/* The range, with one more reservation of it. */
static struct reserved_iova *range_get(struct iopt *iopt, uint64_t start, uint64_t last)
{
	struct reserved_iova *r, **at = &iopt->reserved;

	while (*at && ((*at)->start < start || ((*at)->start == start && (*at)->last != last)))
		at = &(*at)->next;
	r = *at;
	if (!r || r->start != start) {
		r = soft_calloc(1, sizeof(*r));
		if (!r)
			return NULL;
		*r = (struct reserved_iova){ .next = *at, .start = start, .last = last };
		*at = r;
	}
	r->reservations++;
	return r;
}

static void range_put(struct iopt *iopt, struct reserved_iova *r)
{
	struct reserved_iova **at = &iopt->reserved;

	if (--r->reservations)
		return;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	soft_free(r);
}

/* With iopt->lock. */
static int reserve(struct iopt *iopt, uint64_t start, uint64_t last, const void *owner)
{
	struct reservation *fresh, **first;

	if (iova_tree_first(&iopt->areas, start, last) || meets_allowed(iopt, start, last))
		return -EADDRINUSE;
	fresh = soft_calloc(1, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	fresh->owner = owner;
	fresh->range = range_get(iopt, start, last);
	if (!fresh->range)
		goto free_reservation;
	first = soft_alloc_fails() ? NULL : tsearch(fresh, &iopt->reservations, by_owner);
	if (!first)
		goto put_range;
	if (*first != fresh) {
		fresh->next = (*first)->next;
		(*first)->next = fresh;
	}
	return 0;

put_range:
	range_put(iopt, fresh->range);
free_reservation:
	soft_free(fresh);
	return -ENOMEM;
}

static void unreserve(struct iopt *iopt, const void *owner)
{
	struct reservation key = { .owner = owner }, **first, *r, *next;

	first = tfind(&key, &iopt->reservations, by_owner);
	if (!first)
		return;
	r = *first;
	tdelete(&key, &iopt->reservations, by_owner);
	for (; r; r = next) {
		next = r->next;
		range_put(iopt, r->range);
		soft_free(r);
	}
}

int iopt_reserve(struct iopt *iopt, uint64_t start, uint64_t last, const void *owner)
{
	int rc;

	pthread_mutex_lock(&iopt->lock);
	rc = reserve(iopt, start, last, owner);
	pthread_mutex_unlock(&iopt->lock);
	return rc;
}

void iopt_unreserve(struct iopt *iopt, const void *owner)
{
	pthread_mutex_lock(&iopt->lock);
	unreserve(iopt, owner);
	pthread_mutex_unlock(&iopt->lock);
}

bool iopt_next_usable(const struct iopt *iopt, uint64_t from, uint64_t *start, uint64_t *last)
{
	/* Reserved ranges may overlap each other; they stand in order of their starts. */
	for (const struct reserved_iova *r = iopt->reserved; r; r = r->next) {
		if (r->last < from)
			continue;
		if (r->start > from) {
			*start = from;
			*last = r->start - 1;
			return true;
		}
		if (r->last == UINT64_MAX)
			return false;
		from = r->last + 1;
	}
	*start = from;
	*last = UINT64_MAX;
	return true;
}

int iopt_allow(struct iopt *iopt, struct iommu_iova_range *ranges, uint32_t n)
{
	struct iommu_iova_range *old = ranges;
	int rc = 0;

	pthread_mutex_lock(&iopt->lock);
	for (uint32_t i = 0; i < n && !rc; i++)
		if (first_reserved(iopt, ranges[i].start, ranges[i].last))
			rc = -EADDRINUSE;
	if (!rc) {
		old = iopt->allowed;
		iopt->allowed = ranges;
		iopt->n_allowed = n;
	}
	pthread_mutex_unlock(&iopt->lock);
	soft_free(old);
	return rc;
}

/* --- choosing an IOVA --- */

/* What an automatic IOVA must be like. */
struct wish {
	uint64_t length, alignment, offset;	/* offset: of the memory in its page */
};

/* The first fit in [start, last]; as Linux decides, a range of one address never fits. */
static bool fits(const struct wish *w, uint64_t start, uint64_t last, uint64_t *iova)
{
	uint64_t at;

	if (__builtin_add_overflow(start, w->alignment - 1, &at))
		return false;
	at = (at & ~(w->alignment - 1)) | w->offset;
	if (at >= last || last - at < w->length - 1)
		return false;
	*iova = at;
	return true;
}

/* In the hole [start, last] between areas: what is not reserved of it. */
static bool fits_unreserved(const struct iopt *iopt, const struct wish *w, uint64_t start,
			    uint64_t last, uint64_t *iova)
{
	uint64_t from = start, s, l;

	while (from <= last && iopt_next_usable(iopt, from, &s, &l) && s <= last) {
		if (l > last)
			l = last;
		if (fits(w, s, l, iova))
			return true;
		if (l == UINT64_MAX)
			break;
		from = l + 1;
	}
	return false;
}

static bool fits_between(const struct iopt *iopt, const struct wish *w, uint64_t start,
			 uint64_t last, uint64_t *iova)
{
	uint64_t from = start, s, l;

	while (from <= last && iova_tree_gap(&iopt->areas, from, w->length, &s, &l) && s <= last) {
		uint64_t lo = s > from ? s : from, hi = l < last ? l : last;

		if (fits_unreserved(iopt, w, lo, hi, iova))
			return true;
		if (l == UINT64_MAX)
			break;
		from = l + 1;
	}
	return false;
}

static uint64_t power_of_two_up(uint64_t n)
{
	return n <= 1 ? 1 : 1ull << (64 - __builtin_clzll(n - 1));
}

/* With iopt->lock. Never gives 0, nor the last page. */
static int choose_iova(const struct iopt *iopt, uint64_t addr, uint64_t length, uint64_t *iova)
{
	unsigned int page_shift = iopt->host->machine.page_shift;
	uint64_t page = 1ull << page_shift;
	/* A huge page of the host: one table of its last level. */
	uint64_t huge = 1ull << (2 * page_shift - 3);
	struct wish w = { .length = length, .offset = addr % page };

	if (!length || length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	/* The memory's own alignment is kept, so that blocks can map it. */
	w.alignment = power_of_two_up(length);
	if (addr && w.alignment > (addr & -addr))
		w.alignment = addr & -addr;
	if (w.alignment > huge)
		w.alignment = huge;
	if (w.alignment < iopt->alignment)
		return -EINVAL;
	if (!iopt->n_allowed)
		return fits_between(iopt, &w, page, UINT64_MAX - page, iova) ? 0 : -ENOSPC;
	for (uint32_t i = 0; i < iopt->n_allowed; i++) {
		uint64_t start = iopt->allowed[i].start, last = iopt->allowed[i].last;

		if (start < page)
			start = page;
		if (last > UINT64_MAX - page)
			last = UINT64_MAX - page;
		if (start <= last && fits_between(iopt, &w, start, last, iova))
			return 0;
	}
	return -ENOSPC;
}

static int check_iova(const struct iopt *iopt, uint64_t iova, uint64_t length)
{
	uint64_t last;

	if (iova & (iopt->alignment - 1))
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	if (first_reserved(iopt, iova, last))
		return -EINVAL;
	if (iova_tree_first(&iopt->areas, iova, last))
		return -EEXIST;
	return 0;
}

/* --- areas and domains --- */

static uint64_t area_size(const struct iova_area *area)
{
	return area->last - area->start + 1;
}

static bool is_doorbell(const struct memory_source *s)
{
	return s && s->is_doorbell;
}

static unsigned int area_prot(const struct iova_area *area)
{
	unsigned int prot = (area->readable ? VMSA_READ : 0) | (area->writable ? VMSA_WRITE : 0);

	return prot | (is_doorbell(area->source) ? VMSA_DEVICE : VMSA_EXEC);
}

static int map_in_domain(const struct iopt *iopt, const struct iopt_domain *domain,
			 const struct iova_area *area)
{
	uint64_t piece = iopt->small_pages ? 1ull << iopt->host->machine.page_shift : 0;

	return arm_domain_map(domain->arm, area->start, area_pa(area), area_size(area),
			      area_prot(area), piece);
}

/* Takes the area out of one domain, for good. */
static void unmap_in_domain(const struct iopt_domain *domain, const struct iova_area *area)
{
	uint64_t freed = 0;

	arm_domain_unmap(domain->arm, area->start, area_size(area), &freed);
	arm_domain_sync(domain->arm, area->start, area_size(area), freed);
}

/* Pins the area and puts it into every domain. */
static int fill(struct iopt *iopt, struct iova_area *area)
{
	struct iommufd_host *ih = iopt->host->iommufd;
	struct iopt_domain *d;
	int rc;

	if (!iopt->domains)
		return 0;
	rc = area_pin(ih, area);
	if (rc)
		return rc;
	for (d = iopt->domains; d; d = d->next) {
		rc = map_in_domain(iopt, d, area);
		if (rc)
			goto undo;
	}
	area->filled = 1;
	return 0;

undo:
	for (struct iopt_domain *done = iopt->domains; done != d; done = done->next)
		unmap_in_domain(done, area);
	area_unpin(ih, area);
	return rc;
}

/* An area that stands in no domain any more goes. With iopt->lock. */
static void drop_area(struct iopt *iopt, struct iova_area *area)
{
	if (area->filled)
		area_unpin(iopt->host->iommufd, area);
	if (!area->source || is_doorbell(area->source))
		iopt->other_areas--;
	if (area->source)
		source_put(area->source);
	iova_area_free(&iopt->areas, area);
}

/* --- map --- */

/* An area for the slice, at @iova; on success it holds the source. With iopt->lock. */
static int add_area(struct iopt *iopt, const struct iopt_slice *slice, uint64_t iova,
		    uint32_t flags, struct iova_area **out)
{
	struct iova_area *area;

	if ((flags & IOMMU_IOAS_MAP_WRITEABLE) && !slice->may_write)
		return -EPERM;
	if ((flags & IOMMU_IOAS_MAP_READABLE) && is_doorbell(slice->source))
		return -EPERM;
	if (slice->addr & (iopt->alignment - 1) & ((1ull << iopt->host->machine.page_shift) - 1))
		return -EINVAL;
	area = iova_area_alloc(&iopt->areas);
	if (!area)
		return -ENOMEM;
	area->start = iova;
	area->last = iova + slice->length - 1;
	area->source = slice->source;
	area->addr = slice->addr;
	area->may_write = slice->may_write;
	area->readable = !!(flags & IOMMU_IOAS_MAP_READABLE);
	area->writable = !!(flags & IOMMU_IOAS_MAP_WRITEABLE);
	if (area->source)
		source_hold(area->source);
	if (!area->source || is_doorbell(area->source))
		iopt->other_areas++;
	*out = area;
	return 0;
}

/* Removes the areas that begin in [start, end): those that a map had made. With iopt->lock. */
static void remove_areas(struct iopt *iopt, uint64_t start, uint64_t end)
{
	struct iova_area *area;

	while (end > start && (area = iova_tree_first(&iopt->areas, start, end - 1))) {
		iova_tree_remove(&iopt->areas, area);
		for (struct iopt_domain *d = iopt->domains; d && area->filled; d = d->next)
			unmap_in_domain(d, area);
		drop_area(iopt, area);
	}
}

int iopt_map(struct iopt *iopt, const struct iopt_slice *slices, size_t n, uint64_t length,
	     uint64_t *iova, uint32_t flags)
{
	struct iova_area *area;
	uint64_t at, start = *iova;
	int rc = 0;

	pthread_mutex_lock(&iopt->lock);
	if (length & (iopt->alignment - 1) || !length)
		rc = -EINVAL;
	else if (flags & IOMMU_IOAS_MAP_FIXED_IOVA)
		rc = check_iova(iopt, start, length);
	else
		rc = choose_iova(iopt,
				 slices[0].source ? slices[0].addr + slices[0].source->start
						  : slices[0].addr,
				 length, &start);
	at = start;
	for (size_t i = 0; i < n && !rc; i++) {
		rc = add_area(iopt, &slices[i], at, flags, &area);
		if (rc)
			break;
		rc = fill(iopt, area);
		if (rc) {
			drop_area(iopt, area);
			break;
		}
		iova_tree_insert(&iopt->areas, area);
		at += slices[i].length;
	}
	if (rc)
		remove_areas(iopt, start, at);
	else
		*iova = start;
	pthread_mutex_unlock(&iopt->lock);
	return rc;
}

/* --- unmap --- */

/*
 * Areas taken out of the tree and the domains, waiting for the invalidation; chained through
 * child[0].
 */
struct unmapping {
	struct iova_area *areas;
	uint64_t start, last;
	uint64_t bytes;
};

/*
 * Takes out what lies in [start, last], up to the first area that reaches outside. With iopt->lock.
 */
static int take_areas(struct iopt *iopt, uint64_t start, uint64_t last, struct unmapping *u)
{
	struct iova_area *area;

	while ((area = iova_tree_first(&iopt->areas, start, last))) {
		if (area->start < start || area->last > last)
			return -ENOENT;
		iova_tree_remove(&iopt->areas, area);
		if (!u->areas)
			u->start = area->start;
		u->last = area->last;
		u->bytes += area_size(area);
		area->child[0] = u->areas;
		u->areas = area;
		if (area->last == last)
			break;
		start = area->last + 1;
	}
	return 0;
}

/* Takes them out of a domain, those that lie side by side in one go. They stand in descending order. */
static void unmap_taken(const struct iopt_domain *d, const struct unmapping *u, uint64_t *freed)
{
	uint64_t start = 0, size = 0;

	for (const struct iova_area *area = u->areas; area; area = area->child[0]) {
		if (!area->filled)
			continue;
		if (size && area->last + 1 != start) {
			arm_domain_unmap(d->arm, start, size, freed);
			size = 0;
		}
		start = area->start;
		size += area_size(area);
	}
	if (size)
		arm_domain_unmap(d->arm, start, size, freed);
}

int iopt_unmap(struct iopt *iopt, uint64_t start, uint64_t last, uint64_t *unmapped)
{
	struct unmapping u = { 0 };
	struct iova_area *area;
	int rc;

	pthread_mutex_lock(&iopt->lock);
	rc = take_areas(iopt, start, last, &u);
	/* One invalidation for all of it, before any page is given back. */
	for (struct iopt_domain *d = iopt->domains; d && u.areas; d = d->next) {
		uint64_t freed = 0;

		unmap_taken(d, &u, &freed);
		arm_domain_sync(d->arm, u.start, u.last - u.start + 1, freed);
	}
	while ((area = u.areas)) {
		u.areas = area->child[0];
		drop_area(iopt, area);
	}
	pthread_mutex_unlock(&iopt->lock);
	*unmapped = u.bytes;
	return rc;
}

/* --- copy --- */

/* The part of @area in [iova, last]. */
static void slice_of(const struct iova_area *area, uint64_t iova, uint64_t last,
		     struct iopt_slice *slice)
{
	uint64_t end = area->last < last ? area->last : last;

	*slice = (struct iopt_slice){
		.source = area->source,
		.addr = area->addr + (iova - area->start),
		.length = end - iova + 1,
		.may_write = area->may_write,
	};
}

/* How many areas stand behind [iova, last] without a hole; 0: there is one. With iopt->lock. */
static size_t count_contiguous(const struct iopt *iopt, uint64_t iova, uint64_t last)
{
	size_t n = 0;

	for (;;) {
		const struct iova_area *area = iova_tree_first(&iopt->areas, iova, iova);

		if (!area)
			return 0;
		n++;
		if (area->last >= last)
			return n;
		iova = area->last + 1;
	}
}

int iopt_get_slices(struct iopt *iopt, uint64_t iova, uint64_t length, struct iopt_slice **slices,
		    size_t *n)
{
	struct iopt_slice *s = NULL;
	uint64_t last;
	int rc = 0;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	pthread_mutex_lock(&iopt->lock);
	*n = count_contiguous(iopt, iova, last);
	if (!*n)
		rc = -ENOENT;
	else
		s = soft_calloc(*n, sizeof(*s));
	if (!rc && !s)
		rc = -ENOMEM;
	for (size_t i = 0; i < *n && !rc; i++) {
		slice_of(iova_tree_first(&iopt->areas, iova, iova), iova, last, &s[i]);
		if (s[i].source)
			source_hold(s[i].source);
		iova += s[i].length;
	}
	pthread_mutex_unlock(&iopt->lock);
	*slices = s;
	return rc;
}

void iopt_put_slices(struct iopt_slice *slices, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slices[i].source)
			source_put(slices[i].source);
	soft_free(slices);
}

/* --- domains --- */

struct filling {
	struct iopt *iopt;
	struct iopt_domain *domain;
	const struct iova_area *failed;
	uint64_t align_mask;
	bool first;	/* the IOAS has no other domain: areas are pinned with it */
};

static int misaligned(void *ctx, struct iova_area *area)
{
	const struct filling *f = ctx;

	return (area->start | area_size(area) | area->addr) & f->align_mask ? -EADDRINUSE : 0;
}

static int fill_domain(void *ctx, struct iova_area *area)
{
	struct filling *f = ctx;
	struct iommufd_host *ih = f->iopt->host->iommufd;
	int rc;

	f->failed = area;
	if (f->first) {
		rc = area_pin(ih, area);
		if (rc)
			return rc;
	}
	rc = map_in_domain(f->iopt, f->domain, area);
	if (rc && f->first)
		area_unpin(ih, area);
	if (!rc)
		area->filled = 1;
	return rc;
}

/*
 * Gives up what fill_domain() pinned, up to the area that failed (none: all). The domain's table
 * needs no change: nothing is attached to it, and it is about to be freed.
 */
static int unpin_domain(void *ctx, struct iova_area *area)
{
	struct filling *f = ctx;

	if (area == f->failed)
		return 1;
	if (area->filled && f->first) {
		area_unpin(f->iopt->host->iommufd, area);
		area->filled = 0;
	}
	return 0;
}

/* The alignment that the domains and the page option ask for. */
static uint64_t wanted_alignment(const struct iopt *iopt)
{
	uint64_t alignment = iopt->small_pages ? 1ull << iopt->host->machine.page_shift : 1;

	for (const struct iopt_domain *d = iopt->domains; d; d = d->next) {
		uint64_t sizes = arm_domain_page_sizes(d->arm);

		if ((sizes & -sizes) > alignment)
			alignment = sizes & -sizes;
	}
	return alignment;
}

static int check_alignment(struct iopt *iopt, uint64_t alignment)
{
	struct filling f = { .align_mask = alignment - 1 };

	return alignment > iopt->alignment ? iova_tree_walk(&iopt->areas, misaligned, &f) : 0;
}

int iopt_add_domain(struct iopt *iopt, struct iopt_domain *domain)
{
	struct filling f = { .iopt = iopt, .domain = domain };
	uint64_t sizes = arm_domain_page_sizes(domain->arm), alignment = sizes & -sizes;
	int rc;

	pthread_mutex_lock(&iopt->lock);
	f.first = !iopt->domains;
	if (alignment < iopt->alignment)
		alignment = iopt->alignment;
	rc = check_alignment(iopt, alignment);
	if (!rc && arm_domain_last(domain->arm) != UINT64_MAX)
		rc = reserve(iopt, arm_domain_last(domain->arm) + 1, UINT64_MAX, domain);
	if (rc)
		goto unlock;
	rc = iova_tree_walk(&iopt->areas, fill_domain, &f);
	if (rc) {
		iova_tree_walk(&iopt->areas, unpin_domain, &f);
		unreserve(iopt, domain);
		goto unlock;
	}
	domain->next = iopt->domains;
	iopt->domains = domain;
	iopt->alignment = alignment;
unlock:
	pthread_mutex_unlock(&iopt->lock);
	return rc;
}

void iopt_remove_domain(struct iopt *iopt, struct iopt_domain *domain)
{
	struct filling f = { .iopt = iopt, .domain = domain };
	struct iopt_domain **at = &iopt->domains;

	pthread_mutex_lock(&iopt->lock);
	while (*at != domain)
		at = &(*at)->next;
	*at = domain->next;
	f.first = !iopt->domains;
	if (f.first)
		iova_tree_walk(&iopt->areas, unpin_domain, &f);
	unreserve(iopt, domain);
	iopt->alignment = wanted_alignment(iopt);
	pthread_mutex_unlock(&iopt->lock);
}

int iopt_set_small_pages(struct iopt *iopt, bool small)
{
	int rc = 0;

	pthread_mutex_lock(&iopt->lock);
	if (small && !iopt->small_pages) {
		if (iopt->domains && iopt->areas.root)
			rc = -EINVAL;
		else
			rc = check_alignment(iopt, 1ull << iopt->host->machine.page_shift);
	}
	if (!rc) {
		iopt->small_pages = small;
		iopt->alignment = wanted_alignment(iopt);
	}
	pthread_mutex_unlock(&iopt->lock);
	return rc;
}
