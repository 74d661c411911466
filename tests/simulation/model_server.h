/* A simulated Redis: one process with its keys, clients, topics, script cache, and its place in a replication.
 *
 *   bytes of a client ─▶ RESP ─▶ model_command (checks, then the command) ─▶ reply ─▶ output ─▶ network
 *                                        │ what was written: one atomic entry, in the words a replica understands
 *                                        ▼
 *                                log ──with a delay──▶ replicas, which acknowledge; ──▶ "disk", behind it
 *
 * What is true of the real one and matters here is kept: scripts are atomic, replicate by effects, and see expiry and
 * INFO of their server; a replica promoted has a prefix of its primary's log and a new master_replid; a primary demoted
 * keeps its process and its connections; errors of a full memory or disk come before a script's first write. */
#ifndef CALLBOARD_TESTS_SIMULATION_MODEL_SERVER_H
#define CALLBOARD_TESTS_SIMULATION_MODEL_SERVER_H

#include "base/bytes.h"
#include "base/list.h"
#include "tests/simulation/model_store.h"
#include "tests/simulation/sim_network.h"

enum { MODEL_ARGUMENTS_MAX = 4096, MODEL_REPLID = 40, MODEL_TOPICS_MAX = 64 };

/* One atomic change: commands as arrays of spans. */
struct model_command_text {
    size_t n;
    struct span *arguments;
};
struct model_change {
    size_t n;
    struct model_command_text *commands;
};

struct model_client {
    struct list_link link; /* of its server's clients */
    struct model_server *server;
    struct sim_connection *connection;
    struct buffer in;
    struct buffer out; /* of this turn of the server */
    bool is_pubsub;
    bool is_gone;
    size_t n_topics;
    struct {
        struct span name;
        bool is_sharded;
    } topics[MODEL_TOPICS_MAX];
    /* WAIT */
    bool waits;
    uint64_t waits_for;   /* offset */
    uint64_t wait_n;      /* replicas */
    uint64_t wait_number; /* which WAIT its timer belongs to */
    uint64_t written;     /* offset behind its last write */
};

enum model_disk { MODEL_DISK_NONE, MODEL_DISK_EVERYSEC, MODEL_DISK_ALWAYS };

struct model_server {
    int index;
    int group; /* of a cluster; 0 elsewhere */
    char name[24];
    bool is_alive;
    bool is_cluster_like; /* knows SSUBSCRIBE */
    uint64_t still_until_us;
    uint64_t loading_until_us;
    uint64_t busy_until_us;
    int64_t clock_ahead_ms;
    bool is_full;     /* OOM */
    bool disk_failed; /* MISCONF */
    unsigned min_replicas;
    enum model_disk disk;
    uint64_t fsync_us;
    unsigned trim_slack; /* entries that MAXLEN ~ leaves above the asked number, at most */

    struct model_store store;
    struct list_link clients;
    bool knows_script[16]; /* by its number in the world's table of scripts */

    /* replication */
    struct model_server *primary; /* NULL: it is one */
    uint64_t link_number;         /* of its link to the primary; each new one is another */
    bool link_is_up;
    uint64_t link_cut_us;      /* its stream is held back until then */
    uint64_t replica_delay_us; /* at most */
    char replid[MODEL_REPLID + 1];
    char replid2[MODEL_REPLID + 1];
    uint64_t replid2_offset;
    struct model_store base; /* what the log begins with */
    uint64_t base_offset;
    struct model_change **log;
    size_t n_log;
    size_t log_capacity;
    uint64_t acked[SIM_SERVERS];   /* by replica */
    uint64_t shipped_us;           /* to me: nothing comes before what was sent earlier */
    uint64_t fsynced;              /* offset that is on disk */
    uint64_t flushed_us;           /* outputs leave in the order of the fsyncs */
    struct model_change *changing; /* while a command runs */
    bool is_replaying;             /* what a primary or the disk says: nothing is expired for it */
    uint64_t n_reigns;             /* how often it began to be a primary */
    uint64_t taken_over;           /* offset behind the last key that came from another group */
};

