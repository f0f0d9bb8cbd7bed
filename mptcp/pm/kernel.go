package pm

import (
	"errors"
	"net/netip"

	"mptcplab/mptcp/clock"
)

// Errors of the endpoint commands, with the errno that the kernel's give.
var (
	ErrExists  = errors.New("pm: an endpoint with this address or id exists") // EEXIST
	ErrMissing = errors.New("pm: no such endpoint")                           // ENOENT
	ErrInvalid = errors.New("pm: invalid endpoint")                           // EINVAL
	ErrFull    = errors.New("pm: all ids are taken")                          // EINVAL
	ErrUnknown = errors.New("pm: no such path manager")
	errNoConn  = errors.New("pm: no such connection") // ENOENT
)

// Kernel is the in-kernel path manager of Linux: endpoints and limits, the same
// for all connections of a host. As "fullmesh" it is the path manager of that
// name of MPTCP v0: every own address is an endpoint, without configuration.
//
// It is told of all connections that speak MPTCP, and decides for each by the
// same rules; it has no timers.
type Kernel struct {
	limits    Limits
	endpoints []Endpoint // by id
	auto      bool       // fullmesh: endpoints follow the links
	single    bool       // single-path: nothing is opened, announced or accepted
	conns     []*conn    // in the order of their establishment
	byToken   map[uint32]*conn
	actions   []Action
	head      int
}

// conn is what the manager knows of a connection.
type conn struct {
	token         uint32
	local, remote netip.AddrPort // of the initial subflow
	server        bool
	denyID0       bool
	mpcID         uint8     // id of the endpoint that is the initial address; 0: none
	used          [256]bool // endpoints that were used or announced
	announced     [256]bool
	subflows      []path
	remotes       []remote // announced by the peer
	extra         int      // subflows beside the initial one, also those under way
	addAccepted   int
}

// path is a subflow, known by its ordinal once it is established.
type path struct {
	id                int // -1: under way
	local, remote     netip.AddrPort
	localID, remoteID uint8
	join              bool
}

type remote struct {
	id       uint8
	addr     netip.AddrPort
	accepted bool
}

// Defaults of fullmesh, which asks for no limits.
const autoLimit = 8

var _ Manager = (*Kernel)(nil)

