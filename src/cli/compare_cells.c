/* compare_cells.c: opening, checking, training and judging; compare_records.c reads what was judged. */
#include "cli/compare_cells.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/judge_open.h"
#include "cli/pull.h"
#include "eval/tally.h"

/* --- digests ---------------------------------------------------------------------------------------------------- */

static void add_line(ag_str *text, const char *what, const char *value)
{
    ag_str_addf(text, "%s %s\n", what, value);
}

static ag_status text_digest(char hex[65], ag_str *text, ag_error *err)
{
    ag_status status = ag_str_ok(text, err);
    ag_sha256_of(hex, ag_str_text(text), text->len);
    ag_str_free(text);
    return status;
}

static ag_status add_file(ag_str *text, const char *what, const char *path, ag_error *err)
{
    char hex[65] = "none";
    if (*path) AG_TRY(ag_sha256_file(path, hex, err));
    add_line(text, what, hex);
    return AG_OK;
}

static int is_weights(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    if (strcmp(entry->d_name, "calibration.json") == 0) return false; /* no comparison reads it */
    return dot &&
           (strcmp(dot, ".safetensors") == 0 || strcmp(dot, ".gguf") == 0 || strcmp(dot, ".json") == 0);
}

/* Weights, shape, tokenizer and format of the model that a name stands for. */
static ag_status model_digest(char hex[65], const char *name, ag_error *err)
{
    char *path = NULL;
    ag_str text = {0};
    struct dirent **entries = NULL;
    int n = 0;
    ag_status status = ag_model_resolve(name, &path, err);
    if (status == AG_OK && !ag_path_is_dir(path)) {
        status = add_file(&text, "file", path, err);
    } else if (status == AG_OK) {
        n = scandir(path, &entries, is_weights, alphasort);
        if (n < 0) status = ag_fail_errno(err, "cannot read", path);
    }
    for (int i = 0; i < n; i++) {
        char *file = ag_path_join(path, entries[i]->d_name);
        if (status == AG_OK)
            status = file ? add_file(&text, entries[i]->d_name, file, err) : ag_fail_memory(err, "file name");
        ag_free(file);
        free(entries[i]);
    }
    free(entries);
    ag_free(path);
    if (status != AG_OK) {
        ag_str_free(&text);
        return status;
    }
    return text_digest(hex, &text, err);
}

/* What is the same for all cells. */
typedef struct sources {
    char model[65], data[65], judging[65];
} sources;

static ag_status data_digest(char hex[65], const ag_settings *s, ag_error *err)
{
    ag_str text = {0};
    ag_status status = add_file(&text, "train", s->train, err);
    if (status == AG_OK) status = add_file(&text, "pool", s->pool, err);
    if (status == AG_OK) status = add_file(&text, "valid", s->valid, err);
    if (status == AG_OK) status = add_file(&text, "lexicon", s->lexicon, err);
    if (status == AG_OK) return text_digest(hex, &text, err);
    ag_str_free(&text);
    return status;
}

static ag_status find_sources(sources *from, const ag_comparison *c, ag_error *err)
{
    ag_str text = {0};
    AG_TRY(model_digest(from->model, c->base.model, err));
    AG_TRY(data_digest(from->data, &c->base, err));
    ag_str_addf(&text, "checkpoint %s\nlimit %ld\nhinted %zu\naggregate %s\n", c->plan->checkpoint,
                c->plan->limit, c->probes.count, c->base.aggregate);
    ag_status status = add_file(&text, "test", c->plan->test, err);
    if (status == AG_OK) status = add_file(&text, "lexicon", c->base.lexicon, err);
    if (status == AG_OK) return text_digest(from->judging, &text, err);
    ag_str_free(&text);
    return status;
}

/* A row may have data of its own; most have the run file's. */
static bool own_data(const ag_settings *a, const ag_settings *b)
{
    return !ag_streq(a->train, b->train) || !ag_streq(a->pool, b->pool) || !ag_streq(a->valid, b->valid) ||
           !ag_streq(a->lexicon, b->lexicon);
}

