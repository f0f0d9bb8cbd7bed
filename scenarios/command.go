package scenarios

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/scenarios/spec"
)

// command carries out a command of the userspace path manager, on each connection
// that the flows it means have at the host.
func (x *experiment) command(host string, c *spec.Command) error {
	if c.Kind == "listener" {
		at := netip.AddrPortFrom(c.Local.Addr, c.Local.Port)
		if c.Close {
			return x.d.closeListener(host, at)
		}
		return x.d.openListener(host, at)
	}
	var infos []mptcp.Info
	for _, f := range x.flows {
		if c.Flow != "" && c.Flow != f.name && c.Flow != f.w.Name && c.Flow != f.w.Flow() {
			continue
		}
		for _, e := range f.ends() {
			if e.host != host {
				continue
			}
			x.d.do(host, func(now clock.Instant) {
				if conn := e.conn(); conn != nil {
					if in, err := conn.Info(now); err == nil && in.MPTCP && in.Token != 0 && len(in.Subflows) > 0 {
						infos = append(infos, in)
					}
				}
			})
		}
	}
	if len(infos) == 0 {
		return fmt.Errorf("%s: %s has no MPTCP connection then", c.Kind, strings.TrimSpace(host+" "+c.Flow))
	}
	var errs []error
	for i := range infos {
		one, err := aim(*c, &infos[i])
		if err == nil {
			err = x.d.command(host, infos[i].Token, one)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Kind, err))
		}
	}
	return errors.Join(errs...)
}

// aim fills in what a command leaves to the connection: the initial subflow's remote
// end, and the ports of the subflow that is meant.
func aim(c spec.Command, in *mptcp.Info) (spec.Command, error) {
	initial := in.Subflows[0].Remote
	switch c.Kind {
	case "subflow_create":
		if !c.Remote.Addr().IsValid() {
			c.Remote = netip.AddrPortFrom(initial.Addr(), c.Remote.Port())
		}
		if c.Remote.Port() == 0 {
			c.Remote = netip.AddrPortFrom(c.Remote.Addr(), initial.Port())
		}
	case "subflow_destroy", "set_flags":
		var found []*mptcp.SubflowInfo
		for i := range in.Subflows {
			if s := &in.Subflows[i]; !s.Closed && isOrAny(netip.AddrPortFrom(c.Local.Addr, c.Local.Port), s.Local) && isOrAny(c.Remote, s.Remote) {
				found = append(found, s)
			}
		}
		if len(found) != 1 {
			return c, fmt.Errorf("%d subflows of the connection are from %s then, wanted is one", len(found), c.Local.Addr)
		}
		c.Local.Port, c.Remote = found[0].Local.Port(), found[0].Remote
	}
	return c, nil
}

// isOrAny reports whether an address and port are those that are wanted, of which each
// may be missing.
func isOrAny(want, have netip.AddrPort) bool {
	return (!want.Addr().IsValid() || want.Addr() == have.Addr()) && (want.Port() == 0 || want.Port() == have.Port())
}

// command gives a command to our stack.
func (h *stackHost) command(now clock.Instant, token uint32, c spec.Command) error {
	s, local := h.node.Stack, netip.AddrPortFrom(c.Local.Addr, c.Local.Port)
	switch c.Kind {
	case "announce":
		return s.Announce(now, token, c.Local)
	case "remove":
		return s.Remove(now, token, c.Local.ID)
	case "subflow_create":
		return s.CreateSubflow(now, token, c.Local, c.Remote)
	case "subflow_destroy":
		return s.DestroySubflow(now, token, local, c.Remote)
	}
	return s.SetFlags(now, token, local, c.Remote, c.Local.Flags)
}

// openListener makes a listener whose connections nobody accepts, as "pm_nl_ctl listen".
func (h *stackHost) openListener(now clock.Instant, at netip.AddrPort) error {
	l, err := h.node.Stack.Listen(nil, at)
	if err != nil {
		return fmt.Errorf("listener at %s: %w", at, err)
	}
	if h.listeners == nil {
		h.listeners = map[netip.AddrPort]*mptcp.Listener{}
	}
	h.listeners[at] = l
	return nil
}

func (h *stackHost) closeListener(now clock.Instant, at netip.AddrPort) error {
	l := h.listeners[at]
	if l == nil {
		return noListener(at)
	}
	delete(h.listeners, at)
	l.Close()
	return nil
}

func noListener(at netip.AddrPort) error { return fmt.Errorf("no listener was opened at %s", at) }

// describeCommand says in one line what a command does.
func describeCommand(host string, c *spec.Command) string {
	of := ""
	if c.Flow != "" {
		of = " of " + c.Flow
	}
	to := ""
	if c.Remote.Addr().IsValid() {
		to = " to " + c.Remote.Addr().String()
	}
	switch c.Kind {
	case "announce":
		return fmt.Sprintf("%s announces %s as id %d%s", host, c.Local.Addr, c.Local.ID, of)
	case "remove":
		return fmt.Sprintf("%s withdraws id %d%s", host, c.Local.ID, of)
	case "subflow_create":
		return fmt.Sprintf("%s opens a subflow%s from %s%s", host, of, c.Local.Addr, to)
	case "subflow_destroy":
		return fmt.Sprintf("%s closes the subflow%s from %s%s", host, of, c.Local.Addr, to)
	case "set_flags":
		word := "nobackup"
		if c.Local.Flags&pm.Backup != 0 {
			word = "backup"
		}
		return fmt.Sprintf("%s sets %s for the subflow%s from %s%s", host, word, of, c.Local.Addr, to)
	}
	if c.Close {
		return fmt.Sprintf("%s listens at %s no more", host, netip.AddrPortFrom(c.Local.Addr, c.Local.Port))
	}
	return fmt.Sprintf("%s listens at %s", host, netip.AddrPortFrom(c.Local.Addr, c.Local.Port))
}
