/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which form the running kernel's tracepoints of io_uring are given what they tell (enum aq_wire_uring), from its own
 * types. Pure.
 */
#ifndef AQ_RECORDER_URING_H
#define AQ_RECORDER_URING_H

#include <stdbool.h>

struct btf;

struct aq_uring_forms {
	unsigned submit, complete; /* enum aq_wire_uring; 0: not there, or in a form that is not known */
	bool submit_req;           /* the tracepoint is io_uring_submit_req, else io_uring_submit_sqe */
	bool refused;              /* io_uring_req_failed is there in the form that is known */
};

/* btf may be NULL: nothing is known then. */
void aq_uring_forms(const struct btf *btf, struct aq_uring_forms *ret_forms);

#endif
