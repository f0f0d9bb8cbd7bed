package netns

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mptcplab/mptcp/pm"
)

const pmEventGroup = "mptcp_pm_events"

// The attributes of events (enum mptcp_event_attr).
const (
	attrToken = 1 + iota
	attrFamily
	attrLocID
	attrRemID
	attrSaddr4
	attrSaddr6
	attrDaddr4
	attrDaddr6
	attrSport
	attrDport
	attrBackup
	attrError
	attrFlags
	attrTimeout
	attrIndex
	attrResetReason
	attrResetFlags
	attrServerSide
)

var pmEventKinds = map[uint8]pm.EventKind{1: pm.Created, 2: pm.Established, 3: pm.ConnClosed, 6: pm.Announced, 7: pm.Removed,
	10: pm.SubEstablished, 11: pm.SubClosed, 13: pm.SubPriority, 15: pm.ListenerCreated, 16: pm.ListenerClosed}

// MonitorPM calls f, on a goroutine of its own, with the events of a kernel host's
// path manager ("ip mptcp monitor"), until close, which waits for the last one.
func (l *Lab) MonitorPM(node string, f func(e pm.Event)) (close func() error, err error) {
	fd, stop := -1, -1
	err = l.onKernel(node, func(*Node) (err error) {
		fd, err = pmEventSocket()
		return err
	})
	if err != nil {
		return nil, err
	}
	if stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		unix.Close(fd)
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- readPMEvents(fd, stop, f) }()
	return func() error {
		_, err := unix.Write(stop, binary.NativeEndian.AppendUint64(nil, 1))
		if err == nil {
			err = <-done
		}
		unix.Close(fd)
		unix.Close(stop)
		return err
	}, nil
}

// pmEventSocket opens a socket that gets the events of the calling thread's namespace.
func pmEventSocket() (int, error) {
	family, err := netlink.GenlFamilyGet(pmFamily)
	if err != nil {
		return -1, fmt.Errorf("netns: this kernel has no mptcp_pm: %w", err)
	}
	for _, g := range family.Groups {
		if g.Name != pmEventGroup {
			continue
		}
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_GENERIC)
		if err != nil {
			return -1, err
		}
		if err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(g.ID))
		}
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		return fd, nil
	}
	return -1, fmt.Errorf("netns: mptcp_pm has no group %s", pmEventGroup)
}

func readPMEvents(fd, stop int, f func(e pm.Event)) error {
	buf := make([]byte, 1<<16)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return err
		}
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case err == unix.EAGAIN && fds[1].Revents != 0:
			return nil
		case err == unix.EAGAIN, err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("netns: events of mptcp_pm: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			if len(m.Data) < nl.SizeofGenlmsg {
				continue
			}
			if e, ok := parsePMEvent(m.Data[0], m.Data[nl.SizeofGenlmsg:]); ok {
				f(e)
			}
		}
	}
}

// parsePMEvent reads an event; ok is false for kinds that this project does not know.
func parsePMEvent(command uint8, b []byte) (e pm.Event, ok bool) {
	kind, ok := pmEventKinds[command]
	attrs, err := nl.ParseRouteAttr(b)
	if !ok || err != nil {
		return e, false
	}
	e = pm.Event{Kind: kind, Path: -1}
	var local, remote netip.Addr
	var sport, dport uint16
	for _, a := range attrs {
		v := a.Value
		switch kind := a.Attr.Type & typeMask; {
		case kind == attrToken && len(v) >= 4:
			e.Token = binary.NativeEndian.Uint32(v)
		case kind == attrLocID && len(v) >= 1:
			e.LocalID = v[0]
		case kind == attrRemID && len(v) >= 1:
			e.RemoteID = v[0]
		case (kind == attrSaddr4 || kind == attrSaddr6) && (len(v) == 4 || len(v) == 16):
			local, _ = netip.AddrFromSlice(v)
		case (kind == attrDaddr4 || kind == attrDaddr6) && (len(v) == 4 || len(v) == 16):
			remote, _ = netip.AddrFromSlice(v)
		case kind == attrSport && len(v) >= 2:
			sport = binary.BigEndian.Uint16(v)
		case kind == attrDport && len(v) >= 2:
			dport = binary.BigEndian.Uint16(v)
		case kind == attrBackup && len(v) >= 1:
			e.Backup = v[0] != 0
		case kind == attrError && len(v) >= 1:
			e.Err = pm.Errno(v[0])
		case kind == attrFlags && len(v) >= 2:
			flags := binary.NativeEndian.Uint16(v)
			e.DenyJoinID0, e.ServerSide = flags&1 != 0, e.ServerSide || flags&2 != 0
		case kind == attrServerSide && len(v) >= 1:
			e.ServerSide = v[0] != 0
		case kind == attrResetReason && len(v) >= 4:
			e.Reset, e.ResetReason = true, uint8(binary.NativeEndian.Uint32(v))
		case kind == attrResetFlags && len(v) >= 4:
			e.Reset, e.ResetFlags = true, uint8(binary.NativeEndian.Uint32(v))
		}
	}
	e.Local, e.Remote = netip.AddrPortFrom(local, sport), netip.AddrPortFrom(remote, dport)
	return e, true
}
