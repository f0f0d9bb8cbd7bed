package pm

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
func ad(s string) netip.Addr     { return netip.MustParseAddr(s) }

// drain writes the actions that the manager wants as words.
func drain(k *Kernel) (out []string) {
	for {
		a, ok := k.Next()
		if !ok {
			return out
		}
		switch a.Kind {
		case Announce:
			out = append(out, fmt.Sprintf("announce %v id %d", a.Local.Addr(), a.LocalID))
		case Remove:
			out = append(out, fmt.Sprintf("remove id %d", a.LocalID))
		case SubflowCreate:
			s := fmt.Sprintf("join %v id %d to %v id %d", a.Local.Addr(), a.LocalID, a.Remote, a.RemoteID)
			if a.Backup {
				s += " backup"
			}
			out = append(out, s)
		case SubflowDestroy:
			out = append(out, fmt.Sprintf("destroy %d", a.Path))
		case SetBackup:
			out = append(out, fmt.Sprintf("backup %d %v", a.Path, a.Backup))
		}
	}
}

func expect(t *testing.T, k *Kernel, want ...string) {
	t.Helper()
	if got := drain(k); !reflect.DeepEqual(got, want) {
		t.Errorf("actions:\n got %q\nwant %q", got, want)
	}
}

func manager(t *testing.T, name string, l Limits, es ...Endpoint) *Kernel {
	t.Helper()
	k, err := NewKernel(Config{Name: name, Endpoints: es, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// open tells of an established connection from 10.0.1.1 to 10.0.9.1:80.
func open(k *Kernel, server bool) {
	e := Event{Kind: Established, Token: 1, Local: ap("10.0.1.1:1000"), Remote: ap("10.0.9.1:80"), ServerSide: server}
	k.Handle(0, e)
}

func tell(t *testing.T, k *Kernel, e Event) {
	t.Helper()
	e.Token = 1
	k.Handle(0, e)
}

// begun tells that the subflow under way between two addresses has begun.
func begun(t *testing.T, k *Kernel, path int, local, remote string, localID uint8) {
	t.Helper()
	tell(t, k, Event{Kind: SubBegun, Path: path, Local: ap(local), Remote: ap(remote), LocalID: localID})
}

// up tells that a subflow of ours has begun and is established.
func up(t *testing.T, k *Kernel, path int, local, remote string, localID, remoteID uint8) {
	t.Helper()
	begun(t, k, path, local, remote, localID)
	tell(t, k, Event{Kind: SubEstablished, Path: path, Local: ap(local), Remote: ap(remote), LocalID: localID, RemoteID: remoteID})
}

var (
	first  = Endpoint{Addr: ad("10.0.1.1"), Flags: Subflow, ID: 1}
	second = Endpoint{Addr: ad("10.0.2.1"), Flags: Subflow, ID: 2}
	third  = Endpoint{Addr: ad("10.0.3.1"), Flags: Subflow | Backup, ID: 3}
	signal = Endpoint{Addr: ad("10.0.4.1"), Flags: Signal, ID: 4}
)

func TestSubflowEndpoints(t *testing.T) {
	for _, v := range []struct {
		name string
		l    Limits
		es   []Endpoint
		want []string
	}{
		{"none", Limits{Subflows: 2}, nil, nil},
		{"limit 0", Limits{}, []Endpoint{second}, nil},
		{"limit 1", Limits{Subflows: 1}, []Endpoint{second, third}, []string{"join 10.0.2.1 id 2 to 10.0.9.1:80 id 0"}},
		{"all", Limits{Subflows: 8}, []Endpoint{first, second, third},
			[]string{"join 10.0.2.1 id 2 to 10.0.9.1:80 id 0", "join 10.0.3.1 id 3 to 10.0.9.1:80 id 0 backup"}},
		{"signal", Limits{Subflows: 8}, []Endpoint{signal, second},
			[]string{"announce 10.0.4.1 id 4", "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0"}},
		{"initial for backup", Limits{}, []Endpoint{{Addr: ad("10.0.1.1"), Flags: Subflow | Backup}}, []string{"backup 0 true"}},
		{"other family", Limits{Subflows: 8}, []Endpoint{{Addr: ad("fd00::1"), Flags: Subflow}}, nil},
	} {
		t.Run(v.name, func(t *testing.T) {
			k := manager(t, "kernel", v.l, v.es...)
			open(k, false)
			expect(t, k, v.want...)
		})
	}
}

func TestDenyJoinID0(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 8, AddAddrAccepted: 8}, second)
	k.Handle(0, Event{Kind: Established, Token: 1, Local: ap("10.0.1.1:1000"), Remote: ap("10.0.9.1:80"), DenyJoinID0: true})
	expect(t, k)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:80"), RemoteID: 7})
	expect(t, k, "join invalid IP id 0 to 10.0.9.2:80 id 7")
}

func TestAnnouncedAddresses(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 2, AddAddrAccepted: 1})
	open(k, false)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.1:80"), RemoteID: 5}) // in use
	expect(t, k)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:80"), RemoteID: 7})
	expect(t, k, "join invalid IP id 0 to 10.0.9.2:80 id 7")
	begun(t, k, 1, "10.0.1.1:2000", "10.0.9.2:80", 0)
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.3:80"), RemoteID: 8}) // add_addr_accepted
	expect(t, k)
	tell(t, k, Event{Kind: SubEstablished, Path: 1, Local: ap("10.0.1.1:2000"), Remote: ap("10.0.9.2:80"), RemoteID: 7})
	tell(t, k, Event{Kind: Removed, RemoteID: 7})
	tell(t, k, Event{Kind: SubClosed, Path: 1, Local: ap("10.0.1.1:2000"), Remote: ap("10.0.9.2:80")})
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.4:80"), RemoteID: 9}) // there is room again
	expect(t, k, "join invalid IP id 0 to 10.0.9.4:80 id 9")
}

