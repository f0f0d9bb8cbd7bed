package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"mptcplab/impairments"
	"mptcplab/impairments/netem"
	"mptcplab/impairments/relay"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/topology"
	"mptcplab/topology/netns"
	"mptcplab/workloads"
	"mptcplab/workloads/kernel"
)

// netnsFabric runs experiments on network namespaces, in real time, one at a time.
type netnsFabric struct {
	ctx    context.Context
	driver string // netem or relay
	load   *load

	mu        sync.Mutex // runs may be several at a time
	unordered error      // why a lab's links need not keep the order of packets
}

// openNetns checks what the machine offers and decides who impairs the links.
func openNetns(ctx context.Context, file *spec.File, o Options) (fabric, error) {
	if err := netns.Available(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvironment, err)
	}
	for _, run := range file.Runs {
		for _, h := range run.Hosts {
			if h.Stack == spec.StackKernelMPTCP && !netns.KernelMPTCP() {
				return nil, fmt.Errorf("%w: %s of pairing %s asks for kernel-mptcp, and this kernel has no MPTCP", ErrEnvironment, h.Name, run.Pairing)
			}
		}
	}
	f := &netnsFabric{ctx: ctx, driver: "relay"}
	if o.Impair != "relay" {
		err := usable(file)
		if err == nil {
			f.driver = "netem"
		} else if o.Impair == "netem" {
			return nil, fmt.Errorf("%w: --impair netem: %w", ErrEnvironment, err)
		}
	}
	f.load = measureLoad()
	return f, nil
}

// usable says why netem cannot impair the links of a file; nil: it can.
func usable(file *spec.File) error {
	err := netns.Inside(func() error {
		c, err := netem.Open()
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Supported()
	})
	if err != nil {
		return fmt.Errorf("%w (mptcplab vm run has a kernel with it)", err)
	}
	for i := range file.Runs {
		run := &file.Runs[i]
		for _, l := range run.Topology.Links {
			if l.HalfDuplex {
				return fmt.Errorf("link %s: two qdiscs cannot share a rate (duplex: half)", l.Name)
			}
			if err := expressible(&l, l.Impair); err != nil {
				return err
			}
		}
		for _, e := range run.Timeline {
			if e.Impair == nil {
				continue
			}
			if err := expressible(run.Topology.Link(e.Link), *e.Impair); err != nil {
				return err
			}
		}
	}
	return nil
}

// expressible says what of a link's behaviour qdiscs cannot do.
func expressible(l *topology.Link, c [2]impairments.Config) error {
	for dir := range c {
		if _, err := netem.Plan(c[dir], l.MTU, 0); err != nil {
			return fmt.Errorf("link %s %s: %w", l.Name, topology.Direction(dir), err)
		}
	}
	return nil
}

func (f *netnsFabric) impair() string { return f.driver }
func (f *netnsFabric) environment() *result.Environment {
	e := f.load.environment()
	e.PacketOrder = "kept"
	if f.unordered != nil {
		e.PacketOrder = "not guaranteed: " + f.unordered.Error()
	}
	return e
}
func (f *netnsFabric) close() error { return nil }

// netnsDriver is one lab of namespaces with everything that runs in it.
type netnsDriver struct {
	x        *experiment
	lab      *netns.Lab
	hosts    map[string]*realHost
	links    map[string]*realLink
	closer   []func() error // in the order of construction; closed in reverse
	captures []*netns.Capture
	notes    []string // what was degraded
}

// realHost is a host with our stack on a monitor, or with kernel sockets on a pump.
type realHost struct {
	name    string
	cfg     *spec.Host
	ours    *stackHost
	monitor *host.Monitor
	pump    *kernel.Pump
	cc      string

	listeners map[netip.AddrPort]func() error // of the kernel's, that the timeline opened: how each is closed

	ready bool // all hosts run: clients may begin; belongs to the host's turns
}

func (h *realHost) do(f func(now clock.Instant)) {
	if h.monitor != nil {
		_ = h.monitor.Do(f) // a monitor that failed says so in failure
		return
	}
	_ = h.pump.Do(f) // it says so itself if it failed
}

