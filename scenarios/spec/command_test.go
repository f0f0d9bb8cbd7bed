package spec

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"mptcplab/mptcp/pm"
	"mptcplab/topology/decode"
)

// commanded is base with path managers in userspace and one event of the phone.
func commanded(t *testing.T, event string) (*File, error) {
	t.Helper()
	text := strings.Replace(base, "mptcp: {scheduler: minrtt}", "mptcp: {path_manager: userspace}", 1)
	text = strings.Replace(text, "  - {at: 5s, name: lost, link: wifi, blackhole: true}", "  - {at: 5s, host: phone, "+event+"}", 1)
	return Load(write(t, "x.yaml", text), Options{Fabric: "virtual"})
}

func TestCommands(t *testing.T) {
	lte, server := netip.MustParseAddr("10.0.2.1"), netip.MustParseAddr("10.0.3.2")
	for _, c := range []struct {
		event string
		want  Command
	}{
		{"announce: {dev: lte, id: 2, port: 81, flow: get}", Command{Kind: "announce", Flow: "get", Local: pm.Endpoint{ID: 2, Addr: lte, Port: 81, Dev: "lte", Flags: pm.Signal}}},
		{"remove: {id: 0}", Command{Kind: "remove"}},
		{"subflow_create: {address: 10.0.2.1, id: 2, flags: [backup], remote: server.lan}", Command{Kind: "subflow_create",
			Local: pm.Endpoint{ID: 2, Addr: lte, Dev: "lte", Flags: pm.Subflow | pm.Backup}, Remote: netip.AddrPortFrom(server, 0)}},
		{"subflow_destroy: {dev: lte, remote: 10.0.3.2, remote_port: 5001}", Command{Kind: "subflow_destroy",
			Local: pm.Endpoint{Addr: lte, Dev: "lte"}, Remote: netip.AddrPortFrom(server, 5001)}},
		{"set_flags: {dev: lte, flags: [nobackup]}", Command{Kind: "set_flags", Local: pm.Endpoint{Addr: lte, Dev: "lte"}}},
		{"listener: {dev: lte, port: 90, close: true}", Command{Kind: "listener", Local: pm.Endpoint{Addr: lte, Dev: "lte", Port: 90}, Close: true}},
	} {
		f, err := commanded(t, c.event)
		if err != nil {
			t.Errorf("%s: %v", c.event, err)
			continue
		}
		if got := f.Runs[0].Timeline[0].Commands; len(got) != 1 || got[0] != c.want {
			t.Errorf("%s:\n%+v, want\n%+v", c.event, got, c.want)
		}
	}
}

func TestCommandMistakes(t *testing.T) {
	for _, c := range []struct{ event, at, want string }{
		{"announce: {dev: lte}", "16:37", `"id" is missing`},
		{"announce: {id: 2}", "16:37", "announce needs dev or address"},
		{"announce: {dev: lte, id: 0}", "16:52", "1 to 255"},
		{"announce: {dev: lt, id: 2}", "16:37", `no interface "lt"; did you mean "lte"?`},
		{"announce: {address: 10.9.9.9, id: 2}", "16:37", "phone has no address 10.9.9.9"},
		{"announce: {dev: lte, id: 2, remote: server.lan}", "16:55", `unknown key "remote"`},
		{"remove: {id: 1, dev: lte}", "16:43", `unknown key "dev"`},
		{"subflow_create: {dev: lte, id: 2, flow: gte}", "16:43", `phone has no flow "gte" with MPTCP; did you mean "get"?`},
		{"subflow_create: {dev: lte, id: 2, remote: server}", "16:43", "wanted is HOST.LINK of one host; allowed: server.lan"},
		{"subflow_create: {dev: lte, id: 2, remote: 'fd00::1'}", "16:43", "different families"},
		{"subflow_create: {dev: lte, id: 2, flags: [signal]}", "16:69", `"signal" is unknown; allowed: backup`},
		{"set_flags: {dev: lte}", "16:38", `"flags" is missing`},
		{"listener: {dev: lte}", "16:37", `"port" is missing`},
	} {
		_, err := commanded(t, c.event)
		var list decode.Errors
		if !errors.As(err, &list) {
			t.Errorf("%s: accepted, or another error: %v", c.event, err)
			continue
		}
		if first := list[0].Error(); !strings.Contains(first, ":"+c.at+": ") || !strings.Contains(first, c.want) {
			t.Errorf("%s: not at %s, or no %q: %s", c.event, c.at, c.want, first)
		}
	}
}
