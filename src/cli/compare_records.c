/* compare_records.c: what the cells of a comparison left, as the rows of a contest. */
#include <string.h>

#include "base/file.h"
#include "cli/compare_cells.h"
#include "eval/judged.h"

/* One cell's judged.jsonl: a judgement a pair, and the tiers of the hinted answers. Texts live in the arena. */
typedef struct judged {
    ag_judgement *plain;
    int *hinted; /* one a probe */
} judged;

/* A cell to be read as one seed of one row, on a thread of its own: nobody else touches what it points to. */
typedef struct reader {
    const ag_comparison *compare;
    const ag_record *pairs; /* what the test pairs say of themselves */
    const ag_compare_cell *cell;
    ag_arena *arena;
    bool derived;        /* the row is `verdicts` */
    ag_records *records; /* to be made, as are the next two */
    double *copied;
    ag_dynamics *dynamics; /* NULL: not trained */
    ag_status status;
    ag_error error;
} reader;

static ag_status keep(const reader *r, char **to, const char *text, ag_error *err)
{
    *to = ag_arena_strdup(r->arena, text);
    return *to ? AG_OK : ag_fail_memory(err, "judgements");
}

/* The answer with the tier and rule that follow from its own verdicts; one that is not in the format stays as it is. */
static ag_status derive(const reader *r, const ag_pair *pair, ag_judgement *d, ag_error *err)
{
    const ag_book *book = r->compare->book;
    ag_answer answer;
    ag_str text = {0};
    if (!d->finished || !ag_answer_parse(book, &pair->asked, d->answer, strlen(d->answer), &answer, NULL))
        return AG_OK;
    ag_derive(book, &pair->asked, &answer.verdicts, &answer.tier, &answer.rule);
    ag_status status = ag_answer_render(&text, book, &pair->asked, &answer, err);
    if (status == AG_OK) status = keep(r, &d->answer, ag_str_text(&text), err);
    ag_str_free(&text);
    memset(d->probability, 0, sizeof d->probability);
    d->probability[answer.tier] = 1;
    d->tier = answer.tier;
    d->gain = book->tiers[answer.tier].gain;
    return status;
}

/* The answer under `key`; *d keeps its text. */
static ag_status read_answer(const reader *r, const ag_pair *pair, const json_t *line, const char *key,
                             const char *finished, const char *where, ag_judgement *d, ag_error *err)
{
    const char *text = NULL;
    AG_TRY(ag_json_get_string(line, key, &text, where, err));
    AG_TRY(ag_json_get_bool(line, finished, &d->finished, where, err));
    if (!text) return ag_fail(err, AG_ERR_INPUT, "%s: '%s' is missing", where, key);
    AG_TRY(keep(r, &d->answer, text, err));
    return r->derived ? derive(r, pair, d, err) : AG_OK;
}

static int tier_of(const ag_book *book, const ag_pair *pair, const ag_judgement *d)
{
    ag_answer answer;
    bool whole = d->finished &&
                 ag_answer_parse(book, &pair->asked, d->answer, strlen(d->answer), &answer, NULL);
    return whole ? answer.tier : -1;
}

static ag_status read_line(const reader *r, judged *to, const json_t *line, const char *where, size_t i,
                           size_t *probe, ag_error *err)
{
    const ag_comparison *c = r->compare;
    const ag_pair *pair = c->pairs.items[i];
    const char *id = NULL;
    ag_judgement hinted = {0};
    double total;
    AG_TRY(ag_json_get_string(line, "id", &id, where, err));
    if (!ag_streq(id, pair->id))
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: '%s' should stand here, not '%s'; remove the file to judge again", where,
                       pair->id, id ? id : "");
    AG_TRY(ag_judged_probabilities(&to->plain[i], &total, c->book, line, where, err));
    AG_TRY(read_answer(r, pair, line, "answer", "answer_finished", where, &to->plain[i], err));
    if (*probe == c->probes.count || c->probes.items[*probe].pair != i) return AG_OK;
    AG_TRY(read_answer(r, pair, line, "hinted", "hinted_finished", where, &hinted, err));
    to->hinted[(*probe)++] = tier_of(c->book, pair, &hinted);
    return AG_OK;
}

