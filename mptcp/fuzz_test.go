package mptcp

import (
	"bytes"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/wire"
)

// FuzzMPTCP changes the options of what two hosts send each other, over up to three
// subflows: options are altered byte by byte, removed, replaced by those of an earlier
// packet, and packets are dropped, repeated and come again much later. Nothing panics or
// spins, no byte is read that was not sent in that place, and in the end nothing is left.
//
// A mapping without a checksum is believed as it is, so one that was changed may move
// bytes, and so may an infinite mapping that was changed or taken away, and a changed TCP
// header (tapes with an odd second byte do that, too): then the streams are not looked at
// any more.
func FuzzMPTCP(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 40, 1, 9, 50, 255, 20, 33, 7})
	f.Add([]byte("drop, change, repeat, swap"))
	f.Add([]byte{1, 0, 0, 2, 0, 0, 0, 0, 0, 5, 52, 128, 6, 60, 64})
	for seed := range byte(24) {
		tape := randomTape(seed, 150)
		tape[0], tape[1] = seed, seed>>2
		f.Add(tape)
	}
	f.Fuzz(func(t *testing.T, tape []byte) {
		var mode, headers byte
		if len(tape) >= 2 {
			mode, headers = tape[0], tape[1]&1
			tape = tape[2:]
		}
		cfg := Config{ChecksumEnabled: mode&1 != 0}
		client := HostConfig{Default: cfg, Limits: pm.Limits{Subflows: 2, AddAddrAccepted: 2},
			Endpoints: []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: pm.Subflow | pm.Signal}}}
		server := HostConfig{Default: cfg, Limits: pm.Limits{Subflows: 2, AddAddrAccepted: 2}}
		if mode&2 != 0 {
			server.Endpoints = []pm.Endpoint{{Addr: addr("10.0.3.2"), Flags: pm.Signal}}
		}
		w := newWorld(t, 3, client, server, 5)
		p := w.connect(20_000, 20_000, "10.0.1.1:0", "10.0.1.2:80")
		p.forged = true
		m := &mutator{tape: tape, headers: headers != 0, unguarded: &p.garbled}
		for _, p := range w.pipes {
			p.mutate = m.mutate
		}
		const storm = 100_000 // packets; some 100 carry the two streams
		w.run(2*time.Minute, func() bool { return p.done() || m.n > storm })
		if m.n > storm {
			t.Fatalf("%d packets: %s", m.n, p.state())
		}
		if p.client.got > p.down || p.server != nil && p.server.got > p.client.total {
			if !p.garbled {
				t.Errorf("more was read than sent: %s", p.state())
			}
		}
		for _, h := range w.hosts {
			for _, c := range h.conns {
				c.Abort()
			}
		}
		w.mutated()
		w.run(10*time.Minute, func() bool { return false })
		for i, h := range w.hosts {
			if n := int64(h.counters.MPTcpExtMPCurrEstab); len(h.flows) != 0 || len(h.tokens) != 0 || n != 0 {
				t.Errorf("host %d at the end: %d flows, %d tokens, MPCurrEstab %d", i, len(h.flows), len(h.tokens), n)
			}
		}
		w.run(time.Hour, func() bool { return false })
		for i, h := range w.hosts {
			if d := h.Deadline(); d != clock.Never {
				t.Errorf("host %d: the deadline of a stack without connections is %v", i, d)
			}
		}
	})
}

// mutator changes one packet in some by the next three bytes of its tape: what to do,
// where, with what.
type mutator struct {
	tape      []byte
	headers   bool  // fields of the TCP header are changed, too
	unguarded *bool // set when something was changed that no checksum guards
	n         int
	last      []byte
}

func (m *mutator) mutate(data []byte) [][]byte {
	m.n++
	if len(m.tape) < 3 || m.n%3 != 0 {
		return [][]byte{data}
	}
	what, where, with := m.tape[0], int(m.tape[1]), m.tape[2]
	m.tape = m.tape[3:]
	last := m.last
	m.last = bytes.Clone(data)
	var s wire.Segment
	if s.Parse(data, false) != nil {
		return [][]byte{data}
	}
	// No test of ours sends IP options: TCP begins at 20 (IPv4).
	options := data[40 : len(data)-len(s.Payload)]
	switch what % 8 {
	case 0:
		return nil
	case 1:
		return [][]byte{data, data}
	case 2:
		if last != nil {
			return [][]byte{data, last}
		}
	case 3: // a middlebox that knows none of them
		for i := range options {
			options[i] = 1
		}
	case 4: // those of the packet before
		if n := len(last); n > 40 {
			copy(options, last[40:])
		}
	default:
		if m.headers && with&3 == 0 {
			data[20+where%20] ^= with | 1
			*m.unguarded = true
		} else if len(options) > 0 {
			options[where%len(options)] = with
		}
	}
	wire.Finish(data)
	var now wire.Segment
	if now.Parse(data, false) == nil && now.Options.DSS != s.Options.DSS {
		was, is := &s.Options.DSS, &now.Options.DSS
		infinite := was.HasMap && was.DataLen == 0 || is.HasMap && is.DataLen == 0
		*m.unguarded = *m.unguarded || infinite || is.HasMap && !is.HasChecksum
	}
	return [][]byte{data}
}
