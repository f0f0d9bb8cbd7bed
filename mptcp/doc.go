// Package mptcp is the stack: connection-level MPTCP version 1 (RFC 8684) over
// package tcp, demultiplexing and listeners. *Stack is a machine.Machine on whole
// IP packets: drivers in virtual time, on real interfaces and under scripts run
// the same code.
//
// # Who is who
//
// A Stack has links, connections, listeners and one path manager. A Conn is what
// an application holds: two byte streams, addressed by stream offset from 0. It
// has subflows, each a tcp.Conn; the subflow type implements tcp.Upper, by which
// TCP asks for payload and options by position. A plain TCP connection, by
// configuration or after fallback, is a Conn with one subflow whose bytes are the
// stream.
//
// # Number spaces
//
// Stream offsets (uint64) become data sequence numbers by adding IDSN + 1, known
// when the keys are. Positions in a subflow ("ssn") are relative, the SYN is 0,
// and are kept in 64 bits here. Package wire's Seq and DSN are for the wire.
//
// # Sending
//
// Write copies into the connection's ring. When TCP has room on some subflow the
// scheduler says which bytes go where, and only then the mapping is made (late
// binding). Schedulers that bind ahead of the window, as Linux's, put ranges into a
// queue of the subflow (bind.go); the mapping comes when TCP takes them. sendOn adds
// it to the subflow's list, where it stays, unchanged, until the subflow's peer has
// acknowledged all of it; retransmissions read through it. The ring frees what is
// DATA_ACKed and acknowledged on every subflow that carried it. If a silent subflow
// holds the ring up, its bytes are copied into buffers of its own (makeRoom), and
// only then.
//
// What a subflow cannot deliver goes to the reinjection queue: after a
// retransmission timeout, after its death, and by the connection's own timer if
// no subflow feels responsible (reinject.go). After StaleLossCount timeouts
// without progress a subflow is not scheduled until it recovers.
//
// # Receiving
//
// What arrives in a subflow's order goes straight to the connection's ring; what
// does not, or has no mapping yet, or whose checksum cannot be verified yet, waits
// in a ring of the subflow (reassembly.go). One receive window serves all
// subflows, relative to the DATA_ACK, and its right edge never moves back.
//
// # Order of work
//
// Input only records. Output first lets each subflow say what it owes, then does
// the connection's work once (work: ended subflows, path manager, closing,
// signals), then lets the subflows speak again and sends data. Connections take
// their turn in the order in which they were touched; timers are in a heap ordered
// by time and ordinal. Nothing depends on the order of a map.
//
// # Randomness
//
// Keys, nonces, sequence numbers and ports are HMACs of the seed with purpose,
// connection and ordinal (keys.go): no draw shifts another.
//
// # Files
//
// stack, demux, route, ready, timer, sysctl: the host. listen, request, syncookie: what
// begins. timewait: what has ended. fastopen, destination, blackhole: what is known of
// peers before they answer. conn, handshake, join,
// close, fastclose, fallback, signal, removal, endpoint: the life of a connection. subflow, options,
// output: between TCP and connection. send, schedule, bind, reinject, opportunity,
// mapping: the sender. reassembly, window: the receiver. counters, info, diag, ss:
// what is shown.
package mptcp
