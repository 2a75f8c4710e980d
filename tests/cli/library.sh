#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# libaquila as somebody else finds it: exports exactly its list, headers compile alone, an installed tree that was moved
# works, and a program is built against it through pkg-config and through find_package. aquila uses nothing else of it.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures
build=${AQ_BUILD:?} src=$AQ_SRC
library=$build/lib/libaquila.so.0 map=$src/format/library/libaquila.map
cc=${CC:-cc} cxx=${CXX:-c++} last="the library"
grep -q 'AQ_SANITIZE:STRING=..*' "$build/CMakeCache.txt" && sanitized=1 || sanitized=

# what it exports, with versions, is the list that is checked in
awk '/^AQUILA/ { version = $1 } /^\t[a-z]/ { sub(/;/, ""); print $1 "@@" version }' "$map" | sort >listed
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | grep -v '^_' | sort >exported
[ "$(wc -l <listed)" -gt 50 ] || fail "the list of exports is not read"
if [ -n "$sanitized" ]; then grep '^aq_' exported >own && mv own exported; fi
diff listed exported >difference || fail "exported is something else than listed: $(head -5 difference)"
readelf -d "$library" | grep -q 'SONAME.*libaquila\.so\.0\]' || fail "the soname is not libaquila.so.0"

# aquila takes the reader from the library, only what that exports, and hands out nothing of its own
readelf -d "$aquila" | grep -q 'NEEDED.*libaquila\.so\.0\]' || fail "aquila is not linked with the library"
nm -D --undefined-only "$aquila" | awk '{ print $2 }' | grep '^aq_' | sed 's/@.*//' | sort >used
sed 's/@.*//' listed | sort >names
[ "$(wc -l <used)" -gt 10 ] || fail "aquila uses almost nothing of the library: $(cat used)"
[ -z "$(comm -23 used names)" ] || fail "aquila uses what is not exported: $(comm -23 used names)"
nm "$aquila" | awk 'NF == 3 && $2 ~ /[TtDdRr]/ { print $3 }' | grep '^aq_' | sort >own
[ -z "$(comm -12 own names)" ] || fail "aquila has copies of what the library exports: $(comm -12 own names)"

# every function of a public header is exported
for header in "$build"/include/aquila/*.h; do
	sed -e 's,/\*.*\*/,,' -e '/\/\*/,/\*\//d' "$header" | grep -v '^static\|^#\|^\s' | grep -oE '\baq_[a-z0-9_]+\(' | tr -d '(' >declared
	while read -r name; do
		grep -qx "$name" names || fail "${header##*/} declares $name, which is not exported"
	done <declared
done

prefix=$PWD/first
cmake --install "$build" --prefix "$prefix" >install.log 2>&1 || fail "cmake --install: $(tail -3 install.log)"
mv first "moved tree"
prefix="$PWD/moved tree" libdir=$(dirname "$(find "$PWD/moved tree" -name libaquila.so.0)")
"$prefix/bin/aquila" query "$whole" --count >out 2>err || fail "the installed program: $(head -3 err)"
LD_TRACE_LOADED_OBJECTS=1 "$prefix/bin/aquila" | grep -q "libaquila.so.0 => $prefix" || [ -n "$sanitized" ] ||
	fail "the moved program takes another library"
for page in libaquila aq_capture_open aq_event_iter_new aq_event_field aq_chunk_load aq_columns_load aq_schema_event; do
	[ -s "$(find "$prefix" -name "$page.3")" ] || fail "$page.3 is not installed"
done

# each header alone, in C and in C++, and the one for all
for header in "$prefix"/include/aquila/*.h; do
	name=${header##*/}
	echo "#include <aquila/$name>" >alone.c
	"$cc" -std=c11 -Wall -Wextra -Werror -fsyntax-only -I "$prefix/include" alone.c 2>err || fail "$name in C: $(head -3 err)"
	command -v "$cxx" >/dev/null || continue
	printf '#include <stdint.h>\n#include <stddef.h>\n#include <stdarg.h>\nextern "C" {\n#include <aquila/%s>\n}\n' "$name" >alone.cc
	"$cxx" -std=c++17 -Wall -Wextra -Werror -fsyntax-only -I "$prefix/include" alone.cc 2>err || fail "$name in C++: $(head -3 err)"
done
[ -z "$(grep -rl 'include "format/' "$prefix/include")" ] || fail "a header names a path of the source tree"

check_program() { # WAY PROGRAM
	last="the sample program through $1"
	LD_LIBRARY_PATH=$libdir "$2" "$src/samples/captures/story.aquila" >out 2>err || fail "$last: $(head -3 err)"
	out_has "proc_exec of process"
	out_has " opened, "
	out_has "name=/"
	grep -q '^[1-9][0-9]* events, 0 gaps; ' out || fail "$last: $(tail -1 out)"
	LD_LIBRARY_PATH=$libdir "$2" nothing.aquila >out 2>err && fail "$last reads what is not there"
	err_has "nothing.aquila"
}
if [ -n "$sanitized" ]; then
	finish # a program without the sanitizer can't load a library with it
fi
if command -v pkg-config >/dev/null; then
	export PKG_CONFIG_PATH="$libdir/pkgconfig"
	[ "$(pkg-config --modversion aquila)" = "$("$aquila" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1)" ] ||
		fail "pkg-config has another version"
	mapfile -t flags < <(pkg-config --cflags --libs aquila | xargs -n1 printf '%s\n')
	if "$cc" -Wall -Wextra -Werror -o opened "$src/samples/library/opened.c" "${flags[@]}" 2>err; then
		check_program pkg-config ./opened
	else
		fail "pkg-config: $(head -5 err)"
	fi
	mapfile -t flags < <(pkg-config --static --cflags --libs aquila | xargs -n1 printf '%s\n')
	if "$cc" -o opened-static "$src/samples/library/opened.c" "${flags[@]/#-laquila/-l:libaquila.a}" 2>err; then
		check_program "the static library" ./opened-static
		readelf -d opened-static | grep -q 'NEEDED.*libaquila' && fail "the static program needs the shared library"
	else
		fail "the static library: $(head -5 err)"
	fi
fi
if cmake -S "$src/samples/library" -B package -DCMAKE_PREFIX_PATH="$prefix" >log 2>&1 && cmake --build package >>log 2>&1; then
	check_program find_package package/opened
else
	fail "find_package: $(tail -5 log)"
fi
finish
