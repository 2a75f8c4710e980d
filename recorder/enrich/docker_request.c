/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question and its answer over a unix socket. Whatever the answer is, there are bounds on its head, its body, its lines
 * and its time.
 */
#include "recorder/enrich/docker_internal.h"

#include <errno.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {"type":["container"],"event":["create","start","die","died","destroy","remove","rename"]}: podman's own word is died */
static const char events_filter[] = "%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22create%22%2C%22start%22%2C%22die%22%2C"
	"%22died%22%2C%22destroy%22%2C%22remove%22%2C%22rename%22%5D%7D";

int aq_docker_request_init(struct aq_docker_request *q, struct aq_docker *d)
{
	q->docker = d;
	q->easy = curl_easy_init();
	aq_buf_init(&q->body, AQ_DOCKER_LINE_MAX);
	return q->easy != NULL ? 0 : -ENOMEM;
}

void aq_docker_request_release(struct aq_docker_request *q)
{
	aq_docker_request_end(q);
	if (q->easy != NULL)
		curl_easy_cleanup(q->easy);
	aq_buf_release(&q->body);
}

void aq_docker_blame(struct aq_docker_request *q, const char *format, ...)
{
	va_list args;

	if (q->reason[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(q->reason, sizeof(q->reason), format, args);
	va_end(args);
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
	struct aq_docker_request *q = user;
	size_t n = size * count;
	long status = 0;

	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	q->body_bytes += n;
	if (status != 200) /* what it says besides is of no use, and not for our files */
		return q->body_bytes < AQ_DOCKER_LINE_MAX ? n : CURL_WRITEFUNC_ERROR;
	if (q->question == AQ_DOCKER_LIST || q->question == AQ_DOCKER_EVENTS)
		return aq_docker_feed_data(q->feed, q, data, n) ? n : CURL_WRITEFUNC_ERROR;
	aq_buf_put(&q->body, data, n);
	if (!q->body.failed)
		return n;
	aq_docker_blame(q, "an answer of more than %d MiB", AQ_DOCKER_LINE_MAX >> 20);
	return CURL_WRITEFUNC_ERROR;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	struct aq_docker_request *q = user;
	size_t n = size * count;

	(void)data;
	q->head_bytes += n;
	if (q->head_bytes <= AQ_DOCKER_HEAD_MAX)
		return n;
	aq_docker_blame(q, "an answer whose head doesn't end");
	return CURL_WRITEFUNC_ERROR;
}

static int set_url(struct aq_docker_request *q, const char *detail)
{
	char url[640];
	int n;

	switch (q->question) {
	case AQ_DOCKER_VERSION:
		n = snprintf(url, sizeof(url), "http://localhost/version");
		break;
	case AQ_DOCKER_LIST:
		n = snprintf(url, sizeof(url), "http://localhost/containers/json?all=1");
		break;
	case AQ_DOCKER_EVENTS:
		n = snprintf(url, sizeof(url), "http://localhost/events?since=%s&filters=%s", detail, events_filter);
		break;
	case AQ_DOCKER_INSPECT: /* an id has no character that means anything in a path */
		n = snprintf(url, sizeof(url), "http://localhost/containers/%s/json", detail);
		break;
	default:
		n = snprintf(url, sizeof(url), "http://localhost/images/%s/json", detail);
		break;
	}
	if (n < 0 || (size_t)n >= sizeof(url))
		return -EINVAL;
	return curl_easy_setopt(q->easy, CURLOPT_URL, url) == CURLE_OK ? 0 : -ENOMEM;
}

int aq_docker_request_begin(struct aq_docker_request *q, struct aq_docker_feed *f, enum aq_docker_question question, const char *detail)
{
	long stall_ms = (long)(q->docker->stall_ns / 1000000);

	curl_easy_reset(q->easy);
	aq_buf_reset(&q->body);
	q->feed = f;
	q->question = question;
	q->head_bytes = q->body_bytes = 0;
	q->reason[0] = '\0';
	q->line_ns = 0;
	q->started_ns = aq_docker_now_ns(CLOCK_MONOTONIC);
	if (set_url(q, detail) < 0 || curl_easy_setopt(q->easy, CURLOPT_UNIX_SOCKET_PATH, f->path) != CURLE_OK)
		return -ENOMEM;
	curl_easy_setopt(q->easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(q->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(q->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(q->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(q->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(q->easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(q->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(q->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(q->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(q->easy, CURLOPT_USERAGENT, "aquilad/" AQ_VERSION);
	curl_easy_setopt(q->easy, CURLOPT_CONNECTTIMEOUT_MS, stall_ms);
	if (question == AQ_DOCKER_EVENTS) { /* they have no end: who floods us with them may not take a processor */
		curl_easy_setopt(q->easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)AQ_DOCKER_SPEED);
		curl_easy_setopt(q->easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(q->easy, CURLOPT_FORBID_REUSE, 1L);
	} else {
		curl_easy_setopt(q->easy, CURLOPT_TIMEOUT_MS, question == AQ_DOCKER_LIST ? 3 * stall_ms : stall_ms);
	}
	curl_easy_setopt(q->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(q->easy, CURLOPT_WRITEDATA, q);
	curl_easy_setopt(q->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(q->easy, CURLOPT_HEADERDATA, q);
	curl_easy_setopt(q->easy, CURLOPT_PRIVATE, q);
	if (curl_multi_add_handle(q->docker->multi, q->easy) != CURLM_OK)
		return -ENOMEM;
	q->busy = true;
	return 0;
}

void aq_docker_request_end(struct aq_docker_request *q)
{
	if (q->busy)
		curl_multi_remove_handle(q->docker->multi, q->easy);
	q->busy = false;
}

/* As the system says it, but within a sentence. */
static void blame_errno(struct aq_docker_request *q, int code)
{
	const char *text = strerror(code);

	aq_docker_blame(q, "%c%s", tolower((unsigned char)text[0]), text[0] != '\0' ? text + 1 : "");
}

bool aq_docker_request_judge(struct aq_docker_request *q, CURLcode result, long *ret_status)
{
	long status = 0, code = 0;

	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(q->easy, CURLINFO_OS_ERRNO, &code);
	*ret_status = status;
	if (result == CURLE_COULDNT_CONNECT && code != 0)
		blame_errno(q, (int)code);
	else if (result == CURLE_OPERATION_TIMEDOUT)
		aq_docker_blame(q, "the answer doesn't go on");
	else if (status != 0 && status != 200)
		aq_docker_blame(q, "HTTP %ld", status);
	else if (result != CURLE_OK)
		aq_docker_blame(q, "%s", curl_easy_strerror(result));
	return q->reason[0] == '\0';
}

bool aq_docker_request_stalled(const struct aq_docker_request *q)
{
	uint64_t now_ns = aq_docker_now_ns(CLOCK_MONOTONIC), stall_ns = q->docker->stall_ns;
	long status = 0;

	if (!q->busy || q->question != AQ_DOCKER_EVENTS)
		return false; /* curl itself counts their time */
	if (q->line_ns != 0)
		return now_ns - q->line_ns > stall_ns;
	curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
	return status == 0 && now_ns - q->started_ns > stall_ns;
}
