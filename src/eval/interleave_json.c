/* interleave_json.c: what a log of interleaved lists says, as JSON and as tables; see interleave.h. */
#include <math.h>
#include <string.h>

#include "eval/cell.h"
#include "eval/interleave.h"
#include "eval/tally.h"

/* --- JSON ----------------------------------------------------------------------------------------------- */

static json_t *teams_json(const size_t counts[AG_TEAMS])
{
    return json_pack("{s:I, s:I}", "A", (json_int_t)counts[AG_TEAM_A], "B", (json_int_t)counts[AG_TEAM_B]);
}

static json_t *first_json(const ag_interleave *log)
{
    const size_t *first = log->ranks[0].shown;
    double low, high, p = ag_sign_test(first[AG_TEAM_A], first[AG_TEAM_B]);
    ag_share_interval(first[AG_TEAM_A], log->impressions, &low, &high);
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:b}", "A", (json_int_t)first[AG_TEAM_A], "B",
                     (json_int_t)first[AG_TEAM_B], "share",
                     ag_real_json((double)first[AG_TEAM_A] / (double)log->impressions), "low",
                     ag_real_json(low), "high", ag_real_json(high), "p", ag_real_json(p), "fair",
                     p >= AG_INTERLEAVE_UNFAIR);
}

static json_t *ranks_json(const ag_interleave *log)
{
    json_t *list = json_array();
    for (size_t r = 0; r < log->depth && list; r++) {
        json_t *row = json_pack("{s:I, s:o, s:o}", "rank", (json_int_t)r + 1, "shown",
                                teams_json(log->ranks[r].shown), "clicks", teams_json(log->ranks[r].clicks));
        if (json_array_append_new(list, row) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

ag_status ag_interleave_json(json_t **json, const ag_interleave *log, const char *const names[AG_TEAMS],
                             int draws, uint64_t seed, ag_error *err)
{
    ag_estimate estimate;
    size_t clicks[AG_TEAMS] = {0, 0}, wins_a = log->total.wins[AG_TEAM_A],
           wins_b = log->total.wins[AG_TEAM_B];
    *json = NULL;
    AG_TRY(ag_interleave_estimate(&estimate, log, draws, seed, err));
    for (size_t r = 0; r < log->depth; r++)
        for (int t = 0; t < AG_TEAMS; t++) clicks[t] += log->ranks[r].clicks[t];
    *json = json_pack(
        "{s:o, s:{s:o, s:o}, s:I, s:I, s:o, s:o, s:I, s:s, s:o, s:i, s:I, s:{s:I, s:o}, s:o, s:{s:I, s:o}, "
        "s:o}",
        "log", ag_text_json(log->path), "names", "A", ag_text_json(names[AG_TEAM_A]), "B",
        ag_text_json(names[AG_TEAM_B]), "impressions", (json_int_t)log->impressions, "clicked",
        (json_int_t)log->clicked, "clicks", teams_json(clicks), "wins", teams_json(log->total.wins), "ties",
        (json_int_t)log->total.ties, "by", ag_interleave_by_names[log->by], "delta",
        ag_estimate_json(&estimate), "draws", draws, "seed", (json_int_t)(seed & INT64_MAX), "sign_test",
        "decided", (json_int_t)(wins_a + wins_b), "p", ag_real_json(ag_sign_test(wins_a, wins_b)), "first",
        first_json(log), "not_team_draft", "impressions", (json_int_t)log->not_drafted, "line",
        log->not_drafted ? json_integer(log->not_drafted_line) : json_null(), "ranks", ranks_json(log));
    return *json ? AG_OK : ag_fail_memory(err, "interleaving as JSON");
}

/* --- table ---------------------------------------------------------------------------------------------- */

static long long count_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* A share of a whole in 9 columns, "-" of nothing. */
static void share(ag_str *out, double part, double all)
{
    if (all > 0)
        ag_str_addf(out, "%8.1f%%", 100 * part / all);
    else
        ag_cell_add(out, "-", -9);
}

static void team(ag_str *out, const json_t *json, const char *key)
{
    const json_t *wins = json_object_get(json, "wins"), *clicks = json_object_get(json, "clicks");
    ag_str_addf(out, "%s  ", key);
    ag_cell_add(out, json_string_value(json_object_get(json_object_get(json, "names"), key)), 24);
    ag_cell_number(out, json_object_get(wins, key), 9);
    share(out, number_of(wins, key), number_of(json, "clicked"));
    ag_cell_number(out, json_object_get(clicks, key), 9);
    ag_str_addc(out, '\n');
}

static void ranks(ag_str *out, const json_t *rows)
{
    size_t i, last = 0;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const json_t *clicks = json_object_get(row, "clicks");
        if (count_of(clicks, "A") + count_of(clicks, "B") > 0) last = i + 1;
    }
    ag_str_add(out, "\nrank    A shown  clicks   share      B shown  clicks   share\n");
    json_array_foreach(rows, i, row)
    {
        const json_t *shown = json_object_get(row, "shown"), *clicks = json_object_get(row, "clicks");
        if (i >= last && i > 0) break; /* below the last click all rows are alike */
        ag_cell_number(out, json_object_get(row, "rank"), 4);
        for (int t = 0; t < AG_TEAMS; t++) {
            const char *key = t == AG_TEAM_A ? "A" : "B";
            ag_cell_number(out, json_object_get(shown, key), t == AG_TEAM_A ? 11 : 12);
            ag_cell_number(out, json_object_get(clicks, key), 8);
            share(out, number_of(clicks, key), number_of(shown, key));
        }
        ag_str_addc(out, '\n');
    }
}

ag_status ag_interleave_table(ag_str *out, const json_t *json, ag_error *err)
{
    const json_t *delta = json_object_get(json, "delta"), *test = json_object_get(json, "sign_test"),
                 *first = json_object_get(json, "first"), *p = json_object_get(test, "p");
    double clicked = number_of(json, "clicked");
    ag_str_addf(out, "%lld impressions, %lld with clicks\n\n", count_of(json, "impressions"),
                count_of(json, "clicked"));
    ag_str_add(out, "team                            wins    share   clicks\n");
    team(out, json, "A");
    team(out, json, "B");
    ag_cell_add(out, "ties", 27);
    ag_cell_number(out, json_object_get(json, "ties"), 9);
    share(out, number_of(json, "ties"), clicked);
    ag_str_add(out, "\n\npreference delta_AB  ");
    ag_cell_number(out, json_object_get(delta, "value"), 6);
    ag_cell_interval(out, delta);
    ag_str_addf(out, "  over %lld %s groups with clicks; above 0: A is preferred\n",
                count_of(delta, "groups"), json_string_value(json_object_get(json, "by")));
    if (json_is_number(p))
        ag_str_addf(out, "sign test            p = %.3g over %lld impressions that a team won\n",
                    json_number_value(p), count_of(test, "decided"));
    ag_str_addf(out, "first positions      %.1f%% by A, %.1f .. %.1f%s\n", 100 * number_of(first, "share"),
                100 * number_of(first, "low"), 100 * number_of(first, "high"),
                json_is_true(json_object_get(first, "fair")) ? "" : ": no fair coin");
    ranks(out, json_object_get(json, "ranks"));
    return ag_str_ok(out, err);
}
