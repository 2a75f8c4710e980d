/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One recording from beginning to end: checks, load, attach, snapshot, run, stop, summary.
 */
#ifndef AQ_RECORDER_SESSION_H
#define AQ_RECORDER_SESSION_H

#include "recorder/config.h"

/* Returns the program's exit status; says on stderr what went wrong. argv is for the capture's own words. */
int aq_session_run(const struct aq_config *config, int argc, char *const argv[]);

#endif
