package pm

import (
	"net/netip"
	"reflect"
	"testing"
)

// userspace_pm.sh and mptcp_join.sh, userspace_tests: what each command does and which
// of them fail.
func TestUserspaceCommands(t *testing.T) {
	u := NewUserspace()
	u.Handle(0, Event{Kind: Created, Token: 1, Local: ap("10.0.1.2:5000"), Remote: ap("10.0.1.1:80")})
	if u.Accept(1) {
		t.Error("a join without daemon")
	}
	u.Attended = true
	if !u.Accept(1) || u.Accept(2) {
		t.Error("joins with daemon")
	}
	want := func(err error, e error, actions ...Action) {
		t.Helper()
		if err != e {
			t.Errorf("%v, want %v", err, e)
		}
		var got []Action
		for a, ok := u.Next(); ok; a, ok = u.Next() {
			got = append(got, a)
		}
		if !reflect.DeepEqual(got, actions) {
			t.Errorf("actions %+v, want %+v", got, actions)
		}
	}
	addr := Endpoint{ID: 10, Addr: ad("10.0.2.2"), Flags: Signal}
	want(u.Announce(7, addr), EINVAL) // another token
	want(u.Announce(1, Endpoint{ID: 10, Addr: addr.Addr}), EINVAL)
	want(u.Announce(1, Endpoint{Addr: addr.Addr, Flags: Signal}), EINVAL)
	want(u.Announce(1, addr), nil, Action{Kind: Announce, Token: 1, Path: -1, Local: ap("10.0.2.2:0"), LocalID: 10})
	want(u.Announce(1, addr), nil, Action{Kind: Announce, Token: 1, Path: -1, Local: ap("10.0.2.2:0"), LocalID: 10}) // once more
	for _, at := range []string{"10.0.2.2:80", "10.0.2.2:5000"} {                                                    // a join to the address, at whatever port
		if id, err := u.LocalID(1, ap(at)); id != 10 || err != nil {
			t.Errorf("%s has id %d, %v", at, id, err)
		}
	}
	want(u.Announce(1, Endpoint{ID: 11, Addr: addr.Addr, Flags: Signal}), EINVAL) // the address has an id
	want(u.Remove(1, 9), EINVAL)
	want(u.Remove(1, 10), nil, Action{Kind: Remove, Token: 1, Path: -1, LocalID: 10})
	want(u.Remove(1, 10), EINVAL)
	want(u.Remove(1, 0), nil, Action{Kind: Remove, Token: 1, Path: -1})

	local := Endpoint{ID: 20, Addr: ad("::ffff:10.0.3.2")}
	want(u.CreateSubflow(1, Endpoint{Addr: ad("fd00::1")}, ap("10.0.1.1:80")), EINVAL)
	want(u.CreateSubflow(1, Endpoint{Addr: local.Addr, Flags: Signal}, ap("10.0.1.1:80")), EINVAL)
	want(u.CreateSubflow(1, local, ap("10.0.1.1:80")), nil, Action{Kind: SubflowCreate, Token: 1, Path: -1,
		Local: ap("10.0.3.2:0"), Remote: ap("10.0.1.1:80"), LocalID: 20})
	u.Handle(0, Event{Kind: SubBegun, Token: 1, Path: 1, Local: ap("10.0.3.2:6000"), Remote: ap("10.0.1.1:80"), LocalID: 20})
	u.Handle(0, Event{Kind: SubEstablished, Token: 1, Path: 1, Local: ap("10.0.3.2:6000"), Remote: ap("10.0.1.1:80"), LocalID: 20})
	if list, err := u.Addrs(1); err != nil || len(list) != 1 || list[0] != (Endpoint{ID: 20, Addr: ad("10.0.3.2"), Flags: Subflow}) {
		t.Error(list, err)
	}
	if got := u.Tally(1); got.Subflows != 1 {
		t.Errorf("%+v", got)
	}
	want(u.SetFlags(1, ap("10.0.3.2:0"), netip.AddrPort{}, Backup), EINVAL)
	want(u.SetFlags(1, ap("10.0.9.9:0"), ap("10.0.1.1:80"), Backup), EINVAL)
	want(u.SetFlags(1, ap("10.0.3.2:0"), ap("10.0.1.1:80"), Backup), nil, Action{Kind: SetBackup, Token: 1, Path: 1, Backup: true})
	if !u.Backup(1, ap("10.0.3.2:6000")) {
		t.Error("the address is not for backup")
	}
	want(u.DestroySubflow(1, ap("10.0.3.2:0"), ap("10.0.1.1:80")), EINVAL)
	want(u.DestroySubflow(1, ap("10.0.3.2:6001"), ap("10.0.1.1:80")), ESRCH)
	want(u.DestroySubflow(1, ap("10.0.3.2:6000"), ap("10.0.1.1:80")), nil, Action{Kind: SubflowDestroy, Token: 1, Path: 1})
	if list, _ := u.Addrs(1); len(list) != 0 {
		t.Error("the address of a destroyed subflow stays:", list)
	}
	if id, err := u.LocalID(1, ap("10.0.4.2:5000")); id != 1 || err != nil { // a join came there
		t.Error(id, err)
	}
	u.Handle(0, Event{Kind: ConnClosed, Token: 1})
	want(u.Remove(1, 0), EINVAL)
	if _, err := u.Addrs(1); err != EINVAL {
		t.Error(err)
	}
}

