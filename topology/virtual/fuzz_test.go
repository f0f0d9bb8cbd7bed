package virtual

import (
	"testing"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

// FuzzForward feeds arbitrary packets to a router and a switch: nothing breaks,
// nothing grows, and what a router forwards has lost one of its hops.
func FuzzForward(f *testing.F) {
	f.Add(packet("10.0.0.2", "10.0.1.2", 1, 100), uint8(0))
	f.Add(packet("fd00::2", "fd00:0:0:3::2", 1, 1400), uint8(2))
	f.Add(packet("10.0.0.2", "10.0.0.1", 1, 0), uint8(1))
	f.Add(wire.AppendICMPError(nil, addr("10.0.1.1").Addr(), wire.ICMPTimeExceeded, 0, packet("10.0.0.2", "10.9.9.9", 1, 9)), uint8(3))
	f.Add([]byte{0x60}, uint8(4))
	router, sw := crossroads(true), accessPoint()
	f.Fuzz(func(t *testing.T, pkt []byte, link uint8) {
		if len(pkt) > 65535 {
			return
		}
		for _, m := range []machine.Machine{NewRouter(router, []int{1500, 576, 1500, 1280}, 1), NewSwitch(sw, "ap")} {
			c := machine.Checked(m)
			buf := make([]byte, machine.BufferSize)
			for range 3 {
				c.Input(0, machine.Meta{Link: machine.LinkID(link % 5)}, pkt)
			}
			sent := 0
			for {
				_, n, ok := c.Output(0, buf)
				if !ok {
					break
				}
				sent++
				if r, isRouter := m.(*Router); isRouter && r.Counters.Forwarded == 3 && n == len(pkt) && buf[0]>>4 == 4 && buf[8] != pkt[8]-1 {
					t.Fatalf("TTL %d became %d", pkt[8], buf[8])
				}
			}
			if limit := 3 * (len(router.Interfaces) + 1); sent > limit {
				t.Fatalf("%d packets of three", sent)
			}
			if c.Deadline() != clock.Never || c.Err() != nil {
				t.Fatal(c.Deadline(), c.Err())
			}
		}
	})
}
