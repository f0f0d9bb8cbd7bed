package spec

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// A setting that a stack does not honour is refused, never taken in silence; what
// a stack does anyway may be said.
func TestSettingsOfStacks(t *testing.T) {
	for _, c := range []struct{ stack, line, want string }{ // want "": accepted
		{"mptcp", "tcp: {fastopen: 3}", ""},
		{"mptcp", "tcp: {no_metrics_save: false}", "tcp.no_metrics_save is of kernel stacks alone (for the built-in one: known, not built yet); server runs mptcp"},
		{"mptcp", "tcp: {ecn: 3}", "tcp.ecn: the built-in stack has 0 to 2 here; server runs mptcp"},
		{"mptcp", "tcp: {ecn: 1}", ""},
		{"mptcp", "tcp: {syncookies: 0}", ""},
		{"tcp", "tcp: {syncookies: 2}", ""},
		{"tcp", "tcp: {syncookies: 3}", "the built-in stack has 0 to 2 here"},
		{"mptcp", "tcp: {moderate_rcvbuf: true}", "not built yet"},
		{"mptcp", "tcp: {notsent_lowat: 16384}", "not built yet"},
		{"mptcp", "tcp: {slow_start_after_idle: false}", ""},
		{"mptcp", "tcp: {slow_start_after_idle: true}", ""},
		{"mptcp", "mptcp: {blackhole_timeout: 5min}", ""},
		{"mptcp", "mptcp: {blackhole_timeout: 0}", ""},
		{"tcp", "mptcp: {blackhole_timeout: 1h}", ""}, // no MPTCP, no matter
		{"mptcp", "mptcp: {subflows_per_pair: 2}", "mptcp.subflows_per_pair is of path_manager fullmesh and ndiffports; server has kernel"},
		{"mptcp", "mptcp: {subflows_per_pair: 0}", "has no 0"},
		{"mptcp", "mptcp: {subflows_per_pair: 1}", ""},
		{"mptcp", "mptcp: {path_manager: ndiffports, subflows_per_pair: 33}", "at most 32"},
		{"mptcp", "mptcp: {path_manager: fullmesh, subflows_per_pair: 4}", ""},
		{"mptcp", "mptcp: {bring_up: 1s}", "mptcp.bring_up is of path_manager single-path; server has kernel"},
		{"mptcp", "mptcp: {path_manager: single-path, bring_up: 1s}", ""},
		{"mptcp", "mptcp: {path_manager: userspace}", ""},
		{"mptcp", "mptcp: {limits: {subflows: 9}}", "the path manager of Linux takes at most 8; server has kernel"},
		{"mptcp", "mptcp: {path_manager: fullmesh, limits: {subflows: 9}}", ""},
		{"kernel-mptcp", "mptcp: {path_manager: ndiffports}", "Linux has no"},
		{"kernel-mptcp", "mptcp: {limits: {add_addr_accepted: 9}}", "at most 8"},
		{"mptcp", "mptcp: {close_timeout: 0}", "the built-in stack has no 0s here"},
		{"mptcp", "tcp: {rmem: 0}", "has no 0"},
		{"mptcp", "tcp: {retries2: 0}", "has no 0"},
		{"mptcp", "tcp: {syn_retries: 0}", ""},
		{"mptcp", "mptcp: {scheduler: weighted:3:1}", ""},
		{"kernel-mptcp", "mptcp: {scheduler: weighted:3:1}", `Linux has no "weighted:3:1"; server runs kernel-mptcp`},
		{"kernel-mptcp", "tcp: {ecn: 1, fastopen: 3, syncookies: 2, moderate_rcvbuf: false}", ""},
		{"kernel-mptcp", "mptcp: {blackhole_timeout: 5s, close_timeout: 0}", ""},
		{"kernel-mptcp", "tcp: {initcwnd: 20}", "tcp.initcwnd is of the built-in stack alone; server runs kernel-mptcp"},
		{"kernel-mptcp", "tcp: {initcwnd: 10}", ""},
	} {
		text := strings.Replace(base, "server: {stack: mptcp}", "server: {stack: "+c.stack+", "+c.line+"}", 1)
		_, err := Load(write(t, "s.yaml", text), Options{Fabric: "netns"})
		switch {
		case c.want == "" && err != nil, c.want != "" && err == nil:
			t.Errorf("%s with %s: %v, want %q", c.stack, c.line, err, c.want)
		case err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s with %s: %v, want %q", c.stack, c.line, err, c.want)
		}
	}
}

