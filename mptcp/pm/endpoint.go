package pm

import (
	"net/netip"

	"mptcplab/mptcp/clock"
)

// Bounds of Linux 6.18 (MPTCP_PM_ADDR_MAX).
const (
	maxEndpoints = 8
	maxLimit     = 8
)

// Endpoints returns the endpoints in the order of their ids.
func (k *Kernel) Endpoints() []Endpoint {
	list := make([]Endpoint, 0, len(k.endpoints))
	for _, e := range k.endpoints {
		list = append(list, e)
		for i := len(list) - 1; i > 0 && list[i-1].ID > list[i].ID; i-- {
			list[i], list[i-1] = list[i-1], list[i]
		}
	}
	return list
}

// SetLimits sets the limits: EINVAL above 8. As in Linux it opens nothing by itself.
func (k *Kernel) SetLimits(l Limits) error {
	if l.Subflows < 0 || l.AddAddrAccepted < 0 || l.Subflows > maxLimit || l.AddAddrAccepted > maxLimit {
		return EINVAL
	}
	k.limits = l
	return nil
}

// Limits returns the limits.
func (k *Kernel) Limits() Limits { return k.limits }

// CheckEndpoint says what is wrong with an endpoint to be added: EINVAL for a port
// that is not signalled, or of a subflow endpoint, for signal with fullmesh, for implicit.
func CheckEndpoint(e Endpoint) error {
	switch {
	case !e.Addr.IsValid(), e.Port != 0 && e.Flags&(Signal|Subflow) != Signal, e.Flags&(Signal|Fullmesh) == Signal|Fullmesh, e.Flags&Implicit != 0:
		return EINVAL
	}
	return nil
}

// AddEndpoint adds an endpoint, for all connections that live and are to come,
// and returns its id. An implicit one with the address becomes a real one and keeps
// its id, if none is asked for.
func (k *Kernel) AddEndpoint(e Endpoint) (uint8, error) {
	e.Addr = e.Addr.Unmap()
	if err := CheckEndpoint(e); err != nil {
		return 0, err
	}
	id, err := k.append(e, true)
	if err != nil {
		return 0, err
	}
	k.added(id)
	return id, nil
}

// added lets the connections that live use a new endpoint.
func (k *Kernel) added(id uint8) {
	e := k.endpoints[k.find(id)]
	for _, c := range k.conns {
		if e.matches(c.local) {
			c.mpcID = id // also if it had another one before
		}
		k.work(c)
	}
}

// append gives an endpoint an id and its place (mptcp_pm_nl_append_new_local_addr).
func (k *Kernel) append(e Endpoint, replace bool) (uint8, error) {
	if len(k.endpoints) >= maxEndpoints {
		return 0, ERANGE
	}
	if e.ID != 0 && k.find(e.ID) >= 0 {
		return 0, EBUSY
	}
	for i := range k.endpoints {
		o := &k.endpoints[i]
		if o.Addr != e.Addr || o.Port != e.Port {
			continue
		}
		switch {
		case o.Flags&Implicit == 0:
			return 0, EEXIST
		case e.ID != 0:
			return 0, EINVAL
		case !replace:
			return o.ID, nil
		}
		e.ID = o.ID
		k.endpoints = append(k.endpoints[:i], k.endpoints[i+1:]...)
		break
	}
	if e.ID == 0 {
		if e.ID = k.freeID(); e.ID == 0 {
			return 0, EINVAL
		}
	}
	k.insert(e)
	return e.ID, nil
}

// insert puts those with a port first: they are more specific.
func (k *Kernel) insert(e Endpoint) {
	k.nextID = max(k.nextID, e.ID)
	k.endpoints = append(k.endpoints, e)
	if e.Port != 0 {
		copy(k.endpoints[1:], k.endpoints[:len(k.endpoints)-1])
		k.endpoints[0] = e
	}
}

// freeID returns the first free id from the last one on; 0: there is none.
func (k *Kernel) freeID() uint8 {
	if k.nextID == 255 {
		k.nextID = 1
	}
	for n := range 255 {
		id := uint8((int(k.nextID)-1+n)%255 + 1)
		if k.find(id) < 0 {
			return id
		}
	}
	return 0
}

func (k *Kernel) find(id uint8) int {
	for i := range k.endpoints {
		if k.endpoints[i].ID == id {
			return i
		}
	}
	return -1
}

// lookup returns the endpoint that an address and port are; -1: none.
func (k *Kernel) lookup(a netip.AddrPort) int {
	for i := range k.endpoints {
		if k.endpoints[i].matches(a) {
			return i
		}
	}
	return -1
}

func (e *Endpoint) matches(a netip.AddrPort) bool {
	return e.Addr == a.Addr() && (e.Port == 0 || e.Port == a.Port())
}

// DeleteEndpoint deletes an endpoint: connections close the subflows from it and
// withdraw what they announced.
func (k *Kernel) DeleteEndpoint(now clock.Instant, id uint8) error {
	i := k.find(id)
	if i < 0 {
		return EINVAL
	}
	e := k.endpoints[i]
	k.endpoints = append(k.endpoints[:i], k.endpoints[i+1:]...)
	for _, c := range k.conns {
		k.leave(c, &e)
		k.watch(now, c)
	}
	return nil
}

