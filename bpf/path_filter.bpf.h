/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a file that is opened lies where the filter wants it: by the kernel's path when it was opened, by the user's when
 * it was not. The answer about an event's latest path is left in its ring's control block.
 */
#ifndef AQ_BPF_PATH_FILTER_H
#define AQ_BPF_PATH_FILTER_H

#include "attr.bpf.h"

/* Of paths that must fit and that must not: `fits` says whether one does. */
#define AQ_PATH_OUT(fits)                                                                                              \
	({                                                                                                             \
		bool out_ = cfg_filter.only & AQ_WIRE_FILTER_PATH;                                                     \
		for (u32 p = 0; p < AQ_WIRE_FILTER_PATHS; p++) {                                                       \
			if (p >= cfg_filter.path_count)                                                                \
				break;                                                                                 \
			if (!(fits))                                                                                   \
				continue;                                                                              \
			out_ = cfg_filter.path[p].not;                                                                 \
			if (out_)                                                                                      \
				break;                                                                                 \
		}                                                                                                      \
		out_;                                                                                                  \
	})

/* Components innermost first, n bytes: do they end in those of the filter's path? The loop has no branch but its end. */
static __always_inline bool is_below(const char *to, u64 n, u32 p)
{
	u64 bytes = cfg_filter.path[p].bytes;
	char differ = 0;

	if (n < bytes)
		return false;
	for (u32 i = 0; i < AQ_WIRE_FILTER_PATH_MAX; i++) {
		if (i >= bytes)
			break;
		differ |= to[(n - bytes + i) & (STRING_MAX - 1)] ^ cfg_filter.path[p].reversed[i];
	}
	if (n > bytes)
		differ |= to[(n - bytes - 1) & (STRING_MAX - 1)];
	return !differ;
}

/* A user's string of n bytes with its NUL, which begins with a slash. */
static __always_inline bool begins_with(const char *to, u64 n, u32 p)
{
	u64 bytes = cfg_filter.path[p].bytes; /* as many as the text before its slash */
	char differ = 0;

	if (n <= bytes)
		return false;
	for (u32 i = 0; i < AQ_WIRE_FILTER_PATH_MAX; i++) {
		if (i >= bytes)
			break;
		differ |= to[i] ^ cfg_filter.path[p].text[i];
	}
	char next = to[bytes & (STRING_MAX - 1)];
	return !differ && (next == '/' || next == 0);
}

static __noinline u32 note_kernel_path(struct attrs *a, const char *to, u32 flags)
{
	u64 n = attr_used(a);

	/* of one that is not whole nothing is known: it is kept */
	a->ring->path_out = !(flags & AQ_WIRE_ATF_PARTIAL) && n <= STRING_MAX && AQ_PATH_OUT(is_below(to, n, p));
	return 0;
}

/* A relative one is kept, as it is not known from where it leads. */
static __noinline u32 note_user_path(struct attrs *a, const char *to, u64 n)
{
	a->ring->path_out = n > 1 && n <= STRING_MAX && to[0] == '/' && AQ_PATH_OUT(begins_with(to, n, p));
	return 0;
}

#endif
