/* audit.h: a rulebook held against what people said: which tier follows from each judged pair's verdicts, by which rule,
 * and how far that is from the tier that people gave. No model takes part.
 *
 * A pair's verdicts are its gold verdicts where they are complete, else what the catalogue's facts say. A pair for which
 * no complete verdicts follow is left out, with the reason.
 */
#ifndef AG_EVAL_AUDIT_H
#define AG_EVAL_AUDIT_H

#include "data/pair.h"
#include "rules/facts.h"

/* What became of a pair; all but the first two are reasons to leave it out. */
typedef enum ag_audit_state {
    AG_AUDIT_GIVEN,     /* derived from the pair's own verdicts */
    AG_AUDIT_FACTS,     /* derived from catalogue facts */
    AG_AUDIT_NO_TIER,   /* people gave no tier */
    AG_AUDIT_PEOPLE,    /* a criterion that only people can judge, and they did not */
    AG_AUDIT_NO_WANTED, /* the query names no category, and not every word of it was read */
    AG_AUDIT_NO_KIND,   /* the item has no category, and its texts do not name one */
    AG_AUDIT_UNCLEAR,   /* the facts file leaves open how the two categories stand */
    AG_AUDIT_UNMAPPED,  /* the book maps no verdict to a relation that was found */
    AG_AUDIT_STATES
} ag_audit_state;
extern const char *const ag_audit_state_names[AG_AUDIT_STATES]; /* keys in JSON */
extern const char *const ag_audit_state_texts[AG_AUDIT_STATES]; /* for people */

typedef struct ag_audit_case {
    const ag_pair *pair; /* pair->gold.tier is what people said */
    ag_audit_state state;
    const char *wanted; /* the category that the query wants ("*": any), or NULL */
    ag_verdicts verdicts;
    int tier, rule; /* derived; -1 when left out, and rule -1 where none holds */
} ag_audit_case;

typedef struct ag_audit {
    const ag_book *book; /* borrowed */
    ag_audit_case *cases;
    size_t count;
} ag_audit;

/* Tells the kind of each item that states no category (its `kind`), from its texts. */
ag_status ag_audit_kinds(ag_pair_list *pairs, const ag_facts *facts, ag_error *err);
/* Adds the items of the pairs to a lexicon, each id once. */
ag_status ag_audit_lexicon(ag_lexicon *lexicon, const ag_pair_list *pairs, ag_error *err);
/* Derives a tier for each pair; `asked` is filled where a pair lacks it. Book and pairs are borrowed and must outlive the
 * audit. *audit: ag_audit_free. */
ag_status ag_audit_run(ag_audit **audit, const ag_book *book, const ag_facts *facts,
                       const ag_lexicon *lexicon, ag_pair_list *pairs, ag_error *err);
void ag_audit_free(ag_audit *audit);

/* Was a tier derived, and did people give one? */
bool ag_audit_counts(const ag_audit_case *c);
/* How many tiers the derived one is better than people's (below 0: worse). */
int ag_audit_difference(const ag_audit_case *c);
/* Examples, at most `most` of them; a query that is not there yet goes before one that is, then the order of the file.
 * worst: cases of one deciding rule (-1: where none holds) with a difference, larger ones first. left_out: cases of one
 * state. Return how many. */
size_t ag_audit_worst(const ag_audit *audit, int rule, const ag_audit_case **cases, size_t most);
size_t ag_audit_left_out(const ag_audit *audit, ag_audit_state state, const ag_audit_case **cases,
                         size_t most);

enum { AG_AUDIT_EXAMPLES = 1000 }; /* the most that a list of examples holds */
/* The whole audit, with up to `examples` cases in each list:
 * {"rulebook", "version", "digest", "pairs", "audited", "tiers": [id...], "states": {state: pairs},
 *  "all": {"pairs", "queries", "tiers": {id: pairs}, "agreement", "within_one", "difference", "kappa"},
 *  "rules": [{"rule", "cap", "text", and as in all but kappa, "worst": [case...]}...],
 *  "left_out": [{"state", "text", "pairs", "queries", "examples": [case...]}...]}
 * A rule that decided nothing has a row too; the row without a rule is there when it has pairs. New reference. */
ag_status ag_audit_json(json_t **json, const ag_audit *audit, int examples, ag_error *err);
/* The tables for a terminal, from that JSON. */
ag_status ag_audit_table(ag_str *out, const json_t *json, ag_error *err);

#endif
