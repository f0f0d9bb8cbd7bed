package pm

import (
	"fmt"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

// Linux's mptcp_join.sh, laminar_endp_tests: an announced address is reached from a
// laminar endpoint that has no subflow yet, once.
func TestLaminar(t *testing.T) {
	lam := func(a string, id uint8, f EndpointFlags) Endpoint {
		return Endpoint{Addr: ad(a), ID: id, Flags: Laminar | f}
	}
	for _, v := range []struct {
		name string
		es   []Endpoint
		want [2][]string // to the first and the second address
	}{
		{"none", nil, [2][]string{{"join invalid IP id 0 to 10.0.9.2:80 id 7"}, {"join invalid IP id 0 to 10.0.9.3:80 id 8"}}},
		{"several", []Endpoint{lam("fd00::2", 1, 0), lam("10.0.3.2", 2, 0), lam("10.0.4.2", 3, 0)},
			[2][]string{{"join 10.0.3.2 id 2 to 10.0.9.2:80 id 7"}, {"join 10.0.4.2 id 3 to 10.0.9.3:80 id 8"}}},
		{"single", []Endpoint{lam("10.0.3.2", 2, 0)}, [2][]string{{"join 10.0.3.2 id 2 to 10.0.9.2:80 id 7"}, nil}},
		{"initial address", []Endpoint{lam("10.0.1.1", 2, 0)}, [2][]string{nil, nil}},
	} {
		t.Run(v.name, func(t *testing.T) {
			k := manager(t, "", Limits{Subflows: 4, AddAddrAccepted: 4}, v.es...)
			open(k, false)
			expect(t, k)
			for i, want := range v.want {
				tell(t, k, Event{Kind: Announced, Remote: ap(fmt.Sprintf("10.0.9.%d:0", i+2)), RemoteID: uint8(i + 7)})
				expect(t, k, want...)
			}
		})
	}
	// With subflow as well, it is used for the initial address of the peer already.
	k := manager(t, "", Limits{Subflows: 4, AddAddrAccepted: 2}, lam("10.0.1.1", 1, Subflow), lam("10.0.3.2", 2, Subflow))
	open(k, false)
	expect(t, k, "join 10.0.3.2 id 2 to 10.0.9.1:80 id 0")
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:0"), RemoteID: 7})
	expect(t, k)
}

// A peer with the C flag: with default limits one ADD_ADDR is accepted after all, from
// the subflow endpoints (deny_join_id0_tests, 98).
func TestDenyJoinDefaultLimits(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 2}, first, second, third)
	k.Handle(0, Event{Kind: Established, Token: 1, Local: ap("10.0.1.1:1000"), Remote: ap("10.0.9.1:80"), DenyJoinID0: true})
	expect(t, k)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:0"), RemoteID: 7})
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.2:80 id 7", "join 10.0.3.1 id 3 to 10.0.9.2:80 id 7 backup")
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.3:0"), RemoteID: 8})
	expect(t, k)
}

// An IPv4 socket takes no IPv6 subflow, an IPv6 socket takes IPv4 ones (mixed_tests).
func TestFamilies(t *testing.T) {
	six := Endpoint{Addr: ad("fd00::2"), Flags: Subflow | Fullmesh, ID: 5}
	for _, v := range []struct {
		local, remote string
		v4only        bool
		announced     string
		want          []string
	}{
		{"10.0.1.1:1000", "10.0.9.1:80", true, "[fd00:9::2]:0", nil},
		{"10.0.1.1:1000", "10.0.9.1:80", false, "[fd00:9::2]:0", []string{"join fd00::2 id 5 to [fd00:9::2]:80 id 7"}},
		{"[fd00::1]:1000", "[fd00:9::1]:80", false, "10.0.9.2:0", nil}, // the only endpoint is IPv6
	} {
		k := manager(t, "", Limits{Subflows: 4, AddAddrAccepted: 4}, six)
		k.Handle(0, Event{Kind: Established, Token: 1, Local: ap(v.local), Remote: ap(v.remote), V4Only: v.v4only})
		drain(k)
		tell(t, k, Event{Kind: Announced, Remote: ap(v.announced), RemoteID: 7})
		expect(t, k, v.want...)
	}
	k := manager(t, "", Limits{Subflows: 4, AddAddrAccepted: 4})
	k.Handle(0, Event{Kind: Established, Token: 1, Local: ap("[fd00::1]:1000"), Remote: ap("[fd00:9::1]:80")})
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:0"), RemoteID: 7})
	expect(t, k, "join invalid IP id 0 to 10.0.9.2:80 id 7")
}