func (f *netnsFabric) open(x *experiment) (driver, error) {
	d := &netnsDriver{x: x, hosts: map[string]*realHost{}, links: map[string]*realLink{}}
	userspace := map[string]bool{}
	for i := range x.run.Hosts {
		h := &x.run.Hosts[i]
		d.hosts[h.Name] = &realHost{name: h.Name, cfg: h}
		userspace[h.Name] = !h.Stack.Kernel()
	}
	relayed := map[string]bool{}
	if f.driver == "relay" {
		for _, name := range x.impairedLinks() {
			relayed[name] = true
		}
	}
	for _, name := range x.boxedLinks() {
		relayed[name] = true
	}
	lab, err := netns.Build(f.ctx, x.run.Topology, netns.Options{
		Userspace: func(n string) bool { return userspace[n] },
		Relayed:   func(l string) bool { return relayed[l] },
	})
	if err != nil {
		return nil, err
	}
	d.lab = lab
	f.mu.Lock()
	f.unordered = cmp.Or(f.unordered, lab.Unordered())
	f.mu.Unlock()
	d.defer_(lab.Close)
	if err := d.start(f.driver, relayed); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *netnsDriver) defer_(f func() error) { d.closer = append(d.closer, f) }

// start puts life into the lab: impairments first, then kernel settings, captures,
// servers and clients.
func (d *netnsDriver) start(impair string, relayed map[string]bool) error {
	for i := range d.x.run.Topology.Links {
		l := &d.x.run.Topology.Links[i]
		d.links[l.Name] = &realLink{}
		byNetem := impair == "netem" && slices.Contains(d.x.impairedLinks(), l.Name)
		var err error
		if relayed[l.Name] {
			err = d.startRelay(l, byNetem)
		}
		if byNetem {
			err = errors.Join(err, d.startNetem(l))
		}
		if err != nil {
			return fmt.Errorf("link %s: %w", l.Name, err)
		}
	}
	for i := range d.x.run.Topology.Nodes {
		n := &d.x.run.Topology.Nodes[i]
		h := d.hosts[n.Name]
		if h == nil {
			continue
		}
		start := d.startOurs
		if h.cfg.Stack.Kernel() {
			start = d.startKernel
		}
		if err := start(h, n); err != nil {
			return fmt.Errorf("host %s: %w", n.Name, err)
		}
	}
	for i := range d.x.run.Hosts {
		h := d.hosts[d.x.run.Hosts[i].Name]
		h.do(func(clock.Instant) {
			h.ready = true
			if h.ours != nil {
				h.ours.node.Kick()
			}
		})
	}
	return nil
}

// apps lists the applications of a host. Its clients wait until every host runs:
// hosts start one after the other, and a client on a short path would find the
// server's port closed.
func (d *netnsDriver) apps(h *realHost) []workloads.App {
	apps := d.x.apps(h.name)
	for i, a := range apps {
		for _, f := range d.x.flows {
			if f.client.app == a {
				apps[i] = waiting{a, &h.ready}
			}
		}
	}
	return apps
}

// waiting is an application that begins when its host is ready.
type waiting struct {
	workloads.App
	ready *bool
}

// Step implements workloads.App.
func (w waiting) Step(now clock.Instant, h workloads.Host) (clock.Instant, bool) {
	if !*w.ready {
		return clock.Never, false
	}
	return w.App.Step(now, h)
}

// impairedLinks lists the links that are ever anything but a perfect wire.
func (x *experiment) impairedLinks() []string {
	var names []string
	for i := range x.run.Topology.Links {
		l := &x.run.Topology.Links[i]
		impaired := !perfect(l.Impair)
		for _, e := range x.run.Timeline {
			impaired = impaired || e.Link == l.Name && e.Impair != nil && !perfect(*e.Impair)
		}
		if impaired {
			names = append(names, l.Name)
		}
	}
	return names
}

// perfect reports whether a link in this state does nothing to packets: there is
// no rate for its queue to wait for either.
func perfect(c [2]impairments.Config) bool {
	for _, d := range c {
		if d.Rate != 0 || d.Delay != 0 || d.Jitter != 0 || d.Limit != 0 || d.Blackhole || d.Loss.Random.P != 0 || d.Loss.GE != nil ||
			len(d.Loss.Packets) > 0 || len(d.Loss.Segments) > 0 || d.Duplicate.P != 0 || d.Corrupt.P != 0 || d.Reorder.P != 0 {
			return false
		}
	}
	return true
}

