package pm

import (
	"net/netip"

	"mptcplab/mptcp/clock"
)

// work announces a signal endpoint and opens subflows from subflow endpoints, as
// far as the limits allow (mptcp_pm_create_subflow_or_signal_addr). Addresses are
// announced one at a time: the next one follows the echo of the last, or its last
// repetition.
func (k *Kernel) work(c *conn) {
	if k.policy == singlePath {
		return
	}
	var both *Endpoint // just announced, and to be used
	defer func() {
		if both != nil && both.ID != c.mpcID {
			c.localUsed++ // it counts as used, though there was no room for a subflow
		}
	}()
	if k.announces(c) && len(c.announced) < k.count(Signal) {
		if c.announcing {
			return
		}
		if e := k.nextSignal(c); e != nil {
			c.used.add(e.ID)
			c.announced = append(c.announced, e.ID)
			c.announcing = true
			k.do(Action{Kind: Announce, Token: c.token, Path: -1, Local: netip.AddrPortFrom(e.Addr, e.Port), LocalID: c.id(e)})
			if e.Flags&Subflow != 0 && k.connects(c) {
				both = e
			}
		}
	}
	if k.cFlagCase(c) || !k.connects(c) {
		return
	}
	for c.localUsed < k.count(Subflow) && c.extra < k.limits.Subflows {
		e := both
		if both = nil; e == nil {
			if e = k.nextSubflow(c); e == nil {
				return
			}
		}
		c.use(e)
		k.connect(c, e)
	}
}

// count returns how many endpoints have a flag.
func (k *Kernel) count(flag EndpointFlags) (n int) {
	for i := range k.endpoints {
		if k.endpoints[i].Flags&flag != 0 {
			n++
		}
	}
	return n
}

// nextSignal returns the next endpoint to announce.
func (k *Kernel) nextSignal(c *conn) *Endpoint {
	for i := range k.endpoints {
		if e := &k.endpoints[i]; e.Flags&Signal != 0 && !c.used.has(e.ID) {
			return e
		}
	}
	return nil
}

// nextSubflow returns the next endpoint to open subflows from.
func (k *Kernel) nextSubflow(c *conn) *Endpoint {
	for i := range k.endpoints {
		if e := &k.endpoints[i]; e.Flags&Subflow != 0 && !c.used.has(e.ID) {
			return e
		}
	}
	return nil
}

// use marks an endpoint as used; the initial address does not count.
func (c *conn) use(e *Endpoint) {
	c.used.add(e.ID)
	if e.ID != c.mpcID {
		c.localUsed++
	}
}

// unuse takes that back, by id in the connection.
func (c *conn) unuse(id uint8) {
	endpoint := id
	if id == 0 {
		endpoint = c.mpcID
	}
	if !c.used.has(endpoint) {
		return
	}
	c.used.remove(endpoint)
	if id != 0 && c.localUsed > 0 {
		c.localUsed--
	}
}

// id is the endpoint's id in the connection: the initial address has 0.
func (c *conn) id(e *Endpoint) uint8 {
	if e.ID == c.mpcID {
		return 0
	}
	return e.ID
}

// familiesMatch reports whether a subflow from local to remote can be one of the
// connection: an IPv4 socket takes IPv4 ones only, an IPv6 socket both kinds.
func (c *conn) familiesMatch(local, remote netip.Addr) bool {
	return local.Is4() == remote.Is4() && (local.Is4() || !c.v4only)
}

// connect opens subflows from e: to the initial address of the peer, or with
// Fullmesh to all remote addresses that are in use.
func (k *Kernel) connect(c *conn, e *Endpoint) {
	if e.Flags&Fullmesh == 0 {
		if !c.denyID0 && c.familiesMatch(e.Addr, c.remote.Addr()) {
			k.create(c, e, c.remote, 0, 0)
		}
		return
	}
	var done idSet // remote ids that this address is connected to
	id := c.id(e)
	for i := range c.subflows {
		if p := &c.subflows[i]; p.localID == id && p.local.Addr() == e.Addr {
			done.add(p.remoteID)
		}
	}
	for i := 0; i < len(c.subflows) && c.extra < k.limits.Subflows; i++ {
		p := c.subflows[i]
		if c.denyID0 && p.remoteID == 0 || done.has(p.remoteID) || !c.familiesMatch(e.Addr, p.remote.Addr()) {
			continue
		}
		done.add(p.remoteID)
		k.connectPair(c, e.Addr, id, p.remote, p.remoteID, e.Flags&Backup != 0)
	}
}

// create asks for one subflow from an endpoint; offer is the ADD_ADDR that it answers.
func (k *Kernel) create(c *conn, e *Endpoint, to netip.AddrPort, toID uint8, offer int) {
	k.start(c, path{id: -1, local: netip.AddrPortFrom(e.Addr, 0), remote: to, localID: c.id(e), remoteID: toID, offer: offer}, e.Flags&Backup != 0)
}

func (k *Kernel) start(c *conn, p path, backup bool) {
	p.join, p.requested, p.backup = true, true, backup
	if p.waits = k.joinAt != nil && k.policy != singlePath && k.perPair == 1; p.waits {
		p.at = k.joinAt()
	}
	c.extra++
	c.subflows = append(c.subflows, p)
	if !p.waits {
		k.begin(c, &p)
	}
}

