package netns

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mptcplab/mptcp/pm"
)

// The mptcp_pm generic netlink family, as in linux/mptcp_pm.h.
const (
	pmFamily  = "mptcp_pm"
	pmVersion = 1

	pmAddAddr    = 1
	pmDelAddr    = 2
	pmGetAddr    = 3
	pmFlushAddrs = 4
	pmSetLimits  = 5
	pmGetLimits  = 6
	pmSetFlags   = 7

	pmAttrAddr        = 1
	pmAttrRcvAddAddrs = 2
	pmAttrSubflows    = 3

	pmAddrFamily = 1
	pmAddrID     = 2
	pmAddr4      = 3
	pmAddr6      = 4
	pmAddrPort   = 5
	pmAddrFlags  = 6
	pmAddrIndex  = 7

	typeMask = 0x3fff // NLA_TYPE_MASK: without the flags for nesting and byte order
)

// pmRequest sends one command from the calling thread's namespace and returns the
// answers' attributes.
func pmRequest(command uint8, flags int, attrs ...*nl.RtAttr) ([][]byte, error) {
	family, err := netlink.GenlFamilyGet(pmFamily)
	if err != nil {
		return nil, fmt.Errorf("netns: this kernel has no mptcp_pm: %w", err)
	}
	req := nl.NewNetlinkRequest(int(family.ID), flags)
	req.AddData(&nl.Genlmsg{Command: command, Version: pmVersion})
	for _, a := range attrs {
		req.AddData(a)
	}
	answers, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		if len(answers[i]) < nl.SizeofGenlmsg {
			return nil, fmt.Errorf("netns: mptcp_pm answered %d bytes", len(answers[i]))
		}
		answers[i] = answers[i][nl.SizeofGenlmsg:]
	}
	return answers, nil
}

// endpointAttr describes e; index is its interface's, 0: none.
func endpointAttr(e pm.Endpoint, index int) *nl.RtAttr {
	a := nl.NewRtAttr(pmAttrAddr|unix.NLA_F_NESTED, nil)
	if e.Addr.IsValid() {
		if addr := e.Addr.Unmap(); addr.Is4() {
			a.AddRtAttr(pmAddrFamily, nl.Uint16Attr(unix.AF_INET))
			a.AddRtAttr(pmAddr4, addr.AsSlice())
		} else {
			a.AddRtAttr(pmAddrFamily, nl.Uint16Attr(unix.AF_INET6))
			a.AddRtAttr(pmAddr6, addr.AsSlice())
		}
	}
	if e.ID != 0 {
		a.AddRtAttr(pmAddrID, nl.Uint8Attr(e.ID))
	}
	if e.Port != 0 {
		a.AddRtAttr(pmAddrPort, nl.Uint16Attr(e.Port)) // in host order, unlike on the wire
	}
	a.AddRtAttr(pmAddrFlags, nl.Uint32Attr(uint32(e.Flags)))
	if index != 0 {
		a.AddRtAttr(pmAddrIndex, nl.Uint32Attr(uint32(index)))
	}
	return a
}

// onKernel runs f on the thread of a node whose kernel stack is in use.
func (l *Lab) onKernel(node string, f func(n *Node) error) error {
	n := l.nodes[node]
	switch {
	case n == nil:
		return fmt.Errorf("netns: no node %q", node)
	case n.userspace:
		return fmt.Errorf("netns: %s has a userspace stack: its endpoints are the stack's", node)
	}
	return n.thread.do(func() error { return f(n) })
}

// AddEndpoint does "ip mptcp endpoint add" on a kernel host and returns the
// identifier that the kernel gave it. e.Dev, if set, is the link whose interface the
// subflows use.
func (l *Lab) AddEndpoint(node string, e pm.Endpoint) (id uint8, err error) {
	err = l.onKernel(node, func(n *Node) error {
		index := 0
		if e.Dev != "" {
			i := n.iface(e.Dev)
			if i == nil {
				return fmt.Errorf("netns: no interface %s.%s", node, e.Dev)
			}
			index = i.index
		}
		if _, err := pmRequest(pmAddAddr, unix.NLM_F_ACK, endpointAttr(e, index)); err != nil {
			return fmt.Errorf("netns: %s: endpoint %s: %w", node, e.Addr, err)
		}
		id, err = findEndpoint(n, e)
		return err
	})
	return id, err
}

// findEndpoint returns the identifier of an endpoint by its address and port.
func findEndpoint(n *Node, e pm.Endpoint) (uint8, error) {
	list, err := endpoints(n)
	if err != nil {
		return 0, err
	}
	for _, have := range list {
		if have.Addr == e.Addr && have.Port == e.Port {
			return have.ID, nil
		}
	}
	return 0, fmt.Errorf("netns: %s: no endpoint %s", n.spec.Name, e.Addr)
}

// named returns e with its identifier, looked up by address if it is 0.
func named(n *Node, e pm.Endpoint) (pm.Endpoint, error) {
	if e.ID != 0 {
		return e, nil
	}
	id, err := findEndpoint(n, e)
	e.ID = id
	return e, err
}

