/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where QEMU keeps the value of an access: see mem_value.h. */
#include "plugin/mem_value.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>

/* CPUState is the beginning of a vCPU's object, and what is looked for lies in it. */
#define MAX_OBJECT_BYTES 65536

static void strike_off(struct dv_mem_value *m, uint64_t value)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (__atomic_load_n(m->places[i], __ATOMIC_RELAXED) == value)
			m->places[kept++] = m->places[i];
	}
	m->count = kept;
}

void dv_mem_value_learn(struct dv_mem_value *m, const uint64_t *object, size_t words, uint64_t value)
{
	if (m->over || (m->answers && value == m->last))
		return;
	if (!m->answers) {
		for (size_t i = 0; i < words && m->count < DV_MEM_VALUE_MAX_PLACES; i++) {
			if (__atomic_load_n(&object[i], __ATOMIC_RELAXED) == value)
				m->places[m->count++] = &object[i];
		}
	} else {
		strike_off(m, value);
	}
	m->last = value;
	m->answers++;
	if (m->count == 1 && m->answers >= DV_MEM_VALUE_ANSWERS)
		m->word = m->places[0];
	m->over = m->word || !m->count || m->answers == DV_MEM_VALUE_MAX_ANSWERS;
}

uint64_t dv_mem_value_ask(struct dv_mem_value *m, qemu_plugin_meminfo_t info)
{
	uint64_t value = qemu_plugin_mem_get_value(info).data.u64;
	void **current_cpu; /* of this thread: a thread-local variable of QEMU's */

	if (m->word && *m->word != value) {
		m->word = NULL;
		fprintf(stderr, "dejaview: QEMU keeps the values of accesses elsewhere than it did: this trace may be "
				"wrong; make it anew, and report this\n");
	}
	if (m->over)
		return value;
	current_cpu = dlsym(RTLD_DEFAULT, "current_cpu");
	if (current_cpu && *current_cpu) {
		size_t bytes = malloc_usable_size(*current_cpu);

		dv_mem_value_learn(m, *current_cpu,
				   (bytes < MAX_OBJECT_BYTES ? bytes : MAX_OBJECT_BYTES) / sizeof(uint64_t), value);
	} else {
		m->over = true;
	}
	return value;
}
