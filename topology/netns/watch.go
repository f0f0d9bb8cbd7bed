package netns

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// watch makes the lab fail when an interface of the node vanishes. It is called on
// the node's thread.
func (n *Node) watch() error {
	updates := make(chan netlink.LinkUpdate, 16)
	n.unwatch = make(chan struct{})
	err := netlink.LinkSubscribeWithOptions(updates, n.unwatch, netlink.LinkSubscribeOptions{
		ErrorCallback: func(error) {}, // the socket is closed, or we are too slow: Check finds out
	})
	if err != nil {
		return fmt.Errorf("watching interfaces: %w", err)
	}
	go func() {
		for u := range updates {
			if u.Header.Type != unix.RTM_DELLINK || u.IfInfomsg.Family != unix.AF_UNSPEC {
				continue // AF_BRIDGE: a port left its switch
			}
			for _, i := range n.ifaces {
				if i.index == int(u.Index) {
					n.lab.fail(fmt.Errorf("netns: interface %s.%s is gone", n.spec.Name, i.name))
				}
			}
		}
	}()
	return nil
}

// fail notes the first thing that broke a standing lab.
func (l *Lab) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.err != nil {
		return
	}
	l.err = err
	close(l.failed)
}

// Failed is closed when an interface has vanished; Err says which.
func (l *Lab) Failed() <-chan struct{} { return l.failed }

// Err returns what broke the lab: nil while it stands.
func (l *Lab) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
