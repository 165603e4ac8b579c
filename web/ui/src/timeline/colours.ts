// SPDX-License-Identifier: GPL-2.0-or-later
// Colours of functions: one hue for what belongs together (a module, a subsystem of the kernel), light
// and calm, a little lighter or darker by name so that neighbours can be told apart. Interrupts,
// exceptions and system calls have hues of their own, and more of them.
import { Kind } from '../lib/types.ts';

/** Packed as ImageData wants it on little-endian machines: 0xAABBGGRR. */
export type Rgba = number;

export interface Palette {
	readonly dark: boolean;
	readonly background: string;
	readonly lane: string;
	readonly text: string;
	readonly muted: string;
	readonly line: string;
	readonly accent: string;
	readonly match: string;
	readonly replay: string;
	readonly sliceText: string;
}

export const palettes: Record<'light' | 'dark', Palette> = {
	light: {
		dark: false, background: '#ffffff', lane: '#f7f8fa', text: '#1d232c', muted: '#69727f', line: '#e3e6eb',
		accent: '#2f6feb', match: '#d6336c', replay: '#12805c', sliceText: '#20262f',
	},
	dark: {
		dark: true, background: '#14171c', lane: '#191d23', text: '#e3e7ee', muted: '#8d97a5', line: '#2a3038',
		accent: '#6ea2ff', match: '#ff7eb0', replay: '#43c59e', sliceText: '#f2f5fa',
	},
};

function linear(x: number): number {
	const c = x <= 0.0031308 ? 12.92 * x : 1.055 * Math.pow(x, 1 / 2.4) - 0.055;
	return Math.round(Math.min(1, Math.max(0, c)) * 255);
}

/** OKLCH to sRGB: equal lightness looks equally light, whatever the hue. */
export function oklch(l: number, c: number, hue: number): Rgba {
	const h = (hue * Math.PI) / 180;
	const a = c * Math.cos(h);
	const b = c * Math.sin(h);
	const l3 = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
	const m3 = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
	const s3 = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
	const r = linear(4.0767416621 * l3 - 3.3077115913 * m3 + 0.2309699292 * s3);
	const g = linear(-1.2684380046 * l3 + 2.6097574011 * m3 - 0.3413193965 * s3);
	const bl = linear(-0.0041960863 * l3 - 0.7034186147 * m3 + 1.707614701 * s3);
	return (0xff000000 | (bl << 16) | (g << 8) | r) >>> 0;
}

export function css(c: Rgba, alpha = 1): string {
	const rgb = `${c & 255}, ${(c >> 8) & 255}, ${(c >> 16) & 255}`;
	return alpha === 1 ? `rgb(${rgb})` : `rgba(${rgb}, ${alpha})`;
}

/** FNV-1a, finished so that near names fall far apart. */
export function hash(text: string): number {
	let h = 0x811c9dc5;
	for (let i = 0; i < text.length; i++)
		h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
	h ^= h >>> 15;
	h = Math.imul(h, 0x2c1b3c6d);
	return (h ^ (h >>> 13)) >>> 0;
}

