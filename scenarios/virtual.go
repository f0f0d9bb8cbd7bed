package scenarios

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/scenarios/spec"
	"mptcplab/topology"
	"mptcplab/topology/virtual"
	"mptcplab/workloads"
)

// virtualDriver runs an experiment in virtual time.
type virtualDriver struct {
	x     *experiment
	lab   *virtual.Lab
	hosts map[string]*stackHost
}

// stackHost is a host with our stack, on either fabric.
type stackHost struct {
	node  *workloads.Node
	links []mptcp.Link // as the stack knows them now
	cc    string

	listeners map[netip.AddrPort]*mptcp.Listener // that the timeline opened
}

func newVirtualDriver(x *experiment) (*virtualDriver, error) {
	d := &virtualDriver{x: x, hosts: map[string]*stackHost{}}
	lab, err := virtual.Build(x.run.Topology, virtual.Options{
		Seed: x.run.Seed,
		Host: func(n *topology.Node) machine.Machine {
			h := x.newStackHost(n, x.apps(n.Name))
			d.hosts[n.Name] = h
			return h.node
		},
		Tap:      x.tap,
		Filtered: x.filtered,
	})
	if err != nil {
		return nil, err
	}
	d.lab = lab
	return d, nil
}

// newStackHost makes a host with our stack and its applications.
func (x *experiment) newStackHost(n *topology.Node, apps []workloads.App) *stackHost {
	h := &stackHost{}
	var cfg spec.Host
	for _, c := range x.run.Hosts {
		if c.Name == n.Name {
			cfg = c
		}
	}
	for i := range n.Interfaces {
		h.links = append(h.links, stackLink(x.run.Topology, n, i))
	}
	env := mptcp.Env{
		Host:  cfg.StackConfig(),
		Links: append([]mptcp.Link(nil), h.links...),
		Seed:  seedOf(x.run.Seed, n.Name),
		Trace: x.tracer(n.Name),
	}
	h.cc = env.Host.Default.TCP.CongestionControl
	stack := mptcp.New(env)
	stack.Monitor(x.files.Events.Monitor(n.Name))
	h.node = workloads.NewNode(stack, apps...)
	return h
}

// apps lists the applications that run on a host.
func (x *experiment) apps(host string) []workloads.App {
	var apps []workloads.App
	for _, f := range x.flows {
		for _, e := range f.ends() {
			if e.host == host {
				apps = append(apps, e.app)
			}
		}
	}
	return apps
}

// seedOf derives a host's seed from the run's.
func seedOf(seed uint64, host string) [32]byte {
	b := binary.BigEndian.AppendUint64([]byte("host/"+host+"/"), seed)
	return sha256.Sum256(b)
}

// stackLink is a host's interface as its stack sees it.
func stackLink(t *topology.Topology, n *topology.Node, i int) mptcp.Link {
	ifc := n.Interfaces[i]
	l := mptcp.Link{Name: ifc.Link, Prefixes: ifc.Prefixes, MTU: t.Link(ifc.Link).MTU, Up: true}
	for _, p := range ifc.Prefixes {
		l.Routes = append(l.Routes, mptcp.Route{Prefix: p.Masked()})
	}
	for _, r := range n.Routes {
		if r.Link == ifc.Link {
			l.Routes = append(l.Routes, mptcp.Route{Prefix: r.Prefix, Gateway: r.Gateway, Metric: r.Metric})
		}
	}
	return l
}

// setUp tells the stack that a link came or went.
func (h *stackHost) setUp(now clock.Instant, link string, up bool) error {
	for i := range h.links {
		if h.links[i].Name == link {
			h.links[i].Up = up
			return h.node.Stack.SetLink(now, machine.LinkID(i), h.links[i])
		}
	}
	return fmt.Errorf("no interface %s", link)
}

// endpointID finds an endpoint by ID or address.
func (h *stackHost) endpointID(e pm.Endpoint) (uint8, error) {
	for _, have := range h.node.Stack.Endpoints() {
		if have.ID == e.ID && e.ID != 0 || e.ID == 0 && have.Addr == e.Addr {
			return have.ID, nil
		}
	}
	return 0, fmt.Errorf("no endpoint %s", endpointName(e.Addr.IsValid(), e.Addr.String(), e.ID))
}

func (h *stackHost) addEndpoint(now clock.Instant, e pm.Endpoint) error {
	_, err := h.node.Stack.AddEndpoint(now, e)
	return err
}

func (h *stackHost) deleteEndpoint(now clock.Instant, e pm.Endpoint) error {
	id, err := h.endpointID(e)
	if err != nil {
		return err
	}
	return h.node.Stack.DeleteEndpoint(now, id)
}

func (h *stackHost) changeEndpoint(now clock.Instant, e pm.Endpoint) error {
	id, err := h.endpointID(e)
	if err != nil {
		return err
	}
	return h.node.Stack.ChangeEndpoint(now, id, e.Flags)
}

func (d *virtualDriver) now() clock.Instant { return d.lab.Now() }

func (d *virtualDriver) do(host string, f func(now clock.Instant)) { d.lab.Do(host, f) }

