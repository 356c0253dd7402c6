/* pre.h: pre-tokenizers: how a text is cut into the pieces that merges never cross.
 *
 * A pre-tokenizer is a short list of steps; each cuts the pieces of the one before it further. Patterns are
 * kept as tokenizer.json spells them (Oniguruma's syntax), so that saving gives them back unchanged, and are
 * translated for PCRE2 when they are compiled.
 */
#ifndef AG_TEXT_PRE_H
#define AG_TEXT_PRE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/str.h"

#define AG_PRE_STEPS 8

typedef enum ag_step_kind {
    AG_STEP_DIGITS, /* numeric characters (category N) apart from the rest */
    AG_STEP_SPLIT,  /* matches of a pattern, and what lies between them */
    AG_STEP_BYTES   /* byte level, with GPT-2's pattern: saved as ByteLevel with its regex */
} ag_step_kind;

typedef struct ag_step {
    ag_step_kind kind;
    bool individual; /* digits: one by one, not in runs */
    bool literal;    /* split: the pattern is a plain string */
    bool drop_gaps;  /* split: what does not match is left out ("Removed" with "invert") */
    char *pattern;   /* as in tokenizer.json; NULL for digits */
    pcre2_code *code;
    bool jit;
} ag_step;

typedef struct ag_pre {
    ag_step steps[AG_PRE_STEPS];
    int count;
    pcre2_general_context *memory; /* PCRE2's allocations go through base/mem.h */
    pcre2_match_context *limits;
} ag_pre;

/* What one call needs of its own. Zeroed is ready. */
typedef struct ag_pre_work {
    pcre2_match_data *match;
} ag_pre_work;

typedef ag_status (*ag_piece_fn)(void *user, const char *piece, size_t len, ag_error *err);

ag_status ag_pre_digits(ag_pre *pre, bool individual, ag_error *err);
ag_status ag_pre_split(ag_pre *pre, const char *pattern, bool literal, bool drop_gaps, ag_error *err);
ag_status ag_pre_bytes(ag_pre *pre, ag_error *err);

/* A named pre-tokenizer of GGUF files; AG_ERR_UNSUPPORTED names the known ones. What else the name implies
 * comes back through the pointers. */
ag_status ag_pre_named(ag_pre *pre, const char *name, bool *nfc, bool *ignore_merges, ag_error *err);

/* Hands the pieces of a valid UTF-8 text to fn in order. */
ag_status ag_pre_run(const ag_pre *pre, ag_pre_work *work, const char *text, size_t len, ag_piece_fn fn,
                     void *user, ag_error *err);
void ag_pre_work_free(ag_pre_work *work);
void ag_pre_free(ag_pre *pre);

/* Oniguruma's spelling to PCRE2's (pattern.c). Constructs that the two read differently are
 * AG_ERR_UNSUPPORTED. */
ag_status ag_pattern_translate(ag_str *out, const char *pattern, ag_error *err);

#endif
