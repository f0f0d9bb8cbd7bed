package pm

import (
	"net/netip"
	"slices"

	"mptcplab/mptcp/clock"
)

// Userspace is the userspace path manager of Linux (net/mptcp/pm_userspace.c): it
// opens and announces nothing by itself. Who reads the events gives commands, each
// for one connection.
type Userspace struct {
	queue
	// Attended says that somebody reads the events. Without, joins and addresses of
	// the peer are refused, as by Linux without a daemon.
	Attended bool

	conns map[uint32]*userConn
}

// userConn is a connection with the addresses that commands gave it.
type userConn struct {
	token     uint32
	local     netip.AddrPort // of the initial subflow
	v4only    bool
	addrs     []Endpoint // Port counts, also without Signal
	announced []uint8
	subflows  []path
}

var _ Manager = (*Userspace)(nil)

// NewUserspace returns a userspace path manager without a daemon.
func NewUserspace() *Userspace { return &Userspace{conns: make(map[uint32]*userConn)} }

// Advance implements Manager: it has no timers.
func (u *Userspace) Advance(now clock.Instant) {}

// Deadline implements Manager.
func (u *Userspace) Deadline() clock.Instant { return clock.Never }

// Handle implements Manager.
func (u *Userspace) Handle(_ clock.Instant, e Event) {
	if e.Kind == Created {
		u.conns[e.Token] = &userConn{token: e.Token, local: e.Local, v4only: e.V4Only,
			subflows: []path{{local: e.Local, remote: e.Remote}}}
		return
	}
	c := u.conns[e.Token]
	if c == nil {
		return
	}
	switch e.Kind {
	case ConnClosed, Fallen:
		delete(u.conns, e.Token)
	case SubBegun, SubEstablished:
		for i := range c.subflows {
			if c.subflows[i].id == e.Path {
				return
			}
		}
		c.subflows = append(c.subflows, path{id: e.Path, local: e.Local, remote: e.Remote, localID: e.LocalID, remoteID: e.RemoteID, join: true})
	case SubClosed:
		for i := range c.subflows {
			if c.subflows[i].id == e.Path {
				c.subflows = append(c.subflows[:i], c.subflows[i+1:]...)
				return
			}
		}
	}
}

// Accept implements Manager.
func (u *Userspace) Accept(token uint32) bool { return u.Attended && u.conns[token] != nil }

// LocalID implements Manager: an address that no command gave gets an id. The port does
// not matter, as in Linux (mptcp_userspace_pm_get_local_id).
func (u *Userspace) LocalID(token uint32, a netip.AddrPort) (uint8, error) {
	c := u.conns[token]
	if c == nil {
		return 0, ESRCH
	}
	if i := c.lookup(a.Addr()); i >= 0 {
		return c.addrs[i].ID, nil
	}
	e := Endpoint{Addr: a.Addr(), Port: a.Port()}
	if e.Port == c.local.Port() {
		e.Port = 0
	}
	return c.append(e, true)
}

// Backup implements Manager.
func (u *Userspace) Backup(token uint32, a netip.AddrPort) bool {
	if c := u.conns[token]; c != nil {
		if i := c.lookup(a.Addr()); i >= 0 {
			return c.addrs[i].Flags&Backup != 0
		}
	}
	return false
}

func (c *userConn) lookup(a netip.Addr) int {
	for i := range c.addrs {
		if c.addrs[i].Addr == a {
			return i
		}
	}
	return -1
}

// append adds an address with its id, or one of its own choosing; both may be known
// together, not one with another (mptcp_userspace_pm_append_new_local_addr).
func (c *userConn) append(e Endpoint, needsID bool) (uint8, error) {
	var taken idSet
	for i := range c.addrs {
		o := &c.addrs[i]
		same := o.Addr == e.Addr && o.Port == e.Port
		if same && (o.ID == e.ID || e.ID == 0 && needsID) {
			return o.ID, nil
		}
		if same || o.ID == e.ID {
			return 0, EINVAL
		}
		taken.add(o.ID)
	}
	if e.ID == 0 && needsID {
		for e.ID = 1; taken.has(e.ID); e.ID++ {
			if e.ID == 255 {
				return 0, EINVAL
			}
		}
	}
	c.addrs = append(c.addrs, e)
	return e.ID, nil
}

// Announce sends ADD_ADDR for e, which needs Signal and an id (MPTCP_PM_CMD_ANNOUNCE).
func (u *Userspace) Announce(token uint32, e Endpoint) error {
	c := u.conns[token]
	if c == nil || e.ID == 0 || e.Flags&Signal == 0 || !e.Addr.IsValid() {
		return EINVAL
	}
	e.Addr = e.Addr.Unmap()
	if _, err := c.append(e, false); err != nil {
		return err
	}
	if !slices.Contains(c.announced, e.ID) { // else it goes out anew, with its repetitions
		c.announced = append(c.announced, e.ID)
	}
	u.do(Action{Kind: Announce, Token: token, Path: -1, Local: netip.AddrPortFrom(e.Addr, e.Port), LocalID: e.ID})
	return nil
}

