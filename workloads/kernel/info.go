package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp"
	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
)

// Socket options of SOL_MPTCP and flags, as in linux/mptcp.h.
const (
	optInfo     = 1
	optFullInfo = 4 // since Linux 6.5

	flagFallback  = 1 << 0
	flagRemoteKey = 1 << 1
)

// mptcpInfo is struct mptcp_info as of Linux 6.18; older kernels fill less of it.
type mptcpInfo struct {
	subflows, addAddrSignal, addAddrAccepted, subflowsMax, addAddrSignalMax, addAddrAcceptedMax uint8
	flags, token                                                                                uint32
	writeSeq, sndUna, rcvNxt                                                                    uint64
	localAddrUsed, localAddrMax, checksum                                                       uint8
	retransmits                                                                                 uint32
	bytesRetrans, bytesSent, bytesReceived, bytesAcked                                          uint64
	subflowsTotal, laminarMax, fullmeshMax, _                                                   uint8
	lastDataSent, lastDataRecv, lastAckRecv                                                     uint32
}

// fullInfo is struct mptcp_full_info.
type fullInfo struct {
	sizeTCPKernel, sizeTCPUser         uint32
	sizeSubflowKernel, sizeSubflowUser uint32
	numSubflows, sizeArrays            uint32
	subflows                           *subflowInfo // __aligned_u64
	tcp                                *unix.TCPInfo
	info                               mptcpInfo
}

// subflowInfo is struct mptcp_subflow_info: two struct __kernel_sockaddr_storage
// behind the identifier.
type subflowInfo struct {
	id            uint32
	_             uint32
	local, remote [128]byte
}

// maxSubflows is how many subflows are asked for. The kernel allows 8 besides the
// first in its limits.
const maxSubflows = 16

// getsockopt reads an option into v, size bytes, without giving the kernel back what
// it didn't fill.
func getsockopt(fd, level, option int, v unsafe.Pointer, size uint32) error {
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(v), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Info implements workloads.Conn. Subflows that the kernel has forgotten stay in the
// list as they were when last seen: ask often.
func (c *Conn) Info(clock.Instant) (mptcp.Info, error) {
	if c.fd < 0 {
		return c.copyLast(), nil
	}
	protocol, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return c.copyLast(), fmt.Errorf("kernel: SO_PROTOCOL: %w", err)
	}
	c.last.SndBuf, _ = unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	c.last.RcvBuf, _ = unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if protocol == unix.IPPROTO_MPTCP {
		err = c.fullInfo()
	} else {
		// An MPTCP listener gives plain TCP sockets for plain TCP peers.
		if c.mptcp && !c.last.Fallback {
			c.last.Fallback, c.last.FallbackReason = true, "no MP_CAPABLE in SYN"
		}
		err = c.plainInfo()
	}
	if err != nil {
		return c.copyLast(), fmt.Errorf("kernel: connection info: %w", err)
	}
	return c.copyLast(), nil
}

func (c *Conn) copyLast() mptcp.Info {
	in := c.last
	in.Subflows = append([]mptcp.SubflowInfo(nil), in.Subflows...)
	return in
}

// fullInfo asks for MPTCP_FULL_INFO: the connection and all its subflows at one
// instant.
func (c *Conn) fullInfo() error {
	var subflows [maxSubflows]subflowInfo
	var infos [maxSubflows]unix.TCPInfo
	full := fullInfo{
		sizeTCPUser:     uint32(unsafe.Sizeof(infos[0])),
		sizeSubflowUser: uint32(unsafe.Sizeof(subflows[0])),
		sizeArrays:      maxSubflows,
		subflows:        &subflows[0],
		tcp:             &infos[0],
	}
	err := getsockopt(c.fd, unix.SOL_MPTCP, optFullInfo, unsafe.Pointer(&full), uint32(unsafe.Sizeof(full)))
	if unknown(err) {
		return c.firstInfo()
	}
	if err != nil {
		return err
	}
	c.connection(&full.info)
	seen := make(map[int]bool)
	for i := range min(int(full.numSubflows), maxSubflows) {
		if addrPort(subflows[i].remote).Port() == 0 {
			continue // disconnected: the kernel keeps the first subflow's socket
		}
		s := mptcp.SubflowInfo{
			ID:     int(subflows[i].id),
			Local:  addrPort(subflows[i].local),
			Remote: addrPort(subflows[i].remote),
			TCP:    tcpInfo(&infos[i]),
		}
		s.Established = established(s.TCP.State)
		seen[c.merge(s)] = true
	}
	for i := range c.last.Subflows {
		if !seen[i] {
			c.last.Subflows[i].Closed = true
		}
	}
	c.sum()
	return nil
}

