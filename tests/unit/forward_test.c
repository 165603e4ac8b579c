/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forwarded ports: their rules, and which of them a plan keeps for the recorder. */
#include "qemu/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include "qemu_render.h"
#include "test.h"

TEST(rules)
{
	/* As QEMU 10.0.2 takes and refuses them. */
	static const char *const good[] = {"tcp::2222-:22", ":127.0.0.1:2222-10.0.2.15:22", "udp:0.0.0.0:0-:53",
					   "tcp::0x900-:22"};
	static const char *const bad[] = {"", "2222-:22", "sctp::1-:2", "tcp:[::1]:1-:2", "tcp:localhost:1-:2", "tcp::1-",
					  "tcp::1-:0", "tcp::65536-:1", "tcp::1-:65536", "tcp::-1-:2", "tcp::1:2", "tcp::1-:2x",
					  "tcp:::-:", "unix:/s-:22"};

	for (size_t i = 0; i < DV_ARRAY_SIZE(good); i++)
		CHECK(dv_forward_is_rule(good[i]));
	for (size_t i = 0; i < DV_ARRAY_SIZE(bad); i++)
		CHECK(!dv_forward_is_rule(bad[i]));
}

TEST(a_port_in_use_is_said)
{
	static const struct {
		int type;
		const char *name;
	} kinds[] = {{SOCK_STREAM, "tcp"}, {SOCK_DGRAM, "udp"}};

	for (size_t i = 0; i < DV_ARRAY_SIZE(kinds); i++) {
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
		socklen_t len = sizeof(address);
		int fd = socket(AF_INET, kinds[i].type, 0);
		struct dv_error *err;
		char rule[64];

		CHECK(!bind(fd, (struct sockaddr *)&address, len) && !getsockname(fd, (struct sockaddr *)&address, &len));
		if (kinds[i].type == SOCK_STREAM)
			CHECK(!listen(fd, 1));
		snprintf(rule, sizeof(rule), "%s:127.0.0.1:%u-:22", kinds[i].name, ntohs(address.sin_port));
		err = dv_forward_check(rule);
		CHECK(err && err->code == DV_ERROR_OS && err->os_errno == EADDRINUSE && strstr(err->message, rule));
		dv_error_destroy(err);
		close(fd);
		CHECK_OK(dv_forward_check(rule));
	}
}

TEST(a_plan_keeps_those_of_virtio_cards)
{
	static const struct {
		const char *in, *kept; /* kept: "NETDEV RULE;"... */
	} rows[] = {
		{"-nic user,model=virtio,hostfwd=tcp::1-:2,hostfwd=udp::3-:4", "dv-net0 tcp::1-:2;dv-net0 udp::3-:4;"},
		{"-nic user,hostfwd=tcp::1-:2", "dv-net0 tcp::1-:2;"},
		{"-nic user,model=rtl8139,hostfwd=tcp::1-:2", ""},
		{"-device virtio-net-pci,netdev=n -netdev user,id=n,hostfwd=tcp::1-:2", "n tcp::1-:2;"},
		{"-netdev user,id=n,hostfwd=tcp::1-:2 -netdev user,id=m,hostfwd=tcp::3-:4 -device rtl8139,netdev=n "
		 "-device {\"driver\":\"e1000\",\"netdev\":\"m\"}", "m tcp::3-:4;"},
		{"-netdev user,id=n,hostfwd=tcp::1-:2 -net nic,netdev=n", "n tcp::1-:2;"},
		{"-netdev {\"type\":\"user\",\"id\":\"n\",\"hostfwd\":[{\"str\":\"tcp::1-:2\"},{\"str\":\"::3-:4\"}]} "
		 "-device virtio-net-device,netdev=n", "n tcp::1-:2;n ::3-:4;"},
		{"-net nic,model=pcnet -net user,hostfwd=tcp::1-:2", ""},
		{"-net nic -net user,hostfwd=tcp::1-:2", "dv-net tcp::1-:2;"},
		{"-nic user,model=virtio,hostfwd=tcp::1-:2,hostfwd=nonsense", ""},
		{"-nic user,model=virtio", ""},
	};

	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL;
		_cleanup_buf_ struct dv_buf kept = DV_BUF_INIT;

		CHECK_OK(plan_of(rows[i].in, "/", &plan));
		for (size_t j = 0; j < plan->forwards_len; j++)
			dv_buf_printf(&kept, "%s %s;", plan->forwards[j].netdev, plan->forwards[j].rule);
		dv_buf_append(&kept, "", 1);
		CHECK_STR((char *)kept.data, rows[i].kept);
	}
}
