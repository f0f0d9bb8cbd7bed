package netns

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mptcplab/mptcp/pm"
)

// The commands of the userspace path manager, which name a connection by its token.
const (
	pmAnnounce       = 8
	pmRemove         = 9
	pmSubflowCreate  = 10
	pmSubflowDestroy = 11

	pmAttrToken      = 4
	pmAttrLocID      = 5
	pmAttrAddrRemote = 6
)

// pmCommand sends a command for one connection.
func (l *Lab) pmCommand(node string, command uint8, token uint32, attrs ...*nl.RtAttr) error {
	return l.onKernel(node, func(*Node) error {
		_, err := pmRequest(command, unix.NLM_F_ACK, append([]*nl.RtAttr{nl.NewRtAttr(pmAttrToken, nl.Uint32Attr(token))}, attrs...)...)
		if err != nil {
			return fmt.Errorf("netns: %s: mptcp_pm command %d for %08x: %w", node, command, token, err)
		}
		return nil
	})
}

// remoteAttr describes the peer's end of a subflow.
func remoteAttr(a netip.AddrPort) *nl.RtAttr {
	r := endpointAttr(pm.Endpoint{Addr: a.Addr(), Port: a.Port()}, 0)
	r.Type = pmAttrAddrRemote | unix.NLA_F_NESTED
	return r
}

// Announce sends ADD_ADDR for e on one connection of a kernel host.
func (l *Lab) Announce(node string, token uint32, e pm.Endpoint) error {
	return l.pmCommand(node, pmAnnounce, token, endpointAttr(e, 0))
}

// Remove sends REMOVE_ADDR for an address id of one connection.
func (l *Lab) Remove(node string, token uint32, id uint8) error {
	return l.pmCommand(node, pmRemove, token, nl.NewRtAttr(pmAttrLocID, nl.Uint8Attr(id)))
}

// CreateSubflow opens a subflow of one connection.
func (l *Lab) CreateSubflow(node string, token uint32, local pm.Endpoint, remote netip.AddrPort) error {
	return l.pmCommand(node, pmSubflowCreate, token, endpointAttr(local, 0), remoteAttr(remote))
}

// DestroySubflow closes the subflow between two addresses with their ports.
func (l *Lab) DestroySubflow(node string, token uint32, local, remote netip.AddrPort) error {
	return l.pmCommand(node, pmSubflowDestroy, token, endpointAttr(pm.Endpoint{Addr: local.Addr(), Port: local.Port()}, 0), remoteAttr(remote))
}

// SetFlags tells the peer by MP_PRIO whether a subflow is for backup.
func (l *Lab) SetFlags(node string, token uint32, local, remote netip.AddrPort, flags pm.EndpointFlags) error {
	return l.pmCommand(node, pmSetFlags, token, endpointAttr(pm.Endpoint{Addr: local.Addr(), Port: local.Port(), Flags: flags}, 0), remoteAttr(remote))
}

// Listen opens an MPTCP socket that listens and whose connections nobody accepts
// ("pm_nl_ctl listen"), until close.
func (l *Lab) Listen(node string, at netip.AddrPort) (close func() error, err error) {
	fd := -1
	err = l.onKernel(node, func(*Node) (err error) {
		family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
		if at.Addr().Is4() {
			family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
		}
		if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP); err != nil {
			return err
		}
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
			if err = unix.Bind(fd, sa); err == nil {
				err = unix.Listen(fd, 30)
			}
		}
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("netns: %s: listener at %s: %w", node, at, err)
	}
	return func() error { return unix.Close(fd) }, nil
}
