/* fuzz_config.c: any JSON as a model's config.json: refused, or a shape within the bounds that survives writing. */
#include <stdint.h>
#include <stdlib.h>

#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = NULL, *written;
    ag_config config, again;
    ag_error err = {0};
    if (ag_json_parse(&json, (const char *)data, size, "config.json", 1, &err) != AG_OK) return 0;
    ag_status status = ag_config_from_json(&config, json, "config.json", &err);
    if (status == AG_OK) {
        if (ag_config_check(&config, "config.json", &err) != AG_OK || ag_config_parameters(&config) <= 0)
            abort();
        if (!(written = ag_config_to_json(&config, "float32"))) abort();
        if (ag_config_from_json(&again, written, "written", &err) != AG_OK) abort();
        if (ag_config_parameters(&config) != ag_config_parameters(&again)) abort();
        json_decref(written);
    } else if ((status != AG_ERR_INPUT && status != AG_ERR_UNSUPPORTED) || !err.message[0]) {
        abort();
    }
    json_decref(json);
    return 0;
}
