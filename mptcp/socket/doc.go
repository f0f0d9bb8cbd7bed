// Package socket is the socket layer over the stack: descriptors, calls and
// options with the errno of a Linux kernel. It is pure and never blocks. A call
// that would have to wait is an Op, tried again after each drain of the stack.
//
// # Files
//
// errno, const: the kernel's numbers. layer: descriptors. open: bind, listen,
// accept, connect. io: reading and writing. close: shutdown and close. option:
// setsockopt and getsockopt; subflow: of one subflow alone. info: MPTCP_FULL_INFO.
// poll: poll and epoll. op: calls that wait.
// fastopen: sending, and connections that a write opens. errqueue: what MSG_ERRQUEUE
// reads, completions of MSG_ZEROCOPY and timestamps.
//
// # What it does not have
//
// Urgent data. SYNs are not spread over the listeners of a SO_REUSEPORT group: the first
// gets them all.
package socket
