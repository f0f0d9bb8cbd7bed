package mptcp

import "net/netip"

// Listener accepts connections at one address and port.
type Listener struct {
	stack *Stack
	addr  netip.AddrPort
}

// Accept returns the next connection whose handshake is done; false: there is
// none now.
func (l *Listener) Accept() (*Conn, bool) { return nil, false }

// Addr returns the address that is listened at.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Close stops listening. Connections not accepted yet are aborted.
func (l *Listener) Close() {}
