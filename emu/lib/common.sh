# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Messages, the cache and its lock: what every part of emu/ uses.

CACHE=${DOORBELL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/doorbell}

# Exit statuses of our own; a test's own status is passed through below these.
readonly EXIT_EMU=125

# Messages begin with the name of what speaks: emu, unless a user of these parts sets SPEAKER.
say() {
	printf '%s: %s\n' "${SPEAKER:-emu}" "$*" >&2
}

# die WHAT [WHAT-TO-DO]
die() {
	say "error: $1"
	[ $# -lt 2 ] || say "  $2"
	exit "$EXIT_EMU"
}

# A hash of standard input, short enough for a file name.
key() {
	sha256sum | cut -c1-20
}

# lock NAME : one run at a time makes that part of the cache, and looks again once it has the lock,
# since another may have made what was missing. Runs that find all they need take no lock. Not
# nested: there is one lock at a time.
lock() {
	exec 9>"$CACHE/$1.lock"
	if ! flock -n 9; then
		say "waiting for another run, which is at the same: $1"
		flock 9
	fi
}

unlock() {
	exec 9>&-
}

# A folder that is removed when the run ends, however it ends.
scratch() {
	SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/doorbell-emu.XXXXXX")
	trap 'rm -rf "$SCRATCH"' EXIT
}

# build_progress WHAT LOG : copies ninja's output to a log, and shows now and then how far it is.
build_progress() {
	local what=$1 log=$2 line shown=$((SECONDS - 10))
	while IFS= read -r line; do
		printf '%s\n' "$line"
		if [[ $line =~ ^\[([0-9]+/[0-9]+)\] ]] && [ $((SECONDS - shown)) -ge 10 ]; then
			shown=$SECONDS
			say "building $what: ${BASH_REMATCH[1]}"
		fi
	done >"$log"
}
