/* SPDX-License-Identifier: MIT */
/*
 * int switch_with(void **out_sp, void *sp, uintptr_t seed)
 *
 * Fill the registers a call must preserve with seed + 1, seed + 2, ..., sm_switch_stack(out_sp, sp),
 * and return how many hold something else when somebody has switched back.
 *
 *     rdi, rsi  passed on; rdx  seed; eax  the count
 */
	.text
	.globl	switch_with
	.type	switch_with, @function

	.macro	count register, offset
	subq	%rdx, \register
	cmpq	$\offset, \register
	setne	%cl
	addb	%cl, %al
	.endm

switch_with:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdx
	leaq	1(%rdx), %rbx
	leaq	2(%rdx), %rbp
	leaq	3(%rdx), %r12
	leaq	4(%rdx), %r13
	leaq	5(%rdx), %r14
	leaq	6(%rdx), %r15
	call	sm_switch_stack
	popq	%rdx
	xorl	%eax, %eax
	count	%rbx, 1
	count	%rbp, 2
	count	%r12, 3
	count	%r13, 4
	count	%r14, 5
	count	%r15, 6
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	switch_with, . - switch_with

	.section .note.GNU-stack, "", @progbits
