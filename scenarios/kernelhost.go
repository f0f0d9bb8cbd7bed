package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/scenarios/spec"
	"mptcplab/topology"
	"mptcplab/workloads/kernel"
)

// startKernel sets up a host with the kernel's stack: sysctls, congestion control,
// path manager, captures, and its applications on kernel sockets.
func (d *netnsDriver) startKernel(h *realHost, n *topology.Node) error {
	if err := d.setSysctls(h); err != nil {
		return err
	}
	if err := d.setCongestionControl(h); err != nil {
		return err
	}
	if h.cfg.Stack == spec.StackKernelMPTCP {
		if err := d.lab.SetLimits(h.name, h.cfg.Limits); err != nil {
			return err
		}
		for _, e := range h.cfg.Endpoints {
			if _, err := d.lab.AddEndpoint(h.name, e); err != nil {
				return err
			}
		}
	}
	if h.cfg.Stack == spec.StackKernelMPTCP {
		write := d.x.files.Events.Monitor(h.name)
		stop, err := d.lab.MonitorPM(h.name, func(e pm.Event) { write(d.lab.Now(), e) })
		if err != nil {
			return err
		}
		d.defer_(stop)
	}
	for _, i := range n.Interfaces {
		name := n.Name + "." + i.Link
		c, err := d.lab.Capture(name, func(at clock.Instant, out bool, p []byte) { d.x.tap(at, name, out, p) })
		if err != nil {
			return err
		}
		d.captures = append(d.captures, c)
	}
	p, err := kernel.Start(kernel.Config{Open: d.lab.Node(h.name).Do, Apps: d.apps(h), Clock: d.lab.Clock()})
	if err != nil {
		return err
	}
	h.pump = p
	d.defer_(p.Close)
	return nil
}

// setSysctls turns the host's settings into its namespace's sysctls and reads them
// back. One that the file asked for and the kernel lacks or forbids refuses the run;
// of a default it is only noted.
func (d *netnsDriver) setSysctls(h *realHost) error {
	node := d.lab.Node(h.name)
	for _, s := range spec.Sysctls(h.cfg.Settings) {
		if strings.HasSuffix(s.Name, "congestion_control") || h.cfg.Stack == spec.StackKernelTCP && strings.HasPrefix(s.Name, "net.mptcp.") {
			continue
		}
		err := node.SetSysctl(s.Name, s.Value)
		if err == nil {
			var is string
			if is, err = node.Sysctl(s.Name); err == nil && !sameFields(is, s.Value) {
				err = fmt.Errorf("%s is %s, not %s", s.Name, is, s.Value)
			}
		}
		if err == nil {
			continue
		}
		if s.Given {
			return fmt.Errorf("%w: %w", ErrEnvironment, err)
		}
		d.notes = append(d.notes, fmt.Sprintf("%s: %v", h.name, err))
	}
	return nil
}

// sameFields compares sysctl values, whose fields the kernel separates by tabs.
func sameFields(a, b string) bool { return slices.Equal(strings.Fields(a), strings.Fields(b)) }

// setCongestionControl never leaves a kernel host at its machine's default: the
// namespace's default is set, and where that is not permitted each socket's own,
// which the lab's privileges over its namespaces allow. Where neither is, the run
// is refused if the file asked for the controller, else it goes on with Reno and
// says so.
func (d *netnsDriver) setCongestionControl(h *realHost) error {
	want := h.cfg.Settings.TCP["congestion_control"]
	is, err := d.lab.SetCongestionControl(h.name, want)
	if err != nil {
		is, err = d.socketCongestionControl(h, want)
	}
	h.cc = is
	if err == nil {
		return nil
	}
	if h.cfg.Settings.Given["tcp.congestion_control"] {
		return fmt.Errorf("%w: %w", ErrEnvironment, err)
	}
	reno, renoErr := d.lab.SetCongestionControl(h.name, "reno")
	h.cc = reno
	if renoErr != nil {
		return fmt.Errorf("%w: %w", ErrEnvironment, errors.Join(err, renoErr))
	}
	d.notes = append(d.notes, fmt.Sprintf("%s: reno instead of %s: %v", h.name, want, err))
	return nil
}

// socketCongestionControl tries the controller on a socket of the host, as the
// applications' sockets will set it, and reads it back.
func (d *netnsDriver) socketCongestionControl(h *realHost, name string) (is string, err error) {
	err = d.lab.Node(h.name).Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name); err != nil {
			return fmt.Errorf("congestion control %s: %w", name, err)
		}
		is, err = unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		is = strings.TrimRight(is, "\x00")
		if err == nil && is != name {
			err = fmt.Errorf("congestion control is %s, not %s", is, name)
		}
		return err
	})
	return is, err
}
