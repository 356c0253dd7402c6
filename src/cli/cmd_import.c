/* cmd_import.c: `agrl import`: somebody's data set to pairs, whole or split by query group.
 *
 * Whole, pairs stream to the output. For a split all queries must be known before the first pair has a
 * side (groups connect through other queries), so pairs go to a spool beside the output first, and memory
 * holds the different queries and four bytes a pair.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/import.h"
#include "data/split.h"
#include "data/table.h"

typedef struct settings {
    const char *rules, *out, *labels, *catalogue, *queries, *delimiter, *aggregate, *split;
    ag_option_list maps, where;
    long seed, folds;
    bool stable, keep_html;
} settings;

typedef struct job {
    settings set;
    ag_book *book;
    ag_import import;
    ag_out *out; /* the output, or the spool */
    ag_str line;
    ag_table ids;
    long by_tier[AG_MAX_TIERS], without_tier;
    /* for splits */
    bool splitting;
    char *spool;
    ag_table query_index;
    char **queries;
    uint32_t *weights;
    size_t query_count, query_cap, weight_cap;
    uint32_t *query_of; /* of each pair */
    size_t pair_count, pair_cap;
} job;

/* --- taking pairs
 * -------------------------------------------------------------------------------------------- */

static ag_status note_query(job *j, const char *query, ag_error *err)
{
    uint32_t at = (uint32_t)j->query_count;
    int added = ag_table_add(&j->query_index, ag_table_key(query, strlen(query)), &at);
    if (added < 0) return ag_fail_memory(err, "queries");
    if (added == 1) {
        if (!ag_grow(&j->queries, &j->query_cap, j->query_count + 1, sizeof *j->queries) ||
            !ag_grow(&j->weights, &j->weight_cap, j->query_count + 1, sizeof *j->weights) ||
            !(j->queries[j->query_count] = ag_strdup(query)))
            return ag_fail_memory(err, "queries");
        j->weights[j->query_count++] = 0;
    }
    if (!ag_grow(&j->query_of, &j->pair_cap, j->pair_count + 1, sizeof *j->query_of))
        return ag_fail_memory(err, "pairs");
    j->weights[at]++;
    j->query_of[j->pair_count++] = at;
    return AG_OK;
}

static ag_status take_pair(void *context, const ag_pair *pair, ag_error *err)
{
    job *j = context;
    uint32_t unused = 0;
    int added = ag_table_add(&j->ids, ag_table_key(pair->id, strlen(pair->id)), &unused);
    if (added < 0) return ag_fail_memory(err, "ids of pairs");
    if (added == 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: an earlier pair has the id '%.200s' too", pair->where,
                       pair->id);
    json_t *json = ag_pair_to_json(pair, j->book);
    ag_str_clear(&j->line);
    ag_status status = json ? ag_json_dump(&j->line, json, err) : ag_fail_memory(err, "pair");
    json_decref(json);
    if (status != AG_OK) return status;
    ag_str_addc(&j->line, '\n');
    if ((status = ag_str_ok(&j->line, err)) != AG_OK) return status;
    ag_out_write(j->out, j->line.data, j->line.len);
    if (pair->gold.tier >= 0)
        j->by_tier[pair->gold.tier]++;
    else
        j->without_tier++;
    return j->splitting ? note_query(j, pair->query, err) : AG_OK;
}

/* --- splits
 * -------------------------------------------------------------------------------------------------- */

/* "dir/x.jsonl.gz" and "train" to "dir/x.train.jsonl.gz". */
static void part_path(ag_str *out, const char *path, const char *part)
{
    size_t n = strlen(path), end = n;
    if (end > 3 && strcmp(path + end - 3, ".gz") == 0) end -= 3;
    size_t dot = end;
    while (dot > 0 && path[dot - 1] != '.' && path[dot - 1] != '/') dot--;
    size_t base = dot > 1 && path[dot - 1] == '.' && path[dot - 2] != '/' ? dot - 1 : end;
    ag_str_clear(out);
    ag_str_addn(out, path, base);
    ag_str_addf(out, ".%s%s", part, base == end ? ".jsonl" : "");
    ag_str_add(out, path + base);
}

/* Copies line i of the spool to the output of part[query of i]; 255 is nowhere. counts gets the pairs of
 * each. */
