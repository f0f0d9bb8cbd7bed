// Package mptcp is the stack: connection-level MPTCP (keys, tokens, mappings,
// reassembly, reinjection, fallback), demultiplexing and listeners. *Stack is a
// machine.Machine: drivers in virtual time and on real interfaces run the same
// code.
package mptcp
