/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 64-bit value of the access that a memory callback is about, at the price of one load.
 *
 * qemu_plugin_mem_get_value() takes about 15 ns (QEMU 9.2 to 10.0): it gathers its result with a 16-byte load
 * from where it has just stored two narrower parts, which no CPU can forward. Asked at every return that is
 * two thirds of what tracing costs the vCPU. The value itself lies in QEMU's CPUState, at a place that no
 * interface tells; it is learnt: asked the slow way at first, each answer strikes off the words of CPUState
 * that do not hold it. The one word that held all of many answers is it. Where none or several are left,
 * or QEMU does not export `current_cpu`, the slow way stays.
 */
#ifndef DV_PLUGIN_MEM_VALUE_H
#define DV_PLUGIN_MEM_VALUE_H

#include "plugin/qemu_api.h"

/* So many different answers must be right. */
#define DV_MEM_VALUE_ANSWERS	 256
/* When it is not clear by then, it will not be. */
#define DV_MEM_VALUE_MAX_ANSWERS 65536
/* Words that hold the first answer; more of them are no sign of anything. */
#define DV_MEM_VALUE_MAX_PLACES	 64

struct dv_mem_value {
	const uint64_t *word; /* the place; NULL while, or as long as, it is not known */
	uint64_t asked;
	/* Learning: */
	bool over;
	uint64_t answers, last;
	size_t count; /* of places left; those of the first answer are not looked for yet when answers is 0 */
	const uint64_t *places[DV_MEM_VALUE_MAX_PLACES];
};

/* One answer: `value` is in one of the words of the object, which stays where it is. Sets m->word when it is
 * clear, m->over when it never will be. Answers equal to the last one say nothing new and do not count. */
void dv_mem_value_learn(struct dv_mem_value *m, const uint64_t *object, size_t words, uint64_t value);

/* The slow way, in a callback of the only vCPU: asks QEMU, and learns from it (or checks that it was right). */
uint64_t dv_mem_value_ask(struct dv_mem_value *m, qemu_plugin_meminfo_t info);

/* In a callback of the only vCPU about an access of 8 bytes. */
static inline uint64_t dv_mem_value_u64(struct dv_mem_value *m, qemu_plugin_meminfo_t info)
{
	/* Now and then it is asked all the same: a wrong place would be a wrong trace. */
	if (__builtin_expect(!m->word || !(++m->asked & 0xffff), 0))
		return dv_mem_value_ask(m, info);
	return __atomic_load_n(m->word, __ATOMIC_RELAXED);
}

#endif