// firstInfo is for sockets that fell back, which know no MPTCP options, and for kernels
// without MPTCP_FULL_INFO: the connection, and TCP_INFO, which is the first subflow's.
func (c *Conn) firstInfo() error {
	var in mptcpInfo
	err := getsockopt(c.fd, unix.SOL_MPTCP, optInfo, unsafe.Pointer(&in), uint32(unsafe.Sizeof(in)))
	if unknown(err) {
		if !c.last.Fallback {
			c.fellBack(c.last.Token != 0)
		}
		return c.plainInfo()
	}
	if err != nil {
		return err
	}
	c.connection(&in)
	return c.subflowAlone()
}

// unknown reports whether err means that a socket has no such option.
func unknown(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOPROTOOPT)
}

// fellBack notes that the connection is plain TCP. The kernel does not say why; that
// the peer answered MP_CAPABLE at first (spoke) excludes the handshake.
func (c *Conn) fellBack(spoke bool) {
	c.last.MPTCP, c.last.Fallback = false, true
	c.last.FallbackReason = "no MP_CAPABLE in SYN/ACK"
	if spoke {
		c.last.FallbackReason = "after the handshake; the kernel does not say why"
	}
}

// connection takes over what is said of the connection as a whole.
func (c *Conn) connection(in *mptcpInfo) {
	l := &c.last
	l.Token = in.token
	l.Checksum = in.checksum != 0
	l.BytesSent, l.BytesAcked, l.BytesReceived = in.bytesSent, in.bytesAcked, in.bytesReceived
	l.Reinjected = in.bytesRetrans // mptcpi_bytes_retrans: sent again by the connection, on whatever subflow
	l.MPTCP = c.Established()
	if in.flags&flagFallback != 0 {
		c.fellBack(in.flags&flagRemoteKey != 0)
	}
}

// plainInfo is for TCP sockets.
func (c *Conn) plainInfo() error {
	if err := c.subflowAlone(); err != nil {
		return err
	}
	l := &c.last
	t := &l.Subflows[0].TCP
	l.BytesSent = t.BytesSent - t.BytesRetrans
	l.BytesAcked, l.BytesReceived = t.BytesAcked, t.BytesReceived
	l.SndWnd, l.RcvWnd = t.SndWnd, t.RcvWnd
	return nil
}

// subflowAlone takes over TCP_INFO and the socket's addresses as the only subflow.
func (c *Conn) subflowAlone() error {
	var t unix.TCPInfo
	if err := getsockopt(c.fd, unix.SOL_TCP, unix.TCP_INFO, unsafe.Pointer(&t), uint32(unsafe.Sizeof(t))); err != nil {
		return err
	}
	s := mptcp.SubflowInfo{TCP: tcpInfo(&t)}
	if sa, err := unix.Getsockname(c.fd); err == nil {
		s.Local = fromSockaddr(sa)
	}
	if sa, err := unix.Getpeername(c.fd); err == nil {
		s.Remote = fromSockaddr(sa)
	}
	s.Established = established(s.TCP.State)
	s.Closed = s.TCP.State == tcp.StateClosed
	switch {
	case len(c.last.Subflows) == 0:
		c.last.Subflows = []mptcp.SubflowInfo{s}
	case s.TCP.SegsOut < c.last.Subflows[0].TCP.SegsOut: // disconnected: it counts anew
		c.last.Subflows[0].Closed = true
	default:
		if !s.Remote.IsValid() { // gone with the connection
			s.Local, s.Remote = c.last.Subflows[0].Local, c.last.Subflows[0].Remote
		}
		c.last.Subflows[0] = s
	}
	c.sum()
	return nil
}

