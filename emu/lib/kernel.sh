# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The kernel: source, patches, configuration, build. Each flavour has one source tree and one build
# tree, which serve both `stock` and `doorbell`: the series touches few files, so going from one to
# the other compiles only what depends on these. What is booted is a finished Image, kept under a key
# of everything that went into it; the trees are only looked at when that key is new.

# Sets KERNEL_DIR, with Image, config and include/ (the uAPI headers for tests) in it.
get_kernel() {
	if [ -n "${EMU_KERNEL_SRC:-}" ]; then
		user_kernel
		return
	fi
	get_source
	local series=()
	[ "$KERNEL" = stock ] || read_series
	KERNEL_DIR=$CACHE/kernel/$(kernel_key "${series[@]}")
	[ -e "$KERNEL_DIR/Image" ] && return
	get_work_tree
	lock "kernel-$FLAVOUR"
	[ -e "$KERNEL_DIR/Image" ] || build_series "${series[@]}"
	unlock
}

build_series() {
	say "building the $KERNEL kernel, flavour $FLAVOUR"
	python3 "$EMU/lib/patchtree.py" "$WORK" "${series[@]}" ||
		die "the series in linux/patches does not apply to $(basename "$SOURCE")"
	build_kernel "$WORK/tree" "$WORK/build-$FLAVOUR"
}

# Sets WORK, the folder of this flavour's trees. The source as it was unpacked is plain's. Others get
# a copy of hard links, so that they can be built side by side in any state of the patches; it is
# taken together with the record of what plain has patched at the moment.
get_work_tree() {
	WORK=$SOURCE
	[ "$FLAVOUR" != plain ] || return 0
	WORK=$SOURCE/$FLAVOUR
	[ ! -e "$WORK/ready" ] || return 0
	lock kernel-plain
	if [ ! -e "$WORK/ready" ]; then
		rm -rf "$WORK"
		mkdir "$WORK"
		copy_source "$WORK"
		touch "$WORK/ready"
	fi
	unlock
}

# copy_tree FROM TO : by hard links if possible. Who changes a file there makes a new one.
copy_tree() {
	cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2" && cp -a "$1" "$2"; }
}

# copy_source DIR : puts a copy of plain's tree and its record there. The caller has the lock.
copy_source() {
	copy_tree "$SOURCE/tree" "$1/tree"
	[ ! -e "$SOURCE/touched" ] || cp -r "$SOURCE/touched" "$SOURCE/pristine" "$1"
}

# copy_pristine DIR : puts the source there as it was unpacked, whatever plain has patched at the moment.
copy_pristine() {
	lock kernel-plain
	copy_source "$1"
	unlock
	python3 "$EMU/lib/patchtree.py" "$1"
}

# A tree of the user's is built as it stands and is not written to; make finds out what changed.
user_kernel() {
	local tree build
	tree=$(realpath "$EMU_KERNEL_SRC")
	[ -e "$tree/Kbuild" ] || die "EMU_KERNEL_SRC=$EMU_KERNEL_SRC is no kernel tree"
	[ "$KERNEL" = stock ] || die "EMU_KERNEL_SRC is built as it stands" \
		"apply the series there yourself, and leave out --kernel"
	say "building the kernel of $tree, flavour $FLAVOUR"
	build=$CACHE/user/$(printf '%s\n' "$tree" | key)-$FLAVOUR
	KERNEL_DIR=$build/out
	lock "$(basename "$build")"
	build_kernel "$tree" "$build"
	unlock
}

