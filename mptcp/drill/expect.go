package drill

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// live is a packet that the stack sent, taken apart.
type live struct {
	at   clock.Instant
	seg  wire.Segment
	tcp  []byte // from the TCP header on
	opts []byte
	flow int // label, of IPv6
}

// parseLive takes a packet of the stack apart; false: it is not TCP, or broken.
func parseLive(p packet) (*live, bool) {
	l := &live{at: p.at}
	if l.seg.Parse(p.data, false) != nil {
		return nil, false
	}
	off := 20
	if l.seg.Src.Addr().Is6() {
		off = 40
		l.flow = int(binary.BigEndian.Uint32(p.data) & 0xFFFFF)
	}
	l.tcp = p.data[off:]
	l.opts = l.tcp[20 : int(l.tcp[12]>>4)*4]
	return l, true
}

// ends returns the stack's end and the peer's.
func (l *live) ends() (local, remote netip.AddrPort) { return l.seg.Src, l.seg.Dst }

// window of times in which a packet may come, before tolerance.
type window struct {
	from, to clock.Instant
	any      bool
}

// expectPacket takes the next packets of the stack and compares them with the
// script's.
func (r *run) expectPacket(e *Event, origin clock.Instant) error {
	return r.expectFrom(e, origin, r.next)
}

// expectFrom is expectPacket with packets from next.
func (r *run) expectFrom(e *Event, origin clock.Instant, next func(*Packet, *flow, window) (*live, error)) error {
	p := e.Packet
	if p.ICMP != nil {
		return unsupported("an expected ICMP packet")
	}
	f, err := r.flowOf(p)
	if err != nil {
		return err
	}
	win := window{origin.Add(e.Time.At), origin.Add(e.Time.End), e.Time.Kind == TimeAny}
	var first *live
	got := 0
	for {
		l, err := next(p, f, win)
		if err != nil {
			return err
		}
		if first == nil {
			first = l
		}
		got += len(l.seg.Payload)
		if err := r.collect(p, f, first, l, got); err != nil {
			return r.explain(p, f, l, win, err)
		}
		if got < int(p.Len) && len(l.seg.Payload) > 0 && !r.set.strict {
			continue
		}
		r.learn(p, f, l)
		if err := r.compare(p, f, first, l, got); err != nil {
			return r.explain(p, f, l, win, err)
		}
		if err := r.onTime(l.at, win); err != nil {
			return r.explain(p, f, l, win, err)
		}
		if p.Flags&(wire.SYN|wire.RST) == 0 {
			f.open = true
		}
		r.noteMapping(l)
		r.current = f
		r.bindEnds(p, f)
		return nil
	}
}

// next returns the next packet of a known flow; it must be of f. What belongs to
// no flow is dropped in silence.
func (r *run) next(p *Packet, f *flow, win window) (*live, error) {
	limit := max(win.to, r.now).Add(patience)
	for {
		for len(r.sent) > 0 {
			pkt := r.sent[0]
			r.sent = r.sent[1:]
			l, ok := parseLive(pkt)
			if !ok {
				continue
			}
			owner := r.owner(p, f, l)
			if owner == nil {
				continue
			}
			if owner != f && r.superseded(owner, f) {
				continue
			}
			if owner != f {
				return nil, r.elsewhere(p, f, owner, l, win)
			}
			return l, nil
		}
		if err := r.checkCall(); err != nil {
			var fl *Failure
			if errors.As(err, &fl) {
				return nil, fmt.Errorf("while waiting for it, at line %d: %s", fl.Line, fl.Text)
			}
			return nil, err
		}
		d := r.deadline()
		if d == clock.Never || !win.any && d > limit {
			if !win.any {
				r.step(limit)
			}
			return nil, fmt.Errorf("timed out waiting for packet\nscript packet: %s", r.scriptLine(p, f, win))
		}
		r.turn(max(d, r.now))
	}
}

// elsewhere is the error about a packet of another flow than the line's.
func (r *run) elsewhere(p *Packet, f, owner *flow, l *live, win window) error {
	return fmt.Errorf("the stack sent a packet on another connection than that of the script's line:\nscript packet: %s\nactual packet: %s",
		r.scriptLine(p, f, win), r.liveLine(owner, l))
}

