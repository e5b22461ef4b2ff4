# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Debian packages: the build tools come from the machine's own suite and are installed; QEMU,
# firmware and kernel source are newer than some machines' suite, so they are unpacked into the
# cache by an apt that keeps its state there. That needs no root and changes nothing outside.

# The suite that QEMU and its libraries come from, and where a kernel source may be found.
readonly QEMU_SUITE=trixie
readonly QEMU_NEEDS=9.1
readonly KERNEL_SUITES="trixie-backports forky"

# --- the machine's own suite -------------------------------------------------------------------

# missing_tools [COMMAND | PACKAGE=COMMAND | PACKAGE=FILE]... : which packages are missing for the kernel build, our
# own programs and the tests, and for what else is named? Asks for what is used rather than for package names, so
# that a machine that has it from elsewhere is left alone.
missing_tools() {
	local need what
	for need in make gcc flex bison bc perl patch xz-utils=xz python3 meson ninja-build=ninja pkg-config \
		libc6-dev=/usr/include/stdio.h "$@"; do
		what=${need#*=}
		[[ $what == /* && -e $what ]] || command -v "$what" >/dev/null || printf '%s ' "${need%%=*}"
	done
	if ! printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' |
	    "${CROSS}gcc" -static -x c -o /dev/null - 2>/dev/null; then
		printf 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross '
	fi
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		return 1
	fi
}

# get_tools [NEED...] : installs what is missing.
get_tools() {
	local want
	want=$(missing_tools "$@")
	[ -n "$want" ] || return 0
	say "installing: $want"
	local -a packages
	read -ra packages <<<"$want"
	local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300
		--no-install-recommends)
	# A fresh machine has no package lists, or old ones: then update, and try once more.
	as_root "${apt[@]}" install "${packages[@]}" >"$CACHE/apt.log" 2>&1 ||
		{ as_root "${apt[@]}" update && as_root "${apt[@]}" install "${packages[@]}"; } \
			>>"$CACHE/apt.log" 2>&1 || {
		tail -n 5 "$CACHE/apt.log" >&2
		die "cannot install packages" "as root: apt-get install $want"
	}
	want=$(missing_tools "$@")
	[ -z "$want" ] || die "still missing after installation: $want"
}

# --- other suites ------------------------------------------------------------------------------

FOREIGN_ARCH=$(dpkg --print-architecture)

own_suite() {
	sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# The mirror that this machine's own main archive comes from. Others' archives may call a component
# "main" too, and apt knows an archive's origin only after an update: then the suite's name decides.
own_mirror() {
	local codename
	codename=$(own_suite)
	# shellcheck disable=SC2016 # these are apt's own variables
	apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null |
		awk -v codename="$codename" '
			$2 != "main" || $3 ~ /-(security|updates|backports)/ || $4 ~ /^cdrom:/ { next }
			$1 == "Debian" || ($1 ~ /^\$/ && $3 == codename) { print $4; exit }'
}

archive_keyring() {
	local f
	for f in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
		[ -e "$f" ] && { printf '%s\n' "$f"; return; }
	done
	die "no Debian archive keyring" "install the package debian-archive-keyring"
}

# foreign_suites NAME... : points `foreign_apt` at these suites of the own mirror, nothing else; with
# FOREIGN_KIND=deb-src at their source packages.
# Its dpkg status is empty, so that what it resolves is whole: down to the C library. Packages are
# those of FOREIGN_ARCH.
foreign_suites() {
	local mirror keyring suite
	FOREIGN=$CACHE/apt/$FOREIGN_ARCH$(printf '_%s' "$@")
	mkdir -p "$FOREIGN"/{lists/partial,archives/partial}
	: >"$FOREIGN/status"
	mirror=$(own_mirror)
	[ -n "$mirror" ] || die "found no Debian mirror in this machine's apt sources" \
		"emu needs a Debian machine, or QEMU >= $QEMU_NEEDS and EMU_KERNEL_SRC=DIR"
	keyring=$(archive_keyring) || exit
	for suite in "$@"; do
		printf '%s [signed-by=%s] %s %s main\n' "${FOREIGN_KIND:-deb}" "$keyring" "$mirror" "$suite"
	done >"$FOREIGN/sources.list"
	foreign_apt apt-get -q update >"$FOREIGN/log" 2>&1 || {
		tail -n 5 "$FOREIGN/log" >&2
		return 1
	}
}

foreign_apt() {
	local tool=$1
	shift
	"$tool" -o Dir::Etc::SourceList="$FOREIGN/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State="$FOREIGN" -o Dir::State::Lists="$FOREIGN/lists" \
		-o Dir::State::status="$FOREIGN/status" -o Dir::Cache="$FOREIGN" \
		-o Dir::Cache::Archives="$FOREIGN/archives" -o APT::Sandbox::User=root \
		-o APT::Architecture="$FOREIGN_ARCH" -o APT::Architectures="$FOREIGN_ARCH" \
		-o Acquire::Languages=none "$@"
}

# --- QEMU --------------------------------------------------------------------------------------

# Sets QEMU (a command) and FIRMWARE. The machine's own are taken if both are new enough: EDK2
# before 2024-08 cannot tell the machine's two serial ports apart, and is no older than QEMU 9.1
# in any suite.
get_qemu() {
	local own
	FIRMWARE=/usr/share/qemu-efi-aarch64/QEMU_EFI.fd
	QEMU=$(command -v qemu-system-aarch64 || true)
	if [ -n "$QEMU" ] && [ -e "$FIRMWARE" ]; then
		own=$("$QEMU" --version | sed -n 's/.*version \([0-9.]*\).*/\1/p')
		dpkg --compare-versions "$own" ge "$QEMU_NEEDS" && return
	fi
	local dir=$CACHE/qemu
	QEMU=$dir/run
	FIRMWARE=$dir/root$FIRMWARE
	[ -x "$QEMU" ] && return
	lock qemu
	[ -x "$QEMU" ] || unpack_qemu "$dir"
	unlock
}

unpack_qemu() {
	local dir=$1 deb loader libs
	say "getting QEMU and firmware of Debian $QEMU_SUITE (about 45 MB)"
	foreign_suites "$QEMU_SUITE" || die "cannot read Debian $QEMU_SUITE from this machine's mirror"
	foreign_apt apt-get -q -y --no-install-recommends --download-only install \
		qemu-system-arm qemu-efi-aarch64 >"$FOREIGN/log" 2>&1 || {
		tail -n 5 "$FOREIGN/log" >&2
		die "cannot download QEMU"
	}
	rm -rf "$dir"
	mkdir -p "$dir"
	for deb in "$FOREIGN"/archives/*.deb; do
		# AAVMF is the same firmware again, padded to 400 MB.
		dpkg-deb --fsys-tarfile "$deb" |
			tar -x -C "$dir" --one-top-level=root --exclude='*/AAVMF/*' --exclude='*/share/doc/*' ||
			die "cannot unpack $deb"
	done
	rm -rf "$FOREIGN"
	# It runs on its own C library, so it does not matter how old the machine's is.
	loader=$(cd "$dir" && find root/usr -name 'ld-linux-*.so.*' | head -n 1)
	libs=$(cd "$dir" && find root/usr/lib -maxdepth 1 -type d -name '*-linux-gnu' | head -n 1)
	cat >"$dir/run.new" <<-END
		#!/bin/sh
		cd "\$(dirname "\$0")" || exit
		exec '$loader' --library-path '$libs' root/usr/bin/qemu-system-aarch64 \\
			-L root/usr/share/qemu "\$@"
	END
	chmod +x "$dir/run.new"
	"$dir/run.new" --version >/dev/null || die "the unpacked QEMU does not run"
	mv "$dir/run.new" "$dir/run"
}

# --- arm64 libraries ---------------------------------------------------------------------------

# What our own programs are linked with, from the suite that the cross compiler is of.
readonly ARM64_PACKAGES="liburcu-dev libjansson-dev libmd-dev libfdt-dev"

# get_sysroot [PACKAGES] : sets SYSROOT, a folder with these packages unpacked.
get_sysroot() {
	local want=${1:-$ARM64_PACKAGES}
	SYSROOT=$CACHE/sysroot/$(own_suite)-$(key <<<"$want")
	[ -e "$SYSROOT/ready" ] && return
	lock sysroot
	[ -e "$SYSROOT/ready" ] || unpack_sysroot "$want"
	unlock
}

unpack_sysroot() {
	local FOREIGN_ARCH=arm64 deb
	local -a packages
	read -ra packages <<<"$1"
	say "getting arm64 libraries of Debian $(own_suite) (about 1 MB)"
	foreign_suites "$(own_suite)" || die "cannot read this machine's mirror for arm64"
	(cd "$FOREIGN/archives" && foreign_apt apt-get -q download "${packages[@]}") \
		>"$FOREIGN/log" 2>&1 || {
		tail -n 5 "$FOREIGN/log" >&2
		die "cannot download arm64 libraries"
	}
	rm -rf "$SYSROOT"
	mkdir -p "$SYSROOT"
	for deb in "$FOREIGN"/archives/*.deb; do
		dpkg-deb -x "$deb" "$SYSROOT" || die "cannot unpack $deb"
	done
	rm -rf "$FOREIGN"
	touch "$SYSROOT/ready"
}

# --- kernel source -----------------------------------------------------------------------------

# Downloads the newest linux-source-7.x of KERNEL_SUITES (the series is made for 7.3, so that is
# taken where it is offered) into $FOREIGN/archives.
download_kernel_source() {
	local suite package
	for suite in $KERNEL_SUITES; do
		foreign_suites "$suite" || continue
		package=$(foreign_apt apt-cache pkgnames linux-source-7 | sort -V |
			awk '/^linux-source-7\.[0-9]+$/ { if (!want) p = $0 }
			     $0 == "linux-source-7.3" { want = 1 } END { print p }')
		[ -n "$package" ] || continue
		say "getting $package of Debian $suite (about 160 MB)"
		if (cd "$FOREIGN/archives" && foreign_apt apt-get -q download "$package") \
			>"$FOREIGN/log" 2>&1; then
			return
		fi
		tail -n 5 "$FOREIGN/log" >&2
	done
	return 1
}
