package pm

// Tally counts what a connection has used of the limits, as MPTCP_INFO tells it.
type Tally struct {
	Subflows        int // beside the first, also those under way
	AddAddrSignal   int // addresses announced
	AddAddrAccepted int
	LocalAddrUsed   int // endpoints from which subflows were opened
}

// Tally implements Manager.
func (k *Kernel) Tally(token uint32) Tally {
	c := k.byToken[token]
	if c == nil {
		return Tally{}
	}
	return Tally{Subflows: c.extra, AddAddrSignal: len(c.announced), AddAddrAccepted: c.accepted, LocalAddrUsed: c.localUsed}
}

// Tally implements Manager.
func (u *Userspace) Tally(token uint32) Tally {
	c := u.conns[token]
	if c == nil {
		return Tally{}
	}
	t := Tally{AddAddrSignal: len(c.announced), LocalAddrUsed: len(c.addrs)}
	for i := range c.subflows {
		if c.subflows[i].join {
			t.Subflows++
		}
	}
	return t
}
