/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which capabilities a guest sees. The lists are made anew from those that it may see: what was
 * not looked at cannot be reached.
 */
#include "lib/vpci.h"

#include <linux/pci_regs.h>

#include "lib/bytes.h"

/* IDs of PCIe 6.0, 7.9, that <linux/pci_regs.h> may be too old for. */
#define EXT_CAP_PHYSICAL_32GT 0x2a
#define EXT_CAP_ALTERNATE 0x2b
#define EXT_CAP_IDE 0x30

static const char of_the_bus[] = "it is of the host's bus or slot; the guest's is virtual";
static const char of_the_link[] = "it is of the host's link, which others use too";
static const char of_the_route[] = "it is of the routing in the host's topology";
static const char of_translation[] = "it needs a virtual SMMU that has it: SMMU_IDR0 and IDR1 say "
				     "that the guest's has not";
static const char of_functions[] = "virtual functions are the host's to make";
static const char of_sizes[] = "the sizes and places of BARs are the host's to choose";
static const char of_cpus[] = "steering tags name CPUs of the host";
static const char of_security[] = "keys and measurements are between the host and the device";
static const char of_unknown[] = "it is not known to be harmless";
static const char of_reset[] = "the device cannot be reset alone";

/* Those that pass have no reason. @length: of the registers; 0: to the next capability. */
struct rule {
	uint16_t id, length;
	const char *why;
};

static const struct rule standard[] = {
	{ PCI_CAP_ID_PM, PCI_PM_SIZEOF, NULL },
	{ PCI_CAP_ID_AGP, 0, of_the_bus },
	{ PCI_CAP_ID_VPD, 8, NULL },
	{ PCI_CAP_ID_SLOTID, 4, of_the_bus },
	{ PCI_CAP_ID_MSI, 0, NULL },
	{ PCI_CAP_ID_CHSWP, 4, of_the_bus },
	{ PCI_CAP_ID_PCIX, 8, of_the_bus },
	{ PCI_CAP_ID_HT, 0, of_the_bus },
	{ PCI_CAP_ID_VNDR, 0, NULL },
	{ PCI_CAP_ID_DBG, 4, of_the_bus },
	{ PCI_CAP_ID_CCRC, 0, of_the_bus },
	{ PCI_CAP_ID_SHPC, 8, of_the_bus },
	{ PCI_CAP_ID_SSVID, 8, NULL },
	{ PCI_CAP_ID_AGP3, 0, of_the_bus },
	{ PCI_CAP_ID_SECDEV, 0, of_the_bus },
	{ PCI_CAP_ID_EXP, PCI_CAP_EXP_ENDPOINT_SIZEOF_V1, NULL },
	{ PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF, NULL },
	{ PCI_CAP_ID_SATA, 8, NULL },
	{ PCI_CAP_ID_AF, 8, NULL },
	{ PCI_CAP_ID_EA, 0, of_sizes },
};

