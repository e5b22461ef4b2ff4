# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Our own programs, as static arm64 binaries: the build of meson.build with a cross compiler, in a
# tree that stays in the cache, so that only what changed is compiled.

# Programs that `emu/run NAME` builds so, and the target of each.
declare -A OWN_PROGRAMS=([doorbell]=doorbell [truth]=tests/truth/truth)

# own_program NAME : sets PROGRAM.
own_program() {
	local target=${OWN_PROGRAMS[$1]} tree build
	tree=$(realpath "$EMU/..")
	get_sysroot
	build=$CACHE/userspace/$({ echo "$tree"; echo "$SYSROOT"; cross_file; } | key)
	PROGRAM=$build/tree/$target
	lock "userspace-$(basename "$build")"
	[ -e "$build/tree/build.ninja" ] || set_up "$tree" "$build"
	python3 "$EMU/lib/attended.py" ninja -C "$build/tree" "$target" 2>&1 | build_progress "$1 for arm64" "$build/log" || {
		grep -E 'error:|undefined reference|FAILED' "$build/log" | head -n 20 >&2
		die "cannot build $1 for arm64" "the whole log: $build/log"
	}
	unlock
}

set_up() {
	local tree=$1 build=$2
	rm -rf "$build"
	mkdir -p "$build"
	cross_file >"$build/cross.ini"
	meson setup --cross-file "$build/cross.ini" -Dtests=disabled -Ddefault_library=static \
		-Dbuildtype=debugoptimized "$build/tree" "$tree" >"$build/log" 2>&1 || {
		tail -n 5 "$build/log" >&2
		die "cannot configure the arm64 build" "the whole log: $build/log"
	}
}

# There is no C library in the machine, so everything is linked statically; to any address, since the
# software host has the devices of its machine where such a program would be.
cross_file() {
	local lib=$SYSROOT/usr/lib/aarch64-linux-gnu include=$SYSROOT/usr/include
	cat <<-END
		[binaries]
		c = '${CROSS}gcc'
		ar = '${CROSS}ar'
		strip = '${CROSS}strip'
		pkgconfig = 'pkg-config'

		[built-in options]
		c_args = ['-fPIE', '-isystem', '$include', '-isystem', '$include/aarch64-linux-gnu']
		c_link_args = ['-static-pie', '-L$lib']

		[properties]
		pkg_config_libdir = '$lib/pkgconfig:$SYSROOT/usr/share/pkgconfig'
		sys_root = '$SYSROOT'

		[host_machine]
		system = 'linux'
		cpu_family = 'aarch64'
		cpu = 'armv8-a'
		endian = 'little'
	END
}
