/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of processes, threads and users. */
#include "query/fields_internal.h"

#include <stdio.h>

static bool str(struct aq_value *v, const struct aq_str *t)
{
	return t ? aq_v_str(v, t->s, t->len) : false;
}

static bool known_id(struct aq_value *v, const struct aq_proc *p, uint32_t id)
{
	return p->flags & AQ_PROC_CREDS ? aq_v_uint(v, id) : false;
}

/* argv's words joined by blanks, with the command name in front where Falco has it. */
static bool words(struct aq_row *row, const struct aq_proc *p, bool with_name, struct aq_value *v)
{
	size_t size, len = 0, skip;
	char *buf;

	if (!p->argv && !(with_name && p->comm))
		return false;
	skip = p->argv ? strnlen(p->argv->s, p->argv->len) + 1 : 0;
	buf = aq_scratch_room(row, (p->argv ? p->argv->len : 0) + (with_name && p->comm ? p->comm->len : 0) + 2, &size);
	if (with_name && p->comm && p->comm->len < size) {
		memcpy(buf, p->comm->s, p->comm->len);
		len = p->comm->len;
	}
	if (p->argv && skip < p->argv->len && len + 1 < size) {
		size_t n = p->argv->len - skip;

		if (p->argv->s[p->argv->len - 1] == '\0')
			n--;
		if (with_name)
			buf[len++] = ' ';
		if (n > size - len)
			n = size - len;
		for (size_t i = 0; i < n; i++)
			buf[len + i] = p->argv->s[skip + i] ? p->argv->s[skip + i] : ' ';
		len += n;
	}
	aq_scratch_keep(row, len);
	return aq_v_str(v, buf, len);
}

static const struct aq_proc *ancestor(const struct aq_proc *p, unsigned steps)
{
	while (p && steps--)
		p = p->parent;
	return p;
}

static bool of_process(enum aq_field_id id, struct aq_row *row, const struct aq_proc *p, struct aq_value *v)
{
	if (!p)
		return false;
	switch (id) {
	case AQ_FIELD_PROC_NAME: case AQ_FIELD_PROC_PNAME: case AQ_FIELD_PROC_ANAME: return str(v, p->comm);
	case AQ_FIELD_PROC_EXE: case AQ_FIELD_PROC_PEXE: case AQ_FIELD_PROC_AEXE: return str(v, p->exe);
	case AQ_FIELD_PROC_EXEPATH: case AQ_FIELD_PROC_PEXEPATH: case AQ_FIELD_PROC_AEXEPATH: return str(v, p->exepath);
	case AQ_FIELD_PROC_CMDLINE: case AQ_FIELD_PROC_PCMDLINE: case AQ_FIELD_PROC_ACMDLINE: return words(row, p, true, v);
	case AQ_FIELD_PROC_ARGS: return words(row, p, false, v);
	case AQ_FIELD_PROC_APID: return aq_v_uint(v, p->pid);
	default: return false;
	}
}

static bool of_creds(enum aq_field_id id, const struct aq_proc *p, struct aq_value *v)
{
	switch (id) {
	case AQ_FIELD_USER_UID: return known_id(v, p, p->uid);
	case AQ_FIELD_USER_EUID: return known_id(v, p, p->euid);
	case AQ_FIELD_GROUP_GID: return known_id(v, p, p->gid);
	case AQ_FIELD_GROUP_EGID: return known_id(v, p, p->egid);
	case AQ_FIELD_PROC_SID: return known_id(v, p, p->sid);
	case AQ_FIELD_PROC_PGID: return known_id(v, p, p->pgid);
	case AQ_FIELD_PROC_TTY: return known_id(v, p, p->tty);
	case AQ_FIELD_PROC_CAP_EFFECTIVE:
		if (!(p->flags & AQ_PROC_CREDS))
			return false;
		*v = (struct aq_value){ .kind = AQ_VAL_UINT, .style = AQ_STYLE_HEX, .u = p->cap_effective };
		return true;
	default: return false;
	}
}

