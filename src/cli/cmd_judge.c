/* cmd_judge.c: `agrl judge`: pairs in, tier, probabilities and (with --explain) verdicts, rule and reason out, one line a pair.
 *
 * With --out, lines go to OUT.partial and the file takes its name when all are there; a run that was stopped goes on behind the
 * last whole line, writes no pair twice and ends with the same bytes. OUT.partial.of says what was being judged by what, so that
 * no run goes on with another's lines. A pipe or a device is written as it is, without going on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/commands.h"
#include "cli/judge_open.h"

enum { CHUNK = 64 };

typedef struct judging {
    ag_judge_setup setup;
    bool explain, pretty;
    FILE *out;
    const char *out_name;
    uint64_t *done; /* hashes of the ids that OUT.partial holds, sorted */
    size_t done_count, done_cap;
    size_t judged;
    size_t hits, looked_up;
} judging;

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_done(const judging *j, const char *id)
{
    uint64_t hash = ag_hash64(id, strlen(id));
    return j->done_count && bsearch(&hash, j->done, j->done_count, sizeof hash, compare_hashes);
}

/* --- output ------------------------------------------------------------------------------------------------------- */

static json_t *line_of(const judging *j, const ag_pair *p, const ag_judgement *d)
{
    const ag_book *book = j->setup.book;
    json_t *line = json_object(), *probabilities = json_object();
    if (j->explain && d->answer) {
        ag_reward_options options;
        ag_verdict verdict;
        ag_str refusal = {0};
        ag_reward_defaults(&options, book);
        ag_verify(book, &p->asked, &p->gold, d->answer, strlen(d->answer), &options, &verdict, &refusal);
        json_t *explained = ag_verdict_to_json(book, &p->asked, &verdict, p->id, ag_str_text(&refusal));
        if (explained) json_object_update(line, explained);
        json_decref(explained);
        ag_str_free(&refusal);
    }
    json_object_set_new(line, "id", json_string(p->id));
    json_object_set_new(line, "tier", json_string(book->tiers[d->tier].id));
    for (int t = 0; t < book->tier_count; t++)
        json_object_set_new(probabilities, book->tiers[t].id, json_real(d->probability[t]));
    json_object_set_new(line, "probabilities", probabilities);
    json_object_set_new(line, "gain", json_real(d->gain));
    if (j->setup.calibrated) json_object_set_new(line, "calibrated", json_true());
    if (j->setup.decision.by != AG_DECIDE_ARGMAX)
        json_object_set_new(line, "decided_by", json_string(ag_decide_names[j->setup.decision.by]));
    json_object_set_new(line, "asked_source",
                        json_string(p->asked.source == AG_ASKED_GIVEN ? "given" : "parsed"));
    return line;
}

static ag_status write_json(const judging *j, const ag_pair *p, const ag_judgement *d, ag_error *err)
{
    ag_str text = {0};
    json_t *line = line_of(j, p, d);
    ag_status status = line ? ag_json_dump(&text, line, err) : ag_fail_memory(err, "judgement");
    ag_str_addc(&text, '\n');
    if (status == AG_OK) status = ag_str_ok(&text, err);
    if (status == AG_OK && fwrite(text.data, 1, text.len, j->out) != text.len)
        status = ag_fail_errno(err, "cannot write", j->out_name);
    json_decref(line);
    ag_str_free(&text);
    return status;
}

static void pretty_verdicts(const ag_book *book, const ag_pair *p, const ag_answer *a)
{
    for (int c = 0; c < book->criterion_count; c++) {
        const ag_criterion *k = &book->criteria[c];
        int entries = k->per_asked ? p->asked.count : 1;
        for (int e = 0; e < entries; e++)
            printf("    %s%s%s: %s\n", k->name, k->per_asked ? " " : "",
                   k->per_asked ? p->asked.entries[e].id : "", k->verdicts[a->verdicts.v[c][e]]);
    }
    if (a->rule >= 0) printf("    rule %s: %s\n", book->rules[a->rule].id, book->rules[a->rule].text);
    if (a->why_len) printf("    why: %.*s\n", (int)a->why_len, a->why);
}

static ag_status write_pretty(const judging *j, const ag_pair *p, const ag_judgement *d)
{
    const ag_book *book = j->setup.book;
    ag_answer answer;
    printf("\"%s\"\n  %s\n  tier %s %s", p->query, p->item.title, book->tiers[d->tier].id,
           book->tiers[d->tier].name);
    if (p->gold.tier >= 0)
        printf(" (%s: %s)", p->gold.tier == d->tier ? "as labelled" : "labelled",
               book->tiers[p->gold.tier].name);
    printf("  ");
    for (int t = 0; t < book->tier_count; t++)
        printf(" %s %.0f%%", book->tiers[t].id, 100 * d->probability[t]);
    printf("\n");
    if (d->answer && ag_answer_parse(book, &p->asked, d->answer, strlen(d->answer), &answer, NULL))
        pretty_verdicts(book, p, &answer);
    printf("\n");
    return AG_OK;
}

