/* runlog.c: append-only logs that can be cut back. TensorBoard's event files are TFRecords (length, masked CRC-32C of it, data,
 * masked CRC-32C of the data) of Event protocol buffers: wall_time = 1 (double), step = 2 (varint), file_version = 3
 * (string), summary = 5 { value = 1 { tag = 1 (string), simple_value = 2 (float) } }.
 */
#include "train/runlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"

typedef struct stream {
    FILE *file;
    char *path;
} stream;

struct ag_runlog {
    stream metrics, timing, events;
};

static ag_status open_stream(stream *s, const char *dir, const char *name, int64_t place, ag_error *err)
{
    s->path = ag_path_join(dir, name);
    if (!s->path) return ag_fail_memory(err, "log");
    s->file = fopen(s->path, "ab");
    if (!s->file) return ag_fail_errno(err, "cannot open", s->path);
    if (fseeko(s->file, 0, SEEK_END) != 0) return ag_fail_errno(err, "cannot seek in", s->path);
    if (ftello(s->file) < place)
        return ag_fail(err, AG_ERR_INPUT,
                       "%s is shorter than the checkpoint says: part of the log was removed", s->path);
    if (ftruncate(fileno(s->file), place) != 0) return ag_fail_errno(err, "cannot cut", s->path);
    if (fseeko(s->file, 0, SEEK_END) != 0) return ag_fail_errno(err, "cannot seek in", s->path);
    return AG_OK;
}

static ag_status append(stream *s, const void *bytes, size_t n, ag_error *err)
{
    if (fwrite(bytes, 1, n, s->file) != n || fflush(s->file) != 0)
        return ag_fail_errno(err, "cannot write", s->path);
    return AG_OK;
}

static void close_stream(stream *s)
{
    if (s->file) fclose(s->file);
    ag_free(s->path);
}

/* CRC-32C (Castagnoli), reflected polynomial 0x82f63b78, and TFRecord's masking. */
static uint32_t masked_crc(const void *data, size_t n)
{
    uint32_t crc = 0xffffffffu;
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_varint(ag_str *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) ag_str_addc(out, (char)(value | 0x80));
    ag_str_addc(out, (char)value);
}

static void put_bytes(ag_str *out, int field, const void *bytes, size_t n)
{
    put_varint(out, (uint64_t)field << 3 | 2);
    put_varint(out, n);
    ag_str_addn(out, bytes, n);
}

static ag_status put_event(ag_runlog *log, int64_t step, const char *version, const ag_str *summary,
                           ag_error *err)
{
    ag_str event = {0}, record = {0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double wall = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    ag_str_addc(&event, 1 << 3 | 1);
    ag_str_addn(&event, (const char *)&wall, sizeof wall);
    put_varint(&event, 2 << 3);
    put_varint(&event, (uint64_t)step);
    if (version) put_bytes(&event, 3, version, strlen(version));
    if (summary) put_bytes(&event, 5, ag_str_text(summary), summary->len);
    uint64_t length = event.len;
    uint32_t crc = masked_crc(&length, sizeof length);
    ag_str_addn(&record, (const char *)&length, sizeof length);
    ag_str_addn(&record, (const char *)&crc, sizeof crc);
    ag_str_addn(&record, ag_str_text(&event), event.len);
    crc = masked_crc(ag_str_text(&event), event.len);
    ag_str_addn(&record, (const char *)&crc, sizeof crc);
    ag_status status = ag_str_ok(&event, err);
    if (status == AG_OK) status = ag_str_ok(&record, err);
    if (status == AG_OK) status = append(&log->events, record.data, record.len, err);
    ag_str_free(&event);
    ag_str_free(&record);
    return status;
}

static void put_scalar(ag_str *summary, const char *tag, double value)
{
    ag_str item = {0};
    float narrow = (float)value;
    put_bytes(&item, 1, tag, strlen(tag));
    put_varint(&item, 2 << 3 | 5);
    ag_str_addn(&item, (const char *)&narrow, sizeof narrow);
    put_bytes(summary, 1, ag_str_text(&item), item.len);
    summary->failed = summary->failed || item.failed;
    ag_str_free(&item);
}

static void put_members(ag_str *summary, const char *prefix, const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        char tag[256];
        snprintf(tag, sizeof tag, "%s%s%s", prefix, *prefix ? "/" : "", key);
        if (json_is_object(value))
            put_members(summary, tag, value);
        else if (json_is_number(value) && strcmp(tag, "step") != 0)
            put_scalar(summary, tag, json_number_value(value));
    }
}

ag_status ag_runlog_open(ag_runlog **log, const char *dir, ag_runlog_place place, ag_error *err)
{
    ag_runlog *l = *log = ag_calloc(1, sizeof *l);
    if (!l) return ag_fail_memory(err, "log");
    ag_status status = open_stream(&l->metrics, dir, "metrics.jsonl", place.metrics, err);
    if (status == AG_OK) status = open_stream(&l->timing, dir, "timing.jsonl", place.timing, err);
    if (status == AG_OK) status = open_stream(&l->events, dir, "events.out.tfevents.agrl", place.events, err);
    if (status == AG_OK && place.events == 0) status = put_event(l, 0, "brain.Event:2", NULL, err);
    if (status != AG_OK) {
        ag_runlog_close(l);
        *log = NULL;
    }
    return status;
}

static ag_status append_json(stream *s, const json_t *line, ag_error *err)
{
    ag_str text = {0};
    ag_status status = ag_json_dump(&text, line, err);
    ag_str_addc(&text, '\n');
    if (status == AG_OK) status = ag_str_ok(&text, err);
    if (status == AG_OK) status = append(s, text.data, text.len, err);
    ag_str_free(&text);
    return status;
}

ag_status ag_runlog_metrics(ag_runlog *log, int64_t step, const json_t *line, ag_error *err)
{
    ag_str summary = {0};
    AG_TRY(append_json(&log->metrics, line, err));
    put_members(&summary, "", line);
    ag_status status = ag_str_ok(&summary, err);
    if (status == AG_OK) status = put_event(log, step, NULL, &summary, err);
    ag_str_free(&summary);
    return status;
}

ag_status ag_runlog_timing(ag_runlog *log, int64_t step, double seconds, double tokens_per_second,
                           ag_error *err)
{
    char line[128];
    if (!(seconds >= 0 && seconds < 1e99)) seconds = 0; /* two digits of exponent */
    if (!(tokens_per_second >= 0 && tokens_per_second < 1e99)) tokens_per_second = 0;
    int n = snprintf(line, sizeof line,
                     "{\"step\":%" PRId64 ",\"seconds\":%.6e,\"tokens_per_second\":%.6e}\n", step, seconds,
                     tokens_per_second);
    return append(&log->timing, line, (size_t)n, err);
}

static ag_status sync_stream(const stream *s, int64_t *place, ag_error *err)
{
    if (fflush(s->file) != 0 || fsync(fileno(s->file)) != 0)
        return ag_fail_errno(err, "cannot sync", s->path);
    *place = ftello(s->file);
    return *place < 0 ? ag_fail_errno(err, "cannot tell the end of", s->path) : AG_OK;
}

ag_status ag_runlog_sync(ag_runlog *log, ag_runlog_place *place, ag_error *err)
{
    AG_TRY(sync_stream(&log->metrics, &place->metrics, err));
    AG_TRY(sync_stream(&log->timing, &place->timing, err));
    return sync_stream(&log->events, &place->events, err);
}

void ag_runlog_close(ag_runlog *log)
{
    if (!log) return;
    close_stream(&log->metrics);
    close_stream(&log->timing);
    close_stream(&log->events);
    ag_free(log);
}