static const struct rule extended[] = {
	{ PCI_EXT_CAP_ID_ERR, 0, NULL },
	{ PCI_EXT_CAP_ID_VC, 0, of_the_link },
	{ PCI_EXT_CAP_ID_DSN, 0, NULL },
	{ PCI_EXT_CAP_ID_PWR, 0, of_the_link },
	{ PCI_EXT_CAP_ID_RCLD, 0, of_the_route },
	{ PCI_EXT_CAP_ID_RCILC, 0, of_the_route },
	{ PCI_EXT_CAP_ID_RCEC, 0, of_the_route },
	{ PCI_EXT_CAP_ID_MFVC, 0, of_the_link },
	{ PCI_EXT_CAP_ID_VC9, 0, of_the_link },
	{ PCI_EXT_CAP_ID_VNDR, 0, NULL },
	{ PCI_EXT_CAP_ID_ACS, 0, of_the_route },
	{ PCI_EXT_CAP_ID_ARI, 0, of_the_route },
	{ PCI_EXT_CAP_ID_ATS, 0, of_translation },
	{ PCI_EXT_CAP_ID_SRIOV, 0, of_functions },
	{ PCI_EXT_CAP_ID_MRIOV, 0, of_functions },
	{ PCI_EXT_CAP_ID_MCAST, 0, of_the_route },
	{ PCI_EXT_CAP_ID_PRI, 0, of_translation },
	{ PCI_EXT_CAP_ID_REBAR, 0, of_sizes },
	{ PCI_EXT_CAP_ID_DPA, 0, of_the_link },
	{ PCI_EXT_CAP_ID_TPH, 0, of_cpus },
	{ PCI_EXT_CAP_ID_LTR, 0, of_the_link },
	{ PCI_EXT_CAP_ID_SECPCI, 0, of_the_link },
	{ PCI_EXT_CAP_ID_PMUX, 0, of_the_link },
	{ PCI_EXT_CAP_ID_PASID, 0, of_translation },
	{ PCI_EXT_CAP_ID_DPC, 0, of_the_link },
	{ PCI_EXT_CAP_ID_L1SS, 0, of_the_link },
	{ PCI_EXT_CAP_ID_PTM, 0, of_the_link },
	{ PCI_EXT_CAP_ID_DVSEC, 0, NULL },
	{ PCI_EXT_CAP_ID_DLF, 0, of_the_link },
	{ PCI_EXT_CAP_ID_PL_16GT, 0, of_the_link },
	{ EXT_CAP_PHYSICAL_32GT, 0, of_the_link },
	{ EXT_CAP_ALTERNATE, 0, of_the_link },
	{ PCI_EXT_CAP_ID_DOE, 0, of_security },
	{ EXT_CAP_IDE, 0, of_security },
};

static const struct rule unknown = { 0, 0, of_unknown };

static const struct rule *find_rule(const struct pci_capability *cap)
{
	const struct rule *rules = cap->extended ? extended : standard;
	size_t i, n = cap->extended ? sizeof(extended) / sizeof(extended[0]) :
				      sizeof(standard) / sizeof(standard[0]);

	for (i = 0; i < n; i++)
		if (rules[i].id == cap->id)
			return &rules[i];
	return &unknown;
}

/* NULL: the guest sees it. */
static const char *why_hidden(struct db_vpci *vpci, const struct pci_capability *cap,
			      const struct rule *rule)
{
	if (cap->extended)
		return rule->why;
	switch (cap->id) {
	case PCI_CAP_ID_MSI:
		return vpci->vmsi && cap->at == vpci->dev->cap_msi ? NULL : vpci->why_no_msi;
	case PCI_CAP_ID_MSIX:
		return vpci->vmsix ? NULL : vpci->why_no_msi;
	case PCI_CAP_ID_AF:
		return vpci->dev->resettable ? NULL : of_reset;
	default:
		return rule->why;
	}
}

/* Where the registers of a capability end at the latest: where the next one begins. */
static unsigned int find_end(const struct db_vpci *vpci, const struct pci_capability *caps,
			     unsigned int count, const struct pci_capability *cap)
{
	unsigned int i, end = cap->extended ? vpci->config_size : PCI_CFG_SPACE_SIZE;

	for (i = 0; i < count; i++)
		if (caps[i].at > cap->at && caps[i].at < end)
			end = caps[i].at;
	return end;
}

static void hide(struct db_vpci *vpci, const struct pci_capability *cap, unsigned int end,
		 const char *why)
{
	unsigned int at;

	for (at = cap->at; at < end; at += 4)
		vpci_own(vpci, at, 4, ~0u, 0, 0);
	vpci->hidden[vpci->hidden_count++] = (struct db_vpci_hidden){
		.size = sizeof(struct db_vpci_hidden),
		.id = cap->id,
		.extended = cap->extended,
		.offset = cap->at,
		.why = why,
	};
}

