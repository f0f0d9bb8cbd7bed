package tcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// The steady state of a transfer allocates nothing on either side: data, ACKs,
// and with every 50th segment lost also SACK, recovery and repairs.
func TestNoAllocations(t *testing.T) {
	p := newPair(t, path{}, 1)
	p.start(make([]byte, 1<<20), nil)
	p.run(time.Second, func() bool { return p.side[1].u.c != nil && p.side[1].u.c.State() == StateEstablished })
	a, b := p.side[0].u, p.side[1].u
	a.c.Flow().SSThresh = 20
	b.rcv = make([]byte, 0, 8<<20)
	a.events = make([]Event, 0, 1<<16)
	var s wire.Segment
	n, lost := 0, 0
	exchange := func() {
		a.send = a.send[:0:cap(a.send)]
		for range 20 {
			a.send = a.send[:cap(a.send)]
			if a.c.SndNxt().Sub(1) > len(a.send)-40_000 {
				t.Fatal("out of data")
			}
			for {
				k, ok := a.c.Output(p.now, p.buf[:])
				if !ok {
					if k = a.c.Room(p.now); k == 0 {
						break
					}
					k = a.c.Send(p.now, k, p.buf[:])
				}
				if n++; n%50 == 0 {
					lost++
					continue
				}
				if err := s.Parse(p.buf[:k], false); err != nil {
					t.Fatal(err)
				}
				b.c.Segment(p.now, &s)
			}
			p.now = p.now.Add(time.Millisecond)
			b.c.Advance(p.now)
			b.read = b.have
			for {
				k, ok := b.c.Output(p.now, p.buf[:])
				if !ok {
					break
				}
				if err := s.Parse(p.buf[:k], false); err != nil {
					t.Fatal(err)
				}
				a.c.Segment(p.now, &s)
			}
			a.c.Advance(p.now)
		}
	}
	a.send = make([]byte, 8<<20)
	exchange() // slabs and rings grow here
	exchange()
	sent, before := a.c.SndNxt(), lost
	if got := testing.AllocsPerRun(3, exchange); got != 0 {
		t.Errorf("%v allocations for %d bytes", got, a.c.SndNxt().Sub(sent))
	}
	if a.c.SndNxt().Sub(sent) < 500_000 || lost == before {
		t.Errorf("only %d bytes moved, %d lost", a.c.SndNxt().Sub(sent), lost-before)
	}
}
