package mptcp

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteSS writes sockets as "ss -Mai" of iproute2 prints them, each followed by its
// subflows as "ss -tai" prints those, indented.
func WriteSS(w io.Writer, sockets []SockDiag) error {
	var b strings.Builder
	b.WriteString("Proto State      Recv-Q Send-Q Local Address:Port Peer Address:Port\n")
	for i := range sockets {
		d := &sockets[i]
		peer := "*:*"
		if d.Remote.IsValid() {
			peer = d.Remote.String()
		}
		fmt.Fprintf(&b, "%-5s %-10s %-6d %-6d %s %s\n", d.Proto, d.State, d.RecvQ, d.SendQ, d.Local, peer)
		if d.MPTCP != nil && d.Remote.IsValid() {
			b.WriteString("\t")
			d.MPTCP.writeSS(&b)
			if d.Reason != "" {
				fmt.Fprintf(&b, " (%s)", d.Reason)
			}
			b.WriteString("\n")
		}
		for k := range d.Subflows {
			d.Subflows[k].writeSS(&b)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeSS follows mptcp_stats_print of iproute2: what is zero is not printed.
func (in *MPTCPInfo) writeSS(b *strings.Builder) {
	number := func(name string, v uint64) {
		if v != 0 {
			fmt.Fprintf(b, " %s:%d", name, v)
		}
	}
	number("subflows", uint64(in.Subflows))
	number("add_addr_signal", uint64(in.AddAddrSignal))
	number("add_addr_accepted", uint64(in.AddAddrAccepted))
	number("subflows_max", uint64(in.SubflowsMax))
	number("add_addr_signal_max", uint64(in.AddAddrSignalMax))
	number("add_addr_accepted_max", uint64(in.AddAddrAcceptedMax))
	if in.Flags&InfoFallback != 0 {
		b.WriteString(" fallback")
	}
	if in.Flags&InfoRemoteKeyReceived != 0 {
		b.WriteString(" remote_key")
	}
	if in.Token != 0 {
		fmt.Fprintf(b, " token:%x", in.Token)
	}
	number("write_seq", in.WriteSeq)
	number("snd_una", in.SndUna)
	number("rcv_nxt", in.RcvNxt)
	number("local_addr_used", uint64(in.LocalAddrUsed))
	number("local_addr_max", uint64(in.LocalAddrMax))
	if in.CsumEnabled {
		b.WriteString(" csum_enabled:1")
	}
	number("retransmits", uint64(in.Retransmits))
	number("bytes_retrans", in.BytesRetrans)
	number("bytes_sent", in.BytesSent)
	number("bytes_received", in.BytesReceived)
	number("bytes_acked", in.BytesAcked)
	number("subflows_total", uint64(in.SubflowsTotal))
	number("last_data_sent", uint64(in.LastDataSent/time.Millisecond))
	number("last_data_recv", uint64(in.LastDataRecv/time.Millisecond))
	number("last_ack_recv", uint64(in.LastAckRecv/time.Millisecond))
}

// writeSS follows tcp_stats_print and mptcp_subflow_info of iproute2.
func (d *SubflowDiag) writeSS(b *strings.Builder) {
	t := &d.TCP
	local := d.Local.String()
	if d.Dev != "" {
		local = fmt.Sprintf("%s%%%s:%d", d.Local.Addr(), d.Dev, d.Local.Port())
	}
	fmt.Fprintf(b, "\ttcp %s %s %s", d.State, local, d.Remote)
	if d.Mark != 0 {
		fmt.Fprintf(b, " fwmark:%#x", d.Mark)
	}
	for _, o := range []struct {
		bit  uint8
		name string
	}{{1, " ts"}, {2, " sack"}, {8, " ecn"}, {16, " ecnseen"}, {32, " fastopen"}} {
		if t.Options&o.bit != 0 {
			b.WriteString(o.name)
		}
	}
	b.WriteString(" " + d.CongestionControl)
	if t.Options&4 != 0 {
		fmt.Fprintf(b, " wscale:%d,%d", t.SndWScale, t.RcvWScale)
	}
	ms := func(name string, v time.Duration) {
		if v > 0 {
			fmt.Fprintf(b, " %s:%.4g", name, float64(v)/1e6)
		}
	}
	number := func(name string, v uint64) {
		if v != 0 {
			fmt.Fprintf(b, " %s:%d", name, v)
		}
	}
	rate := func(name string, bytes uint64) {
		if bytes != 0 {
			fmt.Fprintf(b, " %s %dbps", name, bytes*8)
		}
	}
	ms("rto", t.RTO)
	number("backoff", uint64(t.Backoff))
	if t.RTT > 0 {
		fmt.Fprintf(b, " rtt:%.4g/%.4g", float64(t.RTT)/1e6, float64(t.RTTVar)/1e6)
	}
	ms("ato", t.ATO)
	number("mss", uint64(t.SndMSS))
	number("pmtu", uint64(t.PMTU))
	number("rcvmss", uint64(t.RcvMSS))
	number("advmss", uint64(t.AdvMSS))
	number("cwnd", uint64(t.SndCwnd))
	if t.SndSSThresh < 1<<30 {
		number("ssthresh", uint64(t.SndSSThresh))
	}
	number("bytes_sent", t.BytesSent)
	number("bytes_retrans", t.BytesRetrans)
	number("bytes_acked", t.BytesAcked)
	number("bytes_received", t.BytesReceived)
	number("segs_out", t.SegsOut)
	number("segs_in", t.SegsIn)
	number("data_segs_out", t.DataSegsOut)
	number("data_segs_in", t.DataSegsIn)
	number("lastsnd", uint64(t.LastDataSent/time.Millisecond))
	number("lastrcv", uint64(t.LastDataRecv/time.Millisecond))
	number("lastack", uint64(t.LastAckRecv/time.Millisecond))
	rate("pacing_rate", t.PacingRate)
	rate("delivery_rate", t.DeliveryRate)
	number("delivered", t.Delivered)
	number("delivered_ce", t.DeliveredCE)
	if t.DeliveryRateAppLimited {
		b.WriteString(" app_limited")
	}
	held := func(name string, v time.Duration) {
		if v >= time.Millisecond {
			fmt.Fprintf(b, " %s:%dms", name, v/time.Millisecond)
		}
	}
	held("busy", t.BusyTime)
	held("rwnd_limited", t.RwndLimited)
	held("sndbuf_limited", t.SndbufLimited)
	number("unacked", uint64(t.Unacked))
	if t.Retrans != 0 || t.TotalRetrans != 0 {
		fmt.Fprintf(b, " retrans:%d/%d", t.Retrans, t.TotalRetrans)
	}
	number("lost", uint64(t.Lost))
	number("sacked", uint64(t.Sacked))
	number("dsack_dups", t.DSACKDups)
	if t.Reordering != 3 {
		number("reordering", uint64(t.Reordering))
	}
	number("reord_seen", t.ReordSeen)
	ms("rcv_rtt", t.RcvRTT)
	number("rcv_space", uint64(t.RcvSpace))
	number("rcv_ssthresh", uint64(t.RcvSSThresh))
	number("notsent", uint64(t.NotSentBytes))
	ms("minrtt", t.MinRTT)
	number("rcv_ooopack", t.RcvOOOPack)
	number("snd_wnd", uint64(t.SndWnd))
	number("rcv_wnd", uint64(t.RcvWnd))
	d.writeULP(b)
	b.WriteString("\n")
}

func (d *SubflowDiag) writeULP(b *strings.Builder) {
	if d.FlagLetters == "" {
		return
	}
	fmt.Fprintf(b, " tcp-ulp-mptcp flags:%s token:%04x(id:%d)/%04x(id:%d)", d.FlagLetters, d.TokenRem, d.IDRem, d.TokenLoc, d.IDLoc)
	if d.MapLen != 0 {
		fmt.Fprintf(b, " seq:%x sfseq:%x ssnoff:%x maplen:%x", d.MapSeq, d.MapSSN, d.SSNOffset, d.MapLen)
	}
	if d.Stale {
		b.WriteString(" stale")
	}
}
