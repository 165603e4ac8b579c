#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: build.sh NODE NPM BUILD_DIR STAMP DEPFILE
#
# The build's step for the viewer: npm's packages, as the lock file has them, into BUILD_DIR/node_modules;
# the bundle into BUILD_DIR/dist. The source tree is not written to.
set -eu
node=$1 npm=$2 build=$3 stamp=$4 depfile=$5
source=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$build"

# npm ci wipes what is there: only when the lock file is another one than last time.
if ! cmp -s "$source/package-lock.json" "$build/installed-lock.json"; then
	rm -f "$build/installed-lock.json"
	cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$build/"
	if ! (cd "$build" && "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=2 \
		--prefer-offline >npm.log 2>&1 </dev/null); then
		tail -n 3 "$build/npm.log" >&2
		echo "The viewer is not built: npm could not fetch its packages (all of it: $build/npm.log)." >&2
		echo "Everything else is. Run ninja again when there is a network." >&2
		# No stamp: ninja tries again the next time.
		exit 0
	fi
	cp "$source/package-lock.json" "$build/installed-lock.json"
fi
"$node" "$source/build.mjs" --modules "$build/node_modules" --out "$build/dist" --depfile "$depfile" --target "$stamp"
: >"$stamp"
