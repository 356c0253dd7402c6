/* dynamics.c: sums over the lines of a run's logs. */
#include "eval/dynamics.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

/* A number of the step lines, and how it is put together. */
typedef enum fold { MEAN, LARGEST, SUM, LAST } fold;
static const struct {
    const char *key;
    fold fold;
    size_t offset;
} numbers[] = {
    {"reward_sd", MEAN, offsetof(ag_dynamics, reward_sd)},
    {"kl", MEAN, offsetof(ag_dynamics, kl)},
    {"dead_groups", MEAN, offsetof(ag_dynamics, dead_groups)},
    {"guided_share", MEAN, offsetof(ag_dynamics, guided_share)},
    {"grad_norm", LARGEST, offsetof(ag_dynamics, grad_norm)},
    {"sampled_tokens", SUM, offsetof(ag_dynamics, sampled)},
    {"spent", LAST, offsetof(ag_dynamics, spent)},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

typedef struct reading {
    ag_dynamics *d;
    const char *metric, *slice;
    size_t seen[NUMBERS]; /* steps that say the number */
} reading;

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void add_step(reading *r, const json_t *line)
{
    r->d->steps++;
    for (int i = 0; i < NUMBERS; i++) {
        double x = number_of(line, numbers[i].key),
               *to = (double *)(void *)((char *)r->d + numbers[i].offset);
        if (isnan(x)) continue;
        double n = (double)++r->seen[i];
        if (n == 1)
            *to = x;
        else if (numbers[i].fold == MEAN)
            *to += (x - *to) / n;
        else if (numbers[i].fold == LARGEST)
            *to = fmax(*to, x);
        else
            *to = numbers[i].fold == SUM ? *to + x : x;
    }
}

/* The metric over all values of the slice's name but its own, weighted by their pairs. */
static double rest_of(const json_t *slices, const char *slice, const char *metric)
{
    const char *equals = strchr(slice, '='), *key;
    size_t name = equals ? (size_t)(equals - slice) + 1 : strlen(slice);
    double sum = 0, weight = 0;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)slices, key, value)
    {
        double x = number_of(value, metric), n = number_of(value, "n");
        if (strncmp(key, slice, name) != 0 || strcmp(key, slice) == 0 || isnan(x) || !(n > 0)) continue;
        sum += n * x;
        weight += n;
    }
    return weight > 0 ? sum / weight : NAN;
}

static bool add_validation(reading *r, const json_t *line, const json_t *valid)
{
    ag_dynamics *d = r->d;
    const json_t *slices = json_object_get(valid, "slices");
    if (!ag_grow(&d->points, &d->cap, d->count + 1, sizeof *d->points)) return false;
    d->points[d->count++] = (ag_dynamics_point){
        .step = number_of(line, "step"),
        .spent = number_of(line, "spent"),
        .macro_f1 = number_of(valid, "macro_f1"),
        .all = number_of(valid, r->metric),
        .slice = r->slice ? number_of(json_object_get(slices, r->slice), r->metric) : NAN,
        .rest = r->slice ? rest_of(slices, r->slice, r->metric) : NAN,
    };
    return true;
}

static bool add_line(reading *r, const json_t *line)
{
    const json_t *valid = json_object_get(line, "valid");
    if (json_is_object(valid)) return add_validation(r, line, valid);
    add_step(r, line);
    return true;
}

static bool add_seconds(reading *r, const json_t *line)
{
    double seconds = number_of(line, "seconds");
    if (!isnan(seconds)) r->d->seconds = (isnan(r->d->seconds) ? 0 : r->d->seconds) + seconds;
    return true;
}

static ag_status read_lines(reading *r, const char *dir, const char *name,
                            bool (*add)(reading *, const json_t *), ag_error *err)
{
    char *path = ag_path_join(dir, name), *text;
    ag_lines *lines = NULL;
    size_t len;
    ag_status status = path ? AG_OK : ag_fail_memory(err, name);
    if (status == AG_OK && ag_path_exists(path)) status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && lines) {
        json_t *line = NULL;
        status = ag_lines_next(lines, &text, &len, err);
        if (status != AG_OK || !text) break;
        if (len) status = ag_json_parse(&line, text, len, path, ag_lines_number(lines), err);
        if (line && !add(r, line)) status = ag_fail_memory(err, name);
        json_decref(line);
    }
    ag_lines_close(lines);
    ag_free(path);
    return status;
}

ag_status ag_dynamics_read(ag_dynamics *d, const char *dir, const char *metric, const char *slice,
                           ag_error *err)
{
    reading r = {d, metric, slice, {0}};
    *d = (ag_dynamics){.seconds = NAN};
    for (int i = 0; i < NUMBERS; i++) *(double *)(void *)((char *)d + numbers[i].offset) = NAN;
    ag_status status = read_lines(&r, dir, "metrics.jsonl", add_line, err);
    if (status == AG_OK) status = read_lines(&r, dir, "timing.jsonl", add_seconds, err);
    if (status != AG_OK) ag_dynamics_free(d);
    return status;
}

void ag_dynamics_free(ag_dynamics *d)
{
    ag_free(d->points);
    *d = (ag_dynamics){0};
}

int ag_dynamics_collapsed(const ag_dynamics *d)
{
    double best = NAN, last = NAN;
    for (size_t i = 0; i < d->count; i++) {
        if (isnan(d->points[i].macro_f1)) continue;
        last = d->points[i].macro_f1;
        best = isnan(best) ? last : fmax(best, last);
    }
    return isnan(last) ? -1 : last < best - AG_COLLAPSE;
}
