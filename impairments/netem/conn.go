package netem

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrUnsupported says that the kernel lacks a qdisc.
var ErrUnsupported = errors.New("the kernel lacks this queueing discipline")

// Conn talks to the kernel about the qdiscs of one network namespace. Its methods
// may be called from any goroutine and thread.
type Conn struct {
	socket map[int]*nl.SocketHandle
}

// Open opens a netlink socket in the network namespace of the calling thread, where
// the Conn stays.
func Open() (*Conn, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netem: netlink socket: %w", err)
	}
	return &Conn{map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}}, nil
}

// Close closes the socket. What is installed stays.
func (c *Conn) Close() {
	for _, s := range c.socket {
		s.Close()
	}
}

func (c *Conn) request(kind, flags int, ifindex int, q Qdisc) *nl.NetlinkRequest {
	req := &nl.NetlinkRequest{
		NlMsghdr: unix.NlMsghdr{Len: unix.SizeofNlMsghdr, Type: uint16(kind), Flags: unix.NLM_F_REQUEST | uint16(flags)},
		Sockets:  c.socket,
	}
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(ifindex), Handle: uint32(q.Handle), Parent: uint32(q.Parent)})
	return req
}

// modify makes q (flags CREATE and REPLACE) or changes it (none).
func (c *Conn) modify(ifindex int, q Qdisc, flags int) error {
	req := c.request(unix.RTM_NEWQDISC, flags|unix.NLM_F_ACK, ifindex, q)
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(q.Options.Kind())))
	req.AddRawData(q.Options.encode())
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	if err != nil {
		return fmt.Errorf("netem: %s %s (%s) on interface %d: %w", q.Options.Kind(), q.Handle, q.Options.Tc(), ifindex, refusal(err))
	}
	return nil
}

// refusal names the kernel's answer to a qdisc that it has not.
func refusal(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w (%w)", ErrUnsupported, err)
	}
	return err
}

// Supported returns nil if the kernel has netem and TBF, an error that wraps
// ErrUnsupported and names the qdisc if not, or what else is in the way (EPERM). It
// changes nothing.
func (c *Conn) Supported() error {
	return errors.Join(c.SupportsNetem(), c.SupportsTBF())
}

// SupportsNetem is Supported for netem alone.
func (c *Conn) SupportsNetem() error { return c.probe("netem") }

// SupportsTBF is Supported for TBF alone.
func (c *Conn) SupportsTBF() error { return c.probe("tbf") }

// probe asks for a qdisc without options on the loopback interface. Both kinds refuse
// to start so (EINVAL), but only if they exist (else ENOENT).
func (c *Conn) probe(kind string) error {
	const loopback = 1
	req := c.request(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK, loopback,
		Qdisc{Parent: Root, Handle: otherMajor << 16})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	switch {
	case errors.Is(err, unix.EINVAL):
		return nil
	case err == nil:
		return fmt.Errorf("netem: probing for %s: it was accepted without options", kind)
	}
	return fmt.Errorf("netem: probing for %s: %w", kind, refusal(err))
}

// Apply installs a plan in place of whatever the interface has; what waits there is
// lost. An empty plan gives the interface back its default.
func (c *Conn) Apply(ifindex int, plan []Qdisc) error {
	if len(plan) == 0 {
		return c.Clear(ifindex)
	}
	if err := c.Clear(ifindex); err != nil {
		return err
	}
	for _, s := range rebuild(plan) {
		if err := c.do(ifindex, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) do(ifindex int, s step) error {
	if s.change {
		return c.modify(ifindex, s.q, 0)
	}
	return c.modify(ifindex, s.q, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
}

// Change turns what is installed (by Apply or Change) into a new plan while traffic
// runs, and returns what is installed then, for the next Change and for Verify.
// Packets that wait stay, except where a black hole begins or the kind of a queue
// changes. As ever with netem, packets that wait keep the send times that they got
// when they came, for the delay and for netem's rate.
func (c *Conn) Change(ifindex int, installed, plan []Qdisc) ([]Qdisc, error) {
	steps, tree := transition(installed, plan)
	for _, s := range steps {
		if err := c.do(ifindex, s); err != nil {
			return installed, err
		}
	}
	return tree, nil
}

// Clear removes all qdiscs of ours; the kernel's default comes back.
func (c *Conn) Clear(ifindex int) error {
	_, err := c.request(unix.RTM_DELQDISC, unix.NLM_F_ACK, ifindex, Qdisc{Parent: Root}).Execute(unix.NETLINK_ROUTE, 0)
	// The default qdisc cannot be deleted, which the kernel says in two ways.
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("netem: clear interface %d: %w", ifindex, err)
	}
	return nil
}

// Installed is a qdisc as the kernel tells it, with its counters.
type Installed struct {
	Qdisc
	Stats Stats
}

// Read returns the qdiscs of the interface.
func (c *Conn) Read(ifindex int) ([]Installed, error) {
	for attempt := 0; ; attempt++ {
		list, err := c.dump(ifindex)
		// A change of any interface's qdiscs meanwhile interrupts a dump.
		if errors.Is(err, nl.ErrDumpInterrupted) && attempt < 10 {
			continue
		}
		return list, err
	}
}

func (c *Conn) dump(ifindex int) ([]Installed, error) {
	messages, err := c.request(unix.RTM_GETQDISC, unix.NLM_F_DUMP, ifindex, Qdisc{}).Execute(unix.NETLINK_ROUTE, unix.RTM_NEWQDISC)
	if err != nil {
		return nil, fmt.Errorf("netem: list qdiscs: %w", err)
	}
	var list []Installed
	for _, m := range messages {
		q, index, st, err := decodeQdisc(m)
		if err != nil {
			return nil, err
		}
		if index == ifindex {
			list = append(list, Installed{q, st})
		}
	}
	return list, nil
}

// Verify reads back what the interface has and compares it, as Compare does, with
// what was asked.
func (c *Conn) Verify(ifindex int, want []Qdisc) error {
	list, err := c.Read(ifindex)
	if err != nil {
		return err
	}
	got := make([]Qdisc, len(list))
	for i, q := range list {
		got[i] = q.Qdisc
	}
	return Compare(want, got)
}
