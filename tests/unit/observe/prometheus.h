/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prometheus.h - a strict reader of the text format 0.0.4, for tests.
 *
 * Stricter than the format: HELP and TYPE come once and first, all of a family is
 * in one place, no series comes twice, histograms rise up to a bucket +Inf that
 * equals the count. Returns NULL, or what is wrong.
 */
#ifndef NEO_TESTS_PROMETHEUS_H
#define NEO_TESTS_PROMETHEUS_H

#include <neo/bytes.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROMETHEUS_SEEN = 4096 };

struct prometheus {
    const char *at;
    char family[128];
    char type[16];
    char seen[PROMETHEUS_SEEN][512]; /* names of families, and whole series */
    size_t n_seen;
    /* the open histogram */
    char rest[256]; /* its labels but le */
    double last_bound;
    double last_count;
};

static inline const char *prometheus_see(struct prometheus *p, const char *what)
{
    for (size_t i = 0; i < p->n_seen; i++)
        if (strcmp(p->seen[i], what) == 0)
            return "something comes twice";
    if (p->n_seen == PROMETHEUS_SEEN)
        return "the test's table is full";
    (void)snprintf(p->seen[p->n_seen++], sizeof(p->seen[0]), "%s", what);
    return NULL;
}

static inline bool prometheus_take(struct prometheus *p, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(p->at, text, len) != 0)
        return false;
    p->at += len;
    return true;
}

static inline bool prometheus_name(struct prometheus *p, char *ret, size_t size, bool colon)
{
    size_t n = 0;

    while (isalnum((unsigned char)*p->at) || *p->at == '_' || (colon && *p->at == ':')) {
        if (n + 1 == size || (n == 0 && isdigit((unsigned char)*p->at)))
            return false;
        ret[n++] = *p->at++;
    }
    ret[n] = '\0';
    return n > 0;
}

/* HELP and TYPE of a new family. */
static inline const char *prometheus_family(struct prometheus *p)
{
    char again[128];
    const char *wrong;

    if (!prometheus_take(p, "# HELP ") || !prometheus_name(p, p->family, sizeof(p->family), true) ||
        !prometheus_take(p, " "))
        return "no HELP where a family begins";
    for (; *p->at != '\n'; p->at++) {
        if (*p->at == '\0')
            return "HELP is cut";
        if (*p->at == '\\' && *++p->at != '\\' && *p->at != 'n')
            return "a wrong escape in HELP";
    }
    p->at++;
    if (!prometheus_take(p, "# TYPE ") || !prometheus_name(p, again, sizeof(again), true) ||
        strcmp(again, p->family) != 0 || !prometheus_take(p, " ") ||
        !prometheus_name(p, p->type, sizeof(p->type), false) || !prometheus_take(p, "\n"))
        return "no TYPE after HELP";
    if (strcmp(p->type, "counter") != 0 && strcmp(p->type, "gauge") != 0 &&
        strcmp(p->type, "histogram") != 0)
        return "an unknown TYPE";
    wrong = prometheus_see(p, p->family);
    p->rest[0] = '\0';
    p->last_bound = -1;
    return wrong;
}

/* Labels into `ret` without le, whose value goes to `le`. */
static inline const char *prometheus_labels(struct prometheus *p, char *ret, size_t size, char *le)
{
    size_t used = 0;
    char name[64];

    ret[0] = le[0] = '\0';
    if (!prometheus_take(p, "{"))
        return NULL;
    do {
        char value[200];
        size_t n = 0;

        if (!prometheus_name(p, name, sizeof(name), false) || !prometheus_take(p, "=\""))
            return "a malformed label";
        for (; *p->at != '"'; p->at++) {
            if (*p->at == '\0' || *p->at == '\n' || n + 2 >= sizeof(value))
                return "a label's value does not end";
            value[n++] = *p->at;
            if (*p->at == '\\') {
                p->at++;
                if (*p->at != '\\' && *p->at != '"' && *p->at != 'n')
                    return "a wrong escape in a label";
                value[n++] = *p->at;
            }
        }
        value[n] = '\0';
        p->at++;
        if (strcmp(name, "le") == 0)
            (void)snprintf(le, 32, "%.31s", value);
        else
            used += (size_t)snprintf(ret + used, size - used, "%s=%s;", name, value);
        if (used >= size)
            return "the test's room is short";
    } while (prometheus_take(p, ","));
    return prometheus_take(p, "}") ? NULL : "labels do not end";
}

static inline const char *prometheus_bucket(struct prometheus *p, const char *labels,
                                            const char *le, double value)
{
    double bound = strcmp(le, "+Inf") == 0 ? 1e300 : strtod(le, NULL);

    if (le[0] == '\0')
        return "a bucket without le";
    if (p->last_bound < 0 || p->last_bound == 1e300 || strcmp(labels, p->rest) != 0) {
        if (p->last_bound >= 0 && p->last_bound < 1e300)
            return "a histogram without +Inf";
        (void)snprintf(p->rest, sizeof(p->rest), "%s", labels);
        p->last_count = 0;
    } else if (bound <= p->last_bound) {
        return "buckets do not rise";
    }
    if (value < p->last_count)
        return "a bucket holds less than the one before";
    p->last_bound = bound;
    p->last_count = value;
    return NULL;
}

static inline const char *prometheus_sample(struct prometheus *p)
{
    char name[160];
    char labels[256];
    char series[512];
    char le[32];
    char *end;

    if (!prometheus_name(p, name, sizeof(name), true))
        return "a malformed name";
    const char *wrong = prometheus_labels(p, labels, sizeof(labels), le);
    if (wrong != NULL)
        return wrong;
    if (!prometheus_take(p, " ") || isspace((unsigned char)*p->at))
        return "no value";
    double value = strtod(p->at, &end);
    if (end == p->at || *end != '\n')
        return "a malformed value";
    p->at = end + 1;
    (void)snprintf(series, sizeof(series), "%s %s %s", name, labels, le);
    wrong = prometheus_see(p, series);
    if (wrong != NULL)
        return wrong;

    size_t len = strlen(p->family);
    if (strncmp(name, p->family, len) != 0)
        return "a sample outside its family";
    if (strcmp(p->type, "histogram") != 0)
        return name[len] == '\0' && le[0] == '\0' ? NULL : "a sample outside its family";
    if (strcmp(name + len, "_bucket") == 0)
        return prometheus_bucket(p, labels, le, value);
    if (p->last_bound != 1e300 || strcmp(labels, p->rest) != 0)
        return "a histogram without +Inf";
    if (strcmp(name + len, "_count") == 0)
        return value == p->last_count ? NULL : "count and +Inf differ";
    return strcmp(name + len, "_sum") == 0 ? NULL : "a sample outside its family";
}

static inline const char *prometheus_check(const char *text)
{
    static struct prometheus p;

    p = (struct prometheus){.at = text};
    while (*p.at != '\0') {
        const char *wrong = *p.at == '#' ? prometheus_family(&p) : prometheus_sample(&p);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

#endif
