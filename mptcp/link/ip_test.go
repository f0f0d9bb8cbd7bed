package link

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

// wired is two IP devices joined by a pipe of frames.
type wired struct {
	t    *testing.T
	a, b *IP
	now  clock.Instant
	got  [2][][]byte
}

func newWired(t *testing.T) *wired {
	t.Helper()
	x, y, err := Pipe(1500, headerLen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close(); y.Close() })
	w := &wired{t: t}
	now := func() clock.Instant { return w.now }
	w.a = NewIP(x, [6]byte{2, 0, 0, 0, 0, 1}, IPConfig{
		Addrs: addrs("10.0.0.1", "fd00::1"),
		Routes: []Route{
			{Prefix: netip.MustParsePrefix("10.0.0.0/24")},
			{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.0.2")},
			{Prefix: netip.MustParsePrefix("fd00::/64")},
			{Prefix: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("fd00::2")},
		},
	}, now)
	w.b = NewIP(y, [6]byte{2, 0, 0, 0, 0, 2}, IPConfig{
		Addrs: addrs("10.0.0.2", "fd00::2"),
		Routes: []Route{
			{Prefix: netip.MustParsePrefix("10.0.0.0/24")},
			{Prefix: netip.MustParsePrefix("fd00::/64")},
		},
	}, now)
	return w
}

func addrs(s ...string) (list []netip.Addr) {
	for _, a := range s {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// settle lets both ends read until nothing moves, and returns what a and b got.
func (w *wired) settle() (a, b [][]byte) {
	w.t.Helper()
	keep := func(i int) func([]byte) {
		return func(p []byte) { w.got[i] = append(w.got[i], bytes.Clone(p)) }
	}
	for {
		n, err := w.a.ReadBatch(keep(0))
		m, err2 := w.b.ReadBatch(keep(1))
		if err != nil || err2 != nil {
			w.t.Fatal(err, err2)
		}
		if n+m == 0 {
			break
		}
	}
	a, b, w.got = w.got[0], w.got[1], [2][][]byte{}
	return a, b
}

func packet(src, dst string, n int) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	var p []byte
	if d.Is4() {
		p = make([]byte, 20+n)
		p[0], p[8], p[9] = 0x45, 64, 6
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		copy(p[12:], s.AsSlice())
		copy(p[16:], d.AsSlice())
	} else {
		p = make([]byte, 40+n)
		p[0], p[6], p[7] = 0x60, 6, 64
		binary.BigEndian.PutUint16(p[4:], uint16(n))
		copy(p[8:], s.AsSlice())
		copy(p[24:], d.AsSlice())
	}
	for i := range n {
		p[len(p)-n+i] = byte(i)
	}
	return p
}

func TestIPResolvesNeighbours(t *testing.T) {
	for _, tc := range []struct{ name, src, dst string }{
		{"ARP on link", "10.0.0.1", "10.0.0.2"},
		{"ARP for the gateway", "10.0.0.1", "192.0.2.7"},
		{"ND on link", "fd00::1", "fd00::2"},
		{"ND for the gateway", "fd00::1", "2001:db8::7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWired(t)
			var want [][]byte
			for n := range 3 { // all wait for one question
				p := packet(tc.src, tc.dst, 100+n)
				want = append(want, p)
				if err := w.a.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			if tx := w.a.Stats().TxPackets; tx != 1 {
				t.Fatalf("%d frames sent before the answer, want the question alone", tx)
			}
			_, got := w.settle()
			if len(got) != len(want) {
				t.Fatalf("%d packets arrived, want %d", len(got), len(want))
			}
			for i := range got {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("packet %d: %x, want %x", i, got[i], want[i])
				}
			}
			// The one who was asked knows the asker: the answer goes at once.
			before := w.b.Stats().TxPackets
			if err := w.b.Write(packet(map[bool]string{true: "10.0.0.2", false: "fd00::2"}[want[0][0] == 0x45], tc.src, 9)); err != nil {
				t.Fatal(err)
			}
			if d := w.b.Stats().TxPackets - before; d != 1 {
				t.Errorf("answer took %d frames", d)
			}
			if a, _ := w.settle(); len(a) != 1 {
				t.Errorf("answer: %d packets arrived, want 1", len(a))
			}
		})
	}
}