func TestFullmeshEndpoint(t *testing.T) {
	mesh := second
	mesh.Flags |= Fullmesh
	k := manager(t, "", Limits{Subflows: 8, AddAddrAccepted: 8}, first, mesh)
	open(k, false)
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:80"), RemoteID: 7})
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.2:80 id 7")
}

func TestFullmeshManager(t *testing.T) {
	k := manager(t, "fullmesh", Limits{})
	for _, a := range []string{"10.0.1.1", "10.0.2.1"} {
		k.Handle(0, Event{Kind: LinkUp, Local: netip.AddrPortFrom(ad(a), 0)})
	}
	open(k, false)
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	tell(t, k, Event{Kind: Announced, Remote: ap("10.0.9.2:80"), RemoteID: 7})
	expect(t, k, "join 10.0.1.1 id 0 to 10.0.9.2:80 id 7", "join 10.0.2.1 id 2 to 10.0.9.2:80 id 7")
	up(t, k, 1, "10.0.2.1:2000", "10.0.9.1:80", 2, 0)
	k.Handle(0, Event{Kind: LinkDown, Local: ap("10.0.2.1:0")})
	expect(t, k, "remove id 2", "destroy 1")
	tell(t, k, Event{Kind: SubClosed, Path: 1, Local: ap("10.0.2.1:2000"), Remote: ap("10.0.9.1:80")})
	k.Handle(0, Event{Kind: LinkUp, Local: ap("10.0.2.1:0")})
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")

	server := manager(t, "fullmesh", Limits{})
	for _, a := range []string{"10.0.1.1", "10.0.2.1"} {
		server.Handle(0, Event{Kind: LinkUp, Local: netip.AddrPortFrom(ad(a), 0)})
	}
	open(server, true)
	expect(t, server, "announce 10.0.2.1 id 2")
}

func TestAccept(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 1})
	if k.Accept(1) {
		t.Error("a connection that nobody knows")
	}
	open(k, true)
	if !k.Accept(1) || k.Accept(1) {
		t.Error("the limit of 1 does not hold")
	}
	tell(t, k, Event{Kind: SubEstablished, Path: 1, Local: ap("10.0.1.1:80"), Remote: ap("10.0.8.1:3000"), RemoteID: 3})
	tell(t, k, Event{Kind: SubClosed, Path: 1, Local: ap("10.0.1.1:80"), Remote: ap("10.0.8.1:3000")})
	if !k.Accept(1) {
		t.Error("a closed subflow still counts")
	}
	tell(t, k, Event{Kind: ConnClosed})
	if k.Accept(1) {
		t.Error("a closed connection takes subflows")
	}
}

