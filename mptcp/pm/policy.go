package pm

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
)

// policy is what is done with the endpoints.
type policy uint8

const (
	linux policy = iota
	// fullMesh connects every own address with every address of the peer: the path
	// manager of that name of MPTCP v0. Without endpoints it takes the links' addresses.
	fullMesh
	meshOfLinks
	// ndiffports opens subflows between the two initial addresses, at several ports.
	ndiffports
	// singlePath is break-before-make: one subflow at a time, the next one when it is gone.
	singlePath
)

// autoLimit bounds the subflows of the policies that ask for no limits: as many as
// a connection can have (sched.MaxPaths).
const autoLimit = 31

// NewKernel returns the path manager with endpoints, "kernel" or "", or a policy
// over endpoints: "fullmesh", "ndiffports", "single-path".
func NewKernel(cfg Config) (*Kernel, error) {
	k := &Kernel{limits: cfg.Limits, byToken: make(map[uint32]*conn), nextID: 1, perPair: max(cfg.SubflowsPerPair, 1), bringUp: cfg.BringUp, joinAt: cfg.JoinAt}
	endpoints := append([]Endpoint(nil), cfg.Endpoints...)
	switch cfg.Name {
	case "", "kernel", "userspace":
		k.policy = linux
	case "fullmesh":
		k.policy = fullMesh
		if len(endpoints) == 0 {
			k.policy = meshOfLinks
		}
		for i := range endpoints {
			if endpoints[i].Flags&Signal == 0 {
				endpoints[i].Flags |= Subflow | Fullmesh
			}
		}
	case "ndiffports":
		k.policy = ndiffports
	case "single-path":
		k.policy = singlePath
	default:
		return nil, ENOENT
	}
	if (k.policy == fullMesh || k.policy == meshOfLinks || k.policy == ndiffports) && cfg.Limits == (Limits{}) {
		k.limits = Limits{Subflows: autoLimit, AddAddrAccepted: 8}
	}
	for _, e := range endpoints {
		if _, err := k.AddEndpoint(e); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// announces and connects say what a mesh of links leaves to whom: the server
// announces, the client connects.
func (k *Kernel) announces(c *conn) bool { return k.policy != meshOfLinks || c.server }
func (k *Kernel) connects(c *conn) bool {
	return k.policy != ndiffports && (k.policy != meshOfLinks || !c.server)
}

// connectPair opens the subflows that a pair of addresses lacks.
func (k *Kernel) connectPair(c *conn, local netip.Addr, localID uint8, remote netip.AddrPort, remoteID uint8, backup bool) {
	have := 0
	for i := range c.subflows {
		if p := &c.subflows[i]; p.local.Addr() == local && p.remote == remote {
			have++
		}
	}
	for ; have < k.perPair && c.extra < k.limits.Subflows; have++ {
		k.start(c, path{id: -1, local: netip.AddrPortFrom(local, 0), remote: remote, localID: localID, remoteID: remoteID}, backup)
	}
}

// linkUp makes an address an endpoint of the mesh of links. Linux does nothing by
// itself: who configures interfaces adds endpoints, too.
func (k *Kernel) linkUp(a netip.Addr) {
	if k.policy != meshOfLinks || a.Is6() && a.IsLinkLocalUnicast() || k.lookup(netip.AddrPortFrom(a, 0)) >= 0 {
		return
	}
	if id := k.freeID(); id != 0 {
		k.insert(Endpoint{ID: id, Addr: a, Flags: Signal | Subflow | Fullmesh})
		k.added(id)
	}
}

func (k *Kernel) linkDown(now clock.Instant, a netip.Addr) {
	switch k.policy {
	case meshOfLinks:
		if i := k.lookup(netip.AddrPortFrom(a, 0)); i >= 0 {
			_ = k.DeleteEndpoint(now, k.endpoints[i].ID) // it exists
		}
	case singlePath:
		for _, c := range k.conns {
			for i := len(c.subflows) - 1; i >= 0; i-- {
				if p := &c.subflows[i]; p.local.Addr() == a && p.id >= 0 {
					k.abandon(c, p)
				}
			}
			k.watch(now, c)
		}
	}
}

// subStale gives up the only path of single-path when nothing gets through.
func (k *Kernel) subStale(c *conn, e *Event) {
	if p := c.find(e.Path); p != nil && k.policy == singlePath && !c.server {
		k.abandon(c, p)
	}
}

func (k *Kernel) abandon(c *conn, p *path) {
	k.do(Action{Kind: SubflowDestroy, Token: c.token, Path: p.id})
	c.drop(p)
}

// nextPath is when and from which endpoint single-path goes on.
type nextPath struct {
	at     clock.Instant
	last   uint8 // id of the endpoint that was used last
	failed bool  // the last attempt came to nothing
}

// resets is what the peer's RSTs said of paths.
type resets struct {
	barred idSet         // endpoints whose path was reset for good
	again  clock.Instant // not before then from the same endpoint
}

// retryReset is how long single-path leaves a path alone that the peer has reset for lack
// of resources, performance and the like, but not for good.
const retryReset = 10 * time.Second

// noteReset heeds what a RST of the peer's says of the path: "the receiver of the RST
// segment SHOULD NOT try to re-establish a subflow for this connection over this path"
// without the flag T; with it the time to wait "SHOULD take into account the properties of
// the failure as defined by the provided reason code"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.6). Only single-path opens subflows anew.
func (k *Kernel) noteReset(now clock.Instant, c *conn, e *Event) {
	i := k.lookup(e.Local)
	if !e.Reset || i < 0 || c.find(e.Path) == nil || k.policy != singlePath {
		return
	}
	said := k.resets[c.token]
	const transient = 1
	switch {
	case e.ResetFlags&transient == 0:
		said.barred.add(k.endpoints[i].ID)
	case e.ResetReason == 2, e.ResetReason == 3, e.ResetReason == 5, e.ResetReason == 6:
		said.again = now.Add(retryReset)
	}
	if k.resets == nil {
		k.resets = map[uint32]resets{}
	}
	k.resets[c.token] = said
}

// retryPath is how long single-path waits after an attempt that came to nothing, if
// bringing up takes less.
const retryPath = time.Second

// watch begins to bring up the next path when the only one is gone. The side that
// opened the connection does that.
func (k *Kernel) watch(now clock.Instant, c *conn) {
	if k.policy != singlePath || c.server {
		return
	}
	switch {
	case len(c.subflows) > 0:
		c.next.at = clock.Never
	case c.next.at == clock.Never && c.next.failed:
		c.next.at = now.Add(max(k.bringUp, retryPath))
	case c.next.at == clock.Never:
		c.next.at = now.Add(max(k.bringUp, 1)) // not within the instant
	}
}

// openNext opens a subflow from the endpoint after the one that was used last.
func (k *Kernel) openNext(now clock.Instant, c *conn) {
	if c.next.last == 0 {
		c.next.last = c.mpcID
	}
	said := k.resets[c.token]
	var first, next *Endpoint
	for i := range k.endpoints {
		e := &k.endpoints[i]
		if e.Flags&Subflow == 0 || !c.familiesMatch(e.Addr, c.remote.Addr()) || said.barred.has(e.ID) {
			continue
		}
		if first == nil || e.ID < first.ID {
			first = e
		}
		if e.ID > c.next.last && (next == nil || e.ID < next.ID) {
			next = e
		}
	}
	if next == nil {
		next = first
	}
	if next == nil || c.denyID0 {
		c.next.at = now.Add(max(k.bringUp, retryPath)) // an endpoint may come
		return
	}
	if next.ID == c.next.last && now < said.again {
		c.next.at = said.again
		return
	}
	c.next.last = next.ID
	k.create(c, next, c.remote, 0, 0)
}
