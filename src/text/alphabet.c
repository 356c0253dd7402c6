/* alphabet.c: the alphabet of bytes that GPT-2 introduced and everybody kept: vocabulary files are text, so
 * each of the 256 bytes is written as one printable character. Bytes that print in Latin-1 stand for
 * themselves, the other 68 take the code points from U+0100 on, in byte order (a space is U+0120).
 */
#include "text/tok.h"

static bool prints(unsigned b)
{
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
}

/* How many bytes below b do not print. */
static unsigned hidden_below(unsigned b)
{
    if (b <= 0x20) return b;
    if (b <= 0x7e) return 0x21;
    if (b <= 0xa0) return 0x21 + (b - 0x7f);
    return b <= 0xad ? 0x21 + 0x22 : 0x21 + 0x22 + 1;
}

uint32_t ag_alphabet_char(unsigned char byte)
{
    return prints(byte) ? byte : 0x100u + hidden_below(byte);
}

/* The byte of a character, or -1. */
static int byte_of(uint32_t c)
{
    if (c < 0x100) return prints(c) ? (int)c : -1;
    c -= 0x100;
    if (c < 0x21) return (int)c;
    if (c < 0x21 + 0x22) return (int)(c - 0x21 + 0x7f);
    return c == 0x21 + 0x22 ? 0xad : -1;
}

long ag_alphabet_decode(const char *name, size_t len, char *out)
{
    size_t at = 0;
    long n = 0;

    while (at < len) {
        int b = byte_of(ag_utf8_next(name, len, &at));
        if (b < 0) return -1;
        out[n++] = (char)b;
    }
    return n;
}

void ag_alphabet_encode(ag_str *out, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c[4];
        int n = ag_utf8_put(ag_alphabet_char((unsigned char)bytes[i]), c);
        ag_str_addn(out, c, (size_t)n);
    }
}