// DelEndpoint does "ip mptcp endpoint delete", by e.ID or, if that is 0, by address
// and port.
func (l *Lab) DelEndpoint(node string, e pm.Endpoint) error {
	return l.onKernel(node, func(n *Node) error {
		e, err := named(n, e)
		if err != nil {
			return err
		}
		_, err = pmRequest(pmDelAddr, unix.NLM_F_ACK, endpointAttr(pm.Endpoint{ID: e.ID}, 0))
		if err != nil {
			return fmt.Errorf("netns: %s: delete endpoint %d: %w", node, e.ID, err)
		}
		return nil
	})
}

// RemoveID0 does "ip mptcp endpoint delete id 0 ADDRESS": connections that began at
// the address close their initial subflow.
func (l *Lab) RemoveID0(node string, a netip.Addr) error {
	return l.onKernel(node, func(*Node) error {
		if _, err := pmRequest(pmDelAddr, unix.NLM_F_ACK, endpointAttr(pm.Endpoint{Addr: a}, 0)); err != nil {
			return fmt.Errorf("netns: %s: delete id 0 %s: %w", node, a, err)
		}
		return nil
	})
}

// FlushEndpoints does "ip mptcp endpoint flush".
func (l *Lab) FlushEndpoints(node string) error {
	return l.onKernel(node, func(*Node) error {
		_, err := pmRequest(pmFlushAddrs, unix.NLM_F_ACK)
		return err
	})
}

// ChangeEndpoint does "ip mptcp endpoint change" with the flags of e; the kernel
// changes backup and fullmesh alone. The endpoint is found as in DelEndpoint.
func (l *Lab) ChangeEndpoint(node string, e pm.Endpoint) error {
	return l.onKernel(node, func(n *Node) error {
		e, err := named(n, e)
		if err != nil {
			return err
		}
		_, err = pmRequest(pmSetFlags, unix.NLM_F_ACK, endpointAttr(pm.Endpoint{ID: e.ID, Flags: e.Flags}, 0))
		if err != nil {
			return fmt.Errorf("netns: %s: change endpoint %d: %w", node, e.ID, err)
		}
		return nil
	})
}

// Endpoints does "ip mptcp endpoint show".
func (l *Lab) Endpoints(node string) (list []pm.Endpoint, err error) {
	err = l.onKernel(node, func(n *Node) error {
		list, err = endpoints(n)
		return err
	})
	return list, err
}

func endpoints(n *Node) ([]pm.Endpoint, error) {
	answers, err := pmRequest(pmGetAddr, unix.NLM_F_DUMP)
	if err != nil {
		return nil, err
	}
	var list []pm.Endpoint
	for _, b := range answers {
		attrs, err := nl.ParseRouteAttr(b)
		if err != nil {
			return nil, err
		}
		for _, a := range attrs {
			if a.Attr.Type&typeMask != pmAttrAddr {
				continue
			}
			e, err := n.parseEndpoint(a.Value)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
	}
	return list, nil
}

func (n *Node) parseEndpoint(b []byte) (e pm.Endpoint, err error) {
	attrs, err := nl.ParseRouteAttr(b)
	if err != nil {
		return e, err
	}
	for _, a := range attrs {
		v := a.Value
		switch kind := a.Attr.Type & typeMask; {
		case kind == pmAddrID && len(v) >= 1:
			e.ID = v[0]
		case kind == pmAddr4 && len(v) == 4, kind == pmAddr6 && len(v) == 16:
			e.Addr, _ = netip.AddrFromSlice(v)
		case kind == pmAddrPort && len(v) >= 2:
			e.Port = binary.NativeEndian.Uint16(v)
		case kind == pmAddrFlags && len(v) >= 4:
			e.Flags = pm.EndpointFlags(binary.NativeEndian.Uint32(v))
		case kind == pmAddrIndex && len(v) >= 4:
			for _, i := range n.ifaces {
				if i.index == int(binary.NativeEndian.Uint32(v)) {
					e.Dev = i.name
				}
			}
		}
	}
	return e, nil
}

// SetLimits does "ip mptcp limits set" and reads them back: the kernel allows 8 of
// each.
func (l *Lab) SetLimits(node string, want pm.Limits) error {
	err := l.onKernel(node, func(*Node) error {
		_, err := pmRequest(pmSetLimits, unix.NLM_F_ACK,
			nl.NewRtAttr(pmAttrRcvAddAddrs, nl.Uint32Attr(uint32(want.AddAddrAccepted))),
			nl.NewRtAttr(pmAttrSubflows, nl.Uint32Attr(uint32(want.Subflows))))
		if err != nil {
			return fmt.Errorf("netns: %s: limits %+v: %w", node, want, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if got, err := l.Limits(node); err != nil || got != want {
		return fmt.Errorf("netns: %s: limits are %+v, not %+v: %w", node, got, want, err)
	}
	return nil
}

// Limits does "ip mptcp limits show".
func (l *Lab) Limits(node string) (limits pm.Limits, err error) {
	err = l.onKernel(node, func(*Node) error {
		answers, err := pmRequest(pmGetLimits, 0)
		if err != nil {
			return err
		}
		for _, b := range answers {
			attrs, err := nl.ParseRouteAttr(b)
			if err != nil {
				return err
			}
			for _, a := range attrs {
				if len(a.Value) < 4 {
					continue
				}
				switch v := int(binary.NativeEndian.Uint32(a.Value)); a.Attr.Type & typeMask {
				case pmAttrRcvAddAddrs:
					limits.AddAddrAccepted = v
				case pmAttrSubflows:
					limits.Subflows = v
				}
			}
		}
		return nil
	})
	return limits, err
}
