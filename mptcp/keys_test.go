package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// "ISN = M + F(localip, localport, remoteip, remoteport, secretkey)": for one
// connection it moves with the clock of 4 us; for another, or with another secret, it
// is anywhere else (https://www.rfc-editor.org/rfc/rfc6528#section-3).
func TestISN(t *testing.T) {
	s := New(Env{Seed: [32]byte{1}})
	other := New(Env{Seed: [32]byte{2}})
	local, remote := addrPort("10.0.1.1:1000"), addrPort("10.0.1.2:80")
	at := func(s *Stack, d time.Duration, l, r string) wire.Seq {
		return s.iss(clock.Instant(d), addrPort(l), addrPort(r))
	}
	base := s.iss(0, local, remote)
	if d := s.iss(clock.Instant(time.Second), local, remote) - base; d != 250_000 {
		t.Errorf("in a second it moved by %d, want 250000", d)
	}
	seen := map[wire.Seq]string{base: "the first"}
	for what, iss := range map[string]wire.Seq{
		"another local port":     at(s, 0, "10.0.1.1:1001", "10.0.1.2:80"),
		"another local address":  at(s, 0, "10.0.1.3:1000", "10.0.1.2:80"),
		"another remote port":    at(s, 0, "10.0.1.1:1000", "10.0.1.2:81"),
		"another remote address": at(s, 0, "10.0.1.1:1000", "10.0.1.4:80"),
		"another secret":         at(other, 0, "10.0.1.1:1000", "10.0.1.2:80"),
	} {
		if before, ok := seen[iss]; ok {
			t.Errorf("%s: %d as for %s", what, iss, before)
		}
		if d := int32(iss - base); d > -1000 && d < 1000 {
			t.Errorf("%s: only %d from the first", what, d)
		}
		seen[iss] = what
	}
}
