package netns

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/machine"
)

// ponger is a machine that answers ICMP and ICMPv6 echo requests and counts the rest.
type ponger struct {
	mu      sync.Mutex
	queue   [][]byte
	strange [][]byte
	pings   int
}

func (p *ponger) Input(_ clock.Instant, _ machine.Meta, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := slices.Clone(data)
	var at int
	var request, reply byte
	if b[0]>>4 == 4 && b[9] == 1 {
		at, request, reply = 20, 8, 0
		for i := range 4 {
			b[12+i], b[16+i] = b[16+i], b[12+i]
		}
	} else if b[0]>>4 == 6 && b[6] == 58 {
		at, request, reply = 40, 128, 129
		for i := range 16 {
			b[8+i], b[24+i] = b[24+i], b[8+i]
		}
	}
	if at == 0 || b[at] != request {
		p.strange = append(p.strange, b)
		return
	}
	// The type's change goes into the checksum (RFC 1624).
	sum := uint32(^(uint16(b[at+2])<<8 | uint16(b[at+3]))) + uint32(^(uint16(request) << 8)) + uint32(reply)<<8
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	b[at], b[at+2], b[at+3] = reply, byte(^sum>>8), byte(^sum)
	p.pings++
	p.queue = append(p.queue, b)
}
func (p *ponger) Advance(clock.Instant)   {}
func (p *ponger) Deadline() clock.Instant { return clock.Never }
func (p *ponger) Output(_ clock.Instant, buf []byte) (machine.Meta, int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return machine.Meta{}, 0, false
	}
	n := copy(buf, p.queue[0])
	p.queue = p.queue[1:]
	return machine.Meta{}, n, true
}
func (p *ponger) SetWritable(machine.LinkID, bool) {}

