package socket

// Shutdown ends one direction or both: ShutRD, ShutWR, ShutRDWR.
func (l *Layer) Shutdown(fd, how int) Errno {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return e
	case how < ShutRD || how > ShutRDWR:
		return EINVAL
	case f.state == listening && how != ShutWR, f.state == connecting, f.state == deferred:
		return l.Disconnect(fd)
	case f.state != connected || f.dead():
		return ENOTCONN
	}
	f.untold = false // SS_CONNECTED, as inet_shutdown has it
	if how != ShutWR {
		f.shutRD = true
		f.conn.CloseRead()
	}
	if how != ShutRD && !f.shutWR {
		f.shutWR = true
		_ = f.conn.CloseWrite() // an error is the connection's and told by SO_ERROR
	}
	return OK
}

// Close frees fd. A connection goes on to its orderly end; it is aborted if it is
// not established, if data is unread (RFC 2525, 2.17) or SO_LINGER is 0 seconds.
func (l *Layer) Close(fd int) Errno {
	f, e := l.get(fd)
	if e != OK {
		return e
	}
	l.files[fd] = nil
	for _, other := range l.files {
		if other != nil && other.epoll != nil {
			other.epoll.forget(f)
		}
	}
	switch {
	case f.ln != nil:
		f.ln.Close()
	case f.conn == nil:
	case f.state == connecting || f.linger.On && f.linger.Seconds == 0:
		f.conn.Abort()
	default:
		f.conn.Close()
	}
	return OK
}
