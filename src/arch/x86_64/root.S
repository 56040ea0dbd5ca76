/* SPDX-License-Identifier: MIT */
/*
 * sm_switch_root: the bottom of every stack, where the first switch to it arrives.
 *
 *     r12  entry     what to call
 *     r13  arg       what to call it with
 *     rbp  0         ends the chain for those who follow frame pointers
 *     rsp            the top of the stack, a multiple of 16
 *
 * The undefined return address ends the unwinding for those who follow call frame information.
 */
	.text
	.globl	sm_switch_root
	.hidden	sm_switch_root
	.type	sm_switch_root, @function
	.p2align 4
sm_switch_root:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	movq	%r13, %rdi
	call	*%r12
	ud2		/* an entry must not return */
	.cfi_endproc
	.size	sm_switch_root, . - sm_switch_root

	.section .note.GNU-stack, "", @progbits
