/* synth.h: labelled pairs from a catalogue and a rulebook. The rules are the labeller.
 *
 * Queries are made from products' facts, worded by the facts file's phrases, and paired with products so that every
 * tier and rule occurs; each label (verdicts, tier, deciding rule, reason) is derived from the facts by ag_facts_gold.
 * The catalogue is an array of items: the invented shop (shop.h) or anybody's own. docs/SYNTH.md.
 */
#ifndef AG_DATA_SYNTH_H
#define AG_DATA_SYNTH_H

#include "rules/compare.h"

/* The files that a run writes. */
typedef enum ag_part_of_synth {
    AG_SYNTH_SFT,
    AG_SYNTH_RL,
    AG_SYNTH_VALID,
    AG_SYNTH_TEST,
    AG_SYNTH_UNSEEN,
    AG_SYNTH_PARTS
} ag_synth_part;
extern const char
    *const ag_synth_part_names[AG_SYNTH_PARTS]; /* "sft", "rl", "valid", "test", "test_unseen" */

typedef enum ag_synth_type {
    AG_SYNTH_PLAIN,
    AG_SYNTH_NEGATION,
    AG_SYNTH_ALTERNATIVE,
    AG_SYNTH_QUESTION,
    AG_SYNTH_KNOWLEDGE,
    /* what people type into a real shop's box (synth_catalogue.c) */
    AG_SYNTH_KIND,      /* what the thing is: "usb hub" */
    AG_SYNTH_ATTRIBUTE, /* kind and one attribute: "2 m usb cable" */
    AG_SYNTH_BRAND,     /* a brand, or brand and kind */
    AG_SYNTH_MODEL,     /* a model or part number */
    AG_SYNTH_DEVICE,    /* what fits a device: "toner for laserjet 4000" */
    AG_SYNTH_ABSENT,    /* a kind that the shop has not: its products are hidden from the search */
    AG_SYNTH_REAL,      /* a query of options.queries */
    AG_SYNTH_TYPES
} ag_synth_type;
extern const char *const ag_synth_type_names[AG_SYNTH_TYPES];
/* Shares of types over a real catalogue: what shops' logs look like. */
extern const double ag_synth_catalogue_shares[AG_SYNTH_TYPES];

/* Shares like those of real queries, as the parser reads them (queries that it does not read to the end do not count; of
 * fewer than 30 that it does, nothing follows, and shares are the usual ones); what is not sold keeps its usual share. Fills all
 * AG_SYNTH_TYPES. */
ag_status ag_synth_fit_shares(double *shares, const ag_facts *facts, const ag_lexicon *lexicon,
                              const char *const *queries, size_t count, ag_error *err);

/* The type that a reading of a query amounts to. `wanted`: the category that it names, NULL or ag_any_kind for none. */
ag_synth_type ag_synth_type_of(const ag_asked *asked, const char *wanted, const ag_facts *facts);

typedef struct ag_synth_options {
    long pairs; /* in all files together */
    uint64_t seed;
    int per_query;                        /* products of one query */
    double part_share[AG_SYNTH_PARTS];    /* of pairs; made to sum to 1 */
    double type_share[AG_SYNTH_TYPES];    /* of queries; made to sum to 1 */
    double tier_share[AG_MAX_TIERS];      /* of pairs, best tier first; all 0: equal */
    double unseen_products;               /* share of products that only tests meet */
    int unseen_brands, unseen_categories; /* how many only test_unseen meets */
    double disturbed; /* share of queries in another word order; over a catalogue: with one disturbance */
    bool catalogue;   /* a real catalogue: products come from a search (bm25.h), as a shop's results do */
    const char *const
        *queries; /* real queries: the part of each that the parser reads to the end is used first */
    size_t query_count;
    const char *withhold; /* rule id, or NULL */
    bool relabel;
    unsigned withhold_skills;   /* ag_skill bits */
    double asked_parsed;        /* share of sft pairs with the parser's asked */
    const char *const *refused; /* queries whose groups must not occur */
    size_t refused_count;
} ag_synth_options;
void ag_synth_defaults(ag_synth_options *options);

typedef struct ag_synth_query {
    const char *text, *wanted; /* wanted: the category as the query names it */
    const char
        *more; /* or NULL: words that say more of the category and are no request; see synth_catalogue.c */
    ag_asked asked;
    const ag_item *reference; /* of `like`, or NULL */
    ag_synth_type type;       /* what it was made as; asked.types has all */
    int part;
    bool hidden;                 /* products of the wanted kind are not sold: none of them becomes a pair */
    const char *disturbance;     /* what was done to the words, or NULL */
    const char *parsed_category; /* with `parsed` */
    ag_asked parsed;             /* the parser's reading; source UNKNOWN before it was read */
} ag_synth_query;

typedef struct ag_synth_pair {
    const ag_synth_query *query;
    const ag_item *item;
    ag_gold gold;
    unsigned skills; /* comparators that the verdicts needed */
    bool parsed;     /* asked is the parser's */
    bool relabelled;
    bool unseen_product, unseen_brand, unseen_category;
} ag_synth_pair;

typedef struct ag_synth {
    ag_arena arena; /* owns what pairs point to, except the catalogue */
    ag_synth_query *queries;
    size_t query_count, query_cap;
    ag_synth_pair *pairs[AG_SYNTH_PARTS];
    size_t pair_count[AG_SYNTH_PARTS], pair_cap[AG_SYNTH_PARTS];
    long wanted
        [AG_SYNTH_PARTS]; /* how many pairs the shares ask for; fewer came when the catalogue gives no more */
    long parsed_asked, parser_missed; /* sft pairs that took the parser's asked, and that could not */
    long withheld;                    /* candidates that withholding kept out of sft */
    long real_read;                   /* of options.queries: those that the parser read to the end */
    long asked_entries, parsed_entries,
        agreed_entries; /* parser against the queries' own asked, over all queries */
} ag_synth;

ag_status ag_synth_run(ag_synth **synth, const ag_item *items, size_t count, const ag_facts *facts,
                       const ag_book *book, const ag_lexicon *lexicon, const ag_synth_options *options,
                       ag_error *err);
void ag_synth_free(ag_synth *synth);

/* One pair as the JSON of DESIGN.md's pair format, with "category" (wanted), "reference" and "slice". New reference. */
json_t *ag_synth_pair_json(const ag_synth_pair *pair, const ag_book *book, long number);
json_t *ag_synth_item_json(const ag_item *item);
/* Writes sft.jsonl, rl.jsonl, valid.jsonl, test.jsonl, test_unseen.jsonl (parts without pairs are written empty). */
ag_status ag_synth_write(const ag_synth *synth, const ag_book *book, const char *dir, ag_error *err);
ag_status ag_synth_write_catalogue(const ag_item *items, size_t count, const char *path, ag_error *err);
/* audit.tsv: n pairs, drawn so that each rule has its share, as a reader should see them: query and product, no label; and
 * audit-key.tsv: by the same numbers the derived tier, rule and reason. Rows of tsv have no tabs or newlines inside. */
ag_status ag_synth_write_audit(const ag_synth *synth, const ag_book *book, long n, uint64_t seed,
                               const char *dir, ag_error *err);
/* How two readings of one query agree: entries of `b` that `a` has too. */
int ag_synth_agree(const ag_asked *a, const ag_asked *b);

#endif
