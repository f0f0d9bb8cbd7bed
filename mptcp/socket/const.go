package socket

// Numbers of Linux for arguments of the calls.
const (
	AFUnspec = 0
	AFInet   = 2
	AFInet6  = 10

	SockStream = 1

	IPProtoTCP   = 6
	IPProtoMPTCP = 262

	ORDWR     = 0x2
	ONonblock = 0x800

	ShutRD   = 0
	ShutWR   = 1
	ShutRDWR = 2

	MsgPeek     = 0x2
	MsgTrunc    = 0x20
	MsgDontwait = 0x40
	MsgWaitall  = 0x100
	MsgNosignal = 0x4000
	MsgEOR      = 0x80
	MsgMore     = 0x8000
	MsgFastopen = 0x20000000

	// BadAddress is not the kernel's: the buffer of the call is no memory, and
	// the call fails with EFAULT when it would touch it.
	BadAddress = 1 << 40
)

// Levels and names of socket options.
const (
	SOLSocket = 1
	SOLIP     = 0
	SOLTCP    = 6
	SOLIPv6   = 41

	SOReuseAddr = 2
	SOError     = 4
	SOSndBuf    = 7
	SORcvBuf    = 8
	SOKeepalive = 9
	SOOOBInline = 10
	SOPriority  = 12
	SOLinger    = 13
	SOReusePort = 15
	SORcvTimeo  = 20
	SOSndTimeo  = 21
	SOMark      = 36
	SOProtocol  = 38

	SODebug         = 1
	SODontroute     = 5
	SOBroadcast     = 6
	SONoCheck       = 11
	SOTimestamp     = 29
	SOType          = 3
	SORcvLowat      = 18
	SOAcceptConn    = 30
	SOSndBufForce   = 32
	SORcvBufForce   = 33
	SODomain        = 39
	SOBusyPoll      = 46
	SOMaxPacingRate = 47
	SOIncomingCPU   = 49

	IPRecvErr           = 11
	IPTransparent       = 19
	IPBindAddressNoPort = 24
	IPv6MTUDiscover     = 23
	IPv6RecvErr         = 25

	IPTOS          = 1
	IPTTL          = 2
	IPMTUDiscover  = 10
	IPFreebind     = 15
	IPv6Hops       = 16
	IPv6V6Only     = 26
	IPv6TClass     = 67
	TCPNoDelay     = 1
	TCPMaxSeg      = 2
	TCPCork        = 3
	TCPKeepIdle    = 4
	TCPKeepIntvl   = 5
	TCPKeepCnt     = 6
	TCPSynCnt      = 7
	TCPQuickAck    = 12
	TCPCongestion  = 13
	TCPMD5Sig      = 14
	TCPUserTimeout = 18
	TCPFastopen    = 23
	TCPInq         = 36 // TCP_CM_INQ, too
	TCPIsMPTCP     = 43

	TCPLinger2      = 8
	TCPDeferAccept  = 9
	TCPWindowClamp  = 10
	TCPNotsentLowat = 25
	TCPSaveSYN      = 27
	TCPRTOMaxMs     = 44

	TCPFastopenConnect  = 30
	TCPFastopenKey      = 33
	TCPFastopenNoCookie = 34
)

// What poll asks for and answers.
const (
	PollIn    = 0x1
	PollPri   = 0x2
	PollOut   = 0x4
	PollErr   = 0x8
	PollHup   = 0x10
	PollNval  = 0x20
	PollRdHup = 0x2000

	PollRdNorm = 0x40  // with PollIn
	PollWrNorm = 0x100 // with PollOut
)
