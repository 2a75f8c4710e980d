/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a container's fact, whoever tells of it: the members that the documents of all runtimes have in some form, taken
 * within bounds. Of this folder only.
 *
 * Texts that are too long, empty or no UTF-8 count as not there.
 */
#ifndef AQ_FORMAT_FACTS_CONTAINER_MAKER_H
#define AQ_FORMAT_FACTS_CONTAINER_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "format/facts/fact.h"

enum {
	AQ_CM_TEXT_MAX = 1024, AQ_CM_LABELS_MAX = 256, AQ_CM_MOUNTS_MAX = 256, AQ_CM_ENV_MAX = 512, AQ_CM_ID_MAX = 255,
};

struct aq_container_maker {
	aq_fact_sink *sink;
	void *user;
	cJSON *fact;            /* owned: cJSON_Delete at the end */
	bool failed;            /* no memory */
};

/* NULL: object is none, or hasn't got it. Borrowed from the document. */
const cJSON *aq_cm_member(const cJSON *object, const char *name);
const char *aq_cm_text_of(const cJSON *value);
const char *aq_cm_text(const cJSON *object, const char *name);
/* The first of the names, which end with NULL, that has one. */
const char *aq_cm_first_text(const cJSON *object, const char *const names[]);
bool aq_cm_is_utf8(const char *text, size_t n);
/* A time of a document by the boot clock; 0: it is none. */
uint64_t aq_cm_boot_time(const char *value, int64_t real_to_boot_ns);

/* A new fact instead of the last; engine may be NULL. false: no memory. */
bool aq_cm_begin(struct aq_container_maker *m, const char *source, const char *engine);
void aq_cm_put(struct aq_container_maker *m, const char *name, const char *value); /* NULL: nothing is put */
/* Takes the list; an empty one isn't put. */
void aq_cm_put_list(struct aq_container_maker *m, const char *name, cJSON *list);
void aq_cm_put_labels(struct aq_container_maker *m, const cJSON *labels);
/* ["NAME=VALUE"]: the names. */
void aq_cm_put_env(struct aq_container_maker *m, const cJSON *env);
/* Docker's mounts, an array or an object of {Type, Source, Destination, RW}. */
void aq_cm_put_docker_mounts(struct aq_container_maker *m, const cJSON *mounts);
/* Which pod it belongs to, by its annotations or labels. */
void aq_cm_put_pod(struct aq_container_maker *m, const cJSON *notes);
/* The time that is given if it is one, else made_real_ns unless that is 0. */
void aq_cm_put_start(struct aq_container_maker *m, const char *given, uint64_t made_real_ns);
/* Gives it to the sink; without its environment and mounts, then without its labels, until it fits. -ENOMEM, or the sink's. */
int aq_cm_emit(struct aq_container_maker *m, const char *id, uint64_t from_ns, uint64_t to_ns);

#endif