// superseded reports whether what old's connection still sends is of no interest where
// f's is looked for: the script has closed its socket, and f's is a later one. The tool
// looks only at the socket under test, and at its subflows.
func (r *run) superseded(old, f *flow) bool {
	_, open := r.fds[old.fd]
	if old.fd == -1 || open || f.join {
		return false
	}
	for _, o := range r.flows { // newest first
		if o == old || o == f {
			return o == f
		}
	}
	return false
}

// owner returns the flow of a packet of the stack, nil if there is none. A SYN
// makes the flow that waits for one known.
func (r *run) owner(p *Packet, f *flow, l *live) *flow {
	local, remote := l.ends()
	for _, o := range r.flows {
		if o.is(local, remote) {
			return o
		}
	}
	if f.state != flowConnecting || l.seg.Flags&(wire.SYN|wire.ACK) != wire.SYN {
		return nil
	}
	join := l.seg.Options.Has&wire.HasMPJoin != 0
	if join != f.join || !join && f.remote.IsValid() && f.remote != remote {
		return nil
	}
	if join {
		a, b := ends(p)
		if !r.fits(a, local) || !r.fits(b, remote) {
			return nil
		}
	}
	f.local, f.remote, f.state = local, remote, flowBound
	return f
}

// noteMapping notes how far the stack's data reach, for a dack without a value.
func (r *run) noteMapping(l *live) {
	o := &l.seg.Options
	sut, _ := r.bases(true)
	next := r.keys.sutNext
	switch {
	case o.Has&wire.HasDSS != 0 && o.DSS.HasMap:
		next = uint64(o.DSS.DSN) - sut + uint64(o.DSS.DataLen)
	case o.Has&wire.HasMPCapable != 0 && o.MPCapable.HasDataLen:
		next = 1 + uint64(o.MPCapable.DataLen)
	}
	if next > r.keys.sutNext && next < 1<<32 {
		r.keys.sutNext = next
	}
}

// learn takes the stack's initial sequence number from a SYN.
func (r *run) learn(p *Packet, f *flow, l *live) {
	if p.Flags&wire.SYN != 0 && l.seg.Flags&wire.SYN != 0 {
		f.locISN, f.scriptISN = l.seg.Seq, wire.Seq(p.Seq)
		f.state = max(f.state, flowSYNACKSent)
	}
}

// mismatch is a field that differs.
func mismatch(field string, want, got any) error {
	return fmt.Errorf("live packet field %s: expected: %v vs actual: %v", field, want, got)
}

// collect checks a part of a run of segments that the script writes as one.
func (r *run) collect(p *Packet, f *flow, first, l *live, got int) error {
	if l != first && l.seg.Seq != first.seg.Seq.Add(got-len(l.seg.Payload)) {
		return mismatch("tcp_seq of the next part", r.relative(first.seg.Seq.Add(got-len(l.seg.Payload)), f.locISN), r.relative(l.seg.Seq, f.locISN))
	}
	if got > int(p.Len) {
		return mismatch("tcp payload bytes", p.Len, got)
	}
	return nil
}

func (r *run) relative(s, isn wire.Seq) uint32 { return uint32(s - isn) }

// compare checks everything that the script says of the packet.
func (r *run) compare(p *Packet, f *flow, first, l *live, got int) error {
	s := &l.seg
	if s.Flags != p.Flags {
		return mismatch("tcp flags", p.Flags, s.Flags)
	}
	if ae := l.tcp[12]&1 != 0; ae != (p.AE || p.ACE > 3) {
		return mismatch("tcp_ae", p.AE, ae)
	}
	if l.tcp[12]&0xE != 0 {
		return mismatch("reserved bits", 0, l.tcp[12]&0xE)
	}
	if want := f.locISN.Add(int(p.Seq)); p.Flags&wire.SYN == 0 && first.seg.Seq != want {
		return mismatch("tcp_seq", p.Seq, r.relative(first.seg.Seq, f.locISN))
	}
	if got != int(p.Len) {
		return mismatch("tcp payload bytes", p.Len, got)
	}
	want := f.remISN.Add(int(p.Ack))
	if p.Flags&wire.SYN != 0 {
		want = wire.Seq(p.Ack) // as literal as the number of the SYN that it acknowledges
	}
	if p.Flags&wire.ACK != 0 && s.Ack != want {
		return mismatch("tcp_ack_seq", p.Ack, r.relative(s.Ack, f.remISN))
	}
	if p.Window >= 0 && int(s.Window) != p.Window {
		return mismatch("tcp_window", p.Window, s.Window)
	}
	if s.Urgent != p.Urgent {
		return mismatch("tcp_urg_ptr", p.Urgent, s.Urgent)
	}
	if n := bytes.IndexFunc(s.Payload, func(c rune) bool { return c != 0 }); n >= 0 {
		return fmt.Errorf("live packet payload: byte %d is not 0", n)
	}
	if err := compareIP(&p.IP, s); err != nil {
		return err
	}
	if p.IP.Flow >= 0 && l.flow != p.IP.Flow {
		return mismatch("ipv6_flow_label", p.IP.Flow, l.flow)
	}
	if p.AnyOpts {
		return nil
	}
	return r.compareOptions(p, f, l)
}