/* --- a file of pairs ------------------------------------------------------------------------------------------------ */

/* Judges a chunk and writes the lines that are not there yet. The last digits of a probability may depend on the pairs judged beside
 * it: chunks are cut by position in the input, so that a stopped run ends with the bytes of one that never stopped. Lines are flushed
 * by the chunk, so a chunk of which some lines are there is rare. */
static ag_status judge_chunk(judging *j, ag_pair **pairs, size_t n, ag_error *err)
{
    ag_judge_input inputs[CHUNK];
    bool done[CHUNK];
    size_t missing = 0;
    ag_status status = AG_OK;
    for (size_t i = 0; i < n; i++) missing += !(done[i] = is_done(j, pairs[i]->id));
    if (missing == 0) return AG_OK;
    ag_judgement *out = ag_calloc(n, sizeof *out);
    if (!out) return ag_fail_memory(err, "judgements");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        status = ag_pair_fill_asked(pairs[i], j->setup.lexicon, err);
        inputs[i] = (ag_judge_input){pairs[i]->query, &pairs[i]->item, &pairs[i]->asked, NULL};
    }
    if (status == AG_OK)
        status = ag_setup_run(&j->setup, inputs, n, j->explain ? AG_ANSWER_EXPLAIN : AG_ANSWER_NONE, out,
                              &j->hits, err);
    j->looked_up += n;
    if (status != AG_OK && status != AG_ERR_INTERRUPTED)
        ag_error_prefix(err, "%s to %s", pairs[0]->where, pairs[n - 1]->where);
    for (size_t i = 0; i < n && status == AG_OK; i++)
        if (!done[i])
            status = j->pretty ? write_pretty(j, pairs[i], &out[i]) : write_json(j, pairs[i], &out[i], err);
    if (status == AG_OK && fflush(j->out) != 0) status = ag_fail_errno(err, "cannot write", j->out_name);
    j->judged += missing;
    ag_judgements_free(out, n);
    return status;
}

static ag_status judge_pairs(judging *j, const char *path, ag_progress *bar, ag_error *err)
{
    ag_pairs *in = NULL;
    ag_pair *pairs[CHUNK], *p = NULL;
    size_t n = 0;
    ag_status status = ag_pairs_open(&in, path, j->setup.book, AG_AGGREGATE_GIVEN, true, err);
    do {
        if (status == AG_OK) status = ag_pairs_next(in, &p, err);
        if (status == AG_OK && p) pairs[n++] = p;
        if (status == AG_OK && n > 0 && (n == CHUNK || !p)) {
            status = judge_chunk(j, pairs, n, err);
            for (size_t i = 0; i < n; i++) ag_pair_free(pairs[i]);
            n = 0;
            ag_progress_update(bar, (double)j->judged, NULL);
        }
    } while (status == AG_OK && p);
    for (size_t i = 0; i < n; i++) ag_pair_free(pairs[i]);
    ag_pairs_close(in);
    return status;
}

/* Reads the ids of a partial file and cuts off a line that a kill left unfinished. */
static ag_status read_partial(judging *j, const char *path, ag_error *err)
{
    FILE *f = fopen(path, "rb");
    if (!f) return errno == ENOENT ? AG_OK : ag_fail_errno(err, "cannot open", path);
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    long long whole = 0;
    long number = 0;
    ag_status status = AG_OK;
    while (status == AG_OK && (n = getline(&line, &cap, f)) > 0 && line[n - 1] == '\n') {
        json_t *json = NULL;
        const char *id = NULL;
        status = ag_json_parse(&json, line, (size_t)n - 1, path, ++number, err);
        if (status == AG_OK) status = ag_json_get_string(json, "id", &id, path, err);
        if (status == AG_OK && !id)
            status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: not a judgement; move the file away", path, number);
        if (status == AG_OK && !ag_grow(&j->done, &j->done_cap, j->done_count + 1, sizeof *j->done))
            status = ag_fail_memory(err, "judged ids");
        if (status == AG_OK) j->done[j->done_count++] = ag_hash64(id, strlen(id));
        json_decref(json);
        whole += n;
    }
    free(line);
    fclose(f);
    if (status == AG_OK && truncate(path, whole) != 0) status = ag_fail_errno(err, "cannot cut", path);
    if (j->done_count) qsort(j->done, j->done_count, sizeof *j->done, compare_hashes);
    return status;
}

