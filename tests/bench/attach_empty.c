/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds the empty sys_exit program attached until its standard input ends. Prints "attached" when it is.
 * usage: attach_empty OBJECT-FILE
 */
#include <stdio.h>
#include <unistd.h>

#include <bpf/libbpf.h>

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: attach_empty OBJECT-FILE\n");
		return 2;
	}
	struct bpf_object *object = bpf_object__open(argv[1]);
	if (!object || bpf_object__load(object) != 0) {
		fprintf(stderr, "attach_empty: could not load '%s'\n", argv[1]);
		return 1;
	}
	struct bpf_program *program = bpf_object__find_program_by_name(object, "empty");
	struct bpf_link *link = program ? bpf_program__attach(program) : NULL;
	if (!link) {
		fprintf(stderr, "attach_empty: could not attach\n");
		bpf_object__close(object);
		return 1;
	}
	puts("attached");
	fflush(stdout);
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	bpf_link__destroy(link);
	bpf_object__close(object);
	return 0;
}
