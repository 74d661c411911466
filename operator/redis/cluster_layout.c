/* See cluster_layout.h.
 *
 *   CLUSTER NODES of all pods ─▶ owner of each slot ─▶ place of each pod ─▶ who follows whom from now on
 *
 *   owner     what pods say of themselves counts; for the rest what they say of each other
 *   follows   free pods: to the shards that lack a replica: of their own ordinals, then any
 *             the rest:  kept for shards to come; where none are to come, to those that have fewest
 *             then:      from a shard with too many replicas (its highest ordinal) to one with too few
 *
 * Pods are looked at one after the other, so a view is never of one moment: while slots move, a slot may seem to be of
 * two pods (the later one counts) or of none that says so itself (it changes hands). In such a view, and while a pod is
 * silent or a shard has no owner that answers, nobody is moved whose place is not plain. */
#include "operator/redis/cluster_layout.h"

unsigned cluster_layout_replicas(size_t pods, unsigned shards) {
    unsigned of_shard = shards == 0 ? 0 : (unsigned) pods / shards;
    return of_shard == 0 ? 0 : of_shard - 1;
}

/* ---- owners of slots ---- */

static bool knows(const struct cluster_view *view, size_t pod, const char *id) {
    const struct cluster_node *node = cluster_table_find(&view->pods[pod].table, id);
    return node != NULL && !node->is_handshake;
}

static void claim(struct cluster_layout *self, const struct cluster_view *view, size_t pod, unsigned slot) {
    int other = self->owner[slot];
    if (other >= 0 && self->conflict[0] < 0 && !knows(view, (size_t) other, cluster_view_line(view, pod)->id) &&
        !knows(view, pod, cluster_view_line(view, (size_t) other)->id)) {
        self->conflict[0] = other;
        self->conflict[1] = (int) pod;
        self->conflict_slot = slot;
    }
    self->owner[slot] = (int16_t) pod;
}

static void claim_own(struct cluster_layout *self, const struct cluster_view *view, size_t pod) {
    const struct cluster_node *line = cluster_view_line(view, pod);
    for (size_t r = 0; line != NULL && r < line->n_ranges; r++) {
        const struct cluster_slots *range = &view->pods[pod].table.ranges[line->first_range + r];
        for (unsigned slot = range->first; slot <= range->last; slot++) {
            claim(self, view, pod, slot);
        }
    }
}

static void note_lost(struct cluster_layout *self, const struct cluster_node *node) {
    for (size_t i = 0; i < self->n_lost; i++) {
        if (strcmp(self->lost[i]->id, node->id) == 0) {
            if (node->is_linked && !node->is_failed) {
                self->lost[i] = node; /* somebody sees it alive */
            }
            return;
        }
    }
    if (self->n_lost < LAYOUT_LOST_MAX) {
        self->lost[self->n_lost++] = node;
    }
}

/* What a pod says of another node: counts where nobody claims the slot for itself. */
static void claim_for(struct cluster_layout *self, const struct cluster_view *view, const struct cluster_table *table,
                      const struct cluster_node *node) {
    bool is_pod = cluster_view_find(view, node->id) >= 0;
    for (size_t r = 0; r < node->n_ranges; r++) {
        const struct cluster_slots *range = &table->ranges[node->first_range + r];
        for (unsigned slot = range->first; slot <= range->last; slot++) {
            if (is_pod && self->owner[slot] == LAYOUT_NOBODY) {
                self->owner[slot] = LAYOUT_CHANGING;
            } else if (!is_pod && self->owner[slot] < 0 && self->owner[slot] != LAYOUT_CHANGING) {
                self->owner[slot] = LAYOUT_SOMEBODY;
                note_lost(self, node);
            }
        }
    }
}

static void find_owners(struct cluster_layout *self, const struct cluster_view *view) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        self->owner[slot] = LAYOUT_NOBODY;
    }
    for (size_t i = 0; i < view->n; i++) {
        claim_own(self, view, i);
    }
    for (size_t i = 0; i < view->n; i++) {
        const struct cluster_table *table = &view->pods[i].table;
        for (size_t k = 0; view->pods[i].answers && k < table->n; k++) {
            if (table->nodes[k].n_ranges > 0 && !table->nodes[k].is_myself) {
                claim_for(self, view, table, &table->nodes[k]);
            }
        }
    }
}

