/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tracepoint's type is a pointer to a function whose first parameter is nobody's; the number of the others and whether
 * they are pointers tells the form.
 *
 *   submit_sqe  5.10  ring, opcode, user data, nonblock, thread
 *               5.15  ring, request, opcode, user data, flags, nonblock, thread
 *               6.0   request, nonblock
 *   submit_req  6.4   request
 *   complete    6.0   ring, request, user data, result, flags, 2 more
 *               6.15  ring, request, entry
 *   req_failed  6.0   entry, request, error
 */
#include "recorder/uring.h"

#include <bpf/btf.h>
#include <stdio.h>

#include "bpf/wire.h"

/* The function behind a tracepoint, or NULL. */
static const struct btf_type *prototype(const struct btf *btf, const char *tracepoint)
{
	const struct btf_type *t;
	char name[64];
	int id;

	snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	id = btf != NULL ? btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) : -1;
	t = id > 0 ? btf__type_by_id(btf, (unsigned)id) : NULL;
	t = t != NULL ? btf__type_by_id(btf, t->type) : NULL;
	t = t != NULL && btf_is_ptr(t) ? btf__type_by_id(btf, t->type) : NULL;
	return t != NULL && btf_is_func_proto(t) ? t : NULL;
}

/* Its parameters but the first; 0 if there is no such tracepoint. */
static unsigned parameters(const struct btf_type *t)
{
	return t != NULL && btf_vlen(t) > 0 ? btf_vlen(t) - 1u : 0;
}

static bool is_pointer(const struct btf *btf, const struct btf_type *t, unsigned i)
{
	int id = btf__resolve_type(btf, btf_params(t)[i + 1].type);
	const struct btf_type *p = id > 0 ? btf__type_by_id(btf, (unsigned)id) : NULL;

	return p != NULL && btf_is_ptr(p);
}

void aq_uring_forms(const struct btf *btf, struct aq_uring_forms *ret_forms)
{
	const struct btf_type *req = prototype(btf, "io_uring_submit_req"), *sqe = prototype(btf, "io_uring_submit_sqe");
	const struct btf_type *complete = prototype(btf, "io_uring_complete"), *failed = prototype(btf, "io_uring_req_failed");

	*ret_forms = (struct aq_uring_forms){ .submit_req = parameters(req) == 1 };
	if (ret_forms->submit_req || (parameters(sqe) == 2 && is_pointer(btf, sqe, 0)))
		ret_forms->submit = AQ_WIRE_URING_REQUEST;
	else if (parameters(sqe) == 7 && is_pointer(btf, sqe, 1))
		ret_forms->submit = AQ_WIRE_URING_RING_REQUEST;
	else if (parameters(sqe) == 5 && !is_pointer(btf, sqe, 1))
		ret_forms->submit = AQ_WIRE_URING_RING;
	if (parameters(complete) == 3 && is_pointer(btf, complete, 1) && is_pointer(btf, complete, 2))
		ret_forms->complete = AQ_WIRE_URING_ENTRY;
	else if (parameters(complete) == 7 && is_pointer(btf, complete, 1) && !is_pointer(btf, complete, 2))
		ret_forms->complete = AQ_WIRE_URING_NUMBERS;
	ret_forms->refused = parameters(failed) == 3 && is_pointer(btf, failed, 0) && is_pointer(btf, failed, 1);
}