// pongOn runs a ponger on a userspace host's interface.
func pongOn(t *testing.T, l *Lab, node, iface string) *ponger {
	t.Helper()
	dev, err := l.Device(node, iface)
	if err != nil {
		t.Fatal(err)
	}
	p := &ponger{}
	m, err := host.Start(host.Config{Machine: p, Devices: []link.Device{dev}, Clock: l.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return p
}

// ping sends three echo requests from a node and waits for each answer.
func ping(t *testing.T, n *Node, addr string) {
	t.Helper()
	network, kind, answer := "ip4:icmp", byte(8), byte(0)
	if netip.MustParseAddr(addr).Is6() {
		network, kind, answer = "ip6:ipv6-icmp", 128, 129
	}
	var c net.Conn
	if err := n.Do(func() (err error) {
		c, err = net.Dial(network, addr)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for seq := byte(1); seq <= 3; seq++ {
		m := []byte{kind, 0, 0, 0, 'm', 'p', 0, seq}
		if kind == 8 { // the kernel sums ICMPv6 itself
			sum := ^(uint32(kind)<<8 + 'm'<<8 + 'p' + uint32(seq))
			m[2], m[3] = byte(sum>>8), byte(sum)
		}
		// Kernels drop what comes before they have seen a carrier: ask again.
		tries := 0
		for tries < 20 && !echoed(t, c, m, answer) {
			tries++
		}
		if tries == 20 {
			t.Errorf("ping %s from %s: no answer to 20 requests", addr, n.Name())
			return
		}
	}
}

// echoed sends an echo request and reports whether the answer came within half a second.
func echoed(t *testing.T, c net.Conn, request []byte, answer byte) bool {
	t.Helper()
	if _, err := c.Write(request); err != nil {
		return false // ENETUNREACH and the like pass, too
	}
	if err := c.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	for {
		k, err := c.Read(b)
		if err != nil {
			return false
		}
		m := b[:k]
		if request[0] == 8 && k >= 20 { // raw IPv4 sockets show the header
			m = m[20:]
		}
		if len(m) >= 8 && m[0] == answer && m[7] == request[7] {
			return true
		}
	}
}

// TestUserspaceHostAnswersAlone pings a machine over a router: with the neighbours as
// built, and with ARP and ND in both directions after the kernel forgot them.
func TestUserspaceHostAnswersAlone(t *testing.T) {
	l := build(t, handover(4, 6), Options{Userspace: func(n string) bool { return n == "server" }})
	p := pongOn(t, l, "server", "lan")
	ping(t, l.Node("phone"), "10.0.3.1")
	ping(t, l.Node("phone"), "fd00:0:0:3::1")
	router := l.Node("router")
	if err := router.Do(func() error {
		list, err := router.nl.NeighList(router.iface("lan").index, 0)
		for i := range list {
			err = errors.Join(err, router.nl.NeighDel(&list[i]))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ping(t, l.Node("phone"), "10.0.3.1")
	ping(t, l.Node("phone"), "fd00:0:0:3::1")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pings != 12 {
		t.Errorf("%d requests answered, want 12: the kernel must not answer, nor the router multiply", p.pings)
	}
	for _, s := range p.strange {
		if s[0]>>4 == 4 {
			t.Errorf("unexpected packet %x", s)
		}
	}
	c, err := l.Counters("server")
	if err != nil {
		t.Fatal(err)
	}
	if c["IpInReceives"] != 0 || c["IpOutRequests"] != 0 || c["Ip6OutRequests"] != 0 {
		t.Errorf("the silenced kernel saw %d packets and sent %d and %d",
			c["IpInReceives"], c["IpOutRequests"], c["Ip6OutRequests"])
	}
}

// forward copies frames between relay ports until stop is closed.
func forward(t *testing.T, a, b link.Device) {
	t.Helper()
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	copyTo := func(to link.Device) func([]byte) {
		return func(f []byte) {
			if err := to.Write(f); err != nil {
				t.Error(err)
			}
		}
	}
	go func() {
		defer close(done)
		fds := []unix.PollFd{{Fd: int32(a.Fd()), Events: unix.POLLIN}, {Fd: int32(b.Fd()), Events: unix.POLLIN},
			{Fd: int32(stop), Events: unix.POLLIN}}
		for fds[2].Revents == 0 {
			_, _ = unix.Poll(fds, -1)
			_, err := a.ReadBatch(copyTo(b))
			_, err2 := b.ReadBatch(copyTo(a))
			if err != nil || err2 != nil {
				t.Error(err, err2)
				return
			}
		}
	}()
	t.Cleanup(func() {
		_, _ = unix.Write(stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		<-done
		unix.Close(stop)
		a.Close()
		b.Close()
	})
}

// carrier reports whether an interface has its other end.
func carrier(t *testing.T, n *Node, iface string) (up bool) {
	t.Helper()
	if err := n.Do(func() error {
		dev, err := n.nl.LinkByName(iface)
		if err == nil {
			up = dev.Attrs().RawFlags&unix.IFF_LOWER_UP != 0
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return up
}

func TestRelayedLinkPassesWhatTheRelayPasses(t *testing.T) {
	l := build(t, handover(), Options{Relayed: func(n string) bool { return n == "wifi" }})
	listen(t, l.Node("server"), "10.0.3.1:80")
	a, b, err := l.RelayPorts("wifi")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.RelayPorts("lte"); err == nil {
		t.Error("relay ports of a link without relay")
	}
	forward(t, a, b)
	for range 2 {
		if got, err := ask(t, l.Node("phone"), "10.0.1.1", "10.0.3.1:80", "through"); err != nil || got != "THROUGH to 10.0.1.1" {
			t.Errorf("%q, %v", got, err)
		}
		// The far end of the gap goes down with the near one, and both come back.
		for _, up := range []bool{false, true} {
			if err := l.SetIfaceUp("phone", "wifi", up); err != nil {
				t.Fatal(err)
			}
			if got := carrier(t, l.Node("router"), "wifi"); got != up {
				t.Errorf("phone.wifi up = %v, carrier of router.wifi = %v", up, got)
			}
		}
	}
}

func TestCaptureSeesBothDirections(t *testing.T) {
	l := build(t, handover(), Options{})
	listen(t, l.Node("server"), "10.0.3.1:80")
	var mu sync.Mutex
	var in, out int
	var first, last clock.Instant
	biggest := 0
	c, err := l.Capture("phone.wifi", func(at clock.Instant, o bool, p []byte) {
		mu.Lock()
		defer mu.Unlock()
		src := netip.AddrFrom4([4]byte(p[12:]))
		if want := netip.MustParseAddr("10.0.1.1"); (src == want) != o {
			t.Errorf("packet from %s: out = %v", src, o)
		}
		if first == 0 {
			first = at
		}
		last = at
		biggest = max(biggest, len(p))
		if o {
			out++
		} else {
			in++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	begin := l.Now()
	text := make([]byte, 200_000)
	for i := range text {
		text[i] = 'a'
	}
	if _, err := ask(t, l.Node("phone"), "10.0.1.1", "10.0.3.1:80", string(text)); err != nil {
		t.Fatal(err)
	}
	end := l.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if out < 200_000/1448 || in < 200_000/1448 {
		t.Errorf("%d packets out, %d in; want at least %d each", out, in, 200_000/1448)
	}
	if biggest > 1500 {
		t.Errorf("a packet of %d bytes: offloads are on", biggest)
	}
	if c.Dropped() != 0 {
		t.Errorf("%d dropped", c.Dropped())
	}
	// The two clocks may step apart by what adjusts the wall clock meanwhile.
	if slack := clock.Instant(50 * time.Millisecond); first < begin-slack || last > end+slack {
		t.Errorf("packets from %v to %v, sent between %v and %v", first, last, begin, end)
	}
	if _, err := l.Capture("phone", nil); err == nil {
		t.Error("no error for a capture of no interface")
	}
}

func TestDeviceOfVanishedInterfaceSaysSo(t *testing.T) {
	l := build(t, handover(), Options{Userspace: func(n string) bool { return n == "server" }})
	dev, err := l.Device("server", "lan")
	if err != nil {
		t.Fatal(err)
	}
	p := &ponger{}
	m, err := host.Start(host.Config{Machine: p, Devices: []link.Device{dev}, Clock: l.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	// Down is not gone.
	for _, up := range []bool{false, true} {
		if err := l.SetIfaceUp("server", "lan", up); err != nil {
			t.Fatal(err)
		}
	}
	ping(t, l.Node("phone"), "10.0.3.1")
	if err := m.Err(); err != nil {
		t.Fatalf("after down and up: %v", err)
	}
	n := l.Node("server")
	if err := n.Do(func() error { return n.nl.LinkDel(device(n.iface("lan"))) }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("the lab noticed nothing for 10 s")
	}
	if err := l.Err(); err == nil || !strings.Contains(err.Error(), ".lan is gone") { // its two ends go together
		t.Errorf("Err() = %v, want an end of lan named", err)
	}
	// The next answer would go to a device that is not there.
	if err := m.Do(func(now clock.Instant) { p.Input(now, machine.Meta{}, echoRequest()) }); err != nil {
		t.Fatal(err)
	}
	<-m.Failed()
	if err := m.Err(); !errors.Is(err, link.ErrGone) {
		t.Errorf("Err() of the monitor = %v, want ErrGone", err)
	}
}

// echoRequest is an echo request from the router to the server.
func echoRequest() []byte {
	return []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 3, 2, 10, 0, 3, 1, 8, 0, 0xf7, 0xff, 0, 0, 0, 0}
}
