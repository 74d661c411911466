/* See ctl_doctor_parts.h: what was found, for people (the worst first, what is fine only counted) and as JSON. The last
 * line is the verdict. */
#include "tools/ctl_doctor_parts.h"
#include "tools/ctl_terminal.h"

#include <stdio.h>
#include <time.h>

enum { PLACES_MAX = 8 };

static void format_time(char *ret_text, size_t size) {
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(ret_text, size, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static const char *verdict_of(const struct doctor *self) {
    switch (findings_worst(&self->findings)) {
    case FINDING_ERROR:
        return "not ready";
    case FINDING_WARNING:
        return "ready, with warnings";
    case FINDING_UNKNOWN:
        return "ready as far as can be seen";
    case FINDING_NOTE:
    case FINDING_FINE:
    case FINDING_SEVERITIES:
        break;
    }
    return "ready";
}

/* ---- JSON ---- */

static void report_json(const struct doctor *self) {
    char now[32];
    struct buffer out = BUFFER_EMPTY;
    format_time(now, sizeof now);
    buffer_append_format(&out, "{\"verdict\":\"%s\",\"ready\":%s,\"version\":\"" CALLBOARD_VERSION "\",\"time\":\"%s\"",
                         verdict_of(self), findings_worst(&self->findings) == FINDING_ERROR ? "false" : "true", now);
    buffer_append_text(&out, ",\"counts\":{");
    for (unsigned severity = 0; severity < FINDING_SEVERITIES; severity++) {
        buffer_append_format(&out, "%s\"%s\":%zu", severity == 0 ? "" : ",",
                             finding_severity_text((enum finding_severity) severity),
                             findings_count(&self->findings, (enum finding_severity) severity));
    }
    buffer_append_format(&out, "},\"dropped\":%zu,\"findings\":", self->findings.n_dropped);
    findings_append_json(&self->findings, FINDING_FINE, &out);
    buffer_append_char(&out, '}');
    ctl_print_line(buffer_span(&out));
    buffer_finish(&out);
}

/* ---- text ---- */

static bool is_same(const struct finding *a, const struct finding *b) {
    return a->severity == b->severity && strcmp(a->id, b->id) == 0 && strcmp(a->what, b->what) == 0 &&
           strcmp(a->mend, b->mend) == 0;
}

/* (10.0.0.1:6379, 10.0.0.2:6379): all places with the same finding; `at` is the first of them. */
static void print_places(const struct findings *findings, size_t at) {
    size_t n = 0;
    size_t n_more = 0;
    for (size_t i = at; i < findings->n; i++) {
        if (!is_same(&findings->items[at], &findings->items[i])) {
            continue;
        }
        if (n < PLACES_MAX) {
            printf("%s%s", n == 0 ? "(" : ", ", findings->items[i].where);
            n++;
        } else {
            n_more++;
        }
    }
    if (n_more > 0) {
        printf(" and %zu more", n_more);
    }
    printf(")\n");
}

static void print_finding(const struct findings *findings, size_t at) {
    static const char *const heads[FINDING_SEVERITIES] = {
        [FINDING_FINE] = "fine",       [FINDING_NOTE] = "note",   [FINDING_UNKNOWN] = "UNKNOWN",
        [FINDING_WARNING] = "WARNING", [FINDING_ERROR] = "ERROR",
    };
    static const enum ctl_style styles[FINDING_SEVERITIES] = {
        [FINDING_FINE] = CTL_GREEN,     [FINDING_NOTE] = CTL_BOLD, [FINDING_UNKNOWN] = CTL_YELLOW,
        [FINDING_WARNING] = CTL_YELLOW, [FINDING_ERROR] = CTL_RED,
    };
    const struct finding *finding = &findings->items[at];
    printf("%s%-8s%s %s  ", ctl_style(stdout, styles[finding->severity]), heads[finding->severity],
           ctl_style(stdout, CTL_PLAIN), finding->id);
    print_places(findings, at);
    printf("         %s\n", finding->what);
    if (finding->mend[0] != '\0') {
        printf("         -> %s\n", finding->mend);
    }
}

static bool is_printed(const struct findings *findings, size_t at) {
    for (size_t i = 0; i < at; i++) {
        if (is_same(&findings->items[i], &findings->items[at])) {
            return true;
        }
    }
    return false;
}

static void print_all_of(const struct findings *findings, enum finding_severity severity) {
    for (size_t i = 0; i < findings->n; i++) {
        if (findings->items[i].severity == severity && !is_printed(findings, i)) {
            print_finding(findings, i);
        }
    }
}

static void print_count(size_t n, const char *one, const char *many, bool *is_first) {
    if (n > 0) {
        printf("%s%zu %s", *is_first ? "" : ", ", n, n == 1 ? one : many);
        *is_first = false;
    }
}

static void print_counts(const struct findings *findings) {
    bool is_first = true;
    printf("%zu check%s: ", findings->n, findings->n == 1 ? "" : "s");
    print_count(findings_count(findings, FINDING_ERROR), "error", "errors", &is_first);
    print_count(findings_count(findings, FINDING_WARNING), "warning", "warnings", &is_first);
    print_count(findings_count(findings, FINDING_UNKNOWN), "unknown", "unknown", &is_first);
    print_count(findings_count(findings, FINDING_NOTE), "note", "notes", &is_first);
    print_count(findings_count(findings, FINDING_FINE), "fine", "fine", &is_first);
    printf(".\n");
    if (findings->n_dropped > 0) {
        printf("%zu more are not shown.\n", findings->n_dropped);
    }
}

static void print_verdict(const struct doctor *self) {
    const struct findings *findings = &self->findings;
    enum finding_severity worst = findings_worst(findings);
    const struct finding *first = NULL;
    for (size_t i = 0; i < findings->n && first == NULL; i++) {
        first = findings->items[i].severity == worst ? &findings->items[i] : NULL;
    }
    const char *verdict = verdict_of(self);
    printf("%sVerdict: %c%s", ctl_style(stdout, CTL_BOLD), verdict[0] - 'a' + 'A', verdict + 1);
    if (worst >= FINDING_WARNING && first != NULL) {
        printf("; begin with %s at %s", first->id, first->where);
    }
    printf(".%s\n", ctl_style(stdout, CTL_PLAIN));
}

static void report_text(const struct doctor *self) {
    for (int severity = FINDING_ERROR; severity >= (self->all ? FINDING_FINE : FINDING_NOTE); severity--) {
        print_all_of(&self->findings, (enum finding_severity) severity);
    }
    if (findings_worst(&self->findings) > FINDING_FINE || self->all) {
        printf("\n");
    }
    print_counts(&self->findings);
    print_verdict(self);
}

void doctor_report(const struct doctor *self) {
    (self->json ? report_json : report_text)(self);
}
