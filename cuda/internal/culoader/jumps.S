//go:build cuda && linux && (amd64 || arm64)

// Every symbol is a jump through its slot of saint_cu_slots; saint_cu_names has the names in the
// same order and ends with a null pointer.

#if defined(__x86_64__)
#define JUMP(slot) jmp *slot(%rip)
#elif defined(__aarch64__)
#define JUMP(slot) adrp x16, slot; ldr x16, [x16, :lo12:slot]; br x16
#endif

#define ENTRY(name, unbound) \
	.text; .balign 16; .globl name; .hidden name; .type name, %function; name: JUMP(slot_##name); .size name, . - name; \
	.section .saint.slots, "aw", %progbits; .balign 8; slot_##name: .quad unbound; \
	.section .saint.strings, "aMS", %progbits, 1; string_##name: .asciz #name; \
	.section .saint.names, "aw", %progbits; .balign 8; .quad string_##name;

	.section .saint.slots, "aw", %progbits
	.balign 8
	.globl saint_cu_slots
	.hidden saint_cu_slots
saint_cu_slots:
	.section .saint.names, "aw", %progbits
	.balign 8
	.globl saint_cu_names
	.hidden saint_cu_names
saint_cu_names:

#define SYMBOL(name) ENTRY(name, saint_cu_unbound)
#include "symbols.h"

	.section .saint.names, "aw", %progbits
	.quad 0
	.section .note.GNU-stack, "", %progbits
