/* SPDX-License-Identifier: MIT */
/*
 * void sm_switch_stack(void **out_sp, void *sp)
 *
 *     x0   out_sp    where to put the stack pointer of the stack we leave
 *     x1   sp        the stack pointer of the stack we enter
 *     x9   scratch
 *
 * A stack that is not running looks like this, which frame.c and the debugger script repeat:
 *
 *     sp +   0  x29, x30 (the return address)
 *     sp +  16  x19, x20
 *     sp +  32  x21, x22
 *     sp +  48  x23, x24
 *     sp +  64  x25, x26
 *     sp +  80  x27, x28
 *     sp +  96  d8, d9
 *     sp + 112  d10, d11
 *     sp + 128  d12, d13
 *     sp + 144  d14, d15
 *
 * It ends in ret, for the sake of the return predictor: see x86_64/switch.S. The call frame information is true at every instruction, because both stacks have
 * the same layout at the moment sp changes. Branch target identification: this object does not
 * claim it, which makes the linker leave it off.
 */
	.text
	.globl	sm_switch_stack
	.hidden	sm_switch_stack
	.type	sm_switch_stack, %function
	.p2align 4
sm_switch_stack:
	.cfi_startproc
	sub	sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp	x29, x30, [sp, #0]
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	stp	x19, x20, [sp, #16]
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	stp	x21, x22, [sp, #32]
	.cfi_rel_offset x21, 32
	.cfi_rel_offset x22, 40
	stp	x23, x24, [sp, #48]
	.cfi_rel_offset x23, 48
	.cfi_rel_offset x24, 56
	stp	x25, x26, [sp, #64]
	.cfi_rel_offset x25, 64
	.cfi_rel_offset x26, 72
	stp	x27, x28, [sp, #80]
	.cfi_rel_offset x27, 80
	.cfi_rel_offset x28, 88
	stp	d8, d9, [sp, #96]
	.cfi_rel_offset d8, 96
	.cfi_rel_offset d9, 104
	stp	d10, d11, [sp, #112]
	.cfi_rel_offset d10, 112
	.cfi_rel_offset d11, 120
	stp	d12, d13, [sp, #128]
	.cfi_rel_offset d12, 128
	.cfi_rel_offset d13, 136
	stp	d14, d15, [sp, #144]
	.cfi_rel_offset d14, 144
	.cfi_rel_offset d15, 152

	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1

	/* The saved copies stay true until sp moves, so the registers may be loaded in any order. */
	ldp	x29, x30, [sp, #0]
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	.cfi_adjust_cfa_offset -160
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	ret
	.cfi_endproc
	.size	sm_switch_stack, . - sm_switch_stack

	.section .note.GNU-stack, "", %progbits
