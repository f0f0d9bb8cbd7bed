package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	congestionControl        = "net.ipv4.tcp_congestion_control"
	allowedCongestionControl = "net.ipv4.tcp_allowed_congestion_control"
)

// SetCongestionControl makes name the default of a node's namespace, for all its
// sockets, and returns what is in force then. A namespace may only choose among the
// machine's allowed controllers; as root of the machine the list is made longer for the
// moment of the choice. Where that is not permitted, the error says so, and sockets
// can still be set one by one (TCP_CONGESTION), since the lab has the privileges over
// its namespaces.
func (l *Lab) SetCongestionControl(node, name string) (inForce string, err error) {
	n := l.nodes[node]
	if n == nil {
		return "", fmt.Errorf("netns: no node %q", node)
	}
	set := func() error { return n.thread.do(func() error { return writeSysctl(congestionControl, name) }) }
	err = set()
	if errors.Is(err, fs.ErrPermission) {
		err = allowing(name, set)
	}
	inForce, readErr := n.Sysctl(congestionControl)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("netns: %s: this kernel has no congestion control %q: %w", node, name, err)
	case err != nil:
		err = fmt.Errorf("netns: %s: congestion control %s: %w", node, name, err)
	case readErr == nil && inForce != name:
		err = fmt.Errorf("netns: %s: congestion control is %s, not %s", node, inForce, name)
	}
	return inForce, errors.Join(err, readErr)
}

// allowing runs f while name is among the machine's allowed controllers, and puts the
// list back as it was. The lock keeps two labs from restoring each other's list.
func allowing(name string, f func() error) error {
	file, err := os.OpenFile(sysctlPath(allowedCongestionControl), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%s is the machine's: %w", allowedCongestionControl, err)
	}
	defer file.Close()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	before, err := readSysctl(allowedCongestionControl)
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(before), name) {
		return f()
	}
	if err := writeSysctl(allowedCongestionControl, before+" "+name); err != nil {
		return err
	}
	return errors.Join(f(), writeSysctl(allowedCongestionControl, before))
}
