/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which capabilities the recorder has, and which it gives up. After the programs are attached the process keeps
 * CAP_BPF and CAP_PERFMON (reading the programs' own counters, iterators), CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH
 * (the state of other processes, at the start and at each new segment), and CAP_SYS_NICE (the encoding thread hurries
 * when it is behind); the drain thread keeps nothing.
 */
#ifndef AQ_RECORDER_PRIVILEGES_H
#define AQ_RECORDER_PRIVILEGES_H

#include <stdbool.h>

#include "format/base/err.h"

/* True when BPF programs may be loaded: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN. */
bool aq_privileges_suffice(void);
/* The calling thread, and threads it makes later, keep only what is said above; exec can't gain any. */
int aq_privileges_reduce(struct aq_err *err);
/* The calling thread keeps no capability. */
void aq_privileges_drop_thread(void);

#endif
