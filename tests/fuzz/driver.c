/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders named on the command line, so that a corpus is an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
	fclose(f);
	if (!data)
		return 1;
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned ran = 0, bad = 0;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) < 0 || !S_ISDIR(st.st_mode)) {
			bad += (unsigned)run_file(argv[i]);
			ran++;
			continue;
		}
		struct dirent **names;
		int count = scandir(argv[i], &names, NULL, alphasort);
		for (int k = 0; k < count; k++) {
			char path[4096];
			snprintf(path, sizeof(path), "%s/%s", argv[i], names[k]->d_name);
			if (names[k]->d_name[0] != '.') {
				bad += (unsigned)run_file(path);
				ran++;
			}
			free(names[k]);
		}
		if (count >= 0)
			free(names);
	}
	printf("%u inputs, %u unreadable\n", ran, bad);
	return bad || !ran;
}
