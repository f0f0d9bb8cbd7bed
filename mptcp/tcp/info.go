package tcp

import "mptcplab/mptcp/clock"

// Info returns what tcp_info shows.
func (c *Conn) Info(now clock.Instant) Info {
	f, b := &c.flow, &c.board
	return Info{
		State:         c.state,
		CAState:       f.State,
		Retransmits:   c.retransmits,
		Backoff:       c.backoff,
		RTO:           c.RTO(),
		ATO:           c.ato,
		SndMSS:        c.MSS(),
		RcvMSS:        c.rcvMSS,
		Unacked:       b.packets,
		Sacked:        b.sacked + b.dupSACKs,
		Lost:          b.lost,
		Retrans:       b.retrans,
		RTT:           f.SRTT,
		RTTVar:        f.RTTVar,
		MinRTT:        f.MinRTT,
		SndSSThresh:   f.SSThresh,
		SndCwnd:       f.Cwnd,
		RcvSSThresh:   c.maxOffered,
		TotalRetrans:  c.count.totalRetrans,
		PacingRate:    c.PacingRate(),
		DeliveryRate:  c.rate.rate,
		BytesSent:     c.count.bytesSent,
		BytesRetrans:  c.count.bytesRetrans,
		BytesAcked:    c.count.bytesAcked,
		BytesReceived: c.count.bytesReceived,
		SegsOut:       c.count.segsOut,
		SegsIn:        c.count.segsIn,
		DSACKDups:     c.count.dsackDups,
		ReordSeen:     c.count.reordSeen,
		SndWnd:        c.sndWnd,
		RcvWnd:        max(c.rcvAdv.Sub(c.rcvNxt), 0),
		LastDataSent:  now.Sub(c.lastSent),
		LastDataRecv:  now.Sub(c.lastDataRecv),
		LastAckRecv:   now.Sub(c.lastAckRecv),
		Options:       c.infoOptions(),
		SndWScale:     c.sndScale,
		RcvWScale:     c.rcvScale,
		AdvMSS:        c.mtu - c.headerLen(),
		Delivered:     c.count.delivered,
	}
}

// infoOptions returns what was negotiated as TCPI_OPT_* bits.
func (c *Conn) infoOptions() uint8 {
	var o uint8
	for i, ok := range [...]bool{c.tsOK, c.sackOK, c.wsOK} {
		if ok {
			o |= 1 << i
		}
	}
	if c.fo.acked {
		o |= 32 // TCPI_OPT_SYN_DATA
	}
	return o
}