/** Subsystems by what their names begin with: the first that fits. Hues are of OKLCH. */
const subsystems: readonly (readonly [name: string, hue: number, begins: RegExp])[] = [
	['memory', 255, /^(alloc_|free_|page|folio|kmem|kmalloc|kfree|kvm?alloc|vmalloc|vfree|slab|slub|___slab|mm_|mmap|munmap|vma|vm_|pte_|pmd_|pud_|p4d_|pgd_|handle_mm|filemap|lru_|memcg|mem_cgroup|get_page|put_page|rmqueue|zone|shrink|swap_|anon_|unmap|zap_|copy_p|clear_page|copy_page|memcpy|memset|memmove|mas_|mt_|flush_tlb|percpu|pcpu|memblock|cache_|unlink_anon|do_anon|do_fault|do_user_addr|wp_|do_wp)/],
	['filesystem', 145, /^(vfs_|d_|dput|dget|dentry|lookup|path_|link_path|walk_comp|inode|iput|iget|ext[234]_|jbd2|xfs_|btrfs|proc_|sysfs|kernfs|tmpfs|shmem|ramfs|namei|file_|fput|fget|fd_|do_filp|do_open|open_|do_dentry|read_|write_|new_sync|generic_file|iov_|pipe|seq_|mnt|mount|super|sb_|fs_|getname|ksys_|do_sys|step_into|complete_walk|simple_|cdev|chrdev|splice|load_elf|bprm|exec|begin_new)/],
	['scheduler', 300, /^(sched|pick_|enqueue|dequeue|update_curr|update_load|update_rq|try_to_wake|ttwu|wake_up|wake_q|task_|select_task|set_next|put_prev|context_switch|finish_task|prepare_task|place_entity|check_preempt|reweight|cpu_idle|do_idle|default_idle|cpuidle|kthread|worker_|process_one|queue_work|queue_delayed|insert_work|wq_|flush_work|completion|complete|wait_for|psi_|cgroup|rq_|load_bal|newidle|default_wake|resched|preempt|avg_|cfs|dl_|rt_)/],
	['network', 195, /^(tcp_|udp_|ip_|ip6|ipv|inet|skb_|sk_|sock|net|dev_|napi|neigh|arp|eth_|rtnl|nf_|xt_|fib_|dst_|qdisc|tun|unix_|nl|genl|icmp)/],
	['block', 110, /^(blk|bio_|submit_bio|elv|dd_|mq_|bdev|disk|part_|scsi|ata_|nvme|virtblk|rq_qos|sbitmap|end_bio)/],
	['locking', 330, /^(mutex|spin|_raw_|raw_spin|rwsem|down_|up_|percpu_ref|rcu|call_rcu|srcu|lock|unlock|queued_|osq|futex|seqcount|refcount)/],
	['time', 270, /^(hrtimer|timer|ktime|tick|clock|timekeep|update_wall|delay|ndelay|udelay|sched_clock|read_tsc|tsc|msleep|nanosleep|do_timer|run_timer|update_process|calc_|jiffies|posix_)/],
	['tty and console', 85, /^(tty|n_tty|uart|serial|vt_|con_|console|printk|vprintk|vscn|vsn|format_dec|number|pointer|string|prb_|desc_|data_|ldsem|do_con|io_serial|mem_serial|pty|wait_for_xmitr|early_)/],
	['security', 125, /^(security_|cap_|selinux|apparmor|aa_|ima_|key_|cred|audit|lsm|tomoyo|landlock|integrity|crypto|sha|aes|crc|hash)/],
	['devices', 170, /^(pci|acpi|device|driver|bus_|platform|virtio|vring|virtqueue|usb|input|i2c|pnp|dma|iommu|irq_domain|regmap|clk|gpio|dmi|kobject|kset|class_|devm|devres|fw_|of_|firmware|uevent|rtc|hpet)/],
	['interrupts', 20, /^(irq|__irq|handle_irq|handle_edge|handle_level|generic_handle|apic|x2apic|lapic|do_softirq|softirq|tasklet|asm_|sysvec|common_interrupt|note_interrupt|ack_|mask_|msi|exc_|idt|nmi|smp_|ipi)/],
	['processes', 230, /^(fork|copy_process|clone|do_fork|kernel_clone|dup_|do_exit|exit_|release_task|wait_|wait4|do_wait|signal|send_sig|do_send|dequeue_signal|get_signal|ptrace|pid|alloc_pid|put_pid|change_pid|proc_|user_|sys_|do_syscall|entry_|ret_from|syscall)/],
	['text', 60, /^(str|mem|find_|bitmap|hex|kstr|sscanf|sprintf|snprintf|vsprintf|sort|rb_|radix|xa_|xas|idr|ida|list_|hlist|llist|plist|bsearch|memchr|parse_|next_arg)/],
	['start-up', 40, /^(start_kernel|kernel_init|do_one_initcall|do_initcall|rest_init|setup_|init_|x86_|cpu_|mtrr|e820|efi|initcall|populate_rootfs|unpack_to|inflate|gunzip|zlib|decompress|xz_|zstd|lz|do_copy|do_name|do_header|do_collect|do_skip|flush_buffer|fill|write_buffer|native_|early|reserve|probe_|alternatives|apply_|text_poke|module|load_module|jump_label|static_key|trace|ftrace|bpf|perf)/],
];

