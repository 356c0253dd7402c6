/* cmd_synth.c: `agrl synth`: labelled pairs out of a rulebook and a catalogue, here the invented shop's. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/shop.h"
#include "data/synth.h"

typedef struct settings {
    const char *rules, *out, *tiers, *withhold;
    ag_option_list refuse, skills;
    long pairs, seed, products, per_query, unseen_brands, unseen_categories;
    double part[AG_SYNTH_PARTS], type[AG_SYNTH_TYPES];
    double unseen_products, disturbed, asked_parsed, missing, text_only;
    bool relabel, quiet;
} settings;

typedef struct inputs {
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
    ag_arena arena; /* the catalogue and the refused queries */
    ag_item *items;
    size_t item_count;
    const char **refused;
    size_t refused_count, refused_cap;
} inputs;

static void set_defaults(settings *s, const ag_synth_options *o, const ag_shop_options *shop)
{
    *s = (settings){.pairs = o->pairs,
                    .seed = (long)o->seed,
                    .products = shop->products,
                    .per_query = o->per_query,
                    .unseen_brands = o->unseen_brands,
                    .unseen_categories = o->unseen_categories,
                    .unseen_products = o->unseen_products,
                    .disturbed = o->disturbed,
                    .asked_parsed = 0.3,
                    .missing = shop->missing,
                    .text_only = shop->text_only};
    memcpy(s->part, o->part_share, sizeof s->part);
    memcpy(s->type, o->type_share, sizeof s->type);
}

/* "4=0.3,3=0.3,...": every tier not named gets nothing. */
static ag_status read_tiers(const char *text, const ag_book *book, double *shares, ag_error *err)
{
    ag_str id = {0}, value = {0};
    ag_status status = AG_OK;
    for (const char *at = text; *at && status == AG_OK;) {
        size_t n = strcspn(at, ","), key = strcspn(at, "=");
        double share = -1;
        ag_str_clear(&id);
        ag_str_clear(&value);
        ag_str_addn(&id, at, key < n ? key : n);
        ag_str_addn(&value, at + (key < n ? key + 1 : n), key < n ? n - key - 1 : 0);
        int tier = ag_book_tier(book, ag_str_text(&id));
        if (tier < 0)
            status = ag_fail(err, AG_ERR_USAGE, "--tiers: the rulebook has no tier '%s'", ag_str_text(&id));
        else if (!ag_number_parse(ag_str_text(&value), &share) || share < 0)
            status = ag_fail(err, AG_ERR_USAGE, "--tiers: '%s' needs a share, as in %s=0.25",
                             ag_str_text(&id), ag_str_text(&id));
        else
            shares[tier] = share;
        at += n;
        if (*at) at++;
    }
    ag_str_free(&id);
    ag_str_free(&value);
    return status;
}

static ag_status read_skills(const ag_option_list *list, unsigned *bits, ag_error *err)
{
    for (int i = 0; i < list->count; i++) {
        int k = 0;
        while (k < 3 && strcmp(list->items[i], ag_skill_names[k]) != 0) k++;
        if (k == 3)
            return ag_fail(err, AG_ERR_USAGE, "--withhold-skill: '%s' is not units, synonyms or hierarchy",
                           list->items[i]);
        *bits |= 1u << k;
    }
    return AG_OK;
}

/* Queries of a held-out file: JSONL pairs (their "query") or plain lines. */
static ag_status read_refused(inputs *in, const char *path, ag_error *err)
{
    ag_lines *lines = NULL;
    char *line;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &line, &len, err)) == AG_OK && line) {
        json_t *json = NULL;
        const char *query = line;
        if (len == 0) continue;
        if (*line == '{') {
            status = ag_json_parse(&json, line, len, path, ag_lines_number(lines), err);
            query = status == AG_OK ? json_string_value(json_object_get(json, "query")) : "";
            if (!query)
                status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: no \"query\"", path, ag_lines_number(lines));
        }
        if (status == AG_OK &&
            !ag_grow(&in->refused, &in->refused_cap, in->refused_count + 1, sizeof *in->refused))
            status = ag_fail_memory(err, "refused queries");
        if (status == AG_OK && !(in->refused[in->refused_count++] = ag_arena_strdup(&in->arena, query)))
            status = ag_fail_memory(err, "refused queries");
        json_decref(json);
    }
    ag_lines_close(lines);
    return status;
}