static void count_slots(struct cluster_layout *self) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (self->owner[slot] >= 0) {
            self->pods[self->owner[slot]].n_slots++;
        }
        self->unowned += self->owner[slot] == LAYOUT_NOBODY;
        self->changing += self->owner[slot] == LAYOUT_CHANGING;
    }
    self->shards = (unsigned) self->n_lost;
    for (size_t i = 0; i < self->n; i++) {
        self->shards += self->pods[i].n_slots > 0;
    }
    self->is_lost_alive = self->n_lost > 0;
    for (size_t i = 0; i < self->n_lost; i++) {
        self->is_lost_alive &= self->lost[i]->is_linked && !self->lost[i]->is_failed;
    }
}

/* ---- places ---- */

/* Whether a node that is none of the pods that answer serves slots: its replica is its heir. */
static bool is_lost_owner(const struct cluster_layout *self, const char *id) {
    for (size_t i = 0; i < self->n_lost; i++) {
        if (strcmp(self->lost[i]->id, id) == 0) {
            return true;
        }
    }
    return false;
}

static enum layout_place place_of_primary(const struct cluster_layout *self, const struct cluster_node *line,
                                          size_t pod) {
    if (self->pods[pod].n_slots > 0) {
        return LAYOUT_OWNER;
    }
    return line->n_ranges > 0 || line->has_open_slots ? LAYOUT_UNSETTLED : LAYOUT_FREE;
}

/* Along the chain of whom it follows: a primary that was taken over from is a replica itself by now. */
static enum layout_place place_of_replica(struct cluster_layout *self, const struct cluster_view *view, size_t pod) {
    const struct cluster_node *line = cluster_view_line(view, pod);
    int at = cluster_view_find(view, line->primary_id);
    self->pods[pod].follows = (int16_t) at;
    if (at < 0) {
        return is_lost_owner(self, line->primary_id) ? LAYOUT_UNSETTLED : LAYOUT_FREE;
    }
    for (size_t hops = 0; hops < view->n; hops++) {
        const struct cluster_node *primary = cluster_view_line(view, (size_t) at);
        if (primary->is_primary && self->pods[at].n_slots > 0) {
            self->pods[pod].owner = (int16_t) at;
            return LAYOUT_REPLICA;
        }
        if (primary->is_primary) {
            return primary->n_ranges > 0 || primary->has_open_slots || view->pods[at].keys > 0 ? LAYOUT_UNSETTLED
                                                                                               : LAYOUT_FREE;
        }
        int next = cluster_view_find(view, primary->primary_id);
        if (next < 0) {
            return is_lost_owner(self, primary->primary_id) ? LAYOUT_UNSETTLED : LAYOUT_FREE;
        }
        at = next;
    }
    return LAYOUT_FREE; /* they follow each other */
}

static void find_places(struct cluster_layout *self, const struct cluster_view *view) {
    self->is_settled = self->n_lost == 0 && self->unowned == 0 && self->changing == 0;
    for (size_t i = 0; i < view->n; i++) {
        const struct cluster_node *line = cluster_view_line(view, i);
        struct layout_pod *pod = &self->pods[i];
        pod->owner = LAYOUT_NOBODY;
        pod->follows = LAYOUT_NOBODY;
        pod->place = line == NULL       ? LAYOUT_SILENT
                     : line->is_primary ? place_of_primary(self, line, i)
                                        : place_of_replica(self, view, i);
        pod->is_primary = line != NULL && line->is_primary;
        self->is_settled &= pod->place != LAYOUT_SILENT && pod->place != LAYOUT_UNSETTLED;
    }
}

void cluster_layout_make(struct cluster_layout *self, const struct cluster_view *view) {
    *self = (struct cluster_layout){.n = view->n, .conflict = {LAYOUT_NOBODY, LAYOUT_NOBODY}};
    find_owners(self, view);
    count_slots(self);
    find_places(self, view);
}

/* ---- who follows whom ---- */

