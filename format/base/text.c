/* SPDX-License-Identifier: Apache-2.0 */
/* Escaping, and the words for times, durations and sizes; see text.h. */
#include "format/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Length of the valid UTF-8 sequence at p (shortest form, no surrogates), 0 if there is none. Its code point too. */
static unsigned utf8(const uint8_t *p, size_t left, uint32_t *ret_code)
{
	uint32_t code;
	unsigned n;
	if (p[0] < 0x80) {
		*ret_code = p[0];
		return 1;
	} else if (p[0] >= 0xc2 && p[0] < 0xe0) {
		n = 2;
		code = p[0] & 0x1f;
	} else if (p[0] >= 0xe0 && p[0] < 0xf0) {
		n = 3;
		code = p[0] & 0x0f;
	} else if (p[0] >= 0xf0 && p[0] < 0xf5) {
		n = 4;
		code = p[0] & 0x07;
	} else {
		return 0;
	}
	if (n > left)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && code < 0x800) || (n == 4 && (code < 0x10000 || code > 0x10ffff)) ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret_code = code;
	return n;
}

/* Code points that change how a terminal shows what stands around them. */
static int misleads(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x2069) || code == 0xfeff;
}

void aq_text_escape(struct aq_buf *out, const void *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	for (size_t i = 0; i < n;) {
		uint32_t code = 0;
		unsigned k = utf8(p + i, n - i, &code);
		if (p[i] == '\\') {
			aq_buf_put(out, "\\\\", 2);
			i++;
		} else if (k && !misleads(code)) {
			aq_buf_put(out, p + i, k);
			i += k;
		} else if (p[i] == '\n' || p[i] == '\t' || p[i] == '\r') {
			aq_buf_put(out, p[i] == '\n' ? "\\n" : p[i] == '\t' ? "\\t" : "\\r", 2);
			i++;
		} else {
			char hex[4] = { '\\', 'x', digits[p[i] >> 4], digits[p[i] & 15] };
			aq_buf_put(out, hex, 4);
			i++;
		}
	}
}

void aq_json_string(struct aq_buf *out, const void *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	aq_buf_put_u8(out, '"');
	for (size_t i = 0; i < n;) {
		uint32_t code = 0;
		unsigned k = utf8(p + i, n - i, &code);
		if (p[i] == '"' || p[i] == '\\') {
			char pair[2] = { '\\', (char)p[i] };
			aq_buf_put(out, pair, 2);
			i++;
		} else if (p[i] == '\n' || p[i] == '\t' || p[i] == '\r') {
			aq_buf_put(out, p[i] == '\n' ? "\\n" : p[i] == '\t' ? "\\t" : "\\r", 2);
			i++;
		} else if (k && !misleads(code)) {
			aq_buf_put(out, p + i, k);
			i += k;
		} else if (k && code < 0x10000) {
			char text[8];
			snprintf(text, sizeof(text), "\\u%04x", code);
			aq_buf_put(out, text, 6);
			i += k;
		} else {
			char text[6] = { '\\', 'u', 'd', 'c', digits[p[i] >> 4], digits[p[i] & 15] };
			aq_buf_put(out, text, 6);
			i++;
		}
	}
	aq_buf_put_u8(out, '"');
}

void aq_time_format(uint64_t real_ns, char text[AQ_TIME_TEXT_BYTES])
{
	time_t seconds = (time_t)(real_ns / 1000000000u);
	struct tm tm;
	if (!gmtime_r(&seconds, &tm)) {
		snprintf(text, AQ_TIME_TEXT_BYTES, "@%" PRIu64, real_ns / 1000000000u);
		return;
	}
	size_t n = strftime(text, AQ_TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, AQ_TIME_TEXT_BYTES - n, ".%09uZ", (unsigned)(real_ns % 1000000000u));
}