static ag_status open_inputs(inputs *in, const settings *s, ag_error *err)
{
    ag_shop_options shop;
    ag_shop_defaults(&shop);
    shop.products = s->products;
    shop.seed = (uint64_t)s->seed;
    shop.missing = s->missing;
    shop.text_only = s->text_only;
    in->arena.name = "shop";
    ag_status status = ag_book_load(&in->book, s->rules, err);
    if (status == AG_OK) status = ag_facts_of_book(&in->facts, in->book, err);
    if (status == AG_OK) status = ag_shop_invent(&in->items, &in->item_count, &shop, &in->arena, err);
    if (status == AG_OK) status = ag_lexicon_create(&in->lexicon, in->facts, in->book, err);
    for (size_t i = 0; i < in->item_count && status == AG_OK; i++)
        status = ag_lexicon_add_item(in->lexicon, &in->items[i], err);
    for (int i = 0; i < s->refuse.count && status == AG_OK; i++)
        status = read_refused(in, s->refuse.items[i], err);
    return status;
}

static void close_inputs(inputs *in)
{
    ag_lexicon_free(in->lexicon);
    ag_facts_free(in->facts);
    ag_book_free(in->book);
    ag_free(in->refused);
    ag_arena_free(&in->arena);
}

/* --- the table ----------------------------------------------------------------------------------------------- */

/* How many pairs of each part have each value of something. */
static void print_rows(const ag_synth *synth, const char *title, const char *const *names, int n,
                       bool (*has)(const ag_synth_pair *pair, int value, const void *with), const void *with)
{
    printf("\n%-14s", title);
    for (int p = 0; p < AG_SYNTH_PARTS; p++) printf("%16s", ag_synth_part_names[p]);
    printf("\n");
    for (int v = 0; v < n; v++) {
        printf("  %-12s", names[v]);
        for (int p = 0; p < AG_SYNTH_PARTS; p++) {
            size_t count = 0, total = synth->pair_count[p];
            for (size_t i = 0; i < total; i++) count += has(&synth->pairs[p][i], v, with);
            printf("%8zu %6.1f%%", count, total ? 100.0 * (double)count / (double)total : 0.0);
        }
        printf("\n");
    }
}

static bool has_tier(const ag_synth_pair *pair, int tier, const void *with)
{
    (void)with;
    return pair->gold.tier == tier;
}

static bool has_rule(const ag_synth_pair *pair, int rule, const void *with)
{
    (void)with;
    return pair->gold.rule == rule;
}

static bool has_type(const ag_synth_pair *pair, int type, const void *with)
{
    (void)with;
    return pair->query->type == (ag_synth_type)type;
}

static bool has_skill(const ag_synth_pair *pair, int skill, const void *with)
{
    (void)with;
    return pair->skills & (1u << skill);
}

static void print_summary(const ag_synth *synth, const ag_book *book)
{
    const char *tiers[AG_MAX_TIERS], *rules[AG_MAX_RULES];
    for (int i = 0; i < book->tier_count; i++) tiers[i] = book->tiers[i].id;
    for (int i = 0; i < book->rule_count; i++) rules[i] = book->rules[i].id;
    printf("%-14s", "pairs");
    for (int p = 0; p < AG_SYNTH_PARTS; p++) printf("%16zu", synth->pair_count[p]);
    printf("\n%-14s", "queries");
    for (int p = 0; p < AG_SYNTH_PARTS; p++) {
        size_t n = 0;
        const ag_synth_query *last = NULL;
        for (size_t i = 0; i < synth->pair_count[p]; i++) { /* pairs of a query stand together */
            n += synth->pairs[p][i].query != last;
            last = synth->pairs[p][i].query;
        }
        printf("%16zu", n);
    }
    printf("\n");
    print_rows(synth, "tier", tiers, book->tier_count, has_tier, NULL);
    print_rows(synth, "rule", rules, book->rule_count, has_rule, NULL);
    print_rows(synth, "type", ag_synth_type_names, AG_SYNTH_TYPES, has_type, NULL);
    print_rows(synth, "needs", ag_skill_names, AG_SKILL_COUNT, has_skill, NULL);
    double precision = synth->parsed_entries ? (double)synth->agreed_entries / (double)synth->parsed_entries
                                             : 1.0;
    double recall = synth->asked_entries ? (double)synth->agreed_entries / (double)synth->asked_entries : 1.0;
    printf("\nparser of asked: precision %.3f, recall %.3f over %ld requests", precision, recall,
           synth->asked_entries);
    printf("; sft pairs with its reading: %ld (%ld more kept their own, because it missed what decides)\n",
           synth->parsed_asked, synth->parser_missed);
    if (synth->withheld) printf("products kept out of sft by withholding: %ld\n", synth->withheld);
}

