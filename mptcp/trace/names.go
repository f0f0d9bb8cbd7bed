package trace

var names = [...]string{
	ConnCreated:        "conn_created",
	MPTCPEstablished:   "mptcp_established",
	Fallback:           "fallback",
	SubflowCreated:     "subflow_created",
	SubflowEstablished: "subflow_established",
	SubflowClosed:      "subflow_closed",
	SubflowBackup:      "subflow_backup",
	RTOExpired:         "rto",
	RecoveryEntered:    "recovery_entered",
	RecoveryLeft:       "recovery_left",
	Retransmitted:      "retransmitted",
	Mapped:             "mapped",
	Acked:              "acked",
	Delivered:          "delivered",
	AddAddrSent:        "add_addr_sent",
	AddAddrReceived:    "add_addr_received",
	RemoveAddrSent:     "remove_addr_sent",
	RemoveAddrReceived: "remove_addr_received",
	PrioSent:           "mp_prio_sent",
	PrioReceived:       "mp_prio_received",
	FastCloseSent:      "mp_fastclose_sent",
	FastCloseReceived:  "mp_fastclose_received",
	ResetSent:          "rst_sent",
	ResetReceived:      "rst_received",
	FailSent:           "mp_fail_sent",
	FailReceived:       "mp_fail_received",
	DataFINSent:        "data_fin_sent",
	DataFINReceived:    "data_fin_received",
	SubflowStale:       "subflow_stale",
	ConnClosed:         "conn_closed",
	Dropped:            "dropped",
	LinkChanged:        "link_changed",
}

// String returns the name of k as it stands in events.ndjson.
func (k Kind) String() string {
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return "unknown"
}
