/* fuzz_csv.c: any bytes as a CSV file: each row becomes a record and a pair's JSON, or there is one error.
 * The bytes lie in memory (memfd) behind a path, so that the line reader and gunzip are met as well.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/pair.h"
#include "data/record.h"

static ag_status read_rows(const char *path, char delimiter, ag_error *err)
{
    ag_csv *csv;
    ag_record_map *map = NULL;
    json_t *record;
    ag_status status = ag_csv_open(&csv, path, delimiter, err);
    if (status == AG_OK)
        status = ag_record_map_create(&map, ag_record_columns, AG_RECORD_HTML | AG_RECORD_ICECAT, err);
    while (status == AG_OK && (status = ag_record_from_csv(&record, csv, err)) == AG_OK && record) {
        json_t *json = NULL;
        ag_record_outcome outcome;
        ag_pair *pair = NULL;
        ag_error other;
        status = ag_record_apply(map, record, NULL, ag_csv_path(csv), ag_csv_line(csv), &json, &outcome, err);
        if (status == AG_OK &&
            ag_pair_from_json(&pair, json, "fuzz", 1, NULL, AG_AGGREGATE_GIVEN, &other) == AG_OK)
            ag_pair_free(pair);
        json_decref(json);
        json_decref(record);
    }
    ag_record_map_free(map);
    ag_csv_close(csv);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    ag_error err = {0};
    if (fd < 0) {
        if ((fd = memfd_create("fuzz", 0)) < 0) abort();
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (size < 1) return 0;
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data + 1, size - 1, 0) != (ssize_t)(size - 1)) abort();
    ag_status status = read_rows(path, data[0] & 1 ? ',' : 0, &err);
    if (status != AG_OK && (status != AG_ERR_INPUT || !err.message[0])) abort();
    return 0;
}
