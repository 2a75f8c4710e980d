#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The mixed workload that sizes are measured on: installing a package, cmake and a compiler, tar, git, python, find, a
# shell loop, sqlite, redis, and nginx under wrk, all in a temporary folder and on loopback. What is not installed is left
# out and named. SCALE 3 makes more than five million events. usage: workload.sh SOURCE-TREE [SCALE]
set -euo pipefail

source_tree=$(cd "${1:?usage: workload.sh SOURCE-TREE [SCALE]}" && pwd)
scale=${2:-1}
work=$(mktemp -d)
server_pid=
cleanup() {
	[ -z "$server_pid" ] || { kill "$server_pid" && wait "$server_pid"; } 2>/dev/null || true
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

	# cmake: a project of fifty files, configured and built
	if have cmake && have gcc; then
		mkdir -p project
		for i in $(seq 50); do
			printf '#include <stdio.h>\n#include <stdlib.h>\nint f%d(int x) { return printf("%%d", x + %d); }\n' "$i" "$i" >"project/f$i.c"
		done
		printf 'cmake_minimum_required(VERSION 3.13)\nproject(p C)\nfile(GLOB s *.c)\nadd_library(p STATIC ${s})\n' >project/CMakeLists.txt
		cmake -S project -B project/build >/dev/null && cmake --build project/build >/dev/null
	fi

	# a package, built and installed into a root of its own
	if have dpkg-deb; then
		mkdir -p package/DEBIAN package/usr/share/bench root/var/lib/dpkg/info root/var/lib/dpkg/updates
		cp -r /usr/include/linux package/usr/share/bench/
		printf 'Package: bench\nVersion: 1\nArchitecture: all\nMaintainer: bench <bench@example.invalid>\nDescription: bench\n' \
			>package/DEBIAN/control
		: >root/var/lib/dpkg/status
		: >root/var/lib/dpkg/available
		dpkg-deb --root-owner-group -Zgzip -b package bench.deb >/dev/null
		dpkg --root="$PWD/root" --log=/dev/null --force-not-root --force-bad-path -i bench.deb >/dev/null 2>&1 || true
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

	# sqlite: transactions, an index, queries
	if have sqlite3; then
		{
			echo 'PRAGMA journal_mode=WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);'
			for i in $(seq 3000); do echo "INSERT INTO t VALUES($i, 'row $i');"; done
			echo 'CREATE INDEX i ON t(b); SELECT count(*) FROM t WHERE b LIKE "%7%";'
		} | sqlite3 bench.db >/dev/null
	fi

	# redis: a server on loopback, SET and GET
	if have redis-server && have redis-benchmark; then
		redis-server --port 16379 --bind 127.0.0.1 --save "" --appendonly no --daemonize no >redis.log 2>&1 &
		server_pid=$!
		until redis-cli -p 16379 ping >/dev/null 2>&1; do sleep 0.05; done
		redis-benchmark -p 16379 -t set,get -n 50000 -c 20 -q >/dev/null
		kill "$server_pid" && wait "$server_pid" || true
		server_pid=
	fi

	# nginx on loopback, loaded by wrk
	if have nginx && have wrk; then
		mkdir -p www
		head -c 4000 /dev/zero >www/page
		printf 'daemon off; pid %s/nginx.pid; error_log %s/error.log; worker_processes 1; events {}\n' "$PWD" "$PWD" >nginx.conf
		printf 'http { access_log %s/access.log; client_body_temp_path %s/t; proxy_temp_path %s/t; fastcgi_temp_path %s/t;\n' \
			"$PWD" "$PWD" "$PWD" "$PWD" >>nginx.conf
		printf 'uwsgi_temp_path %s/t; scgi_temp_path %s/t; sendfile on; server { listen 127.0.0.1:16380; root %s/www; } }\n' \
			"$PWD" "$PWD" "$PWD" >>nginx.conf
		chmod 755 "$work" . www
		nginx -p "$PWD" -c "$PWD/nginx.conf" 2>/dev/null &
		server_pid=$!
		until [ -s nginx.pid ]; do sleep 0.05; done
		wrk -t 1 -c 10 -d 2s http://127.0.0.1:16380/page >/dev/null
		kill "$server_pid" && wait "$server_pid" || true
		server_pid=
	fi
	cd ..
done