const hueOf = new Map<string, number>(subsystems.map(([name, hue]) => [name, hue]));

/** Folders of the kernel's source to the same subsystems. */
const folders: readonly (readonly [RegExp, string])[] = [
	[/(^|\/)mm\//, 'memory'], [/(^|\/)fs\//, 'filesystem'], [/(^|\/)kernel\/sched\//, 'scheduler'],
	[/(^|\/)kernel\/(locking|rcu)\//, 'locking'], [/(^|\/)kernel\/time\//, 'time'], [/(^|\/)kernel\/irq\//, 'interrupts'],
	[/(^|\/)kernel\/printk\//, 'tty and console'], [/(^|\/)drivers\/tty\//, 'tty and console'], [/(^|\/)net\//, 'network'],
	[/(^|\/)block\//, 'block'], [/(^|\/)drivers\/(block|ata|nvme|scsi)\//, 'block'], [/(^|\/)drivers\/net\//, 'network'],
	[/(^|\/)drivers\//, 'devices'], [/(^|\/)(security|crypto)\//, 'security'], [/(^|\/)lib\//, 'text'], [/(^|\/)init\//, 'start-up'],
];

export interface Named {
	readonly name: string;
	readonly module?: string | undefined;
	readonly file?: string | undefined;
	/** User space, firmware. */
	readonly space?: number | undefined;
}

export function subsystem(f: Named): string {
	if (f.module)
		return f.module;
	if (f.file) {
		for (const [folder, name] of folders) {
			if (folder.test(f.file))
				return name;
		}
	}
	const plain = f.name.replace(/^\[[^\]]*\]\s*/, '').replace(/^(__x64_|__ia32_|__se_|__do_|___?|do_)(?=[a-z_]{4})/, '').replace(/^_+/, '');
	for (const [name, , begins] of subsystems) {
		if (begins.test(plain) || begins.test(f.name))
			return name;
	}
	return /^[a-z0-9]+/i.exec(plain)?.[0] ?? plain;
}

const specials: Partial<Record<Kind, number>> = { [Kind.Interrupt]: 12, [Kind.Exception]: 48, [Kind.Syscall]: 205 };

export function colourOf(f: Named, kind: Kind, dark: boolean): Rgba {
	const special = specials[kind];
	if (special !== undefined)
		return dark ? oklch(0.57, 0.13, special) : oklch(0.8, 0.115, special);
	const group = subsystem(f);
	const hue = hueOf.get(group) ?? hash(group) % 360;
	const shade = ((hash(f.name) % 7) - 3) / 3;
	const unknown = f.space === 3 || /^0x/.test(f.name);
	const chroma = unknown ? 0.02 : 0.07;
	return dark ? oklch(0.47 + shade * 0.04, chroma + 0.012, hue) : oklch(0.85 + shade * 0.035, chroma, hue);
}

/** A thread's colour on the CPU track; the idle task is grey. */
export function threadColour(name: string, idle: boolean, dark: boolean): Rgba {
	const hue = hash(name) % 360;
	if (idle)
		return dark ? oklch(0.3, 0.005, 260) : oklch(0.92, 0.004, 260);
	return dark ? oklch(0.5, 0.07, hue) : oklch(0.82, 0.07, hue);
}

/** Background and colour mixed: 0 is all background. */
export function mix(background: Rgba, colour: Rgba, part: number): Rgba {
	const channel = (shift: number): number => {
		const b = (background >>> shift) & 255;
		const c = (colour >>> shift) & 255;
		return (b + (c - b) * part) & 255;
	};
	return (0xff000000 | (channel(16) << 16) | (channel(8) << 8) | channel(0)) >>> 0;
}

export function parseHex(colour: string): Rgba {
	const n = Number.parseInt(colour.slice(1), 16);
	return (0xff000000 | ((n & 255) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
}
