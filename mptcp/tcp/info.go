package tcp

import (
	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
)

// Info returns what tcp_info shows.
func (c *Conn) Info(now clock.Instant) Info {
	f, b := &c.flow, &c.board
	in := Info{
		State:       c.state,
		CAState:     f.State,
		Retransmits: c.retransmits,
		Backoff:     max(c.backoff, c.persistBackoff),
		Probes:      c.probesOut,
		RTO:         c.RTO(),
		ATO:         c.ato,
		SndMSS:      c.MSS(),
		RcvMSS:      c.rcvMSS,
		Unacked:     b.packets,
		Sacked:      b.sacked + b.dupSACKs,
		Lost:        b.lost,
		Retrans:     b.retrans,
		RTT:         f.SRTT,
		RTTVar:      f.RTTVar,
		MinRTT:      f.MinRTT,
		SndSSThresh: f.SSThresh,
		SndCwnd:     f.Cwnd,
		RcvSSThresh: c.maxOffered,
		Reordering:  c.reordering,
		PMTU:        c.mtu,
		PacingRate:  c.PacingRate(),
		SndWnd:      c.sndWnd,
		RcvWnd:      max(c.rcvAdv.Sub(c.rcvNxt), 0),
		RcvRTT:      c.drs.rtt,
		RcvSpace:    c.drs.space,
		Options:     c.infoOptions(),
		TFOFail:     c.fo.failed,
		SndWScale:   c.sndScale,
		RcvWScale:   c.rcvScale,
		AdvMSS:      c.mtu - c.headerLen() - c.timestampsLen(),
	}
	if c.state == StateSYNSent || c.state == StateSYNReceived && !c.passive {
		c.infoOfSYN(&in)
	}
	in.LastDataSent, in.LastDataRecv, in.LastAckRecv = now.Sub(c.flow.LastSent), now.Sub(c.lastDataRecv), now.Sub(c.lastAckRecv)
	in.DeliveryRate, in.DeliveryRateAppLimited = c.rate.rate, c.rate.rateLimited
	in.NotSentBytes, _, _ = c.upper.Unsent()
	c.count.fill(&in)
	k := &c.chrono
	in.RwndLimited, in.SndbufLimited = k.spent(now, chronoRwnd), k.spent(now, chronoSndbuf)
	in.BusyTime = k.spent(now, chronoBusy) + in.RwndLimited + in.SndbufLimited
	return in
}

// infoOfSYN counts our SYN as Linux does: as a segment in flight, which a timeout loses,
// with all that follows from it.
func (c *Conn) infoOfSYN(in *Info) {
	in.Unacked++
	if c.synRetransmits > 0 {
		in.Lost, in.Retrans, in.SndCwnd, in.CAState = in.Unacked, 1, 1, cc.Loss
	}
}

// fill writes what is only counted.
func (n *counters) fill(in *Info) {
	in.TotalRetrans, in.TotalRTO = uint64(n.totalRetrans), uint64(n.rtos)
	in.BytesSent, in.BytesRetrans = n.bytesSent, n.bytesRetrans
	in.BytesAcked, in.BytesReceived = n.bytesAcked, n.bytesReceived
	in.SegsOut, in.SegsIn = uint64(n.segsOut), uint64(n.segsIn)
	in.DataSegsOut, in.DataSegsIn = uint64(n.dataSegsOut), uint64(n.dataSegsIn)
	in.Delivered, in.DeliveredCE = uint64(n.delivered), uint64(n.deliveredCE)
	in.DSACKDups, in.ReordSeen, in.RcvOOOPack = uint64(n.dsackDups), uint64(n.reordSeen), uint64(n.rcvOutOfOrder)
}

// infoOptions returns what was negotiated as TCPI_OPT_* bits.
func (c *Conn) infoOptions() uint8 {
	var o uint8
	for i, ok := range [...]bool{c.tsOK, c.sackOK, c.wsOK, c.ecn.ok, c.ecn.seen} {
		if ok {
			o |= 1 << i
		}
	}
	if c.fo.acked {
		o |= 32 // TCPI_OPT_SYN_DATA
	}
	return o
}