func (d *netnsDriver) startOurs(h *realHost, n *topology.Node) error {
	h.ours = d.x.newStackHost(n, d.apps(h))
	h.cc = h.ours.cc
	var devices []link.Device
	for _, i := range n.Interfaces {
		dev, err := d.lab.Device(n.Name, i.Link)
		if err != nil {
			return err
		}
		devices = append(devices, dev)
	}
	names := make([]string, len(n.Interfaces))
	for i := range names {
		names[i] = n.Name + "." + n.Interfaces[i].Link
	}
	m, err := host.Start(host.Config{Machine: h.ours.node, Devices: devices, Clock: d.lab.Clock(),
		Tap: func(now clock.Instant, id machine.LinkID, out bool, p []byte) { d.x.tap(now, names[id], out, p) }})
	if err != nil {
		return err
	}
	h.monitor = m
	d.defer_(m.Close)
	return nil
}

func (d *netnsDriver) now() clock.Instant { return d.lab.Now() }

func (d *netnsDriver) do(name string, f func(now clock.Instant)) { d.hosts[name].do(f) }

func (d *netnsDriver) change(name string, f func(now clock.Instant)) {
	h := d.hosts[name]
	h.do(func(now clock.Instant) {
		f(now)
		if h.ours != nil {
			h.ours.node.Kick() // a pump runs its applications after each turn
		}
	})
}

// run sleeps until the lab's clock reaches until, while the hosts work, and looks
// whether all that was built still stands.
func (d *netnsDriver) run(ctx context.Context, until clock.Instant) error {
	timer := time.NewTimer(max(0, until.Sub(d.now())))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.lab.Failed():
	case <-timer.C:
	}
	return d.failure()
}

// failure reports what broke: a device, a relay, an interface that is gone.
func (d *netnsDriver) failure() error {
	var errs []error
	for _, h := range d.x.run.Hosts {
		r := d.hosts[h.Name]
		if r.monitor != nil {
			errs = append(errs, failed(r.monitor.Failed(), "stack of "+h.Name))
		}
		if r.pump != nil {
			errs = append(errs, r.pump.Err())
		}
	}
	for _, l := range d.x.run.Topology.Links {
		if r := d.links[l.Name]; r.relay != nil {
			errs = append(errs, failed(r.relay.Failed(), "relay of "+l.Name))
		}
	}
	errs = append(errs, d.lab.Err())
	return errors.Join(errs...)
}

// failed reports whether something broke; why is what its Close says.
func failed(c <-chan struct{}, what string) error {
	select {
	case <-c:
		return errors.New(what + " failed")
	default:
		return nil
	}
}

func (d *netnsDriver) setLinkUp(name string, up bool) error {
	return errors.Join(d.lab.SetLinkUp(name, up), d.carrier(name, up))
}

func (d *netnsDriver) setIfaceUp(h, name string, up bool) error {
	return errors.Join(d.lab.SetIfaceUp(h, name, up), d.carrier(name, up))
}

// carrier tells our stacks at the ends of a link what the kernel told its own.
func (d *netnsDriver) carrier(name string, up bool) error {
	var errs []error
	for _, end := range d.x.run.Topology.Link(name).Ends {
		h := d.hosts[end]
		if h == nil || h.ours == nil {
			continue
		}
		h.do(func(now clock.Instant) {
			errs = append(errs, h.ours.setUp(now, name, up))
			h.ours.node.Kick()
		})
	}
	return errors.Join(errs...)
}

// onHost runs ours on a host with our stack, theirs on one with the kernel's.
func (d *netnsDriver) onHost(name string, ours func(h *stackHost, now clock.Instant) error, theirs func() error) (err error) {
	h := d.hosts[name]
	switch {
	case h == nil:
		return fmt.Errorf("no host %s", name)
	case h.ours == nil:
		return theirs()
	}
	h.do(func(now clock.Instant) {
		err = ours(h.ours, now)
		h.ours.node.Kick()
	})
	return err
}

func (d *netnsDriver) addEndpoint(name string, e pm.Endpoint) error {
	return d.onHost(name, func(h *stackHost, now clock.Instant) error { return h.addEndpoint(now, e) },
		func() error { _, err := d.lab.AddEndpoint(name, e); return err })
}