/* What a partial file's lines came from: another model, book, input or mode would give other lines. */
static ag_status write_origin(const judging *j, const ag_model_choice *choice, const char *in, ag_str *text,
                              ag_error *err)
{
    struct stat st;
    ag_str_addf(text, "model %s\ndtype %s\nrulebook %s\nexplain %d\ninput %s", choice->model, choice->dtype,
                j->setup.book->digest, j->explain, in);
    if (stat(in, &st) == 0 && S_ISREG(st.st_mode)) ag_str_addf(text, " of %lld bytes", (long long)st.st_size);
    ag_str_add(text, "\ncalibration ");
    ag_calibration_digest(text, j->setup.calibrated ? &j->setup.calibration : NULL);
    json_t *decision = ag_decision_to_json(&j->setup.decision, j->setup.book);
    ag_status status = decision ? AG_OK : ag_fail_memory(err, "decision");
    ag_str_add(text, "\ndecision ");
    if (status == AG_OK) status = ag_json_dump(text, decision, err);
    json_decref(decision);
    ag_str_addc(text, '\n');
    return status == AG_OK ? ag_str_ok(text, err) : status;
}

/* Begins the file that names the origin, or compares with the one that an earlier run left. */
static ag_status check_origin(const char *partial, const char *origin, const ag_str *text, ag_error *err)
{
    ag_out *out = NULL;
    char *old = NULL;
    size_t len;
    if (ag_path_exists(partial) && ag_path_exists(origin)) {
        AG_TRY(ag_file_read(origin, 1 << 20, &old, &len, err));
        bool same = strcmp(old, ag_str_text(text)) == 0;
        ag_free(old);
        if (same) return AG_OK;
        return ag_fail(
            err, AG_ERR_USAGE,
            "%s was begun with another model, rulebook, input or option (%s says which); finish that run, or "
            "remove both files",
            partial, origin);
    }
    AG_TRY(ag_out_open(&out, origin, err));
    ag_out_write(out, text->data, text->len);
    return ag_out_commit(out, err);
}

static ag_status open_in_place(judging *j, const char *path, ag_error *err)
{
    j->out = fopen(path, "wb");
    j->out_name = path;
    return j->out ? AG_OK : ag_fail_errno(err, "cannot open", path);
}

static ag_status open_out(judging *j, const char *partial, ag_error *err)
{
    j->out = fopen(partial, "ab");
    j->out_name = partial;
    if (!j->out) return ag_fail_errno(err, "cannot open", partial);
    if (flock(fileno(j->out), LOCK_EX | LOCK_NB) != 0)
        return ag_fail(err, AG_ERR_IO,
                       "%s: another agrl judge is writing it; wait for it or choose another --out", partial);
    AG_TRY(read_partial(j, partial, err));
    if (j->done_count) ag_say("%zu pairs are judged already; going on behind them", j->done_count);
    return AG_OK;
}

/* partial NULL: the file was written in place. */
static ag_status close_out(judging *j, const char *partial, const char *origin, const char *path,
                           ag_error *err)
{
    bool failed = fflush(j->out) != 0 || (partial && fsync(fileno(j->out)) != 0);
    ag_status status = failed ? ag_fail_errno(err, "cannot write", j->out_name) : AG_OK;
    if (fclose(j->out) != 0 && status == AG_OK) status = ag_fail_errno(err, "cannot write", j->out_name);
    j->out = NULL;
    if (status != AG_OK || !partial) return status;
    if (rename(partial, path) != 0) return ag_fail_errno(err, "cannot rename into", path);
    remove(origin);
    return AG_OK;
}

static ag_status judge_into(judging *j, const ag_model_choice *choice, const char *in, const char *out,
                            ag_error *err)
{
    ag_str partial = {0}, origin = {0}, text = {0};
    char *path = NULL;
    bool in_place = false;
    ag_progress bar;
    ag_status status = out ? ag_path_target(&path, &in_place, out, err) : AG_OK;
    if (status == AG_OK && out && !in_place) {
        ag_str_addf(&partial, "%s.partial", path);
        ag_str_addf(&origin, "%s.partial.of", path);
        status = ag_str_ok(&partial, err);
        if (status == AG_OK) status = ag_str_ok(&origin, err);
        if (status == AG_OK) status = write_origin(j, choice, in, &text, err);
        if (status == AG_OK) status = check_origin(partial.data, origin.data, &text, err);
        if (status == AG_OK) status = open_out(j, partial.data, err);
    } else if (status == AG_OK && out) {
        status = open_in_place(j, path, err);
    }
    if (status == AG_OK) {
        ag_progress_begin(&bar, "judging", 0, 0);
        status = judge_pairs(j, in, &bar, err);
        ag_progress_end(&bar, NULL);
    }
    if (status == AG_OK && out)
        status = close_out(j, in_place ? NULL : partial.data, ag_str_text(&origin), path, err);
    else if (out && j->out)
        fclose(j->out);
    ag_str_free(&partial);
    ag_str_free(&origin);
    ag_str_free(&text);
    ag_free(path);
    return status;
}

