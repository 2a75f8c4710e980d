/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila: the program that reads captures. This file finds the subcommand and gives help.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replay/cli.h"

static const struct aq_command *const commands[] = {
	&aq_cmd_record, &aq_cmd_info, &aq_cmd_verify, &aq_cmd_losses, &aq_cmd_index,
	&aq_cmd_query,	&aq_cmd_tree, &aq_cmd_replay, &aq_cmd_fields, &aq_cmd_keygen,
	&aq_cmd_pin,	&aq_cmd_extract, &aq_cmd_enrich, &aq_cmd_recompress, &aq_cmd_salvage,
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void overview(FILE *out)
{
	static const struct {
		const char *title;
		const char *names;
	} groups[] = {
		{ "Record", " record pin " },
		{ "Look at a capture as a whole", " info verify losses index enrich " },
		{ "Ask it", " query tree fields " },
		{ "Send it on", " replay " },
		{ "Protect it", " keygen " },
	};
	char word[32];

	fputs("usage: aquila COMMAND [CAPTURE] [OPTION…]\n"
	      "       aquila help [COMMAND] | --version\n"
	      "\n"
	      "Reads what aquilad recorded: a folder NAME.aquila, or one of its segments. Needs no privileges.\n",
	      out);
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		fprintf(out, "\n%s\n", groups[g].title);
		for (size_t i = 0; i < COMMAND_COUNT; i++) {
			snprintf(word, sizeof(word), " %s ", commands[i]->name);
			if (strstr(groups[g].names, word) != NULL)
				fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
		}
	}
	fputs("\n"
	      "Every answer ends with a verdict on stderr: complete, or what was lost, left out or not recorded.\n"
	      "Exit status: 0 complete, 3 incomplete, 1 error, 2 usage.\n"
	      "\n"
	      "Examples\n"
	      "  sudo aquila record -o web.aquila --duration 10m\n"
	      "  aquila info web.aquila\n"
	      "  aquila query web.aquila 'evt.type = openat and fd.name startswith /etc' --from -5m\n"
	      "  aquila tree web.aquila\n"
	      "\n"
	      "aquila COMMAND --help says more; so do the manual pages aquila(1), aquila-query(1) …\n",
	      out);
}

static const struct aq_command *find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int no_such(const char *name)
{
	struct aq_err err;

	aq_err_set(&err, -1, "there is no command '%s'", name);
	fprintf(stderr, "aquila: %s\nTry: aquila help\n", err.text);
	return AQ_EXIT_USAGE;
}

static int closed(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fputs("aquila: writing to standard output failed\n", stderr);
	return AQ_EXIT_ERROR;
}

static int help(const struct aq_command *command)
{
	fputs(command->help, stdout);
	return closed(AQ_EXIT_COMPLETE);
}

static int run(const struct aq_command *command, int argc, char **argv)
{
	struct aq_options options;
	struct aq_err err = { 0 };
	int status;

	if (command->run_raw != NULL)
		return command->run_raw(argc, argv);
	if (aq_options_parse(argc, argv, command, &options, &err) < 0)
		status = aq_fail_usage(command->name, &err);
	else if (options.help)
		status = help(command);
	else
		status = command->run(command, &options);
	aq_options_release(&options);
	return status;
}

int main(int argc, char **argv)
{
	const struct aq_command *command;

	signal(SIGPIPE, SIG_IGN); /* a write says EPIPE instead, and the answer ends in good order */
	if (argc < 2) {
		overview(stderr);
		return AQ_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("aquila " AQ_VERSION);
		return closed(AQ_EXIT_COMPLETE);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    (strcmp(argv[1], "help") == 0 && argc == 2)) {
		overview(stdout);
		return closed(AQ_EXIT_COMPLETE);
	}
	if (strcmp(argv[1], "help") == 0) {
		command = find(argv[2]);
		return command != NULL ? help(command) : no_such(argv[2]);
	}
	command = find(argv[1]);
	return command != NULL ? run(command, argc - 1, argv + 1) : no_such(argv[1]);
}
