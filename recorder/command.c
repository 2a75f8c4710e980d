/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork now, exec later: the child's pid is known to the kernel side before it does anything of its own.
 */
#include "recorder/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int try_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

int aq_command_find(const char *name, struct aq_err *err)
{
	const char *path = getenv("PATH");
	int r = -ENOENT;

	if (name[0] == '\0')
		return aq_err_set(err, -ENOENT, "'': the command's name is empty");
	if (strchr(name, '/') != NULL) {
		r = try_path(name);
	} else {
		for (const char *p = path != NULL ? path : "/usr/bin:/bin"; r != 0; p++) {
			char full[PATH_MAX];
			int n = (int)strcspn(p, ":"), tried = -ENOENT;

			if (snprintf(full, sizeof(full), "%.*s%s%s", n, p, n > 0 ? "/" : "./", name) < (int)sizeof(full))
				tried = try_path(full);
			if (tried == 0 || tried == -EACCES)
				r = tried;
			p += n;
			if (*p == '\0')
				break;
		}
	}
	if (r == 0)
		return 0;
	if (r == -EACCES)
		return aq_err_set(err, -EACCES, "'%s': the command can't be executed", name);
	return aq_err_set(err, -ENOENT, "'%s': command not found", name);
}

static void __attribute__((noreturn)) child(int go, int failed, char *const argv[], const sigset_t *sigmask)
{
	ssize_t n;
	char byte;
	int error;

	do
		n = read(go, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(0); /* the recording did not come about */
	sigprocmask(SIG_SETMASK, sigmask, NULL);
	execvp(argv[0], argv);
	error = errno;
	n = write(failed, &error, sizeof(error));
	_exit(n == (ssize_t)sizeof(error) && error != ENOENT ? 126 : 127);
}

int aq_command_hold(struct aq_command *c, char *const argv[], const void *sigmask, struct aq_err *err)
{
	int go[2], failed[2];
	pid_t pid;

	*c = (struct aq_command){ .go_fd = -1, .failed_fd = -1 };
	if (pipe2(go, O_CLOEXEC) < 0)
		return aq_err_set(err, -errno, "can't make a pipe: %s", strerror(errno));
	if (pipe2(failed, O_CLOEXEC) < 0) {
		int error = errno;

		close(go[0]);
		close(go[1]);
		return aq_err_set(err, -error, "can't make a pipe: %s", strerror(error));
	}
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		close(failed[0]);
		child(go[0], failed[1], argv, sigmask);
	}
	close(go[0]);
	close(failed[1]);
	if (pid < 0) {
		int error = errno;

		close(go[1]);
		close(failed[0]);
		return aq_err_set(err, -error, "can't fork: %s", strerror(error));
	}
	c->pid = pid;
	c->go_fd = go[1];
	c->failed_fd = failed[0];
	return 0;
}

int aq_command_go(struct aq_command *c, const char *name, struct aq_err *err)
{
	ssize_t n;
	int error = 0;

	do
		n = write(c->go_fd, "!", 1);
	while (n < 0 && errno == EINTR);
	close(c->go_fd);
	c->go_fd = -1;
	do
		n = read(c->failed_fd, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	close(c->failed_fd);
	c->failed_fd = -1;
	if (n != (ssize_t)sizeof(error))
		return 0; /* closed by a successful exec */
	return aq_err_set(err, -error, "'%s': the command can't be executed: %s", name, strerror(error));
}

bool aq_command_ended(struct aq_command *c)
{
	int status;

	if (c->pid == 0 || c->ended)
		return c->ended;
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return false;
	c->ended = true;
	c->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return true;
}

void aq_command_release(struct aq_command *c)
{
	if (c->pid == 0)
		return;
	if (c->go_fd >= 0) {
		close(c->go_fd); /* the child reads the end and exits */
		c->go_fd = -1;
		if (!c->ended)
			(void)waitpid(c->pid, NULL, 0);
	}
	if (c->failed_fd >= 0)
		close(c->failed_fd);
	c->failed_fd = -1;
}
