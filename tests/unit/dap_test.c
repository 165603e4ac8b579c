/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Debug Adapter Protocol's messages, whole and broken, over a pipe. */
#include <sys/socket.h>
#include <unistd.h>
#include "dap/transport.h"
#include "test.h"

TEST(a_message_is_found_when_it_is_whole)
{
	static const char whole[] = "Content-Length: 13\r\nX: y\r\n\r\n{\"seq\": 1234}{";
	size_t used;
	json_t *json;

	for (size_t len = 0; len < sizeof(whole) - 2; len++) {
		CHECK_OK(dv_dap_parse(whole, len, &used, &json));
		CHECK_EQ(used, 0);
		CHECK(!json);
	}
	CHECK_OK(dv_dap_parse(whole, sizeof(whole) - 1, &used, &json));
	CHECK_EQ(used, sizeof(whole) - 2);
	CHECK_EQ(json_integer_value(json_object_get(json, "seq")), 1234);
	json_decref(json);
}

static struct dv_error *parse(const char *text)
{
	size_t used;
	json_t *json;

	return dv_dap_parse(text, strlen(text), &used, &json);
}

TEST(what_is_no_message_is_refused)
{
	char long_header[DV_DAP_MAX_HEADER_BYTES + 1];
	static const char no_length[] = "what came is no message of the Debug Adapter Protocol: no Content-Length in "
					"its header";

	memset(long_header, 'x', sizeof(long_header) - 1);
	long_header[sizeof(long_header) - 1] = 0;
	CHECK_ERROR(parse("GET / HTTP/1.1\r\nHost: here\r\n\r\n"), DV_ERROR_PROTOCOL, no_length);
	CHECK_ERROR(parse(long_header), DV_ERROR_PROTOCOL, no_length);
	CHECK_ERROR(parse("Content-Length: -1\r\n\r\n{}"), DV_ERROR_PROTOCOL, no_length);
	CHECK_ERROR(parse("Content-Length: 2x\r\n\r\n{}"), DV_ERROR_PROTOCOL, no_length);
	CHECK_ERROR(parse("Content-Length: 99999999\r\n\r\n"), DV_ERROR_PROTOCOL,
		    "a message of 99999999 bytes; the most is 16777216");
	CHECK_ERROR(parse("Content-Length: 2\r\n\r\n[]"), DV_ERROR_PROTOCOL, "a message is no JSON object: ");
}

TEST(messages_go_over_a_socket)
{
	struct dv_dap_transport *a, *b;
	json_t *json = NULL;
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	CHECK_OK(dv_dap_transport_create(fds[0], fds[0], &a));
	CHECK_OK(dv_dap_transport_create(fds[1], fds[1], &b));
	for (int i = 0; i < 3; i++)
		CHECK_OK(dv_dap_send(a, json_pack("{s:i, s:s}", "seq", i, "text", "\xc3\xa4 \"quoted\"")));
	for (int i = 0; i < 3; i++) {
		CHECK_OK(dv_dap_receive(b, &json));
		CHECK_EQ(json_integer_value(json_object_get(json, "seq")), i);
		CHECK_STR(json_string_value(json_object_get(json, "text")), "\xc3\xa4 \"quoted\"");
		json_decref(json);
	}
	shutdown(fds[0], SHUT_WR);
	CHECK_OK(dv_dap_receive(b, &json));
	CHECK(!json);
	dv_dap_transport_destroy(a);
	dv_dap_transport_destroy(b);
}
