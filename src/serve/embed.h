/* embed.h: a file's bytes as part of the program. AG_EMBED(name, "path"); declares name and name_end. The build must know that the
 * source file depends on the embedded one (CMakeLists.txt does for src/serve/page).
 */
#ifndef AG_SERVE_EMBED_H
#define AG_SERVE_EMBED_H

#define AG_EMBED(name, path)                                                                                 \
    extern const char name[], name##_end[];                                                                  \
    __asm__(".pushsection .rodata\n" #name ":\n.incbin \"" path "\"\n" #name "_end:\n.byte "                 \
            "0\n.popsection\n")

#endif
