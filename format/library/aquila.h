/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that libaquila offers, for C and C++. libaquila(3) says what may be relied on: threads, who owns what,
 * how errors are told, and what stays the same in later versions.
 */
#ifndef AQ_FORMAT_LIBRARY_AQUILA_H
#define AQ_FORMAT_LIBRARY_AQUILA_H

/* outside of extern "C": some of these have C++ in them */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "format/base/err.h"
#include "format/schema/schema.h"
#include "format/segment/event.h"
#include "format/segment/field.h"
#include "format/segment/reader.h"
#include "format/segment/columns.h"
#include "format/segment/key.h"
#include "format/segment/pin.h"
#include "format/segment/evidence.h"
#include "format/segment/writer.h"
#include "format/segment/rewrite.h"
#ifdef __cplusplus
}
#endif

#endif
