/* interleave.c: a log of interleaved lists, read line by line into counts; its preference and tests; see interleave.h. */
#include "eval/interleave.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/pair.h"
#include "eval/resample.h"

const char *const ag_interleave_by_names[AG_BY_COUNT] = {"query", "user", "session"};

/* --- one impression ------------------------------------------------------------------------------------- */

typedef struct impression {
    json_t *json;
    long number;
    char where[512];
    int count; /* of the list */
    int team[AG_INTERLEAVE_RANKS];
    const char *id[AG_INTERLEAVE_RANKS];
    bool clicked[AG_INTERLEAVE_RANKS];
    ag_table positions; /* of ids */
} impression;

static ag_status bad(const impression *im, ag_error *err, const char *what)
{
    return ag_fail(err, AG_ERR_INPUT, "%s: %s", im->where, what);
}

/* A result: {"id": "...", "team": "A"} */
static ag_status read_result(impression *im, const json_t *result, ag_error *err)
{
    const char *id = json_string_value(json_object_get(result, "id"));
    const char *team = json_string_value(json_object_get(result, "team"));
    uint32_t at = (uint32_t)im->count;
    if (!id || !*id)
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: list: result %d must be {\"id\": \"...\", \"team\": \"A\" or \"B\"}", im->where,
                       im->count + 1);
    if (!team || (strcmp(team, "A") != 0 && strcmp(team, "B") != 0))
        return ag_fail(err, AG_ERR_INPUT, "%s: list: the team of result '%.80s' must be \"A\" or \"B\"",
                       im->where, id);
    int added = ag_table_add(&im->positions, ag_table_key(id, strlen(id)), &at);
    if (added < 0) return ag_fail_memory(err, "an impression");
    if (added == 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: list: '%.80s' is at positions %u and %d: keep one of the two",
                       im->where, id, at + 1, im->count + 1);
    im->id[im->count] = id;
    im->team[im->count] = strcmp(team, "B") == 0 ? AG_TEAM_B : AG_TEAM_A;
    im->clicked[im->count++] = false;
    return AG_OK;
}

/* The place in the list that a click names by position (from 1) or by id. */
static ag_status read_click(impression *im, const json_t *click, ag_error *err)
{
    const char *id = json_string_value(click);
    json_int_t position = json_integer_value(click);
    if (!id && !json_is_integer(click))
        return bad(im, err, "clicks: must be positions from 1 or ids of the list");
    int64_t at = -1;
    if (id)
        at = ag_table_find(&im->positions, ag_table_key(id, strlen(id)));
    else if (position >= 1 && position <= im->count)
        at = position - 1;
    if (id && at < 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: clicks: '%.80s' is not in the list", im->where, id);
    if (at < 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: clicks: position %lld, but the list has 1 to %d", im->where,
                       (long long)position, im->count);
    if (im->clicked[at])
        return ag_fail(err, AG_ERR_INPUT, "%s: clicks: '%.80s' twice: a result counts once, name it once",
                       im->where, im->id[at]);
    im->clicked[at] = true;
    return AG_OK;
}

static ag_status read_impression(impression *im, ag_error *err)
{
    size_t i;
    json_t *one;
    const json_t *list = json_object_get(im->json, "list"), *clicks = json_object_get(im->json, "clicks");
    if (!json_is_object(im->json))
        return bad(im, err, "must be an object: {\"query\", \"list\", \"clicks\"}");
    if (!json_is_array(list) || json_array_size(list) == 0)
        return bad(im, err,
                   "'list' must be the results that were shown, [{\"id\": \"...\", \"team\": \"A\"}, ...]");
    if (json_array_size(list) > AG_INTERLEAVE_RANKS)
        return ag_fail(err, AG_ERR_INPUT, "%s: list: more than %d results", im->where, AG_INTERLEAVE_RANKS);
    if (!json_is_array(clicks))
        return bad(im, err, "'clicks' must be a list of positions or ids, [] without clicks");
    json_array_foreach(list, i, one) AG_TRY(read_result(im, one, err));
    json_array_foreach(clicks, i, one) AG_TRY(read_click(im, one, err));
    return AG_OK;
}

/* In each round both teams draw, in an order that a coin gives; a team draws twice only when the other has no result left. */
static bool drafted(const impression *im)
{
    for (int i = 0; i + 1 < im->count; i += 2) {
        if (im->team[i] != im->team[i + 1]) continue;
        for (int k = i + 2; k < im->count; k++)
            if (im->team[k] != im->team[i]) return false;
        return true;
    }
    return true;
}

/* --- the log -------------------------------------------------------------------------------------------- */

/* What the impression is resampled with: the query's group, or a name as it stands. Appends to key. */
static ag_status add_key(ag_str *key, const ag_interleave *log, const impression *im, ag_error *err)
{
    const char *name = ag_interleave_by_names[log->by];
    const json_t *value = json_object_get(im->json, name);
    const char *text = json_string_value(value);
    if (log->by == AG_BY_QUERY) {
        AG_TRY(ag_query_group(key, text, err));
        if (key->len == 0) ag_str_add(key, text); /* nothing but punctuation */
    } else if (text && *text) {
        ag_str_add(key, text);
    } else if (json_is_integer(value)) {
        ag_str_addf(key, "%lld", (long long)json_integer_value(value));
    } else {
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: '%s' must be a name or a whole number, for the interval is over %ss", im->where,
                       name, name);
    }
    return ag_str_ok(key, err);
}

