package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/wire"
)

// FuzzConnection feeds what two live connections send each other through a
// mutator: whatever arrives, nothing panics, time goes on, and if no byte of a
// payload was touched what is read is a prefix of what was sent.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 40, 1, 9, 50, 255, 20, 33, 7})
	f.Add([]byte("drop, change, repeat, swap"))
	f.Add([]byte{1, 0, 0, 2, 0, 0, 0, 0, 0, 5, 52, 128, 6, 60, 64})
	f.Fuzz(func(t *testing.T, ops []byte) {
		host := HostConfig{Default: Config{ChecksumEnabled: len(ops) > 0 && ops[0]&1 != 0},
			Limits: pm.Limits{Subflows: 2, AddAddrAccepted: 2}, Endpoints: []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: pm.Subflow | pm.Signal}}}
		w := newWorld(t, 2, host, acceptor(Config{}), 5)
		m := &mutator{ops: ops}
		for _, p := range w.pipes {
			p.mutate = m.mutate
		}
		p := w.connect(20_000, 20_000, "10.0.1.1:0", "10.0.1.2:80")
		p.tolerant = true
		w.run(2*time.Minute, p.done)
		if p.server != nil {
			p.server.c.Abort()
		}
		p.client.c.Abort()
		w.run(time.Second, func() bool { return false })
		for i, h := range w.hosts {
			if n := int64(h.counters.MPTcpExtMPCurrEstab); n < 0 || n > 1 {
				t.Errorf("host %d: MPCurrEstab = %d", i, int64(n))
			}
		}
	})
}

// mutator changes one packet in some by the next three bytes of its program: what
// to do, where, with what.
type mutator struct {
	ops  []byte
	n    int
	last []byte
}

func (m *mutator) mutate(data []byte) [][]byte {
	m.n++
	if len(m.ops) < 3 || m.n%3 != 0 {
		return [][]byte{data}
	}
	what, where, with := m.ops[0], int(m.ops[1]), m.ops[2]
	m.ops = m.ops[3:]
	last := m.last
	m.last = append([]byte(nil), data...)
	switch what % 5 {
	case 0:
		return nil
	case 1:
		return [][]byte{data, data}
	case 2:
		if last != nil {
			return [][]byte{data, last}
		}
	default: // change a byte of the headers or options, and make the checksums right
		var s wire.Segment
		if s.Parse(data, false) != nil {
			break
		}
		if at := 20 + where%(len(data)-len(s.Payload)-20); at != 0 {
			data[at] = with
			wire.Finish(data)
		}
	}
	return [][]byte{data}
}
