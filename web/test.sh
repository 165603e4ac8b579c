#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: test.sh functions|types NODE BUILD_DIR
set -eu
what=$1 node=$2 build=$3
source=$(cd "$(dirname "$0")" && pwd)
if [ ! -d "$build/node_modules" ]; then
	echo "1..0 # SKIP npm's packages are not there: the build says why"
	exit 0
fi
case $what in
functions) exec "$node" "$source/build.mjs" --test --modules "$build/node_modules" --out "$build" ;;
types)
	# The compiler looks for packages beside what it compiles, and they are in the build folder.
	cat >"$build/tsconfig.json" <<END
{ "extends": "$source/tsconfig.json",
  "compilerOptions": { "paths": { "*": ["$build/node_modules/*", "$build/node_modules/@types/*"] },
    "typeRoots": ["$build/node_modules/@types"] },
  "include": ["$source/client/src", "$source/ui/src", "$source/ui/test"] }
END
	exec "$node" "$build/node_modules/typescript/bin/tsc" --noEmit -p "$build/tsconfig.json"
	;;
esac