struct model_world {
    struct model_server servers[SIM_SERVERS]; /* behind them the Sentinels, which hold no keys */
    int n;
    int n_sentinels;
    /* A primary made this change. */
    void (*on_change)(int server, const struct model_change *change);
    /* A client was answered; a message was published. NULL: nobody writes it down. */
    void (*on_command)(size_t n, const struct span *arguments, struct span reply);
    void (*on_message)(struct span topic, struct span message);
};
extern struct model_world model_world;

/* ---- life (model_server.c) ---- */
void model_begin(int n_servers, int n_sentinels);
void model_end(void);
struct model_client *model_accept(int server, struct sim_connection *connection);
void model_receive(struct model_client *client, struct span bytes);
void model_hang_up(struct model_client *client);
uint64_t model_offset(const struct model_server *self);
int64_t model_wall_ms(const struct model_server *self);
/* Dies. */
void model_kill(struct model_server *self);
/* Comes back with what its disk had: everything written, or only what was synced, or nothing. */
enum model_survival { MODEL_KEEPS_ALL, MODEL_KEEPS_SYNCED, MODEL_KEEPS_NOTHING };
void model_restart(struct model_server *self, enum model_survival survival, uint64_t loading_us);
void model_stand_still(struct model_server *self, uint64_t until_us);
/* One message to one subscriber is lost. */
void model_lose_message(struct model_server *self);
/* Closes the connection of a subscriber as a full output buffer does. */
void model_overflow(struct model_server *self);
/* Runs a command as an administrator. */
void model_run(struct model_server *self, size_t n, const char *const *arguments, struct buffer *ret_reply);

/* ---- replication (model_replication.c) ---- */
void model_new_replid(struct model_server *self);
/* A change was made: into the log, to the replicas. Takes it. */
void model_record(struct model_server *self, struct model_change *change);
void model_follow(struct model_server *self, struct model_server *primary);
/* Is what it has a beginning of what the primary has? */
bool model_shares_history(const struct model_server *self, const struct model_server *primary);
void model_promote(struct model_server *self);
unsigned model_good_replicas(const struct model_server *self);
unsigned model_acked(const struct model_server *self, uint64_t offset);
void model_rebuild(struct model_server *self, uint64_t offset);
void model_apply(struct model_server *self, const struct model_change *change);

/* ---- commands (model_commands.c, model_streams.c) ---- */
struct model_call {
    struct model_server *server;
    struct model_client *client; /* NULL: a replica's or a script's */
    size_t n;
    const struct span *arguments;
    struct buffer *reply;
    bool in_script;
    bool *wrote; /* of the script */
    bool is_replayed;
};
void model_command(struct model_call *call);
/* Appends the command, or these words, to the change under way. */
void model_propagate(struct model_server *self, size_t n, const struct span *arguments);
struct model_change *model_take_change(struct model_server *self);
void model_publish(struct model_server *self, struct span topic, struct span message, bool sharded);
void model_admin_command(struct model_call *call);
void model_admin_begin(void);
void model_stream_command(struct model_call *call, const char *name);
struct model_key *model_find(struct model_server *self, struct span name); /* not where it has expired */
/* WRONGTYPE answered: true. */
bool model_is_other_type(struct model_call *call, const struct model_key *key, enum model_type type);

void reply_error(struct buffer *out, const char *text);
void reply_status(struct buffer *out, const char *text);
void reply_integer(struct buffer *out, int64_t value);
void reply_bulk(struct buffer *out, struct span bytes);
void reply_nil(struct buffer *out);
void reply_array(struct buffer *out, size_t n);

/* ---- scripts (model_script.c, model_struct.c) ---- */
void model_script_begin(void);
void model_script_end(void);
/* EVAL, EVALSHA, SCRIPT */
void model_script_command(struct model_call *call, const char *name);
/* Applied to a script's text before it is compiled: a planted mistake. */
struct model_patch {
    const char *script; /* a text that only this script has */
    const char *find;
    const char *replace;
};
void model_script_patch(const struct model_patch *patches, size_t n);
/* Each pattern of the patches was found in some script? */
bool model_script_patched(void);

#endif