static ag_status deal_lines(job *j, const uint8_t *part, ag_out **outs, long *counts, ag_error *err)
{
    ag_lines *lines;
    char *line;
    size_t len, i = 0;
    ag_status status = ag_lines_open(&lines, j->spool, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &line, &len, err)) == AG_OK && line) {
        if (i >= j->pair_count) break;
        uint8_t p = part[j->query_of[i++]];
        if (p == 255) continue;
        ag_out_write(outs[p], line, len);
        ag_out_write(outs[p], "\n", 1);
        counts[p]++;
    }
    if (status == AG_OK && i != j->pair_count)
        status = ag_fail(err, AG_ERR_IO, "'%s' changed while it was read", j->spool);
    ag_lines_close(lines);
    return status;
}

/* Has every part a query? Asked of all parts before the first file is touched. */
static ag_status parts_filled(const job *j, const ag_split *split, const char *prefix, const uint8_t *part,
                              ag_error *err)
{
    bool filled[256] = {false};
    for (size_t q = 0; q < j->query_count; q++) filled[part[q]] = true;
    for (int p = 0; p < split->count; p++)
        if (!filled[p])
            return ag_fail(err, AG_ERR_INPUT,
                           "part '%s%s' gets no pair: too few query groups for these shares", prefix,
                           split->names[p]);
    return AG_OK;
}

/* Writes one file a part; `prefix` stands before the parts' names. Says what went where. */
static ag_status write_parts(job *j, const ag_split *split, const char *prefix, const uint8_t *part,
                             ag_error *err)
{
    ag_out *outs[AG_SPLIT_MAX + 1] = {NULL};
    long counts[AG_SPLIT_MAX + 1] = {0};
    ag_str path = {0}, name = {0}, said = {0};
    ag_status status = AG_OK;
    for (int p = 0; p < split->count && status == AG_OK; p++) {
        ag_str_clear(&name);
        ag_str_addf(&name, "%s%s", prefix, split->names[p]);
        part_path(&path, j->set.out, ag_str_text(&name));
        status = ag_str_ok(&path, err);
        if (status == AG_OK) status = ag_out_open(&outs[p], ag_str_text(&path), err);
    }
    if (status == AG_OK) status = deal_lines(j, part, outs, counts, err);
    for (int p = 0; p < split->count && status == AG_OK; p++) {
        ag_str_addf(&said, "%s%s%s %ld", p ? ", " : "", prefix, split->names[p], counts[p]);
    }
    for (int p = 0; p < split->count && status == AG_OK; p++) {
        status = ag_out_commit(outs[p], err);
        outs[p] = NULL;
    }
    if (status == AG_OK) ag_say("pairs: %s", ag_str_text(&said));
    for (int p = 0; p < split->count; p++) ag_out_abort(outs[p]);
    ag_str_free(&path);
    ag_str_free(&name);
    ag_str_free(&said);
    return status;
}

/* One fold: its queries are the test part, the others are split as --split says. dry: only looks whether every part gets pairs. */
static ag_status write_fold(job *j, int fold, const uint8_t *fold_of, const ag_split *rest, bool dry,
                            ag_error *err)
{
    char prefix[32];
    ag_split named = *rest;
    size_t n = 0;
    ag_status status = AG_OK;
    const char **queries = ag_calloc(j->query_count, sizeof *queries);
    uint32_t *weights = ag_calloc(j->query_count, sizeof *weights);
    uint8_t *part = ag_calloc(j->query_count, 1), *chosen = ag_calloc(j->query_count, 1);
    if (!queries || !weights || !part || !chosen) {
        status = ag_fail_memory(err, "folds");
        goto out;
    }
    for (size_t q = 0; q < j->query_count; q++) {
        if (fold_of[q] == fold) continue;
        queries[n] = j->queries[q];
        weights[n++] = j->weights[q];
    }
    status = ag_split_queries(rest, queries, weights, n, (uint64_t)j->set.seed + 1 + (uint64_t)fold,
                              j->set.stable, chosen, NULL, err);
    if (status != AG_OK) goto out;
    for (size_t q = 0, i = 0; q < j->query_count; q++)
        part[q] = fold_of[q] == fold ? (uint8_t)rest->count : chosen[i++];
    named.count++;
    strcpy(named.names[named.count - 1], "test");
    snprintf(prefix, sizeof prefix, "fold%d.", fold + 1);
    status = dry ? parts_filled(j, &named, prefix, part, err) : write_parts(j, &named, prefix, part, err);
out:
    ag_free(queries);
    ag_free(weights);
    ag_free(part);
    ag_free(chosen);
    return status;
}

