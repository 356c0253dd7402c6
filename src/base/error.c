/* error.c: status and error text.
 *
 * Messages carry names and text from files that nobody vouches for, and end up on terminals, in logs and in
 * JSON, so what is written here is always one line of valid UTF-8 without control bytes.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

const char *ag_version(void)
{
    return AGRL_VERSION;
}

/* Copies text into message: newlines and tabs become spaces, other control bytes and bytes that are not UTF-8
 * '?', and a cut falls between characters. The C1 controls (U+0080..U+009F) steer terminals too. */
static void message_set(ag_error *err, const char *text)
{
    size_t n = strlen(text), at = 0, used = 0;
    while (at < n) {
        size_t from = at;
        uint32_t c = ag_utf8_next(text, n, &at);
        bool wrong = c == 0xFFFD && at - from == 1;
        char put[4];
        if (c == '\n' || c == '\t' || c == '\r') c = ' ';
        if (wrong || c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029) c = '?';
        int len = ag_utf8_put(c, put);
        if (used + (size_t)len >= sizeof err->message) break;
        memcpy(err->message + used, put, (size_t)len);
        used += (size_t)len;
    }
    err->message[used] = '\0';
}

ag_status ag_fail(ag_error *err, ag_status code, const char *format, ...)
{
    /* The text is made aside, because an argument may be err->message itself. */
    char text[2 * sizeof err->message];
    va_list args;
    if (!err) return code;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) strcpy(text, "(message that cannot be formatted)");
    va_end(args);
    err->code = code;
    message_set(err, text);
    return code;
}

ag_status ag_fail_memory(ag_error *err, const char *what)
{
    return ag_fail(err, AG_ERR_MEMORY, "out of memory: %s", what);
}

ag_status ag_fail_errno(ag_error *err, const char *what, const char *path)
{
    int number = errno;
    ag_status status = ag_fail(err, AG_ERR_IO, "%s '%s': %s", what, path, strerror(number));
    errno = number;
    return status;
}

void ag_error_prefix(ag_error *err, const char *format, ...)
{
    char text[2 * sizeof err->message];
    va_list args;
    if (!err) return;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) return;
    if ((size_t)n > sizeof err->message) n = (int)sizeof err->message;
    snprintf(text + n, sizeof text - (size_t)n, ": %s", err->message);
    message_set(err, text);
}

const char *ag_status_name(ag_status code)
{
    static const char *const names[] = {"ok",     "usage",       "input",       "io",
                                        "memory", "unsupported", "interrupted", "internal"};
    size_t n = sizeof names / sizeof *names;
    return (size_t)code < n ? names[code] : "unknown";
}
