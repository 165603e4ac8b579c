// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's clock by the times that its kernel prints before its lines.

interface Stamped {
	readonly icount: number;
	readonly text: string;
}

/**
 * A function from icounts to seconds of the guest, straight between the lines that tell both, and going on
 * at the ends as it went; undefined where fewer than two tell it.
 */
export function clockOf(lines: readonly Stamped[]): ((icount: number) => number) | undefined {
	const at: number[] = [];
	const seconds: number[] = [];
	for (const line of lines) {
		const stamp = /^(?:<\d+>)?\[\s*(\d+\.\d{6})\]/.exec(line.text);
		if (!stamp)
			continue;
		const time = Number(stamp[1]);
		// The early lines all say 0: the clock is not running yet. Later ones may be printed again.
		if (time <= (seconds.at(-1) ?? 0) || line.icount <= (at.at(-1) ?? -1))
			continue;
		at.push(line.icount);
		seconds.push(time);
	}
	if (at.length < 2)
		return undefined;
	return (icount) => {
		let low = 1;
		let high = at.length - 1;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (at[middle]! < icount)
				low = middle + 1;
			else
				high = middle;
		}
		const slope = (seconds[low]! - seconds[low - 1]!) / (at[low]! - at[low - 1]!);
		return Math.max(0, seconds[low - 1]! + (icount - at[low - 1]!) * slope);
	};
}