/* The cache is none of the files that are read and written. */
static ag_status check_cache(const ag_cache_choice *cache, const char *in, const char *out, ag_error *err)
{
    AG_TRY(ag_cache_check(cache, err));
    if (!cache->path) return AG_OK;
    AG_TRY(ag_path_distinct(cache->path, in, err));
    return out && (strcmp(out, cache->path) == 0 || ag_path_same(out, cache->path))
               ? ag_fail(err, AG_ERR_USAGE, "--out and --cache are the same file")
               : AG_OK;
}

static ag_status run(judging *j, const ag_model_choice *choice, const ag_cache_choice *cache,
                     const ag_decide_choice *decide, const char *rules, const char *lexicon, const char *in,
                     const char *out, ag_error *err)
{
    ag_status status = ag_decide_check(decide, err);
    if (status == AG_OK) status = ag_path_out_ready(out, err);
    if (status == AG_OK) status = ag_path_distinct(out, in, err);
    if (status == AG_OK) status = check_cache(cache, in, out, err);
    if (status == AG_OK) status = ag_setup_model(&j->setup, choice, err);
    if (status == AG_OK) status = ag_setup_rules(&j->setup, rules, lexicon, err);
    if (status == AG_OK) status = ag_setup_calibration(&j->setup, decide, err);
    if (status == AG_OK) status = ag_setup_judge(&j->setup, choice, err);
    if (status == AG_OK) status = ag_setup_cache(&j->setup, choice, cache, err);
    if (status == AG_OK) status = judge_into(j, choice, in, out, err);
    if (status == AG_OK && j->setup.cache)
        ag_say("%zu of %zu judgements came from %s", j->hits, j->looked_up, cache->path);
    ag_setup_close(&j->setup);
    ag_free(j->done);
    return status;
}

int ag_cmd_judge(int argc, char **argv)
{
    ag_model_choice choice = AG_MODEL_CHOICE_DEFAULTS;
    ag_decide_choice decide = AG_DECIDE_CHOICE_DEFAULTS;
    judging j = {.out = stdout, .out_name = "standard output"};
    ag_cache_choice cache = AG_CACHE_CHOICE_DEFAULTS;
    const char *rules = NULL, *lexicon = NULL, *out = NULL;
    bool json = false;
    const ag_option options[] = {
        AG_MODEL_OPTIONS(choice),
        {"rules", AG_OPT_STRING, &rules, "BOOK", "the rulebook", 0, 0},
        {"lexicon", AG_OPT_STRING, &lexicon, "FILE",
         "what the parser knows of the catalogue (default: the model's own)", 0, 0},
        AG_CALIBRATION_OPTION(decide),
        AG_DECIDE_OPTIONS(decide, AG_DECIDE_DEFAULT),
        {"explain", AG_OPT_FLAG, &j.explain, NULL, "write verdicts, deciding rule and reason as well", 0, 0},
        {"out", AG_OPT_STRING, &out, "FILE", "write JSONL here; a stopped run goes on where it stopped", 0,
         0},
        AG_CACHE_OPTIONS(cache),
        {"json", AG_OPT_FLAG, &json, NULL, "JSONL on a terminal too", 0, 0},
        {"pretty", AG_OPT_FLAG, &j.pretty, NULL, "for reading, even when not on a terminal", 0, 0},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {"agrl judge --model M --rules BOOK [options] [PAIRS|-]",
                            "Judges pairs: the tier, its probability and the expected gain; with --explain "
                            "the reasoning under the book's grammar.",
                            0, 1};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    ag_error err = {0};
    if (json && j.pretty) {
        ag_fail(&err, AG_ERR_USAGE, "--json and --pretty exclude each other");
        return ag_cli_fail(&err);
    }
    j.pretty = !out && (j.pretty || (!json && isatty(STDOUT_FILENO)));
    return run(&j, &choice, &cache, &decide, rules, lexicon, n ? args[0] : "-", out, &err) == AG_OK
               ? 0
               : ag_cli_fail(&err);
}
