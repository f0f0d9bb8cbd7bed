package sched

import "math/bits"

// What Linux binds to a subflow is bounded by that socket's send buffer, which
// grows with cwnd (tcp_sndbuf_expand): twice cwnd, in units of what a segment takes
// in memory at worst. Queues hold large pages, so about six windows of payload fit.
const (
	sndbufWindows  = 2
	segmentRoom    = 640   // headers and shared info beside a segment
	segmentBuffer  = 256   // struct sk_buff
	minCwnd        = 10    // segments: TCP_INIT_CWND
	burstSize      = 65428 // MPTCP_SEND_BURST_SIZE
	backupPatience = 1
)

// binding is embedded by schedulers that bind bytes to a path ahead of its cwnd, as
// the kernel does.
type binding struct{}

func (binding) Sent(int, int) {}

func (binding) Depth(p *Path) int {
	mss := max(p.MSS, 1)
	segs := max(p.Cwnd/mss, minCwnd)
	perMSS := 1<<bits.Len(uint(mss+segmentRoom-1)) + segmentBuffer
	return max(sndbufWindows*segs*perMSS-p.Cwnd, mss)
}

// linger is the scheduler that Linux calls "default" (mptcp_subflow_get_send), and
// its rewrite in BPF, "burst": bytes go, in bursts of 64 KB, to the path that will
// have flushed what it holds first. It does not wait for a better one.
type linger struct {
	binding
	paces []pace
}

// pace is a path's pacing rate, averaged over what was bound to it.
type pace struct {
	id   int
	rate uint64
}

func (s *linger) Next(v *View) (Decision, bool) {
	if d, ok := s.retransmission(v); ok {
		return d, true
	}
	if v.Queued <= 0 || v.Window <= 0 {
		return Decision{}, false
	}
	return s.send(v, New, v.Window)
}

// send picks the path that lingers least: of the backups only if there is nothing
// else. If that one's buffer is full nothing is sent.
func (s *linger) send(v *View, from Source, limit int) (Decision, bool) {
	best, least := [2]int{-1, -1}, [2]uint64{}
	regular := 0
	for i := range v.paths() {
		p := &v.Paths[i]
		if p.Stale {
			continue
		}
		kind := 0
		if p.Backup {
			kind = 1
		} else {
			regular++
		}
		a := s.average(p)
		if a.rate == 0 {
			continue
		}
		if t := lingerTime(p.Unacked+p.Queued, a.rate); best[kind] < 0 || t < least[kind] {
			best[kind], least[kind] = i, t
		}
	}
	i := best[0]
	if regular == 0 {
		i = best[1]
	}
	if i < 0 {
		return Decision{}, false
	}
	p := &v.Paths[i]
	if p.Bindable(s.Depth(p)) <= 0 {
		return Decision{}, false
	}
	burst := min(burstSize, limit)
	held := uint64(p.Unacked + p.Queued)
	a := s.average(p)
	a.rate = weightedMean(a.rate, held, p.Pacing, uint64(burst))
	return Decision{Paths: Of(i), From: from, Burst: burst}, true
}

// average returns the entry of p, with its pacing rate of now if it is new.
func (s *linger) average(p *Path) *pace {
	for i := range s.paces {
		if a := &s.paces[i]; a.id == p.ID {
			if a.rate == 0 {
				a.rate = p.Pacing
			}
			return a
		}
	}
	if len(s.paces) == 2*MaxPaths { // long gone, as a rule
		s.paces = append(s.paces[:0], s.paces[1:]...)
	}
	s.paces = append(s.paces, pace{p.ID, p.Pacing})
	return &s.paces[len(s.paces)-1]
}

// lingerTime is how long n bytes take at a rate, in 2^-32 s.
func lingerTime(n int, rate uint64) uint64 { return uint64(n) << 32 / rate }

// weightedMean returns (a*m + b*n) / (m + n).
func weightedMean(a, m, b, n uint64) uint64 {
	h1, l1 := bits.Mul64(a, m)
	h2, l2 := bits.Mul64(b, n)
	l, carry := bits.Add64(l1, l2, 0)
	q, _ := bits.Div64(h1+h2+carry, l, m+n)
	return q
}

// retransmission picks the path for bytes to be reinjected
// (mptcp_subflow_get_retrans): the first one with nothing in its queues; a backup
// only if nothing moves anywhere. What lies on stale paths alone is sent as if it
// were new (mptcp_pm_nl_subflow_chk_stale).
func (s *linger) retransmission(v *View) (Decision, bool) {
	if v.ReinjectLen <= 0 {
		return Decision{}, false
	}
	if abandoned(v) {
		return s.send(v, Reinject, v.ReinjectLen)
	}
	pick, backup := -1, -1
	staleCount := int(^uint(0) >> 1)
	for i := range v.paths() {
		p := &v.Paths[i]
		switch {
		case p.Stale:
		case p.Unacked+p.Queued > 0:
			staleCount = min(staleCount, p.StaleCount)
		case p.Backup:
			if backup < 0 {
				backup = i
			}
		case pick < 0:
			pick = i
		}
	}
	if pick < 0 && staleCount > backupPatience {
		pick = backup
	}
	return Decision{Paths: Of(max(pick, 0)), From: Reinject, Burst: burstSize}, pick >= 0
}

// abandoned reports whether the head of the reinjection queue is carried by no path
// that still counts.
func abandoned(v *View) bool {
	for i := range v.paths() {
		if v.ReinjectSent.Has(i) && !v.Paths[i].Stale {
			return false
		}
	}
	return true
}