func (k *Kernel) begin(c *conn, p *path) {
	k.do(Action{Kind: SubflowCreate, Token: c.token, Path: -1, Local: p.local, Remote: p.remote, LocalID: p.localID, RemoteID: p.remoteID, Backup: p.backup})
}

// beginDelayed opens the subflows whose time has come, but not between two addresses
// that the peer has connected meanwhile.
//
// "If a host does not support TCP simultaneous open, it is RECOMMENDED that some element
// of randomization be applied to the time to wait before opening new subflows, so that
// only one subflow is created between a given address pair."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.9.2).
func (k *Kernel) beginDelayed(now clock.Instant, c *conn) {
	for i := 0; i < len(c.subflows); i++ {
		p := &c.subflows[i]
		if !p.waits || p.at > now {
			continue
		}
		if c.extra > k.limits.Subflows || c.connected(p) {
			c.drop(p)
			i--
			continue
		}
		p.waits = false
		k.begin(c, p)
	}
}

// connected reports whether there is a subflow between the addresses of p.
func (c *conn) connected(p *path) bool {
	for i := range c.subflows {
		if o := &c.subflows[i]; !o.waits && o.remote.Addr() == p.remote.Addr() && (o.local.Addr() == p.local.Addr() || !p.local.IsValid()) {
			return true
		}
	}
	return false
}

// waiting counts the subflows whose time has not come.
func (c *conn) waiting() (n int) {
	for i := range c.subflows {
		if c.subflows[i].waits {
			n++
		}
	}
	return n
}

// cFlagCase is the exception for a peer that takes no join to its initial address:
// with limits that accept no ADD_ADDR one is used after all, from the subflow
// endpoints (mptcp_pm_add_addr_c_flag_case).
func (k *Kernel) cFlagCase(c *conn) bool {
	return c.denyID0 && c.localUsed == 0 && k.limits.AddAddrAccepted == 0 && c.extra < k.limits.Subflows
}

// peerAnnounced takes an address of the peer (mptcp_pm_nl_add_addr_received).
func (k *Kernel) peerAnnounced(c *conn, e *Event) {
	full := c.accepted >= k.limits.AddAddrAccepted || c.extra >= k.limits.Subflows
	to := e.Remote
	if to.Port() == 0 { // the one of the subflow that brought it
		port := c.remote.Port()
		if p := c.find(e.Path); p != nil {
			port = p.remote.Port()
		}
		to = netip.AddrPortFrom(to.Addr(), port)
	}
	switch {
	case k.policy == singlePath, k.policy == ndiffports:
		return
	case e.RemoteID == 0 && to != c.remote: // id 0 is the initial address
		return
	case e.RemoteID > 0 && full && !k.cFlagCase(c), c.extra >= k.limits.Subflows:
		return
	}
	for i := range c.subflows {
		if r := c.subflows[i].remote; r.Addr() == e.Remote.Addr() && (e.Remote.Port() == 0 || r.Port() == e.Remote.Port()) {
			return
		}
	}
	c.offer++
	k.join(c, to, e.RemoteID)
}

// join opens subflows to an announced address: from all fullmesh endpoints if there
// are any, else from one laminar endpoint that has no subflow yet, else from whatever
// address the route gives (fill_local_addresses_vec).
func (k *Kernel) join(c *conn, to netip.AddrPort, id uint8) {
	cFlag := id != 0 && k.cFlagCase(c)
	switch {
	case k.count(Fullmesh) > 0:
		k.joinFullmesh(c, to, id, cFlag)
	case k.count(Laminar) > 0:
		k.joinLaminar(c, to, id)
	case cFlag:
		for c.localUsed < k.count(Subflow) && c.extra < k.limits.Subflows {
			e := k.nextSubflow(c)
			if e == nil {
				return
			}
			c.used.add(e.ID)
			if e.ID != c.mpcID && c.familiesMatch(e.Addr, to.Addr()) {
				c.localUsed++
				k.create(c, e, to, id, c.offer)
			}
		}
	case !c.v4only || to.Addr().Is4():
		k.start(c, path{id: -1, remote: to, remoteID: id, offer: c.offer}, false)
	}
}

func (k *Kernel) joinFullmesh(c *conn, to netip.AddrPort, id uint8, cFlag bool) {
	for i := range k.endpoints {
		e := &k.endpoints[i]
		if c.extra >= k.limits.Subflows {
			return
		}
		if e.Flags&Fullmesh == 0 || !c.familiesMatch(e.Addr, to.Addr()) {
			continue
		}
		if cFlag && e.Flags&Subflow != 0 {
			c.use(e)
		}
		for n := 0; n < k.perPair && c.extra < k.limits.Subflows; n++ {
			k.create(c, e, to, id, c.offer)
		}
	}
}

func (k *Kernel) joinLaminar(c *conn, to netip.AddrPort, id uint8) {
	var busy idSet
	for i := range c.subflows {
		busy.add(c.subflows[i].localID)
	}
	for i := range k.endpoints {
		e := &k.endpoints[i]
		if e.Flags&Laminar == 0 || !c.familiesMatch(e.Addr, to.Addr()) || busy.has(c.id(e)) {
			continue
		}
		if e.Flags&Subflow != 0 {
			c.use(e)
		}
		k.create(c, e, to, id, c.offer)
		return
	}
}