func (d *netnsDriver) deleteEndpoint(name string, e pm.Endpoint) error {
	return d.onHost(name, func(h *stackHost, now clock.Instant) error { return h.deleteEndpoint(now, e) },
		func() error { return d.lab.DelEndpoint(name, e) })
}

func (d *netnsDriver) changeEndpoint(name string, e pm.Endpoint) error {
	return d.onHost(name, func(h *stackHost, now clock.Instant) error { return h.changeEndpoint(now, e) },
		func() error { return d.lab.ChangeEndpoint(name, e) })
}

func (d *netnsDriver) flushEndpoints(name string) error {
	return d.onHost(name, func(h *stackHost, now clock.Instant) error { h.node.Stack.FlushEndpoints(now); return nil },
		func() error { return d.lab.FlushEndpoints(name) })
}

func (d *netnsDriver) removeID0(name string, a netip.Addr) error {
	return d.onHost(name, func(h *stackHost, now clock.Instant) error { h.node.Stack.RemoveID0(now, a); return nil },
		func() error { return d.lab.RemoveID0(name, a) })
}

func (d *netnsDriver) command(name string, token uint32, c spec.Command) error {
	return d.onHost(name, func(h *stackHost, now clock.Instant) error { return h.command(now, token, c) },
		func() error {
			local := netip.AddrPortFrom(c.Local.Addr, c.Local.Port)
			switch c.Kind {
			case "announce":
				return d.lab.Announce(name, token, c.Local)
			case "remove":
				return d.lab.Remove(name, token, c.Local.ID)
			case "subflow_create":
				return d.lab.CreateSubflow(name, token, c.Local, c.Remote)
			case "subflow_destroy":
				return d.lab.DestroySubflow(name, token, local, c.Remote)
			}
			return d.lab.SetFlags(name, token, local, c.Remote, c.Local.Flags)
		})
}

func (d *netnsDriver) openListener(name string, at netip.AddrPort) error {
	return d.onHost(name, func(h *stackHost, now clock.Instant) error { return h.openListener(now, at) },
		func() error {
			h := d.hosts[name]
			stop, err := d.lab.Listen(name, at)
			if err != nil {
				return err
			}
			if h.listeners == nil {
				h.listeners = map[netip.AddrPort]func() error{}
			}
			h.listeners[at] = stop
			return nil
		})
}

func (d *netnsDriver) closeListener(name string, at netip.AddrPort) error {
	return d.onHost(name, func(h *stackHost, now clock.Instant) error { return h.closeListener(now, at) },
		func() error {
			h := d.hosts[name]
			stop := h.listeners[at]
			if stop == nil {
				return noListener(at)
			}
			delete(h.listeners, at)
			return stop()
		})
}

func (d *netnsDriver) setLimits(name string, l pm.Limits) error {
	return d.onHost(name, func(h *stackHost, _ clock.Instant) error { return h.node.Stack.SetLimits(l) },
		func() error { return d.lab.SetLimits(name, l) })
}

func (d *netnsDriver) counters(name string, f func(name string, v uint64)) error {
	h := d.hosts[name]
	if h.ours != nil {
		h.do(func(clock.Instant) { h.ours.node.Stack.Counters().Each(f) })
		return nil
	}
	all, err := d.lab.Counters(name)
	for k, v := range all {
		if strings.HasPrefix(k, "MPTcpExt") || strings.HasPrefix(k, "TcpExt") || strings.HasPrefix(k, "Tcp") {
			f(k, uint64(v))
		}
	}
	return err
}

func (d *netnsDriver) sockets(name string) (all []mptcp.SockDiag) {
	if h := d.hosts[name]; h.ours != nil {
		h.do(func(now clock.Instant) { all = h.ours.node.Stack.Diag(now) })
	}
	return all
}

func (d *netnsDriver) congestionControl(name string) string { return d.hosts[name].cc }

func (d *netnsDriver) degraded() []string { return d.notes }

func (d *netnsDriver) idle() bool {
	for _, h := range d.x.run.Hosts {
		r := d.hosts[h.Name]
		idle := true
		r.do(func(clock.Instant) {
			if r.ours != nil {
				idle = r.ours.node.Done()
			} else {
				select {
				case <-r.pump.Done():
				default:
					idle = false
				}
			}
		})
		if !idle {
			return false
		}
	}
	return true
}

