package scenarios

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/pm"
	"mptcplab/topology"
	"mptcplab/topology/netns"
	"mptcplab/topology/netns/labtest"
)

// commander gives the commands of a userspace path manager, on our stack or on Linux.
type commander interface {
	Announce(token uint32, e pm.Endpoint) error
	Remove(token uint32, id uint8) error
	CreateSubflow(token uint32, local pm.Endpoint, remote netip.AddrPort) error
	DestroySubflow(token uint32, local, remote netip.AddrPort) error
	SetFlags(token uint32, local, remote netip.AddrPort, flags pm.EndpointFlags) error
}

// ours gives them to our stack.
type ours struct{ *host.Stack }

func (o ours) do(f func(now clock.Instant, s *mptcp.Stack) error) (err error) {
	return errors.Join(o.With(func(now clock.Instant, s *mptcp.Stack) { err = f(now, s) }), err)
}
func (o ours) Announce(token uint32, e pm.Endpoint) error {
	return o.do(func(now clock.Instant, s *mptcp.Stack) error { return s.Announce(now, token, e) })
}
func (o ours) Remove(token uint32, id uint8) error {
	return o.do(func(now clock.Instant, s *mptcp.Stack) error { return s.Remove(now, token, id) })
}
func (o ours) CreateSubflow(token uint32, l pm.Endpoint, r netip.AddrPort) error {
	return o.do(func(now clock.Instant, s *mptcp.Stack) error { return s.CreateSubflow(now, token, l, r) })
}
func (o ours) DestroySubflow(token uint32, l, r netip.AddrPort) error {
	return o.do(func(now clock.Instant, s *mptcp.Stack) error { return s.DestroySubflow(now, token, l, r) })
}
func (o ours) SetFlags(token uint32, l, r netip.AddrPort, f pm.EndpointFlags) error {
	return o.do(func(now clock.Instant, s *mptcp.Stack) error { return s.SetFlags(now, token, l, r, f) })
}

// linux gives them to the kernel of a node.
type linux struct {
	lab  *netns.Lab
	node string
}

func (k linux) Announce(token uint32, e pm.Endpoint) error { return k.lab.Announce(k.node, token, e) }
func (k linux) Remove(token uint32, id uint8) error        { return k.lab.Remove(k.node, token, id) }
func (k linux) CreateSubflow(token uint32, l pm.Endpoint, r netip.AddrPort) error {
	return k.lab.CreateSubflow(k.node, token, l, r)
}
func (k linux) DestroySubflow(token uint32, l, r netip.AddrPort) error {
	return k.lab.DestroySubflow(k.node, token, l, r)
}
func (k linux) SetFlags(token uint32, l, r netip.AddrPort, f pm.EndpointFlags) error {
	return k.lab.SetFlags(k.node, token, l, r, f)
}

// post is one end: its events, commands, counters and sockets.
type post struct {
	t *testing.T
	commander
	stack *host.Stack // nil: Linux
	lab   *netns.Lab
	node  string

	mu     sync.Mutex
	events []pm.Event
}

// heard keeps an event. Linux writes IPv4 addresses of IPv6 sockets as mapped ones.
func (p *post) heard(e pm.Event) {
	unmap := func(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
	e.Local, e.Remote = unmap(e.Local), unmap(e.Remote)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
}

// await waits for the next event of a kind and forgets it and those before it.
func (p *post) await(kind pm.EventKind) pm.Event {
	p.t.Helper()
	for give := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		p.mu.Lock()
		i := slices.IndexFunc(p.events, func(e pm.Event) bool { return e.Kind == kind })
		if i >= 0 {
			e := p.events[i]
			p.events = p.events[i+1:]
			p.mu.Unlock()
			return e
		}
		have := slices.Clone(p.events)
		p.mu.Unlock()
		if time.Now().After(give) {
			p.t.Fatalf("%s: no event %d; there are %v", p.node, kind, have)
		}
	}
}

