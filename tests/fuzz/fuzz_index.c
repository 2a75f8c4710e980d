/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_index aq_segment aq_schema aq_base */
/* An index.sqlite of any bytes beside a small segment: asked whether it is current, then built again over it. */
#include "tests/fuzz/craft.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "format/index/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool put_file(const char *folder, const char *name, const void *data, size_t size)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, data, size) == (ssize_t)size;
	if (fd >= 0)
		close(fd);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char folder[] = "/dev/shm/aquila-index-XXXXXX", path[256];
	enum aq_index_state state;
	struct aq_err err;
	struct craft c;
	if (size > 1 << 18 || !mkdtemp(folder))
		return 0;
	craft_begin(&c);
	if (put_file(folder, "segment-000001.aqs", c.file.data, c.file.len) && put_file(folder, "index.sqlite", data, size)) {
		aq_index_check(folder, &state, &err);
		if (aq_index_build(folder, NULL, NULL, &err) < 0 || aq_index_check(folder, &state, &err) < 0 ||
		    state != AQ_INDEX_CURRENT) {
			fprintf(stderr, "the index can't be built again: %s\n", err.text);
			abort();
		}
	}
	aq_buf_release(&c.file);
	static const char *const names[] = { "segment-000001.aqs", "index.sqlite" };
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	return 0;
}
