# SPDX-License-Identifier: Apache-2.0
# Completion of aquila for bash: commands, their options, captures, fields.

_aquila_captures() {
	local entry
	while IFS= read -r entry; do
		COMPREPLY+=("$entry")
	done < <(compgen -d -- "$1"; compgen -f -X '!*.aqs' -- "$1")
	compopt -o filenames
}

_aquila_fields() { # a list with commas: only its last word is completed
	local head=""
	[[ $1 == *,* ]] && head=${1%,*},
	mapfile -t COMPREPLY < <(compgen -P "$head" -W "$(aquila fields 2>/dev/null |
		awk '{ sub(/(\[.*|\.NAME)$/, "", $1); print $1 }')" -- "${1##*,}")
	compopt -o nospace
}

_aquila() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]-} options=""
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "record info verify losses index query tree replay fields keygen pin extract enrich recompress salvage help --version" -- "$cur")
		return
	fi
	case $command in
	help) options="record info verify losses index query tree replay fields keygen pin extract enrich recompress salvage" ;;
	record)
		options="--output --duration --syscalls --exclude --uid --cgroup --container --namespace --path-prefix --cgroup-budget --no-snapshot --snapshot --append --sync --segment-size --segment-age --retain-size \
--retain-age --min-free --keep --pin-window --flush-interval --zstd-level --time-resolution --durations --env --data \
--max-string --max-argv --keep-pointers --encrypt-to \
--memory --ring-memory --spool --priority --quiet --no-progress --exit-status --verbose \
--no-enrich --runtime-state --runtime-socket --metadata-memory --kubeconfig --kube --kubelet --kube-token-file --kube-ca --node-name --pod-annotation --probe --sign --sign-interval --help" ;;
	info | verify) options="--format --key --quiet --help" ;;
	losses) options="--key --by --format --limit --quiet --help" ;;
	index) options="--check --key --plain --quiet --help" ;;
	query) options="--key --from --to --until --gaps --all --fields --format --raw --limit --count --by --explain --quiet --help" ;;
	tree) options="--key --pid --recorded --from --to --until --format --limit --quiet --help" ;;
	replay) options="--key --from --until --limit --gaps --all --speed --to --format --quiet --help" ;;
	fields) options="--events --format --help" ;;
	pin) options="--before --after --note --when --once --every --list --remove --help" ;;
	keygen) options="--output --force --help" ;;
	enrich) options="--from --quiet --help" ;;
	extract) options="--from --to --until --output --key --plain --quiet --help" ;;
	recompress) options="--output --in-place --level --key --plain --quiet --help" ;;
	salvage) options="--output --level --key --plain --quiet --help" ;;
	*) return ;;
	esac
	case $prev in
	--format)
		case $command in
		query | losses) options="text ndjson csv" ;;
		replay) options="ndjson text strace" ;;
		*) options="text json" ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		return ;;
	--fields) _aquila_fields "$cur"; return ;;
	--by)
		if [ "$command" = losses ]; then
			mapfile -t COMPREPLY < <(compgen -W "class cpu syscall reason cgroup time" -- "$cur")
		else
			_aquila_fields "$cur"
		fi
		return ;;
	--sync) mapfile -t COMPREPLY < <(compgen -W "none segment chunk vital" -- "$cur"); return ;;
	--runtime-state | --runtime-socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur"; compgen -W "none" -- "$cur")
		compopt -o filenames
		return ;;
	--kube) mapfile -t COMPREPLY < <(compgen -W "in-cluster" -- "$cur"); return ;;
	--speed) mapfile -t COMPREPLY < <(compgen -W "max 1 10 100" -- "$cur"); return ;;
	--output | -o | --key | --sign | --encrypt-to | --kubeconfig | --kube-token-file | --kube-ca) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames; return ;;
	--from)
		if [ "$command" = enrich ]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			compopt -o filenames
		fi
		return ;;
	--to | --until | --limit | --pid | --level | --before | --after | --note | --when | --every | --remove) return ;;
	esac
	if [[ $cur == -* || $command == help ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	elif [ "$command" = keygen ]; then
		mapfile -t COMPREPLY < <(compgen -W "sign seal" -- "$cur")
	elif [ "$command" != fields ]; then
		_aquila_captures "$cur"
	fi
}
complete -F _aquila aquila
