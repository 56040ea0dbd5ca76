/* SPDX-License-Identifier: MIT */
#include "hosts.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kit/glob.h"

enum { ITEM_MAX = 256, V4_BYTES = 4, V6_BYTES = 16 };

struct address {
    uint8_t bytes[V6_BYTES];
    size_t len; /* V4_BYTES or V6_BYTES */
};

static const char separators[] = " \t,";

static bool parse_address(const char *text, struct address *out_address)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct address address = {.len = V4_BYTES};
    if (inet_pton(AF_INET, text, address.bytes) != 1) {
        if (inet_pton(AF_INET6, text, address.bytes) != 1) return false;
        address.len = V6_BYTES;
        if (memcmp(address.bytes, mapped, sizeof mapped) == 0) {
            memmove(address.bytes, address.bytes + sizeof mapped, V4_BYTES);
            address.len = V4_BYTES;
        }
    }
    *out_address = address;
    return true;
}

static void make_mask(struct address *mask, size_t len, unsigned bits)
{
    *mask = (struct address){.len = len};
    for (size_t i = 0; i < len; i++) {
        unsigned here = bits >= 8 ? 8 : bits;
        mask->bytes[i] = (uint8_t)(0xff00u >> here);
        bits -= here;
    }
}

/* "24" or "255.255.255.0", for an address of len bytes. */
static bool parse_mask(const char *text, size_t len, struct address *out_mask)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 3 || text[digits] != '\0') {
        return parse_address(text, out_mask) && out_mask->len == len;
    }
    unsigned bits = 0;
    for (size_t i = 0; i < digits; i++) {
        bits = bits * 10 + (unsigned)(text[i] - '0');
    }
    if (bits > 8 * len) return false;
    make_mask(out_mask, len, bits);
    return true;
}

/* An item that is a network: false if it is something else. Changes item. */
static bool parse_network(char *item, struct address *out_address, struct address *out_mask)
{
    char *slash = strchr(item, '/');
    if (slash != NULL) *slash = '\0';
    bool is_network = parse_address(item, out_address);
    if (is_network && slash == NULL) make_mask(out_mask, out_address->len, 128);
    if (is_network && slash != NULL) {
        is_network = parse_mask(slash + 1, out_address->len, out_mask);
    }
    if (slash != NULL) *slash = '/';
    return is_network;
}

static bool is_in_network(
        const struct address *address, const struct address *network, const struct address *mask)
{
    if (address->len != network->len) return false;
    for (size_t i = 0; i < address->len; i++) {
        if (((address->bytes[i] ^ network->bytes[i]) & mask->bytes[i]) != 0) return false;
    }
    return true;
}

/* Take the next item into item[ITEM_MAX]; false at the end. An over-long item becomes "". */
static bool take_item(const char **at, char *item)
{
    *at += strspn(*at, separators);
    size_t len = strcspn(*at, separators);
    if (len == 0) return false;
    size_t kept = len < ITEM_MAX ? len : 0;
    memcpy(item, *at, kept);
    item[kept] = '\0';
    *at += len;
    return true;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z') *text = (char)(*text | 0x20);
    }
}

static bool name_matches(char *pattern, const char *name)
{
    char lowered[ITEM_MAX];
    size_t len = strlen(name);
    if (len >= sizeof lowered) return false;
    memcpy(lowered, name, len + 1);
    lower(lowered);
    lower(pattern);
    return glob_match_flat(pattern, lowered) == GLOB_MATCHES;
}

bool hosts_match(const char *list, const char *address_text, const char *name)
{
    char item[ITEM_MAX];
    struct address address = {};
    struct address network = {};
    struct address mask = {};
    bool has_address = parse_address(address_text, &address);
    while (take_item(&list, item)) {
        if (parse_network(item, &network, &mask)) {
            if (has_address && is_in_network(&address, &network, &mask)) return true;
            continue;
        }
        if (strchr(item, '/') != NULL) continue;
        if (glob_match_flat(item, address_text) == GLOB_MATCHES) return true;
        if (name != NULL && name_matches(item, name)) return true;
    }
    return false;
}

bool hosts_find_bad_item(const char *list, char *out_item, size_t size)
{
    char item[ITEM_MAX];
    struct address network = {};
    struct address mask = {};
    while (take_item(&list, item)) {
        bool is_bad = item[0] == '\0' || item[0] == '@'
                || (strchr(item, '/') != NULL && !parse_network(item, &network, &mask));
        if (!is_bad) continue;
        size_t len = strlen(item);
        if (size == 0) return true;
        if (len >= size) len = size - 1;
        memcpy(out_item, item, len);
        out_item[len] = '\0';
        return true;
    }
    return false;
}
