/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86-64: the few instructions that call, jump and return, by opcode (Intel SDM volume 2, appendix A).
 * QEMU has decoded the instruction already; only its first bytes need a look:
 *
 *	[legacy prefixes] [REX 40-4f] opcode [ModRM ...] [displacement or immediate]
 */
#include "guest/arch_x86.h"

#include <string.h>

static const char *const target_registers[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
					       "r9",  "r10", "r11", "r12", "r13", "r14", "r15", NULL};

/* CS, DS, ES, SS, FS, GS overrides, operand and address size, REPNE/BND, REP. */
static bool is_legacy_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
	case 0xf2: case 0xf3:
		return true;
	default:
		return false;
	}
}

static void classify_group5(uint8_t modrm, bool rex_b, struct dv_insn *ret)
{
	unsigned operation = modrm >> 3 & 7;
	bool is_register = modrm >> 6 == 3;

	if (operation == 2)
		ret->class = is_register ? DV_INSN_CALL_REGISTER : DV_INSN_CALL_MEMORY;
	else if (operation == 4)
		ret->class = is_register ? DV_INSN_JUMP_REGISTER : DV_INSN_JUMP_MEMORY;
	ret->reg = (uint8_t)((modrm & 7) | (rex_b ? 8 : 0));
	ret->is_fixed = (modrm & 0xc7) == 0x05; /* disp32(%rip) */
}

static void classify_two_byte(uint8_t opcode, struct dv_insn *ret)
{
	if (opcode == 0x07 || opcode == 0x35)
		ret->class = DV_INSN_SYSTEM_RETURN;
}

static void classify(const uint8_t *bytes, size_t len, uint64_t vaddr, struct dv_insn *ret)
{
	size_t at = 0, left;
	bool rex_b = false;
	int32_t relative;

	*ret = (struct dv_insn){.class = DV_INSN_OTHER};
	while (at < len && is_legacy_prefix(bytes[at]))
		at++;
	if (at < len && (bytes[at] & 0xf0) == 0x40)
		rex_b = bytes[at++] & 1;
	if (at >= len)
		return;
	left = len - at - 1;
	switch (bytes[at]) {
	case 0xe8: /* call rel32; a 16-bit one (firmware) is left out: its target wraps at 64 KiB */
	case 0xe9: /* jmp rel32 */
		if (left < 4)
			return;
		memcpy(&relative, bytes + at + 1, 4);
		ret->class = bytes[at] == 0xe8 ? DV_INSN_CALL : DV_INSN_JUMP;
		ret->target = vaddr + len + (uint64_t)(int64_t)relative;
		return;
	case 0xeb: /* jmp rel8 */
		if (left < 1)
			return;
		ret->class = DV_INSN_JUMP;
		ret->target = vaddr + len + (uint64_t)(int64_t)(int8_t)bytes[at + 1];
		return;
	case 0xc2: case 0xc3: /* ret */
	case 0xca: case 0xcb: /* lret */
		ret->class = DV_INSN_RETURN;
		return;
	case 0xcf:
		ret->class = DV_INSN_EXCEPTION_RETURN;
		return;
	case 0xee:
		ret->class = DV_INSN_PORT_OUT;
		return;
	case 0x6e:
		ret->class = DV_INSN_PORT_OUT_STRING;
		return;
	case 0xff:
		if (left >= 1)
			classify_group5(bytes[at + 1], rex_b, ret);
		return;
	case 0x0f:
		if (left >= 1)
			classify_two_byte(bytes[at + 1], ret);
		return;
	}
}

/*
 * Entries of linkage tables as the System V ABI (x86-64) and its linkers have them: of .plt, jmp *GOT; push $n; jmp .plt;
 * of .plt.got, 8 bytes, jmp *GOT; xchg %ax,%ax; with IBT, endbr64; [bnd] jmp *GOT; nop. lld's are the first.
 */
static bool is_linkage(const uint8_t code[DV_ARCH_LINKAGE_BYTES], size_t at)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa}, no_op[] = {0x66, 0x90};
	const size_t jump_bytes = 6;

	if (at == sizeof(endbr64))
		return !memcmp(code, endbr64, sizeof(endbr64));
	if (at == 0 && code[jump_bytes] == 0x68)
		return true;
	return at % 8 == 0 && !memcmp(code + at + jump_bytes, no_op, sizeof(no_op));
}

/*
 * Linux's entry points, as arch/x86/entry/entry_64.S and asm/idtentry.h name them (6.1 and 6.12). The
 * IDT's vectors 0x20-0xff without a name of their own go through stubs in irq_entries_start and
 * spurious_entries_start, 8 or 16 bytes apart, that push the vector and jump on.
 */
static const struct dv_entry_pattern entries[] = {
	{"irq_entries_start", false, 16 * 224, DV_ENTRY_INTERRUPT, .first_vector = 0x20},
	{"spurious_entries_start", false, 16 * 20, DV_ENTRY_INTERRUPT, .first_vector = 0xec},
	{"asm_sysvec_", true, 0, DV_ENTRY_INTERRUPT},
	{"asm_exc_", true, 0, DV_ENTRY_EXCEPTION},
	{"entry_SYSCALL_64", false, 0, DV_ENTRY_SYSCALL, DV_SYSCALLS_X86_64},
	{"entry_SYSCALL_compat", false, 0, DV_ENTRY_SYSCALL, DV_SYSCALLS_IA32},
	{"entry_SYSENTER_compat", false, 0, DV_ENTRY_SYSCALL, DV_SYSCALLS_IA32},
	{"entry_INT80_compat", false, 0, DV_ENTRY_SYSCALL, DV_SYSCALLS_IA32},
	{"asm_int80_emulation", false, 0, DV_ENTRY_SYSCALL, DV_SYSCALLS_IA32},
	{NULL},
};

