/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila record: gives way to aquilad, which alone may touch the kernel.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "replay/cli.h"

static const char help_text[] = "usage: aquila record [OPTION…] [-- COMMAND [ARGUMENT…]]\n"
				"\n"
				"Records what the processes of this host ask of the kernel. This is aquilad, found "
				"beside aquila, in ../sbin, or in\n"
				"PATH, with the same options: aquila record --help lists them when it is installed.\n"
				"\n"
				"Examples\n"
				"  sudo aquila record -o build.aquila -- make -j4\n"
				"  sudo aquila record -o host.aquila --duration 10m\n";

/* Only returns when there is nothing to execute at folder/tail. */
static int try_beside(const char *folder, const char *tail, char **argv)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, tail);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	execv(path, argv);
	return -errno;
}

static int record(int argc, char **argv)
{
	char self[PATH_MAX], *slash, name[] = "aquilad";
	ssize_t n;
	int r = -ENOENT;

	(void)argc;
	signal(SIGPIPE, SIG_DFL);
	argv[0] = name;
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash != NULL) {
			*slash = '\0';
			r = try_beside(self, "aquilad", argv);
			if (r == -ENOENT)
				r = try_beside(self, "../sbin/aquilad", argv);
		}
	}
	if (r == -ENOENT) {
		execvp("aquilad", argv);
		r = -errno;
	}
	if (r == -ENOENT)
		fputs("aquila record: aquilad, the program that records, is neither beside aquila nor in PATH: "
		      "install or build it\n",
		      stderr);
	else
		fprintf(stderr, "aquila record: aquilad can't be executed: %s\n", strerror(-r));
	return AQ_EXIT_ERROR;
}

const struct aq_command aq_cmd_record = {
	.name = "record",
	.summary = "record this host or one command (runs aquilad)",
	.help = help_text,
	.run_raw = record,
};