func (d *netnsDriver) every() time.Duration { return 5 * time.Millisecond }

func (d *netnsDriver) fingerprint() string { return "" }

func (d *netnsDriver) close() error {
	var errs []error
	for _, f := range slices.Backward(d.closer) {
		errs = append(errs, f())
	}
	for _, h := range d.hosts {
		for _, stop := range h.listeners {
			errs = append(errs, stop())
		}
	}
	d.closer = nil
	return errors.Join(errs...)
}

// realLink is who impairs a link, and the middleboxes on it. With qdiscs the relay,
// if there is one, is for the middleboxes alone.
type realLink struct {
	relay *relay.Relay
	boxes []topology.Box
	qdisc [2]*endQdisc // by direction: uplink at the first end
}

// endQdisc is the qdiscs on the interface that a direction leaves by.
type endQdisc struct {
	node      *netns.Node
	index     int
	mtu       int
	seed      uint64
	installed []netem.Qdisc
}

// startRelay starts the relay of a link. Where netem impairs, the relay's wire is
// perfect.
func (d *netnsDriver) startRelay(l *topology.Link, byNetem bool) error {
	a, b, err := d.lab.RelayPorts(l.Name)
	if err != nil {
		return err
	}
	impair := l.Impair
	if byNetem {
		impair = [2]impairments.Config{}
	}
	m, boxes := d.x.run.Topology.NewLink(l, d.x.run.Seed, impair, true, d.x.filtered)
	r, err := relay.New(a, b, m, d.lab.Clock())
	if err != nil {
		return err
	}
	d.links[l.Name].relay, d.links[l.Name].boxes = r, boxes
	d.defer_(r.Close)
	return nil
}

func (d *netnsDriver) startNetem(l *topology.Link) error {
	r := d.links[l.Name]
	for dir := range r.qdisc {
		node := d.lab.Node(l.Ends[dir])
		q := &endQdisc{node: node, mtu: l.MTU, seed: impairments.Seed(d.x.run.Seed, l.Name+"/"+topology.Direction(dir).String())}
		err := node.Do(func() error {
			dev, err := netlink.LinkByName(l.Name)
			if err != nil {
				return err
			}
			q.index = dev.Attrs().Index
			return q.set(l.Impair[dir])
		})
		if err != nil {
			return fmt.Errorf("%s: %w", topology.Direction(dir), err)
		}
		r.qdisc[dir] = q
	}
	return nil
}

// set installs or changes the qdiscs and compares them with what the kernel then
// says. Called on the node's own thread.
func (q *endQdisc) set(c impairments.Config) error {
	plan, err := netem.Plan(c, q.mtu, q.seed)
	if err != nil {
		return err
	}
	conn, err := netem.Open()
	if err != nil {
		return err
	}
	defer conn.Close()
	if q.installed == nil {
		if err := conn.Apply(q.index, plan); err != nil {
			return err
		}
		q.installed = plan
	} else if q.installed, err = conn.Change(q.index, q.installed, plan); err != nil {
		return err
	}
	return conn.Verify(q.index, q.installed)
}

func (d *netnsDriver) setImpairments(name string, c [2]impairments.Config) error {
	l := d.links[name]
	if l == nil || l.relay == nil && l.qdisc[0] == nil {
		return fmt.Errorf("link %s is a plain veth", name)
	}
	for dir := range c {
		if l.qdisc[0] == nil {
			if err := l.relay.Set(dir, c[dir]); err != nil {
				return fmt.Errorf("link %s: %w", name, err)
			}
			continue
		}
		q := l.qdisc[dir]
		if err := q.node.Do(func() error { return q.set(c[dir]) }); err != nil {
			return fmt.Errorf("link %s %s: %w", name, topology.Direction(dir), err)
		}
	}
	return nil
}

// linkStats are the relay's; qdisc statistics are not the same thing and are not
// passed off as it.
func (d *netnsDriver) linkStats(name string, direction int) (impairments.Stats, bool) {
	if l := d.links[name]; l != nil && l.relay != nil && l.qdisc[0] == nil {
		return l.relay.Stats().Directions[direction], true
	}
	return impairments.Stats{}, false
}