func (d *virtualDriver) change(host string, f func(now clock.Instant)) {
	d.lab.Do(host, func(now clock.Instant) {
		f(now)
		d.hosts[host].node.Kick()
	})
}

// onStack runs f in a turn of host and returns its error.
func (d *virtualDriver) onStack(host string, f func(h *stackHost, now clock.Instant) error) (err error) {
	h := d.hosts[host]
	if h == nil {
		return fmt.Errorf("no host %s", host)
	}
	d.lab.Do(host, func(now clock.Instant) {
		err = f(h, now)
		h.node.Kick()
	})
	return err
}

// slice is how much virtual time passes between two looks at the context.
const slice = 20 * 1000 * 1000 // ns

func (d *virtualDriver) run(ctx context.Context, until clock.Instant) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := min(until, d.lab.Now()+slice)
		if err := d.lab.Run(next); err != nil {
			return err
		}
		if next == until {
			return nil
		}
	}
}

func (d *virtualDriver) setImpairments(link string, c [2]impairments.Config) error {
	return d.lab.SetImpairments(link, c)
}

// setLinkUp pulls or plugs the cable: both ends see the carrier go or come.
func (d *virtualDriver) setLinkUp(link string, up bool) error {
	if err := d.lab.SetLinkUp(link, up); err != nil {
		return err
	}
	for _, end := range d.x.run.Topology.Link(link).Ends {
		if d.hosts[end] == nil {
			continue
		}
		if err := d.onStack(end, func(h *stackHost, now clock.Instant) error { return h.setUp(now, link, up) }); err != nil {
			return err
		}
	}
	return nil
}

// setIfaceUp is "ip link set": the host's own end goes down, and with a veth or a
// cable the other end loses its carrier.
func (d *virtualDriver) setIfaceUp(_, link string, up bool) error { return d.setLinkUp(link, up) }

func (d *virtualDriver) addEndpoint(host string, e pm.Endpoint) error {
	return d.onStack(host, func(h *stackHost, now clock.Instant) error { return h.addEndpoint(now, e) })
}

func (d *virtualDriver) deleteEndpoint(host string, e pm.Endpoint) error {
	return d.onStack(host, func(h *stackHost, now clock.Instant) error { return h.deleteEndpoint(now, e) })
}

func (d *virtualDriver) changeEndpoint(host string, e pm.Endpoint) error {
	return d.onStack(host, func(h *stackHost, now clock.Instant) error { return h.changeEndpoint(now, e) })
}

func (d *virtualDriver) flushEndpoints(host string) error {
	return d.onStack(host, func(h *stackHost, now clock.Instant) error {
		h.node.Stack.FlushEndpoints(now)
		return nil
	})
}

func (d *virtualDriver) removeID0(host string, a netip.Addr) error {
	return d.onStack(host, func(h *stackHost, now clock.Instant) error {
		h.node.Stack.RemoveID0(now, a)
		return nil
	})
}

func (d *virtualDriver) command(host string, token uint32, c spec.Command) error {
	return d.onStack(host, func(h *stackHost, now clock.Instant) error { return h.command(now, token, c) })
}

func (d *virtualDriver) openListener(host string, at netip.AddrPort) error {
	return d.onStack(host, func(h *stackHost, now clock.Instant) error { return h.openListener(now, at) })
}

func (d *virtualDriver) closeListener(host string, at netip.AddrPort) error {
	return d.onStack(host, func(h *stackHost, now clock.Instant) error { return h.closeListener(now, at) })
}

func (d *virtualDriver) setLimits(host string, l pm.Limits) error {
	return d.onStack(host, func(h *stackHost, _ clock.Instant) error {
		return h.node.Stack.SetLimits(l)
	})
}

func (d *virtualDriver) setRules(name string, rules []impairments.Rule) error {
	return d.lab.SetRules(name, rules)
}

func (d *virtualDriver) setEnabled(name string, on bool) error { return d.lab.SetEnabled(name, on) }

func (d *virtualDriver) hits(name string) []uint64 { return d.lab.Hits(name) }

func (d *virtualDriver) counters(host string, f func(name string, v uint64)) error {
	d.hosts[host].node.Stack.Counters().Each(f)
	return nil
}

func (d *virtualDriver) sockets(host string) (all []mptcp.SockDiag) {
	d.lab.Do(host, func(now clock.Instant) { all = d.hosts[host].node.Stack.Diag(now) })
	return all
}

func (d *virtualDriver) linkStats(link string, direction int) (impairments.Stats, bool) {
	return d.lab.Stats(link, topology.Direction(direction)), true
}

func (d *virtualDriver) congestionControl(host string) string { return d.hosts[host].cc }

func (d *virtualDriver) degraded() []string { return nil }

func (d *virtualDriver) idle() bool {
	for _, n := range d.x.run.Topology.Nodes {
		if h := d.hosts[n.Name]; h != nil && !h.node.Done() {
			return false
		}
	}
	return true
}

func (d *virtualDriver) every() time.Duration { return time.Millisecond }

func (d *virtualDriver) fingerprint() string { return fmt.Sprintf("%016x", d.lab.Fingerprint()) }

func (d *virtualDriver) close() error { return nil }
