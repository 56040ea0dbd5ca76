/* SPDX-License-Identifier: MIT */
/*
 * sm_switch_root: the bottom of every stack, where the first switch to it arrives.
 *
 *     x19  entry     what to call
 *     x20  arg       what to call it with
 *     x29  0         ends the chain for those who follow frame pointers
 *     sp             the top of the stack, a multiple of 16
 *
 * The undefined return address ends the unwinding for those who follow call frame information.
 */
	.text
	.globl	sm_switch_root
	.hidden	sm_switch_root
	.type	sm_switch_root, %function
	.p2align 4
sm_switch_root:
	.cfi_startproc
	.cfi_undefined x30
	mov	x0, x20
	blr	x19
	brk	#0		/* an entry must not return */
	.cfi_endproc
	.size	sm_switch_root, . - sm_switch_root

	.section .note.GNU-stack, "", %progbits
