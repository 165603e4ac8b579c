/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's prints: see console.h. */
#include "plugin/console.h"

#include <string.h>
#include "guest/printk.h"
#include "plugin/tracer_private.h"
#include "symbols/kernel.h"

#define MAX_CPUS      DV_EVENT_MAX_CPUS
#define MAX_DRIVERS   8
#define MAX_HVC_BYTES 4096

/* Of a 8250, by the offset from its first port. What is sent with DLAB or in loopback goes nowhere. */
enum { UART_DATA = 0, UART_LINE_CONTROL = 3, UART_MODEM_CONTROL = 4, UART_PORTS = 8 };
#define LINE_CONTROL_DLAB  0x80
#define MODEM_CONTROL_LOOP 0x10

struct uart {
	uint16_t base;
	uint8_t line_control, modem_control;
};

static struct console {
	const struct dv_arch *arch;
	const struct dv_kernel *kernel;
	struct qemu_plugin_register *port, *value;
	struct uart uarts[4];
	const struct uart *string_to[MAX_CPUS]; /* the port that a string goes to */

	bool have_printk, have_hvc;
	struct dv_printk printk;
	struct dv_printk_record record;
	struct dv_btf_member put_chars;
	uint64_t commit_vaddr, final_commit_vaddr, hvc_vaddr[2];
	uint64_t driver_vaddr[MAX_DRIVERS];
	size_t drivers;
	struct dv_event_print *pending[MAX_CPUS];
} console;

static struct dv_event_print *new_print(enum dv_console_source source, uint32_t channel, size_t len)
{
	struct dv_event_print *print = calloc(1, sizeof(*print) + len);

	if (!print)
		return NULL;
	print->source = source;
	print->channel = channel;
	print->level = DV_CONSOLE_NO_LEVEL;
	print->len = (uint32_t)len;
	return print;
}

static void put_print(unsigned cpu, uint64_t icount, struct dv_event_print *print)
{
	if (print)
		dv_tracer_put(DV_EVENT_PRINT, cpu & 0xff, icount, (uintptr_t)print, 0);
}

/* ---- serial ---- */

static void put_byte(unsigned cpu, const struct uart *uart, char byte, uint64_t icount)
{
	struct dv_event_print *print;

	if (uart->line_control & LINE_CONTROL_DLAB || uart->modem_control & MODEM_CONTROL_LOOP)
		return;
	print = new_print(DV_CONSOLE_SERIAL, (uint32_t)(uart - console.uarts), 1);
	if (print)
		print->text[0] = byte;
	put_print(cpu, icount, print);
}

static struct uart *uart_at(uint64_t port)
{
	for (size_t i = 0; i < DV_ARRAY_SIZE(console.uarts); i++) {
		if ((uint16_t)port - console.uarts[i].base < UART_PORTS && (uint16_t)port >= console.uarts[i].base)
			return &console.uarts[i];
	}
	return NULL;
}

static struct uart *read_port(unsigned *ret_offset)
{
	struct uart *uart;
	uint64_t port;

	if (!console.port)
		console.port = dv_tracer_find_register(console.arch->port_register);
	if (!dv_tracer_read_register(console.port, &port))
		return NULL;
	uart = uart_at(port);
	if (uart)
		*ret_offset = (uint16_t)port - uart->base;
	return uart;
}

static void on_out(unsigned cpu, void *block)
{
	unsigned offset;
	struct uart *uart = read_port(&offset);
	uint64_t value;

	if (!uart)
		return;
	if (!console.value)
		console.value = dv_tracer_find_register(console.arch->port_value_register);
	if (!dv_tracer_read_register(console.value, &value))
		return;
	if (offset == UART_LINE_CONTROL)
		uart->line_control = (uint8_t)value;
	else if (offset == UART_MODEM_CONTROL)
		uart->modem_control = (uint8_t)value;
	else if (offset == UART_DATA)
		put_byte(cpu, uart, (char)value, dv_tracer_block_icount(block));
}

static void on_out_string(unsigned cpu, void *unused)
{
	unsigned offset;
	const struct uart *uart = read_port(&offset);

	console.string_to[cpu & 0xff] = uart && offset == UART_DATA ? uart : NULL;
}

static void on_out_string_load(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *block)
{
	const struct uart *uart = dv_steal(console.string_to[cpu & 0xff]);

	if (uart)
		put_byte(cpu, uart, (char)qemu_plugin_mem_get_value(info).data.u8, dv_tracer_block_icount(block));
}

void dv_console_instrument_out(struct qemu_plugin_insn *insn, enum dv_insn_class class, size_t insns)
{
	void *block = dv_tracer_pack_block(0, insns);

	if (class == DV_INSN_PORT_OUT) {
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_out, QEMU_PLUGIN_CB_R_REGS, block);
	} else {
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_out_string, QEMU_PLUGIN_CB_R_REGS, NULL);
		qemu_plugin_register_vcpu_mem_cb(insn, on_out_string_load, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_R, block);
	}
}

