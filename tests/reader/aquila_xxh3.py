# SPDX-License-Identifier: Apache-2.0
"""XXH3-64 with seed 0 and no secret, as the capture format uses it (FORMAT.md section 1). Written from the algorithm's
public description: slow, but it depends on nothing. xxh3_64(bytes) gives an int."""
import struct

M64 = (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
MIX_1, MIX_2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

# the default secret: 192 bytes
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8"
    "fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb17"
    "0ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")

STRIPE, LANES = 64, 8
STRIPES_A_BLOCK = (len(SECRET) - STRIPE) // 8  # the secret moves on by 8 bytes a stripe


def u32(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def fold(a, b):
    """The product's two halves, one over the other."""
    product = a * b
    return (product & M64) ^ (product >> 64)


def finish_xxh3(h):
    h ^= h >> 37
    h = h * MIX_1 & M64
    return h ^ (h >> 32)


def finish_xxh64(h):
    h ^= h >> 33
    h = h * P64_2 & M64
    h ^= h >> 29
    h = h * P64_3 & M64
    return h ^ (h >> 32)


def pair(data, at, secret_at):
    return fold(u64(data, at) ^ u64(SECRET, secret_at), u64(data, at + 8) ^ u64(SECRET, secret_at + 8))


def short(data):
    """Up to 16 bytes."""
    n = len(data)
    if n > 8:
        low = u64(data, 0) ^ u64(SECRET, 24) ^ u64(SECRET, 32)
        high = u64(data, n - 8) ^ u64(SECRET, 40) ^ u64(SECRET, 48)
        swapped = int.from_bytes(low.to_bytes(8, "big"), "little")
        return finish_xxh3((n + swapped + high + fold(low, high)) & M64)
    if n >= 4:
        h = (u32(data, n - 4) + (u32(data, 0) << 32)) ^ u64(SECRET, 8) ^ u64(SECRET, 16)
        h ^= ((h << 49 | h >> 15) ^ (h << 24 | h >> 40)) & M64
        h = h * MIX_2 & M64
        h ^= (h >> 35) + n
        h = h * MIX_2 & M64
        return h ^ (h >> 28)
    if n:
        mixed = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return finish_xxh64(mixed ^ u32(SECRET, 0) ^ u32(SECRET, 4))
    return finish_xxh64(u64(SECRET, 56) ^ u64(SECRET, 64))


def middle(data):
    """17 to 240 bytes."""
    n = len(data)
    h = n * P64_1
    if n <= 128:
        for i in range((n - 1) // 32 + 1):
            h += pair(data, 16 * i, 32 * i) + pair(data, n - 16 * (i + 1), 32 * i + 16)
        return finish_xxh3(h & M64)
    for i in range(8):
        h += pair(data, 16 * i, 16 * i)
    h = finish_xxh3(h & M64)
    for i in range(8, n // 16):
        h += pair(data, 16 * i, 16 * (i - 8) + 3)
    h += pair(data, n - 16, 136 - 17)
    return finish_xxh3(h & M64)


def stripe(acc, words, keys):
    a0, a1, a2, a3, a4, a5, a6, a7 = acc
    w0, w1, w2, w3, w4, w5, w6, w7 = words
    k0, k1, k2, k3, k4, k5, k6, k7 = keys
    k0 ^= w0
    k1 ^= w1
    k2 ^= w2
    k3 ^= w3
    k4 ^= w4
    k5 ^= w5
    k6 ^= w6
    k7 ^= w7
    low = 0xFFFFFFFF
    return ((a0 + w1 + (k0 & low) * (k0 >> 32)) & M64, (a1 + w0 + (k1 & low) * (k1 >> 32)) & M64,
            (a2 + w3 + (k2 & low) * (k2 >> 32)) & M64, (a3 + w2 + (k3 & low) * (k3 >> 32)) & M64,
            (a4 + w5 + (k4 & low) * (k4 >> 32)) & M64, (a5 + w4 + (k5 & low) * (k5 >> 32)) & M64,
            (a6 + w7 + (k6 & low) * (k6 >> 32)) & M64, (a7 + w6 + (k7 & low) * (k7 >> 32)) & M64)


def long(data):
    """More than 240 bytes: eight accumulators over stripes of 64 bytes, scrambled after each block of stripes."""
    n = len(data)
    words = struct.Struct("<8Q").unpack_from
    keys = [words(SECRET, 8 * i) for i in range(STRIPES_A_BLOCK)]
    last_key = words(SECRET, len(SECRET) - STRIPE)
    acc = (P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1)
    count = (n - 1) // STRIPE
    for i in range(count):
        acc = stripe(acc, words(data, STRIPE * i), keys[i % STRIPES_A_BLOCK])
        if i % STRIPES_A_BLOCK == STRIPES_A_BLOCK - 1:
            acc = tuple((a ^ a >> 47 ^ k) * P32_1 & M64 for a, k in zip(acc, last_key))
    acc = stripe(acc, words(data, n - STRIPE), words(SECRET, len(SECRET) - STRIPE - 7))
    h = n * P64_1
    for i in range(4):
        h += fold(acc[2 * i] ^ u64(SECRET, 11 + 16 * i), acc[2 * i + 1] ^ u64(SECRET, 19 + 16 * i))
    return finish_xxh3(h & M64)


def xxh3_64(data):
    if len(data) <= 16:
        return short(data)
    return middle(data) if len(data) <= 240 else long(data)
