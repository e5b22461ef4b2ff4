# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
# What qemu/build, qemu/run and qemu/check share: QEMU's source, the library it is linked with, the
# build. QEMU and its source stay in the cache; the devices are taken from this work tree each time.

ROOT=$(cd "$QEMU_DIR/.." && pwd)
EMU=$ROOT/emu
CROSS=aarch64-linux-gnu-
# shellcheck disable=SC2034 # say() reads it
SPEAKER=qemu
# shellcheck source=../emu/lib/common.sh
. "$EMU/lib/common.sh"
# shellcheck source=../emu/lib/packages.sh
. "$EMU/lib/packages.sh"

# Everything is below one folder, and removing that is safe while nothing runs.
HOME_DIR=$CACHE/qemu-devices
SOURCE=$HOME_DIR/source
TOOLS=$HOME_DIR/tools
BUILD_STEPS_LOG=$HOME_DIR/build.log

# Our files in QEMU's tree.
readonly DEVICE_FILES="doorbell.h doorbell-smmu.c doorbell-pci.c"

open_cache() {
	mkdir -p "$HOME_DIR" || die "cannot make the cache $HOME_DIR" "set DOORBELL_CACHE to a folder you own"
}

build_dir() {
	echo "$HOME_DIR/build-$1"
}

# Was QEMU compiled here once? Then a build compiles our own files and links.
built_before() {
	[ -e "$(build_dir shared)/done" ]
}

# --- tools and source --------------------------------------------------------------------------

# QEMU wants a newer meson than some machines have, and pycotap: they are taken from the suite that
# QEMU is of, and only unpacked.
get_build_tools() {
	local deb
	get_tools libglib2.0-dev=/usr/include/glib-2.0/glib.h libfdt-dev=/usr/include/libfdt.h \
		dpkg-dev=dpkg-source python3-venv=/usr/share/doc/python3-venv
	[ -e "$TOOLS/ready" ] && return
	say "getting meson and pycotap of Debian $QEMU_SUITE (about 1 MB)"
	foreign_suites "$QEMU_SUITE" || die "cannot read Debian $QEMU_SUITE from this machine's mirror"
	(cd "$FOREIGN/archives" && foreign_apt apt-get -q download meson python3-pycotap) \
		>"$FOREIGN/log" 2>&1 || die "cannot download meson" "$(tail -n 1 "$FOREIGN/log")"
	rm -rf "$TOOLS"
	mkdir -p "$TOOLS"
	for deb in "$FOREIGN"/archives/*.deb; do
		dpkg-deb -x "$deb" "$TOOLS" || die "cannot unpack $deb"
	done
	rm -rf "$FOREIGN"
	touch "$TOOLS/ready"
}

get_qemu_source() {
	[ -e "$SOURCE/ready" ] && return
	say "getting the source of QEMU of Debian $QEMU_SUITE (about 130 MB)"
	FOREIGN_KIND=deb-src foreign_suites "$QEMU_SUITE" ||
		die "cannot read the sources of Debian $QEMU_SUITE from this machine's mirror"
	(cd "$FOREIGN/archives" && foreign_apt apt-get -q source --download-only qemu) \
		>"$FOREIGN/log" 2>&1 || die "cannot download QEMU's source" "$(tail -n 1 "$FOREIGN/log")"
	rm -rf "$SOURCE"
	# apt has checked the signatures.
	dpkg-source --no-check -x "$FOREIGN"/archives/qemu_*.dsc "$SOURCE" >"$FOREIGN/log" 2>&1 ||
		die "cannot unpack QEMU's source" "$(tail -n 1 "$FOREIGN/log")"
	rm -rf "$FOREIGN"
	# The other boards would be two thirds of the build.
	cp "$QEMU_DIR/devices.mak" "$SOURCE/configs/devices/aarch64-softmmu/default.mak"
	patch -s -d "$SOURCE" -p1 <"$QEMU_DIR/qemu.patch" ||
		die "qemu.patch does not apply to this version of QEMU"
	touch "$SOURCE/ready"
}

# Files that are as they were keep their time stamps, so that nothing is compiled again.
add_devices() {
	local file
	for file in $DEVICE_FILES; do
		cmp -s "$QEMU_DIR/$file" "$SOURCE/hw/arm/$file" ||
			cp "$QEMU_DIR/$file" "$SOURCE/hw/arm/$file"
	done
}

# --- libdoorbell, installed where the build finds it -------------------------------------------

# build_library shared|static
build_library() {
	local tree=$HOME_DIR/doorbell-$1
	if [ ! -e "$tree/build.ninja" ] || [ "$(cat "$tree.root" 2>/dev/null)" != "$ROOT" ]; then
		rm -rf "$tree"
		meson setup "$tree" "$ROOT" -Dtests=disabled -Dbuildtype=debugoptimized \
			-Dprefix="$HOME_DIR/prefix-$1" -Dlibdir=lib >"$tree.log" 2>&1 ||
			die "cannot configure libdoorbell" "the whole log: $tree.log"
		echo "$ROOT" >"$tree.root"
	fi
	{ ninja -C "$tree" && meson install -C "$tree" --only-changed; } >"$tree.log" 2>&1 ||
		die "cannot build libdoorbell" "the whole log: $tree.log"
	# A program is linked with the archive only where there is nothing else.
	[ "$1" = shared ] || rm -f "$HOME_DIR/prefix-$1"/lib/libdoorbell.so*
}

# --- QEMU --------------------------------------------------------------------------------------

# configure_qemu shared|static
configure_qemu() {
	local build prefix=$HOME_DIR/prefix-$1
	local -a path
	build=$(build_dir "$1")
	[ ! -e "$build/build.ninja" ] || return 0
	say "configuring QEMU"
	mkdir -p "$build"
	path=(env "PATH=$TOOLS/usr/bin:$PATH" "PYTHONPATH=$TOOLS/usr/lib/python3/dist-packages"
		"PKG_CONFIG_PATH=$prefix/lib/pkgconfig")
	(cd "$build" && "${path[@]}" "$SOURCE/configure" --python=/usr/bin/python3 --target-list=aarch64-softmmu \
		--without-default-features --without-default-devices --enable-system --enable-tcg \
		--enable-fdt=system --disable-install-blobs --disable-download --disable-werror \
		--disable-docs --disable-tools --disable-guest-agent \
		--extra-ldflags="-Wl,-rpath,$prefix/lib") >"$BUILD_STEPS_LOG" 2>&1 || {
		grep -E 'ERROR|error' "$BUILD_STEPS_LOG" | head -n 5 >&2
		rm -f "$build/build.ninja"
		die "cannot configure QEMU" "the whole log: $BUILD_STEPS_LOG"
	}
}

# compile_qemu shared|static
compile_qemu() {
	local build
	build=$(build_dir "$1")
	PYTHONPATH=$TOOLS/usr/lib/python3/dist-packages PATH=$TOOLS/usr/bin:$PATH \
		python3 "$EMU/lib/attended.py" ninja -C "$build" qemu-system-aarch64 2>&1 |
		build_progress "QEMU with libdoorbell" "$BUILD_STEPS_LOG" || {
		grep -E 'error:|undefined reference|FAILED' "$BUILD_STEPS_LOG" | head -n 20 >&2
		die "cannot build QEMU" "the whole log: $BUILD_STEPS_LOG"
	}
	touch "$build/done"
}
