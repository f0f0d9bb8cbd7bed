package socket

import "mptcplab/mptcp/clock"

// Numbers of Linux for the error queue.
const (
	MsgErrqueue = 0x2000
	MsgZerocopy = 0x4000000

	SOTimestamping = 37
	SOZerocopy     = 60

	OriginTimestamping = 4 // SO_EE_ORIGIN_TIMESTAMPING
	OriginZerocopy     = 5 // SO_EE_ORIGIN_ZEROCOPY
	ZerocopyCopied     = 1 // SO_EE_CODE_ZEROCOPY_COPIED

	StampSnd   = 0 // SCM_TSTAMP_SND
	StampSched = 1 // SCM_TSTAMP_SCHED
	StampAck   = 2 // SCM_TSTAMP_ACK

	TimestampingTxSoftware = 1 << 1
	TimestampingSoftware   = 1 << 4
	TimestampingOptID      = 1 << 7
	TimestampingTxSched    = 1 << 8
	TimestampingTxAck      = 1 << 9
	TimestampingOptTSOnly  = 1 << 11
	timestampingLast       = 1 << 18 // the first bit that Linux 6.18 has no meaning for
)

// Report is a message of a socket's error queue: struct sock_extended_err, and the
// time of SCM_TIMESTAMPING.
type Report struct {
	Errno      Errno
	Origin     int
	Code       int
	Info, Data uint32
	At         clock.Instant
	Stamped    bool // At is told
	Payload    bool // what the report is about comes with it
}

// reports is what a socket was asked to report of its sends. Places in the stream are
// counted from the first byte of the connection.
type reports struct {
	queue     []Report
	added     int // to the queue so far, for edges
	zerocopy  bool
	nextID    uint32 // of a send with MSG_ZEROCOPY
	copies    []sendMark
	stamping  int    // SO_TIMESTAMPING
	stampBase uint64 // where OPT_ID counts from
	stamps    []sendMark
	wrote     uint64
}

// sendMark is the end of a send of which something is to be reported.
type sendMark struct {
	end   uint64
	id    uint32
	flags int // SO_TIMESTAMPING's
	sent  bool
}

// noteSend notes that a send has taken what was written last; stamps, if it is not 0, is
// what to record of it instead of what SO_TIMESTAMPING says (__sock_cmsg_send).
func (f *file) noteSend(flags, stamps int) {
	r := &f.reports
	const records = TimestampingTxSoftware | TimestampingTxSched | TimestampingTxAck
	if stamps &= records; stamps == 0 {
		stamps = r.stamping & records
	}
	if flags&MsgZerocopy != 0 && r.zerocopy {
		r.copies = append(r.copies, sendMark{end: r.wrote, id: r.nextID})
		r.nextID++
	}
	if stamps != 0 {
		if n := len(r.stamps); n > 0 && !r.stamps[n-1].sent {
			r.stamps = r.stamps[:n-1] // they share a buffer, which has one key (tcp_tx_timestamp)
		}
		r.stamps = append(r.stamps, sendMark{end: r.wrote, id: uint32(r.wrote - r.stampBase - 1), flags: r.stamping&^records | stamps})
	}
}

// Observe looks at what was sent and acknowledged up to now, for timestamps and the
// completions of MSG_ZEROCOPY. It is to be called whenever the stack was drained.
func (l *Layer) Observe(now clock.Instant) {
	for _, f := range l.files {
		if f != nil && len(f.reports.copies)+len(f.reports.stamps) > 0 {
			f.report(now)
		}
	}
}

func (f *file) report(now clock.Instant) {
	r := &f.reports
	acked, sent := r.wrote, r.wrote
	if !f.dead() {
		acked -= uint64(f.conn.Unacked())
		if sf := f.conn.Info(now).Subflows; len(sf) > 0 && len(r.stamps) > 0 {
			sent -= uint64(sf[0].TCP.NotSentBytes)
		}
	}
	for len(r.copies) > 0 && r.copies[0].end <= acked {
		r.copied(r.copies[0].id)
		r.copies = r.copies[1:]
	}
	kept := r.stamps[:0]
	for _, m := range r.stamps {
		if !m.sent && m.end <= sent {
			m.sent = true
			r.stamp(now, m, TimestampingTxSched, StampSched)
			r.stamp(now, m, TimestampingTxSoftware, StampSnd)
		}
		if m.sent && m.end <= acked {
			r.stamp(now, m, TimestampingTxAck, StampAck)
		} else {
			kept = append(kept, m)
		}
	}
	r.stamps = kept
}

// copied reports that the buffer of send id is free again; the report of consecutive
// sends is one, with the range (skb_zerocopy_notify_extend). This stack always copies,
// as Linux does on its way to a TUN device.
func (r *reports) copied(id uint32) {
	r.added++
	if n := len(r.queue); n > 0 {
		if last := &r.queue[n-1]; last.Origin == OriginZerocopy && last.Data+1 == id {
			last.Data = id
			return
		}
	}
	r.queue = append(r.queue, Report{Origin: OriginZerocopy, Code: ZerocopyCopied, Info: id, Data: id})
}

func (r *reports) stamp(now clock.Instant, m sendMark, flag, what int) {
	if m.flags&flag == 0 {
		return
	}
	rep := Report{Errno: ENOMSG, Origin: OriginTimestamping, Info: uint32(what), At: now,
		Stamped: m.flags&TimestampingSoftware != 0, Payload: m.flags&TimestampingOptTSOnly == 0}
	if m.flags&TimestampingOptID != 0 {
		rep.Data = m.id
	}
	r.queue = append(r.queue, rep)
	r.added++
}

// ReadReport is recvmsg with MSG_ERRQUEUE: the oldest report.
func (l *Layer) ReadReport(fd int) (Report, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return Report{}, e
	case len(f.reports.queue) == 0:
		return Report{}, EAGAIN
	}
	r := f.reports.queue[0]
	f.reports.queue = f.reports.queue[1:]
	return r, OK
}

// setReports sets SO_ZEROCOPY or SO_TIMESTAMPING.
func (f *file) setReports(name, v int) Errno {
	r := &f.reports
	switch {
	case name == SOZerocopy && f.mptcp:
		return EOPNOTSUPP
	case name == SOZerocopy && (v < 0 || v > 1), name == SOTimestamping && v&^(timestampingLast-1) != 0:
		return EINVAL
	case name == SOZerocopy:
		r.zerocopy = v != 0
		return OK
	case v&TimestampingOptID == 0 || r.stamping&TimestampingOptID != 0 || f.mptcp:
	case f.conn == nil || f.dead():
		return EINVAL // nothing that the count could begin with (sock_set_timestamping)
	default:
		r.stampBase = r.wrote - uint64(f.conn.Unacked())
		if f.state == connecting {
			r.stampBase-- // the SYN is unacknowledged
		}
	}
	r.stamping = v
	return OK
}
