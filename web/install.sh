#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: install.sh DIST WHERE, from meson: the built page to where 'dejaview serve' looks for it.
set -eu
to=$MESON_INSTALL_DESTDIR_PREFIX/$2
[ -e "$1/index.html" ] || { echo "The viewer was not built, and is not installed." >&2; exit 0; }
rm -rf "$to"
mkdir -p "$to"
cp "$1"/* "$to/"