// leave takes an address out of a connection: REMOVE_ADDR if the peer knows it,
// and its subflows closed (mptcp_nl_remove_subflow_and_signal_addr).
func (k *Kernel) leave(c *conn, e *Endpoint) {
	using := c.usesAddr(e)
	id := c.id(e)
	announced := c.unannounce(e.ID)
	if announced || using && e.Flags&Implicit == 0 {
		k.do(Action{Kind: Remove, Token: c.token, Path: -1, LocalID: id})
	}
	joins := (using || c.waiting() > 0) && k.closeFrom(c, id)
	if e.Flags&Subflow != 0 {
		c.unuse(id)
	} else {
		c.used.remove(e.ID)
	}
	if c.mpcID == e.ID {
		c.mpcID = 0
	}
	if joins {
		k.work(c)
	}
}

// usesAddr reports whether a subflow comes from the endpoint's address.
func (c *conn) usesAddr(e *Endpoint) bool {
	for i := range c.subflows {
		if p := &c.subflows[i]; !p.waits && e.matches(p.local) {
			return true
		}
	}
	return false
}

// unannounce forgets an announcement.
func (c *conn) unannounce(endpoint uint8) bool {
	for i, id := range c.announced {
		if id == endpoint {
			c.announced = append(c.announced[:i], c.announced[i+1:]...)
			return true
		}
	}
	return false
}

// closeFrom closes the subflows with this local id, and reports whether one was a join.
func (k *Kernel) closeFrom(c *conn, id uint8) (joins bool) {
	kept := c.subflows[:0]
	for _, p := range c.subflows {
		if p.localID != id || p.id < 0 && !p.waits {
			kept = append(kept, p)
			continue
		}
		joins = joins || p.join
		c.leaves(&p)
		if p.waits {
			continue
		}
		k.do(Action{Kind: SubflowDestroy, Token: c.token, Path: p.id})
	}
	c.subflows = kept
	return joins
}

// RemoveID0 closes the initial subflow of the connections that began at an address,
// and says so by REMOVE_ADDR with id 0 ("ip mptcp endpoint delete id 0 ADDRESS").
func (k *Kernel) RemoveID0(now clock.Instant, a netip.Addr) {
	for _, c := range k.conns {
		if c.local.Addr() != a.Unmap() {
			continue
		}
		if i := k.find(c.mpcID); i >= 0 && k.endpoints[i].Port == 0 {
			c.unannounce(c.mpcID)
		}
		k.do(Action{Kind: Remove, Token: c.token, Path: -1, LocalID: 0})
		joins := k.closeFrom(c, 0)
		c.unuse(0)
		if joins {
			k.work(c)
		}
		k.watch(now, c)
	}
}

// FlushEndpoints deletes all endpoints. The peer hears of those that were announced.
func (k *Kernel) FlushEndpoints(now clock.Instant) {
	for _, c := range k.conns {
		var close idSet
		for i := range k.endpoints {
			e := &k.endpoints[i]
			if c.usesAddr(e) {
				close.add(c.id(e))
			}
			if c.unannounce(e.ID) {
				k.do(Action{Kind: Remove, Token: c.token, Path: -1, LocalID: c.id(e)})
			}
		}
		for id := range 256 {
			if close.has(uint8(id)) {
				k.closeFrom(c, uint8(id))
			}
		}
		c.used, c.localUsed = idSet{}, 0
	}
	k.endpoints, k.nextID = k.endpoints[:0], 1
	for _, c := range k.conns {
		k.watch(now, c)
	}
}

// ChangeEndpoint sets the flags Backup and Fullmesh of an endpoint, the only ones
// that can change. Subflows from it are told by MP_PRIO; with Fullmesh, those of a
// subflow endpoint are closed and opened anew.
func (k *Kernel) ChangeEndpoint(id uint8, flags EndpointFlags) error {
	i := k.find(id)
	if i < 0 || flags&Fullmesh != 0 && k.endpoints[i].Flags&(Signal|Implicit) != 0 && k.policy != meshOfLinks {
		return EINVAL
	}
	const mutable = Backup | Fullmesh
	changed := (k.endpoints[i].Flags ^ flags) & mutable
	k.endpoints[i].Flags ^= changed
	e := k.endpoints[i]
	for _, c := range k.conns {
		if changed&Backup != 0 {
			k.setBackup(c, &e)
		}
		if changed&Fullmesh != 0 && e.Flags&Subflow != 0 {
			id := c.id(&e)
			k.closeFrom(c, id)
			c.unuse(id)
			k.work(c)
		}
	}
	return nil
}

// setBackup tells the peer of every subflow from the endpoint. (Linux 6.18 stops
// after the first, which leaves a fullmesh endpoint half changed.)
func (k *Kernel) setBackup(c *conn, e *Endpoint) {
	for i := range c.subflows {
		if p := &c.subflows[i]; p.id >= 0 && e.matches(p.local) {
			k.do(Action{Kind: SetBackup, Token: c.token, Path: p.id, Backup: e.Flags&Backup != 0})
		}
	}
}

// LocalID implements Manager. An address that is no endpoint becomes an implicit
// one, as in Linux: it has an id and no other flag.
func (k *Kernel) LocalID(token uint32, a netip.AddrPort) (uint8, error) {
	if i := k.lookup(a); i >= 0 {
		return k.endpoints[i].ID, nil
	}
	return k.append(Endpoint{Addr: a.Addr(), Flags: Implicit}, false)
}

// Backup implements Manager.
func (k *Kernel) Backup(token uint32, a netip.AddrPort) bool {
	i := k.lookup(a)
	return i >= 0 && k.endpoints[i].Flags&Backup != 0
}