static ag_status group_of(ag_interleave_score **group, ag_interleave *log, const impression *im,
                          ag_error *err)
{
    ag_str key = {0};
    uint32_t at = (uint32_t)log->group_count;
    int added = 0;
    ag_status status = add_key(&key, log, im, err);
    if (status == AG_OK &&
        (log->group_count >= UINT32_MAX ||
         !ag_grow(&log->groups, &log->group_capacity, log->group_count + 1, sizeof *log->groups) ||
         (added = ag_table_add(&log->group_index, ag_table_key(ag_str_text(&key), key.len), &at)) < 0))
        status = ag_fail_memory(err, "groups of impressions");
    if (status == AG_OK && added) log->groups[log->group_count++] = (ag_interleave_score){{0, 0}, 0};
    if (status == AG_OK) *group = &log->groups[at];
    ag_str_free(&key);
    return status;
}

/* An impression may have an id, which must be its own. */
static ag_status check_id(ag_interleave *log, const impression *im, ag_error *err)
{
    const char *id = NULL;
    uint32_t first = (uint32_t)im->number;
    AG_TRY(ag_json_get_string(im->json, "id", &id, im->where, err));
    if (!id) return AG_OK;
    int added = ag_table_add(&log->ids, ag_table_key(id, strlen(id)), &first);
    if (added < 0) return ag_fail_memory(err, "ids of impressions");
    if (added > 0) return AG_OK;
    return ag_fail(err, AG_ERR_INPUT, "%s: impression '%.80s' is in line %u already: keep one of the two",
                   im->where, id, first);
}

static ag_status add(ag_interleave *log, const impression *im, ag_error *err)
{
    ag_interleave_score *group;
    const char *query = json_string_value(json_object_get(im->json, "query"));
    if (!query || !query[strspn(query, " \t\r\n")]) return bad(im, err, "'query' must be the query's text");
    AG_TRY(check_id(log, im, err));
    AG_TRY(group_of(&group, log, im, err));
    size_t clicks[AG_TEAMS] = {0, 0};
    for (int i = 0; i < im->count; i++) {
        int team = im->team[i];
        clicks[team] += im->clicked[i];
        log->ranks[i].shown[team]++;
        log->ranks[i].clicks[team] += im->clicked[i];
    }
    log->impressions++;
    if ((size_t)im->count > log->depth) log->depth = (size_t)im->count;
    if (!drafted(im) && log->not_drafted++ == 0) log->not_drafted_line = im->number;
    if (clicks[AG_TEAM_A] + clicks[AG_TEAM_B] == 0) return AG_OK;
    log->clicked++;
    if (clicks[AG_TEAM_A] == clicks[AG_TEAM_B]) {
        log->total.ties++;
        group->ties++;
    } else {
        int winner = clicks[AG_TEAM_B] > clicks[AG_TEAM_A] ? AG_TEAM_B : AG_TEAM_A;
        log->total.wins[winner]++;
        group->wins[winner]++;
    }
    return AG_OK;
}

static ag_status add_line(ag_interleave *log, impression *im, const char *text, size_t len, ag_error *err)
{
    snprintf(im->where, sizeof im->where, "%.400s:%ld", log->path, im->number);
    im->count = 0;
    ag_status status = ag_json_parse(&im->json, text, len, log->path, im->number, err);
    if (status == AG_OK) status = read_impression(im, err);
    if (status == AG_OK) status = add(log, im, err);
    json_decref(im->json);
    im->json = NULL;
    ag_table_free(&im->positions);
    im->positions = (ag_table){0};
    return status;
}

