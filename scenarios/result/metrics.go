package result

// The metrics of series.csv that packets give. All but SRTT are cumulative, so
// that a window is a difference. Per flow, path and direction:
const (
	MetricSent          = "sent"          // payload bytes that left the sender
	MetricReceived      = "received"      // payload bytes that arrived at the receiver
	MetricPackets       = "packets"       // packets that arrived at the receiver
	MetricRetransmitted = "retransmitted" // bytes sent again on the same subflow
	MetricReinjected    = "reinjected"    // bytes sent again on another subflow
	MetricSRTT          = "srtt"          // ms, as the sender can have measured it
)

// The metrics of a flow as a whole, without path, by direction.
const (
	MetricDelivered = "delivered" // in-order bytes that the receiver has acknowledged
)
