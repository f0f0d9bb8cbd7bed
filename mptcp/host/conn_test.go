package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/pm"
)

// stacks are two hosts with two links between them.
func stacks(t testing.TB) (client, server *Stack) {
	t.Helper()
	var devices [2][]link.Device
	for range 2 {
		a, b, err := link.Pipe(1500, 0)
		if err != nil {
			t.Fatal(err)
		}
		devices[0], devices[1] = append(devices[0], a), append(devices[1], b)
	}
	c := NewClock()
	var s [2]*Stack
	for i := range s {
		env := mptcp.Env{Seed: [32]byte{byte(i + 1)}, Host: mptcp.HostConfig{Limits: pm.Limits{Subflows: 2, AddAddrAccepted: 2}}}
		for k := range 2 {
			p := netip.MustParsePrefix(fmt.Sprintf("10.0.%d.%d/24", k+1, i+1))
			env.Links = append(env.Links, mptcp.Link{Name: fmt.Sprint("link", k), Prefixes: []netip.Prefix{p},
				Routes: []mptcp.Route{{Prefix: p.Masked()}}, MTU: 1500, Up: true})
		}
		if i == 0 {
			env.Host.Endpoints = []pm.Endpoint{{ID: 1, Addr: netip.MustParseAddr("10.0.2.1"), Flags: pm.Subflow}}
			for k := range env.Links { // the second link leads to the server, too
				env.Links[k].Routes = append(env.Links[k].Routes, mptcp.Route{Prefix: netip.MustParsePrefix("10.0.0.0/16")})
			}
		} else {
			for k := range env.Links {
				env.Links[k].Routes = append(env.Links[k].Routes, mptcp.Route{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Metric: 1})
			}
		}
		var err error
		if s[i], err = NewStack(StackConfig{Env: env, Devices: devices[i], Clock: c}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s[i].Close() })
	}
	return s[0], s[1]
}

func TestConn(t *testing.T) {
	client, server := stacks(t)
	ln, err := server.Listen(nil, "10.0.1.2:80")
	if err != nil {
		t.Fatal(err)
	}
	d := &Dialer{Stack: client}
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		accepted := make(chan net.Conn, 1)
		go func() {
			c, err := ln.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		if c1, err = d.Dial("tcp", "10.0.1.2:80"); err != nil {
			return nil, nil, nil, err
		}
		c2 = <-accepted
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
}

func TestErrorsLookLikeNets(t *testing.T) {
	client, server := stacks(t)
	d := &Dialer{Stack: client}
	if _, err := d.Dial("tcp", "10.0.1.2:81"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := d.Dial("tcp", "192.0.2.1:81"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("no route: %v", err)
	}
	if _, err := d.Dial("tcp", "example.org:80"); err == nil {
		t.Error("a name was accepted as an address")
	}
	ln, err := server.Listen(nil, "10.0.1.2:80")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Listen(nil, "10.0.1.2:80"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening twice: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := ln.Accept()
		done <- err
	}()
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept of a closed listener: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.DialContext(ctx, "tcp", "10.0.1.2:80"); !errors.Is(err, context.Canceled) && !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAbortResetsThePeer(t *testing.T) {
	client, server := stacks(t)
	ln, err := server.Listen(nil, "10.0.1.2:80")
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&Dialer{Stack: client}).Dial("tcp", "10.0.1.2:80")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*Conn).Abort(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the peer's abort: %v", err)
	}
}

// TestHTTPOverMultipath downloads with net/http, over a connection that gets a second
// subflow.
func TestHTTPOverMultipath(t *testing.T) {
	client, server := stacks(t)
	ln, err := server.Listen(nil, "10.0.1.2:80")
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 8<<20)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close() })
	tr := &http.Transport{DialContext: (&Dialer{Stack: client}).DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	for range 2 { // the second request uses the connection again
		resp, err := (&http.Client{Transport: tr, Timeout: 30 * time.Second}).Get("http://10.0.1.2/")
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		n, err := io.Copy(h, resp.Body)
		resp.Body.Close()
		if err != nil || n != int64(len(body)) || [32]byte(h.Sum(nil)) != sha256.Sum256(body) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	if err := client.With(func(_ clock.Instant, s *mptcp.Stack) {
		if got := s.Counters().MPTcpExtMPJoinSynAckRx; got != 1 {
			t.Errorf("%d joins, want 1", got)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
