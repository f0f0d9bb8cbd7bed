package socket

import (
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
)

// The path manager hears of an IPv4 socket that it takes no IPv6 subflow; of an IPv6
// socket it does not, also if it is connected to an IPv4 address, nor of one that was
// accepted at [::] (mptcp_join.sh, mixed_tests).
func TestFamilyOfSubflows(t *testing.T) {
	for _, family := range []int{AFInet, AFInet6} {
		w := newWorld(t)
		v4only := map[bool]bool{} // by ServerSide
		w.s.Monitor(func(_ clock.Instant, e pm.Event) {
			if e.Kind == pm.Established {
				v4only[e.ServerSide] = e.V4Only
			}
		})
		srv, _ := w.l.Socket(AFInet6, SockStream, IPProtoMPTCP)
		w.l.Bind(srv, netip.MustParseAddrPort("[::]:80"))
		w.l.Listen(srv, 5)
		cli, _ := w.l.Socket(family, SockStream, IPProtoMPTCP)
		con := w.start(w.l.ConnectOp(w.now, cli, here))
		w.run(50 * time.Millisecond)
		w.want(con, 0, OK)
		w.want(w.start(w.l.WriteOp(w.now, cli, []byte("x"), 0)), 1, OK)
		w.run(time.Second)
		if len(v4only) != 2 || v4only[true] || v4only[false] != (family == AFInet) {
			t.Errorf("family %d: %v", family, v4only)
		}
	}
}
