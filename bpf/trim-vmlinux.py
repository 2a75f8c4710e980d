#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Makes a vmlinux.h of a running kernel's own types, for -DAQ_VMLINUX_H=… in place of the shipped one.

usage: trim-vmlinux.py [-o vmlinux.h] [DUMP | BTF]

DUMP is what `bpftool btf dump file BTF format c` printed; BTF defaults to /sys/kernel/btf/vmlinux. What the kernel side
names stays, and all that these types hold by value, whole; what they only point to is declared and left open.
"""
import argparse
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOKEN = re.compile(r"[A-Za-z_]\w*|\d\w*|\S")
NAME = re.compile(r"[A-Za-z_]\w*$")
TAGS = ("struct", "union", "enum")
HELPER_TYPES = {"__be16", "__be32", "__be64", "__wsum", "__u8", "__u16", "__u32", "__u64", "__s32", "__s64"}


def kernel_side_words():
    """The tags that follow struct, union or enum in bpf/ and are not bpf/'s own, and every other word there."""
    tags, words, own = set(), set(HELPER_TYPES), set()
    foreign = "arm64" if os.uname().machine == "x86_64" else "x86"
    for base, _, files in os.walk(HERE):
        if os.path.basename(base) == foreign:
            continue
        for name in files:
            if name.endswith((".c", ".h")):
                with open(os.path.join(base, name), encoding="utf-8") as file:
                    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", file.read(), flags=re.S)
                found = TOKEN.findall(text)
                words.update(found)
                if base == HERE:
                    own.update(b for a, b, c in zip(found, found[1:], found[2:]) if a in TAGS and c == "{")
                tags.update(pair for pair in zip(found, found[1:]) if pair[0] in TAGS and NAME.match(pair[1]))
    return {tag for tag in tags if tag[1] not in own}, words


def definitions(text):
    """The dump's top-level definitions as (source text, tokens), preprocessor lines left out."""
    depth, start = 0, None
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    tokens = []
    for match in TOKEN.finditer(text):
        token = match.group()
        start = match.start() if start is None else start
        tokens.append(token)
        depth += (token in "{(") - (token in "})")
        if token == ";" and depth == 0:
            yield text[start:match.end()], tokens
            start, tokens = None, []


def defined_names(tokens):
    """What a definition makes known: ("struct", "file"), ("typedef", "u32"), ("enumerator", "PIDTYPE_PID")."""
    if tokens[0] == "typedef":
        names = [t for t in tokens[1:-1] if NAME.match(t)]
        pointer = [tokens[i + 2] for i in range(len(tokens) - 2) if tokens[i:i + 2] == ["(", "*"]]
        yield "typedef", pointer[0] if pointer and "{" not in tokens else typedef_name(tokens) or names[-1]
    elif tokens[0] in TAGS and "{" in tokens:
        if tokens[1] != "{":
            yield tokens[0], tokens[1]
    if "enum" in (tokens[0], tokens[1]) and "{" in tokens:
        body = tokens[tokens.index("{") + 1:tokens.index("}")]
        for before, token in zip(["{"] + body, body):
            if before in ("{", ",") and NAME.match(token):
                yield "enumerator", token


def typedef_name(tokens):
    """The last name at depth 0, before the brackets of an array or the parameters of a function."""
    depth, name = 0, None
    for token in tokens[1:-1]:
        depth += (token in "{([") - (token in "})]")
        if token == "__attribute__":
            break
        if depth == 0 and NAME.match(token):
            name = token
    return name


def references(tokens):
    """What a definition needs: (kind, name, whether it must be complete)."""
    for i, token in enumerate(tokens):
        if token in TAGS and NAME.match(tokens[i + 1]):
            yield token, tokens[i + 1], token == "enum" or tokens[i + 2] != "*"
        elif NAME.match(token) and (i == 0 or tokens[i - 1] not in TAGS):
            yield "typedef", token, True


def trim(text):
    items, where = [], {}
    for source, tokens in definitions(text):
        if tokens[0] in TAGS and "{" not in tokens:
            continue  # forward declarations are made anew
        for name in defined_names(tokens):
            where.setdefault(name, len(items))
        items.append((source, tokens))
    tags, words = kernel_side_words()
    wanted = [where[tag] for tag in tags if tag in where]
    wanted += [i for (kind, name), i in where.items() if kind in ("typedef", "enumerator") and name in words]
    kept, opened = set(), set()
    while wanted:
        i = wanted.pop()
        if i in kept:
            continue
        kept.add(i)
        for kind, name, complete in references(items[i][1]):
            if complete and (kind, name) in where:
                wanted.append(where[kind, name])
            elif kind != "typedef":
                opened.add((kind, name))
    missing = sorted(name for kind, name in tags if (kind, name) not in where)
    return ["%s %s;" % tag for tag in sorted(opened)] + [items[i][0] for i in sorted(kept)], missing


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", default="-")
    parser.add_argument("source", nargs="?", default="/sys/kernel/btf/vmlinux")
    options = parser.parse_args()
    with open(options.source, "rb") as file:
        dumped = file.read(2) not in (b"\x9f\xeb", b"\xeb\x9f", b"\x7fE")
    if dumped:
        with open(options.source, encoding="utf-8") as file:
            text = file.read()
    else:
        bpftool = next((p for p in ("/usr/sbin/bpftool", "/usr/local/sbin/bpftool") if os.path.exists(p)), "bpftool")
        text = subprocess.run([bpftool, "btf", "dump", "file", options.source, "format", "c"], check=True,
                              stdout=subprocess.PIPE).stdout.decode()
    parts, missing = trim(text)
    if not any(part.startswith("struct task_struct {") for part in parts):
        sys.exit("'%s' has no struct task_struct: these are not a kernel's types" % options.source)
    header = "\n\n".join(
        ["/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n/* Made by bpf/trim-vmlinux.py. */\n"
         "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__",
         "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)"] + parts +
        ["#pragma clang attribute pop", "#endif\n"])
    if options.output == "-":
        sys.stdout.write(header)
    else:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(header)
    if missing:
        print("named in bpf/ and not a type of this kernel: " + " ".join(missing), file=sys.stderr)


if __name__ == "__main__":
    main()
