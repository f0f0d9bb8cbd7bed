package tcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// TestScoreboard drives runs of several segments (as super-segments will be)
// through ACKs, SACKs, losses and retransmissions and compares the counts with
// one flag a segment.
func TestScoreboard(t *testing.T) {
	const mss = 100
	type seg struct{ sacked, lost, retrans bool }
	for seed := range uint64(300) {
		r := rng(seed)
		s := established(t, Config{}, ",sackOK")
		s.u.send = nil // the test sends
		c := s.c
		c.flow.State = cc.Recovery // nothing is deemed lost but by the test
		b := &c.board
		base := wire.Seq(1)
		model := map[int]*seg{} // by number of the segment
		una, nxt := 0, 0
		at := func(n int) wire.Seq { return base.Add(n * mss) }
		for range 80 {
			s.now = s.now.Add(time.Millisecond)
			switch r.next() % 5 {
			case 0: // send
				n := 1 + int(r.next()%8)
				b.push(run{start: at(nxt), end: at(nxt + n), mss: mss, sentAt: s.now})
				c.maxRun = max(c.maxRun, n*mss)
				for range n {
					model[nxt] = new(seg)
					nxt++
				}
				c.sndNxt = at(nxt)
				c.timers.Set(timerRTO, clock.Never-1)
			case 1: // cumulative ACK, perhaps inside a segment
				if nxt == una {
					continue
				}
				una += int(r.next() % uint64(min(nxt-una, 4)+1))
				a := ackEvent{}
				c.sndUna = at(una)
				c.clean(s.now, c.sndUna.Add(int(r.next()%(mss-1))*btoi(una < nxt)), &a)
			case 2: // SACK, perhaps of parts
				if nxt == una {
					continue
				}
				l := una + int(r.next()%uint64(nxt-una))
				h := min(l+1+int(r.next()%6), nxt)
				cut := int(r.next() % 2)
				c.markSACKed(s.now, span{at(l).Add(-cut * 30), at(h).Add(-cut * 30)}, &ackEvent{})
				for i := max(l, una); i < h-cut; i++ {
					*model[i] = seg{sacked: true}
				}
			case 3: // a run is lost
				for id := b.head; id != noRun; id = b.at(id).next {
					if r.chance(300) && b.at(id).flags&runSACKed == 0 {
						for i := b.at(id).start.Sub(base) / mss; i < b.at(id).end.Sub(base)/mss; i++ {
							model[i].lost, model[i].retrans = true, false
						}
						b.setLost(id)
					}
				}
			case 4: // the next lost segment goes out again
				id := b.nextLost()
				if id == noRun {
					continue
				}
				if b.at(id).segs() > 1 {
					b.split(id, b.at(id).start.Add(mss))
				}
				model[b.at(id).start.Sub(base)/mss].retrans = true
				b.setRetransmitted(id, s.now, 0, rateStamp{})
			}
			check(t, s.now, c)
			var packets, sacked, lost, retrans int
			for i := una; i < nxt; i++ {
				m := model[i]
				packets++
				sacked += btoi(m.sacked)
				lost += btoi(m.lost)
				retrans += btoi(m.retrans)
			}
			if packets != b.packets || sacked != b.sacked || lost != b.lost || retrans != b.retrans {
				t.Fatalf("seed %d: packets %d sacked %d lost %d retrans %d, want %d %d %d %d", seed,
					b.packets, b.sacked, b.lost, b.retrans, packets, sacked, lost, retrans)
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
