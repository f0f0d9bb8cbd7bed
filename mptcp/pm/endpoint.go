package pm

import "net/netip"

// Endpoints returns the endpoints in the order of their ids.
func (k *Kernel) Endpoints() []Endpoint { return append([]Endpoint(nil), k.endpoints...) }

// SetLimits sets the limits; connections that live get more subflows if they may.
func (k *Kernel) SetLimits(l Limits) {
	k.limits = l
	for _, c := range k.conns {
		k.work(c)
	}
}

// Limits returns the limits.
func (k *Kernel) Limits() Limits { return k.limits }

// AddEndpoint adds an endpoint, for all connections that live and are to come,
// and returns its id.
func (k *Kernel) AddEndpoint(e Endpoint) (uint8, error) {
	if !e.Addr.IsValid() || e.Port != 0 && e.Flags&Signal == 0 || e.Flags&Signal != 0 && e.Flags&Fullmesh != 0 && e.Flags&Subflow == 0 {
		return 0, ErrInvalid
	}
	for i := range k.endpoints {
		o := &k.endpoints[i]
		if o.Addr == e.Addr && o.Port == e.Port {
			if o.Flags&Implicit == 0 {
				return 0, ErrExists
			}
			e.ID = o.ID // an implicit endpoint becomes a real one
			k.endpoints = append(k.endpoints[:i], k.endpoints[i+1:]...)
			break
		}
		if e.ID != 0 && o.ID == e.ID {
			return 0, ErrExists
		}
	}
	if e.ID == 0 {
		if e.ID = k.freeID(); e.ID == 0 {
			return 0, ErrFull
		}
	}
	k.insert(e)
	for _, c := range k.conns {
		if e.Flags&Subflow != 0 && e.Addr == c.local.Addr() && c.mpcID == 0 {
			c.mpcID, c.used[e.ID] = e.ID, c.initial()
		}
		k.work(c)
	}
	return e.ID, nil
}

func (k *Kernel) insert(e Endpoint) {
	k.endpoints = append(k.endpoints, e)
	for i := len(k.endpoints) - 1; i > 0 && k.endpoints[i-1].ID > e.ID; i-- {
		k.endpoints[i], k.endpoints[i-1] = k.endpoints[i-1], k.endpoints[i]
	}
}

// freeID returns the lowest free id; 0: there is none.
func (k *Kernel) freeID() uint8 {
	for id := 1; id < 256; id++ {
		if k.find(uint8(id)) < 0 {
			return uint8(id)
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

// DeleteEndpoint deletes an endpoint: connections close the subflows from it and
// withdraw what they announced.
func (k *Kernel) DeleteEndpoint(id uint8) error {
	i := k.find(id)
	if i < 0 {
		return ErrMissing
	}
	e := k.endpoints[i]
	k.endpoints = append(k.endpoints[:i], k.endpoints[i+1:]...)
	for _, c := range k.conns {
		k.leave(c, &e)
	}
	return nil
}

// leave takes an address out of a connection: REMOVE_ADDR if the peer knows it,
// and its subflows closed.
func (k *Kernel) leave(c *conn, e *Endpoint) {
	using := false
	for i := range c.subflows {
		p := &c.subflows[i]
		if p.local.Addr() != e.Addr || p.id < 0 || !p.join && e.Flags&Signal != 0 && e.Flags&Subflow == 0 {
			continue
		}
		using = true
	}
	if using || c.announced[e.ID] {
		k.do(Action{Kind: Remove, Token: c.token, Path: -1, LocalID: c.id(e)})
	}
	for i := range c.subflows {
		if p := &c.subflows[i]; using && p.local.Addr() == e.Addr && p.id >= 0 {
			k.do(Action{Kind: SubflowDestroy, Token: c.token, Path: p.id})
		}
	}
	c.used[e.ID], c.announced[e.ID] = false, false
	if c.mpcID == e.ID {
		c.mpcID = 0
	}
}

// FlushEndpoints deletes all endpoints.
func (k *Kernel) FlushEndpoints() {
	for len(k.endpoints) > 0 {
		_ = k.DeleteEndpoint(k.endpoints[0].ID) // it exists
	}
}

// ChangeEndpoint sets the flags Backup and Fullmesh of an endpoint, the only ones
// that can change; subflows from it are told by MP_PRIO.
func (k *Kernel) ChangeEndpoint(id uint8, flags EndpointFlags) error {
	i := k.find(id)
	if i < 0 {
		return ErrMissing
	}
	const mutable = Backup | Fullmesh
	e := &k.endpoints[i]
	changed := e.Flags ^ flags
	e.Flags = e.Flags&^mutable | flags&mutable
	for _, c := range k.conns {
		if changed&Backup != 0 {
			for j := range c.subflows {
				if p := &c.subflows[j]; p.local.Addr() == e.Addr && p.id >= 0 {
					k.do(Action{Kind: SetBackup, Token: c.token, Path: p.id, Backup: flags&Backup != 0})
				}
			}
		}
		if changed&Fullmesh != 0 && flags&Fullmesh != 0 {
			c.used[id] = false
			k.work(c)
		}
	}
	return nil
}

// ID returns the address id of one of our addresses. An address that is no
// endpoint becomes an implicit one, as in the kernel: it has an id and no flag.
func (k *Kernel) ID(a netip.Addr) uint8 {
	for i := range k.endpoints {
		if k.endpoints[i].Addr == a {
			return k.endpoints[i].ID
		}
	}
	id := k.freeID()
	if id != 0 {
		k.insert(Endpoint{ID: id, Addr: a, Flags: Implicit})
	}
	return id
}

// Backup reports whether the address is an endpoint for backup.
func (k *Kernel) Backup(a netip.Addr) bool {
	for i := range k.endpoints {
		if k.endpoints[i].Addr == a {
			return k.endpoints[i].Flags&Backup != 0
		}
	}
	return false
}

// linkUp makes an address an endpoint of the automatic mesh. The kernel does
// nothing by itself: who configures interfaces adds endpoints, too.
func (k *Kernel) linkUp(a netip.Addr) {
	if !k.auto {
		return
	}
	// An address that is there already stays as it is.
	_, _ = k.AddEndpoint(Endpoint{Addr: a, Flags: Signal | Subflow | Fullmesh})
}

func (k *Kernel) linkDown(a netip.Addr) {
	if !k.auto {
		return
	}
	for i := range k.endpoints {
		if k.endpoints[i].Addr == a {
			_ = k.DeleteEndpoint(k.endpoints[i].ID) // it exists
			return
		}
	}
}
