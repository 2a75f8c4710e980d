/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's iterators over tasks and open files, for aq_snapshot_take. They are loaded once, with the rights to use
 * BPF, and may then be read any number of times, from any thread, with CAP_BPF alone.
 */
#ifndef AQ_RECORDER_STATE_ITERATORS_H
#define AQ_RECORDER_STATE_ITERATORS_H

#include "recorder/state/snapshot.h"

struct aq_iterators;

/* Fails where the kernel has none, or where its numbers of processes are not those of /proc here (a pid namespace). */
int aq_iterators_new(struct aq_iterators **ret_iterators, struct aq_err *err);
void aq_iterators_free(struct aq_iterators *it);
/* An aq_snapshot_open_function; user is the struct aq_iterators. */
int aq_iterators_open(void *user, enum aq_snapshot_rows rows);

#endif
