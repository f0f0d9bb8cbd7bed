package tcp

import (
	"time"

	"mptcplab/mptcp/clock"
)

// chronoKind is what a sender with something to send is held by.
type chronoKind uint8

const (
	chronoIdle   chronoKind = iota // nothing to send
	chronoBusy                     // the network
	chronoRwnd                     // the peer's window
	chronoSndbuf                   // the send buffer
	numChronos
)

// chrono sums up the time in each kind, as Linux's tcp_chrono: busy_time,
// rwnd_limited and sndbuf_limited of tcp_info.
type chrono struct {
	kind  chronoKind
	since clock.Instant
	total [numChronos]time.Duration
}

func (k *chrono) set(now clock.Instant, kind chronoKind) {
	k.total[k.kind] += now.Sub(k.since)
	k.kind, k.since = kind, now
}

// startChrono says that kind holds the sender; the strongest kind counts.
func (c *Conn) startChrono(now clock.Instant, kind chronoKind) {
	if k := &c.chrono; kind > k.kind {
		k.set(now, kind)
	}
}

// stopChrono says that kind no longer holds the sender.
func (c *Conn) stopChrono(now clock.Instant, kind chronoKind) {
	k := &c.chrono
	switch {
	case c.board.packets == 0 && !c.waiting():
		if k.kind != chronoIdle {
			k.set(now, chronoIdle)
		}
	case k.kind == kind:
		k.set(now, chronoBusy)
	}
}

// spent returns the time in kind up to now.
func (k *chrono) spent(now clock.Instant, kind chronoKind) time.Duration {
	d := k.total[kind]
	if k.kind == kind {
		d += now.Sub(k.since)
	}
	return d
}