/* Intel SDM volume 3, table 6-1; Linux's asm/irq_vectors.h (6.1 to 6.12). */
static const struct dv_entry_vector vectors[] = {
	{"asm_exc_divide_error", 0, "#DE"},
	{"asm_exc_debug", 1, "#DB"},
	{"asm_exc_nmi", 2, "NMI"},
	{"asm_exc_nmi_kvm_vmx", 2, "NMI"},
	{"asm_exc_int3", 3, "#BP"},
	{"asm_exc_overflow", 4, "#OF"},
	{"asm_exc_bounds", 5, "#BR"},
	{"asm_exc_invalid_op", 6, "#UD"},
	{"asm_exc_device_not_available", 7, "#NM"},
	{"asm_exc_double_fault", 8, "#DF"},
	{"asm_exc_coproc_segment_overrun", 9, NULL},
	{"asm_exc_invalid_tss", 10, "#TS"},
	{"asm_exc_segment_not_present", 11, "#NP"},
	{"asm_exc_stack_segment", 12, "#SS"},
	{"asm_exc_general_protection", 13, "#GP"},
	{"asm_exc_page_fault", 14, "#PF"},
	{"asm_exc_spurious_interrupt_bug", 15, NULL},
	{"asm_exc_coprocessor_error", 16, "#MF"},
	{"asm_exc_alignment_check", 17, "#AC"},
	{"asm_exc_machine_check", 18, "#MC"},
	{"asm_exc_simd_coprocessor_error", 19, "#XM"},
	{"asm_exc_virtualization_exception", 20, "#VE"},
	{"asm_exc_control_protection", 21, "#CP"},
	{"asm_exc_vmm_communication", 29, "#VC"},
	{"asm_sysvec_irq_move_cleanup", 0x20, NULL},
	{"asm_sysvec_apic_timer_interrupt", 0xec, NULL},
	{"asm_sysvec_hyperv_stimer0", 0xed, NULL},
	{"asm_sysvec_hyperv_reenlightenment", 0xee, NULL},
	{"asm_sysvec_kvm_posted_intr_nested_ipi", 0xf0, NULL},
	{"asm_sysvec_kvm_posted_intr_wakeup_ipi", 0xf1, NULL},
	{"asm_sysvec_kvm_posted_intr_ipi", 0xf2, NULL},
	{"asm_sysvec_hyperv_callback", 0xf3, NULL},
	{"asm_sysvec_kvm_asyncpf_interrupt", 0xf3, NULL},
	{"asm_sysvec_xen_hvm_callback", 0xf3, NULL},
	{"asm_sysvec_acrn_hv_callback", 0xf3, NULL},
	{"asm_sysvec_deferred_error", 0xf4, NULL},
	{"asm_sysvec_irq_work", 0xf6, NULL},
	{"asm_sysvec_x86_platform_ipi", 0xf7, NULL},
	{"asm_sysvec_reboot", 0xf8, NULL},
	{"asm_sysvec_threshold", 0xf9, NULL},
	{"asm_sysvec_thermal", 0xfa, NULL},
	{"asm_sysvec_call_function_single", 0xfb, NULL},
	{"asm_sysvec_call_function", 0xfc, NULL},
	{"asm_sysvec_reschedule_ipi", 0xfd, NULL},
	{"asm_sysvec_error_interrupt", 0xfe, NULL},
	{"asm_sysvec_spurious_apic_interrupt", 0xff, NULL},
	{NULL},
};

static const char *const thunk_prefixes[] = {
	"__x86_indirect_", "__x86_return_thunk", "srso_", "retbleed_", "zen_untrain_ret", "its_return_thunk",
	"__x86_return_skl", "entry_ibpb", NULL,
};

/* The trampolines are what ftrace (ftrace_64.S) and kretprobes (rethook.c; kprobes before 6.1) put in the place
 * of return addresses: each goes on to where the function would have returned. */
static const char *const label_prefixes[] = {
	"early_idt_handler", "vc_boot_ghcb", "native_irq_return", "return_to_handler", "arch_rethook_trampoline",
	"__kretprobe_trampoline", NULL,
};

const struct dv_arch dv_arch_x86_64 = {
	.qemu_target = "x86_64",
	.machine = 62, /* EM_X86_64 */
	.pointer_bytes = 8,
	.kernel_min = 0xffffffff80000000, /* Documentation/arch/x86/x86_64/mm.rst */
	.kernel_max = 0xffffffffc0000000,
	.module_min = 0xffffffffc0000000,
	.module_max = 0xffffffffff000000,
	.slide_step = 2 << 20, /* CONFIG_PHYSICAL_ALIGN */
	.slide_max = 1 << 30,  /* RANDOMIZE_BASE moves within KERNEL_IMAGE_SIZE */
	.classify = classify,
	.is_linkage = is_linkage,
	.target_registers = target_registers,
	.stack_register = "rsp",
	.counter_register = "rip",
	.argument_registers = {"rdi", "rsi", "rdx"},
	.syscall_register = "rax",
	.port_register = "rdx",
	.port_value_register = "rax",
	.entries = entries,
	.vectors = vectors,
	.vector_table_vaddr = 0xfffffe0000000000, /* CPU_ENTRY_AREA_RO_IDT, since 4.15 */
	.percpu_registers = {"gs_base", "k_gs_base"},
	.thunk_prefixes = thunk_prefixes,
	.label_prefixes = label_prefixes,
	.entry_text_start = "__entry_text_start",
	.entry_text_end = "__entry_text_end",
};
