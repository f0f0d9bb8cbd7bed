package mptcp

// Counters are the MIB counters of a stack under the names of the kernel
// (nstat -as), so that both stacks stand in one table, counted where the kernel
// counts them. A counter that this stack has no occasion for stays 0.
type Counters struct {
	TcpActiveOpens                  uint64 // SYNs of connections and joins of ours
	TcpPassiveOpens                 uint64 // handshakes done that a peer began
	TcpAttemptFails                 uint64 // handshakes that failed
	TcpEstabResets                  uint64 // established ones that a RST of the peer ended
	TcpInSegs                       uint64 // received, errors too
	TcpOutSegs                      uint64 // sent, retransmissions too
	TcpRetransSegs                  uint64 // sent again
	TcpInErrs                       uint64 // received broken
	TcpOutRsts                      uint64 // sent with RST
	TcpExtTCPTimeouts               uint64 // expiries of the retransmission timer
	MPTcpExtMPCapableSYNRX          uint64 // SYN with MP_CAPABLE received by a listener
	MPTcpExtMPCapableSYNTX          uint64 // connections whose SYN carried MP_CAPABLE
	MPTcpExtMPCapableSYNACKRX       uint64 // SYN/ACK with MP_CAPABLE received
	MPTcpExtMPCapableACKRX          uint64 // third ACK with MP_CAPABLE received
	MPTcpExtMPCapableFallbackACK    uint64 // third ACK without
	MPTcpExtMPCapableFallbackSYNACK uint64 // SYN/ACK without
	MPTcpExtMPCapableSYNTXDrop      uint64 // fell back after SYNs without answer
	MPTcpExtMPCapableSYNTXDisabled  uint64 // not asked for MPTCP: a blackhole was met
	MPTcpExtMPCapableDataFallback   uint64 // fell back: the peer's first segment had no DSS
	MPTcpExtMPCapableEndpAttempt    uint64 // never counted: no ports on endpoints
	MPTcpExtMPFallbackTokenInit     uint64 // never counted: a token is always found
	MPTcpExtMPTCPRetrans            uint64 // segments of data mapped again on another subflow
	MPTcpExtMPJoinNoTokenFound      uint64 // MP_JOIN with unknown token
	MPTcpExtMPJoinNoIdFound         uint64 // MP_JOIN to an address that has no id left
	MPTcpExtMPJoinSynRx             uint64 // SYN with MP_JOIN received, before any check
	MPTcpExtMPJoinSynBackupRx       uint64
	MPTcpExtMPJoinSynAckRx          uint64
	MPTcpExtMPJoinSynAckBackupRx    uint64
	MPTcpExtMPJoinSynAckHMacFailure uint64
	MPTcpExtMPJoinSynAckNoMPJoin    uint64 // SYN/ACK without MP_JOIN
	MPTcpExtMPJoinAckRx             uint64
	MPTcpExtMPJoinAckHMacFailure    uint64
	MPTcpExtMPJoinAckNoMPJoin       uint64 // third ACK without MP_JOIN
	MPTcpExtMPJoinAckNoCtx          uint64 // never counted: the connection of a request is always known
	MPTcpExtMPJoinRejected          uint64 // third ACK refused by the limits
	MPTcpExtMPJoinNotEstablished    uint64 // MP_JOIN before the connection was fully established
	MPTcpExtMPJoinSynTx             uint64 // SYN with MP_JOIN sent
	MPTcpExtMPJoinSynTxCreatSkErr   uint64
	MPTcpExtMPJoinSynTxBindErr      uint64
	MPTcpExtMPJoinSynTxConnectErr   uint64
	MPTcpExtDSSNotMatching          uint64 // mapping that contradicts another
	MPTcpExtDSSCorruptionFallback   uint64 // never counted: the kernel's own data were inconsistent (a wrong checksum is DataCsumErr alone)
	MPTcpExtDSSCorruptionReset      uint64 // likewise
	MPTcpExtDssFallback             uint64 // fell back in mid-life
	MPTcpExtDssReset                uint64 // subflows reset for what their DSS said or lacked
	MPTcpExtInfiniteMapTx           uint64
	MPTcpExtInfiniteMapRx           uint64
	MPTcpExtDSSNoMatchTCP           uint64 // mapping of none of the segment's bytes
	MPTcpExtNoDSSInWindow           uint64 // data or mapping outside the window, or data without mapping
	MPTcpExtDataCsumErr             uint64 // DSS checksums that were wrong
	MPTcpExtOFOQueueTail            uint64 // those behind all that waits
	MPTcpExtOFOQueue                uint64 // arrivals of data that waits for other subflows'
	MPTcpExtOFOMerge                uint64 // those that continue a range that waits
	MPTcpExtDuplicateData           uint64 // arrivals of data that was there
	MPTcpExtAddAddr                 uint64 // ADD_ADDR received with the right HMAC, without echoes
	MPTcpExtAddAddrTx               uint64 // ADD_ADDR sent
	MPTcpExtAddAddrTxDrop           uint64 // ADD_ADDR given up: no room
	MPTcpExtEchoAdd                 uint64 // echoes received
	MPTcpExtEchoAddTx               uint64 // echoes sent
	MPTcpExtEchoAddTxDrop           uint64 // echoes given up: no room, or eight wait
	MPTcpExtAddAddrDrop             uint64 // ADD_ADDR ignored: wrong HMAC
	MPTcpExtPortAdd                 uint64
	MPTcpExtMPJoinPortSynRx         uint64
	MPTcpExtMPJoinPortSynAckRx      uint64
	MPTcpExtMPJoinPortAckRx         uint64
	MPTcpExtMismatchPortSynRx       uint64
	MPTcpExtMismatchPortAckRx       uint64
	MPTcpExtRmAddr                  uint64 // address ids in REMOVE_ADDR received
	MPTcpExtRmAddrDrop              uint64 // never counted: the queue of removals has room for all ids
	MPTcpExtRmAddrTx                uint64 // address ids in REMOVE_ADDR sent
	MPTcpExtRmAddrTxDrop            uint64 // never counted, likewise
	MPTcpExtRmSubflow               uint64 // subflows closed because our endpoint went
	MPTcpExtMPPrioTx                uint64
	MPTcpExtMPPrioRx                uint64
	MPTcpExtMPFailTx                uint64
	MPTcpExtMPFailRx                uint64
	MPTcpExtMPFastcloseTx           uint64
	MPTcpExtMPFastcloseRx           uint64
	MPTcpExtMPRstTx                 uint64 // MP_TCPRST sent
	MPTcpExtMPRstRx                 uint64 // MP_TCPRST received
	MPTcpExtSubflowStale            uint64 // subflows not scheduled any more
	MPTcpExtSubflowRecover          uint64 // and scheduled again
	MPTcpExtSndWndShared            uint64 // segments of new data on a subflow whose window is smaller than the connection's
	MPTcpExtRcvWndShared            uint64 // segments whose window another subflow had opened
	MPTcpExtRcvWndConflictUpdate    uint64 // never counted, likewise
	MPTcpExtRcvWndConflict          uint64 // never counted: nobody else advertises at the same time
	MPTcpExtSimultConnectFallback   uint64
	MPTcpExtMD5SigFallback          uint64
	MPTcpExtMD5SigReset             uint64 // never counted: no TCP-MD5
	MPTcpExtFallbackFailed          uint64
	MPTcpExtMPCurrEstab             uint64 // a gauge: MPTCP connections in ESTABLISHED or CLOSE-WAIT
	MPTcpExtBlackhole               uint64 // times MPTCP was stopped for a while
	MPTcpExtWinProbe                uint64 // the connection's window found shut, so that it is probed
	MPTcpExtBacklogDrop             uint64 // never counted: there is no backlog
	MPTcpExtRcvPruned               uint64 // never counted: what is accepted is kept
	MPTcpExtOFOPruned               uint64 // never counted, likewise
	TcpExtListenOverflows           uint64 // SYNs and third ACKs that found the backlog full
	TcpExtListenDrops               uint64 // SYNs and third ACKs dropped by a listener
	TcpExtOutOfWindowIcmps          uint64 // ICMP errors that quote nothing in flight
	TcpExtTCPReqQFullDoCookies      uint64 // SYNs answered with a cookie
	TcpExtTCPReqQFullDrop           uint64 // SYNs beyond the queue of half-open connections
	TcpExtSyncookiesSent            uint64
	TcpExtSyncookiesRecv            uint64 // cookies that came back
	TcpExtSyncookiesFailed          uint64 // and were none of ours
	TcpExtEmbryonicRsts             uint64 // half-open connections reset by the peer
	TcpExtTCPFastOpenActive         uint64 // connections whose data in the SYN was taken
	TcpExtTCPFastOpenActiveFail     uint64 // and was not
	TcpExtTCPFastOpenPassive        uint64 // connections that a SYN opened
	TcpExtTCPFastOpenPassiveFail    uint64 // SYNs with a wrong cookie
	TcpExtTCPFastOpenPassiveAltKey  uint64 // SYNs with a cookie of the other key
	TcpExtTCPFastOpenListenOverflow uint64 // SYNs beyond TCP_FASTOPEN
	TcpExtTCPFastOpenCookieReqd     uint64 // SYNs that asked for a cookie
	TcpExtTCPFastOpenBlackhole      uint64 // times Fast Open was stopped for a while
}