// compareIP checks the IP header where the script says something of it.
func compareIP(ip *IPInfo, s *wire.Segment) error {
	switch {
	case ip.TOS >= 0 && int(s.TOS) != ip.TOS && ip.ECN < 0:
		return mismatch("ip_tos", ip.TOS, s.TOS)
	case ip.ECN >= 0 && int(s.TOS&3) != ip.ECN:
		return mismatch("ip_ecn", ip.ECN, s.TOS&3)
	case ip.AnyECT && s.TOS&3 != 1 && s.TOS&3 != 2:
		return mismatch("ip_ecn", "ect0 or ect1", s.TOS&3)
	case ip.TTL >= 0 && int(s.TTL) != ip.TTL:
		return mismatch("ip_ttl", ip.TTL, s.TTL)
	}
	return nil
}

// compareOptions checks the options, kind by kind and in order.
func (r *run) compareOptions(p *Packet, f *flow, l *live) error {
	list := split(l.opts)
	if len(list) != len(p.Options) {
		return mismatch("tcp options", fmt.Sprintf("%d options", len(p.Options)), fmt.Sprintf("%d", len(list)))
	}
	for i := range p.Options {
		w, err := r.encode(&p.Options[i], p, f, list[i])
		if err != nil {
			return err
		}
		if !matches(w, list[i]) {
			return mismatch(fmt.Sprintf("tcp option %d", i+1), r.optionText(w.b, f), r.optionText(list[i], f))
		}
		if err := r.checkStamp(&p.Options[i], f, list[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkStamp compares a timestamp with --tcp_ts_tick_usecs: with the time that has
// passed since the first one of the flow.
func (r *run) checkStamp(o *Option, f *flow, b []byte) error {
	if r.set.tsTick == 0 || o.Kind != OptTS {
		return nil
	}
	val := binary.BigEndian.Uint32(b[2:])
	if f.tsBase == nil {
		base := val - o.Val
		f.tsBase = &base
		return nil
	}
	slack := int64(r.set.tolerance/r.set.tsTick) + 1
	if d := int64(int32(val - *f.tsBase - o.Val)); d < -slack || d > slack {
		return mismatch("TS val", o.Val, val-*f.tsBase)
	}
	return nil
}

func matches(w *builder, b []byte) bool {
	if len(w.b) != len(b) {
		return false
	}
	for i := range b {
		if (w.b[i]^b[i])&w.mask[i] != 0 {
			return false
		}
	}
	return true
}

// toleranceFor returns how far off a time may be that lies so long after the event
// before.
func (r *run) toleranceFor(d time.Duration) time.Duration {
	return max(r.set.tolerance, time.Duration(float64(d)*r.set.percent/100))
}

// onTime checks when a packet was sent.
func (r *run) onTime(at clock.Instant, win window) error {
	if win.any {
		return nil
	}
	tol := r.toleranceFor(win.to.Sub(r.previous))
	if at >= win.from.Add(-tol) && at <= win.to.Add(tol) {
		return nil
	}
	if win.from != win.to {
		return fmt.Errorf("timing error: expected outbound packet in relative time range %s~%s sec but happened at %s sec; tolerance %s",
			seconds(win.from), seconds(win.to), seconds(at), tol)
	}
	return fmt.Errorf("timing error: expected outbound packet at %s sec but happened at %s sec; tolerance %s",
		seconds(win.to), seconds(at), tol)
}

// seconds prints an instant as scripts count.
func seconds(i clock.Instant) string { return fmt.Sprintf("%.6f", i.Sub(start).Seconds()) }
