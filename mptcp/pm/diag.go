package pm

// Tally counts what a connection has used of the limits, as MPTCP_INFO tells it.
type Tally struct {
	Subflows        int // beside the first, also those under way
	AddAddrSignal   int // addresses announced
	AddAddrAccepted int
	LocalAddrUsed   int // endpoints from which subflows were opened
}

// Tally returns the counts of a connection; zero if it is not known (yet).
func (k *Kernel) Tally(token uint32) Tally {
	c := k.byToken[token]
	if c == nil {
		return Tally{}
	}
	t := Tally{Subflows: c.extra, AddAddrAccepted: c.addAccepted}
	for i := range k.endpoints {
		e := &k.endpoints[i]
		if c.announced[e.ID] {
			t.AddAddrSignal++
		}
		if e.Flags&Subflow != 0 && c.used[e.ID] && e.ID != c.mpcID {
			t.LocalAddrUsed++
		}
	}
	return t
}