// merge puts s in the place of what was known of the same subflow, and returns that
// place. The connection's identifiers of subflows are not used again; kernels that
// count only from the first data on give 0, so addresses decide.
func (c *Conn) merge(s mptcp.SubflowInfo) int {
	for i := range c.last.Subflows {
		old := &c.last.Subflows[i]
		if old.Local == s.Local && old.Remote == s.Remote {
			s.Established = s.Established || old.Established
			*old = s
			return i
		}
	}
	c.last.Subflows = append(c.last.Subflows, s)
	return len(c.last.Subflows) - 1
}

func (c *Conn) sum() {
	c.last.BytesRetrans = 0
	for i := range c.last.Subflows {
		c.last.BytesRetrans += c.last.Subflows[i].TCP.BytesRetrans
	}
}

func established(s tcp.State) bool { return s != tcp.StateSYNSent && s != tcp.StateSYNReceived }

// addrPort reads a struct sockaddr_in or sockaddr_in6.
func addrPort(b [128]byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(b[2:])
	switch binary.NativeEndian.Uint16(b[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])).Unmap(), port)
	}
	return netip.AddrPort{}
}

func fromSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// tcpInfo translates tcp_info; the kernel's times are microseconds and milliseconds.
func tcpInfo(t *unix.TCPInfo) tcp.Info {
	us := func(v uint32) time.Duration { return time.Duration(v) * time.Microsecond }
	ms := func(v uint32) time.Duration { return time.Duration(v) * time.Millisecond }
	in := tcp.Info{
		State:         tcp.State(t.State),
		CAState:       cc.State(t.Ca_state),
		Retransmits:   int(t.Retransmits),
		Backoff:       int(t.Backoff),
		RTO:           us(t.Rto),
		ATO:           us(t.Ato),
		SndMSS:        int(t.Snd_mss),
		RcvMSS:        int(t.Rcv_mss),
		Unacked:       int(t.Unacked),
		Sacked:        int(t.Sacked),
		Lost:          int(t.Lost),
		Retrans:       int(t.Retrans),
		RTT:           us(t.Rtt),
		RTTVar:        us(t.Rttvar),
		MinRTT:        us(t.Min_rtt),
		SndSSThresh:   int(min(t.Snd_ssthresh, cc.MaxSSThresh)),
		SndCwnd:       int(t.Snd_cwnd),
		RcvSSThresh:   int(t.Rcv_ssthresh),
		TotalRetrans:  uint64(t.Total_retrans),
		PacingRate:    t.Pacing_rate,
		DeliveryRate:  t.Delivery_rate,
		BytesSent:     t.Bytes_sent,
		BytesRetrans:  t.Bytes_retrans,
		BytesAcked:    t.Bytes_acked,
		BytesReceived: t.Bytes_received,
		SegsOut:       uint64(t.Segs_out),
		SegsIn:        uint64(t.Segs_in),
		DSACKDups:     uint64(t.Dsack_dups),
		ReordSeen:     uint64(t.Reord_seen),
		SndWnd:        int(t.Snd_wnd),
		RcvWnd:        int(t.Rcv_wnd),
		LastDataSent:  ms(t.Last_data_sent),
		LastDataRecv:  ms(t.Last_data_recv),
		LastAckRecv:   ms(t.Last_ack_recv),
	}
	if t.Min_rtt == ^uint32(0) {
		in.MinRTT = 0 // no sample yet
	}
	if t.Pacing_rate == ^uint64(0) {
		in.PacingRate = 0 // not paced
	}
	return in
}
