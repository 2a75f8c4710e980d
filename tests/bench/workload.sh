#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The mixed workload that sizes are measured on: compile, tar, git, python, a shell loop and redis, all in a temporary
# folder and on loopback. What is not installed is left out and named. usage: workload.sh SOURCE-TREE [SCALE]
set -euo pipefail

source_tree=$(cd "${1:?usage: workload.sh SOURCE-TREE [SCALE]}" && pwd)
scale=${2:-1}
work=$(mktemp -d)
redis_pid=
cleanup() {
	[ -z "$redis_pid" ] || { kill "$redis_pid" && wait "$redis_pid"; } 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
have() { command -v "$1" >/dev/null || { echo "workload: $1 is not installed, left out" >&2; return 1; }; }

for round in $(seq "$scale"); do
	mkdir -p "round$round"
	cd "round$round"

	# compile: the tree's own C files that need no generated header
	if have gcc; then
		mkdir -p obj
		for file in "$source_tree"/format/schema/*.c "$source_tree"/format/base/*.c; do
			gcc -std=gnu11 -D_GNU_SOURCE -O1 -I"$source_tree" -c "$file" -o "obj/$(basename "$file" .c).o"
		done
	fi

	# tar: headers, packed, compressed, unpacked
	if have tar; then
		tar -cf headers.tar -C /usr/include linux asm-generic
		mkdir -p unpacked && tar -xf headers.tar -C unpacked
		have zstd && zstd -q -1 headers.tar -o headers.tar.zst
	fi

	# git: a repository of what was unpacked, cloned and searched
	if have git; then
		export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
		git -c init.defaultBranch=main init -q repo
		cp -r unpacked/linux repo/
		git -C repo add -A
		git -C repo -c user.name=bench -c user.email=bench@example.invalid commit -qm "headers"
		git clone -q repo clone
		git -C clone status --short
		git -C clone grep -c ioctl >/dev/null
	fi

	# python: start-up, imports, small files
	if have python3; then
		for i in 1 2 3 4 5; do
			python3 -c 'import json, sqlite3, http.client, email, os
for i in range(400):
    with open("f%d" % i, "w") as f: f.write(json.dumps({"i": i}))
    os.stat("f%d" % i); os.unlink("f%d" % i)'
		done
	fi

	# shell loop: many short processes
	for i in $(seq 200); do
		/bin/echo "$i" | cat | grep -q "$i"
	done
	find /usr/share -maxdepth 3 -type f -size +100k >/dev/null 2>&1 || true

	# redis: a server on loopback, SET and GET
	if have redis-server && have redis-benchmark; then
		redis-server --port 16379 --bind 127.0.0.1 --save "" --appendonly no --daemonize no >redis.log 2>&1 &
		redis_pid=$!
		until redis-cli -p 16379 ping >/dev/null 2>&1; do sleep 0.05; done
		redis-benchmark -p 16379 -t set,get -n 50000 -c 20 -q >/dev/null
		kill "$redis_pid" && wait "$redis_pid" || true
		redis_pid=
	fi
	cd ..
done