func (p *post) counter(name string) (v uint64) {
	p.t.Helper()
	if p.stack == nil {
		all, err := p.lab.Counters(p.node)
		if err != nil {
			p.t.Fatal(err)
		}
		return uint64(all["MPTcpExt"+name])
	}
	err := p.stack.With(func(_ clock.Instant, s *mptcp.Stack) {
		s.Counters().Each(func(n string, x uint64) {
			if n == "MPTcpExt"+name {
				v = x
			}
		})
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// count waits until a counter has a value, and fails if it never has.
func (p *post) count(name string, want uint64) {
	p.t.Helper()
	for give := time.Now().Add(10 * time.Second); p.counter(name) != want; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(give) {
			p.t.Errorf("%s: %s %d, want %d", p.node, name, p.counter(name), want)
			return
		}
	}
}

func (p *post) listen(a netip.AddrPort) (l net.Listener) {
	p.t.Helper()
	var err error
	if p.stack != nil {
		l, err = p.stack.Listen(nil, a.String())
	} else {
		err = p.lab.Node(p.node).Do(func() (err error) {
			var c net.ListenConfig
			c.SetMultipathTCP(true)
			l, err = c.Listen(context.Background(), "tcp", a.String())
			return err
		})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Close() })
	return l
}

func (p *post) dial(from netip.Addr, to netip.AddrPort) (c net.Conn) {
	p.t.Helper()
	var err error
	if p.stack != nil {
		d := host.Dialer{Stack: p.stack, LocalAddr: netip.AddrPortFrom(from, 0)}
		c, err = d.Dial("tcp", to.String())
	} else {
		err = p.lab.Node(p.node).Do(func() (err error) {
			d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: 10 * time.Second}
			d.SetMultipathTCP(true)
			c, err = d.Dial("tcp", to.String())
			return err
		})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// stage builds the handover's network with our stack on one host and Linux on the
// other, the phone under a userspace path manager.
func stage(t *testing.T, phoneIsOurs bool, families ...int) (phone, server *post) {
	t.Helper()
	topo := labtest.Handover(families...)
	mine := map[bool]string{true: "phone", false: "server"}[phoneIsOurs]
	lab, err := netns.Build(context.Background(), topo, netns.Options{Userspace: func(n string) bool { return n == mine }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	limits := pm.Limits{Subflows: 2, AddAddrAccepted: 2}
	posts := map[string]*post{}
	for _, name := range []string{"phone", "server"} {
		p := &post{t: t, lab: lab, node: name}
		posts[name] = p
		if name == mine {
			p.start(topo.Node(name).Interfaces, stackEnv(topo, name, limits))
			continue
		}
		p.commander = linux{lab, name}
		if err := lab.SetLimits(name, limits); err != nil {
			t.Fatal(err)
		}
		if name == "phone" {
			if err := lab.Node(name).SetSysctl("net.mptcp.path_manager", "userspace"); err != nil {
				t.Fatal(err)
			}
		}
		stop, err := lab.MonitorPM(name, p.heard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
	return posts["phone"], posts["server"]
}

// Commands of a userspace path manager, on our stack and on Linux, have their effect
// on the other, in IPv4 and IPv6, and both ends report the same events.
func TestInteropCommands(t *testing.T) {
	needKernelMPTCP(t)
	for _, v := range []struct {
		name              string
		ours              bool
		family            int
		wifi, lte, server netip.Addr
	}{
		{"ours IPv4", true, 4, labtest.PhoneWiFi, labtest.PhoneLTE, labtest.Server},
		{"ours IPv6", true, 6, labtest.PhoneWiFi6, labtest.PhoneLTE6, labtest.Server6},
		{"linux IPv4", false, 4, labtest.PhoneWiFi, labtest.PhoneLTE, labtest.Server},
		{"linux IPv6", false, 6, labtest.PhoneWiFi6, labtest.PhoneLTE6, labtest.Server6},
	} {
		t.Run(v.name, func(t *testing.T) {
			phone, server := stage(t, v.ours, v.family)
			announceAndRemove(t, phone, server, v.wifi, v.lte, v.server)
			createAndDestroy(t, phone, server, v.wifi, v.lte, v.server)
			fastClose(t, phone, server, v.wifi, v.server)
			fastClose(t, server, phone, v.server, v.wifi)
		})
	}
}

// open connects from one post to another and exchanges a few bytes, so that the
// connection is fully established. It returns the tokens of both.
func open(t *testing.T, from, to *post, local netip.Addr, remote netip.AddrPort) (client, server net.Conn, tokens [2]uint32) {
	t.Helper()
	any := netip.IPv4Unspecified()
	if remote.Addr().Is6() {
		any = netip.IPv6Unspecified()
	}
	l := to.listen(netip.AddrPortFrom(any, remote.Port())) // Linux resets joins to an address that nobody listens at
	client = from.dial(local, remote)
	if _, err := client.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(server, b); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("pong")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, b); err != nil || string(b) != "pong" {
		t.Fatal(string(b), err)
	}
	for i, p := range []*post{from, to} {
		created, established := p.await(pm.Created), p.await(pm.Established)
		if tokens[i] = established.Token; created.Token != tokens[i] || established.ServerSide != (i == 1) {
			t.Errorf("%s: %v, %v", p.node, created, established)
		}
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server, tokens
}

// same checks that both ends report one subflow: what is local here is remote there.
func same(t *testing.T, a, b pm.Event) {
	t.Helper()
	if a.Local != b.Remote || a.Remote != b.Local || a.LocalID != b.RemoteID || a.RemoteID != b.LocalID {
		t.Errorf("not the same subflow:\n%v\n%v", a, b)
	}
}

// announceAndRemove: the phone accepts a connection, announces its second address,
// makes the subflow to it one for backup, and takes the address back.
func announceAndRemove(t *testing.T, phone, server *post, wifi, lte, srv netip.Addr) {
	t.Helper()
	_, _, tokens := open(t, server, phone, srv, netip.AddrPortFrom(wifi, 5001))
	token := tokens[1]
	if err := phone.Announce(token^1, pm.Endpoint{ID: 10, Addr: lte, Flags: pm.Signal}); err == nil {
		t.Error("an announcement on a connection that does not exist")
	}
	if err := phone.Announce(token, pm.Endpoint{ID: 10, Addr: lte, Flags: pm.Signal}); err != nil {
		t.Fatal(err)
	}
	if e := server.await(pm.Announced); e.RemoteID != 10 || e.Remote.Addr() != lte || e.Token != tokens[0] {
		t.Errorf("announced: %v", e)
	}
	here, there := phone.await(pm.SubEstablished), server.await(pm.SubEstablished)
	same(t, here, there)
	if here.LocalID != 10 || here.Local != netip.AddrPortFrom(lte, 5001) {
		t.Errorf("the subflow: %v", here)
	}
	if err := phone.SetFlags(token, here.Local, here.Remote, pm.Backup); err != nil {
		t.Fatal(err)
	}
	if e := server.await(pm.SubPriority); !e.Backup || e.Local != there.Local {
		t.Errorf("priority: %v", e)
	}
	if err := phone.Remove(token, 99); err == nil {
		t.Error("an id that nobody has is removed")
	}
	if err := phone.Remove(token, 10); err != nil {
		t.Fatal(err)
	}
	if e := server.await(pm.Removed); e.RemoteID != 10 {
		t.Errorf("removed: %v", e)
	}
	same(t, phone.await(pm.SubClosed), server.await(pm.SubClosed))
	phone.count("AddAddrTx", 1)
	phone.count("EchoAdd", 1)
	phone.count("MPPrioTx", 1)
	phone.count("RmAddrTx", 1)
	server.count("MPPrioRx", 1)
	server.count("RmAddr", 1)
}

// createAndDestroy: the phone connects, opens and closes a second subflow, then opens
// it again and gives up its first address.
func createAndDestroy(t *testing.T, phone, server *post, wifi, lte, srv netip.Addr) {
	t.Helper()
	remote := netip.AddrPortFrom(srv, 5002)
	client, accepted, tokens := open(t, phone, server, wifi, remote)
	token := tokens[0]
	if err := phone.CreateSubflow(token, pm.Endpoint{ID: 20, Addr: srv}, remote); err == nil {
		t.Error("a subflow from an address of somebody else")
	}
	create := func() pm.Event {
		t.Helper()
		if err := phone.CreateSubflow(token, pm.Endpoint{ID: 20, Addr: lte}, remote); err != nil {
			t.Fatal(err)
		}
		here, there := phone.await(pm.SubEstablished), server.await(pm.SubEstablished)
		same(t, here, there)
		if here.LocalID != 20 || here.Local.Addr() != lte {
			t.Errorf("the subflow: %v", here)
		}
		return here
	}
	here := create()
	if err := phone.DestroySubflow(token, here.Local, here.Remote); err != nil {
		t.Fatal(err)
	}
	same(t, phone.await(pm.SubClosed), server.await(pm.SubClosed))
	if err := phone.DestroySubflow(token, here.Local, here.Remote); err == nil {
		t.Error("a subflow is destroyed twice")
	}
	phone.count("RmSubflow", 1)
	create()
	if err := phone.Remove(token, 0); err != nil {
		t.Fatal(err)
	}
	if e := server.await(pm.Removed); e.RemoteID != 0 {
		t.Errorf("removed: %v", e)
	}
	same(t, phone.await(pm.SubClosed), server.await(pm.SubClosed))
	// the connection goes on by the second
	if _, err := client.Write([]byte("still")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(accepted, b); err != nil || string(b) != "still" {
		t.Errorf("%q, %v", b, err)
	}
}

// fastClose: a connection that is closed with unread data ends by MP_FASTCLOSE.
func fastClose(t *testing.T, from, to *post, local, remote netip.Addr) {
	t.Helper()
	tx, rx := from.counter("MPFastcloseTx"), to.counter("MPFastcloseRx")
	client, server, _ := open(t, from, to, local, netip.AddrPortFrom(remote, 5003))
	if _, err := server.Write([]byte("nobody reads this")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil { // it is there; the rest stays unread
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s closed with unread data; %s reads %v", from.node, to.node, err)
	}
	from.count("MPFastcloseTx", tx+1)
	to.count("MPFastcloseRx", rx+1)
}

// start runs our stack on a post.
func (p *post) start(ifaces []topology.Interface, env mptcp.Env) {
	p.t.Helper()
	var devices []link.Device
	for _, i := range ifaces {
		dev, err := p.lab.Device(p.node, i.Link)
		if err != nil {
			p.t.Fatal(err)
		}
		devices = append(devices, dev)
	}
	s, err := host.NewStack(host.StackConfig{Env: env, Devices: devices, Clock: p.lab.Clock()})
	if err != nil {
		p.t.Fatal(err)
	}
	p.stack, p.commander = s, ours{s}
	p.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			p.t.Error(err)
		}
	})
	if err := s.With(func(_ clock.Instant, st *mptcp.Stack) {
		st.Monitor(func(_ clock.Instant, e pm.Event) { p.heard(e) })
	}); err != nil {
		p.t.Fatal(err)
	}
}

func stackEnv(topo *topology.Topology, name string, limits pm.Limits) mptcp.Env {
	env := mptcp.Env{Host: mptcp.HostConfig{Limits: limits}, Seed: seedOf(1, name)}
	if name == "phone" {
		env.Host.PathManager = "userspace"
	}
	n := topo.Node(name)
	for i := range n.Interfaces {
		env.Links = append(env.Links, stackLink(topo, n, i))
	}
	return env
}
