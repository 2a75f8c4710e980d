/* SPDX-License-Identifier: Apache-2.0 */
/* How values print. */
#include "query/value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "query/render.h"

static size_t put(const void *data, size_t len, char *buf, size_t size)
{
	size_t keep = size ? (len < size - 1 ? len : size - 1) : 0;

	if (keep)
		memcpy(buf, data, keep);
	if (size)
		buf[keep] = '\0';
	return len;
}

size_t aq_value_text(const struct aq_value *v, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	int n = 0;

	switch (v->kind) {
	case AQ_VAL_NONE:
		return put("", 0, buf, size);
	case AQ_VAL_BOOL:
		return v->b ? put("true", 4, buf, size) : put("false", 5, buf, size);
	case AQ_VAL_STRING:
		return put(v->s, v->len, buf, size);
	case AQ_VAL_IP:
		if (!inet_ntop(v->len == 4 ? AF_INET : AF_INET6, v->ip, text, sizeof(text)))
			return put("", 0, buf, size);
		return put(text, strlen(text), buf, size);
	case AQ_VAL_INT:
		if (v->style == AQ_STYLE_SCHEMA)
			return aq_format_value(v->type, v->flags, v->u, buf, size);
		if (v->style == AQ_STYLE_RESULT && aq_result_is_error(v->i) && aq_errno_name((int)-v->i)) {
			const char *name = aq_errno_name((int)-v->i);

			return put(name, strlen(name), buf, size);
		}
		if (v->style == AQ_STYLE_RESULT)
			return aq_format_value(v->type == AQ_TYPE_ERRNO ? AQ_TYPE_LONG : v->type, v->flags, v->u, buf, size);
		n = snprintf(text, sizeof(text), "%" PRId64, v->i);
		break;
	case AQ_VAL_UINT:
		if (v->style == AQ_STYLE_SCHEMA)
			return aq_format_value(v->type, v->flags, v->u, buf, size);
		if (v->style == AQ_STYLE_TIME)
			return aq_render_time(v->u, buf, size);
		n = snprintf(text, sizeof(text), v->style == AQ_STYLE_HEX ? "0x%" PRIx64 : "%" PRIu64, v->u);
		break;
	}
	return put(text, n > 0 ? (size_t)n : 0, buf, size);
}

bool aq_value_is_number(const struct aq_value *v)
{
	if (v->kind == AQ_VAL_BOOL)
		return true;
	if (v->kind != AQ_VAL_INT && v->kind != AQ_VAL_UINT)
		return false;
	switch (v->style) {
	case AQ_STYLE_PLAIN:
	case AQ_STYLE_DURATION:
		return true;
	case AQ_STYLE_RESULT:
		return v->kind == AQ_VAL_INT && !aq_result_is_error(v->i) && v->type != AQ_TYPE_PTR && v->type != AQ_TYPE_ADDR;
	case AQ_STYLE_SCHEMA:
		return v->type == AQ_TYPE_INT || v->type == AQ_TYPE_UINT || v->type == AQ_TYPE_LONG ||
		       v->type == AQ_TYPE_ULONG || v->type == AQ_TYPE_SIZE || v->type == AQ_TYPE_OFFSET ||
		       v->type == AQ_TYPE_PID || v->type == AQ_TYPE_UID || v->type == AQ_TYPE_GID || v->type == AQ_TYPE_INO;
	default:
		return false;
	}
}
