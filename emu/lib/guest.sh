# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What a guest is made of: Debian's own arm64 kernel as it is packaged, and the init of guest/.

# The suite of the guest's kernel, and its smallest flavour: what a VM needs is built in.
readonly GUEST_SUITE=trixie
readonly GUEST_PACKAGE=linux-image-cloud-arm64

# get_guest_kernel : sets GUEST_KERNEL (an Image) and GUEST_MODULES (a folder).
get_guest_kernel() {
	local dir=$CACHE/guest-kernel/$GUEST_PACKAGE-$GUEST_SUITE
	GUEST_KERNEL=$dir/Image
	GUEST_MODULES=$dir/modules
	[ -e "$GUEST_KERNEL" ] && return
	lock guest-kernel
	[ -e "$GUEST_KERNEL" ] || unpack_guest_kernel "$dir"
	unlock
}

unpack_guest_kernel() {
	local dir=$1 package FOREIGN_ARCH=arm64
	say "getting Debian $GUEST_SUITE's kernel for arm64 VMs (about 30 MB)"
	foreign_suites "$GUEST_SUITE" || die "cannot read Debian $GUEST_SUITE for arm64 from this machine's mirror"
	# The package of that name only names the newest version's.
	package=$(foreign_apt apt-cache depends "$GUEST_PACKAGE" |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
	[ -n "$package" ] || die "Debian $GUEST_SUITE has no kernel behind $GUEST_PACKAGE"
	(cd "$FOREIGN/archives" && foreign_apt apt-get -q download "$package") >"$FOREIGN/log" 2>&1 ||
		die "cannot download $package" "$(tail -n 1 "$FOREIGN/log")"
	rm -rf "$dir"
	mkdir -p "$dir"
	dpkg-deb -x "$FOREIGN"/archives/*.deb "$dir/root" || die "cannot unpack $package"
	rm -rf "$FOREIGN"
	echo "$package" >"$dir/package"
	ln -s "$(cd "$dir" && echo root/usr/lib/modules/* | sed 's/ .*//')" "$dir/modules"
	# Some versions pack it; what a VMM loads is the plain image.
	python3 "$EMU/lib/image.py" "$dir"/root/boot/vmlinuz-* "$dir/Image.new" ||
		die "cannot unpack the kernel of $package"
	mv "$dir/Image.new" "$dir/Image"
}

# guest_initramfs OUT [MODULE...] : the guest's init, and modules of its kernel.
guest_initramfs() {
	local out=$1 init=$SCRATCH/guest-init module file
	local -a files=()
	shift
	for module; do
		file=$(find "$GUEST_MODULES/" -name "$module.ko*" -print -quit)
		[ -n "$file" ] || die "the guest's kernel has no module $module"
		files+=("modules/$(basename "$file")=$file")
	done
	"${CROSS}gcc" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -static -pthread \
		-o "$init" "$EMU"/guest/*.c || die "cannot compile the guest's init"
	python3 "$EMU/lib/cpio.py" "$out" "init=$init" "${files[@]}" || die "cannot make the guest's initramfs"
}
