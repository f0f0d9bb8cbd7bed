package observe

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// DataKind says what a piece of data on the wire is.
type DataKind uint8

// The kinds of data.
const (
	First          DataKind = iota // not sent before
	Retransmission                 // the same subflow sequence numbers once more
	Reinjection                    // old data with a new mapping on another subflow
)

var kindNames = [...]string{"new", "retransmission", "reinjection"}

// String returns the kind in a word.
func (k DataKind) String() string { return kindNames[k] }

// Data is a piece of data as it leaves its sender.
type Data struct {
	At      clock.Instant
	Conn    *Conn
	Subflow *Subflow
	Dir     Dir
	Offset  int64 // data sequence number relative to IDSN+1
	Len     int
	Kind    DataKind
}

// EventKind says what was signalled.
type EventKind uint8

// The kinds of events.
const (
	EventSubflow     EventKind = iota + 1 // a subflow was established
	EventFallback                         // Text: reason
	EventPrio                             // MP_PRIO; Backup
	EventAddAddr                          // ADD_ADDR; ID, Addr, Echo
	EventRemoveAddr                       // REMOVE_ADDR; ID, one event an address
	EventRst                              // RST; ID: reason of MP_TCPRST, Text
	EventFin                              // FIN of the subflow
	EventDataFin                          // DATA_FIN
	EventFail                             // MP_FAIL
	EventFastClose                        // MP_FASTCLOSE
	EventJoinRefused                      // a handshake with MP_JOIN that did not hold
)

var eventNames = [...]string{"", "subflow", "fallback", "mp_prio", "add_addr", "remove_addr",
	"rst", "fin", "data_fin", "mp_fail", "mp_fastclose", "join_refused"}

// String returns the kind in the words of result.json.
func (k EventKind) String() string { return eventNames[k] }

// Event is a signal on the wire.
type Event struct {
	At      clock.Instant
	Kind    EventKind
	Dir     Dir  // the way it travels
	Arrived bool // seen where it arrives; else where it leaves
	Subflow int  // that carried it
	ID      uint8
	Backup  bool
	Echo    bool
	Addr    netip.AddrPort
	Text    string
}

// maxEvents bounds what a connection keeps.
const maxEvents = 4096

// rstReasons are the reasons of MP_TCPRST (RFC 8684, 3.6).
var rstReasons = [...]string{"unspecified error", "MPTCP specific error", "lack of resources",
	"administratively prohibited", "too much outstanding data", "unacceptable performance",
	"middlebox interference"}

func (s *Subflow) event(e Event) {
	e.Subflow = s.ID
	c := s.conn
	if len(c.Events) < maxEvents {
		c.Events = append(c.Events, e)
	}
	if c.obs.opt.OnEvent != nil {
		c.obs.opt.OnEvent(c, e)
	}
}

// signals notes the signals that a segment carries.
func (s *Subflow) signals(at clock.Instant, d Dir, out bool, g *segment) {
	e := Event{At: at, Dir: d, Arrived: !out}
	o := &g.opt
	if o.Has&wire.HasMPPrio != 0 {
		s.Backup = o.MPPrio.Backup
		p := e
		p.Kind, p.Backup = EventPrio, o.MPPrio.Backup
		s.event(p)
	}
	if o.Has&wire.HasAddAddr != 0 {
		p := e
		p.Kind, p.ID, p.Echo = EventAddAddr, o.AddAddr.ID, o.AddAddr.Echo
		p.Addr = netip.AddrPortFrom(o.AddAddr.Addr, o.AddAddr.Port)
		s.event(p)
	}
	if o.Has&wire.HasRemoveAddr != 0 {
		for _, id := range o.RemoveAddr.IDs[:o.RemoveAddr.Num] {
			p := e
			p.Kind, p.ID = EventRemoveAddr, id
			s.event(p)
		}
	}
	if o.Has&wire.HasMPFail != 0 {
		s.conn.failSeen = true
		e.Kind = EventFail
		s.event(e)
	}
	if o.Has&wire.HasFastClose != 0 {
		e.Kind = EventFastClose
		s.event(e)
	}
	if g.flags&wire.RST != 0 {
		e.Kind, e.ID, e.Text = EventRst, 0, ""
		if o.Has&wire.HasMPTCPRst != 0 {
			e.ID = uint8(o.MPTCPRst.Reason)
			e.Text = "unknown reason"
			if int(e.ID) < len(rstReasons) {
				e.Text = rstReasons[e.ID]
			}
		}
		s.event(e)
	}
}