// What holds for a whole host is refused in a workload.
func TestHostSettings(t *testing.T) {
	_, err := Load(write(t, "s.yaml", strings.Replace(base, "download: 1MB", "download: 1MB, tcp: {syncookies: 2}", 1)), Options{})
	if err == nil || !strings.Contains(err.Error(), "tcp.syncookies holds for a whole host; set it in topology.hosts.phone") {
		t.Errorf("%v", err)
	}
	f, err := Load(write(t, "s.yaml", strings.Replace(base, "{stack: mptcp}", "{tcp: {syncookies: 2, fastopen: 0}}", 1)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c := f.Runs[0].Hosts[1].StackConfig().Sysctl; c.SYNCookies != 2 || c.FastOpen != -1 || c.BlackholeTimeout != time.Hour {
		t.Errorf("%+v", c)
	}
}

// The settings by which the stack does what RFC 8684 asks for and Linux does not.
func TestSettingsBeyondLinux(t *testing.T) {
	f, err := Load(write(t, "s.yaml", strings.Replace(base, "mptcp: {scheduler: minrtt}",
		"mptcp: {data_ack_on_advance: true, reset_loss_cnt: 5, join_delay: 300ms, remove_addr_keepalive: true}", 1)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := f.Runs[0].Hosts[1].StackConfig()
	if c := h.Default; !c.DataAckOnAdvance || c.ResetLossCount != 5 || h.JoinDelay != 300*time.Millisecond || !c.RemoveAddrKeepalive {
		t.Errorf("%+v", h)
	}
	_, err = Load(write(t, "s.yaml", strings.Replace(base, "download: 1MB", "download: 1MB, mptcp: {join_delay: 1s}", 1)), Options{})
	if err == nil || !strings.Contains(err.Error(), "join_delay") {
		t.Errorf("join_delay of a workload: %v", err)
	}
}

// Only what a stack was told and honours is said to be in force, and what only a
// kernel has becomes its sysctl.
func TestSettingsInForce(t *testing.T) {
	text := strings.Replace(base, "server: {stack: mptcp}", "server: {stack: kernel-mptcp, tcp: {ecn: 1, sack: false}}", 1)
	f, err := Load(write(t, "s.yaml", text), Options{Fabric: "netns"})
	if err != nil {
		t.Fatal(err)
	}
	phone, server := f.Runs[0].Hosts[0], f.Runs[0].Hosts[1]
	got := slices.Sorted(maps.Keys(server.Settings.InForce(server.Stack)))
	if want := []string{"mptcp.scheduler", "tcp.congestion_control", "tcp.ecn", "tcp.sack"}; !slices.Equal(got, want) {
		t.Errorf("in force on the kernel host: %v, want %v", got, want)
	}
	ours := phone.Settings.InForce(phone.Stack)
	if ours["tcp.rto_min"] != "200ms" || ours["mptcp.scheduler"] != "minrtt" {
		t.Errorf("in force on our host: %v", ours)
	}
	for _, key := range []string{"tcp.no_metrics_save", "tcp.moderate_rcvbuf", "tcp.notsent_lowat"} {
		if v, ok := ours[key]; ok {
			t.Errorf("%s %s is said to be in force on our host", key, v)
		}
	}
	if m := phone.Settings.InForce(StackTCP); m["mptcp.scheduler"] != "" || m["tcp.sack"] != "true" {
		t.Errorf("in force on plain TCP: %v", m)
	}
	var names []string
	for _, s := range Sysctls(server.Settings) {
		names = append(names, s.Name+"="+s.Value)
	}
	if !slices.Contains(names, "net.ipv4.tcp_ecn=1") || !slices.Contains(names, "net.ipv4.tcp_sack=0") {
		t.Errorf("sysctls %v", names)
	}
}

// --only takes quantities in whatever unit they are written.
func TestOnlyByQuantity(t *testing.T) {
	text := base + "sweep: {rate: 10mbit..30mbit step 10mbit}\n"
	for only, want := range map[string]int{"rate=20mbit": 1, "rate=20000kbit": 1, "rate=10mbit,0.02gbit": 2} {
		f, err := Load(write(t, "s.yaml", text), Options{Only: []string{only}})
		if err != nil {
			t.Errorf("%s: %v", only, err)
		} else if len(f.Runs) != want {
			t.Errorf("%s: %d runs, want %d", only, len(f.Runs), want)
		}
	}
	if _, err := Load(write(t, "s.yaml", text), Options{Only: []string{"rate=20MB"}}); err == nil {
		t.Error("20MB is no rate of the sweep")
	}
}
