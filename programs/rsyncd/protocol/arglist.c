/* SPDX-License-Identifier: MIT */
#include "protocol/arglist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void arglist_init(struct arglist *list)
{
    *list = (struct arglist){};
    buf_init(&list->bytes, ARGLIST_BYTES_MAX);
}

void arglist_fini(struct arglist *list)
{
    buf_fini(&list->bytes);
    free(list->args);
    arglist_init(list);
}

static int finish(struct arglist *list)
{
    list->args = calloc(list->count + 1, sizeof *list->args);
    if (list->args == NULL) return -ENOMEM;

    char *at = (char *)buf_data(&list->bytes);
    for (size_t i = 0; i < list->count; i++) {
        list->args[i] = at;
        at += strlen(at) + 1;
    }
    list->is_complete = true;
    return 0;
}

/* Bytes of an argument, the last ones if its end was seen. */
static int keep(
        struct arglist *list, const uint8_t *bytes, size_t len, bool is_end, struct fault *fault)
{
    if (is_end && list->count == ARGLIST_COUNT_MAX) {
        return fault_set(fault, -E2BIG, "more than %d arguments", ARGLIST_COUNT_MAX);
    }
    int r = buf_put(&list->bytes, bytes, len);
    if (r == 0 && is_end) r = buf_put_byte(&list->bytes, '\0');
    if (r == -ENOBUFS) {
        return fault_set(fault, -E2BIG, "more than %d bytes of arguments", ARGLIST_BYTES_MAX);
    }
    if (r < 0) return r;
    if (is_end) {
        list->count++;
        list->arg_start = list->bytes.len;
    }
    return 0;
}

int arglist_feed(struct arglist *list, struct cursor *in, struct fault *fault)
{
    while (!list->is_complete && cursor_left(in) > 0) {
        const uint8_t *nul = memchr(in->at, '\0', cursor_left(in));
        size_t len = nul == NULL ? cursor_left(in) : (size_t)(nul - in->at);
        size_t arg_len = list->bytes.len - list->arg_start + len;
        if (arg_len > ARGLIST_ARG_BYTES_MAX) {
            return fault_set(
                    fault, -E2BIG, "an argument is longer than %d bytes", ARGLIST_ARG_BYTES_MAX);
        }
        if (nul != NULL && arg_len == 0) {
            in->at = nul + 1;
            return finish(list);
        }
        int r = keep(list, in->at, len, nul != NULL, fault);
        if (r < 0) return r;
        in->at += len + (nul != NULL);
    }
    return list->is_complete ? 0 : -EAGAIN;
}
