/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "seam/net.h"

static int unix_address(const char *path, struct sockaddr_storage *out_address, socklen_t *out_len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0) return -EINVAL;
    if (len >= sizeof address.sun_path) return -ENAMETOOLONG;

    memcpy(address.sun_path, path, len + 1);
    size_t bytes = offsetof(struct sockaddr_un, sun_path) + len + 1;
    if (path[0] == '@') {
        /* The abstract name space: a NUL in front, none behind. */
        address.sun_path[0] = '\0';
        bytes--;
    }
    memcpy(out_address, &address, sizeof address);
    *out_len = (socklen_t)bytes;
    return 0;
}

int seam_address(
        const char *host, int port, struct sockaddr_storage *out_address, socklen_t *out_len)
{
    static const char unix_prefix[] = "unix:";
    if (strncmp(host, unix_prefix, sizeof unix_prefix - 1) == 0) {
        return unix_address(host + sizeof unix_prefix - 1, out_address, out_len);
    }
    if (port < 0 || port > UINT16_MAX) return -EINVAL;

    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out_address, &v4, sizeof v4);
        *out_len = sizeof v4;
        return 0;
    }
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(out_address, &v6, sizeof v6);
        *out_len = sizeof v6;
        return 0;
    }
    return -EINVAL;
}