static bool of_self(enum aq_field_id id, struct aq_row *row, const struct aq_proc *p, struct aq_value *v)
{
	uint64_t now = row->ev ? row->ev->time_ns : 0;

	switch (id) {
	case AQ_FIELD_PROC_PPID: return p->ppid ? aq_v_uint(v, p->ppid) : p->parent && aq_v_uint(v, p->parent->pid);
	case AQ_FIELD_PROC_CWD: return str(v, aq_proc_cwd(p));
	case AQ_FIELD_PROC_ROOT: return str(v, aq_proc_root(p));
	case AQ_FIELD_PROC_VPID: return p->ns_pid && aq_v_uint(v, p->ns_pid);
	case AQ_FIELD_PROC_DURATION:
		if (!p->start_ns || now < p->start_ns)
			return false;
		*v = (struct aq_value){ .kind = AQ_VAL_UINT, .style = AQ_STYLE_DURATION, .u = now - p->start_ns };
		return true;
	case AQ_FIELD_PROC_START:
		return p->start_ns && row->capture && aq_v_time(v, aq_capture_real_ns(row->capture, p->start_ns));
	case AQ_FIELD_PROC_START_NS: return p->start_ns && aq_v_uint(v, p->start_ns);
	case AQ_FIELD_PROC_KEY: {
		size_t size;
		char *buf = aq_scratch_room(row, 40, &size);
		int n = snprintf(buf, size, "%u@%llu", p->pid, (unsigned long long)p->start_ns);

		if (n < 0 || (size_t)n >= size)
			return false;
		aq_scratch_keep(row, (size_t)n);
		return aq_v_str(v, buf, (size_t)n);
	}
	/* what an unseen exec hides is unknown, not false */
	case AQ_FIELD_PROC_IS_EXE_FROM_MEMFD:
		return p->flags & AQ_PROC_MEMFD ? aq_v_bool(v, true) : p->flags & AQ_PROC_EXEC_SEEN && aq_v_bool(v, false);
	case AQ_FIELD_PROC_IS_EXE_UPPER_LAYER:
		return p->flags & AQ_PROC_UPPER ? aq_v_bool(v, true) : p->flags & AQ_PROC_EXEC_SEEN && aq_v_bool(v, false);
	case AQ_FIELD_PROC_IS_EXE_DELETED:
		return p->flags & AQ_PROC_DELETED ? aq_v_bool(v, true) : p->flags & AQ_PROC_EXEC_SEEN && aq_v_bool(v, false);
	case AQ_FIELD_PROC_EXE_WRITER: return str(v, p->exe_writer);
	case AQ_FIELD_PROC_EXE_WRITER_PID: return p->exe_writer_pid && aq_v_uint(v, p->exe_writer_pid);
	case AQ_FIELD_PROC_EXE_WRITTEN:
		return p->exe_written_ns && row->capture && aq_v_time(v, aq_capture_real_ns(row->capture, p->exe_written_ns));
	case AQ_FIELD_PROC_EXE_INO: return p->exe_ino && aq_v_uint(v, p->exe_ino);
	case AQ_FIELD_PROC_EXE_DEV: return p->exe_ino && aq_v_uint(v, p->exe_dev);
	case AQ_FIELD_PROC_NS_MNT: return p->ns[2] && aq_v_uint(v, p->ns[2]);
	case AQ_FIELD_PROC_NS_NET: return p->ns[3] && aq_v_uint(v, p->ns[3]);
	case AQ_FIELD_PROC_NS_PID: return p->ns[4] && aq_v_uint(v, p->ns[4]);
	case AQ_FIELD_PROC_NS_USER: return p->ns[6] && aq_v_uint(v, p->ns[6]);
	case AQ_FIELD_PROC_UNCERTAIN: return aq_v_bool(v, p->flags & (AQ_PROC_UNCERTAIN | AQ_PROC_INFERRED));
	default: return of_creds(id, p, v);
	}
}

bool aq_field_get_proc(const struct aq_field *f, struct aq_row *row, unsigned index, struct aq_value *v)
{
	enum aq_field_id id = f->info->id;
	const struct aq_proc *p = row->proc;

	if (id == AQ_FIELD_PROC_PID) /* these need no state */
		return row->ev && aq_v_uint(v, row->ev->pid);
	if (id == AQ_FIELD_THREAD_TID)
		return row->ev && aq_v_uint(v, row->ev->tid);
	if (id == AQ_FIELD_THREAD_ISMAIN)
		return row->ev && aq_v_bool(v, row->ev->tid == row->ev->pid);
	if (!p)
		return false;
	switch (id) {
	case AQ_FIELD_PROC_NAME: case AQ_FIELD_PROC_EXE: case AQ_FIELD_PROC_EXEPATH: case AQ_FIELD_PROC_CMDLINE:
	case AQ_FIELD_PROC_ARGS:
		return of_process(id, row, p, v);
	case AQ_FIELD_PROC_PNAME: case AQ_FIELD_PROC_PEXE: case AQ_FIELD_PROC_PEXEPATH: case AQ_FIELD_PROC_PCMDLINE:
		return of_process(id, row, p->parent, v);
	case AQ_FIELD_PROC_ANAME: case AQ_FIELD_PROC_APID: case AQ_FIELD_PROC_AEXE: case AQ_FIELD_PROC_AEXEPATH:
	case AQ_FIELD_PROC_ACMDLINE:
		if (f->has_index)
			return !index && of_process(id, row, ancestor(p, f->index), v);
		/* an ancestor about whom nothing is known is passed over */
		p = p->parent;
		for (unsigned depth = 0; p && depth < AQ_ANCESTORS_MAX; depth++, p = p->parent)
			if (of_process(id, row, p, v) && index-- == 0)
				return true;
		return false;
	case AQ_FIELD_THREAD_NAME:
		return str(v, row->thread && row->thread->comm ? row->thread->comm : p->comm);
	default:
		return of_self(id, row, p, v);
	}
}
