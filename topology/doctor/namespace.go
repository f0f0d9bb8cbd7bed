package doctor

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mptcplab/impairments/netem"
	"mptcplab/mptcp/link"
	"mptcplab/topology/netns"
)

// inNamespace runs f on a thread in a fresh network namespace, which ends with it.
func inNamespace(f func()) error {
	if !netns.Privileged() {
		return errUnprivileged
	}
	result := make(chan error)
	go unshared(f, result)
	if err := <-result; err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	return nil
}

// unshared runs f on a thread of its own and tells how the beginning went.
func unshared(f func(), result chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread cannot end, and what it sees is what /proc/self shows.
		// While this goroutine holds it, the next one gets another thread.
		inner := make(chan error)
		go unshared(f, inner)
		err := <-inner
		runtime.UnlockOSThread()
		result <- err
		return
	}
	// Never unlocked: the runtime ends the thread with the goroutine.
	err := unix.Unshare(unix.CLONE_NEWNET)
	if err == nil {
		f()
	}
	result <- err
}

// What stands in for what a namespace may lack.
const (
	insteadVeth   = "virtual time (--fabric virtual)"
	insteadPacket = "virtual time (--fabric virtual)"
	insteadTUN    = "AF_PACKET, which is the default anyway"
	insteadNetem  = "the built-in relay (--impair relay; auto takes it), or `mptcplab vm run`"
	insteadTBF    = "the built-in relay (--impair relay; auto takes it), or `mptcplab vm run`"
)

// unexamined are the findings of examineNamespace where there is no namespace.
func unexamined(err error) []Finding {
	return []Finding{
		finding("veth", err, "", insteadVeth),
		finding("AF_PACKET", err, "", insteadPacket),
		finding("TUN", err, "", insteadTUN),
		finding("netem", err, "", insteadNetem),
		finding("tbf", err, "", insteadTBF),
	}
}

// examineNamespace tries everything in the namespace of the calling thread.
func examineNamespace() []Finding {
	return []Finding{
		finding("veth", tryVeth(), "pairs of interfaces work", insteadVeth),
		finding("AF_PACKET", tryPacket(), "packet sockets work", insteadPacket),
		finding("TUN", tryTUN(), "/dev/net/tun works", insteadTUN),
		finding("netem", tryQdisc((*netem.Conn).SupportsNetem), "the kernel impairs links itself", insteadNetem),
		finding("tbf", tryQdisc((*netem.Conn).SupportsTBF), "token buckets for bursts", insteadTBF),
	}
}

const probe = "probe0"

func tryVeth() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = probe
	return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "probe1"})
}

// tryPacket opens the pair that tryVeth left.
func tryPacket() error {
	e, err := link.OpenEthernet(probe)
	if err != nil {
		return err
	}
	return e.Close()
}

func tryTUN() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	ifr, err := unix.NewIfreq("probe2")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, ifr); err != nil {
		return fmt.Errorf("TUNSETIFF: %w", err)
	}
	return nil
}

func tryQdisc(try func(*netem.Conn) error) error {
	c, err := netem.Open()
	if err != nil {
		return err
	}
	defer c.Close()
	err = try(c)
	if errors.Is(err, netem.ErrUnsupported) {
		return netem.ErrUnsupported
	}
	return err
}