read_series() {
	local dir=$EMU/../linux/patches line
	[ -e "$dir/series" ] || die "no linux/patches/series in this work tree" "use --kernel stock"
	while read -r line; do
		line=${line%%#*}
		line=${line%% *}
		[ -z "$line" ] || series+=("$dir/$line")
	done <"$dir/series"
}

kernel_key() {
	{
		basename "$SOURCE"
		"${CROSS}gcc" -dumpfullversion 2>/dev/null || true
		flavour_config
		[ $# = 0 ] || cat "$@"
	} | key
}

# --- source ------------------------------------------------------------------------------------

# Sets SOURCE, a folder named like the package, with the source in tree/.
get_source() {
	find_source && return
	lock source
	find_source || unpack_source
	unlock
}

find_source() {
	SOURCE=$(find "$CACHE/source" -maxdepth 2 -name ready -printf '%h\n' 2>/dev/null |
		sort -V | tail -n 1)
	[ -n "$SOURCE" ]
}

unpack_source() {
	local deb name
	download_kernel_source || die "cannot download a kernel source" \
		"or give your own: EMU_KERNEL_SRC=DIR"
	deb=$(find "$FOREIGN/archives" -name 'linux-source-*.deb' | tail -n 1)
	name=$(basename "$deb" .deb)
	SOURCE=$CACHE/source/${name%_all}
	say "unpacking $name"
	rm -rf "$SOURCE"
	mkdir -p "$SOURCE/tree"
	# Most of the tree is drivers and machines that this kernel does not have: their Kconfig and
	# Makefiles are needed, their code is not. (Linux's tests have an igb driver, with igb's headers.)
	dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
		xz -dc -T0 | tar -x -C "$SOURCE/tree" --strip-components=1 --wildcards \
			--exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/net/*.c' \
			--exclude='*/drivers/net/[!e]*.h' --exclude='*/drivers/net/ethernet/[!i]*.h' \
			--exclude='*/drivers/media/*.[ch]' --exclude='*/sound/*.[ch]' \
			--exclude='*/arch/*/boot/dts/*.dts*' || die "cannot unpack $name"
	rm -rf "$FOREIGN"
	touch "$SOURCE/ready"
}

# --- configuration -----------------------------------------------------------------------------

flavour_config() {
	local dir=$EMU/kernel
	[ -e "$dir/$FLAVOUR.config" ] || die "no flavour '$FLAVOUR'" "there are: $(flavours)"
	cat "$dir/plain.config"
	[ "$FLAVOUR" = plain ] || cat "$dir/$FLAVOUR.config"
	# What only the series has, such as its KUnit tests, it names itself.
	[ "$KERNEL" = stock ] || cat "$EMU/../linux/$FLAVOUR.config" 2>/dev/null || true
}

flavours() {
	local f
	for f in "$EMU"/kernel/*.config; do
		f=${f##*/}
		printf '%s ' "${f%.config}"
	done
}

# An option that Kconfig drops (renamed, or a dependency not met) is a fault of the fragment, and
# would otherwise be found much later by a test that misses it.
configure() {
	local build=$1 line dropped=''
	flavour_config >"$build/fragment"
	"${KMAKE[@]}" KCONFIG_ALLCONFIG="$build/fragment" allnoconfig >"$build/log" 2>&1 ||
		build_failed "$build"
	while read -r line; do
		case $line in
		CONFIG_*) grep -qxF "$line" "$build/.config" || dropped+=" $line" ;;
		esac
	done <"$build/fragment"
	[ -z "$dropped" ] || die "this kernel does not take$dropped" "see emu/kernel/$FLAVOUR.config"
}

# --- build -------------------------------------------------------------------------------------

build_failed() {
	grep -E ': (fatal )?error|\*\*\*|undefined reference' "$1/log" | head -n 20 >&2
	tail -n 5 "$1/log" >&2
	die "the kernel build failed" "the whole log: $1/log"
}

# build_kernel TREE BUILD : fills KERNEL_DIR
build_kernel() {
	local tree=$1 build=$2 out=$KERNEL_DIR.new
	# If this run is killed, so is make, by attended.py, which has the lock until then.
	KMAKE=(python3 "$EMU/lib/attended.py" nice -n 5 make -C "$build" -f "$tree/Makefile" O="$build" ARCH=arm64
		CROSS_COMPILE="$CROSS" KBUILD_BUILD_USER=doorbell KBUILD_BUILD_HOST=emu)
	mkdir -p "$build"
	configure "$build"
	"${KMAKE[@]}" -j"$(nproc)" Image headers 2>&1 | progress "$build/log" || build_failed "$build"
	rm -rf "$out"
	mkdir -p "$out"
	cp "$build/arch/arm64/boot/Image" "$build/.config" "$out"
	cp -r "$build/usr/include" "$out/include"
	rm -rf "$KERNEL_DIR"
	mv "$out" "$KERNEL_DIR"
}

# Copies make's output to a log, and shows how far it is: about how many objects there are stands
# in the fragment, since make itself does not know.
progress() {
	local log=$1 line done=0 total shown=$SECONDS
	total=$(flavour_config | sed -n 's/^# objects: //p' | tail -n 1)
	while IFS= read -r line; do
		printf '%s\n' "$line"
		case $line in
		'  CC '* | '  AS '*)
			done=$((done + 1))
			if [ $((SECONDS - shown)) -ge 10 ]; then
				shown=$SECONDS
				say "  compiled $done objects of at most about $total"
			fi
			;;
		esac
	done >"$log"
}
