package drill

import (
	"fmt"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/socket"
)

// control is a control message of recvmsg. A number stands in data[""], members of a
// struct under their names; the time of scm_sec and scm_nsec is in at.
type control struct {
	level, kind int64
	data        map[string]int64
	at          clock.Instant
}

// controlsOf reads the control messages that a script expects:
// {cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=9000}.
func controlsOf(e *Expr) ([]control, error) {
	var list []control
	for i := range e.List {
		c := control{data: make(map[string]int64)}
		for _, f := range e.List[i].Fields {
			if f.Name == "cmsg_data" && f.Val.Kind == ExprStruct {
				for _, m := range f.Val.Fields {
					v, err := value(&m.Val)
					if err != nil {
						return nil, err
					}
					c.data[m.Name] = v
				}
				continue
			}
			v, err := value(&f.Val)
			if err != nil {
				return nil, err
			}
			switch f.Name {
			case "cmsg_level":
				c.level = v
			case "cmsg_type":
				c.kind = v
			case "cmsg_data":
				c.data[""] = v
			default:
				return nil, unsupported("the member %s of a control message", f.Name)
			}
		}
		if sec, ok := c.data["scm_sec"]; ok {
			c.at = start.Add(time.Duration(sec)*time.Second + time.Duration(c.data["scm_nsec"]))
			delete(c.data, "scm_sec")
			delete(c.data, "scm_nsec")
		}
		list = append(list, c)
	}
	return list, nil
}

// compareControls compares all control messages, in order.
func (r *run) compareControls(want, got []control) error {
	for i := range min(len(want), len(got)) {
		w, g := &want[i], &got[i]
		if w.level != g.level || w.kind != g.kind {
			return fmt.Errorf("expected control message %d of level %d and type %d but got %d and %d", i+1, w.level, w.kind, g.level, g.kind)
		}
		for name, v := range w.data {
			if g.data[name] != v {
				return fmt.Errorf("expected %s %d in control message %d but got %d", dataName(name), v, i+1, g.data[name])
			}
		}
		if d := g.at.Sub(w.at); w.at != 0 && (d > r.set.tolerance || d < -r.set.tolerance) {
			return fmt.Errorf("expected a timestamp at %s sec but got one at %s sec", seconds(w.at), seconds(g.at))
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("expected %d control messages but got %d", len(want), len(got))
	}
	return nil
}

func dataName(name string) string {
	if name == "" {
		return "cmsg_data"
	}
	return name
}

// controlOfReport is what recvmsg with MSG_ERRQUEUE says of a report.
func (r *run) controlOfReport(p *socket.Report) []control {
	var list []control
	if p.Stamped {
		list = append(list, control{level: socket.SOLSocket, kind: socket.SOTimestamping, at: p.At})
	}
	level, kind := int64(socket.SOLIP), int64(symbols["IP_RECVERR"])
	if r.set.mode != IPv4 {
		level, kind = socket.SOLIPv6, int64(symbols["IPV6_RECVERR"])
	}
	return append(list, control{level: level, kind: kind, data: map[string]int64{"ee_errno": int64(p.Errno), "ee_origin": int64(p.Origin),
		"ee_type": 0, "ee_code": int64(p.Code), "ee_info": int64(p.Info), "ee_data": int64(p.Data)}})
}

// controlsOfRead are the control messages of a recvmsg that read data.
func (r *run) controlsOfRead(fd int) []control {
	n, e := r.sock.InQ(fd)
	if e != socket.OK {
		return nil
	}
	return []control{{level: socket.SOLTCP, kind: socket.TCPInq, data: map[string]int64{"": int64(n)}}}
}

// message is what a msghdr of a script says.
type message struct {
	sizes    []int // of the vector
	flags    int64 // msg_flags
	hasFlags bool
	controls []control
	hasCtl   bool
}

func (m *message) bytes() int {
	total := 0
	for _, n := range m.sizes {
		total += n
	}
	return total
}

func readMessage(e *Expr) (m message, err error) {
	for i := range e.Fields {
		f := &e.Fields[i]
		switch f.Name {
		case "msg_iov":
			m.sizes, err = vector(&f.Val)
		case "msg_control":
			m.hasCtl = true
			m.controls, err = controlsOf(&f.Val)
		case "msg_flags":
			m.hasFlags = true
			m.flags, err = value(&f.Val)
		case "msg_name":
		default:
			err = unsupported("the member %s of a message", f.Name)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// check compares what a recvmsg returned besides bytes with the script.
func (m *message) check(r *run, flags int64, got []control) error {
	if m.hasFlags && flags != m.flags {
		return fmt.Errorf("expected msg_flags %#x but got %#x", m.flags, flags)
	}
	if !m.hasCtl {
		return nil
	}
	return r.compareControls(m.controls, got)
}