/* ---- printk and hvc: read at the function's first instruction, put at its block's last ---- */

static void on_commit(unsigned cpu, void *is_final)
{
	struct dv_event_print *print;
	uint64_t entry;

	if (!dv_tracer_read_argument(0, &entry) ||
	    !dv_printk_read(&console.printk, &dv_tracer_memory, entry, &console.record))
		return;
	print = new_print(DV_CONSOLE_PRINTK, 0, console.record.len);
	if (!print)
		return;
	memcpy(print->text, console.record.text, console.record.len);
	print->level = console.record.level;
	print->record = console.record.id;
	print->is_final = is_final;
	free(console.pending[cpu & 0xff]);
	console.pending[cpu & 0xff] = print;
}

/* hvc_alloc(vtermno, data, ops, ...), hvc_instantiate(vtermno, index, ops) */
static void on_hvc_driver(unsigned cpu, void *unused)
{
	uint64_t ops, vaddr;

	if (!dv_tracer_read_argument(2, &ops) ||
	    !dv_guest_read_u64(&dv_tracer_memory, ops + console.put_chars.offset_bytes, &vaddr) || !vaddr)
		return;
	for (size_t i = 0; i < console.drivers; i++) {
		if (console.driver_vaddr[i] == vaddr)
			return;
	}
	if (console.drivers < MAX_DRIVERS)
		console.driver_vaddr[console.drivers++] = vaddr;
}

/* put_chars(vtermno, text, count) */
static void on_put_chars(unsigned cpu, void *unused)
{
	uint64_t terminal, text, count;
	struct dv_event_print *print;

	if (!dv_tracer_read_argument(0, &terminal) || !dv_tracer_read_argument(1, &text) ||
	    !dv_tracer_read_argument(2, &count) || (int32_t)count <= 0 || (uint32_t)count > MAX_HVC_BYTES)
		return;
	print = new_print(DV_CONSOLE_HVC, (uint32_t)terminal, (uint32_t)count);
	if (!print || !dv_guest_read(&dv_tracer_memory, text, print->text, print->len)) {
		free(print);
		return;
	}
	free(console.pending[cpu & 0xff]);
	console.pending[cpu & 0xff] = print;
}

static void on_printed(unsigned cpu, void *block)
{
	put_print(cpu, dv_tracer_block_icount(block), dv_steal(console.pending[cpu & 0xff]));
}

static void instrument_print(struct qemu_plugin_tb *tb, struct qemu_plugin_insn *last, uint64_t vaddr,
			     qemu_plugin_vcpu_udata_cb_t read, void *userdata)
{
	qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, 0), read, QEMU_PLUGIN_CB_R_REGS, userdata);
	qemu_plugin_register_vcpu_insn_exec_cb(last, on_printed, QEMU_PLUGIN_CB_NO_REGS,
					       dv_tracer_pack_block(vaddr, qemu_plugin_tb_n_insns(tb)));
}

void dv_console_instrument_entry(struct qemu_plugin_tb *tb, struct qemu_plugin_insn *last, uint64_t vaddr)
{
	if (vaddr == console.commit_vaddr || vaddr == console.final_commit_vaddr)
		instrument_print(tb, last, vaddr, on_commit, vaddr == console.final_commit_vaddr ? &console : NULL);
	else if (vaddr == console.hvc_vaddr[0] || vaddr == console.hvc_vaddr[1])
		qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, 0), on_hvc_driver,
						       QEMU_PLUGIN_CB_R_REGS, NULL);
	for (size_t i = 0; i < console.drivers; i++) {
		if (vaddr == console.driver_vaddr[i])
			instrument_print(tb, last, vaddr, on_put_chars, NULL);
	}
}

/* ---- what there is in this kernel ---- */

static bool is_there(struct dv_error *err)
{
	bool there = !err;

	dv_error_destroy(err);
	return there;
}

void dv_console_start(const struct dv_arch *arch, const struct dv_kernel *kernel)
{
	static const uint16_t bases[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8}; /* COM1 to COM4 of a PC */
	const struct dv_btf *btf = kernel ? dv_kernel_btf(kernel) : NULL;

	console = (struct console){.arch = arch, .kernel = kernel};
	for (size_t i = 0; i < DV_ARRAY_SIZE(bases); i++)
		console.uarts[i].base = bases[i];
	console.have_printk = btf && is_there(dv_printk_init(&console.printk, btf));
	console.have_hvc = btf && is_there(dv_btf_member(btf, "hv_ops", "put_chars", &console.put_chars));
}

void dv_console_found_slide(void)
{
	if (console.have_printk) {
		console.commit_vaddr = dv_tracer_symbol("prb_commit");
		console.final_commit_vaddr = dv_tracer_symbol("prb_final_commit");
	}
	if (console.have_hvc) {
		console.hvc_vaddr[0] = dv_tracer_symbol("hvc_alloc");
		console.hvc_vaddr[1] = dv_tracer_symbol("hvc_instantiate");
	}
}
