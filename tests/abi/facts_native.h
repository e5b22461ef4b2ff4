/* SPDX-License-Identifier: BSD-2-Clause */
/* What linux/patches add to the ABI. */
NUMBER(VFIO_DEVICE_FEATURE_MSI_DOORBELL)
STRUCT(vfio_device_feature_msi_doorbell)
FIELD(vfio_device_feature_msi_doorbell, open_flags)
FIELD(vfio_device_feature_msi_doorbell, flags)
FIELD(vfio_device_feature_msi_doorbell, size)
FIELD(vfio_device_feature_msi_doorbell, offset)
FIELD(vfio_device_feature_msi_doorbell, id)
NUMBER(VFIO_IRQ_SET_DATA_MSI_IOVA)
NUMBER(VFIO_IRQ_SET_ACTION_PREPARE)
NUMBER(IOMMU_OPTION_SW_MSI_START)
NUMBER(IOMMU_OPTION_SW_MSI_SIZE)
