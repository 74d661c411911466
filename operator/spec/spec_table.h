/* What a field of the spec is: type, defaults, bounds, effect and help, once, in tables. Reader, `explain`, `schema`,
 * docs/operator.md and the chart's values.schema.json come from them. One file a section: fields_gateway.c and so on.
 * Thread: any (constants). */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_TABLE_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_TABLE_H

#include "base/bytes.h"
#include "operator/spec/spec.h"

enum spec_type {
    SPEC_BOOL,      /* bool: true, false */
    SPEC_COUNT,     /* int64_t: a whole number */
    SPEC_MEMORY,    /* int64_t bytes: 512Mi, 4Gi, 1G */
    SPEC_CPU,       /* int64_t thousandths: 500m, 2, 1.5 */
    SPEC_DURATION,  /* int64_t ms: 500ms, 10s, 5m, 24h, 30d */
    SPEC_TEXT,      /* const char * */
    SPEC_CHOICE,    /* int, index into choices */
    SPEC_TEXT_LIST, /* struct spec_texts */
    SPEC_PAIRS,     /* struct spec_pairs: a map of texts */
    SPEC_ITEM_LIST, /* struct spec_items: a list of maps, read by `items` */
    SPEC_RAW_MAP,   /* spec_raw_t: a map that is passed through */
    SPEC_RAW_LIST,  /* spec_raw_t: a list that is passed through */
};

/* What changing it does to what is running. */
enum spec_effect {
    SPEC_EFFECT_NOTHING,  /* only for this program */
    SPEC_EFFECT_HOT,      /* applied without a restart */
    SPEC_EFFECT_ROLLS,    /* pods are replaced, one after the other */
    SPEC_EFFECT_RECREATE, /* an object has to be deleted and made anew */
    SPEC_EFFECT_DATA,     /* data is at risk */
};

/* What a text must look like; spec_format.h has the patterns. */
enum spec_format {
    SPEC_FORMAT_ANY,
    SPEC_FORMAT_LABEL,      /* RFC 1123 label: ≤ 63 */
    SPEC_FORMAT_NAME,       /* RFC 1123 subdomain: ≤ 253 */
    SPEC_FORMAT_SECRET_KEY, /* a key in a Secret */
    SPEC_FORMAT_REPOSITORY, /* of an image, without tag */
    SPEC_FORMAT_TAG,
    SPEC_FORMAT_DIGEST,
    SPEC_FORMAT_IMAGE,   /* repository with tag or digest */
    SPEC_FORMAT_VERSION, /* 7.2, 1.30.4 */
    SPEC_FORMAT_HOST,    /* a DNS name, maybe *. before it */
    SPEC_FORMAT_HOST_PORT,
    SPEC_FORMAT_REDIS_URL,
    SPEC_FORMAT_ORIGIN, /* https://app.example.com */
    SPEC_FORMAT_CIDR,
    SPEC_FORMAT_CRON,
    SPEC_FORMAT_API,   /* group/version */
    SPEC_FORMAT_CLASS, /* of a controller: a name, maybe with a prefix/ */
    SPEC_FORMAT_WORD,  /* letters, digits, . _ - */
    SPEC_FORMATS,
};

struct spec_fields;

struct spec_field {
    const char *path; /* below spec, dotted: "gateway.replicas"; of an item: below the item */
    enum spec_type type;
    size_t offset;                         /* in struct spec, or in the item's struct */
    const char *by_default;                /* read like input; NULL: none */
    const char *by_profile[SPEC_PROFILES]; /* where a profile has a default of its own */
    int64_t minimum;                       /* of numbers; of the bytes of a text; both 0: unbounded */
    int64_t maximum;
    int64_t items_max;               /* of a list */
    enum spec_format format;         /* of a text, of each text of a list, of each value of pairs */
    const char *const *choices;      /* SPEC_CHOICE: NULL-terminated */
    const struct spec_fields *items; /* SPEC_ITEM_LIST */
    bool is_required;                /* in metadata or in an item */
    bool is_config;                  /* of RAW: checked by the tables of the programs' configurations */
    enum spec_effect effect;
    const char *help;    /* what it does; a sentence or two */
    const char *derived; /* how its value follows from others where it is not set; NULL: it does not */
    const char *changes; /* which lines of which manifests */
};

/* The fields of one section, or of the items of a list. */
struct spec_fields {
    const char *title;
    const char *intro; /* a sentence for the docs */
    const struct spec_field *fields;
    size_t n;
    size_t item_size; /* of an item's struct; 0: these stand in struct spec */
};

extern const struct spec_fields spec_fields_top;
extern const struct spec_fields spec_fields_gateway;
extern const struct spec_fields spec_fields_edge;
extern const struct spec_fields spec_fields_broker;
extern const struct spec_fields spec_fields_redis;
extern const struct spec_fields spec_fields_redis_external;
extern const struct spec_fields spec_fields_security;
extern const struct spec_fields spec_fields_placement;
extern const struct spec_fields spec_fields_operations;
/* metadata.*: their paths do not stand below spec */
extern const struct spec_fields spec_fields_metadata;

/* The sections of spec, in the order of the docs. */
const struct spec_fields *const *spec_sections(size_t *ret_n);
/* By path, "[2]" in it left out: "gateway.listeners.port" and "gateway.listeners[0].port". NULL: none. */
const struct spec_field *spec_find_field(struct span path);
/* Is there a field below it ("gateway", "redis.sentinel")? */
bool spec_is_section(struct span path);

const char *spec_type_name(enum spec_type type); /* for a person: "a whole number" */
const char *spec_effect_name(enum spec_effect effect);
const char *spec_profile_name(int profile);
/* The text that stands for it in this profile; NULL: none. */
const char *spec_default_of(const struct spec_field *field, int profile);

#endif
