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

// source is who has news: a connection or a listener.
type source struct {
	ready Ready // Mask 0: not in the queue
}

// NextEvent returns the next connection or listener with news, first come first
// served; false: there is none.
func (s *Stack) NextEvent() (Ready, bool) {
	src, ok := s.news.front()
	if !ok {
		return Ready{}, false
	}
	s.news.pop()
	r := src.ready
	src.ready.Mask = 0
	return r, true
}

func (s *Stack) notify(src *source, m Mask) {
	if src.ready.Mask == 0 {
		s.news.push(src)
	}
	src.ready.Mask |= m
}
