/* Judges and cuts JSON (RFC 8259) without building it: what passes is valid JSON in valid UTF-8, within the limits, and
 * is handed out as spans of the original bytes. So payloads travel byte for byte, and everybody agrees on what JSON is.
 * Strict: no byte order mark, no trailing bytes, no comments, no control characters in strings, no lone surrogates,
 * no \u0000 in anything that is decoded as text.
 * Thread: any (no state). */
#ifndef CALLBOARD_BASE_JSON_SCAN_H
#define CALLBOARD_BASE_JSON_SCAN_H

#include "base/bytes.h"

enum json_type {
    JSON_NONE, /* absent */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_limits {
    unsigned depth;  /* arrays and objects inside each other */
    unsigned tokens; /* values and names in all */
    unsigned names;  /* names in one object */
};

/* What clients and backends may send: security.md S22. */
#define JSON_LIMITS_DEFAULT ((struct json_limits){.depth = 32, .tokens = 4096, .names = 64})
/* Payloads are only judged, not looked up: no bound but depth (and their size, by the caller). */
#define JSON_LIMITS_PAYLOAD ((struct json_limits){.depth = 64, .tokens = 0xffffffffU, .names = 0xffffffffU})

enum json_outcome {
    JSON_OK,
    JSON_BAD_SYNTAX,
    JSON_BAD_UTF8,
    JSON_TOO_DEEP,
    JSON_TOO_MANY_TOKENS,
    JSON_TOO_MANY_NAMES,
    JSON_TRAILING_BYTES,
    JSON_EMPTY, /* nothing but white space */
};

struct json_error {
    enum json_outcome outcome;
    size_t offset; /* byte where it was noticed */
};

const char *json_outcome_text(enum json_outcome outcome); /* e.g. "invalid UTF-8" */

/* A value inside text that was judged valid: its exact bytes, without white space around. */
struct json_value {
    enum json_type type;
    struct span text; /* for strings with the quotes */
};

#define JSON_ABSENT ((struct json_value){JSON_NONE, {NULL, 0}})

/* Judges the whole text as one value; on JSON_OK *ret_value is it. `ret_error` may be NULL. */
enum json_outcome json_scan(struct span text, const struct json_limits *limits, struct json_value *ret_value,
                            struct json_error *ret_error);

/* Walks the members of a judged object, or the elements of a judged array, without judging again. */
struct json_iterator {
    struct cursor cursor;
    bool is_object;
};
struct json_iterator json_iterate(struct json_value container); /* of another type: an empty walk */
/* False at the end. For arrays *ret_name is empty. `ret_name` has its quotes. */
bool json_next(struct json_iterator *self, struct json_value *ret_name, struct json_value *ret_value);

/* Is this name (a JSON string with quotes, perhaps with escapes) equal to the plain ASCII text? Case-sensitive. */
bool json_name_is(struct json_value name, const char *text);
/* The member of that name, the last one where it stands twice; JSON_ABSENT without. */
struct json_value json_member(struct json_value object, const char *name);
/* The members of n names in one walk: ret_values[i] is what json_member gives for names[i]. */
void json_members(struct json_value object, const struct span *names, size_t n, struct json_value *ret_values);
/* For tables of names. */
#define JSON_NAME(text)                                                                                                \
    { (const uint8_t *) ("" text), sizeof(text) - 1 }
/* Does any name of this object stand twice (also in another spelling by escapes)? O(n²) within limits.names. */
bool json_has_duplicate_names(struct json_value object);
/* In this value or in anything inside it? Whoever reads the first of two and whoever reads the last must not disagree.
 */
bool json_has_duplicate_names_inside(struct json_value value);

/* Decodes a string value into `out` (appended, without quotes, UTF-8). False: not a string, contains \u0000, or over
 * the limit. */
bool json_decode_string(struct json_value string, struct buffer *out);
/* The string's bytes without a copy, when it has no escape; false otherwise. */
bool json_plain_string(struct json_value string, struct span *ret_text);
/* Exact integers in plain notation (no fraction, no exponent, no -0); false for anything else or out of range. */
bool json_to_u64(struct json_value number, uint64_t *ret_value);
bool json_to_i64(struct json_value number, int64_t *ret_value);
bool json_to_bool(struct json_value value, bool *ret_value);

/* Copies a judged JSON text without the raw line feeds and carriage returns between its tokens (they separate
 * messages in the client protocol); nothing else changes. */
bool json_append_one_line(struct buffer *out, struct span judged);

#endif
