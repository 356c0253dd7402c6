/* mine.h: what a facts file lacks, read off a catalogue, as a facts file that people edit.
 *
 * Two lists. Synonyms: words that titles end in, of products whose kind other texts tell (a type field, the description), where
 * nearly all of them are of one kind. Gaps: words that titles end in, of products whose kind nothing tells, as comments
 * with an example each, the most frequent first. Nothing is decided: the file builds on the one that it was mined with.
 */
#ifndef AG_DATA_MINE_H
#define AG_DATA_MINE_H

#include "base/file.h"
#include "rules/facts_kind.h"

typedef struct ag_mined {
    long synonyms, gaps; /* lines of each */
} ag_mined;

/* Writes the file; `english`: plurals are taken off, as in the facts; `base` is the facts file to build on, as the new file should name it. At least `min` products stand behind
 * each line. items[i].kind is not read. */
ag_status ag_facts_mine(ag_out *out, ag_mined *mined, const ag_item *items, size_t count,
                        const ag_facts *facts, bool english, const char *base, long min, ag_error *err);

#endif
