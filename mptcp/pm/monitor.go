package pm

import (
	"net/netip"
	"strconv"
)

var eventWords = [...]string{
	Created: "CREATED", Established: "ESTABLISHED", ConnClosed: "CLOSED", Announced: "ANNOUNCED", Removed: "REMOVED",
	SubEstablished: "SF_ESTABLISHED", SubClosed: "SF_CLOSED", SubPriority: "SF_PRIO",
	ListenerCreated: "LISTENER_CREATED", ListenerClosed: "LISTENER_CLOSED",
}

// Shown reports whether a monitor shows events of this kind.
func (k EventKind) Shown() bool { return int(k) < len(eventWords) && eventWords[k] != "" }

// The flags of CREATED and ESTABLISHED (MPTCP_PM_EV_FLAG_*).
const (
	flagDenyJoinID0 = 1 << iota
	flagServerSide
)

// String returns the event as "ip mptcp monitor" prints it.
func (e Event) String() string {
	if !e.Kind.Shown() {
		return ""
	}
	b := make([]byte, 0, 160)
	b = append(b, '[')
	for range 14 - len(eventWords[e.Kind]) {
		b = append(b, ' ')
	}
	b = append(b, eventWords[e.Kind]...)
	b = append(b, ']')
	if e.Kind < ListenerCreated {
		b = append(b, " token="...)
		for shift := 28; shift >= 0; shift -= 4 {
			b = append(b, "0123456789abcdef"[e.Token>>shift&15])
		}
	}
	switch e.Kind {
	case ConnClosed:
	case Announced:
		b = appendNumber(b, " remid=", uint64(e.RemoteID))
		b = appendEnds(b, netip.AddrPort{}, e.Remote)
	case Removed:
		b = appendNumber(b, " remid=", uint64(e.RemoteID))
	case ListenerCreated, ListenerClosed:
		b = appendEnds(b, e.Local, netip.AddrPort{})
	default:
		b = appendNumber(b, " remid=", uint64(e.RemoteID))
		b = appendNumber(b, " locid=", uint64(e.LocalID))
		b = appendEnds(b, e.Local, e.Remote)
		b = e.appendState(b)
	}
	return string(b)
}

// appendState adds what follows the addresses.
func (e Event) appendState(b []byte) []byte {
	if e.Kind == Created || e.Kind == Established {
		flags := uint64(0)
		if e.DenyJoinID0 {
			flags |= flagDenyJoinID0
		}
		if e.ServerSide {
			flags |= flagServerSide
		}
		if flags != 0 {
			b = appendNumber(b, " flags=", flags)
		}
		return b
	}
	backup := uint64(0)
	if e.Backup {
		backup = 1
	}
	b = appendNumber(b, " backup=", backup)
	if e.Err != 0 {
		b = appendNumber(b, " error=", uint64(e.Err))
	}
	if e.Reset {
		b = appendNumber(b, " reset_reason=", uint64(e.ResetReason))
		b = append(b, " reset_flags=0x"...)
		b = strconv.AppendUint(b, uint64(e.ResetFlags), 16)
	}
	return b
}

func appendNumber(b []byte, name string, v uint64) []byte {
	return strconv.AppendUint(append(b, name...), v, 10)
}

// appendEnds adds addresses, then ports, of those ends that are valid.
func appendEnds(b []byte, local, remote netip.AddrPort) []byte {
	add := func(name string, a netip.Addr) {
		if a.IsValid() {
			b = append(b, name...)
			b = append(b, map[bool]string{true: "4=", false: "6="}[a.Is4()]...)
			b = a.AppendTo(b)
		}
	}
	add(" saddr", local.Addr())
	add(" daddr", remote.Addr())
	if local.Port() != 0 {
		b = appendNumber(b, " sport=", uint64(local.Port()))
	}
	if remote.Port() != 0 {
		b = appendNumber(b, " dport=", uint64(remote.Port()))
	}
	return b
}