// Each calls f with each counter under its name, in the order of the struct.
func (c *Counters) Each(f func(name string, v uint64)) {
	f("TcpActiveOpens", c.TcpActiveOpens)
	f("TcpPassiveOpens", c.TcpPassiveOpens)
	f("TcpAttemptFails", c.TcpAttemptFails)
	f("TcpEstabResets", c.TcpEstabResets)
	f("TcpInSegs", c.TcpInSegs)
	f("TcpOutSegs", c.TcpOutSegs)
	f("TcpRetransSegs", c.TcpRetransSegs)
	f("TcpInErrs", c.TcpInErrs)
	f("TcpOutRsts", c.TcpOutRsts)
	f("TcpExtTCPTimeouts", c.TcpExtTCPTimeouts)
	f("MPTcpExtMPCapableSYNRX", c.MPTcpExtMPCapableSYNRX)
	f("MPTcpExtMPCapableSYNTX", c.MPTcpExtMPCapableSYNTX)
	f("MPTcpExtMPCapableSYNACKRX", c.MPTcpExtMPCapableSYNACKRX)
	f("MPTcpExtMPCapableACKRX", c.MPTcpExtMPCapableACKRX)
	f("MPTcpExtMPCapableFallbackACK", c.MPTcpExtMPCapableFallbackACK)
	f("MPTcpExtMPCapableFallbackSYNACK", c.MPTcpExtMPCapableFallbackSYNACK)
	f("MPTcpExtMPCapableSYNTXDrop", c.MPTcpExtMPCapableSYNTXDrop)
	f("MPTcpExtMPCapableSYNTXDisabled", c.MPTcpExtMPCapableSYNTXDisabled)
	f("MPTcpExtMPCapableDataFallback", c.MPTcpExtMPCapableDataFallback)
	f("MPTcpExtMPCapableEndpAttempt", c.MPTcpExtMPCapableEndpAttempt)
	f("MPTcpExtMPFallbackTokenInit", c.MPTcpExtMPFallbackTokenInit)
	f("MPTcpExtMPTCPRetrans", c.MPTcpExtMPTCPRetrans)
	f("MPTcpExtMPJoinNoTokenFound", c.MPTcpExtMPJoinNoTokenFound)
	f("MPTcpExtMPJoinNoIdFound", c.MPTcpExtMPJoinNoIdFound)
	f("MPTcpExtMPJoinSynRx", c.MPTcpExtMPJoinSynRx)
	f("MPTcpExtMPJoinSynBackupRx", c.MPTcpExtMPJoinSynBackupRx)
	f("MPTcpExtMPJoinSynAckRx", c.MPTcpExtMPJoinSynAckRx)
	f("MPTcpExtMPJoinSynAckBackupRx", c.MPTcpExtMPJoinSynAckBackupRx)
	f("MPTcpExtMPJoinSynAckHMacFailure", c.MPTcpExtMPJoinSynAckHMacFailure)
	f("MPTcpExtMPJoinSynAckNoMPJoin", c.MPTcpExtMPJoinSynAckNoMPJoin)
	f("MPTcpExtMPJoinAckRx", c.MPTcpExtMPJoinAckRx)
	f("MPTcpExtMPJoinAckHMacFailure", c.MPTcpExtMPJoinAckHMacFailure)
	f("MPTcpExtMPJoinAckNoMPJoin", c.MPTcpExtMPJoinAckNoMPJoin)
	f("MPTcpExtMPJoinAckNoCtx", c.MPTcpExtMPJoinAckNoCtx)
	f("MPTcpExtMPJoinRejected", c.MPTcpExtMPJoinRejected)
	f("MPTcpExtMPJoinNotEstablished", c.MPTcpExtMPJoinNotEstablished)
	f("MPTcpExtMPJoinSynTx", c.MPTcpExtMPJoinSynTx)
	f("MPTcpExtMPJoinSynTxCreatSkErr", c.MPTcpExtMPJoinSynTxCreatSkErr)
	f("MPTcpExtMPJoinSynTxBindErr", c.MPTcpExtMPJoinSynTxBindErr)
	f("MPTcpExtMPJoinSynTxConnectErr", c.MPTcpExtMPJoinSynTxConnectErr)
	f("MPTcpExtDSSNotMatching", c.MPTcpExtDSSNotMatching)
	f("MPTcpExtDSSCorruptionFallback", c.MPTcpExtDSSCorruptionFallback)
	f("MPTcpExtDSSCorruptionReset", c.MPTcpExtDSSCorruptionReset)
	f("MPTcpExtDssFallback", c.MPTcpExtDssFallback)
	f("MPTcpExtDssReset", c.MPTcpExtDssReset)
	f("MPTcpExtInfiniteMapTx", c.MPTcpExtInfiniteMapTx)
	f("MPTcpExtInfiniteMapRx", c.MPTcpExtInfiniteMapRx)
	f("MPTcpExtDSSNoMatchTCP", c.MPTcpExtDSSNoMatchTCP)
	f("MPTcpExtNoDSSInWindow", c.MPTcpExtNoDSSInWindow)
	f("MPTcpExtDataCsumErr", c.MPTcpExtDataCsumErr)
	f("MPTcpExtOFOQueueTail", c.MPTcpExtOFOQueueTail)
	f("MPTcpExtOFOQueue", c.MPTcpExtOFOQueue)
	f("MPTcpExtOFOMerge", c.MPTcpExtOFOMerge)
	f("MPTcpExtDuplicateData", c.MPTcpExtDuplicateData)
	f("MPTcpExtAddAddr", c.MPTcpExtAddAddr)
	f("MPTcpExtAddAddrTx", c.MPTcpExtAddAddrTx)
	f("MPTcpExtAddAddrTxDrop", c.MPTcpExtAddAddrTxDrop)
	f("MPTcpExtEchoAdd", c.MPTcpExtEchoAdd)
	f("MPTcpExtEchoAddTx", c.MPTcpExtEchoAddTx)
	f("MPTcpExtEchoAddTxDrop", c.MPTcpExtEchoAddTxDrop)
	f("MPTcpExtAddAddrDrop", c.MPTcpExtAddAddrDrop)
	f("MPTcpExtPortAdd", c.MPTcpExtPortAdd)
	f("MPTcpExtMPJoinPortSynRx", c.MPTcpExtMPJoinPortSynRx)
	f("MPTcpExtMPJoinPortSynAckRx", c.MPTcpExtMPJoinPortSynAckRx)
	f("MPTcpExtMPJoinPortAckRx", c.MPTcpExtMPJoinPortAckRx)
	f("MPTcpExtMismatchPortSynRx", c.MPTcpExtMismatchPortSynRx)
	f("MPTcpExtMismatchPortAckRx", c.MPTcpExtMismatchPortAckRx)
	f("MPTcpExtRmAddr", c.MPTcpExtRmAddr)
	f("MPTcpExtRmAddrDrop", c.MPTcpExtRmAddrDrop)
	f("MPTcpExtRmAddrTx", c.MPTcpExtRmAddrTx)
	f("MPTcpExtRmAddrTxDrop", c.MPTcpExtRmAddrTxDrop)
	f("MPTcpExtRmSubflow", c.MPTcpExtRmSubflow)
	f("MPTcpExtMPPrioTx", c.MPTcpExtMPPrioTx)
	f("MPTcpExtMPPrioRx", c.MPTcpExtMPPrioRx)
	f("MPTcpExtMPFailTx", c.MPTcpExtMPFailTx)
	f("MPTcpExtMPFailRx", c.MPTcpExtMPFailRx)
	f("MPTcpExtMPFastcloseTx", c.MPTcpExtMPFastcloseTx)
	f("MPTcpExtMPFastcloseRx", c.MPTcpExtMPFastcloseRx)
	f("MPTcpExtMPRstTx", c.MPTcpExtMPRstTx)
	f("MPTcpExtMPRstRx", c.MPTcpExtMPRstRx)
	f("MPTcpExtSubflowStale", c.MPTcpExtSubflowStale)
	f("MPTcpExtSubflowRecover", c.MPTcpExtSubflowRecover)
	f("MPTcpExtSndWndShared", c.MPTcpExtSndWndShared)
	f("MPTcpExtRcvWndShared", c.MPTcpExtRcvWndShared)
	f("MPTcpExtRcvWndConflictUpdate", c.MPTcpExtRcvWndConflictUpdate)
	f("MPTcpExtRcvWndConflict", c.MPTcpExtRcvWndConflict)
	f("MPTcpExtSimultConnectFallback", c.MPTcpExtSimultConnectFallback)
	f("MPTcpExtMD5SigFallback", c.MPTcpExtMD5SigFallback)
	f("MPTcpExtMD5SigReset", c.MPTcpExtMD5SigReset)
	f("MPTcpExtFallbackFailed", c.MPTcpExtFallbackFailed)
	f("MPTcpExtMPCurrEstab", c.MPTcpExtMPCurrEstab)
	f("MPTcpExtBlackhole", c.MPTcpExtBlackhole)
	f("TcpExtListenOverflows", c.TcpExtListenOverflows)
	f("TcpExtListenDrops", c.TcpExtListenDrops)
	f("TcpExtOutOfWindowIcmps", c.TcpExtOutOfWindowIcmps)
	f("TcpExtTCPReqQFullDoCookies", c.TcpExtTCPReqQFullDoCookies)
	f("TcpExtTCPReqQFullDrop", c.TcpExtTCPReqQFullDrop)
	f("TcpExtSyncookiesSent", c.TcpExtSyncookiesSent)
	f("TcpExtSyncookiesRecv", c.TcpExtSyncookiesRecv)
	f("TcpExtSyncookiesFailed", c.TcpExtSyncookiesFailed)
	f("TcpExtEmbryonicRsts", c.TcpExtEmbryonicRsts)
	f("TcpExtTCPFastOpenActive", c.TcpExtTCPFastOpenActive)
	f("TcpExtTCPFastOpenActiveFail", c.TcpExtTCPFastOpenActiveFail)
	f("TcpExtTCPFastOpenPassive", c.TcpExtTCPFastOpenPassive)
	f("TcpExtTCPFastOpenPassiveFail", c.TcpExtTCPFastOpenPassiveFail)
	f("TcpExtTCPFastOpenPassiveAltKey", c.TcpExtTCPFastOpenPassiveAltKey)
	f("TcpExtTCPFastOpenListenOverflow", c.TcpExtTCPFastOpenListenOverflow)
	f("TcpExtTCPFastOpenCookieReqd", c.TcpExtTCPFastOpenCookieReqd)
	f("TcpExtTCPFastOpenBlackhole", c.TcpExtTCPFastOpenBlackhole)
	f("MPTcpExtWinProbe", c.MPTcpExtWinProbe)
	f("MPTcpExtBacklogDrop", c.MPTcpExtBacklogDrop)
	f("MPTcpExtRcvPruned", c.MPTcpExtRcvPruned)
	f("MPTcpExtOFOPruned", c.MPTcpExtOFOPruned)
}
