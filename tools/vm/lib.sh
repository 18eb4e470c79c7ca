# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the scripts of this folder share. Sourced, never run.
# shellcheck disable=SC2034 # they use it

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${OXTCP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/oxtcp}

# Kernel series that are known to work, the wanted one first.
kernel_series=(7.3 7.2)
# Suite that has them. Packages are only unpacked, never installed, from it.
kernel_suite=trixie-backports
bindgen_version=0.72.1
llvm=-19

# What was given to the top Makefile (DEBUG=1...) is not for the kernel's.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# The running rustc's bare version: 1.95.0
rustc_version() { rustc --version | cut -d' ' -f2; }

# Rust's library sources: rustup's, else what setup unpacked. Prints nothing
# when neither is there.
rust_lib_src() {
	local dir
	for dir in "$(rustc --print sysroot)/lib/rustlib/src/rust/library" \
		"$cache/rust-src-$(rustc_version)/library"; do
		if [ -f "$dir/core/src/lib.rs" ]; then
			printf '%s\n' "$dir"
			return
		fi
	done
}

# Environment of every kernel and module build.
build_env() {
	PATH=$cache/bindgen-$bindgen_version/bin:$PATH
	RUST_LIB_SRC=$(rust_lib_src)
	export PATH RUST_LIB_SRC
}

# One build in a cache at a time: the second waits, and says so. The lock ends
# with the process.
lock_cache() {
	mkdir -p "$cache"
	exec 9>"$cache/lock.$1"
	if ! flock --nonblock 9; then
		say "another process is at work in $cache; waiting for it"
		flock 9
	fi
}
