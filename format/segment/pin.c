/* SPDX-License-Identifier: Apache-2.0 */
/* Makes, lists and removes pin files. */
#include "format/segment/pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_id(const char *id)
{
	return strlen(id) == AQ_PIN_ID_BYTES - 1 && strspn(id, "0123456789abcdef") == AQ_PIN_ID_BYTES - 1;
}

/* "KEY NUMBER\n" at *at. */
static bool take_number(const char **at, const char *end, const char *key, uint64_t *ret_value)
{
	size_t n = strlen(key);
	const char *p = *at;
	uint64_t value = 0;
	if ((size_t)(end - p) < n + 2 || memcmp(p, key, n) != 0 || p[n] != ' ')
		return false;
	for (p += n + 1; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	if (p == *at + n + 1 || p == end || *p != '\n')
		return false;
	*at = p + 1;
	*ret_value = value;
	return true;
}

bool aq_pin_parse(const char *text, size_t bytes, struct aq_pin *ret_pin)
{
	static const char note[] = "note ";
	const char *p = text, *end = text + bytes;
	struct aq_pin pin = { 0 };
	uint64_t version;
	if (bytes > AQ_PIN_FILE_MAX || !take_number(&p, end, "aquila-pin", &version) || version != 1 ||
	    !take_number(&p, end, "from", &pin.from_real_ns) || !take_number(&p, end, "to", &pin.to_real_ns) ||
	    !take_number(&p, end, "made", &pin.made_real_ns) || pin.from_real_ns > pin.to_real_ns)
		return false;
	if ((size_t)(end - p) < sizeof(note) || memcmp(p, note, sizeof(note) - 1) != 0)
		return false;
	p += sizeof(note) - 1;
	const char *line = memchr(p, '\n', (size_t)(end - p));
	if (!line || line - p >= AQ_PIN_NOTE_BYTES || memchr(p, '\0', (size_t)(line - p)))
		return false;
	memcpy(pin.note, p, (size_t)(line - p));
	memcpy(pin.id, ret_pin->id, sizeof(pin.id));
	*ret_pin = pin;
	return true;
}

static int write_file(int dir_fd, const char *name, const char *text, size_t bytes)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, bytes);
	int r = n < 0 ? -errno : (size_t)n < bytes ? -ENOSPC : 0;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int aq_pin_make(int dir_fd, struct aq_pin *pin, struct aq_err *err)
{
	char name[40], temporary[40], text[AQ_PIN_FILE_MAX];
	struct aq_pin *pins = NULL;
	size_t count = 0, bad;
	uint64_t id;
	int r = aq_pins_load(dir_fd, &pins, &count, &bad, err);
	free(pins);
	if (r == -E2BIG || (r == 0 && count >= AQ_PINS_MAX))
		return aq_err_set(err, -ENOSPC, "there are %d pins already: remove some", AQ_PINS_MAX);
	if (r < 0)
		return r;
	if (pin->from_real_ns > pin->to_real_ns)
		return aq_err_set(err, -EINVAL, "the pin's window is empty");
	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return aq_err_set(err, -EIO, "no random number for the pin");
	snprintf(pin->id, sizeof(pin->id), "%016" PRIx64, id);
	for (char *p = pin->note; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	snprintf(name, sizeof(name), "pin-%s.txt", pin->id);
	snprintf(temporary, sizeof(temporary), ".pin-%s.new", pin->id);
	int n = snprintf(text, sizeof(text), "aquila-pin 1\nfrom %" PRIu64 "\nto %" PRIu64 "\nmade %" PRIu64 "\nnote %s\n",
			 pin->from_real_ns, pin->to_real_ns, pin->made_real_ns, pin->note);
	r = write_file(dir_fd, temporary, text, (size_t)n);
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir_fd, temporary, 0);
		return aq_err_set(err, r, "the pin could not be made: %s", strerror(-r));
	}
	(void)!fsync(dir_fd); /* not every file system can */
	return 0;
}

int aq_pin_remove(int dir_fd, const char *id, struct aq_err *err)
{
	char name[40];
	if (!is_id(id))
		return aq_err_set(err, -EINVAL, "'%.40s' is no pin's id, which has 16 hexadecimal digits", id);
	snprintf(name, sizeof(name), "pin-%s.txt", id);
	if (unlinkat(dir_fd, name, 0) < 0)
		return aq_err_set(err, -errno, errno == ENOENT ? "there is no pin %s" : "pin %s could not be removed: %s", id,
				  strerror(errno));
	(void)!fsync(dir_fd);
	return 0;
}

static bool read_pin(int dir_fd, const char *name, struct aq_pin *pin)
{
	char text[AQ_PIN_FILE_MAX + 1];
	struct stat st;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof(text)) : -1;
	close(fd);
	return n >= 0 && aq_pin_parse(text, (size_t)n, pin);
}

static int by_time(const void *a, const void *b)
{
	const struct aq_pin *x = a, *y = b;
	return x->from_real_ns != y->from_real_ns ? (x->from_real_ns < y->from_real_ns ? -1 : 1) : strcmp(x->id, y->id);
}

int aq_pins_load(int dir_fd, struct aq_pin **ret_pins, size_t *ret_count, size_t *ret_bad, struct aq_err *err)
{
	struct aq_pin *pins = NULL;
	size_t count = 0, bad = 0;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		r = aq_err_set(err, -errno, "the pins can't be listed: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return r;
	}
	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		struct aq_pin pin = { 0 };
		size_t n = strlen(e->d_name);
		if (n != 4 + 16 + 4 || strncmp(e->d_name, "pin-", 4) != 0 || strcmp(e->d_name + n - 4, ".txt") != 0)
			continue;
		memcpy(pin.id, e->d_name + 4, 16);
		if (!is_id(pin.id) || !read_pin(dir_fd, e->d_name, &pin)) {
			bad++;
			continue;
		}
		struct aq_pin *more = count < AQ_PINS_MAX ? realloc(pins, (count + 1) * sizeof(*pins)) : NULL;
		if (!more) {
			r = count < AQ_PINS_MAX ? aq_err_set(err, -ENOMEM, "out of memory") :
						  aq_err_set(err, -E2BIG, "there are more than %d pins", AQ_PINS_MAX);
			break;
		}
		pins = more;
		pins[count++] = pin;
	}
	closedir(dir);
	if (r < 0) {
		free(pins);
		return r;
	}
	if (count)
		qsort(pins, count, sizeof(*pins), by_time);
	*ret_pins = pins;
	*ret_count = count;
	*ret_bad = bad;
	return 0;
}
