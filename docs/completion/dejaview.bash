# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for dejaview
_dejaview() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]} i
	local filters='--symbols-from --starting-from --stopping-at --during --min-insns --max-depth --ignore-below --sysroot --debug-info'
	local options='--help'

	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'checkpoint debug record trace info seek where serve writes calls dap report graph query dump pack unpack --help --version' -- "$cur")
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			# What follows is QEMU's own command line.
			if ((COMP_CWORD == i + 1)); then
				mapfile -t COMPREPLY < <(compgen -c -- "${cur:-qemu-system-}")
			else
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			fi
			return
		fi
	done
	case $prev in
	-o | --output | --symbols-from | --sysroot | --debug-info | --image | --qemu | --source)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	esac
	case $verb:$prev in
	report:--by)
		mapfile -t COMPREPLY < <(compgen -W 'function module thread process' -- "$cur")
		return
		;;
	report:--sort)
		mapfile -t COMPREPLY < <(compgen -W 'own total elapsed calls max name' -- "$cur")
		return
		;;
	dump:--format)
		mapfile -t COMPREPLY < <(compgen -W 'tree folded chrome' -- "$cur")
		return
		;;
	esac
	case $verb in
	record) options+=" --output --force --no-trace --copy-image --quiet --json $filters" ;;
	trace) options+=" --output --image --qemu --jobs --quiet $filters" ;;
	report) options+=' --by --sort --limit --thread --from --to --diff --json --no-cache' ;;
	graph) options+=' --callers --callees --depth --min --thread --from --to --json --no-cache' ;;
	query) options+=' --file --csv --json --table --timeout --no-cache' ;;
	dump) options+=' --format --output --thread --from --to --no-cache' ;;
	pack) options+=' --force --no-trace --level --image --json --quiet' ;;
	unpack) options+=' --output --force --max-size --json --quiet' ;;
	info) options+=' --json --no-repair' ;;
	writes) options+=' --before --from --all --count --thread --jobs --json --image --qemu --quiet' ;;
	calls) options+=' --from --to --count --jobs --json --image --qemu --quiet' ;;
	serve) options+=' --port --open --source --debug-info --sysroot --allow-host --allow-origin --query-seconds --perfetto --json' ;;
	where) options+=' --debug-info --sysroot --pid --at --json' ;;
	dap) options+=' --port' ;;
	checkpoint) options+=' --interval --budget --list --remove --json --image --qemu --quiet' ;;
	debug) options+=' --at --slice --call --end --debug-info --sysroot --command --gdb --no-checkpoints --image --qemu' ;;
	seek) options+=' --stdin --json --image --qemu' ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -X '!*.dv*' -- "$cur"; compgen -d -- "$cur")
	fi
}
complete -o filenames -F _dejaview dejaview
