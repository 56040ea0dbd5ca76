/* SPDX-License-Identifier: MIT */
/*
 * int switch_with(void **out_sp, void *sp, uintptr_t seed)
 *
 * Fill the registers a call must preserve with seed + their number, sm_switch_stack(out_sp, sp), and
 * return how many hold something else when somebody has switched back.
 *
 *     x0, x1  passed on; x2  seed; then x0  the count, x9  scratch
 */
	.text
	.globl	switch_with
	.type	switch_with, %function

	.macro	fill number
	add	x\number, x2, #\number
	.endm

	.macro	fill_d number
	add	x9, x2, #\number
	fmov	d\number, x9
	.endm

	.macro	count number
	sub	x9, x\number, x2
	cmp	x9, #\number
	cinc	x0, x0, ne
	.endm

	.macro	count_d number
	fmov	x9, d\number
	sub	x9, x9, x2
	cmp	x9, #\number
	cinc	x0, x0, ne
	.endm

	.macro	each_pair operation
	\operation	x29, x30, [sp, #0]
	\operation	x19, x20, [sp, #16]
	\operation	x21, x22, [sp, #32]
	\operation	x23, x24, [sp, #48]
	\operation	x25, x26, [sp, #64]
	\operation	x27, x28, [sp, #80]
	\operation	d8, d9, [sp, #96]
	\operation	d10, d11, [sp, #112]
	\operation	d12, d13, [sp, #128]
	\operation	d14, d15, [sp, #144]
	.endm

switch_with:
	sub	sp, sp, #176
	each_pair stp
	str	x2, [sp, #160]
	.irp	number, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
	fill	\number
	.endr
	.irp	number, 8, 9, 10, 11, 12, 13, 14, 15
	fill_d	\number
	.endr
	bl	sm_switch_stack
	ldr	x2, [sp, #160]
	mov	x0, #0
	.irp	number, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
	count	\number
	.endr
	.irp	number, 8, 9, 10, 11, 12, 13, 14, 15
	count_d	\number
	.endr
	each_pair ldp
	add	sp, sp, #176
	ret
	.size	switch_with, . - switch_with

	.section .note.GNU-stack, "", %progbits
