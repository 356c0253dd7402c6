/* rederive.h: the same verdicts under two rulebooks: which judged pairs get another tier or another deciding rule when the rules
 * change. The verdicts are those that a judge wrote or the pairs' gold ones; no model takes part.
 *
 * Catalogue facts and the parser may change with the books, too (ag_rederive_facts). A verdict that is what the old book's facts say of the
 * item becomes what the new book's say; a judge that said something else than the facts did keeps its word. Where the pair does not say
 * what is asked, each book reads it in the query; a request that only the new one reads gets the verdict of its facts.
 *
 * Verdicts pass from one book to the other by their names. A pair whose verdicts the new book cannot read, or of which it needs one
 * that nobody gave, is left out and counted with the name at fault.
 */
#ifndef AG_EVAL_REDERIVE_H
#define AG_EVAL_REDERIVE_H

#include "data/pair.h"
#include "rules/book_diff.h"

/* What is known of a catalogue under each of the two books; all borrowed. */
typedef struct ag_rederive_facts {
    const ag_facts *old, *new;
    const ag_lexicon *old_lexicon, *new_lexicon; /* with the values of the same items */
} ag_rederive_facts;

/* Why a pair is left out. */
typedef enum ag_rederive_state {
    AG_REDERIVE_REFUSED,    /* the judge's answer was not in the format: it has no verdicts */
    AG_REDERIVE_NO_PAIR,    /* judged, but not among the pairs given */
    AG_REDERIVE_ASKED,      /* the pair asks for something else than was judged */
    AG_REDERIVE_INCOMPLETE, /* a verdict that the old book needs is not there */
    AG_REDERIVE_UNREAD,     /* the new book has no such criterion or verdict */
    AG_REDERIVE_MISSING,    /* the new book has a criterion of which there is no verdict */
    AG_REDERIVE_STATES
} ag_rederive_state;
extern const char *const ag_rederive_state_names[AG_REDERIVE_STATES]; /* keys in JSON */
extern const char *const ag_rederive_state_texts[AG_REDERIVE_STATES]; /* for people */

typedef struct ag_rederive_left_out {
    ag_rederive_state state;
    const char *name; /* the criterion or verdict at fault, or NULL */
    size_t pairs;
} ag_rederive_left_out;

/* What follows from one pair's verdicts: tiers and rules are indices into the old and the new book, a rule -1 where none holds. */
typedef struct ag_rederived {
    const char *id, *query, *title; /* NULL where not known */
    int old_tier, old_rule, new_tier, new_rule;
    bool facts;        /* a verdict is another because the catalogue's facts are */
    double difference; /* gain of the new tier in the new book minus gain of the old one in the old book */
} ag_rederived;

typedef struct ag_rederive {
    const ag_book *old, *new;       /* borrowed */
    const ag_rederive_facts *facts; /* borrowed; NULL: verdicts stay what they are */
    int criterion[AG_MAX_CRITERIA]; /* of the old book -> of the new one, or -1 */
    int8_t verdict[AG_MAX_CRITERIA][AG_MAX_VERDICTS];
    ag_arena texts;
    ag_rederived *rows; /* pairs that both books read, in the order of the file */
    size_t count, capacity;
    ag_rederive_left_out *left_out;
    size_t left_out_count, left_out_capacity;
    size_t read; /* pairs or judged lines in all */
    size_t
        assumed; /* judged lines without a pair: entries count as `is`, importance is the book's, no query type */
    size_t by_facts; /* compared pairs with a verdict that changes with the facts */
    size_t reread;   /* compared pairs of whose query the new book reads other requests */
    size_t differs;  /* judged lines whose own `derived` is not what the old book derives */
} ag_rederive;

/* Both books must outlive it; `facts` may be set before pairs are added. Safe to free in every case. */
void ag_rederive_begin(ag_rederive *r, const ag_book *old, const ag_book *new);
void ag_rederive_free(ag_rederive *r);

/* Adds pairs that were read with the old book, by their gold verdicts. What is asked must be known (ag_pair_fill_asked). */
ag_status ag_rederive_pairs(ag_rederive *r, const ag_pair_list *pairs, ag_error *err);
/* Adds the lines of a file as `agrl verify` and `agrl judge --explain` write them. `pairs` (NULL: not known), read with the old book, say by
 * id what is asked. A name that the old book lacks, an id judged twice and a line without verdicts are AG_ERR_INPUT with file:line. */
ag_status ag_rederive_judged(ag_rederive *r, const char *path, const ag_pair_list *pairs, ag_error *err);

/* Does the tier (its id) change? Does the deciding rule (its id)? */
bool ag_rederived_tier_changes(const ag_rederive *r, const ag_rederived *row);
bool ag_rederived_rule_changes(const ag_rederive *r, const ag_rederived *row);
/* {"id", "query", "title", "old": {"tier", "rule"}, "new": {"tier", "rule"}, "facts", "difference"}; NULL when out of memory. New
 * reference. */
json_t *ag_rederived_json(const ag_rederive *r, const ag_rederived *row);

/* The whole comparison:
 * {"old": {"rulebook", "version", "digest"}, "new": {...}, "book": [{"kind", "id", "field", "old", "new"}...], "judged": null or
 *  {"pairs", "compared", "changed", "share", "better", "worse", "rule_only", "assumed", "differs", "facts", "reread",
 *   "tiers": [{"old", "new", "pairs", "share"}...], "rules": [{"old", "new", "pairs", "share", "changed"}...],
 *   "left_out": [{"state", "text", "name", "pairs"}...], "most": [pair...]}}
 * "changed" counts pairs whose tier changes, "rules" those whose tier or rule does; shares are of the compared. "most" holds up to
 * `limit` pairs whose tier changes, the largest differences of gain first. r NULL: only the books. New reference. */
ag_status ag_rederive_json(json_t **json, const ag_book *old, const ag_book *new,
                           const ag_book_changes *changes, const ag_rederive *r, size_t limit, ag_error *err);
/* What a pair is under the new book, as far as facts and the parser tell (rederive_facts.c). */
typedef struct ag_rederive_reading {
    ag_asked asked; /* under the new book; entries are not resolved (ag_asked_resolve) */
    ag_ask entries[AG_MAX_ASKED];
    int was[AG_MAX_ASKED]; /* the old entry that a new one is, or -1 */
    bool reread;           /* other requests than before */
    ag_verdicts before,
        after; /* what facts say of the old entries under the old book, of the new ones under the new book; -1 open */
} ag_rederive_reading;
/* The pair's asked is known and what the old book makes of it. Texts live in `arena`. */
ag_status ag_rederive_read(ag_rederive_reading *reading, const ag_rederive *r, const ag_pair *pair,
                           ag_arena *arena, ag_error *err);

/* The tables for a terminal, from that JSON. */
ag_status ag_rederive_table(ag_str *out, const json_t *json, ag_error *err);

#endif
