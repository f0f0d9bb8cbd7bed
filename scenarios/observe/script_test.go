package observe

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// The phone has two links, the server one.
var (
	wifi = netip.MustParseAddrPort("10.0.1.1:40000")
	lte  = netip.MustParseAddrPort("10.0.2.1:40001")
	lan  = netip.MustParseAddrPort("10.0.3.2:80")
)

const (
	keyA, keyB = 0x1111_2222_3333_4444, 0x5555_6666_7777_8888
	isnA, isnB = 0xffff_ff00, 1000 // the client's wraps soon
)

// script writes packets as hosts would and shows them to an observer.
type script struct {
	o    *Observer
	now  clock.Instant
	tap  func(at clock.Instant, iface string, out bool, ip []byte)
	buf  []byte
	body [65536]byte
}

func newScript(opt Options) *script {
	s := &script{o: New(opt)}
	s.tap = s.o.Packet
	return s
}

func ifaceOf(a netip.AddrPort) string {
	switch a.Addr() {
	case wifi.Addr():
		return "phone.wifi"
	case lte.Addr():
		return "phone.lte"
	}
	return "server.lan"
}

func (s *script) at(d time.Duration) { s.now = clock.Instant(d) }

// seg sends a segment with n bytes; 10 ms later it arrives, unless lost.
func (s *script) seg(src, dst netip.AddrPort, flags wire.Flags, seq, ack wire.Seq, n int, o wire.Options, lost bool) {
	g := wire.Segment{Src: src, Dst: dst, TTL: 64, Flags: flags, Seq: seq, Ack: ack, Window: 65535, Options: o, Payload: s.body[:n]}
	s.buf = wire.AppendPacket(s.buf[:0], &g)
	s.tap(s.now, ifaceOf(src), true, s.buf)
	s.now += clock.Instant(10 * time.Millisecond)
	if !lost {
		s.tap(s.now, ifaceOf(dst), false, s.buf)
	}
}

func capable(keys ...uint64) (o wire.Options) {
	o.Has = wire.HasMPCapable
	o.MPCapable = wire.MPCapable{Version: 1, Flags: wire.CapSHA256, NumKeys: len(keys)}
	if len(keys) > 0 {
		o.MPCapable.SenderKey = keys[0]
	}
	if len(keys) > 1 {
		o.MPCapable.ReceiverKey = keys[1]
	}
	return o
}

func dataAck(key uint64, off int64, wide bool) (o wire.Options) {
	o.Has = wire.HasDSS
	o.DSS = wire.DSS{HasAck: true, Ack64: wide, DataAck: wire.IDSN(key).Add(int(off) + 1)}
	return o
}

// dss is a mapping; the DATA_ACK acknowledges nothing.
func dss(key, peer uint64, ssn wire.Seq, off int64, n int, wide bool) wire.Options {
	o := dataAck(peer, 0, wide)
	o.DSS.HasMap, o.DSS.DSN64 = true, wide
	o.DSS.DSN, o.DSS.SSN, o.DSS.DataLen = wire.IDSN(key).Add(int(off)+1), ssn, uint16(n)
	return o
}

// open makes the three-way handshake of an MPTCP connection over Wi-Fi.
func (s *script) open() *Conn {
	s.seg(wifi, lan, wire.SYN, isnA, 0, 0, capable(), false)
	s.seg(lan, wifi, wire.SYN|wire.ACK, isnB, isnA+1&0xffffffff, 0, capable(keyB), false)
	s.seg(wifi, lan, wire.ACK, isnA+1&0xffffffff, isnB+1, 0, capable(keyA, keyB), false)
	conns := s.o.Conns()
	return conns[len(conns)-1]
}

// join adds the LTE subflow from the client.
func (s *script) join() {
	var o wire.Options
	o.Has = wire.HasMPJoin
	o.MPJoin = wire.MPJoin{Form: wire.JoinSYN, AddrID: 2, Token: wire.Token(keyB), Nonce: 7}
	s.seg(lte, lan, wire.SYN, 5000, 0, 0, o, false)
	o.MPJoin = wire.MPJoin{Form: wire.JoinSYNACK, Nonce: 8}
	s.seg(lan, lte, wire.SYN|wire.ACK, 6000, 5001, 0, o, false)
	o.MPJoin = wire.MPJoin{Form: wire.JoinACK, HMAC: wire.JoinHMAC(keyA, keyB, 7, 8)}
	s.seg(lte, lan, wire.ACK, 5001, 6001, 0, o, false)
}