// New returns the path manager of this name: "kernel" (or ""), "fullmesh", or
// "single-path", which opens, announces and accepts nothing.
func New(name string, endpoints []Endpoint, limits Limits) (*Kernel, error) {
	k := &Kernel{limits: limits, byToken: make(map[uint32]*conn)}
	switch name {
	case "", "kernel":
	case "fullmesh":
		k.auto = len(endpoints) == 0
		if limits == (Limits{}) {
			k.limits = Limits{Subflows: autoLimit, AddAddrAccepted: autoLimit}
		}
		fm := make([]Endpoint, len(endpoints))
		for i, e := range endpoints {
			e.Flags |= Subflow | Fullmesh
			fm[i] = e
		}
		endpoints = fm
	case "single-path":
		k.single = true
	default:
		return nil, ErrUnknown
	}
	for _, e := range endpoints {
		if _, err := k.AddEndpoint(e); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Advance implements Manager.
func (k *Kernel) Advance(now clock.Instant) {}

// Deadline implements Manager: it has no timers.
func (k *Kernel) Deadline() clock.Instant { return clock.Never }

// Next implements Manager.
func (k *Kernel) Next() (Action, bool) {
	if k.head == len(k.actions) {
		k.actions, k.head = k.actions[:0], 0
		return Action{}, false
	}
	k.head++
	return k.actions[k.head-1], true
}

func (k *Kernel) do(a Action) { k.actions = append(k.actions, a) }

// Handle implements Manager.
func (k *Kernel) Handle(now clock.Instant, e Event) error {
	switch e.Kind {
	case Established:
		k.established(&e)
		return nil
	case LinkUp:
		k.linkUp(e.Local.Addr())
		return nil
	case LinkDown:
		k.linkDown(e.Local.Addr())
		return nil
	}
	c := k.byToken[e.Token]
	if c == nil {
		return errNoConn
	}
	switch e.Kind {
	case ConnClosed:
		k.closed(c)
	case Announced:
		k.announced(c, &e)
	case Removed:
		c.removed(e.RemoteID)
	case SubEstablished:
		c.subEstablished(&e)
		k.work(c)
	case SubClosed:
		k.subClosed(c, &e)
	}
	return nil
}

// established is when a connection may have more subflows.
func (k *Kernel) established(e *Event) {
	c := &conn{token: e.Token, local: e.Local, remote: e.Remote, server: e.ServerSide, denyID0: e.DenyJoinID0}
	c.subflows = append(c.subflows, path{id: 0, local: e.Local, remote: e.Remote})
	k.conns = append(k.conns, c)
	k.byToken[c.token] = c
	k.account(c)
	k.work(c)
}

// account notes that the initial subflow's address is an endpoint: it is used,
// its id in this connection is 0, and it may be one for backup.
func (k *Kernel) account(c *conn) {
	for _, e := range k.endpoints {
		if e.Addr == c.local.Addr() {
			c.mpcID = e.ID
			c.used[e.ID] = true
			if e.Flags&Backup != 0 {
				k.do(Action{Kind: SetBackup, Token: c.token, Path: 0, Backup: true})
			}
		}
	}
}

func (k *Kernel) closed(c *conn) {
	delete(k.byToken, c.token)
	for i := range k.conns {
		if k.conns[i] == c {
			k.conns = append(k.conns[:i], k.conns[i+1:]...)
			break
		}
	}
}

// work announces signal endpoints and opens subflows from subflow endpoints, as
// far as the limits allow (mptcp_pm_create_subflow_or_signal_addr).
func (k *Kernel) work(c *conn) {
	if k.single {
		return
	}
	for i := range k.endpoints {
		e := &k.endpoints[i]
		if e.Flags&Signal == 0 || c.announced[e.ID] || k.auto && !c.server || e.Addr == c.local.Addr() && e.Port == 0 {
			continue
		}
		c.announced[e.ID] = true
		if e.Flags&Subflow == 0 {
			c.used[e.ID] = true
		}
		k.do(Action{Kind: Announce, Token: c.token, Path: -1, Local: netip.AddrPortFrom(e.Addr, e.Port), LocalID: c.id(e)})
	}
	for i := range k.endpoints {
		e := &k.endpoints[i]
		if e.Flags&Subflow == 0 || c.used[e.ID] || k.auto && c.server {
			continue
		}
		if c.extra >= k.limits.Subflows {
			return
		}
		c.used[e.ID] = true
		k.connect(c, e)
	}
}

// id is the endpoint's id in the connection: the initial address has 0.
func (c *conn) id(e *Endpoint) uint8 {
	if e.ID == c.mpcID {
		return 0
	}
	return e.ID
}

// initial reports whether the initial subflow still exists.
func (c *conn) initial() bool {
	for i := range c.subflows {
		if !c.subflows[i].join {
			return true
		}
	}
	return false
}

// connect opens subflows from e: to the initial address of the peer, or with
// Fullmesh to all that are in use.
func (k *Kernel) connect(c *conn, e *Endpoint) {
	if !c.denyID0 && e.Addr.Is4() == c.remote.Addr().Is4() {
		k.create(c, e.Addr, c.id(e), c.remote, 0, e.Flags&Backup != 0)
	}
	if e.Flags&Fullmesh == 0 {
		return
	}
	for i := range c.remotes {
		r := &c.remotes[i]
		if r.accepted && r.addr.Addr().Is4() == e.Addr.Is4() {
			k.create(c, e.Addr, c.id(e), r.addr, r.id, e.Flags&Backup != 0)
		}
	}
}

// create asks for one subflow unless there is one between these addresses.
func (k *Kernel) create(c *conn, local netip.Addr, localID uint8, to netip.AddrPort, toID uint8, backup bool) bool {
	if c.extra >= k.limits.Subflows || local.IsValid() && c.connects(local, to) {
		return false
	}
	c.extra++
	l := netip.AddrPortFrom(local, 0)
	c.subflows = append(c.subflows, path{id: -1, local: l, remote: to, localID: localID, remoteID: toID, join: true})
	k.do(Action{Kind: SubflowCreate, Token: c.token, Path: -1, Local: l, Remote: to, LocalID: localID, RemoteID: toID, Backup: backup})
	return true
}

// connects reports whether a subflow between the two addresses exists.
func (c *conn) connects(local netip.Addr, to netip.AddrPort) bool {
	for i := range c.subflows {
		if p := &c.subflows[i]; p.local.Addr() == local && p.remote == to {
			return true
		}
	}
	return false
}

// Accept reserves a subflow that the peer opened; false: the limits forbid it.
func (k *Kernel) Accept(token uint32) bool {
	c := k.byToken[token]
	if c == nil || k.single || c.extra >= k.limits.Subflows {
		return false
	}
	c.extra++
	return true
}

// announced takes an address of the peer (mptcp_pm_nl_add_addr_received).
func (k *Kernel) announced(c *conn, e *Event) {
	for i := range c.remotes {
		if c.remotes[i].addr == e.Remote {
			return
		}
	}
	c.remotes = append(c.remotes, remote{id: e.RemoteID, addr: e.Remote})
	if k.single || c.addAccepted >= k.limits.AddAddrAccepted || c.extra >= k.limits.Subflows {
		return
	}
	for i := range c.subflows {
		if c.subflows[i].remote.Addr() == e.Remote.Addr() {
			return
		}
	}
	if k.join(c, e.Remote, e.RemoteID) {
		c.addAccepted++
		c.remotes[len(c.remotes)-1].accepted = true
	}
}

// join opens subflows to an announced address: from all fullmesh endpoints, or
// from whatever address the route gives.
func (k *Kernel) join(c *conn, to netip.AddrPort, id uint8) (created bool) {
	mesh := false
	for i := range k.endpoints {
		e := &k.endpoints[i]
		if e.Flags&Fullmesh == 0 || e.Addr.Is4() != to.Addr().Is4() {
			continue
		}
		mesh = true
		if k.create(c, e.Addr, c.id(e), to, id, e.Flags&Backup != 0) {
			c.used[e.ID] = true
			created = true
		}
	}
	if mesh {
		return created
	}
	return k.create(c, netip.Addr{}, 0, to, id, false)
}

// removed takes back an address of the peer.
func (c *conn) removed(id uint8) {
	kept := c.remotes[:0]
	for _, r := range c.remotes {
		if r.id != id {
			kept = append(kept, r)
		} else if r.accepted && c.addAccepted > 0 {
			c.addAccepted--
		}
	}
	c.remotes = kept
}

// subEstablished gives a subflow under way its ordinal; one that the peer opened
// is new.
func (c *conn) subEstablished(e *Event) {
	for i := range c.subflows {
		p := &c.subflows[i]
		if p.id < 0 && p.remote == e.Remote && (p.local.Addr() == e.Local.Addr() || !p.local.Addr().IsValid()) {
			p.id, p.local, p.localID, p.remoteID = e.Path, e.Local, e.LocalID, e.RemoteID
			return
		}
	}
	c.subflows = append(c.subflows, path{id: e.Path, local: e.Local, remote: e.Remote, localID: e.LocalID, remoteID: e.RemoteID, join: true})
}

// subClosed makes room for the next subflow. The endpoint of the closed one stays
// used: the kernel does not open it again by itself.
func (k *Kernel) subClosed(c *conn, e *Event) {
	for i := range c.subflows {
		p := &c.subflows[i]
		same := p.id >= 0 && p.id == e.Path
		underway := p.id < 0 && p.remote == e.Remote && (p.local.Addr() == e.Local.Addr() || !p.local.Addr().IsValid())
		if !same && !underway {
			continue
		}
		join := p.join
		c.subflows = append(c.subflows[:i], c.subflows[i+1:]...)
		if join && c.extra > 0 {
			c.extra--
			k.work(c)
		}
		return
	}
}