static ag_status write_split(job *j, const ag_split *split, const ag_split *folds, ag_error *err)
{
    size_t groups = 0;
    const ag_split *outer = folds->count ? folds : split;
    uint8_t *part = ag_calloc(j->query_count, 1);
    if (!part) return ag_fail_memory(err, "split");
    ag_status status = ag_split_queries(outer, (const char *const *)j->queries, j->weights, j->query_count,
                                        (uint64_t)j->set.seed, j->set.stable, part, &groups, err);
    if (status == AG_OK)
        ag_say("split: %zu queries in %zu groups, seed %ld%s", j->query_count, groups, j->set.seed,
               j->set.stable ? ", stable" : "");
    if (status == AG_OK && folds->count == 0) status = parts_filled(j, split, "", part, err);
    if (status == AG_OK && folds->count == 0) status = write_parts(j, split, "", part, err);
    for (int f = 0; f < folds->count && status == AG_OK; f++)
        status = write_fold(j, f, part, split, true, err);
    for (int f = 0; f < folds->count && status == AG_OK; f++)
        status = write_fold(j, f, part, split, false, err);
    ag_free(part);
    return status;
}

static ag_status parse_split(const job *j, ag_split *split, ag_split *folds, ag_error *err)
{
    ag_status status = AG_OK;
    memset(split, 0, sizeof *split);
    memset(folds, 0, sizeof *folds);
    if (j->splitting && strcmp(j->set.out, "-") == 0)
        return ag_fail(err, AG_ERR_USAGE, "--split and --folds write several files: give --out FILE");
    if (j->set.folds) status = ag_split_folds(folds, (int)j->set.folds, err);
    if (status == AG_OK && j->splitting)
        status = ag_split_parse(split, j->set.split ? j->set.split : "train=1", err);
    for (int p = 0; status == AG_OK && folds->count && p < split->count; p++)
        if (strcmp(split->names[p], "test") == 0)
            status = ag_fail(err, AG_ERR_USAGE,
                             "with --folds each fold is the test part; --split divides the rest, "
                             "for example train=0.9,valid=0.1");
    if (status == AG_OK && folds->count && split->count == AG_SPLIT_MAX)
        status = ag_fail(err, AG_ERR_USAGE, "too many parts");
    return status;
}

/* --- the command
 * --------------------------------------------------------------------------------------------- */

static void say_result(const job *j, const char *format)
{
    const ag_import_stats *s = &j->import.stats;
    ag_str tiers = {0};
    for (int t = 0; t < j->book->tier_count; t++)
        ag_str_addf(&tiers, "%s%s: %ld", t ? ", " : "", j->book->tiers[t].id, j->by_tier[t]);
    if (j->without_tier) ag_str_addf(&tiers, ", none: %ld", j->without_tier);
    ag_say("%s: %ld read, %ld pairs; tiers %s", format, s->read, s->written, ag_str_text(&tiers));
    if (s->filtered) ag_say("%s: %ld not chosen by --where", format, s->filtered);
    if (s->left_out) ag_say("%s: %ld left out by their label", format, s->left_out);
    if (s->no_title) ag_warn("%ld pairs left out: the item has no title", s->no_title);
    if (s->no_product)
        ag_warn("%ld pairs left out: product not in the catalogue (%s)", s->no_product, s->example);
    if (s->no_query) ag_warn("%ld pairs left out: query id not in the queries (%s)", s->no_query, s->example);
    ag_str_free(&tiers);
}

static ag_status delimiter_of(const char *text, char *delimiter, ag_error *err)
{
    *delimiter = 0;
    if (!text) return AG_OK;
    *delimiter = strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0 ? '\t' : text[0];
    bool good = *delimiter == '\t' || (strlen(text) == 1 && !strchr("\"\r\n", text[0]) && text[0] > 0);
    return good ? AG_OK : ag_fail(err, AG_ERR_USAGE, "--delimiter must be one ASCII character or 'tab'");
}

static ag_status run(job *j, const char *format, ag_error *err)
{
    ag_split split, folds;
    ag_str path = {0};
    ag_status status;
    if (!j->set.rules)
        return ag_fail(err, AG_ERR_USAGE, "give the rulebook with --rules BOOK: labels become its tiers");
    if ((status = delimiter_of(j->set.delimiter, &j->import.delimiter, err)) != AG_OK) return status;
    j->splitting = j->set.split || j->set.folds;
    if ((status = parse_split(j, &split, &folds, err)) != AG_OK) return status;
    if ((status = ag_book_load(&j->book, j->set.rules, err)) != AG_OK) return status;
    j->import.book = j->book;
    ag_str_addf(&path, "%s%s", j->set.out, j->splitting ? ".spool" : "");
    if ((status = ag_str_ok(&path, err)) != AG_OK) goto out;
    if ((status = ag_out_open(&j->out, ag_str_text(&path), err)) != AG_OK) goto out;
    if ((status = ag_import_run(&j->import, format, err)) != AG_OK) goto out;
    if (j->import.stats.written == 0) {
        status = ag_fail(err, AG_ERR_INPUT, "no pair came out of %ld rows", j->import.stats.read);
        goto out;
    }
    status = ag_out_commit(j->out, err);
    j->out = NULL;
    if (status != AG_OK) goto out;
    say_result(j, format);
    if (!j->splitting) goto out;
    if (!(j->spool = ag_str_take(&path))) {
        status = ag_fail_memory(err, "path");
        goto out;
    }
    status = write_split(j, &split, &folds, err);
    unlink(j->spool);
out:
    ag_str_free(&path);
    return status;
}

