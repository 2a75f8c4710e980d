/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command that is recorded: found first, forked and held before the recording starts, let go when it runs.
 * Belongs to one thread.
 */
#ifndef AQ_RECORDER_COMMAND_H
#define AQ_RECORDER_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

#include "format/base/err.h"

struct aq_command {
	pid_t pid;          /* 0: none */
	int go_fd;          /* closed or written to: -1 when it has been let go */
	int failed_fd;      /* brings the errno of a failed exec */
	bool ended;
	int exit_status;    /* as a shell says it: 128 + signal when killed */
};

/* 0, -ENOENT or -EACCES, as a shell would look for it. */
int aq_command_find(const char *name, struct aq_err *err);
/* Forks; the child waits. Its signal mask will be what is given (borrowed). */
int aq_command_hold(struct aq_command *c, char *const argv[], const void *sigmask, struct aq_err *err);
/* Lets it go and waits until the program runs: 0, or the errno with which it could not be executed. */
int aq_command_go(struct aq_command *c, const char *name, struct aq_err *err);
/* Looks, without waiting, whether it has ended. */
bool aq_command_ended(struct aq_command *c);
/* A command that was never let go is ended; one that runs is left alone. */
void aq_command_release(struct aq_command *c);

#endif