struct assigning {
    const struct cluster_layout *layout;
    unsigned shards; /* wanted */
    unsigned wanted; /* replicas of each */
    int16_t *follows;
    int16_t shard[CLUSTER_PODS_MAX];     /* the owner of the shard that it will be of; LAYOUT_NOBODY: free still */
    uint16_t replicas[CLUSTER_PODS_MAX]; /* of each owner's shard, as it will be */
    bool is_followed[CLUSTER_PODS_MAX];  /* free, and by free ones */
};

static void send_to(struct assigning *self, size_t pod, size_t owner) {
    if (self->shard[pod] >= 0) {
        self->replicas[self->shard[pod]]--;
    }
    self->shard[pod] = (int16_t) owner;
    self->replicas[owner]++;
    self->follows[pod] = (int16_t) owner;
}

static bool is_owner(const struct assigning *self, size_t pod) {
    return self->layout->pods[pod].place == LAYOUT_OWNER;
}

static bool is_free(const struct assigning *self, size_t pod) {
    return self->layout->pods[pod].place == LAYOUT_FREE && self->shard[pod] < 0;
}

static void begin(struct assigning *self) {
    for (size_t i = 0; i < self->layout->n; i++) {
        const struct layout_pod *pod = &self->layout->pods[i];
        self->follows[i] = LAYOUT_STAYS;
        self->shard[i] = LAYOUT_NOBODY;
        if (pod->place == LAYOUT_REPLICA) {
            self->shard[i] = pod->owner;
            self->replicas[pod->owner]++;
            self->follows[i] = pod->follows == pod->owner ? LAYOUT_STAYS : pod->owner;
        }
        if (pod->place == LAYOUT_FREE && pod->follows >= 0) {
            self->is_followed[pod->follows] = true;
        }
    }
}

/* The shard that lacks a replica and whose ordinals this pod's is one of; or any that lacks one. */
static int lacking(const struct assigning *self, size_t pod, bool of_its_ordinals) {
    for (size_t i = 0; i < self->layout->n; i++) {
        if (is_owner(self, i) && self->replicas[i] < self->wanted &&
            (!of_its_ordinals || i % self->shards == pod % self->shards)) {
            return (int) i;
        }
    }
    return LAYOUT_NOBODY;
}

static void fill(struct assigning *self, bool of_its_ordinals, bool are_followed) {
    for (size_t i = 0; i < self->layout->n; i++) {
        int owner = is_free(self, i) && self->is_followed[i] == are_followed ? lacking(self, i, of_its_ordinals)
                                                                             : LAYOUT_NOBODY;
        if (owner >= 0) {
            send_to(self, i, (size_t) owner);
        }
    }
}

/* ---- free pods that are kept for shards to come ---- */

static int next_spare(const struct assigning *self, const bool *is_spare, bool is_followed) {
    for (size_t i = 0; i < self->layout->n; i++) {
        if (is_free(self, i) && self->layout->pods[i].is_primary && !is_spare[i] &&
            self->is_followed[i] == is_followed) {
            return (int) i;
        }
    }
    return LAYOUT_NOBODY;
}

static int least_followed(const struct assigning *self, const bool *is_among, const uint16_t *replicas) {
    int least = LAYOUT_NOBODY;
    for (size_t i = 0; i < self->layout->n; i++) {
        if (is_among[i] && (least < 0 || replicas[i] < replicas[least])) {
            least = (int) i;
        }
    }
    return least;
}

static unsigned keep_spares(struct assigning *self, unsigned missing) {
    bool is_spare[CLUSTER_PODS_MAX] = {false};
    uint16_t replicas[CLUSTER_PODS_MAX] = {0};
    unsigned kept = 0;
    while (kept < missing) {
        int spare = next_spare(self, is_spare, true);
        spare = spare < 0 ? next_spare(self, is_spare, false) : spare;
        if (spare < 0) {
            break;
        }
        is_spare[spare] = true;
        kept++;
    }
    for (size_t i = 0; i < self->layout->n; i++) {
        int followed = self->layout->pods[i].follows;
        if (followed >= 0 && is_free(self, i) && is_spare[followed]) {
            replicas[followed]++;
        }
    }
    for (size_t i = 0; i < self->layout->n; i++) {
        int followed = self->layout->pods[i].follows;
        if (!is_free(self, i) || is_spare[i] || (followed >= 0 && is_spare[followed])) {
            continue;
        }
        int spare = least_followed(self, is_spare, replicas);
        if (spare >= 0) {
            replicas[spare]++;
            self->follows[i] = (int16_t) spare;
        }
    }
    return kept;
}

