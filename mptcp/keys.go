package mptcp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// draw returns PRF(seed, purpose, conn, ordinal): the stack's only source of
// randomness. No draw depends on how many others there were, so that adding a
// path changes no key.
func (s *Stack) draw(purpose string, conn, ordinal uint32) uint64 {
	h := hmac.New(sha256.New, s.env.Seed[:])
	var b [8]byte
	binary.BigEndian.PutUint32(b[:], conn)
	binary.BigEndian.PutUint32(b[4:], ordinal)
	h.Write([]byte(purpose))
	h.Write(b[:])
	var sum [sha256.Size]byte
	return binary.BigEndian.Uint64(h.Sum(sum[:0]))
}

// flowHash returns PRF(seed, purpose, local, remote).
func (s *Stack) flowHash(purpose string, local, remote netip.AddrPort) uint64 {
	h := hmac.New(sha256.New, s.env.Seed[:])
	h.Write([]byte(purpose))
	var b [36]byte
	a, r := local.Addr().As16(), remote.Addr().As16()
	copy(b[:], a[:])
	copy(b[16:], r[:])
	binary.BigEndian.PutUint16(b[32:], local.Port())
	binary.BigEndian.PutUint16(b[34:], remote.Port())
	h.Write(b[:])
	var sum [sha256.Size]byte
	return binary.BigEndian.Uint64(h.Sum(sum[:0]))
}

// iss returns the initial sequence number of a new TCP connection: "ISN = M +
// F(localip, localport, remoteip, remoteport, secretkey)" with M "the 4
// microsecond timer" (https://www.rfc-editor.org/rfc/rfc6528#section-3).
func (s *Stack) iss(now clock.Instant, local, remote netip.AddrPort) wire.Seq {
	const tick = 4000 // ns
	return wire.Seq(uint32(now/tick) + uint32(s.flowHash("isn", local, remote)))
}

// tsClock returns the timestamp clock of a connection (RFC 7323, 5.4).
func (s *Stack) tsClock(now clock.Instant, local, remote netip.AddrPort) uint32 {
	return uint32(int64(now)/int64(time.Millisecond)) + s.tsOffset(local, remote)
}

// tsOffset randomises timestamps per pair of ends (RFC 7323, 7.1).
func (s *Stack) tsOffset(local, remote netip.AddrPort) uint32 {
	return uint32(s.flowHash("timestamp", local, remote))
}

// freshKey draws a key for the connection with the ordinal and keeps its token for it.
//
// "an implementation SHOULD check its list of connection tokens to ensure that there
// is no collision before sending its key, and if there is, then it should generate
// a new key" (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func (s *Stack) freshKey(ordinal uint32) (key uint64, token uint32) {
	for try := uint32(0); ; try++ {
		key = s.draw("key", ordinal, try)
		token = wire.Token(key)
		if _, taken := s.tokens[token]; !taken && token != 0 {
			s.tokens[token] = nil
			return key, token
		}
	}
}

// setKey gives c its key and enters its token.
func (c *Conn) setKey(key uint64, token uint32) {
	c.localKey, c.token = key, token
	c.sndBase = wire.IDSN(key).Add(1) // "IDSN+1" is the first octet of data
	c.stack.tokens[token] = c
}

// dropToken forgets c's token: nobody may join any more.
func (s *Stack) dropToken(c *Conn) {
	if c.token != 0 && s.tokens[c.token] == c {
		delete(s.tokens, c.token)
	}
}
