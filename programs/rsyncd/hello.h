/* SPDX-License-Identifier: MIT */
/*
 * hello.h - the text phase: greeting, module line, listing, and who may have which module.
 */
#pragma once

#include "seam.h"

struct session;

enum hello_end {
    HELLO_WANTS_MODULE = 0, /* session->module is set and claimed, "@RSYNCD: OK" is on its way */
    HELLO_SERVED = 1,       /* it was a listing, or the client has been told why not */
};

/* enum hello_end, or a negative errno with or without words in session->fault. Suspends. */
SEAM_SUSPENDS int hello_run(struct session *session);