// An endpoint that is announced and used: 15, "subflow and signal together".
func TestSignalAndSubflow(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 2}, Endpoint{Addr: ad("10.0.3.2"), ID: 1, Flags: Signal | Subflow})
	open(k, false)
	expect(t, k, "announce 10.0.3.2 id 1", "join 10.0.3.2 id 1 to 10.0.9.1:80 id 0")
	up(t, k, 1, "10.0.3.2:2000", "10.0.9.1:80", 1, 0)
	tell(t, k, Event{Kind: AnnounceSent, LocalID: 1})
	tell(t, k, Event{Kind: AnnounceEchoed, LocalID: 1})
	expect(t, k)
	used := func(want int) {
		t.Helper()
		if got := k.Tally(1).LocalAddrUsed; got != want {
			t.Errorf("%d endpoints used, want %d", got, want)
		}
	}
	used(1)
	if err := k.DeleteEndpoint(0, 1); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "remove id 1", "destroy 1")
	used(0)
	if _, err := k.AddEndpoint(Endpoint{Addr: ad("10.0.5.1"), Flags: Subflow}); err != nil { // there is room for it
		t.Fatal(err)
	}
	expect(t, k, "join 10.0.5.1 id 1 to 10.0.9.1:80 id 0")
	used(1)

	// Without room for a subflow it counts as used all the same.
	k = manager(t, "", Limits{}, Endpoint{Addr: ad("10.0.3.2"), ID: 1, Flags: Signal | Subflow})
	open(k, false)
	expect(t, k, "announce 10.0.3.2 id 1")
	used(1)
	if err := k.DeleteEndpoint(0, 1); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "remove id 1")
	used(0)
}

// The initial subflow is removed by id 0, whoever joined from its address goes along;
// the endpoint may be used again.
func TestRemoveID0(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 4}, second)
	open(k, false)
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	up(t, k, 1, "10.0.2.1:2000", "10.0.9.1:80", 2, 0)
	k.RemoveID0(0, ad("10.0.2.1")) // not the initial address
	expect(t, k)
	k.RemoveID0(0, ad("10.0.1.1"))
	expect(t, k, "remove id 0", "destroy 0")
	tell(t, k, Event{Kind: SubClosed, Path: 0})
	expect(t, k)

	k = manager(t, "", Limits{}, Endpoint{Addr: ad("10.0.1.1"), ID: 5, Flags: Signal})
	open(k, false)
	if got := k.Tally(1).AddAddrSignal; got != 0 {
		t.Errorf("the initial address was announced: %d", got)
	}
	k.RemoveID0(0, ad("10.0.1.1"))
	expect(t, k, "remove id 0", "destroy 0")
	if _, err := k.AddEndpoint(signal); err != nil {
		t.Fatal(err)
	}
	// As in Linux the endpoint of the initial address is free again, too.
	expect(t, k, "announce 10.0.1.1 id 0")
	tell(t, k, Event{Kind: AnnounceSent})
	tell(t, k, Event{Kind: AnnounceEchoed})
	expect(t, k, "announce 10.0.4.1 id 4")
	tell(t, k, Event{Kind: AnnounceSent, LocalID: 4})
	k.RemoveID0(0, ad("10.0.1.1")) // withdraws what was announced
	expect(t, k, "remove id 0")
	if got := k.Tally(1).AddAddrSignal; got != 1 {
		t.Errorf("%d addresses are announced", got)
	}
}

// Flush: the peer hears of what was announced, not of what was only used.
func TestFlush(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 4}, second, signal)
	open(k, false)
	expect(t, k, "announce 10.0.4.1 id 4", "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	up(t, k, 1, "10.0.2.1:2000", "10.0.9.1:80", 2, 0)
	k.FlushEndpoints(0)
	expect(t, k, "remove id 4", "destroy 1")
	tell(t, k, Event{Kind: AnnounceSent, LocalID: 4})
	if _, err := k.AddEndpoint(Endpoint{Addr: ad("10.0.2.1"), Flags: Subflow}); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "join 10.0.2.1 id 1 to 10.0.9.1:80 id 0")
}

