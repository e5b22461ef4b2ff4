# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The machine: its devices and disks, its ACPI tables, the initramfs, and the boot.

# Fills MACHINE with QEMU's arguments for the named topology. A topology is a file of lines, each
# arguments of QEMU's; or `disk NAME MIB`, which makes a drive NAME of generated content; the first
# disk has seed 0, the next 1 (see disk.py); with --disks the program finds each image as /disk/NAME; or
# `vfs ADDRESS NUMBER`, for the virtual functions that the device has when the program starts; or
# `rmr STREAM-ID START SIZE [remap]`, for a range that firmware wants mapped 1:1 for a device.
read_topology() {
	local file=$EMU/topologies/$1 line name mib image seed=0
	VFS='' RMRS=()
	local -a words
	[ -e "$file" ] || die "no topology '$1'" "there are: $(cd "$EMU/topologies" && echo *)"
	# shellcheck disable=SC2054 # the commas are QEMU's
	# An access to a device that does not answer is an external abort, as on hardware, and not all ones.
	MACHINE=(-M virt,iommu=smmuv3,gic-version=3,its=on,virtualization=on -global arm-smmuv3.stage=nested
		-global gpex-pcihost.allow-unmapped-accesses=off -cpu max -smp 2 -m 2G -display none -nodefaults -no-reboot -bios "$FIRMWARE")
	while read -r line; do
		read -ra words <<<"${line%%#*}"
		case ${words[0]:-} in
		'') ;;
		disk)
			name=${words[1]} mib=${words[2]}
			image=$CACHE/disks/$seed-$mib.img
			[ -e "$image" ] || make_disk "$image" "$mib" "$seed"
			seed=$((seed + 1))
			[ -z "$DISKS" ] || FILES+=("disk/$name=$image")
			# Writes go to a temporary file: each run finds the content as generated.
			MACHINE+=(-drive "file=$image,if=none,id=$name,format=raw,snapshot=on")
			;;
		rmr) RMRS+=(--rmr "$(IFS=, && echo "${words[*]:1}")") ;;
		vfs) VFS="EMU_VFS=${words[1]} EMU_NUM_VFS=${words[2]}" ;;
		*) MACHINE+=("${words[@]}") ;;
		esac
	done <"$file"
}

make_disk() {
	mkdir -p "$CACHE/disks"
	python3 "$EMU/lib/disk.py" "$1.$$" "$2" "$3"
	mv "$1.$$" "$1"
}

# compile SOURCE OUT : a static arm64 program, with the uAPI headers of the kernel that it meets.
compile() {
	"${CROSS}gcc" -std=gnu11 -Wall -Wextra -Werror -O1 -g -static -I"$KERNEL_DIR/include" \
		-o "$2" "$1" || die "cannot compile $1"
}

# There is no C library in the machine, unless --file puts one there.
check_program() {
	local elf
	[ -f "$1" ] || die "no program $1"
	elf=$("${CROSS}readelf" -hl "$1" 2>/dev/null) || true
	[[ $elf == *AArch64* ]] || die "$1 is no arm64 program"
	[[ $elf != *INTERP* || ${#FILES[@]} != 0 ]] ||
		die "$1 is linked dynamically" "link it with -static, or give all it needs by --file"
}

# initramfs OUT PROGRAM [ARG...] : PROGRAM is a file here; FILES has more, as NAME=FILE.
initramfs() {
	local out=$1 program=$2
	shift 2
	compile "$EMU/init.c" "$SCRATCH/init"
	# The program writes to a terminal; what it is on this side, TERM tells.
	local term=dumb
	[ ! -t 1 ] || term=${TERM:-dumb}
	# shellcheck disable=SC2086 # words
	printf '%s\0' "TERM=$term" $VFS "/bin/$(basename "$program")" "$@" >"$SCRATCH/argv"
	python3 "$EMU/lib/cpio.py" "$out" "init=$SCRATCH/init" "emu/argv=$SCRATCH/argv" \
		"bin/$(basename "$program")=$program" "${FILES[@]}"
}

# boot TIMEOUT LOG INITRD [BOOT.PY-OPTION...]
boot() {
	local timeout=$1 log=$2 initrd=$3
	shift 3
	python3 "$EMU/lib/boot.py" --timeout "$timeout" --log "$log" "$@" -- \
		"$QEMU" "${MACHINE[@]}" -kernel "$KERNEL_DIR/Image" -initrd "$initrd" \
		-append "console=ttyAMA0 loglevel=7 panic=-1 oops=panic vfio_pci.enable_sriov=Y $APPEND"
}

# Sets TABLES, an archive that goes before the initramfs and holds this machine's own ACPI tables, changed
# (acpi.py): an IORT with CANWBS, and where firmware wants 1:1 mappings a DSDT, too. QEMU writes other
# tables for each arrangement of devices, so they are read from the machine itself, once, in boots of
# their own.
get_tables() {
	local dir table names=(IORT) parts=()
	[ ${#RMRS[@]} = 0 ] || names+=(DSDT)
	dir=$CACHE/acpi/$({ "$QEMU" --version; cat "$FIRMWARE" "$EMU/lib/acpi.py"; echo "${MACHINE[@]}" "${RMRS[@]}"; } | key)
	TABLES=$dir/tables.cpio
	[ -e "$TABLES" ] && return
	mkdir -p "$dir"
	compile "$EMU/cat.c" "$SCRATCH/cat"
	for table in "${names[@]}"; do
		say "reading the $table of topology $TOPOLOGY"
		initramfs "$SCRATCH/$table.initrd" "$SCRATCH/cat" "/sys/firmware/acpi/tables/$table"
		boot 120 "$dir/boot.log" "$SCRATCH/$table.initrd" >"$SCRATCH/$table.aml" || die "cannot read the $table"
		python3 "$EMU/lib/acpi.py" "$SCRATCH/$table.aml" "$SCRATCH/$table.new" "${RMRS[@]}" || exit "$EXIT_EMU"
		parts+=("kernel/firmware/acpi/$table.aml=$SCRATCH/$table.new")
	done
	python3 "$EMU/lib/cpio.py" "$TABLES.$$" "${parts[@]}"
	mv "$TABLES.$$" "$TABLES"
}