func TestIPAsksOncePerSecond(t *testing.T) {
	w := newWired(t)
	for i, tc := range []struct {
		at    time.Duration
		asked uint64
	}{{0, 1}, {500 * time.Millisecond, 1}, {999 * time.Millisecond, 1}, {time.Second, 2}, {1500 * time.Millisecond, 2}} {
		w.now = clock.Instant(tc.at)
		if err := w.a.Write(packet("10.0.0.1", "10.0.0.9", 10)); err != nil {
			t.Fatal(err)
		}
		if got := w.a.Stats().TxPackets; got != tc.asked {
			t.Errorf("write %d at %v: %d questions, want %d", i, tc.at, got, tc.asked)
		}
	}
	for range maxWaiting {
		if err := w.a.Write(packet("10.0.0.1", "10.0.0.9", 10)); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.a.Stats().Unresolved; got != 5 {
		t.Errorf("%d packets given up, want the 5 oldest", got)
	}
}

func TestIPIgnores(t *testing.T) {
	w := newWired(t)
	w.a.SetNeighbour(netip.MustParseAddr("10.0.0.2"), [6]byte{2, 0, 0, 0, 0, 9}) // not b's
	if err := w.a.Write(packet("10.0.0.1", "10.0.0.2", 1)); err != nil {
		t.Fatal(err)
	}
	if _, b := w.settle(); len(b) != 0 {
		t.Errorf("a frame for another station was delivered")
	}
	if err := w.a.Write(packet("fd00::1", "2001:db8::7", 1)[:30]); err != nil {
		t.Fatal(err)
	}
	w.b.SetConfig(IPConfig{Addrs: addrs("10.0.0.2")})
	if err := w.b.Write(packet("10.0.0.2", "10.0.0.1", 1)); err != nil {
		t.Fatal(err)
	}
	if d, u := w.a.Stats().TxDropped, w.b.Stats().Unresolved; d != 1 || u != 1 {
		t.Errorf("dropped %d, unresolved %d; want 1 and 1", d, u)
	}
}

func TestPermanentNeighbourIsNotRelearned(t *testing.T) {
	w := newWired(t)
	wrong := [6]byte{2, 0, 0, 0, 0, 9}
	w.a.SetNeighbour(netip.MustParseAddr("10.0.0.2"), wrong)
	if err := w.b.Write(packet("10.0.0.2", "10.0.0.1", 1)); err != nil { // asks a
		t.Fatal(err)
	}
	w.settle()
	if got := w.a.neighbour(netip.MustParseAddr("10.0.0.2")).mac; got != wrong {
		t.Errorf("permanent neighbour became %x", got)
	}
}

func TestShortPacketLosesPadding(t *testing.T) {
	w := newWired(t)
	p := packet("10.0.0.1", "10.0.0.2", 2)
	if err := w.a.Write(append(p, make([]byte, 24)...)); err != nil {
		t.Fatal(err)
	}
	_, b := w.settle()
	if len(b) != 1 || !bytes.Equal(b[0], p) {
		t.Errorf("got %x, want %x", b, p)
	}
}

func TestSendPathDoesNotAllocate(t *testing.T) {
	w := newWired(t)
	p := packet("10.0.0.1", "10.0.0.2", 1000)
	if err := w.a.Write(p); err != nil {
		t.Fatal(err)
	}
	w.settle()
	drop := func([]byte) {}
	if n := testing.AllocsPerRun(100, func() {
		if err := w.a.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := w.b.ReadBatch(drop); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// FuzzFrame feeds arbitrary frames: nothing may panic, whatever is delivered lies
// within the frame, and what is sent in answer is well formed.
func FuzzFrame(f *testing.F) {
	me, you := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}
	head := func(kind uint16) []byte {
		return binary.BigEndian.AppendUint16(append(append([]byte(nil), me[:]...), you[:]...), kind)
	}
	a4, b4 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a6, b6 := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	f.Add(appendARP(head(typeARP), arpRequest, you, b4, me, a4))
	f.Add(appendARP(head(typeARP), arpReply, you, b4, me, a4))
	f.Add(append(head(typeIPv6), appendND(nil, neighbourSolicitation, 0, b6, a6, a6, optionSource, you)...))
	f.Add(append(head(typeIPv6), appendND(nil, neighbourAdvertisement, 0x60, b6, a6, b6, optionTarget, you)...))
	f.Add(append(head(typeIPv4), packet("10.0.0.2", "10.0.0.1", 40)...))
	f.Add(append(head(typeIPv6), packet("fd00::2", "fd00::1", 40)...))
	f.Fuzz(func(t *testing.T, frame []byte) {
		x, y, err := Pipe(1500, headerLen)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		defer y.Close()
		i := NewIP(x, me, IPConfig{Addrs: []netip.Addr{a4, a6}}, func() clock.Instant { return 0 })
		i.deliver = func(p []byte) {
			if len(p) > len(frame)-headerLen {
				t.Fatalf("%d bytes delivered of a frame of %d", len(p), len(frame))
			}
		}
		i.receive(frame)
		if _, err := y.ReadBatch(func(answer []byte) {
			if len(answer) < headerLen+arpLen || [6]byte(answer[6:]) != me {
				t.Fatalf("malformed answer %x", answer)
			}
		}); err != nil {
			t.Fatal(err)
		}
	})
}
