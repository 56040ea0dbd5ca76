/* SPDX-License-Identifier: MIT */
/*
 * void sm_switch_stack(void **out_sp, void *sp)
 *
 *     rdi  out_sp    where to put the stack pointer of the stack we leave
 *     rsi  sp        the stack pointer of the stack we enter
 *     rax, rcx, rdx, r8-r11: not touched
 *
 * A stack that is not running looks like this, which frame.c and the debugger script repeat:
 *
 *     sp +  0  r15
 *     sp +  8  r14
 *     sp + 16  r13
 *     sp + 24  r12
 *     sp + 32  rbx
 *     sp + 40  rbp
 *     sp + 48  return address
 *
 * It ends in ret although it does not return to its caller. The processor predicts that ret goes
 * back to the latest call; that is right whenever the stack we enter was left at the same place in
 * the code, which with tasks that wait is the rule (sched/worker.c). Ending in a jump instead, as
 * a loop that calls coroutines had better do, would leave one call too many in the predictor: then
 * every ret from here up to the task's own code is predicted wrongly, at 5 ns each.
 *
 * The call frame information is true at every instruction, because both stacks have the same
 * layout at the moment rsp changes. Profilers and debuggers can stop anywhere.
 *
 * Shadow stacks are not supported, and this object does not claim so, which makes the linker leave
 * them off.
 */
	.text
	.globl	sm_switch_stack
	.hidden	sm_switch_stack
	.type	sm_switch_stack, @function
	.p2align 4
sm_switch_stack:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0

	movq	%rsp, (%rdi)
	movq	%rsi, %rsp

	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	ret
	.cfi_endproc
	.size	sm_switch_stack, . - sm_switch_stack

	.section .note.GNU-stack, "", @progbits