/* .123 -> 123000000; leaves *p behind the digits. */
static uint64_t fraction_ns(const char **p)
{
	uint64_t ns = 0, scale = 100000000;
	if (**p != '.')
		return 0;
	for ((*p)++; isdigit((unsigned char)**p); (*p)++, scale /= 10)
		ns += (uint64_t)(**p - '0') * scale;
	return ns;
}

int aq_time_parse(const char *text, uint64_t *ret_real_ns, struct aq_err *err)
{
	const char *p = text;
	if (*p == '@' && isdigit((unsigned char)p[1])) {
		char *end;
		errno = 0;
		unsigned long long seconds = strtoull(p + 1, &end, 10);
		p = end;
		uint64_t ns = fraction_ns(&p);
		if (*p == '\0' && errno == 0 && seconds < 18000000000ull) {
			*ret_real_ns = seconds * 1000000000u + ns;
			return 0;
		}
	} else {
		struct tm tm = { 0 };
		const char *rest = strptime(text, "%Y-%m-%d", &tm);
		if (rest && (*rest == 'T' || *rest == 't' || *rest == ' '))
			rest = strptime(rest + 1, "%H:%M:%S", &tm);
		else
			rest = NULL;
		if (rest) {
			uint64_t ns = fraction_ns(&rest);
			long offset = 0;
			unsigned hours, minutes;
			int used = 0;
			char sign;
			if ((*rest == 'Z' || *rest == 'z') && rest[1] == '\0') {
				used = 1;
			} else if (sscanf(rest, "%c%2u:%2u%n", &sign, &hours, &minutes, &used) == 3 && rest[used] == '\0' &&
				   (sign == '+' || sign == '-') && hours < 24 && minutes < 60) {
				offset = (long)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
			} else {
				used = 0;
			}
			time_t seconds = timegm(&tm) - offset;
			if (used && seconds >= 0) {
				*ret_real_ns = (uint64_t)seconds * 1000000000u + ns;
				return 0;
			}
		}
	}
	return aq_err_set(err, -EINVAL, "'%.60s' is no time: expected RFC 3339 such as 2026-01-31T12:00:00Z, or @seconds", text);
}

/* A decimal number with a unit of the table; bounded to 64 bits. */
static int scaled(const char *text, const char *const *units, const double *scales, size_t count, uint64_t *ret)
{
	char *end;
	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	errno = 0;
	double value = strtod(text, &end);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(end, units[i]) != 0)
			continue;
		value *= scales[i];
		if (errno || !(value >= 0) || value > 9e18)
			return -EINVAL;
		*ret = (uint64_t)(value + 0.5);
		return 0;
	}
	return -EINVAL;
}

int aq_duration_parse(const char *text, uint64_t *ret_ns, struct aq_err *err)
{
	static const char *const units[] = { "", "s", "ns", "us", "ms", "m", "h", "d" };
	static const double scales[] = { 1e9, 1e9, 1, 1e3, 1e6, 60e9, 3600e9, 86400e9 };
	if (scaled(text, units, scales, 8, ret_ns) == 0)
		return 0;
	return aq_err_set(err, -EINVAL, "'%.60s' is no duration: expected a number with ns, us, ms, s, m, h or d", text);
}

int aq_size_parse(const char *text, uint64_t *ret_bytes, struct aq_err *err)
{
	static const char *const units[] = { "", "B", "K", "KiB", "M", "MiB", "G", "GiB", "T", "TiB", "KB", "MB", "GB", "TB" };
	static const double scales[] = { 1,	 1,	      1024.0,	    1024.0,	    1048576.0, 1048576.0, 1073741824.0,
					 1073741824.0, 1099511627776.0, 1099511627776.0, 1e3, 1e6, 1e9, 1e12 };
	if (scaled(text, units, scales, 14, ret_bytes) == 0)
		return 0;
	return aq_err_set(err, -EINVAL, "'%.60s' is no size: expected a number with K, M, G or T", text);
}