ag_status ag_interleave_load(ag_interleave *log, const char *path, ag_interleave_by by, ag_error *err)
{
    ag_lines *lines = NULL;
    char *text;
    size_t len;
    *log = (ag_interleave){.texts = {.name = "interleaving logs"}, .by = by};
    impression *im = ag_calloc(1, sizeof *im);
    ag_status status = im ? ag_lines_open(&lines, path, err) : ag_fail_memory(err, "an impression");
    if (status == AG_OK && !(log->path = ag_arena_strdup(&log->texts, ag_lines_path(lines))))
        status = ag_fail_memory(err, "interleaving logs");
    while (status == AG_OK && (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        if (text[strspn(text, " \t\r")] == '\0') continue;
        im->number = ag_lines_number(lines);
        status = add_line(log, im, text, len, err);
    }
    if (status == AG_OK && log->impressions == 0)
        status = ag_fail(err, AG_ERR_INPUT, "%s: empty: no impression", log->path);
    ag_lines_close(lines);
    ag_free(im);
    return status;
}

void ag_interleave_free(ag_interleave *log)
{
    ag_free(log->groups);
    ag_table_free(&log->group_index);
    ag_table_free(&log->ids);
    ag_arena_free(&log->texts);
    *log = (ag_interleave){.path = NULL};
}

/* --- preference and tests ------------------------------------------------------------------------------- */

static double delta(double wins_a, double wins_b, double ties)
{
    double all = wins_a + wins_b + ties;
    return all > 0 ? (wins_a + ties / 2) / all - 0.5 : NAN;
}

double ag_interleave_delta(const ag_interleave_score *score)
{
    return delta((double)score->wins[AG_TEAM_A], (double)score->wins[AG_TEAM_B], (double)score->ties);
}

static double drawn_delta(const ag_interleave *log, const uint32_t *times)
{
    double wins_a = 0, wins_b = 0, ties = 0;
    for (size_t g = 0; g < log->group_count; g++) {
        const ag_interleave_score *group = &log->groups[g];
        wins_a += times[g] * (double)group->wins[AG_TEAM_A];
        wins_b += times[g] * (double)group->wins[AG_TEAM_B];
        ties += times[g] * (double)group->ties;
    }
    return delta(wins_a, wins_b, ties);
}

ag_status ag_interleave_estimate(ag_estimate *estimate, const ag_interleave *log, int draws, uint64_t seed,
                                 ag_error *err)
{
    size_t n = log->group_count, kept;
    *estimate = (ag_estimate){ag_interleave_delta(&log->total), NAN, NAN, NAN, log->clicked, 0};
    AG_TRY(ag_draws_check(draws, n, err));
    for (size_t g = 0; g < n; g++) {
        const ag_interleave_score *group = &log->groups[g];
        estimate->groups += group->wins[AG_TEAM_A] + group->wins[AG_TEAM_B] + group->ties > 0;
    }
    if (estimate->groups < 2) return AG_OK; /* one group says nothing of how much groups differ */
    uint32_t *times = ag_calloc(n, sizeof *times);
    double *samples = ag_calloc((size_t)draws, sizeof *samples);
    ag_status status = times && samples ? AG_OK : ag_fail_memory(err, "bootstrap draws");
    for (int d = 0; d < draws && status == AG_OK; d++) {
        ag_draw_groups(times, n, seed, d);
        samples[d] = drawn_delta(log, times);
    }
    if (status == AG_OK)
        estimate->detectable = ag_detectable_errors * ag_draws_spread(samples, (size_t)draws, &estimate->low,
                                                                      &estimate->high, &kept);
    ag_free(times);
    ag_free(samples);
    return status;
}

double ag_sign_test(size_t a, size_t b)
{
    double n = (double)a + (double)b, k = fmin((double)a, (double)b), sum = 0;
    if (n == 0) return NAN;
    /* From the largest term of the tail downwards, until terms no longer count. */
    double term = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2));
    for (; k >= 0 && term > sum * 1e-17; k--) {
        sum += term;
        term *= k / (n - k + 1);
    }
    return fmin(1, 2 * sum);
}

void ag_share_interval(size_t k, size_t n, double *low, double *high)
{
    const double z = 1.959963984540054, trials = (double)n, share = (double)k / trials;
    double centre = (share + z * z / (2 * trials)) / (1 + z * z / trials);
    double half = z / (1 + z * z / trials) *
                  sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials));
    *low = fmax(0, fmin(share, centre - half)); /* rounding must not exclude the share itself */
    *high = fmin(1, fmax(share, centre + half));
}
