#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The same queries, fixed and random, to dejaview and to Perfetto's own trace processor, on traces of our
# writer's and on random ones of TrackEvents: every row must be the same.
# usage: differential.sh BUILD_DIR [TRACE.dvtrace]
set -eu
build=${1:?usage: differential.sh BUILD_DIR [TRACE.dvtrace]}
here=$(dirname "$0")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM
cache=$("$here/../trace/fetch_perfetto.sh" "$build") || exit $?
compare() {
	node --max-old-space-size=3000 "$here/differential.mjs" "$cache" "$build/dejaview" "$@"
}
if [ $# = 2 ]; then
	compare own "$2" 1
	exit
fi
"$build/tests/trace/dump-slices" --make "$scratch/own.dvtrace"
compare own "$scratch/own.dvtrace" 1
compare own "$scratch/own.dvtrace" 2
for seed in 1 2 3 4; do
	compare foreign "$scratch/foreign-$seed.pftrace" "$seed"
	compare kernel "$scratch/kernel-$seed.pftrace" "$seed"
done