// The numbers that Linux's commands give, and what live connections do.
func TestEndpointCommands(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 8})
	open(k, false)
	fails := func(e Endpoint, want Errno) {
		t.Helper()
		if _, err := k.AddEndpoint(e); err != want {
			t.Errorf("%+v: %v, want %v", e, err, want)
		}
	}
	id, err := k.AddEndpoint(Endpoint{Addr: ad("10.0.2.1"), Flags: Subflow})
	if id != 1 || err != nil {
		t.Fatal(id, err)
	}
	expect(t, k, "join 10.0.2.1 id 1 to 10.0.9.1:80 id 0")
	up(t, k, 1, "10.0.2.1:2000", "10.0.9.1:80", 1, 0)
	fails(Endpoint{Addr: ad("10.0.2.1"), Flags: Signal}, EEXIST)
	fails(Endpoint{Addr: ad("10.0.3.1"), Flags: Subflow, ID: 1}, EBUSY)
	fails(Endpoint{Addr: ad("10.0.3.1"), Flags: Subflow, Port: 5}, EINVAL)
	fails(Endpoint{Addr: ad("10.0.3.1"), Flags: Signal | Subflow, Port: 5}, EINVAL)
	fails(Endpoint{Addr: ad("10.0.3.1"), Flags: Signal | Fullmesh}, EINVAL)
	fails(Endpoint{Addr: ad("10.0.3.1"), Flags: Implicit}, EINVAL)
	fails(Endpoint{Flags: Subflow}, EINVAL)
	if err := k.ChangeEndpoint(1, Subflow|Backup); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "backup 1 true")
	if err := k.ChangeEndpoint(9, 0); err != EINVAL {
		t.Error(err)
	}
	if err := k.DeleteEndpoint(0, 1); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "remove id 1", "destroy 1")
	if err := k.DeleteEndpoint(0, 1); err != EINVAL {
		t.Error(err)
	}
	if err := k.SetLimits(Limits{Subflows: 9}); err != EINVAL {
		t.Error(err)
	}
	if _, err := NewKernel(Config{Name: "best"}); err != ENOENT {
		t.Error(err)
	}
}

// An address without endpoint that a join came to is an implicit endpoint, which a
// real one may replace: it keeps the id, and no other may be asked for.
func TestImplicitEndpoint(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 8})
	for range 2 {
		if id, err := k.LocalID(1, ap("10.0.7.1:80")); id != 1 || err != nil {
			t.Error(id, err)
		}
	}
	if _, err := k.AddEndpoint(Endpoint{Addr: ad("10.0.7.1"), Flags: Subflow, ID: 33}); err != EINVAL {
		t.Error(err)
	}
	if err := k.ChangeEndpoint(1, Fullmesh); err != EINVAL {
		t.Error(err)
	}
	if id, err := k.AddEndpoint(Endpoint{Addr: ad("10.0.7.1"), Flags: Signal}); id != 1 || err != nil {
		t.Error(id, err)
	}
	if e := k.Endpoints(); len(e) != 1 || e[0].Flags != Signal {
		t.Error(e)
	}
}

// pm_netlink.sh: ids count on from the last one and wrap to the lowest free one, and
// there are eight endpoints at most.
func TestEndpointIDs(t *testing.T) {
	for _, v := range []struct{ forced, want []uint8 }{
		{[]uint8{0, 0, 100, 0, 254, 0, 0, 0}, []uint8{1, 2, 100, 101, 254, 255, 3, 4}},
		{[]uint8{254, 253, 0, 0, 0, 0, 0, 0}, []uint8{254, 253, 255, 1, 2, 3, 4, 5}},
	} {
		k := manager(t, "", Limits{})
		add := func(i int, id uint8) (uint8, error) {
			return k.AddEndpoint(Endpoint{Addr: netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}), ID: id})
		}
		var got []uint8
		for i, id := range v.forced {
			id, err := add(i+1, id)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		if !reflect.DeepEqual(got, v.want) {
			t.Errorf("ids %v, want %v", got, v.want)
		}
		if _, err := add(9, 0); err != ERANGE {
			t.Error(err)
		}
		k.FlushEndpoints(0)
		if id, err := add(1, 0); id != 1 || err != nil {
			t.Error(id, err)
		}
	}
}

// An endpoint with the initial address that is deleted, with the initial subflow,
// and added again opens a subflow: its interface came back.
func TestInitialEndpointComesBack(t *testing.T) {
	k := manager(t, "", Limits{Subflows: 8}, first, second)
	open(k, false)
	expect(t, k, "join 10.0.2.1 id 2 to 10.0.9.1:80 id 0")
	up(t, k, 1, "10.0.2.1:2000", "10.0.9.1:80", 2, 0)
	if err := k.DeleteEndpoint(0, 1); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "remove id 0", "destroy 0")
	tell(t, k, Event{Kind: SubClosed, Path: 0, Local: ap("10.0.1.1:1000"), Remote: ap("10.0.9.1:80")})
	if _, err := k.AddEndpoint(first); err != nil {
		t.Fatal(err)
	}
	expect(t, k, "join 10.0.1.1 id 0 to 10.0.9.1:80 id 0")
}
