/* The jumps of driver.h: one for each function that names.inc lists (CMake writes
 * it from the toolkit's headers). A jump leaves all registers and the stack as the
 * caller made them, so it needs no signature. */

.macro forward name, table, missing
    .text
    .globl \name
    .hidden \name
    .type \name, %function
    .balign 16
\name:
#if defined(__x86_64__)
    endbr64
    jmp *.Lslot_\name(%rip)
#elif defined(__aarch64__)
    adrp x16, .Lslot_\name
    ldr x16, [x16, :lo12:.Lslot_\name]
    br x16
#else
#error "the jumps to the CUDA driver are written for x86-64 and aarch64"
#endif
    .size \name, . - \name

    .data
    .balign 8
.Lslot_\name:
    .quad \missing

    .section .rodata
.Lname_\name:
    .asciz "\name"

    .section \table, "aw", %progbits
    .quad .Lname_\name, .Lslot_\name
.endm

#include "names.inc"

    .section .note.GNU-stack, "", %progbits
