package link

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
)

const (
	// maxWaiting is how many packets wait for one neighbour; the oldest goes
	// first. Linux keeps 212,992 bytes, about as many full packets
	// (unres_qlen_bytes).
	maxWaiting = 100
	// maxNeighbours bounds the cache against a peer that makes up addresses.
	maxNeighbours = 1024
	// askAgain is the pace of questions.
	// https://www.rfc-editor.org/rfc/rfc1122#section-2.3.2.1: "The recommended
	// maximum rate is 1 per second per destination."
	askAgain = time.Second
)

// neighbour is an entry of the cache.
type neighbour struct {
	addr      netip.Addr
	mac       [6]byte
	known     bool
	permanent bool
	asked     bool
	askedAt   clock.Instant
	waiting   [][]byte
}

// neighbour returns the entry of addr, a new one if there is none.
func (i *IP) neighbour(addr netip.Addr) *neighbour {
	if n, ok := i.neighbours[addr]; ok {
		return n
	}
	n := &neighbour{addr: addr}
	if len(i.neighbours) < maxNeighbours {
		i.neighbours[addr] = n
	}
	return n
}

// wait queues a copy of packet until n answers.
func (i *IP) wait(n *neighbour, packet []byte) {
	if len(n.waiting) == maxWaiting {
		n.waiting = n.waiting[1:]
		i.stats.Unresolved++
	}
	n.waiting = append(n.waiting, append([]byte(nil), packet...))
}

// ask sends a question for n unless one was sent within the last second.
func (i *IP) ask(n *neighbour) error {
	now := i.now()
	if n.asked && now < n.askedAt.Add(askAgain) {
		return nil
	}
	src, ok := i.source(n.addr)
	if !ok {
		i.stats.Unresolved += uint64(len(n.waiting))
		n.waiting = nil
		return nil
	}
	var err error
	if n.addr.Is4() {
		err = i.askARP(src, n.addr)
	} else {
		err = i.askND(src, n.addr)
	}
	if err == ErrFull { // the packet is queued: the next one asks
		return nil
	}
	n.asked, n.askedAt = true, now
	return err
}

// heard notes what a packet said of addr; it makes an entry only if create is set,
// so that strangers' traffic does not fill the cache.
func (i *IP) heard(addr netip.Addr, mac [6]byte, create bool) {
	n, ok := i.neighbours[addr]
	if !ok {
		if !create || !addr.IsValid() || addr.IsUnspecified() {
			return
		}
		n = i.neighbour(addr)
	}
	if !n.permanent {
		i.learned(n, mac)
	}
}

// learned notes the neighbour's address and sends what waited for it. What the
// device can't take then is lost, as on any full link.
func (i *IP) learned(n *neighbour, mac [6]byte) {
	n.mac, n.known, n.asked = mac, true, false
	for _, p := range n.waiting {
		if i.send(mac, p, etherType(p)) != nil {
			i.stats.TxDropped++
		}
	}
	n.waiting = nil
}