// The flag fullmesh that comes or goes closes the endpoint's subflows and opens them
// anew (fullmesh_tests 103 to 106).
func TestChangeFullmesh(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 4, AddAddrAccepted: 4}, second)
	open(k, false)
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	up(t, k, 1, "10.0.2.1:2000", "10.0.9.1:80", 2, 0)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:0"), RemoteID: 7})
	expect(t, k, "join invalid IP id 0 to 10.0.9.2:80 id 7")
	up(t, k, 2, "10.0.1.1:2001", "10.0.9.2:80", 0, 7)
	if err := k.ChangeEndpoint(2, Subflow|Backup|Fullmesh); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "backup 1 true", "destroy 1", "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0 backup", "join 10.0.2.1 id 2 to 10.0.9.2:80 id 7 backup")
}

// REMOVE_ADDR makes room for another address only if the removed one was accepted.
func TestRemovedMakesRoom(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 1, AddAddrAccepted: 1}, second)
	open(k, false)
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	up(t, k, 1, "10.0.2.1:2000", "10.0.9.1:80", 2, 0)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:0"), RemoteID: 7}) // no room
	expect(t, k)
	tell(t, k, Event{Kind: Removed, RemoteID: 7})
	tell(t, k, Event{Kind: SubClosed, Path: 1})
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:0"), RemoteID: 7})
	expect(t, k, "join invalid IP id 0 to 10.0.9.2:80 id 7")
	up(t, k, 2, "10.0.1.1:2001", "10.0.9.2:80", 0, 7)
	if got, want := k.Tally(1), (Tally{Subflows: 1, AddAddrAccepted: 1, LocalAddrUsed: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	tell(t, k, Event{Kind: Removed, RemoteID: 7})
	if got, want := k.Tally(1), (Tally{LocalAddrUsed: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNdiffports(t *testing.T) {
	k, err := NewKernel(Config{Name: "ndiffports", SubflowsPerPair: 3, Endpoints: []Endpoint{second}})
	if err != nil {
		t.Fatal(err)
	}
	open(k, false)
	const join = "join 10.0.1.1 id 0 to 10.0.9.1:80 id 0"
	expect(t, k, join, join)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:0"), RemoteID: 7})
	expect(t, k)
}

func TestSubflowsPerPair(t *testing.T) {
	k, err := NewKernel(Config{Name: "fullmesh", SubflowsPerPair: 2, Endpoints: []Endpoint{first, second}})
	if err != nil {
		t.Fatal(err)
	}
	open(k, false)
	const same, other = "join 10.0.1.1 id 0 to 10.0.9.1:80 id 0", "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0"
	expect(t, k, same, other, other)
}

// Break-before-make: the next path comes up after the only one is gone, from the next
// endpoint in turn, and after a failure not at once.
func TestSinglePath(t *testing.T) {
	k, err := NewKernel(Config{Name: "single-path", BringUp: 300 * time.Millisecond, Limits: Limits{Subflows: 2}, Endpoints: []Endpoint{first, second, third}})
	if err != nil {
		t.Fatal(err)
	}
	now := clock.Instant(0)
	advance := func(want time.Duration) {
		t.Helper()
		if d := k.Deadline(); d != now.Add(want) {
			t.Fatalf("deadline %v, want %v after %v", d, want, now)
		}
		now = now.Add(want)
		k.Advance(now)
	}
	at := func(e Event) { e.Token = 1; k.Handle(now, e) }
	open(k, false)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:0"), RemoteID: 7})
	expect(t, k)
	at(Event{Kind: SubStale, Path: 0})
	expect(t, k, "destroy 0")
	advance(300 * time.Millisecond)
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	at(Event{Kind: SubBegun, Path: 1, Local: ap("10.0.2.1:2000"), Remote: ap("10.0.9.1:80"), LocalID: 2})
	if k.Deadline() != clock.Never {
		t.Error("another path beside the one under way")
	}
	at(Event{Kind: SubClosed, Path: 1}) // refused
	advance(retryPath)
	expect(t, k, "join 10.0.3.1 id 3 to 10.0.9.1:80 id 0 backup")
	at(Event{Kind: SubFailed, Local: ap("10.0.3.1:0"), Remote: ap("10.0.9.1:80")})
	advance(retryPath)
	expect(t, k, "join 10.0.1.1 id 0 to 10.0.9.1:80 id 0") // the first again
	up(t, k, 3, "10.0.1.1:3000", "10.0.9.1:80", 0, 0)
	k.Handle(now, Event{Kind: LinkDown, Local: ap("10.0.1.1:0")})
	expect(t, k, "destroy 3")
	advance(300 * time.Millisecond)
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
}

// RST-01, RST-02: single-path opens no subflow over a path again that the peer has reset for
// good, and after a transient failure when the reason makes that likely to help.
func TestSinglePathAfterReset(t *testing.T) {
	for _, v := range []struct {
		name      string
		reset     bool
		flags     uint8
		reason    uint8
		endpoints []Endpoint
		wait      time.Duration // until the join; 0: there is none
		from      string
	}{
		{"no MP_TCPRST", false, 0, 0, []Endpoint{first}, 100 * time.Millisecond, "10.0.1.1 id 0"},
		{"for good, one path", true, 0, 3, []Endpoint{first}, 0, ""},
		{"for good, two paths", true, 0, 3, []Endpoint{first, second}, 100 * time.Millisecond, "10.0.2.1 id 2"},
		{"too much data", true, 1, 4, []Endpoint{first}, 100 * time.Millisecond, "10.0.1.1 id 0"},
		{"lack of resources", true, 1, 2, []Endpoint{first}, retryReset, "10.0.1.1 id 0"},
		{"lack of resources, another path", true, 1, 2, []Endpoint{first, second}, 100 * time.Millisecond, "10.0.2.1 id 2"},
	} {
		t.Run(v.name, func(t *testing.T) {
			k, err := NewKernel(Config{Name: "single-path", BringUp: 100 * time.Millisecond, Limits: Limits{Subflows: 2}, Endpoints: v.endpoints})
			if err != nil {
				t.Fatal(err)
			}
			open(k, false)
			expect(t, k)
			k.Handle(0, Event{Kind: SubClosed, Token: 1, Path: 0, Local: ap("10.0.1.1:1000"), Remote: ap("10.0.9.1:80"),
				Reset: v.reset, ResetReason: v.reason, ResetFlags: v.flags, Err: ECONNRESET})
			now := clock.Instant(0)
			for now < clock.Instant(time.Minute) {
				if now = min(k.Deadline(), clock.Instant(time.Minute)); now < clock.Instant(time.Minute) {
					k.Advance(now)
				}
				if out := drain(k); len(out) > 0 {
					if want := "join " + v.from + " to 10.0.9.1:80 id 0"; out[0] != want || now != clock.Instant(0).Add(v.wait) {
						t.Errorf("%s at %v, want %s at %v", out[0], now, want, v.wait)
					}
					return
				}
			}
			if v.wait != 0 {
				t.Error("no join")
			}
		})
	}
}

// HEU-05: a subflow that waits for its time stands back for one of the peer's, is opened if
// there is none, and is forgotten with its endpoint.
func TestJoinAt(t *testing.T) {
	waiting := func() *Kernel {
		t.Helper()
		k, err := NewKernel(Config{Limits: Limits{Subflows: 1}, Endpoints: []Endpoint{second}, JoinAt: func() clock.Instant { return clock.Instant(time.Second) }})
		if err != nil {
			t.Fatal(err)
		}
		open(k, false)
		expect(t, k)
		if k.Deadline() != clock.Instant(time.Second) {
			t.Fatalf("deadline %v", k.Deadline())
		}
		return k
	}
	k := waiting()
	k.Advance(clock.Instant(time.Second - 1))
	expect(t, k)
	k.Advance(clock.Instant(time.Second))
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	if k.Accept(1) {
		t.Error("a subflow beyond the limit")
	}

	k = waiting()
	if !k.Accept(1) {
		t.Fatal("a join of the peer's was refused for one that has not begun")
	}
	tell(t, k, Event{Kind: SubEstablished, Path: 1, Local: ap("10.0.2.1:1000"), Remote: ap("10.0.9.1:4000"), LocalID: 2})
	k.Advance(clock.Instant(time.Second))
	expect(t, k)
	if got := k.Tally(1).Subflows; got != 1 || k.Deadline() != clock.Never {
		t.Errorf("%d subflows, deadline %v", got, k.Deadline())
	}

	k = waiting()
	if err := k.DeleteEndpoint(0, 2); err != nil {
		t.Fatal(err)
	}
	k.Advance(clock.Instant(time.Second))
	expect(t, k) // the peer never heard of it
	if got := k.Tally(1).Subflows; got != 0 {
		t.Errorf("%d subflows", got)
	}
}
