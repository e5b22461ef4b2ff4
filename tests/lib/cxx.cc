// SPDX-License-Identifier: BSD-2-Clause
// A C++ program that uses the library: through the public headers and the shared library only.
#include <doorbell/doorbell.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace {

template <auto close> struct closer {
	template <typename T> void operator()(T *object) const
	{
		close(object);
	}
};

void release(db_sys *sys)
{
	sys->ops->release(sys);
}

template <typename T, auto close> using owned = std::unique_ptr<T, closer<close>>;

void check(int ret)
{
	if (ret >= 0)
		return;
	std::fprintf(stderr, "%s\n", db_error_message());
	std::exit(1);
}

int connect(void *, unsigned int, const db_msi_route *)
{
	return -ENODEV;
}

} // namespace

int main()
{
	static const char machine[] = "device 0000:01:00.0 bell vectors=4\n";
	db_sys *sys_made = nullptr;
	db_host *host_made = nullptr;
	db_device *dev_made = nullptr;
	db_space *space_made = nullptr;
	db_viommu *viommu_made = nullptr;
	db_msi *msi_made = nullptr;
	db_vmsix *vmsix_made = nullptr;

	check(db_soft_host_create(machine, sizeof(machine) - 1, &sys_made));
	owned<db_sys, release> sys(sys_made);
	check(db_host_open(sys.get(), &host_made));
	owned<db_host, db_host_close> host(host_made);
	check(db_device_open(host.get(), "0000:01:00.0", 0, &dev_made));
	owned<db_device, db_device_close> dev(dev_made);
	auto caps = db_sized<db_caps>();
	check(db_device_caps(dev.get(), &caps));
	if (!caps.mode[DB_MODE_NATIVE] || caps.msix_vectors != 4)
		return 1;
	check(db_space_create(host.get(), &space_made));
	owned<db_space, db_space_destroy> space(space_made);
	check(db_viommu_create(space.get(), dev.get(), &viommu_made));
	owned<db_viommu, db_viommu_destroy> viommu(viommu_made);
	check(db_viommu_add(viommu.get(), dev.get(), 0x10));
	{
		auto config = db_sized<db_msi_config>();
		auto ops = db_sized<db_msi_guest_ops>();

		config.dev = dev.get();
		config.space = space.get();
		config.mode = DB_MODE_NATIVE;
		config.kind = DB_MSIX;
		config.doorbell_ipa = 0x20090000;
		ops.connect = connect;
		check(db_msi_create(&config, &msi_made));
		owned<db_msi, db_msi_destroy> msi(msi_made);
		check(db_vmsix_create(msi.get(), &ops, nullptr, &vmsix_made));
		owned<db_vmsix, db_vmsix_destroy> vmsix(vmsix_made);
		if (db_vmsix_control_read(vmsix.get()) != 3)
			return 1;
	}
	db_viommu_remove(viommu.get(), dev.get());
	std::puts(db_mode_name(DB_MODE_NATIVE));
	return 0;
}