static ag_status read_judged(const reader *r, judged *to, ag_error *err)
{
    const ag_comparison *c = r->compare;
    char *path = ag_path_join(r->cell->dir, "judged.jsonl"), *text, where[1200];
    ag_lines *lines = NULL;
    size_t len, i = 0, probe = 0;
    to->plain = ag_arena_alloc(r->arena, c->pairs.count, sizeof *to->plain);
    to->hinted = ag_arena_alloc(r->arena, c->probes.count, sizeof *to->hinted);
    ag_status status = path && to->plain && to->hinted ? ag_lines_open(&lines, path, err)
                                                       : ag_fail_memory(err, "judgements");
    while (status == AG_OK) {
        json_t *line = NULL;
        status = ag_lines_next(lines, &text, &len, err);
        if (status != AG_OK || !text) break;
        snprintf(where, sizeof where, "%s:%ld", path, ag_lines_number(lines));
        status = ag_json_parse(&line, text, len, path, ag_lines_number(lines), err);
        if (status == AG_OK && i == c->pairs.count)
            status = ag_fail(err, AG_ERR_INPUT,
                             "%s: more lines than test pairs; remove the file to judge again", where);
        if (status == AG_OK) status = read_line(r, to, line, where, i++, &probe, err);
        json_decref(line);
    }
    if (status == AG_OK && i < c->pairs.count)
        status = ag_fail(err, AG_ERR_INPUT,
                         "%s: %zu lines for %zu test pairs; remove the file to judge again", path, i,
                         c->pairs.count);
    ag_lines_close(lines);
    ag_free(path);
    return status;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

static ag_status fill_records(const reader *r, const judged *from, ag_error *err)
{
    const ag_comparison *c = r->compare;
    size_t n = c->pairs.count;
    *r->records = (ag_records){c->book, ag_arena_alloc(r->arena, n, sizeof *r->pairs), n};
    if (!r->records->items) return ag_fail_memory(err, "records");
    memcpy(r->records->items, r->pairs, n * sizeof *r->pairs);
    for (size_t i = 0; i < n; i++)
        ag_record_judge(&r->records->items[i], c->book, c->pairs.items[i], &from->plain[i]);
    return AG_OK;
}

static ag_status read_cell(const reader *r, ag_error *err)
{
    const ag_compare_plan *plan = r->compare->plan;
    judged one;
    AG_TRY(read_judged(r, &one, err));
    AG_TRY(fill_records(r, &one, err));
    *r->copied = ag_copy_rate(&r->compare->probes, one.hinted);
    if (!r->dynamics) return AG_OK;
    return ag_dynamics_read(r->dynamics, r->cell->dir, plan->metric->name, plan->slice, err);
}

/* The cells of a row: a run of them, or the start. */
static size_t first_cell(const ag_comparison *c, const ag_compare_row *row)
{
    size_t i = 0;
    while (i < c->cell_count && c->cells[i].row != (row->trained ? row : NULL)) i++;
    return i;
}

/* The next row, empty, and who is to fill it. */
static ag_status begin_row(ag_compare_results *results, reader *readers, const ag_comparison *c,
                           const ag_compare_row *row, const ag_record *pairs, ag_error *err)
{
    ag_contest_row *to = &results->rows[results->row_count++];
    size_t seeds = row->trained ? (size_t)c->plan->seed_count : 1, first = first_cell(c, row);
    ag_records *records = ag_arena_alloc(&results->arena, seeds, sizeof *records);
    double *copied = ag_arena_alloc(&results->arena, seeds, sizeof *copied);
    if (!records || !copied) return ag_fail_memory(err, "records");
    *to = (ag_contest_row){.name = row->name,
                           .seeds = records,
                           .seed_count = seeds,
                           .method = row->method,
                           .settings = row->own,
                           .copied = copied};
    if (row->trained) {
        to->numbers = c->plan->seeds;
        to->dynamics = results->dynamics + results->dynamics_count;
    }
    for (size_t s = 0; s < seeds; s++) {
        ag_arena *arena = &results->cells[results->cell_count];
        *arena = (ag_arena){.name = "judgements"};
        readers[results->cell_count++] = (reader){
            .compare = c,
            .pairs = pairs,
            .cell = &c->cells[first + s],
            .arena = arena,
            .derived = row->derived,
            .records = &records[s],
            .copied = &copied[s],
            .dynamics = row->trained ? &results->dynamics[results->dynamics_count++] : NULL};
    }
    return AG_OK;
}

static ag_status begin_pairs(ag_record **pairs, ag_compare_results *results, const ag_comparison *c,
                             ag_error *err)
{
    *pairs = ag_arena_alloc(&results->arena, c->pairs.count, sizeof **pairs);
    if (!*pairs) return ag_fail_memory(err, "records");
    for (size_t i = 0; i < c->pairs.count; i++)
        AG_TRY(ag_record_begin(&(*pairs)[i], c->pairs.items[i], &results->arena, err));
    return AG_OK;
}

static ag_status read_cells(reader *readers, size_t n, ag_error *err)
{
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < n; i++) readers[i].status = read_cell(&readers[i], &readers[i].error);
    for (size_t i = 0; i < n; i++) {
        if (readers[i].status == AG_OK) continue;
        if (err) *err = readers[i].error;
        return readers[i].status;
    }
    return AG_OK;
}

ag_status ag_compare_read(ag_compare_results *results, const ag_comparison *c, ag_error *err)
{
    const ag_compare_plan *plan = c->plan;
    size_t rows = (size_t)plan->row_count, most = rows * (size_t)plan->seed_count;
    ag_record *pairs = NULL;
    *results = (ag_compare_results){.arena = {.name = "results"}};
    results->rows = ag_arena_alloc(&results->arena, rows, sizeof *results->rows);
    results->dynamics = ag_arena_alloc(&results->arena, most, sizeof *results->dynamics);
    results->cells = ag_arena_alloc(&results->arena, most, sizeof *results->cells);
    reader *readers = ag_calloc(most, sizeof *readers);
    bool ok = results->rows && results->dynamics && results->cells && readers;
    ag_status status = ok ? begin_pairs(&pairs, results, c, err) : ag_fail_memory(err, "results");
    for (size_t i = 0; i < rows && status == AG_OK; i++)
        status = begin_row(results, readers, c, &plan->rows[i], pairs, err);
    if (status == AG_OK) status = read_cells(readers, results->cell_count, err);
    ag_free(readers);
    if (status != AG_OK) ag_compare_results_free(results);
    return status;
}

void ag_compare_results_free(ag_compare_results *results)
{
    for (size_t i = 0; i < results->dynamics_count; i++) ag_dynamics_free(&results->dynamics[i]);
    for (size_t i = 0; i < results->cell_count; i++) ag_arena_free(&results->cells[i]);
    ag_arena_free(&results->arena);
    *results = (ag_compare_results){0};
}
