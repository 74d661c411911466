/* What is printed at the end: a line a subject, or JSON, then the verdict with its reasons. */
#include "operator/rehearse/rehearse_parts.h"

#include "operator/manifest/manifest.h"
#include "operator/manifest/manifest_emit.h"

const char *rehearse_act_name(const struct rehearse_call *call) {
    switch (call->act) {
    case REHEARSE_FAILOVER:
        return call->is_crash ? "failover --crash" : "failover";
    case REHEARSE_QUORUM:
        return "quorum";
    case REHEARSE_RESTART:
        return "restart-all";
    case REHEARSE_DRAIN:
        break;
    }
    return "drain";
}

static unsigned long long number(uint64_t value) {
    return (unsigned long long) value;
}

/* ---- text ---- */

static void append_gap(struct buffer *out, const char *what, const struct rehearse_gap *gap, bool has_subscriber) {
    buffer_append_format(out, "  %-24s ", what);
    rehearse_append_time(out, gap->us);
    buffer_append_format(out, " (channel %u", gap->channel);
    if (has_subscriber) {
        buffer_append_format(out, ", subscriber %u", gap->subscriber);
    }
    buffer_append_text(out, ", from ");
    rehearse_append_time(out, gap->from_us);
    buffer_append_text(out, " on)\n");
}

static void print_text(const struct rehearse_call *call, const struct rehearse_account *account,
                       const struct rehearse_verdict *verdict, const char *error) {
    struct buffer *out = call->out;
    buffer_append_format(out, "rehearse %s\n", rehearse_act_name(call));
    buffer_append_format(out, "  %-24s %llu sent, %llu acked, %llu nacked for good, %llu given up without an answer\n",
                         "publications", number(account->sent), number(account->acked), number(account->nacked),
                         number(account->unknown));
    buffer_append_format(out, "  %-24s %llu refused, %llu not answered; each was tried again under its key\n",
                         "tries that failed", number(account->refused_tries), number(account->unanswered_tries));
    buffer_append_format(out, "  %-24s %llu\n", "acked, never delivered", number(account->lost));
    buffer_append_format(out, "  %-24s %llu\n", "acked, gone from history", number(account->gone));
    buffer_append_format(out, "  %-24s %llu twice, %llu out of order, %llu that were refused for good\n", "delivered",
                         number(account->duplicates), number(account->out_of_order), number(account->phantoms));
    append_gap(out, "longest without an ack", &account->ack_gap, false);
    append_gap(out, "longest without delivery", &account->delivery_gap, true);
    buffer_append_format(out, "  %-24s %llu; subscriptions recovered %llu, not recovered %llu\n", "reconnects",
                         number(account->reconnects), number(account->recovered), number(account->unrecovered));
    buffer_append_format(out, "  %-24s ", "as before after");
    if (account->is_whole) {
        rehearse_append_time(out, account->whole_us);
    } else {
        buffer_append_text(out, "not");
    }
    buffer_append_format(out, "\n%s\n", verdict->is_passed && error[0] == '\0' ? "PASS" : "FAIL");
    if (error[0] != '\0') {
        buffer_append_format(out, "  %s\n", error);
    }
    for (size_t i = 0; i < verdict->n; i++) {
        buffer_append_format(out, "  %s\n", verdict->reasons[i]);
    }
}

/* ---- JSON ---- */

static void add(manifest_t *map, const char *name, uint64_t value) {
    manifest_set_int(map, name, (int64_t) value);
}

static void add_gap(manifest_t *top, const char *name, const struct rehearse_gap *gap) {
    manifest_t *map = manifest_add_map(top, name);
    add(map, "ms", gap->us / 1000);
    add(map, "fromMs", gap->from_us / 1000);
    add(map, "channel", gap->channel);
}

static void print_json(const struct rehearse_call *call, const struct rehearse_account *account,
                       const struct rehearse_verdict *verdict, const char *error) {
    manifest_t *top = manifest_map(call->arena);
    manifest_set_text(top, "rehearsal", rehearse_act_name(call));
    manifest_set_text(top, "verdict", verdict->is_passed && error[0] == '\0' ? "PASS" : "FAIL");
    manifest_t *reasons = manifest_add_list(top, "reasons");
    for (size_t i = 0; i < verdict->n; i++) {
        manifest_append_text(reasons, verdict->reasons[i]);
    }
    manifest_set_text_if(top, "error", error);
    add(top, "sent", account->sent);
    add(top, "acked", account->acked);
    add(top, "nacked", account->nacked);
    add(top, "unknown", account->unknown);
    add(top, "refusedTries", account->refused_tries);
    add(top, "unansweredTries", account->unanswered_tries);
    add(top, "turnedAway", account->turned_away);
    add(top, "delivered", account->delivered);
    add(top, "lost", account->lost);
    add(top, "gone", account->gone);
    add(top, "phantoms", account->phantoms);
    add(top, "duplicates", account->duplicates);
    add(top, "outOfOrder", account->out_of_order);
    add(top, "historiesUnread", account->unread);
    add(top, "reconnects", account->reconnects);
    add(top, "recovered", account->recovered);
    add(top, "unrecovered", account->unrecovered);
    add_gap(top, "ackGap", &account->ack_gap);
    add_gap(top, "deliveryGap", &account->delivery_gap);
    manifest_set_bool(top, "isWhole", account->is_whole);
    add(top, "wholeMs", account->whole_us / 1000);
    manifest_append_json(top, call->out);
}

void rehearse_print_report(const struct rehearse_call *call, const struct rehearse_account *account,
                           const struct rehearse_verdict *verdict, const char *error) {
    if (call->is_json) {
        print_json(call, account, verdict, error);
    } else {
        print_text(call, account, verdict, error);
    }
}