// Remove sends REMOVE_ADDR for an address that a command gave, or for id 0
// (MPTCP_PM_CMD_REMOVE). The subflows from it stay.
func (u *Userspace) Remove(token uint32, id uint8) error {
	c := u.conns[token]
	if c == nil {
		return EINVAL
	}
	if id == 0 {
		for i := range c.subflows {
			if c.subflows[i].localID == 0 {
				u.do(Action{Kind: Remove, Token: token, Path: -1})
				return nil
			}
		}
		return EINVAL
	}
	for i := range c.addrs {
		e := c.addrs[i]
		if e.ID != id {
			continue
		}
		c.addrs = append(c.addrs[:i], c.addrs[i+1:]...)
		known := false
		for k, a := range c.announced {
			if a == id {
				c.announced = append(c.announced[:k], c.announced[k+1:]...)
				known = true
				break
			}
		}
		for k := range c.subflows {
			known = known || e.matches(c.subflows[k].local)
		}
		if known {
			u.do(Action{Kind: Remove, Token: token, Path: -1, LocalID: id})
		}
		return nil
	}
	return EINVAL
}

// CreateSubflow opens a subflow from local to remote (MPTCP_PM_CMD_SUBFLOW_CREATE).
// The stack says whether it can begin; if not, Forget takes the address back.
func (u *Userspace) CreateSubflow(token uint32, local Endpoint, remote netip.AddrPort) error {
	c := u.conns[token]
	local.Addr, remote = local.Addr.Unmap(), netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	switch {
	case c == nil, local.Flags&Signal != 0, !local.Addr.IsValid(), !remote.IsValid(),
		local.Addr.Is4() != remote.Addr().Is4(), c.v4only && local.Addr.Is6():
		return EINVAL
	}
	local.Flags |= Subflow
	id, err := c.append(local, false)
	if err != nil {
		return err
	}
	u.do(Action{Kind: SubflowCreate, Token: token, Path: -1, Local: netip.AddrPortFrom(local.Addr, local.Port), Remote: remote,
		LocalID: id, RemoteID: c.remoteID(remote.Addr()), Backup: local.Flags&Backup != 0})
	return nil
}

// remoteID is what subflows to the address so far say.
func (c *userConn) remoteID(a netip.Addr) uint8 {
	for i := range c.subflows {
		if c.subflows[i].remote.Addr() == a {
			return c.subflows[i].remoteID
		}
	}
	return 0
}

// Forget takes back an address of a subflow that could not begin or is destroyed.
func (u *Userspace) Forget(token uint32, a netip.Addr) {
	if c := u.conns[token]; c != nil {
		if i := c.lookup(a); i >= 0 {
			c.addrs = append(c.addrs[:i], c.addrs[i+1:]...)
		}
	}
}

// DestroySubflow closes the subflow between two addresses with their ports
// (MPTCP_PM_CMD_SUBFLOW_DESTROY).
func (u *Userspace) DestroySubflow(token uint32, local, remote netip.AddrPort) error {
	c := u.conns[token]
	if c == nil || local.Port() == 0 || remote.Port() == 0 || local.Addr().Is4() != remote.Addr().Is4() {
		return EINVAL
	}
	for i := range c.subflows {
		if p := &c.subflows[i]; p.local == local && p.remote == remote {
			u.Forget(token, local.Addr())
			u.do(Action{Kind: SubflowDestroy, Token: token, Path: p.id})
			return nil
		}
	}
	return ESRCH
}

// SetFlags makes the subflow between two addresses one for backup or not; port 0
// stands for any (MPTCP_PM_CMD_SET_FLAGS with a token).
func (u *Userspace) SetFlags(token uint32, local, remote netip.AddrPort, flags EndpointFlags) error {
	c := u.conns[token]
	if c == nil || !remote.IsValid() {
		return EINVAL
	}
	if i := c.lookup(local.Addr()); i >= 0 {
		c.addrs[i].Flags = c.addrs[i].Flags&^Backup | flags&Backup
	}
	is := func(want, have netip.AddrPort) bool {
		return want.Addr() == have.Addr() && (want.Port() == 0 || want.Port() == have.Port())
	}
	for i := range c.subflows {
		if p := &c.subflows[i]; is(local, p.local) && is(remote, p.remote) {
			u.do(Action{Kind: SetBackup, Token: token, Path: p.id, Backup: flags&Backup != 0})
			return nil
		}
	}
	return EINVAL
}

// Addrs lists the addresses of a connection in the order in which commands gave
// them (MPTCP_PM_CMD_GET_ADDR with a token).
func (u *Userspace) Addrs(token uint32) ([]Endpoint, error) {
	c := u.conns[token]
	if c == nil {
		return nil, EINVAL
	}
	return append([]Endpoint(nil), c.addrs...), nil
}