static void job_free(job *j)
{
    ag_out_abort(j->out);
    ag_book_free(j->book);
    ag_str_free(&j->line);
    ag_table_free(&j->ids);
    ag_table_free(&j->query_index);
    for (size_t q = 0; q < j->query_count; q++) ag_free(j->queries[q]);
    ag_free(j->queries);
    ag_free(j->weights);
    ag_free(j->query_of);
    ag_free(j->spool);
}

/* The formats for --help, from their table. */
static void describe(ag_str *out)
{
    ag_str_add(out, "Turns a data set into pairs (JSONL), checked against the rulebook. Formats:");
    for (const ag_importer *i = ag_importers; i->name; i++)
        ag_str_addf(out, "\n  %-10s  %s: %s", i->name, i->summary, i->files);
}

int ag_cmd_import(int argc, char **argv)
{
    job j = {.set = {.out = "-", .aggregate = "given", .seed = 1}};
    settings *s = &j.set;
    const ag_option options[] = {
        {"rules", AG_OPT_STRING, &s->rules, "BOOK", "the rulebook whose tiers the labels become", 0, 0},
        {"out", AG_OPT_STRING, &s->out, "FILE", "pairs as JSONL (.gz: compressed; default: standard output)",
         0, 0},
        {"labels", AG_OPT_STRING, &s->labels, "LABEL=TIER,...",
         "what the labels mean ('-' for TIER leaves pairs out)", 0, 0},
        {"map", AG_OPT_LIST, &s->maps, "COLUMN=FIELD", "a column that is not understood by its name", 0, 0},
        {"where", AG_OPT_LIST, &s->where, "COLUMN=VALUE", "only rows with this value", 0, 0},
        {"catalogue", AG_OPT_STRING, &s->catalogue, "FILE",
         "products by id, for judgments and rows that do not tell all of theirs", 0, 0},
        {"queries", AG_OPT_STRING, &s->queries, "FILE", "queries by id, for judgments without query text", 0,
         0},
        {"aggregate", AG_OPT_CHOICE, &s->aggregate, "given|majority|median|soft", "how ratings become gold",
         0, 0},
        {"delimiter", AG_OPT_STRING, &s->delimiter, "CHAR", "of tables (default: what the header uses)", 0,
         0},
        {"keep-html", AG_OPT_FLAG, &s->keep_html, NULL, "leave HTML in titles and descriptions", 0, 0},
        {"split", AG_OPT_STRING, &s->split, "NAME=SHARE,...", "one file a part, split by query group", 0, 0},
        {"folds", AG_OPT_INT, &s->folds, "K",
         "K-fold cross-validation by query group: train and test of each fold", 2, AG_SPLIT_MAX},
        {"stable", AG_OPT_FLAG, &s->stable, NULL,
         "parts by each group's name alone: more data moves no query", 0, 0},
        {"seed", AG_OPT_INT, &s->seed, "N", "of the split (default 1)", 0, 1e15},
        {0},
    };
    ag_str text = {0};
    ag_error err = {0};
    char **args;
    int nargs;
    describe(&text);
    const ag_usage usage = {"agrl import FORMAT FILE... --rules BOOK [--out FILE] [options]",
                            ag_str_text(&text), 2, -1};
    int code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code < 0) {
        j.import = (ag_import){.files = (const char *const *)args + 1,
                               .file_count = nargs - 1,
                               .catalogue = s->catalogue,
                               .queries = s->queries,
                               .labels = s->labels,
                               .maps = s->maps.items,
                               .map_count = s->maps.count,
                               .where = s->where.items,
                               .where_count = s->where.count,
                               .keep_html = s->keep_html,
                               .emit = take_pair,
                               .context = &j};
        for (int a = 0; a < 4; a++)
            if (strcmp(s->aggregate, ag_aggregate_names[a]) == 0) j.import.aggregate = (ag_aggregate)a;
        code = run(&j, args[0], &err) == AG_OK ? 0 : ag_cli_fail(&err);
    }
    job_free(&j);
    ag_str_free(&text);
    return code;
}
