/* Digits and separators at fixed places; the fraction counts to the millisecond. */
#include "operator/kube/kube_time.h"

#include <stddef.h>
#include <time.h>

/* Digits of a fixed width; -1: none. */
static int digits(const char **at, int width) {
    int value = 0;
    for (int i = 0; i < width; i++, (*at)++) {
        if (**at < '0' || **at > '9') {
            return -1;
        }
        value = 10 * value + (**at - '0');
    }
    return value;
}

/* A number, and the byte behind it ('\0': any). */
static int field(const char **at, int width, char behind) {
    int value = digits(at, width);
    if (value < 0 || (behind != '\0' && **at != behind)) {
        return -1;
    }
    *at += behind != '\0' ? 1 : 0;
    return value;
}

static bool take_fraction(const char **at, int64_t *ret_ms) {
    int64_t scale = 100;
    *ret_ms = 0;
    if (**at != '.') {
        return true;
    }
    (*at)++;
    if (**at < '0' || **at > '9') {
        return false;
    }
    for (; **at >= '0' && **at <= '9'; (*at)++, scale /= 10) {
        *ret_ms += scale * (**at - '0');
    }
    return true;
}

static bool take_zone(const char **at, int64_t *ret_offset_s) {
    char sign = **at;
    *ret_offset_s = 0;
    (*at)++;
    if (sign == 'Z' || sign == 'z') {
        return **at == '\0';
    }
    if (sign != '+' && sign != '-') {
        return false;
    }
    int hours = field(at, 2, ':');
    int minutes = hours < 0 ? -1 : field(at, 2, '\0');
    *ret_offset_s = (sign == '-' ? -1 : 1) * (60 * (int64_t) hours + minutes) * 60;
    return minutes >= 0 && minutes < 60 && hours < 24 && **at == '\0';
}

bool kube_time_parse(const char *text, int64_t *ret_ms) {
    const char *at = text;
    int64_t fraction_ms;
    int64_t offset_s;
    int year = field(&at, 4, '-');
    int month = year < 0 ? -1 : field(&at, 2, '-');
    int day = month < 0 ? -1 : digits(&at, 2);
    if (day < 1 || day > 31 || month < 1 || month > 12 || (*at != 'T' && *at != 't' && *at != ' ')) {
        return false;
    }
    at++;
    int hour = field(&at, 2, ':');
    int minute = hour < 0 ? -1 : field(&at, 2, ':');
    int second = minute < 0 ? -1 : field(&at, 2, '\0');
    if (second < 0 || second > 60 || minute > 59 || hour > 23 || !take_fraction(&at, &fraction_ms) ||
        !take_zone(&at, &offset_s)) {
        return false;
    }
    struct tm parts = {.tm_year = year - 1900,
                       .tm_mon = month - 1,
                       .tm_mday = day,
                       .tm_hour = hour,
                       .tm_min = minute,
                       .tm_sec = second};
    *ret_ms = ((int64_t) timegm(&parts) - offset_s) * 1000 + fraction_ms;
    return true;
}