/* --- the command --------------------------------------------------------------------------------------------- */

static ag_status write_beside(const inputs *in, const char *dir, ag_error *err)
{
    char *catalogue = ag_path_join(dir, "catalogue.jsonl"), *lexicon = ag_path_join(dir, "lexicon.json");
    ag_status status = catalogue && lexicon ? AG_OK : ag_fail_memory(err, "path");
    if (status == AG_OK) status = ag_synth_write_catalogue(in->items, in->item_count, catalogue, err);
    if (status == AG_OK) status = ag_lexicon_save(in->lexicon, lexicon, err);
    ag_free(catalogue);
    ag_free(lexicon);
    return status;
}

static ag_status run(const settings *s, ag_error *err)
{
    inputs in = {0};
    ag_synth *synth = NULL;
    ag_synth_options o;
    ag_synth_defaults(&o);
    o.pairs = s->pairs;
    o.seed = (uint64_t)s->seed;
    o.per_query = (int)s->per_query;
    o.unseen_products = s->unseen_products;
    o.unseen_brands = (int)s->unseen_brands;
    o.unseen_categories = (int)s->unseen_categories;
    o.disturbed = s->disturbed;
    o.asked_parsed = s->asked_parsed;
    o.withhold = s->withhold;
    o.relabel = s->relabel;
    memcpy(o.part_share, s->part, sizeof o.part_share);
    memcpy(o.type_share, s->type, sizeof o.type_share);
    ag_status status = read_skills(&s->skills, &o.withhold_skills, err);
    if (status == AG_OK) status = open_inputs(&in, s, err);
    if (status == AG_OK && s->tiers) status = read_tiers(s->tiers, in.book, o.tier_share, err);
    o.refused = in.refused;
    o.refused_count = in.refused_count;
    if (status == AG_OK)
        status = ag_synth_run(&synth, in.items, in.item_count, in.facts, in.book, in.lexicon, &o, err);
    if (status == AG_OK) status = ag_synth_write(synth, in.book, s->out, err);
    if (status == AG_OK) status = write_beside(&in, s->out, err);
    if (status == AG_OK && !s->quiet) print_summary(synth, in.book);
    for (int p = 0; status == AG_OK && p < AG_SYNTH_PARTS; p++)
        if ((long)synth->pair_count[p] < synth->wanted[p])
            ag_warn("%s has %zu of %ld pairs: the catalogue and rules give no more; try --products or fewer "
                    "pairs",
                    ag_synth_part_names[p], synth->pair_count[p], synth->wanted[p]);
    ag_synth_free(synth);
    close_inputs(&in);
    return status;
}

