package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"golang.org/x/sys/unix"

	"mptcplab/topology"
)

// Node is a host, router or switch with a namespace of its own.
type Node struct {
	lab        *Lab
	spec       *topology.Node
	thread     *thread
	nl         netlinksafe.Handle // opened inside; used on the thread only
	userspace  bool
	ifaces     []*Interface
	neighbours map[string][]neighbour // by interface
	unwatch    chan struct{}          // closed to end watching for vanished interfaces
}

// Interface is one end of a link at a node.
type Interface struct {
	name     string // the link's
	index    int
	mac      [6]byte
	prefixes []netip.Prefix
	end      int
	link     int // index in the topology
}

func (l *Lab) addNode(spec *topology.Node) error {
	if l.nodes[spec.Name] != nil {
		return fmt.Errorf("netns: two nodes are called %q", spec.Name)
	}
	t, err := newThread()
	if err != nil {
		return err
	}
	n := &Node{lab: l, spec: spec, thread: t, userspace: spec.Kind == topology.Host && l.options.Userspace(spec.Name)}
	l.nodes[spec.Name] = n
	l.order = append(l.order, n)
	err = t.do(func() error {
		n.nl, err = netlinksafe.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		return n.prepare()
	})
	if err != nil {
		return fmt.Errorf("netns: %s: %w", spec.Name, err)
	}
	return nil
}

func (n *Node) close() error {
	if n.unwatch != nil {
		close(n.unwatch)
	}
	err := n.thread.do(func() error {
		n.nl.Close()
		return nil
	})
	n.thread.close()
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}

// Name returns the node's name.
func (n *Node) Name() string { return n.spec.Name }

// Userspace reports whether the kernel is silent here.
func (n *Node) Userspace() bool { return n.userspace }

// Do runs f on the node's thread: sockets opened by f are in its namespace. f must
// not call methods of the lab.
func (n *Node) Do(f func() error) error { return n.thread.do(f) }

func (n *Node) iface(name string) *Interface {
	for _, i := range n.ifaces {
		if i.name == name {
			return i
		}
	}
	return nil
}

// Start starts cmd in the node's namespace. It dies with the lab's thread, hence with
// the process, whatever ends it. The caller waits for it.
func (n *Node) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	return n.thread.do(cmd.Start)
}

// sysctlPath turns net.ipv4.conf.all.rp_filter into its file, whose content depends
// on the namespace of the thread that opens it. Interfaces may have dots in their
// names where the name is written with slashes.
func sysctlPath(name string) string {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	return "/proc/sys/" + name
}

func readSysctl(name string) (string, error) {
	b, err := os.ReadFile(sysctlPath(name))
	if err != nil {
		return "", fmt.Errorf("sysctl %s: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}

func writeSysctl(name, value string) error {
	f, err := os.OpenFile(sysctlPath(name), os.O_WRONLY, 0) // never creates
	if err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", name, value, err)
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", name, value, err)
	}
	return nil
}

// Sysctl reads a setting in the node's namespace. A setting that the kernel lacks
// gives fs.ErrNotExist.
func (n *Node) Sysctl(name string) (value string, err error) {
	err = n.thread.do(func() error {
		value, err = readSysctl(name)
		return err
	})
	return value, err
}

// SetSysctl writes a setting in the node's namespace and reads it back. One that the
// kernel lacks gives fs.ErrNotExist, one that may not be changed here
// fs.ErrPermission.
func (n *Node) SetSysctl(name, value string) error {
	return n.thread.do(func() error {
		if err := writeSysctl(name, value); err != nil {
			return err
		}
		got, err := readSysctl(name)
		if err != nil {
			return err
		}
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(value), " ") {
			return fmt.Errorf("sysctl %s: asked for %s, got %s", name, value, got)
		}
		return nil
	})
}
