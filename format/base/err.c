/* SPDX-License-Identifier: Apache-2.0 */
/* Error sentences. What a file or a program said is data: control characters in it are shown as question marks. */
#include "format/base/err.h"

#include <stdio.h>
#include <string.h>

static void sanitise(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

__attribute__((format(printf, 4, 0)))
static int set(struct aq_err *err, int code, uint64_t offset, const char *format, va_list ap)
{
	if (err) {
		err->code = code;
		err->offset = offset;
		vsnprintf(err->text, sizeof(err->text), format, ap);
		sanitise(err->text);
	}
	return code;
}

int aq_err_set(struct aq_err *err, int code, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	set(err, code, UINT64_MAX, format, ap);
	va_end(ap);
	return code;
}

int aq_err_set_at(struct aq_err *err, int code, uint64_t offset, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	set(err, code, offset, format, ap);
	va_end(ap);
	return code;
}

int aq_err_prefix(struct aq_err *err, const char *format, ...)
{
	if (!err)
		return 0;
	char rest[AQ_ERR_TEXT_BYTES];
	memcpy(rest, err->text, sizeof(rest));
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - (size_t)n, "%s", rest);
	sanitise(err->text);
	return err->code;
}