int ag_cmd_synth(int argc, char **argv)
{
    static const ag_usage usage = {"agrl synth --rules BOOK --out DIR [options]",
                                   "Makes queries over an invented shop, pairs them with products of every "
                                   "tier, and derives each label (verdicts, "
                                   "deciding rule, tier, reason) from the products' facts and the rulebook. "
                                   "DIR gets sft.jsonl, rl.jsonl, "
                                   "valid.jsonl, test.jsonl, test_unseen.jsonl, catalogue.jsonl and "
                                   "lexicon.json. Shares (of files, query types, tiers) are weights: each "
                                   "group is divided by its sum. The same settings give the same bytes.",
                                   0, 0};
    settings s;
    ag_synth_options o;
    ag_shop_options shop;
    char **args;
    int nargs;
    ag_error err = {0};
    ag_synth_defaults(&o);
    ag_shop_defaults(&shop);
    set_defaults(&s, &o, &shop);
    const ag_option options[] = {
        {"rules", AG_OPT_STRING, &s.rules, "BOOK", "rulebook (needed)", 0, 0},
        {"out", AG_OPT_STRING, &s.out, "DIR", "folder for the files (needed)", 0, 0},
        {"pairs", AG_OPT_INT, &s.pairs, "N", "pairs in all files together", 1, 1e8},
        {"seed", AG_OPT_INT, &s.seed, "N", "seed of shop, queries and splits", 0, 9e15},
        {"products", AG_OPT_INT, &s.products, "N", "products of the invented shop", 1, 1e7},
        {"per-query", AG_OPT_INT, &s.per_query, "N", "products of one query at most", 1, 64},
        {"sft-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_SFT], "X", "share of the pairs in sft.jsonl", 0, 1},
        {"rl-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_RL], "X", "share in rl.jsonl", 0, 1},
        {"valid-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_VALID], "X", "share in valid.jsonl", 0, 1},
        {"test-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_TEST], "X",
         "share in test.jsonl (unseen queries and products)", 0, 1},
        {"unseen-share", AG_OPT_NUMBER, &s.part[AG_SYNTH_UNSEEN], "X",
         "share in test_unseen.jsonl (unseen brands and categories)", 0, 1},
        {"plain", AG_OPT_NUMBER, &s.type[AG_SYNTH_PLAIN], "X", "share of plain queries", 0, 1},
        {"negation", AG_OPT_NUMBER, &s.type[AG_SYNTH_NEGATION], "X", "share of queries with 'not'", 0, 1},
        {"alternative", AG_OPT_NUMBER, &s.type[AG_SYNTH_ALTERNATIVE], "X", "share of 'alternative to'", 0, 1},
        {"question", AG_OPT_NUMBER, &s.type[AG_SYNTH_QUESTION], "X", "share of questions", 0, 1},
        {"knowledge", AG_OPT_NUMBER, &s.type[AG_SYNTH_KNOWLEDGE], "X", "share that needs knowledge", 0, 1},
        {"tiers", AG_OPT_STRING, &s.tiers, "ID=X,...", "shares of the tiers (equal)", 0, 0},
        {"unseen-products", AG_OPT_NUMBER, &s.unseen_products, "X", "share of products kept for tests", 0,
         0.9},
        {"unseen-brands", AG_OPT_INT, &s.unseen_brands, "N", "brands kept for test_unseen", 0, 1000},
        {"unseen-categories", AG_OPT_INT, &s.unseen_categories, "N", "categories kept for test_unseen", 0,
         1000},
        {"disturbed", AG_OPT_NUMBER, &s.disturbed, "X", "share of queries in another word order", 0, 1},
        {"missing", AG_OPT_NUMBER, &s.missing, "X", "share of facts that a product does not state", 0, 1},
        {"text-only", AG_OPT_NUMBER, &s.text_only, "X", "share of facts that stand in the title only", 0, 1},
        {"asked-parsed", AG_OPT_NUMBER, &s.asked_parsed, "SHARE",
         "share of sft pairs with the parser's asked", 0, 1},
        {"withhold", AG_OPT_STRING, &s.withhold, "RULE", "no pair that this rule decides in sft.jsonl", 0, 0},
        {"relabel", AG_OPT_FLAG, &s.relabel, NULL,
         "with --withhold: keep such pairs, labelled as if the rule were not in the book", 0, 0},
        {"withhold-skill", AG_OPT_LIST, &s.skills, "SKILL",
         "no pair in sft.jsonl whose verdicts need units, synonyms or hierarchy", 0, 0},
        {"refuse", AG_OPT_LIST, &s.refuse, "FILE",
         "make no query of a group of this file (JSONL pairs or a query a line)", 0, 0},
        {"quiet", AG_OPT_FLAG, &s.quiet, NULL, "no table", 0, 0},
        {0}};
    int code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_status status = AG_OK;
    if (!s.rules)
        status = ag_fail(&err, AG_ERR_USAGE, "synth needs --rules BOOK, for example --rules rules/shop.yaml");
    else if (!s.out)
        status = ag_fail(&err, AG_ERR_USAGE, "synth needs --out DIR");
    if (status == AG_OK) status = run(&s, &err);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
