/* SPDX-License-Identifier: Apache-2.0 */
/* The containers and pods of a capture for aquila info: names, times, how many events each has. */
#ifndef AQ_REPLAY_INFO_NAMES_H
#define AQ_REPLAY_INFO_NAMES_H

#include "replay/output.h"

struct aq_info_names;
/* Reads the events of cgroups, the facts, and where there is any container the columns of cgroups. */
int aq_info_names_collect(struct aq_capture *c, struct aq_info_names **ret_names, struct aq_err *err);
void aq_info_names_free(struct aq_info_names *n); /* NULL allowed */
/* Lines for a person, the largest first; nothing where there is no container. */
void aq_info_names_text(const struct aq_info_names *n, struct aq_out *out, const struct aq_capture *c);
/* `,"containers":[…],"pods":[…]` */
void aq_info_names_json(const struct aq_info_names *n, struct aq_out *out, const struct aq_capture *c);

#endif