static ag_status cell_digests(ag_compare_cell *cell, const ag_comparison *c, const sources *from,
                              ag_error *err)
{
    ag_str text = {0};
    char settings[65], data[65];
    memcpy(data, from->data, sizeof data);
    add_line(&text, "model", from->model);
    add_line(&text, "book", c->book->digest);
    add_line(&text, "dtype", cell->settings.dtype);
    ag_status status = AG_OK;
    if (cell->row) {
        if (own_data(&cell->settings, &c->base)) status = data_digest(data, &cell->settings, err);
        if (status == AG_OK) status = ag_settings_digest(settings, &cell->settings, err);
        add_line(&text, "data", data);
        add_line(&text, "settings", settings);
    }
    memcpy(cell->judging, from->judging, sizeof cell->judging);
    if (status == AG_OK) return text_digest(cell->training, &text, err);
    ag_str_free(&text);
    return status;
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static ag_status load_pairs(ag_comparison *c, ag_error *err)
{
    const ag_compare_plan *plan = c->plan;
    size_t kept = 0;
    AG_TRY(ag_pairs_load(&c->pairs, plan->test, c->book, ag_aggregate_find(c->base.aggregate), err));
    for (size_t i = 0; i < c->pairs.count; i++) {
        ag_pair *p = c->pairs.items[i];
        bool keep = p->gold.tier >= 0 && (plan->limit == 0 || kept < (size_t)plan->limit);
        c->without_gold += p->gold.tier < 0;
        if (keep)
            c->pairs.items[kept++] = p;
        else
            ag_pair_free(p);
    }
    c->pairs.count = kept;
    if (kept == 0) return ag_fail(err, AG_ERR_INPUT, "%s: no pair has a gold tier", plan->test);
    for (size_t i = 0; i < kept; i++) AG_TRY(ag_pair_fill_asked(c->pairs.items[i], c->lexicon, err));
    return ag_copy_probes_make(&c->probes, c->book, &c->pairs, AG_COPY_PAIRS, 0, err);
}

/* Some pair must have the slice; the nearest that one has is named otherwise. */
static ag_status check_slice(const ag_comparison *c, ag_error *err)
{
    enum { NAMES = 512 };
    const ag_compare_plan *plan = c->plan;
    ag_arena arena = {.name = "slices"};
    const char **names = ag_arena_alloc(&arena, NAMES, sizeof *names);
    size_t n = 0;
    bool found = false;
    ag_status status = names ? AG_OK : ag_fail_memory(err, "slices");
    for (size_t i = 0; i < c->pairs.count && status == AG_OK && !found; i++) {
        ag_record r;
        ag_str rule = {0};
        status = ag_record_begin(&r, c->pairs.items[i], &arena, err);
        if (status != AG_OK) break;
        found = ag_in_slice(&r, c->book, plan->slice);
        if (r.gold_rule >= 0) ag_str_addf(&rule, "rule=%s", c->book->rules[r.gold_rule].id);
        if (rule.len && n < NAMES && (names[n] = ag_arena_strdup(&arena, rule.data))) n++;
        ag_str_free(&rule);
        for (int s = 0; s < r.slice_count && n < NAMES; s++) {
            ag_str one = {0};
            ag_str_addf(&one, "%s=%s", r.slice_names[s], r.slice_values[s]);
            if ((names[n] = ag_arena_strdup(&arena, ag_str_text(&one)))) n++;
            ag_str_free(&one);
        }
    }
    if (status == AG_OK && !found)
        status = ag_fail(err, AG_ERR_USAGE, "%s:%d:%d: none of the %zu test pairs is in slice '%s'%s",
                         plan->path, plan->slice_line, plan->slice_column, c->pairs.count, plan->slice,
                         ag_suggest(plan->slice, names, n).text);
    ag_arena_free(&arena);
    return status;
}

static ag_status check_base(const ag_comparison *c, ag_error *err)
{
    const ag_settings *s = &c->base;
    if (s->stage_count != 1)
        return ag_fail(err, AG_ERR_USAGE,
                       "%s: a comparison needs a run file with exactly one stage, and this one has %d",
                       c->plan->run, s->stage_count);
    if (!*s->model)
        return ag_fail(err, AG_ERR_USAGE,
                       "%s: 'model' is empty; a comparison starts every method from one model, for example a "
                       "run folder of method sft",
                       c->plan->run);
    return AG_OK;
}

static ag_status check_cell(const ag_compare_cell *cell, ag_error *err)
{
    const ag_settings *s = &cell->settings;
    const char *const files[] = {s->train, s->pool, s->valid, s->lexicon};
    if (!cell->row) return AG_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (*files[i] && !ag_path_exists(files[i]))
            return ag_fail(err, AG_ERR_INPUT, "row '%s': no file '%s'", cell->row->name, files[i]);
    return AG_OK;
}

static ag_status make_cell(ag_comparison *c, const ag_compare_row *row, long seed, ag_error *err)
{
    ag_compare_cell *cell = &c->cells[c->cell_count];
    ag_str dir = {0};
    *cell = (ag_compare_cell){.row = row, .seed = seed};
    if (row)
        ag_str_addf(&dir, "%s/%s/seed-%ld", c->plan->out, row->name, seed);
    else
        ag_str_addf(&dir, "%s/start", c->plan->out);
    cell->dir = ag_str_take(&dir);
    if (!cell->dir) return ag_fail_memory(err, "cells");
    ag_status status = ag_compare_settings(&cell->settings, c->plan, row, seed, cell->dir, err);
    if (status != AG_OK) {
        ag_free(cell->dir);
        return status;
    }
    c->cell_count++;
    return check_cell(cell, err);
}

/* The start first: it is judged quickly, and what every row is to improve is seen at once. */
static ag_status make_cells(ag_comparison *c, ag_error *err)
{
    const ag_compare_plan *plan = c->plan;
    bool start = false;
    c->cells = ag_calloc((size_t)(plan->row_count * plan->seed_count + 1), sizeof *c->cells);
    if (!c->cells) return ag_fail_memory(err, "cells");
    for (int r = 0; r < plan->row_count; r++) start = start || !plan->rows[r].trained;
    if (start) AG_TRY(make_cell(c, NULL, 0, err));
    for (int r = 0; r < plan->row_count; r++)
        for (int s = 0; s < plan->seed_count && plan->rows[r].trained; s++)
            AG_TRY(make_cell(c, &plan->rows[r], plan->seeds[s], err));
    return AG_OK;
}

/* --- what a cell's folder holds ----------------------------------------------------------------------------------------- */

static char *path_in(const ag_compare_cell *cell, const char *name)
{
    return ag_path_join(cell->dir, name);
}

static bool holds(const ag_compare_cell *cell, const char *name)
{
    char *path = path_in(cell, name);
    bool there = path && ag_path_exists(path);
    ag_free(path);
    return there;
}

/* Refuses what was made from something else, and finds out whether the cell is done. */
static ag_status check_folder(ag_compare_cell *cell, ag_error *err)
{
    char *path = path_in(cell, "cell.json");
    const char *training = "", *judging = "";
    json_t *json = NULL;
    ag_status status = path ? AG_OK : ag_fail_memory(err, "cell");
    cell->done = holds(cell, "judged.jsonl");
    if (status == AG_OK && ag_path_exists(path)) {
        status = ag_json_load(&json, path, err);
        if (status == AG_OK) status = ag_json_get_string(json, "training", &training, path, err);
        if (status == AG_OK) status = ag_json_get_string(json, "judging", &judging, path, err);
        if (status == AG_OK && !ag_streq(training, cell->training))
            status = ag_fail(err, AG_ERR_USAGE,
                             "%s was made with other settings, data, rules or start; remove it, or choose "
                             "another name or another out",
                             cell->dir);
        else if (status == AG_OK && cell->done && !ag_streq(judging, cell->judging))
            status = ag_fail(
                err, AG_ERR_USAGE,
                "%s/judged.jsonl was made with other test pairs or another checkpoint; remove it "
                "to judge again, or choose another out",
                cell->dir);
    } else if (status == AG_OK && (cell->done || holds(cell, "config.yaml") || holds(cell, "checkpoints"))) {
        status = ag_fail(err, AG_ERR_USAGE,
                         "%s holds a run that no comparison made; remove it or choose another out",
                         cell->dir);
    }
    json_decref(json);
    ag_free(path);
    return status;
}

static ag_status claim_folder(const ag_compare_cell *cell, ag_error *err)
{
    char *path = path_in(cell, "cell.json");
    json_t *json = json_pack("{s:s, s:s}", "training", cell->training, "judging", cell->judging);
    ag_status status = path && json ? ag_dir_make(cell->dir, err) : ag_fail_memory(err, "cell");
    if (status == AG_OK) status = ag_json_save(path, json, err);
    json_decref(json);
    ag_free(path);
    return status;
}

ag_status ag_compare_open(ag_comparison *c, ag_compare_plan *plan, ag_error *err)
{
    sources from;
    *c = (ag_comparison){.plan = plan};
    AG_TRY(ag_compare_settings(&c->base, plan, NULL, 0, NULL, err));
    AG_TRY(check_base(c, err));
    if (ag_path_exists(plan->out) && !ag_path_is_dir(plan->out))
        return ag_fail(err, AG_ERR_USAGE, "out: '%s' is there and is no folder", plan->out);
    AG_TRY(ag_book_load(&c->book, c->base.rules, err));
    AG_TRY(make_cells(c, err));
    AG_TRY(ag_facts_of_book(&c->facts, c->book, err));
    AG_TRY(ag_lexicon_open(&c->lexicon, c->facts, c->book, c->base.lexicon, err));
    AG_TRY(load_pairs(c, err));
    if (plan->slice) AG_TRY(check_slice(c, err));
    AG_TRY(ag_pull_if_needed(c->base.model, err));
    AG_TRY(find_sources(&from, c, err));
    for (size_t i = 0; i < c->cell_count; i++) {
        AG_TRY(cell_digests(&c->cells[i], c, &from, err));
        AG_TRY(check_folder(&c->cells[i], err));
    }
    return AG_OK;
}

void ag_compare_close(ag_comparison *c)
{
    for (size_t i = 0; i < c->cell_count; i++) {
        ag_settings_free(&c->cells[i].settings);
        ag_free(c->cells[i].dir);
    }
    ag_free(c->cells);
    ag_copy_probes_free(&c->probes);
    ag_pair_list_free(&c->pairs);
    ag_lexicon_free(c->lexicon);
    ag_facts_free(c->facts);
    ag_book_free(c->book);
    ag_settings_free(&c->base);
    *c = (ag_comparison){0};
}

/* --- judging ------------------------------------------------------------------------------------------------------------- */

typedef struct judging {
    const ag_comparison *compare;
    const ag_compare_cell *cell;
    ag_train_view *view;
    ag_judge_setup setup;
    ag_judgement *plain, *hinted;
    size_t before; /* judgements behind the bar's present part */
} judging;

static ag_status tick(void *user, size_t done, size_t total, ag_error *err)
{
    judging *j = user;
    (void)total;
    ag_progress_update(&j->view->bar, (double)(j->before + done), NULL);
    return ag_interrupted() ? ag_fail(err, AG_ERR_INTERRUPTED, "stopped") : AG_OK;
}

static ag_status open_judge(judging *j, ag_error *err)
{
    const ag_settings *s = &j->cell->settings;
    ag_str model = {0};
    if (j->cell->row)
        ag_str_addf(&model, "%s/checkpoints/%s", j->cell->dir, j->compare->plan->checkpoint);
    else
        ag_str_add(&model, s->model);
    ag_status status = ag_str_ok(&model, err);
    ag_model_choice choice = {ag_str_text(&model), s->device,   s->dtype,
                              s->threads,          s->kv_slots, s->max_positions};
    if (status == AG_OK) status = ag_setup_model(&j->setup, &choice, err);
    j->setup.book = j->compare->book;
    if (status == AG_OK) status = ag_setup_judge(&j->setup, &choice, err);
    ag_str_free(&model);
    return status;
}

static void close_judge(judging *j)
{
    j->setup.book = NULL; /* borrowed */
    ag_setup_close(&j->setup);
}

static ag_status judge_pairs(judging *j, ag_error *err)
{
    const ag_comparison *c = j->compare;
    ag_judge_progress progress = {tick, j};
    ag_judge_input *inputs = ag_calloc(c->pairs.count, sizeof *inputs);
    if (!inputs) return ag_fail_memory(err, "judgements");
    for (size_t i = 0; i < c->pairs.count; i++) {
        const ag_pair *p = c->pairs.items[i];
        inputs[i] = (ag_judge_input){p->query, &p->item, &p->asked, NULL};
    }
    j->before = 0;
    ag_status status = ag_judge_run(j->setup.judge, inputs, c->pairs.count, AG_ANSWER_GREEDY, &progress,
                                    j->plain, err);
    j->before = c->pairs.count;
    if (status == AG_OK)
        status = ag_copy_judge(j->setup.judge, &c->probes, &c->pairs, &progress, j->hinted, err);
    ag_free(inputs);
    return status;
}

/* A text of the model's: what is not UTF-8 is no answer, and must not become one by being repaired. */
static bool put_answer(json_t *line, const char *key, const ag_judgement *d)
{
    char finished[32];
    bool whole = d->finished && ag_utf8_valid(d->answer, strlen(d->answer), NULL);
    snprintf(finished, sizeof finished, "%s_finished", key);
    return ag_json_set(line, key, ag_text_json(d->answer)) &&
           ag_json_set(line, finished, json_boolean(whole));
}

static ag_status write_line(ag_out *out, const judging *j, size_t i, size_t *probe, ag_error *err)
{
    const ag_comparison *c = j->compare;
    const ag_judgement *d = &j->plain[i];
    json_t *line = json_object(), *probabilities = json_object();
    bool ok = line && probabilities && ag_json_set(line, "id", ag_text_json(c->pairs.items[i]->id));
    for (int t = 0; t < c->book->tier_count && ok; t++)
        ok = ag_json_set(probabilities, c->book->tiers[t].id, json_real(d->probability[t]));
    ok = ok && json_object_set(line, "probabilities", probabilities) == 0 && put_answer(line, "answer", d);
    if (ok && *probe < c->probes.count && c->probes.items[*probe].pair == i)
        ok = put_answer(line, "hinted", &j->hinted[(*probe)++]);
    json_decref(probabilities);
    if (ok) return ag_json_write_line(out, line, err);
    json_decref(line);
    return ag_fail_memory(err, "judgements");
}

static ag_status write_judged(const judging *j, ag_error *err)
{
    char *path = path_in(j->cell, "judged.jsonl");
    ag_out *out = NULL;
    size_t probe = 0;
    ag_status status = path ? ag_out_open(&out, path, err) : ag_fail_memory(err, "judged.jsonl");
    for (size_t i = 0; i < j->compare->pairs.count && status == AG_OK; i++)
        status = write_line(out, j, i, &probe, err);
    if (status == AG_OK)
        status = ag_out_commit(out, err);
    else
        ag_out_abort(out);
    ag_free(path);
    return status;
}

static ag_status judge_cell(const ag_comparison *c, const ag_compare_cell *cell, ag_train_view *view,
                            ag_error *err)
{
    judging j = {.compare = c, .cell = cell, .view = view};
    size_t n = c->pairs.count, hinted = c->probes.count;
    j.plain = ag_calloc(n, sizeof *j.plain);
    j.hinted = ag_calloc(hinted, sizeof *j.hinted);
    ag_status status = j.plain && j.hinted ? open_judge(&j, err) : ag_fail_memory(err, "judgements");
    if (status == AG_OK) {
        ag_progress_begin(&view->bar, ag_train_view_label(view, "judging"), (double)(n + hinted), 0);
        status = judge_pairs(&j, err);
        if (status == AG_OK)
            ag_progress_end(&view->bar, NULL);
        else
            ag_progress_drop();
    }
    if (status == AG_OK) status = write_judged(&j, err);
    ag_judgements_free(j.plain, j.plain ? n : 0);
    ag_judgements_free(j.hinted, j.hinted ? hinted : 0);
    close_judge(&j);
    return status;
}

/* --- all cells -------------------------------------------------------------------------------------------------------------- */

static ag_status drop_checkpoints(const ag_compare_cell *cell, ag_error *err)
{
    char *path = path_in(cell, "checkpoints");
    ag_status status = path ? ag_dir_remove(path, err) : ag_fail_memory(err, "checkpoints");
    ag_free(path);
    return status;
}

ag_status ag_compare_cell_run(const ag_comparison *c, const ag_compare_cell *cell, ag_train_view *view,
                              ag_error *err)
{
    ag_train_hooks hooks = ag_train_hooks_of(view);
    ag_train_options options = {.resume = true};
    AG_TRY(claim_folder(cell, err));
    if (cell->row) AG_TRY(ag_train_run(&cell->settings, &options, &hooks, err));
    AG_TRY(judge_cell(c, cell, view, err));
    return cell->row && !c->plan->keep ? drop_checkpoints(cell, err) : AG_OK;
}

void ag_compare_cell_name(char *name, size_t room, const ag_comparison *c, const ag_compare_cell *cell)
{
    size_t number = (size_t)(cell - c->cells) + 1;
    if (cell->row)
        snprintf(name, room, "%s, seed %ld (%zu of %zu)", cell->row->name, cell->seed, number, c->cell_count);
    else
        snprintf(name, room, "start (%zu of %zu)", number, c->cell_count);
}

/* The first cell of a row that has not begun. */
static bool to_try(const ag_comparison *c, const ag_compare_cell *cell)
{
    bool first = cell == c->cells || cell->row != cell[-1].row;
    return cell->row && first && !cell->done && !holds(cell, "checkpoints");
}

ag_status ag_compare_try(const ag_comparison *c, ag_error *err)
{
    ag_train_tried tried = {0}; /* most rows differ in their stage alone and train on the same pairs */
    ag_train_options options = {.plan_only = true, .tried = &tried};
    ag_train_view view = {.brief = true};
    ag_train_hooks hooks = ag_train_hooks_of(&view);
    size_t rows = 0, begun = 0;
    ag_status status = AG_OK;
    for (size_t i = 0; i < c->cell_count; i++) rows += to_try(c, &c->cells[i]);
    if (rows == 0) return AG_OK;
    ag_progress_begin(&view.bar, "trying rows", (double)rows, 0);
    for (size_t i = 0; i < c->cell_count && status == AG_OK; i++) {
        const ag_compare_cell *cell = &c->cells[i];
        if (!to_try(c, cell)) continue;
        ag_progress_update(&view.bar, (double)begun++, cell->row->name);
        if (ag_interrupted())
            status = ag_fail(err, AG_ERR_INTERRUPTED, "stopped before anything was trained");
        else
            status = ag_train_run(&cell->settings, &options, &hooks, err);
        if (status != AG_OK && status != AG_ERR_INTERRUPTED)
            ag_error_prefix(err, "row '%s'", cell->row->name);
    }
    ag_train_tried_free(&tried);
    if (status == AG_OK)
        ag_progress_end(&view.bar, NULL);
    else
        ag_progress_drop();
    return status;
}

ag_status ag_compare_run(ag_comparison *c, const ag_compare_how *how, ag_error *err)
{
    size_t done = 0;
    ag_status status = AG_OK;
    for (size_t i = 0; i < c->cell_count; i++) done += c->cells[i].done;
    if (done) ag_say("%zu of %zu cells are done", done, c->cell_count);
    if (how->jobs > 1) return ag_compare_run_jobs(c, how, err);
    for (size_t i = 0; i < c->cell_count && status == AG_OK; i++) {
        ag_compare_cell *cell = &c->cells[i];
        char task[128];
        if (cell->done) continue;
        ag_compare_cell_name(task, sizeof task, c, cell);
        ag_train_view view = {.task = task, .brief = how->brief};
        if (!how->brief) ag_say("%s", task);
        status = ag_compare_cell_run(c, cell, &view, err);
        if (status == AG_ERR_INTERRUPTED)
            return ag_fail(err, status, "stopped at %s; the same command goes on from there", task);
        if (status != AG_OK) ag_error_prefix(err, "%s", task);
        cell->done = status == AG_OK;
    }
    return status;
}
