# What our QEMU is built of: machine virt, and what a guest of qemu/run and qemu/check is given beside our devices.
CONFIG_ARM_VIRT=y
CONFIG_PCIE_PORT=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_RNG=y
