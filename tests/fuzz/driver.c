/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders named on the command line, so that a corpus is an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rbe");
	if (!f) {
		perror(path);
		return 1;
	}
	size_t size = 0, capacity = 1 << 20;
	uint8_t *data = malloc(capacity);
	while (data && (size += fread(data + size, 1, capacity - size, f)) == capacity) {
		uint8_t *more = realloc(data, capacity *= 2);
		if (!more)
			free(data);
		data = more;
	}
	if (ferror(f)) {
		perror(path);
		free(data);
		data = NULL;
	}
	fclose(f);
	/* a block of just this size, so that AddressSanitizer sees the first byte read beyond it */
	uint8_t *exact = data ? malloc(size ? size : 1) : NULL;
	if (exact) {
		memcpy(exact, data, size);
		/* said first: after a crash the last line names the input */
		printf("%s: %zu bytes\n", path, size);
		fflush(stdout);
		LLVMFuzzerTestOneInput(exact, size);
	}
	free(data);
	free(exact);
	return exact ? 0 : 1;
}

/* Counts into ret_ran the files of a folder, not of those below it; gives how many could not be read. */
static unsigned run_folder(const char *folder, unsigned *ret_ran)
{
	struct dirent **names;
	unsigned bad = 0;
	int count = scandir(folder, &names, NULL, alphasort);
	if (count < 0) {
		perror(folder);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		char *path = NULL;
		if (names[i]->d_name[0] != '.') {
			if (asprintf(&path, "%s/%s", folder, names[i]->d_name) < 0)
				path = NULL;
			bad += !path || run_file(path) ? 1 : 0;
			(*ret_ran)++;
		}
		free(path);
		free(names[i]);
	}
	free(names);
	return bad;
}

int main(int argc, char **argv)
{
	unsigned ran = 0, bad = 0;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			bad += run_folder(argv[i], &ran);
		} else {
			bad += run_file(argv[i]) ? 1 : 0;
			ran++;
		}
	}
	printf("%u inputs, %u unreadable\n", ran, bad);
	return bad || !ran;
}
