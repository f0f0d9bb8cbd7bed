package impairments

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// Link is a wire with the middleboxes that stand on it, in a row, as one machine:
// link 0 is the first end, link 1 the second. Its methods beside those of a machine
// are API calls in the sense of the contract.
type Link struct {
	Wire *Wire
	row  []machine.Machine // from the first end to the second
}

var _ machine.Machine = (*Link)(nil)

// NewLink returns a link: at its first end the middleboxes first, then the wire,
// then at its second end the middleboxes second, each list as seen from the first
// end.
func NewLink(first []*Middlebox, wire *Wire, second []*Middlebox) *Link {
	l := &Link{Wire: wire}
	for _, m := range first {
		l.row = append(l.row, m)
	}
	l.row = append(l.row, wire)
	for _, m := range second {
		l.row = append(l.row, m)
	}
	return l
}

// Input implements machine.Machine.
func (l *Link) Input(now clock.Instant, m machine.Meta, data []byte) {
	switch m.Link {
	case 0:
		l.row[0].Input(now, m, data)
	case 1:
		l.row[len(l.row)-1].Input(now, m, data)
	}
}

// Advance implements machine.Machine.
func (l *Link) Advance(now clock.Instant) {
	for _, m := range l.row {
		m.Advance(now)
	}
}

// Deadline implements machine.Machine.
func (l *Link) Deadline() clock.Instant {
	at := clock.Never
	for _, m := range l.row {
		at = clock.Min(at, m.Deadline())
	}
	return at
}

// Output implements machine.Machine. What one machine of the row sends is the input
// of its neighbour, until nothing moves any more.
func (l *Link) Output(now clock.Instant, buf []byte) (machine.Meta, int, bool) {
	for moved := true; moved; {
		moved = false
		for i, from := range l.row {
			for {
				m, n, ok := from.Output(now, buf)
				if !ok {
					break
				}
				to := i - 1
				if m.Link == 1 {
					to = i + 1
				}
				if to < 0 || to == len(l.row) {
					return m, n, true
				}
				moved = true
				m.Link = 1 - m.Link
				l.row[to].Input(now, m, buf[:n])
			}
		}
	}
	return machine.Meta{}, 0, false
}

// SetWritable implements machine.Machine.
func (l *Link) SetWritable(link machine.LinkID, ok bool) {
	switch link {
	case 0:
		l.row[0].SetWritable(0, ok)
	case 1:
		l.row[len(l.row)-1].SetWritable(1, ok)
	}
}