// The lines as iproute2 prints them, taken from "ip mptcp monitor" on Linux 6.18 with
// addresses changed.
func TestMonitorLines(t *testing.T) {
	local, remote := ap("10.9.1.1:48016"), ap("10.9.1.2:5000")
	for _, v := range []struct {
		e    Event
		want string
	}{
		{Event{Kind: Created, Token: 0xcf91e51c, Local: local, Remote: remote},
			"[       CREATED] token=cf91e51c remid=0 locid=0 saddr4=10.9.1.1 daddr4=10.9.1.2 sport=48016 dport=5000"},
		{Event{Kind: Established, Token: 0x56b0096, Local: remote, Remote: local, ServerSide: true},
			"[   ESTABLISHED] token=056b0096 remid=0 locid=0 saddr4=10.9.1.2 daddr4=10.9.1.1 sport=5000 dport=48016 flags=2"},
		{Event{Kind: SubEstablished, Token: 1, LocalID: 1, Local: local, Remote: remote},
			"[SF_ESTABLISHED] token=00000001 remid=0 locid=1 saddr4=10.9.1.1 daddr4=10.9.1.2 sport=48016 dport=5000 backup=0"},
		{Event{Kind: SubPriority, Token: 1, RemoteID: 1, Local: local, Remote: remote, Backup: true},
			"[       SF_PRIO] token=00000001 remid=1 locid=0 saddr4=10.9.1.1 daddr4=10.9.1.2 sport=48016 dport=5000 backup=1"},
		{Event{Kind: Announced, Token: 1, RemoteID: 2, Remote: ap("10.9.1.3:7777")},
			"[     ANNOUNCED] token=00000001 remid=2 daddr4=10.9.1.3 dport=7777"},
		{Event{Kind: Announced, Token: 1, RemoteID: 2, Remote: ap("[fd00::3]:0")}, "[     ANNOUNCED] token=00000001 remid=2 daddr6=fd00::3"},
		{Event{Kind: Removed, Token: 1, RemoteID: 1}, "[       REMOVED] token=00000001 remid=1"},
		{Event{Kind: SubClosed, Token: 1, Local: local, Remote: remote, Err: ECONNRESET, Reset: true, ResetReason: 3},
			"[     SF_CLOSED] token=00000001 remid=0 locid=0 saddr4=10.9.1.1 daddr4=10.9.1.2 sport=48016 dport=5000 backup=0 error=104 reset_reason=3 reset_flags=0x0"},
		{Event{Kind: ConnClosed, Token: 0xcf91e51c}, "[        CLOSED] token=cf91e51c"},
		{Event{Kind: ListenerCreated, Local: ap("10.9.1.3:7777")}, "[LISTENER_CREATED] saddr4=10.9.1.3 sport=7777"},
		{Event{Kind: SubBegun, Token: 1}, ""},
	} {
		if got := v.e.String(); got != v.want {
			t.Errorf("got  %s\nwant %s", got, v.want)
		}
	}
}
