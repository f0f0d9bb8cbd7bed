package mptcp

// Mask says what is new or possible on a connection or listener, as poll does.
type Mask uint8

// The bits of Mask.
const (
	Acceptable  Mask = 1 << iota // Listener: Accept returns a connection
	Established                  // the handshake is done: data can be exchanged
	Readable                     // Read returns data, io.EOF or an error
	Writable                     // at least a third of the send buffer is free
	Finished                     // Done holds now
	Failed                       // Err is set
)

// Ready is news of one connection or listener: the other pointer is nil. Mask is
// what became true since the last news of the same; it is edge-triggered, and
// news that were not fetched yet are merged.
type Ready struct {
	Conn     *Conn
	Listener *Listener
	Mask     Mask
}
