#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The verbs on a trace as a user types them: formats, files, standard input, errors, exit codes.
# usage: verbs.sh DEJAVIEW DUMP_SLICES
set -eu
dejaview=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"; rmdir /sys/fs/cgroup/dejaview-test-$$ /sys/fs/cgroup/memory/dejaview-test-$$ 2>/dev/null || true' EXIT INT TERM
export XDG_CACHE_HOME="$scratch/cache"
trace=$scratch/t.dvtrace
"$2" --make "$trace"

fail() {
	echo "$1" >&2
	exit 1
}
is() { # WHAT GOT WANT
	[ "$2" = "$3" ] || fail "$1: got
$2
wanted
$3"
}
says() { # STATUS TEXT COMMAND...: exits with it and has the text in its output
	status=$1 text=$2
	shift 2
	if out=$("$@" 2>&1 </dev/null); then have=0; else have=$?; fi
	[ "$have" = "$status" ] || fail "$*: exit $have, not $status: $out"
	case $out in *"$text"*) ;; *) fail "$*: no '$text' in: $out" ;; esac
}

q='select 1 as "a b", null as n, 2.5 as r, '"'x\"y'"' as t'
is csv "$("$dejaview" query "$trace" "$q")" '"a b","n","r","t"
1,"[NULL]",2.500000,"x""y"'
is json "$("$dejaview" query --json "$trace" "$q")" '[
{"a b": 1, "n": null, "r": 2.5, "t": "x\"y"}
]'
printf 'select 1 as a;\nselect 2 as b; -- end\n' >"$scratch/q.sql"
is file "$("$dejaview" query -f "$scratch/q.sql" "$trace")" '"a"
1

"b"
2'
is stdin "$("$dejaview" query "$trace" <"$scratch/q.sql" | tail -n 1)" 2
says 1 'no such column: bogus; there are those of the table dv_columns
line 1: select bogus from slice
               ^' "$dejaview" query "$trace" 'select bogus from slice'
says 1 'ran longer than' "$dejaview" query --timeout 0.05 "$trace" 'select count(*) from slice a, slice b, slice c'
says 2 'usage' "$dejaview" query
says 1 'nothing-there' "$dejaview" query "$scratch/nothing-there" 'select 1'

all=$("$dejaview" query "$trace" 'select sum(own) from call' | tail -n 1)
folded=$("$dejaview" dump --format folded "$trace" | awk '{ sum += $NF } END { printf "%.0f", sum }')
is 'folded stacks' "$folded" "$all"
calls=$("$dejaview" query "$trace" 'select count(*) from slice' | tail -n 1)
is 'calls of the tree' "$("$dejaview" dump --format tree "$trace" | grep -c '()')" "$calls"
is "Chrome's events" "$("$dejaview" dump --format chrome "$trace" | grep -c '"ph":"X"')" "$calls"
"$dejaview" dump --format chrome "$trace" | python3 -c 'import json, sys; json.load(sys.stdin)'
is 'report of all' "$("$dejaview" report --limit 0 --json "$trace" | python3 -c '
import json, sys
rows = json.load(sys.stdin)
print(sum(r["own"] for r in rows), sum(r["calls"] for r in rows))')" "$all $calls"
says 0 'function_7' "$dejaview" report --diff "$trace" --limit 0 --json "$trace"
says 0 'callers of function_12' "$dejaview" graph "$trace" function_12
says 1 "no function 'nothing' was called" "$dejaview" graph "$trace" nothing
says 2 'one of tree, folded, chrome' "$dejaview" dump --format svg "$trace"
says 1 "no thread 'nobody'" "$dejaview" report --thread nobody "$trace"
[ ! -e "$scratch/cache" ] || fail "a small trace left something in the cache"
# A limit of memory that the kernel holds, where a cgroup can be made: refused with the numbers, not killed.
limited() { # COMMAND...
	sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
}
for hierarchy in /sys/fs/cgroup/memory /sys/fs/cgroup; do
	group=$hierarchy/dejaview-test-$$
	mkdir "$group" 2>/dev/null || continue
	for limit in memory.max memory.limit_in_bytes; do
		[ -w "$group/$limit" ] && echo 60000000 >"$group/$limit" || continue
		says 1 'MB may be used' limited "$dejaview" query "$trace" 'select 1'
		echo "# refused within a cgroup: $hierarchy, $limit"
	done
	rmdir "$group"
done
echo "the verbs do as they say"
