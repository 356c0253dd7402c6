/* calibration.c: applying a calibration, and its file. */
#include "eval/calibration.h"

#include <math.h>
#include <string.h>
#include "base/digest.h"
#include "base/file.h"

enum { FILE_VERSION = 1 };

void ag_calibration_apply(const ag_calibration *c, double *p)
{
    double score[AG_MAX_TIERS], most = -INFINITY, total = 0;
    for (int t = 0; t < c->tiers; t++) {
        score[t] = log(fmax(p[t], AG_CALIBRATION_LEAST)) / c->temperature + c->bias[t];
        most = fmax(most, score[t]);
    }
    for (int t = 0; t < c->tiers; t++) total += p[t] = exp(score[t] - most);
    for (int t = 0; t < c->tiers; t++) p[t] /= total;
}

void ag_calibration_digest(ag_str *out, const ag_calibration *c)
{
    ag_str text = {0};
    char hex[65];
    if (!c) {
        ag_str_add(out, "none");
        return;
    }
    ag_str_addf(&text, "%.17g", c->temperature);
    for (int t = 0; t < c->tiers; t++) ag_str_addf(&text, " %.17g", c->bias[t]);
    ag_sha256_of(hex, ag_str_text(&text), text.len);
    if (text.failed) out->failed = true;
    ag_str_add(out, hex);
    ag_str_free(&text);
}

/* --- the file ---------------------------------------------------------------------------------------------------- */

ag_status ag_calibration_save(const ag_calibration *c, const ag_book *book, const json_t *about,
                              const char *path, ag_error *err)
{
    json_t *json = json_object(), *bias = NULL;
    bool good = json && ag_json_set(json, "calibration", json_integer(FILE_VERSION)) &&
                ag_json_set(json, "temperature", json_real(c->temperature)) &&
                ag_json_set(json, "bias", bias = json_object());
    for (int t = 0; good && t < c->tiers; t++)
        good = ag_json_set(bias, book->tiers[t].id, json_real(c->bias[t]));
    good = good && ag_json_set(json, "decision", ag_decision_to_json(&c->decision, book)) &&
           ag_json_set(json, "model_digest", json_string(c->model)) &&
           ag_json_set(json, "rulebook", json_string(book->name)) &&
           ag_json_set(json, "rulebook_digest", json_string(c->rulebook)) &&
           (!about || ag_json_set(json, "fitted", json_deep_copy(about)));
    ag_status status = good ? ag_json_save(path, json, err) : ag_fail_memory(err, "calibration");
    json_decref(json);
    return status;
}

static ag_status read_numbers(ag_calibration *c, const ag_book *book, const json_t *json, const char *path,
                              ag_error *err)
{
    double sum = 0;
    c->tiers = book->tier_count;
    AG_TRY(ag_json_get_double(json, "temperature", &c->temperature, path, err));
    if (!(c->temperature > 0 && isfinite(c->temperature)))
        return ag_fail(err, AG_ERR_INPUT, "%s: 'temperature' must be above 0", path);
    const json_t *bias = json_object_get(json, "bias");
    if (json_object_size(bias) != (size_t)c->tiers)
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: 'bias' must have one number for each of the rulebook's %d tiers", path, c->tiers);
    for (int t = 0; t < c->tiers; t++) {
        double value = NAN;
        AG_TRY(ag_json_get_double(bias, book->tiers[t].id, &value, path, err));
        if (!isfinite(value))
            return ag_fail(err, AG_ERR_INPUT, "%s: no bias of tier '%s'", path, book->tiers[t].id);
        sum += c->bias[t] = value;
    }
    if (!isfinite(sum)) return ag_fail(err, AG_ERR_INPUT, "%s: the biases are too large", path);
    return AG_OK;
}

static ag_status read_digest(char digest[65], const json_t *json, const char *key, const char *path,
                             ag_error *err)
{
    const char *text = NULL;
    AG_TRY(ag_json_get_string(json, key, &text, path, err));
    if (!text || strlen(text) != 64)
        return ag_fail(err, AG_ERR_INPUT, "%s: '%s' must be a SHA-256 in hexadecimal", path, key);
    memcpy(digest, text, 65);
    return AG_OK;
}

static ag_status read_calibration(ag_calibration *c, const ag_book *book, const char *model_digest,
                                  const json_t *json, const char *path, ag_error *err)
{
    static const char again[] = "run agrl calibrate again, or go on without it by --calibration off";
    long version = 0;
    AG_TRY(ag_json_get_int(json, "calibration", 0, 1000000, &version, path, err));
    if (version != FILE_VERSION)
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: not a calibration of this version of agrl ('calibration' must be %d); %s", path,
                       FILE_VERSION, again);
    AG_TRY(read_digest(c->model, json, "model_digest", path, err));
    AG_TRY(read_digest(c->rulebook, json, "rulebook_digest", path, err));
    /* Before the numbers: those of another rulebook would be named after other tiers. */
    if (strcmp(c->rulebook, book->digest) != 0)
        return ag_fail(err, AG_ERR_INPUT,
                       "%s was fitted under another rulebook, or another version of this one; %s", path,
                       again);
    if (strcmp(c->model, model_digest) != 0)
        return ag_fail(err, AG_ERR_INPUT, "%s was fitted for other weights or another prompt format; %s",
                       path, again);
    AG_TRY(read_numbers(c, book, json, path, err));
    return ag_decision_from_json(&c->decision, book, json_object_get(json, "decision"), path, err);
}

ag_status ag_calibration_load(ag_calibration *c, bool *found, const ag_book *book, const char *model_digest,
                              const char *path, ag_error *err)
{
    json_t *json = NULL;
    memset(c, 0, sizeof *c);
    *found = ag_path_exists(path);
    if (!*found) return AG_OK;
    ag_status status = ag_json_load(&json, path, err);
    if (status == AG_OK && !json_is_object(json))
        status = ag_fail(err, AG_ERR_INPUT, "%s: a calibration must be an object", path);
    if (status == AG_OK) status = read_calibration(c, book, model_digest, json, path, err);
    json_decref(json);
    return status;
}