/* ---- more than are wanted, and fewer ---- */

static void give_the_rest(struct assigning *self) {
    bool owners[CLUSTER_PODS_MAX] = {false};
    for (size_t i = 0; i < self->layout->n; i++) {
        owners[i] = is_owner(self, i);
    }
    for (size_t i = 0; i < self->layout->n; i++) {
        int owner = is_free(self, i) ? least_followed(self, owners, self->replicas) : LAYOUT_NOBODY;
        if (owner >= 0) {
            send_to(self, i, (size_t) owner);
        }
    }
}

static void balance(struct assigning *self) {
    for (size_t i = self->layout->n; i > 0; i--) {
        int16_t from = self->shard[i - 1];
        int to = lacking(self, i - 1, false);
        if (to >= 0 && from >= 0 && self->replicas[from] > self->wanted) {
            send_to(self, i - 1, (size_t) to);
        }
    }
}

void cluster_layout_assign(const struct cluster_layout *self, const struct cluster_view *view,
                           int16_t ret_follows[CLUSTER_PODS_MAX], unsigned *ret_spares) {
    struct assigning assigning = {.layout = self,
                                  .shards = view->shards,
                                  .wanted = cluster_layout_replicas(view->n, view->shards),
                                  .follows = ret_follows};
    unsigned missing = view->shards > self->shards ? view->shards - self->shards : 0;
    *ret_spares = 0;
    begin(&assigning);
    if (missing > 0 && !self->is_settled) {
        return;
    }
    fill(&assigning, true, false);
    fill(&assigning, false, false);
    fill(&assigning, false, true);
    if (missing > 0) {
        *ret_spares = keep_spares(&assigning, missing);
    }
    if (*ret_spares == 0 && self->is_settled) {
        give_the_rest(&assigning);
    }
    if (self->is_settled) {
        balance(&assigning);
    }
}

/* ---- names and spares ---- */

static int owner_of(const struct cluster_layout *self, size_t pod) {
    return self->pods[pod].place == LAYOUT_OWNER ? (int) pod : self->pods[pod].owner;
}

int cluster_layout_shard_number(const struct cluster_layout *self, size_t pod) {
    int wanted = owner_of(self, pod);
    bool is_counted[CLUSTER_PODS_MAX] = {false};
    int number = 0;
    for (size_t i = 0; i < self->n && wanted >= 0; i++) {
        int owner = owner_of(self, i);
        if (owner == wanted) {
            return number;
        }
        if (owner >= 0 && !is_counted[owner]) {
            is_counted[owner] = true;
            number++;
        }
    }
    return LAYOUT_NOBODY;
}

static unsigned well_replicas(const struct cluster_table *table, const char *id) {
    unsigned n = 0;
    for (size_t i = 0; i < table->n; i++) {
        n += !table->nodes[i].is_failed && !table->nodes[i].is_handshake && strcmp(table->nodes[i].primary_id, id) == 0;
    }
    return n;
}

bool cluster_table_is_spare(const struct cluster_table *table, size_t pods, unsigned shards) {
    const struct cluster_node *myself = cluster_table_myself(table);
    size_t slots = 0;
    unsigned owners = 0;
    if (myself == NULL || !myself->is_primary || myself->n_ranges > 0) {
        return false;
    }
    for (size_t i = 0; i < table->n; i++) {
        const struct cluster_node *node = &table->nodes[i];
        if (node->n_ranges > 0) {
            owners++;
            slots += cluster_node_slots(table, node);
            if (well_replicas(table, node->id) < cluster_layout_replicas(pods, shards)) {
                return false;
            }
        }
    }
    return slots == CLUSTER_SLOTS && owners < shards;
}