static void show_standard(struct db_vpci *vpci, const struct pci_capability *cap, uint8_t length)
{
	struct db_device *dev = vpci->dev;
	unsigned int msi_length = (dev->msi_64bit ? 16 : 12) + (dev->msi_maskable ? 8 : 0);

	/* One that does not fit is none of ours: as the device has it. */
	if (cap->id == PCI_CAP_ID_MSI)
		length = msi_length;
	if (cap->at + length > PCI_CFG_SPACE_SIZE)
		return;
	switch (cap->id) {
	case PCI_CAP_ID_PM:
		vpci->pm = cap->at;
		break;
	case PCI_CAP_ID_MSI:
		vpci->msi_cap = cap->at;
		vpci->msi_length = msi_length;
		break;
	case PCI_CAP_ID_MSIX:
		vpci->msix_cap = cap->at;
		break;
	case PCI_CAP_ID_EXP:
		/* FLR is ours to do, and the device's to be able to. */
		vpci->exp = cap->at;
		vpci_own(vpci, cap->at + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR, 0, 0);
		if (!dev->resettable)
			vpci_own(vpci, cap->at + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_FLR, 0, 0);
		break;
	case PCI_CAP_ID_AF:
		vpci->af = cap->at;
		vpci_own(vpci, cap->at + PCI_AF_CTRL, 1, 0xff, 0, 0);
		break;
	}
}

/* The pointer or header at @link leads to @at, 0: to nothing. */
static void link_to(struct db_vpci *vpci, const struct pci_capability *link, unsigned int at)
{
	unsigned int pointer = link ? link->at + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST;

	if (!link || !link->extended) {
		vpci_own(vpci, pointer, 1, 0xff, at, 0);
		return;
	}
	vpci_own(vpci, link->at, 4, 0xfffu << 20, (uint32_t)at << 20, 0);
}

/* Without one at the start of the extended list there is a null capability (7.9.28), or nothing. */
static void begin_extended(struct db_vpci *vpci, unsigned int first)
{
	if (first == PCI_CFG_SPACE_SIZE || vpci->config_size <= PCI_CFG_SPACE_SIZE)
		return;
	vpci_own(vpci, PCI_CFG_SPACE_SIZE, 4, ~0u, first ? (uint32_t)first << 20 | 1 << 16 : 0, 0);
}

void vpci_caps_init(struct db_vpci *vpci, const uint8_t *config)
{
	struct pci_capability caps[PCI_CAPABILITIES];
	const struct pci_capability *last = NULL, *last_extended = NULL;
	unsigned int i, end, count, first_extended = 0;
	const struct rule *rule;
	const char *why;

	count = pci_capabilities(config, vpci->config_size, caps);
	for (i = 0; i < count; i++) {
		rule = find_rule(&caps[i]);
		why = why_hidden(vpci, &caps[i], rule);
		if (!why)
			continue;
		end = find_end(vpci, caps, count, &caps[i]);
		if (rule->length && caps[i].at + rule->length < end)
			end = caps[i].at + rule->length;
		hide(vpci, &caps[i], end, why);
	}
	for (i = 0; i < count; i++) {
		rule = find_rule(&caps[i]);
		if (why_hidden(vpci, &caps[i], rule))
			continue;
		if (caps[i].extended) {
			if (last_extended)
				link_to(vpci, last_extended, caps[i].at);
			else
				first_extended = caps[i].at;
			last_extended = &caps[i];
			continue;
		}
		show_standard(vpci, &caps[i], rule->length);
		link_to(vpci, last, caps[i].at);
		last = &caps[i];
	}
	link_to(vpci, last, 0);
	vpci_own(vpci, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, last ? PCI_STATUS_CAP_LIST : 0, 0);
	begin_extended(vpci, first_extended);
	if (last_extended)
		link_to(vpci, last_extended, 0);
}
