/* Intrusive doubly linked list. A link is embedded in its member; an unlinked link points to itself.
 * Thread: the owner's. */
#ifndef CALLBOARD_BASE_LIST_H
#define CALLBOARD_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *previous;
    struct list_link *next;
};

/* The member that embeds `link` as its field `member`. */
#define list_entry(link, type, member) ((type *) (void *) ((char *) (link) -offsetof(type, member)))

/* Every link of the list; `cursor` must not be removed inside (use list_pop_front for that). */
#define list_for_each(cursor, list)                                                                                    \
    for (struct list_link *cursor = (list)->next; cursor != (list); cursor = cursor->next)

/* As list_for_each, and `cursor` itself may be removed inside. */
#define list_for_each_safe(cursor, list)                                                                               \
    for (struct list_link *cursor = (list)->next, *cursor##_next = cursor->next; cursor != (list);                     \
         cursor = cursor##_next, cursor##_next = cursor->next)

static inline void list_init(struct list_link *self) {
    self->previous = self;
    self->next = self;
}

static inline bool list_is_empty(const struct list_link *self) {
    return self->next == self;
}

/* For members: is it in some list? (A link must have been through list_init.) */
static inline bool list_is_linked(const struct list_link *link) {
    return link->next != link;
}

static inline void list_insert_before(struct list_link *place, struct list_link *link) {
    link->previous = place->previous;
    link->next = place;
    place->previous->next = link;
    place->previous = link;
}

static inline void list_push_back(struct list_link *list, struct list_link *link) {
    list_insert_before(list, link);
}

static inline void list_push_front(struct list_link *list, struct list_link *link) {
    list_insert_before(list->next, link);
}

/* Harmless on a link that is in no list. */
static inline void list_remove(struct list_link *link) {
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* The first link, removed; NULL when empty. */
static inline struct list_link *list_pop_front(struct list_link *list) {
    struct list_link *first = list->next;
    if (first == list) {
        return NULL;
    }
    list_remove(first);
    return first;
}

/* Moves every link of `from` behind those of `list`; `from` is empty afterwards. */
static inline void list_splice_back(struct list_link *list, struct list_link *from) {
    if (list_is_empty(from)) {
        return;
    }
    from->next->previous = list->previous;
    list->previous->next = from->next;
    from->previous->next = list;
    list->previous = from->previous;
    list_init(from);
}

#endif
