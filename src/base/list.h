/* SPDX-License-Identifier: MIT */
/*
 * base/list.h - a circular doubly linked list whose links live inside the things it lists.
 *
 * A link that is on no list points at itself, so removing twice is harmless and "is it on a list?"
 * can be asked. An empty list is a link that points at itself. Zeroed memory counts as an empty
 * list, too, so that a list in static memory needs no initialiser.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sm_list {
    struct sm_list *next;
    struct sm_list *prev;
};

#define sm_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void sm_list_init(struct sm_list *link)
{
    link->next = link;
    link->prev = link;
}

static inline bool sm_list_is_empty(const struct sm_list *list)
{
    return list->next == list || list->next == NULL;
}

static inline void sm_list_push_back(struct sm_list *list, struct sm_list *link)
{
    if (list->next == NULL) sm_list_init(list);
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

static inline void sm_list_push_front(struct sm_list *list, struct sm_list *link)
{
    if (list->next == NULL) sm_list_init(list);
    link->next = list->next;
    link->prev = list;
    list->next->prev = link;
    list->next = link;
}

static inline void sm_list_remove(struct sm_list *link)
{
    if (link->next == NULL) return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    sm_list_init(link);
}

/* The first link, left where it is; NULL if there is none. */
static inline struct sm_list *sm_list_first(const struct sm_list *list)
{
    return sm_list_is_empty(list) ? NULL : list->next;
}
