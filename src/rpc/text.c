/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/text.h"
#include <math.h>
#include <string.h>

/* Length of the UTF-8 sequence at text, 0 when it is none: overlong, a surrogate, beyond U+10FFFF, cut. */
static size_t sequence(const unsigned char *text, size_t left)
{
	size_t len = *text < 0x80 ? 1 : *text >= 0xc2 && *text < 0xe0 ? 2 : *text >= 0xe0 && *text < 0xf0 ? 3 :
		     *text >= 0xf0 && *text < 0xf5 ? 4 : 0;

	if (!len || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((*text == 0xe0 && text[1] < 0xa0) || (*text == 0xed && text[1] >= 0xa0) ||
	    (*text == 0xf0 && text[1] < 0x90) || (*text == 0xf4 && text[1] >= 0x90))
		return 0;
	return len;
}

static void append_escaped(struct dv_buf *to, unsigned char c)
{
	static const char plain[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

	if (c == '"' || c == '\\')
		dv_buf_printf(to, "\\%c", c);
	else if (c < sizeof(plain) && plain[c])
		dv_buf_printf(to, "\\%c", plain[c]);
	else
		dv_buf_printf(to, "\\u%04x", c);
}

/* Calls for runs of good bytes and for each bad one. */
static void sanitize(struct dv_buf *to, const char *text, size_t len, bool escape)
{
	size_t from = 0, at = 0;

	while (at < len) {
		unsigned char c = (unsigned char)text[at];
		size_t n = sequence((const unsigned char *)text + at, len - at);

		if (n && (!escape || (c >= 0x20 && c != '"' && c != '\\'))) {
			at += n;
			continue;
		}
		dv_buf_append(to, text + from, at - from);
		if (n)
			append_escaped(to, c);
		else
			dv_buf_append(to, "\xef\xbf\xbd", 3);
		from = ++at;
	}
	dv_buf_append(to, text + from, at - from);
}

void dv_json_append_string(struct dv_buf *to, const char *text, size_t len)
{
	dv_buf_append(to, "\"", 1);
	sanitize(to, text, len, true);
	dv_buf_append(to, "\"", 1);
}

void dv_json_append_real(struct dv_buf *to, double value)
{
	if (isfinite(value))
		dv_buf_printf(to, "%.17g", value);
	else
		dv_buf_append(to, "null", 4);
}

json_t *dv_json_text(const char *text)
{
	json_t *json = json_string(text);
	_cleanup_buf_ struct dv_buf clean = DV_BUF_INIT;

	if (json)
		return json;
	sanitize(&clean, text, strlen(text), false);
	return clean.failed || !clean.data ? NULL : json_stringn((const char *)clean.data, clean.len);
}
