package pm

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
)

// Kernel is the in-kernel path manager of Linux (net/mptcp/pm_kernel.c): endpoints
// and limits, the same for all connections of a host. It is told of all connections
// that speak MPTCP, and decides for each by the same rules.
type Kernel struct {
	queue
	limits    Limits
	endpoints []Endpoint // in the order in which they are tried
	nextID    uint8      // where the search for a free id begins
	policy    policy
	perPair   int
	bringUp   time.Duration
	joinAt    func() clock.Instant
	conns     []*conn // in the order of their establishment
	byToken   map[uint32]*conn
	resets    map[uint32]resets // by token, of single-path
}

// conn is what the manager knows of a connection.
type conn struct {
	token           uint32
	local, remote   netip.AddrPort // of the initial subflow
	server          bool
	denyID0         bool
	v4only          bool
	mpcID           uint8    // id of the endpoint that is the initial address; 0: none
	used            idSet    // endpoints that were used or announced
	announced       []uint8  // endpoints that the peer was told of
	announcing      bool     // an ADD_ADDR waits to go out
	subflows        []path   // also those under way
	extra           int      // how many of them are not the initial one
	localUsed       int      // subflow endpoints used, without the initial address
	accepted        int      // addresses of the peer that are in use
	offer, lastUsed int      // the ADD_ADDR at hand; the last one that led to a subflow
	next            nextPath // single-path
}

// path is a subflow. Between action and SYN it has no ordinal.
type path struct {
	id                int // -1: none yet
	local, remote     netip.AddrPort
	localID, remoteID uint8
	join              bool
	requested         bool // by us
	up                bool // and the peer has taken it
	backup            bool // as we ask for
	waits             bool // for its time to begin: at
	at                clock.Instant
	offer             int // the ADD_ADDR that asked for it; 0: none
}

// idSet is a set of address ids.
type idSet [4]uint64

func (s *idSet) has(id uint8) bool { return s[id/64]>>(id%64)&1 != 0 }
func (s *idSet) add(id uint8)      { s[id/64] |= 1 << (id % 64) }
func (s *idSet) remove(id uint8)   { s[id/64] &^= 1 << (id % 64) }

var _ Manager = (*Kernel)(nil)

// Advance implements Manager.
func (k *Kernel) Advance(now clock.Instant) {
	for _, c := range k.conns {
		if c.next.at <= now {
			c.next.at = clock.Never
			k.openNext(now, c)
		}
		k.beginDelayed(now, c)
	}
}

// Deadline implements Manager: only single-path and JoinAt have timers.
func (k *Kernel) Deadline() clock.Instant {
	at := clock.Never
	if k.policy != singlePath && k.joinAt == nil {
		return at
	}
	for _, c := range k.conns {
		at = clock.Min(at, c.next.at)
		for i := range c.subflows {
			if p := &c.subflows[i]; p.waits {
				at = clock.Min(at, p.at)
			}
		}
	}
	return at
}

// Handle implements Manager.
func (k *Kernel) Handle(now clock.Instant, e Event) {
	switch e.Kind {
	case Established:
		k.established(&e)
		return
	case LinkUp:
		k.linkUp(e.Local.Addr())
		return
	case LinkDown:
		k.linkDown(now, e.Local.Addr())
		return
	}
	c := k.byToken[e.Token]
	if c == nil {
		return
	}
	switch e.Kind {
	case ConnClosed, Fallen:
		k.forget(c)
	case Announced:
		k.peerAnnounced(c, &e)
	case Removed:
		k.peerRemoved(c, e.RemoteID)
	case SubBegun:
		c.subBegun(&e)
	case SubFailed:
		c.subFailed(&e)
	case SubStale:
		k.subStale(c, &e)
	case SubEstablished:
		c.subEstablished(&e)
		k.work(c)
	case SubClosed:
		k.noteReset(now, c, &e)
		k.subClosed(c, &e)
	case AnnounceSent:
		c.announcing = false
	case AnnounceEchoed, AnnounceRepeated:
		k.work(c)
	}
	k.watch(now, c)
}

// established is when a connection may have more subflows.
func (k *Kernel) established(e *Event) {
	c := &conn{token: e.Token, local: e.Local, remote: e.Remote, server: e.ServerSide, denyID0: e.DenyJoinID0, v4only: e.V4Only}
	c.next.at = clock.Never
	c.subflows = append(c.subflows, path{local: e.Local, remote: e.Remote})
	k.conns = append(k.conns, c)
	k.byToken[c.token] = c
	k.account(c)
	if k.perPair > 1 && !c.server {
		k.connectPair(c, c.local.Addr(), 0, c.remote, 0, false)
	}
	k.work(c)
}

