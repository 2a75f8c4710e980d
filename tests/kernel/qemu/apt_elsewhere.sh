# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced: apt with a sources list, package lists and a cache of its own in the folder $apt, for $suite and $arch, from
# a mirror that this machine's apt is set up with. Nothing is installed and the machine's own apt is left alone.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

with_apt() { # PROGRAM ARGUMENT…
	local program=$1
	shift
	"$program" -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts="$apt/parts" -o Dir::State="$apt" \
		-o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
		-o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Retries=3 -qq "$@"
}

try() { # COMMAND…: three times; what it said the last time is shown if it never works
	local attempt
	for attempt in 1 2 3; do
		"$@" >"$apt/said" 2>&1 && return 0
		sleep "$attempt"
	done
	tail -2 "$apt/said" >&2
	return 1
}

# Debian's own mirrors that apt knows here, those first that have the suite already.
mirrors() {
	apt-get indextargets --format '$(CODENAME) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
		awk -v suite="$suite" '$2 == "Debian" { print ($1 == suite ? 0 : 1), $NF }' | sort -u | awk '{ print $2 }' | uniq
}

set_up_apt() { # PACKAGE that the suite must have; false: no mirror has it
	local mirror by=""
	[ ! -r "$keyring" ] || by=" signed-by=$keyring"
	for mirror in $(mirrors); do
		rm -rf "$apt"
		mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
		: >"$apt/status"
		echo "deb [arch=$arch$by] $mirror $suite main" >"$apt/sources.list"
		if try with_apt apt-get update && with_apt apt-cache show "$1" >/dev/null 2>&1; then
			return 0
		fi
	done
	return 1
}
