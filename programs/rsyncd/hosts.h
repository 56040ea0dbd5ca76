/* SPDX-License-Identifier: MIT */
/*
 * hosts.h - lists of hosts: addresses, address/bits, address/mask, name patterns. Pure text and
 * numbers; no resolver is asked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether a list (items separated by spaces or commas) contains the host. address is numeric text;
 * name may be NULL. An item that cannot be understood matches nothing. */
bool hosts_match(const char *list, const char *address, const char *name);

/* The first item of list that can never match, copied to out_item (size bytes); false if all can.
 * For warnings. */
bool hosts_find_bad_item(const char *list, char *out_item, size_t size);
