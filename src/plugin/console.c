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

#define UART_PORTS    8
#define UARTS	      4
#define MAX_CONSOLES  16 /* MAX_NR_HVC_CONSOLES */

static const uint16_t uart_bases[UARTS] = {0x3f8, 0x2f8, 0x3e8, 0x2e8}; /* COM1 to COM4 of a PC */
#define NO_UART -1

static struct console {
	const struct dv_arch *arch;
	const struct dv_kernel *kernel;
	struct qemu_plugin_register *port, *value;
	int string_to[MAX_CPUS]; /* the port that a string goes to */

	bool have_printk, have_hvc, have_hvc_list;
	struct dv_printk printk;
	struct dv_printk_record record;
	struct dv_btf_member put_chars, hvc_next, hvc_ops;
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

/* Which bytes are sent, and which set the port up, is for dv_lines_add(): it knows what came before. */
static void put_byte(unsigned cpu, int uart, unsigned offset, char byte, uint64_t icount)
{
	struct dv_event_print *print = new_print(DV_CONSOLE_SERIAL, (uint32_t)uart, 1);

	if (print) {
		print->text[0] = byte;
		print->port = (uint8_t)offset;
	}
	put_print(cpu, icount, print);
}

static int read_port(unsigned *ret_offset)
{
	uint64_t port;

	if (!console.port)
		console.port = dv_tracer_find_register(console.arch->port_register);
	if (!dv_tracer_read_register(console.port, &port))
		return NO_UART;
	for (int i = 0; i < UARTS; i++) {
		*ret_offset = (uint16_t)port - uart_bases[i];
		if ((uint16_t)port >= uart_bases[i] && *ret_offset < UART_PORTS)
			return i;
	}
	return NO_UART;
}

static void on_out(unsigned cpu, void *block)
{
	unsigned offset;
	int uart = read_port(&offset);
	uint64_t value;

	if (uart == NO_UART)
		return;
	if (!console.value)
		console.value = dv_tracer_find_register(console.arch->port_value_register);
	if (!dv_tracer_read_register(console.value, &value))
		return;
	if (offset == DV_UART_LINE_CONTROL || offset == DV_UART_MODEM_CONTROL || offset == DV_UART_DATA)
		put_byte(cpu, uart, offset, (char)value, dv_tracer_block_icount(block));
}

static void on_out_string(unsigned cpu, void *unused)
{
	unsigned offset;
	int uart = read_port(&offset);

	console.string_to[cpu & 0xff] = uart != NO_UART && offset == DV_UART_DATA ? uart : NO_UART;
}

static void on_out_string_load(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *block)
{
	int *uart = &console.string_to[cpu & 0xff];

	if (*uart != NO_UART)
		put_byte(cpu, *uart, DV_UART_DATA, (char)qemu_plugin_mem_get_value(info).data.u8,
			 dv_tracer_block_icount(block));
	*uart = NO_UART;
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

static void add_driver(uint64_t ops)
{
	uint64_t vaddr;

	if (!dv_guest_read_u64(&dv_tracer_memory, ops + console.put_chars.offset_bytes, &vaddr) || !vaddr)
		return;
	for (size_t i = 0; i < console.drivers; i++) {
		if (console.driver_vaddr[i] == vaddr)
			return;
	}
	if (console.drivers < MAX_DRIVERS)
		console.driver_vaddr[console.drivers++] = vaddr;
}

/* hvc_alloc(vtermno, data, ops, ...), hvc_instantiate(vtermno, index, ops) */
static void on_hvc_driver(unsigned cpu, void *unused)
{
	uint64_t ops;

	if (dv_tracer_read_argument(2, &ops))
		add_driver(ops);
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
	const struct dv_btf *btf = kernel ? dv_kernel_btf(kernel) : NULL;

	console = (struct console){.arch = arch, .kernel = kernel};
	for (size_t cpu = 0; cpu < MAX_CPUS; cpu++)
		console.string_to[cpu] = NO_UART;
	console.have_printk = btf && is_there(dv_printk_init(&console.printk, btf));
	console.have_hvc = btf && is_there(dv_btf_member(btf, "hv_ops", "put_chars", &console.put_chars));
	console.have_hvc_list = console.have_hvc && is_there(dv_btf_member(btf, "hvc_struct", "next", &console.hvc_next)) &&
				is_there(dv_btf_member(btf, "hvc_struct", "ops", &console.hvc_ops));
}

/* Those of hvc_alloc() stand in a list, those of hvc_instantiate() in an array. */
void dv_console_find_drivers(void)
{
	uint64_t list = dv_tracer_symbol("hvc_structs"), array = dv_tracer_symbol("cons_ops"), at, ops;

	for (unsigned i = 0; console.have_hvc && array && i < MAX_CONSOLES; i++) {
		if (dv_guest_read_u64(&dv_tracer_memory, array + i * sizeof(ops), &ops) && ops)
			add_driver(ops);
	}
	if (!console.have_hvc_list || !list || !dv_guest_read_u64(&dv_tracer_memory, list, &at))
		return;
	for (unsigned i = 0; at != list && i < MAX_CONSOLES; i++) {
		uint64_t hvc = at - console.hvc_next.offset_bytes;

		if (dv_guest_read_u64(&dv_tracer_memory, hvc + console.hvc_ops.offset_bytes, &ops) && ops)
			add_driver(ops);
		if (!dv_guest_read_u64(&dv_tracer_memory, at, &at))
			return;
	}
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
