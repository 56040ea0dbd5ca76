/* SPDX-License-Identifier: MIT */
#include "kit/path.h"

#include <string.h>

static bool is_component(const char *at, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(at, name, len) == 0;
}

/* Length of path's first len bytes without their last component. */
static size_t parent_len(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    return len > 0 ? len - 1 : 0;
}

size_t path_collapse(char *path)
{
    size_t len = 0; /* of the result, which is built over what was read */
    const char *at = path;
    while (*at != '\0') {
        size_t component = strcspn(at, "/");
        if (is_component(at, component, "..")) {
            len = parent_len(path, len);
        } else if (component > 0 && !is_component(at, component, ".")) {
            if (len > 0) path[len++] = '/';
            memmove(path + len, at, component);
            len += component;
        }
        at += component;
        if (*at == '/') at++;
    }
    path[len] = '\0';
    return len;
}

bool path_is_safe(const char *path)
{
    if (strcmp(path, ".") == 0) return true;
    const char *at = path;
    for (;;) {
        size_t component = strcspn(at, "/");
        if (component == 0) return false;
        if (is_component(at, component, ".") || is_component(at, component, "..")) return false;
        at += component;
        if (*at == '\0') return true;
        at++;
    }
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}
