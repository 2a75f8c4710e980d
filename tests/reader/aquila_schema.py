# SPDX-License-Identifier: Apache-2.0
"""The tables of format/schema/*.def as Python sees them: events, arguments, attributes, sets of names, errors; and how a
set of names turns a number into text (FORMAT.md sections 17 and 18)."""
import functools
import os
import re

ABI_ARM64, ABI_ARM = 3, 4
M64 = (1 << 64) - 1
SIGNED = {"FD", "INT", "LONG", "OFFSET", "PID", "SIGNAL", "ERRNO"}
LOW_SIGNED = {"FD", "INT", "PID", "SIGNAL"}          # stored as 32 bits with their sign
LOW_UNSIGNED = {"UINT", "MODE", "UID", "GID", "ENUM"}  # stored as 32 bits without
TEXT = {"PATH", "STRING", "STRVEC", "SOCKADDR"}      # the text is an attribute
FIRST_STATE_ID = 1024
# where ARM gives a set's bits other meanings: set -> (set on ARM, also for 32-bit programs)
ARM_SETS = {"open_flags": ("open_flags_arm", True), "pipe_flags": ("pipe_flags_arm", True),
            "mmap_prot": ("mmap_prot_arm64", False)}


class Argument:
    def __init__(self, name, kind, names=None, key=0):
        self.name, self.kind, self.names, self.key = name, kind, names, key


class Row:
    def __init__(self, number, name, arguments, has_result):
        self.id, self.name, self.arguments, self.has_result = number, name, arguments, has_result


def rows(path):
    """(macro, inner text) of every AQ_…(…) in a table; comments and strings may hold parentheses."""
    text = open(path, encoding="utf-8").read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    at = 0
    while True:
        found = re.compile(r"\b(AQ_\w+)\(").search(text, at)
        if not found:
            return
        depth, i, quoted = 1, found.end(), False
        while depth:
            c = text[i]
            if quoted:
                if c == "\\":
                    i += 1
                elif c == '"':
                    quoted = False
            elif c == '"':
                quoted = True
            else:
                depth += (c == "(") - (c == ")")
            i += 1
        yield found.group(1), text[found.end():i - 1]
        at = i


def plain_words(text):
    """The words before the first nested A(…), and those nested ones."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', text)
    nested = re.findall(r"\b(A|AF|AP|B|M)\(([^()]*)\)", bare)
    words = [w.strip() for w in re.sub(r"\b(?:A|AF|AP|B|M)\([^()]*\)", "", bare).split(",")]
    return words, [(macro, [w.strip() for w in inner.split(",")]) for macro, inner in nested]


class Schema:
    def __init__(self, folder):
        self.attributes, self.attribute_ids = {}, {}
        for _, inner in rows(os.path.join(folder, "attrs.def")):
            number, key, name, kind = [w.strip() for w in inner.split(",")][:4]
            self.attributes[int(number)] = (name.strip('"'), kind)
            self.attribute_ids[key] = int(number)
        self.errors = {}
        for _, inner in rows(os.path.join(folder, "errno_names.def")):
            number, name = inner.split(",")
            self.errors[int(number)] = name.strip()
        self.sets = {}
        for macro, inner in rows(os.path.join(folder, "flags.def")):
            words, nested = plain_words(inner)
            names = [(w[0], int(w[1], 0), int(w[2] if len(w) > 2 else w[1], 0)) for _, w in nested]
            self.sets[words[0]] = (macro == "AQ_ENUM", names)
        self.events = {}
        for macro, inner in rows(os.path.join(folder, "syscalls.def")):
            words, nested = plain_words(inner)
            self.add(int(words[0]), words[1], nested, words[8] != "NONE")
        for macro, inner in rows(os.path.join(folder, "events.def")):
            words, nested = plain_words(inner)
            self.add(int(words[0]), words[1], nested, False)

    def add(self, number, name, nested, has_result):
        arguments = []
        for macro, w in nested:
            argument = Argument(w[0], w[1])
            if macro == "AF":
                argument.names = w[2]
            elif macro == "AP":
                argument.key = self.attribute_ids[w[2]]
            arguments.append(argument)
        if number >= FIRST_STATE_ID:  # the numbers come first, what follows is text
            arguments = [a for a in arguments if a.kind not in TEXT]
        self.events[number] = Row(number, name, arguments, has_result)

    @functools.lru_cache(maxsize=None)
    def value_text(self, argument, value, abi):
        """The names of a FLAGS or ENUM value; None for all other types."""
        if argument.names is None:
            return None
        name = argument.names
        if name in ARM_SETS and (abi == ABI_ARM64 or (abi == ABI_ARM and ARM_SETS[name][1])):
            name = ARM_SETS[name][0]
        is_enum, names = self.sets[name]
        value &= M64
        if value >= M64 - 0x7FFFFFFF:  # an int that was passed with its sign extended
            value &= 0xFFFFFFFF
        return enum_text(names, value) if argument.kind == "ENUM" else flags_text(names, value)


def enum_text(names, value):
    for name, number, _ in names:
        if number == value:
            return name
    if value < 65536:
        return str(value)
    if (1 << 32) - 65536 <= value < 1 << 32:
        return str(value - (1 << 32))
    return hex(value)


def flags_text(names, value):
    words, rest, decided = [], value, 0
    for name, number, mask in names:
        if value & mask != number or decided & mask:
            continue
        words.append(name)
        rest &= ~mask
        decided |= mask
    if rest:
        words.append(hex(rest))
    return "|".join(words) or "0"
