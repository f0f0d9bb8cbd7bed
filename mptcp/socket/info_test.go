package socket

import (
	"bytes"
	"testing"
	"time"

	"mptcplab/mptcp"
)

// linked returns the descriptors of a connection of two sockets, and the listener.
func (w *world) linked(proto int) (cli, acc, srv int) {
	w.t.Helper()
	srv, _ = w.l.Socket(AFInet, SockStream, proto)
	w.l.Bind(srv, here)
	w.l.Listen(srv, 5)
	cli, _ = w.l.Socket(AFInet, SockStream, IPProtoMPTCP)
	con := w.start(w.l.ConnectOp(w.now, cli, here))
	w.run(50 * time.Millisecond)
	w.want(con, 0, OK)
	acc, e := w.l.Accept(srv)
	if e != OK {
		w.t.Fatal(e)
	}
	return cli, acc, srv
}

// TestPeek: MSG_PEEK returns what the next read returns, also where the ring wraps.
func TestPeek(t *testing.T) {
	w := newWorld(t)
	cli, acc, _ := w.linked(IPProtoMPTCP)
	if _, e := w.l.Read(acc, buf[:10], MsgPeek); e != EAGAIN {
		t.Errorf("peek at nothing: %v", e)
	}
	next := byte(0)
	for range 20 {
		p := make([]byte, 7001)
		for i := range p {
			p[i] = next
			next++
		}
		w.want(w.start(w.l.WriteOp(w.now, cli, p, 0)), len(p), OK)
		w.run(50 * time.Millisecond)
		a, b := make([]byte, 9000), make([]byte, 9000)
		n, e := w.l.Read(acc, a, MsgPeek)
		m, e2 := w.l.Read(acc, b, 0)
		if n != len(p) || m != n || e != OK || e2 != OK || !bytes.Equal(a[:n], b[:m]) || !bytes.Equal(b[:m], p) {
			t.Fatalf("peeked %d %v, read %d %v", n, e, m, e2)
		}
	}
	w.l.Close(cli)
	w.run(50 * time.Millisecond)
	if n, e := w.l.Read(acc, buf[:10], MsgPeek); n != 0 || e != OK {
		t.Errorf("peek at the end: %d %v", n, e)
	}
}

// TestInfo: MPTCP_INFO of a live, an unconnected and a fallen socket, as Linux 6.18
// answers.
func TestInfo(t *testing.T) {
	w := newWorld(t)
	cli, acc, _ := w.linked(IPProtoMPTCP)
	a, e1 := w.l.Info(w.now, cli)
	b, e2 := w.l.Info(w.now, acc)
	if e1 != OK || e2 != OK || a.MPTCP.Flags != mptcp.InfoRemoteKeyReceived || len(a.Subflows) != 1 || len(b.Subflows) != 1 ||
		a.Subflows[0].TokenLoc != b.Subflows[0].TokenRem {
		t.Errorf("%v %+v\n%v %+v", e1, a, e2, b)
	}
	fd, _ := w.l.Socket(AFInet, SockStream, IPProtoMPTCP)
	if d, e := w.l.Info(w.now, fd); e != OK || d.State != "UNCONN" {
		t.Errorf("unconnected: %+v %v", d, e)
	}
	plain, _ := w.l.Socket(AFInet, SockStream, IPProtoTCP)
	if _, e := w.l.Info(w.now, plain); e != EOPNOTSUPP {
		t.Errorf("TCP: %v", e)
	}
	w = newWorld(t)
	cli, _, _ = w.linked(IPProtoTCP)
	if _, e := w.l.Info(w.now, cli); e != EOPNOTSUPP {
		t.Errorf("fallen: %v", e)
	}
	if v, _ := w.l.Option(cli, SOLTCP, TCPIsMPTCP); v != 0 {
		t.Error("TCP_IS_MPTCP after fallback")
	}
}

// TestReconnect: a socket that was disconnected connects again and carries data,
// over and over, as mptcp_connect -I does.
func TestReconnect(t *testing.T) {
	w := newWorld(t)
	cli, acc, srv := w.linked(IPProtoMPTCP)
	for i := range 3 {
		w.want(w.start(w.l.WriteOp(w.now, cli, []byte("hello"), 0)), 5, OK)
		w.run(50 * time.Millisecond)
		if n, e := w.l.Read(acc, buf[:10], 0); n != 5 || e != OK {
			t.Fatalf("round %d: read %d %v", i, n, e)
		}
		if e := w.l.Disconnect(cli); e != OK {
			t.Fatal(e)
		}
		if _, e := w.l.Write(cli, []byte("x"), 0); e != EPIPE {
			t.Errorf("write after disconnect: %v", e)
		}
		w.run(50 * time.Millisecond)
		if _, e := w.l.Read(acc, buf[:10], 0); e != ECONNRESET {
			t.Errorf("the peer of a disconnect reads %v", e)
		}
		w.l.Close(acc)
		con := w.start(w.l.ConnectOp(w.now, cli, here))
		w.run(50 * time.Millisecond)
		w.want(con, 0, OK)
		var e Errno
		if acc, e = w.l.Accept(srv); e != OK {
			t.Fatal(e)
		}
	}
}

// TestSubflowOption: options of one subflow by its id.
func TestSubflowOption(t *testing.T) {
	w := newWorld(t)
	cli, _, _ := w.linked(IPProtoMPTCP)
	for _, o := range []struct{ level, name, set, get int }{
		{SOLSocket, SOMark, 5, 5}, {SOLTCP, TCPNoDelay, 1, 1}, {SOLTCP, TCPUserTimeout, 700, 700}, {SOLTCP, TCPKeepIdle, 9, 9},
		{SOLTCP, TCPKeepIntvl, 3, 3}, {SOLTCP, TCPKeepCnt, 2, 2}, {SOLIP, IPTOS, 0x23, 0x20}, {SOLIP, IPTTL, 12, 12},
	} {
		before, _ := w.l.Option(cli, o.level, o.name)
		if e := w.l.SetSubflowOption(cli, 0, o.level, o.name, o.set); e != OK {
			t.Errorf("%+v: %v", o, e)
		}
		if v, e := w.l.SubflowOption(cli, 0, o.level, o.name); v != o.get || e != OK {
			t.Errorf("%+v: got %d %v", o, v, e)
		}
		if v, _ := w.l.Option(cli, o.level, o.name); v != before {
			t.Errorf("%+v: the connection's own is %d now", o, v)
		}
	}
	if e := w.l.SetSubflowOption(cli, 3, SOLIP, IPTOS, 4); e != ENOENT {
		t.Errorf("no such subflow: %v", e)
	}
	if e := w.l.SetSubflowOption(cli, 0, SOLTCP, TCPCork, 1); e != ENOPROTOOPT {
		t.Errorf("an option of the stream: %v", e)
	}
}