// account notes that the initial subflow's address is an endpoint: it is used,
// its id in this connection is 0, and it may be one for backup.
func (k *Kernel) account(c *conn) {
	i := k.lookup(c.local)
	if i < 0 {
		return
	}
	e := &k.endpoints[i]
	c.mpcID = e.ID
	c.used.add(e.ID)
	if e.Flags&Backup != 0 {
		k.do(Action{Kind: SetBackup, Token: c.token, Path: 0, Backup: true})
	}
}

func (k *Kernel) forget(c *conn) {
	delete(k.byToken, c.token)
	delete(k.resets, c.token)
	for i := range k.conns {
		if k.conns[i] == c {
			k.conns = append(k.conns[:i], k.conns[i+1:]...)
			break
		}
	}
}

// Accept implements Manager: the limit of subflows holds for both sides' joins, but
// those of ours that have not begun yet stand back.
func (k *Kernel) Accept(token uint32) bool {
	c := k.byToken[token]
	if c == nil || c.extra-c.waiting() >= k.limits.Subflows {
		return false
	}
	c.extra++
	return true
}

// peerRemoved takes back an address of the peer, whose subflows the stack closes.
// Only a subflow that we opened had made the address an accepted one.
func (k *Kernel) peerRemoved(c *conn, id uint8) {
	requested, joins := false, false
	kept := c.subflows[:0]
	for _, p := range c.subflows {
		if p.remoteID != id {
			kept = append(kept, p)
			continue
		}
		requested = requested || p.requested
		joins = joins || p.join
		c.leaves(&p)
	}
	c.subflows = kept
	if requested && id != 0 && c.accepted > 0 {
		c.accepted--
	}
	if joins {
		k.work(c)
	}
}

// leaves makes room for another subflow.
func (c *conn) leaves(p *path) {
	if p.join && c.extra > 0 {
		c.extra--
	}
}

// underway returns the subflow without ordinal that the event is of, or nil.
func (c *conn) underway(e *Event) *path {
	for i := range c.subflows {
		p := &c.subflows[i]
		if p.id < 0 && !p.waits && p.remote == e.Remote && (p.local.Addr() == e.Local.Addr() || !p.local.Addr().IsValid()) {
			return p
		}
	}
	return nil
}

// subBegun gives a subflow its ordinal. The first one that an ADD_ADDR leads to makes
// its address an accepted one; the initial address is never counted.
func (c *conn) subBegun(e *Event) {
	p := c.underway(e)
	if p == nil {
		return
	}
	p.id, p.local, p.localID = e.Path, e.Local, e.LocalID
	if p.offer > c.lastUsed {
		c.lastUsed = p.offer
		if p.remoteID != 0 {
			c.accepted++
		}
	}
}

// subFailed gives up a subflow that could not even begin.
func (c *conn) subFailed(e *Event) {
	if p := c.underway(e); p != nil {
		c.next.failed = true
		c.drop(p)
	}
}

func (c *conn) drop(p *path) {
	c.leaves(p)
	for i := range c.subflows {
		if &c.subflows[i] == p {
			c.subflows = append(c.subflows[:i], c.subflows[i+1:]...)
			return
		}
	}
}

// find returns the subflow with this ordinal, or nil.
func (c *conn) find(id int) *path {
	for i := range c.subflows {
		if c.subflows[i].id == id {
			return &c.subflows[i]
		}
	}
	return nil
}

// subEstablished notes what the peer said of a subflow of ours, or that it opened one.
func (c *conn) subEstablished(e *Event) {
	c.next.failed = false
	if p := c.find(e.Path); p != nil {
		p.remoteID, p.up = e.RemoteID, true
		return
	}
	c.subflows = append(c.subflows, path{id: e.Path, local: e.Local, remote: e.Remote, localID: e.LocalID, remoteID: e.RemoteID, join: true})
}

// subClosed makes room for the next subflow. The endpoint of the closed one stays
// used: Linux does not open it again by itself.
func (k *Kernel) subClosed(c *conn, e *Event) {
	if p := c.find(e.Path); p != nil {
		c.next.failed = p.requested && !p.up
		c.drop(p)
		k.work(c)
	}
}
