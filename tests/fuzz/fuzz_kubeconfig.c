/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_kube */
/* kubeconfig files that anybody may have written. Relative names lead to a folder that isn't there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/enrich/kube_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aq_kube_access access;
	struct aq_err err = { 0 };

	if (aq_kube_access_parse((const char *)data, size, "/nowhere", &access, &err) == 0) {
		if (access.server == NULL || strchr(access.server, '\n') != NULL)
			abort();
		aq_kube_access_release(&access);
	} else if (err.text[0] == '\0') {
		abort();
	}
	return 0;
}
